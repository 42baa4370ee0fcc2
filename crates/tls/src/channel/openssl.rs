//! OpenSSL as an engine, for what rustls cannot do: external pre-shared keys, and DTLS.
//!
//! It has the verbs of the other engine. A connection keeps a stream of two vectors; `RELEASE_BUFFERS` lets the
//! library keep no buffers of its own while nothing flows.

pub(crate) mod contexts;
mod keys;
mod outcome;
mod pipe;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::ssl::{ErrorCode, Ssl, SslContext, SslStream, SslVersion};

use super::verifier::Judge;
use super::{Admission, PlainState};
use crate::datagram::{SAFE_DATAGRAM, has_sealed};
use crate::ffi::{self, Offer};
use crate::psk::{PskIdentity, PskKey};
use crate::{ChannelError, HandshakeError};
use keys::NamedKey;
use pipe::Pipe;

/// Octets of plain data in a record at most.
const FRAGMENT: usize = 1 << 14;
/// Records under one sending key. RFC 8446 section 5.5 allows 2^24.5 with AES-GCM; rustls stays far below by itself.
const RECORDS_PER_KEY: u64 = 1 << 22;

/// Whom a server answers with its own key: one device, or nobody for this reason.
pub(super) enum Known {
    Device {
        name: Arc<str>,
        identity: Vec<u8>,
        key: Arc<PskKey>,
    },
    Nobody(HandshakeError),
}

/// How the library's errors look from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Alert(u8),
    /// The reason in the library's queue.
    Library(i32),
    Internal,
}

/// One connection.
pub(super) struct OpenSsl {
    stream: SslStream<Pipe>,
    /// The device of the key, in the accepting role.
    device: Option<Arc<str>>,
    /// Why nobody is known, in the accepting role; the peer sees a wrong key.
    refusal: Option<HandshakeError>,
    plain: Vec<u8>,
    unsent: Vec<u8>,
    fault: Option<Fault>,
    handshaking: bool,
    peer_closed: bool,
    closing: bool,
    close_sent: bool,
    /// Records sealed under the present key.
    records: u64,
    records_per_key: u64,
    /// Records opened.
    opened: u64,
    /// Where the records of `plain` end, of datagrams.
    ends: Vec<usize>,
    /// Datagrams with records that do not open while the handshake runs.
    sealed_otherwise: u32,
}

impl OpenSsl {
    /// The accepting role of TLS 1.3 by an external key.
    pub(super) fn server(context: &SslContext, known: Known) -> Option<Self> {
        let mut device = None;
        let mut refusal = None;
        // Also where it is not needed: who measures the time would see when it is.
        let nobodys = Arc::new(PskKey::random()?);
        let offer = match known {
            Known::Device {
                name,
                identity,
                key,
            } => {
                device = Some(name);
                Offer {
                    identity: Some(identity),
                    key,
                }
            }
            Known::Nobody(error) => {
                refusal = Some(error);
                Offer {
                    identity: None,
                    key: nobodys,
                }
            }
        };
        let mut ssl = Ssl::new(context).ok()?;
        ssl.set_accept_state();
        ffi::attach(&mut ssl, offer).ok()?;
        Some(Self {
            device,
            refusal,
            ..Self::begin(ssl, Pipe::default())?
        })
    }

    /// The accepting role of TLS 1.2 by a key that the client will name.
    pub(super) fn old_server(
        context: &SslContext,
        admission: Arc<dyn Admission>,
        peer: SocketAddr,
    ) -> Option<Self> {
        let mut ssl = Ssl::new(context).ok()?;
        ssl.set_accept_state();
        keys::attach(&mut ssl, NamedKey::server(admission, peer)).ok()?;
        Self::begin(ssl, Pipe::default())
    }

    /// The accepting role of DTLS, with a hello whose cookie is good.
    pub(super) fn datagram_server(
        context: &SslContext,
        judge: &Arc<Judge>,
        admission: Arc<dyn Admission>,
        peer: SocketAddr,
        hello: &[u8],
    ) -> Option<Self> {
        let mut ssl = Ssl::new(context).ok()?;
        ssl.set_accept_state();
        keys::attach(&mut ssl, NamedKey::server(admission, peer)).ok()?;
        let mut engine = Self::of_datagrams(ssl, judge)?;
        let number = hello.get(3..).and_then(<[u8]>::first_chunk);
        let number = number.map_or(0, |octets| u64::from_be_bytes(*octets));
        let pipe = engine.stream.get_mut();
        // The library's first record is number 1.
        pipe.ahead = number.saturating_sub(1);
        pipe.input = hello.to_vec();
        if !ffi::listen(&mut engine.stream) {
            return None;
        }
        engine.drive();
        Some(engine)
    }

    /// The connecting role of DTLS: by the key if there is one, or else by certificate.
    pub(super) fn datagram_client(
        context: &SslContext,
        judge: &Arc<Judge>,
        psk: Option<(&PskIdentity, &Arc<PskKey>)>,
        sni: Option<&str>,
    ) -> Option<Self> {
        let mut ssl = Ssl::new(context).ok()?;
        if let Some(name) = sni {
            ssl.set_hostname(name).ok()?;
        }
        ssl.set_connect_state();
        if let Some((identity, key)) = psk {
            let identity = identity.octets().to_vec();
            let key = key.clone();
            keys::attach(&mut ssl, NamedKey::Client { identity, key }).ok()?;
        }
        let mut engine = Self::of_datagrams(ssl, judge)?;
        engine.drive();
        Some(engine)
    }

    fn of_datagrams(mut ssl: Ssl, judge: &Arc<Judge>) -> Option<Self> {
        ssl.set_mtu(SAFE_DATAGRAM.into()).ok()?;
        ffi::judged_by(&mut ssl, judge.clone()).ok()?;
        let pipe = Pipe {
            datagrams: true,
            judge: Some(judge.clone()),
            ..Pipe::default()
        };
        Self::begin(ssl, pipe)
    }

    /// The connecting role of TLS by a key.
    pub(super) fn client(
        context: &SslContext,
        identity: &PskIdentity,
        key: &Arc<PskKey>,
        sni: Option<&str>,
    ) -> Option<Self> {
        let offer = Offer {
            identity: Some(identity.octets().to_vec()),
            key: key.clone(),
        };
        let mut ssl = Ssl::new(context).ok()?;
        if let Some(name) = sni {
            ssl.set_hostname(name).ok()?;
        }
        ssl.set_connect_state();
        let named = NamedKey::Client {
            identity: identity.octets().to_vec(),
            key: key.clone(),
        };
        keys::attach(&mut ssl, named).ok()?;
        ffi::attach(&mut ssl, offer).ok()?;
        let mut engine = Self::begin(ssl, Pipe::default())?;
        engine.drive();
        Some(engine)
    }

    fn begin(ssl: Ssl, pipe: Pipe) -> Option<Self> {
        Some(Self {
            stream: SslStream::new(ssl, pipe).ok()?,
            device: None,
            refusal: None,
            plain: Vec::new(),
            unsent: Vec::new(),
            fault: None,
            handshaking: true,
            peer_closed: false,
            closing: false,
            close_sent: false,
            records: 0,
            records_per_key: RECORDS_PER_KEY,
            opened: 0,
            ends: Vec::new(),
            sealed_otherwise: 0,
        })
    }

    pub(super) fn feed(&mut self, octets: &[u8]) {
        // Nothing after an error or close_notify is looked at.
        if self.fault.is_none() && !self.peer_closed {
            self.stream.get_mut().input.extend_from_slice(octets);
            self.drive();
            self.sealed_otherwise += u32::from(self.handshaking && has_sealed(octets));
        }
    }

    /// When the last flight of a handshake of DTLS is to be repeated, from now.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let waits = self.handshaking && self.fault.is_none() && self.stream.get_ref().datagrams;
        ffi::timeout(self.stream.ssl()).filter(|_| waits)
    }

    /// Repeats it, if the time has come.
    pub(super) fn handle_timeout(&mut self) {
        if self.timeout().is_some() && !ffi::handle_timeout(&mut self.stream) {
            // It has given up.
            self.fault = Some(Fault::Internal);
        }
    }

    pub(super) fn drain(&mut self, out: &mut Vec<u8>) {
        if self.fault.is_none() && !self.handshaking && !self.close_sent {
            self.seal();
        }
        out.append(&mut std::mem::take(&mut self.stream.get_mut().output));
        if self.stream.get_ref().datagrams && !self.handshaking {
            ffi::free_buffers(&mut self.stream);
        }
    }

    pub(super) fn read_plain(&mut self, out: &mut Vec<u8>) -> Result<PlainState, ChannelError> {
        self.ends = Vec::new();
        out.append(&mut std::mem::take(&mut self.plain));
        self.state()
    }

    /// Shows what came, one record after another.
    pub(super) fn read_records(
        &mut self,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<PlainState, ChannelError> {
        let mut begin = 0;
        for end in std::mem::take(&mut self.ends) {
            each(self.plain.get(begin..end).unwrap_or_default());
            begin = end;
        }
        self.plain = Vec::new();
        self.state()
    }

    fn state(&self) -> Result<PlainState, ChannelError> {
        match (self.fault, self.peer_closed) {
            (Some(fault), _) => Err(fault.once_open()),
            (None, true) => Ok(PlainState::Closed),
            (None, false) => Ok(PlainState::Open),
        }
    }

    pub(super) fn write_plain(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        if let Some(fault) = self.fault {
            return Err(fault.once_open());
        }
        if self.closing {
            return Err(ChannelError::Closed);
        }
        self.unsent.extend_from_slice(plain);
        Ok(())
    }

    /// What was written before and this are sealed apart.
    pub(super) fn write_record(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        for piece in [&[], plain] {
            self.write_plain(piece)?;
            self.seal();
        }
        match self.fault {
            Some(fault) => Err(fault.once_open()),
            None => Ok(()),
        }
    }

    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    pub(super) fn key_update(&mut self) -> Result<(), ChannelError> {
        if self.fault.is_some() || self.handshaking || self.close_sent || self.is_old() {
            return Err(ChannelError::NotReady);
        }
        self.change_key(true).ok_or(ChannelError::Internal)
    }

    /// Records under keys that cannot be changed, in the direction that has more.
    pub(super) fn worn(&self) -> u64 {
        match self.is_old() {
            true => self.records.max(self.opened),
            false => 0,
        }
    }

    /// TLS 1.2 or DTLS 1.2 was negotiated.
    fn is_old(&self) -> bool {
        self.stream.ssl().version2() != Some(SslVersion::TLS1_3)
    }

    /// Does everything the library can do with the input.
    fn drive(&mut self) {
        // What another connection of this thread left would be taken for ours.
        drop(ErrorStack::get());
        if self.handshaking {
            match self.stream.do_handshake() {
                Ok(()) => self.handshaking = false,
                Err(error) => return self.note(&error),
            }
        }
        let mut record = [0; FRAGMENT];
        loop {
            match self.stream.ssl_read(&mut record) {
                Ok(length) => {
                    let read = record.get(..length).unwrap_or_default();
                    self.plain.extend_from_slice(read);
                    self.opened += 1;
                    if self.stream.get_ref().datagrams {
                        self.ends.push(self.plain.len());
                    }
                }
                Err(error) => return self.note(&error),
            }
        }
    }

    /// Seals what is not sealed yet and, if asked to, says goodbye.
    fn seal(&mut self) {
        let unsent = std::mem::take(&mut self.unsent);
        for fragment in unsent.chunks(FRAGMENT) {
            let worn = self.records >= self.records_per_key && !self.is_old();
            if worn && self.change_key(false).is_none() {
                self.fault = Some(Fault::Internal);
                return;
            }
            if let Err(error) = self.stream.ssl_write(fragment) {
                self.note(&error);
                self.fault.get_or_insert(Fault::Internal); // the stream never blocks
                return;
            }
            self.records += 1;
        }
        if self.closing {
            self.close_sent = true;
            if let Err(error) = self.stream.shutdown() {
                self.note(&error);
            }
        }
    }

    fn change_key(&mut self, ask_peer: bool) -> Option<()> {
        let prepared = ffi::key_update(&mut self.stream, ask_peer);
        self.records = 0;
        (prepared && self.stream.do_handshake().is_ok()).then_some(())
    }

    fn note(&mut self, error: &openssl::ssl::Error) {
        match error.code() {
            ErrorCode::WANT_READ | ErrorCode::WANT_WRITE => {}
            ErrorCode::ZERO_RETURN => self.peer_closed = true,
            _ => {
                let first = error.ssl_error().and_then(|stack| stack.errors().first());
                self.fault = Some(match first.map(openssl::error::Error::reason_code) {
                    Some(code) => Fault::of(code),
                    None => Fault::Internal,
                });
            }
        }
        if self.fault.is_some() || self.peer_closed {
            self.stream.get_mut().input = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests;
