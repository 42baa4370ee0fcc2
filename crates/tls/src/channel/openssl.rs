//! OpenSSL as an engine, for what rustls cannot do: external pre-shared keys in TLS 1.3.
//!
//! It has the verbs of the other engine. A connection keeps a stream of two vectors; `RELEASE_BUFFERS` lets the
//! library keep no buffers of its own while nothing flows.

use std::io::{self, Read, Write};
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions,
    SslSessionCacheMode, SslStream, SslVerifyMode, SslVersion,
};

use super::{Method, PeerInfo, PlainState};
use crate::ffi::{self, Offer};
use crate::psk::{PskIdentity, PskKey};
use crate::{
    ChannelError, HandshakeError, Incompatibility, KeyLog, PeerIdentity, PskFailure, algorithms,
};

/// Octets of plain data in a record at most.
const FRAGMENT: usize = 1 << 14;
/// Records under one sending key. RFC 8446 section 5.5 allows 2^24.5 with AES-GCM; rustls stays far below by itself.
const RECORDS_PER_KEY: u64 = 1 << 22;
/// Where OpenSSL can do the key exchanges with ML-KEM.
const FIRST_WITH_ML_KEM: i64 = 0x3050_0000;

/// Reasons in the library's error queue (openssl/sslerr.h).
mod reason {
    pub(super) const NO_SUITABLE_KEY_SHARE: i32 = 101;
    pub(super) const CERTIFICATE_VERIFY_FAILED: i32 = 134;
    pub(super) const NO_SHARED_CIPHER: i32 = 193;
    pub(super) const BINDER_DOES_NOT_VERIFY: i32 = 253;
    pub(super) const UNSUPPORTED_PROTOCOL: i32 = 258;
    pub(super) const DECRYPTION_FAILED_OR_BAD_RECORD_MAC: i32 = 281;
    pub(super) const NO_SUITABLE_GROUPS: i32 = 295;
    pub(super) const NO_SHARED_GROUPS: i32 = 410;
    /// An alert of the peer is its number after this.
    pub(super) const ALERT: i32 = 1000;
}

/// What all servers with these suites and groups share; `None` = the library refuses them.
pub(crate) fn server_context(
    suites: &[&str],
    groups: &[&str],
    log: Option<Arc<dyn KeyLog>>,
) -> Option<SslContext> {
    let mut context = context(SslMethod::tls_server(), suites, groups).ok()?;
    context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    context.set_session_id_context(b"doorward").ok()?;
    context.set_verify(SslVerifyMode::NONE);
    if let Some(log) = log {
        context.set_keylog_callback(move |_, line| log.log(line));
    }
    ffi::serve_keys(&mut context);
    Some(context.build())
}

/// What all clients with these suites and groups share; `None` = the library refuses them.
pub(crate) fn client_context(suites: &[&str], groups: &[&str]) -> Option<SslContext> {
    let mut context = context(SslMethod::tls_client(), suites, groups).ok()?;
    // There are no trust anchors: a server that shows a certificate is refused inside the handshake.
    context.set_verify(SslVerifyMode::PEER);
    ffi::use_keys(&mut context);
    Some(context.build())
}

fn context(
    method: SslMethod,
    suites: &[&str],
    groups: &[&str],
) -> Result<SslContextBuilder, ErrorStack> {
    let mut context = SslContext::builder(method)?;
    context.set_min_proto_version(Some(SslVersion::TLS1_3))?;
    context.set_max_proto_version(Some(SslVersion::TLS1_3))?;
    context.set_ciphersuites(&suites.join(":"))?;
    let ml_kem = openssl::version::number() >= FIRST_WITH_ML_KEM;
    let groups: Vec<&str> = groups
        .iter()
        .copied()
        .filter(|name| ml_kem || !name.contains("MLKEM"))
        .collect();
    context.set_groups_list(&groups.join(":"))?;
    context.set_mode(SslMode::RELEASE_BUFFERS);
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_num_tickets(0)?;
    context.set_max_early_data(0)?;
    Ok(context)
}

/// Whom a server answers with its own key: one device, or nobody for this reason.
pub(super) enum Known {
    Device {
        name: Arc<str>,
        identity: Vec<u8>,
        key: Arc<PskKey>,
    },
    Nobody(HandshakeError),
}

/// Both ends of the library's stream.
#[derive(Default)]
struct Pipe {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = self.input.as_slice().read(room)?;
        self.input.drain(..taken);
        if self.input.is_empty() {
            self.input = Vec::new(); // an idle connection keeps no buffer
        }
        Ok(taken)
    }
}

impl Write for Pipe {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
}

impl OpenSsl {
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
        Self::begin(ssl, offer, device, refusal)
    }

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
        let mut engine = Self::begin(ssl, offer, None, None)?;
        engine.drive();
        Some(engine)
    }

    fn begin(
        mut ssl: Ssl,
        offer: Offer,
        device: Option<Arc<str>>,
        refusal: Option<HandshakeError>,
    ) -> Option<Self> {
        ffi::attach(&mut ssl, offer).ok()?;
        Some(Self {
            stream: SslStream::new(ssl, Pipe::default()).ok()?,
            device,
            refusal,
            plain: Vec::new(),
            unsent: Vec::new(),
            fault: None,
            handshaking: true,
            peer_closed: false,
            closing: false,
            close_sent: false,
            records: 0,
            records_per_key: RECORDS_PER_KEY,
        })
    }

    pub(super) fn feed(&mut self, octets: &[u8]) {
        // Nothing after an error or close_notify is looked at.
        if self.fault.is_none() && !self.peer_closed {
            self.stream.get_mut().input.extend_from_slice(octets);
            self.drive();
        }
    }

    pub(super) fn drain(&mut self, out: &mut Vec<u8>) {
        if self.fault.is_none() && !self.handshaking && !self.close_sent {
            self.seal();
        }
        out.append(&mut std::mem::take(&mut self.stream.get_mut().output));
    }

    pub(super) fn read_plain(&mut self, out: &mut Vec<u8>) -> Result<PlainState, ChannelError> {
        out.append(&mut std::mem::take(&mut self.plain));
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
        if self.fault.is_some() || self.handshaking || self.close_sent {
            return Err(ChannelError::NotReady);
        }
        self.change_key(true).ok_or(ChannelError::Internal)
    }

    /// How the handshake ended; `None` = it goes on.
    pub(super) fn settled(&self, sni: Option<&str>) -> Option<Result<PeerInfo, HandshakeError>> {
        match self.fault {
            Some(fault) => Some(Err(self.explain(fault))),
            None if self.handshaking => None,
            None => Some(self.negotiated(sni)),
        }
    }

    /// Whether this is the key of the connection.
    pub(super) fn is_proved_by(&self, key: &PskKey) -> bool {
        ffi::offer(self.stream.ssl()).is_some_and(|offer| *offer.key == *key)
    }

    fn negotiated(&self, sni: Option<&str>) -> Result<PeerInfo, HandshakeError> {
        let ssl = self.stream.ssl();
        let offer = ffi::offer(ssl).ok_or(HandshakeError::Internal)?;
        let identity = offer.identity.clone();
        // An external key counts as a reused session. Without one the peer has not proved anything.
        if !ssl.session_reused() || identity.is_none() {
            return Err(HandshakeError::Psk(PskFailure::NotAccepted));
        }
        let suite = ssl.current_cipher().and_then(|suite| suite.standard_name());
        Ok(PeerInfo {
            method: Method::Psk,
            device: self.device.clone(),
            identity: Arc::new(PeerIdentity::without_certificate()),
            psk_identity: identity,
            sni: sni.map(str::to_owned),
            alpn: None,
            version: "1.3",
            suite: suite.unwrap_or_default(),
            group: ffi::group_name(ssl).map_or("", algorithms::known_group),
            resumed: false,
        })
    }

    /// What a fault of the handshake means; a refusal of ours says more than the wrong key that the peer sees.
    fn explain(&self, fault: Fault) -> HandshakeError {
        use Incompatibility as Lacking;
        let library = match fault {
            Fault::Alert(number) => return HandshakeError::PeerAlert(number),
            Fault::Internal => return HandshakeError::Internal,
            Fault::Library(reason) => reason,
        };
        match library {
            reason::BINDER_DOES_NOT_VERIFY => self
                .refusal
                .clone()
                .unwrap_or(HandshakeError::Psk(PskFailure::WrongKey)),
            reason::CERTIFICATE_VERIFY_FAILED => HandshakeError::Psk(PskFailure::NotAccepted),
            reason::UNSUPPORTED_PROTOCOL => HandshakeError::Incompatible(Lacking::Version),
            reason::NO_SHARED_CIPHER => HandshakeError::Incompatible(Lacking::CipherSuite),
            reason::NO_SUITABLE_KEY_SHARE
            | reason::NO_SUITABLE_GROUPS
            | reason::NO_SHARED_GROUPS => HandshakeError::Incompatible(Lacking::Group),
            reason::DECRYPTION_FAILED_OR_BAD_RECORD_MAC => HandshakeError::Decrypt,
            _ => match &self.refusal {
                Some(error @ HandshakeError::Psk(PskFailure::NotOffered)) => error.clone(),
                Some(_) | None => HandshakeError::Protocol,
            },
        }
    }

    /// Does everything the library can do with the input.
    fn drive(&mut self) {
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
                }
                Err(error) => return self.note(&error),
            }
        }
    }

    /// Seals what is not sealed yet and, if asked to, says goodbye.
    fn seal(&mut self) {
        let unsent = std::mem::take(&mut self.unsent);
        for fragment in unsent.chunks(FRAGMENT) {
            if self.records >= self.records_per_key && self.change_key(false).is_none() {
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

impl Fault {
    fn of(code: i32) -> Self {
        match u8::try_from(code - reason::ALERT) {
            Ok(number) => Self::Alert(number),
            Err(_) => Self::Library(code),
        }
    }

    /// What it means once the handshake is over.
    fn once_open(self) -> ChannelError {
        match self {
            Self::Alert(number) => ChannelError::PeerAlert(number),
            Self::Library(reason::DECRYPTION_FAILED_OR_BAD_RECORD_MAC) => ChannelError::Decrypt,
            Self::Library(_) => ChannelError::Protocol,
            Self::Internal => ChannelError::Internal,
        }
    }
}

#[cfg(test)]
mod tests;
