//! The engine seam: what a TLS library has to do for a channel, and rustls doing it through its unbuffered interface.
//!
//! Between turns an engine keeps an incomplete record and nothing else: decrypted data waits for `read_plain`, replies
//! wait for `drain`, which seals all of one turn into as few records as possible; `write_record` seals at once.

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{CommonState, Error};

use super::PlainState;
use super::openssl::OpenSsl;
use crate::ChannelError;

/// Octets a record adds to its fragment at most: header, content type, tag.
const RECORD_OVERHEAD: usize = 5 + 1 + 16;
const FRAGMENT: usize = 1 << 14;

/// The TLS libraries a channel may run on.
pub(super) enum Engine {
    Rustls(Box<Rustls>),
    OpenSsl(Box<OpenSsl>),
}

impl Engine {
    pub(super) fn server(connection: UnbufferedServerConnection) -> Self {
        Self::Rustls(Box::new(Rustls::new(Side::Server(connection))))
    }

    pub(super) fn client(connection: UnbufferedClientConnection) -> Self {
        let mut rustls = Rustls::new(Side::Client(connection));
        rustls.drive();
        Self::Rustls(Box::new(rustls))
    }

    pub(super) fn feed(&mut self, octets: &[u8]) {
        match self {
            Self::Rustls(rustls) => rustls.feed(octets),
            Self::OpenSsl(openssl) => openssl.feed(octets),
        }
    }

    pub(super) fn drain(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Rustls(rustls) => rustls.drain(out),
            Self::OpenSsl(openssl) => openssl.drain(out),
        }
    }

    pub(super) fn read_plain(&mut self, out: &mut Vec<u8>) -> Result<PlainState, ChannelError> {
        match self {
            Self::Rustls(rustls) => rustls.read_plain(out),
            Self::OpenSsl(openssl) => openssl.read_plain(out),
        }
    }

    /// Shows what came record by record. A stream has none that mean anything: all of it is shown at once.
    pub(super) fn read_records(
        &mut self,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<PlainState, ChannelError> {
        match self {
            Self::OpenSsl(openssl) => openssl.read_records(each),
            Self::Rustls(rustls) => {
                let mut all = Vec::new();
                let state = rustls.read_plain(&mut all);
                each(&all);
                state
            }
        }
    }

    pub(super) fn write_plain(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        match self {
            Self::Rustls(rustls) => rustls.write_plain(plain),
            Self::OpenSsl(openssl) => openssl.write_plain(plain),
        }
    }

    pub(super) fn write_record(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        match self {
            Self::Rustls(rustls) => rustls.write_record(plain),
            Self::OpenSsl(openssl) => openssl.write_record(plain),
        }
    }

    pub(super) fn close(&mut self) {
        match self {
            Self::Rustls(rustls) => rustls.closing = true,
            Self::OpenSsl(openssl) => openssl.close(),
        }
    }

    pub(super) fn key_update(&mut self) -> Result<(), ChannelError> {
        match self {
            Self::Rustls(rustls) => rustls.key_update(),
            Self::OpenSsl(openssl) => openssl.key_update(),
        }
    }

    /// Records under the keys of a connection that cannot change them, in the direction that has more; 0 where the library
    /// changes keys by itself.
    pub(super) fn worn(&self) -> u64 {
        match self {
            Self::Rustls(rustls) => rustls.worn(),
            Self::OpenSsl(openssl) => openssl.worn(),
        }
    }

    /// The handshake is over, for better (what was negotiated) or worse; `None` = it goes on. OpenSSL tells it in terms
    /// of its own ([`OpenSsl::settled`]).
    pub(super) fn outcome(&self) -> Option<Result<&CommonState, &Error>> {
        match self {
            Self::Rustls(rustls) => match &rustls.fault {
                Some(error) => Some(Err(error)),
                None if rustls.common().is_handshaking() => None,
                None => Some(Ok(rustls.common())),
            },
            Self::OpenSsl(_) => None,
        }
    }
}

enum Side {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// rustls without its own buffers.
///
/// An idle connection keeps no buffer of ours either: an allocation costs a busy turn next to nothing, and thousands of devices
/// mostly idle.
pub(super) struct Rustls {
    side: Side,
    /// What rustls could not use yet. It has to be shown again unchanged: messages are joined in place.
    input: Vec<u8>,
    /// Sealed records.
    output: Vec<u8>,
    /// Opened records.
    plain: Vec<u8>,
    /// Replies not sealed yet.
    unsent: Vec<u8>,
    fault: Option<Error>,
    peer_closed: bool,
    closing: bool,
    close_sent: bool,
    /// Records with plain data, since the handshake.
    sealed: u64,
    opened: u64,
}

impl Rustls {
    fn new(side: Side) -> Self {
        Self {
            side,
            input: Vec::new(),
            output: Vec::new(),
            plain: Vec::new(),
            unsent: Vec::new(),
            fault: None,
            peer_closed: false,
            closing: false,
            close_sent: false,
            sealed: 0,
            opened: 0,
        }
    }

    fn common(&self) -> &CommonState {
        match &self.side {
            Side::Server(connection) => connection,
            Side::Client(connection) => connection,
        }
    }

    fn worn(&self) -> u64 {
        match self.common().protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => self.sealed.max(self.opened),
            Some(_) | None => 0,
        }
    }

    fn feed(&mut self, octets: &[u8]) {
        // Nothing after an error or close_notify is looked at.
        if self.fault.is_none() && !self.peer_closed {
            self.input.extend_from_slice(octets);
            self.drive();
        }
    }

    fn drain(&mut self, out: &mut Vec<u8>) {
        if self.fault.is_none() && !self.close_sent && (!self.unsent.is_empty() || self.closing) {
            self.seal();
        }
        let mut output = std::mem::take(&mut self.output);
        if out.is_empty() {
            *out = output;
        } else {
            out.append(&mut output);
        }
    }

    fn read_plain(&mut self, out: &mut Vec<u8>) -> Result<PlainState, ChannelError> {
        out.append(&mut std::mem::take(&mut self.plain));
        match (&self.fault, self.peer_closed) {
            (Some(error), _) => Err(fault(error)),
            (None, true) => Ok(PlainState::Closed),
            (None, false) => Ok(PlainState::Open),
        }
    }

    fn write_plain(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        if let Some(error) = &self.fault {
            return Err(fault(error));
        }
        if self.closing {
            return Err(ChannelError::Closed);
        }
        self.unsent.extend_from_slice(plain);
        Ok(())
    }

    /// What was written before and this are sealed apart.
    fn write_record(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        for piece in [&[], plain] {
            self.write_plain(piece)?;
            if !self.unsent.is_empty() {
                self.seal();
            }
        }
        match &self.fault {
            Some(error) => Err(fault(error)),
            None => Ok(()),
        }
    }

    fn key_update(&mut self) -> Result<(), ChannelError> {
        let refreshed = self.work(Job::KeyUpdate);
        self.drive(); // brings the message out
        refreshed
    }

    /// Seals what is not sealed yet and, if asked to, says goodbye.
    fn seal(&mut self) {
        let unsent = std::mem::take(&mut self.unsent);
        let records = unsent.len().div_ceil(FRAGMENT);
        self.sealed += u64::try_from(records).unwrap_or(u64::MAX);
        let sealed = self.work(Job::Seal {
            plain: &unsent,
            close: self.closing,
        });
        if sealed.is_err() && self.fault.is_none() && !unsent.is_empty() {
            self.fault = Some(Error::EncryptError);
        }
        self.close_sent = self.closing;
    }

    fn drive(&mut self) {
        let _ = self.work(Job::Nothing);
    }

    fn work(&mut self, job: Job<'_>) -> Result<(), ChannelError> {
        let Self {
            side,
            input,
            output,
            plain,
            fault,
            peer_closed,
            ..
        } = self;
        let mut turn = Turn {
            output,
            plain,
            fault,
            peer_closed,
            used: 0,
            opened: 0,
        };
        let done = match side {
            Side::Server(connection) => turn.run(connection, input, job),
            Side::Client(connection) => turn.run(connection, input, job),
        };
        let used = turn.used;
        self.opened += turn.opened;
        if self.fault.is_some() || self.peer_closed {
            self.input = Vec::new();
        } else {
            self.input.drain(..used.min(self.input.len()));
            if self.input.is_empty() {
                self.input = Vec::new();
            }
        }
        done
    }
}

/// What to do once rustls lets us write.
enum Job<'a> {
    Nothing,
    Seal { plain: &'a [u8], close: bool },
    KeyUpdate,
}

/// One run through rustls: everything it can do with the input, then the job.
struct Turn<'a> {
    output: &'a mut Vec<u8>,
    plain: &'a mut Vec<u8>,
    fault: &'a mut Option<Error>,
    peer_closed: &'a mut bool,
    used: usize,
    opened: u64,
}

impl Turn<'_> {
    fn run<C: Connection>(
        &mut self,
        connection: &mut C,
        input: &mut [u8],
        job: Job<'_>,
    ) -> Result<(), ChannelError> {
        loop {
            // After an error rustls is asked on until the alert has come out, but never to read again: it would take
            // the same octets for a second error.
            if self.fault.is_some() && !connection.has_output() {
                return Err(ChannelError::NotReady);
            }
            let rest = input.get_mut(self.used..).unwrap_or_default();
            let UnbufferedStatus { discard, state } = connection.process(rest);
            self.used += discard;
            match state {
                Ok(ConnectionState::EncodeTlsData(data)) => self.encode(data)?,
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        self.plain.extend_from_slice(record.payload);
                        self.used += record.discard;
                        self.opened += 1;
                    }
                }
                Ok(ConnectionState::PeerClosed) => *self.peer_closed = true,
                Ok(ConnectionState::WriteTraffic(traffic)) => return self.write(traffic, job),
                Ok(ConnectionState::Closed | ConnectionState::BlockedHandshake) => {
                    return Err(ChannelError::NotReady);
                }
                // Early data is refused before the engine sees it; other states do not exist yet.
                Ok(_) => {
                    self.fault.get_or_insert(Error::General(String::new()));
                    return Err(ChannelError::NotReady);
                }
                Err(error) => {
                    self.fault.get_or_insert(error);
                }
            }
        }
    }

    /// The first call only asks for the length, which rustls tells in no other way.
    fn encode<D>(&mut self, mut data: EncodeTlsData<'_, D>) -> Result<(), ChannelError> {
        let length = match data.encode(&mut []) {
            Err(EncodeError::InsufficientSize(needed)) => needed.required_size,
            Ok(_) | Err(EncodeError::AlreadyEncoded) => return Ok(()),
        };
        append(self.output, length, |room| data.encode(room)).map_err(|_| ChannelError::Internal)
    }

    fn write<D>(
        &mut self,
        mut traffic: WriteTraffic<'_, D>,
        job: Job<'_>,
    ) -> Result<(), ChannelError> {
        if self.fault.is_some() {
            return Err(ChannelError::NotReady);
        }
        match job {
            Job::Nothing => {}
            Job::Seal { plain, close } => {
                if !plain.is_empty() {
                    append(self.output, sealed_length(plain.len()), |room| {
                        traffic.encrypt(plain, room)
                    })
                    .map_err(|_| ChannelError::Internal)?;
                }
                if close {
                    append(self.output, RECORD_OVERHEAD + 2, |room| {
                        traffic.queue_close_notify(room)
                    })
                    .map_err(|_| ChannelError::Internal)?;
                }
            }
            Job::KeyUpdate => traffic
                .refresh_traffic_keys()
                .map_err(|_| ChannelError::Internal)?,
        }
        Ok(())
    }
}

/// Both roles of rustls.
trait Connection {
    type Data;

    /// Something waits to be encoded.
    fn has_output(&self) -> bool;

    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Connection for UnbufferedServerConnection {
    type Data = rustls::server::ServerConnectionData;

    fn has_output(&self) -> bool {
        self.wants_write()
    }

    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }
}

impl Connection for UnbufferedClientConnection {
    type Data = rustls::client::ClientConnectionData;

    fn has_output(&self) -> bool {
        self.wants_write()
    }

    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }
}

/// Lets `write` fill at most `room` octets behind what is there; asks once more when the estimate was too small.
fn append<E: Needs>(
    output: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> Result<(), E> {
    let before = output.len();
    output.resize(before + room, 0);
    let mut written = write(output.get_mut(before..).unwrap_or_default());
    if let Some(needed) = written.as_ref().err().and_then(Needs::needed) {
        output.resize(before + needed, 0);
        written = write(output.get_mut(before..).unwrap_or_default());
    }
    output.truncate(before + written.as_ref().copied().unwrap_or(0));
    written.map(|_| ())
}

/// Errors that tell how much room was wanted.
trait Needs {
    fn needed(&self) -> Option<usize>;
}

impl Needs for EncodeError {
    fn needed(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(size) => Some(size.required_size),
            Self::AlreadyEncoded => None,
        }
    }
}

impl Needs for EncryptError {
    fn needed(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(size) => Some(size.required_size),
            Self::EncryptExhausted => None,
        }
    }
}

fn sealed_length(plain: usize) -> usize {
    plain + plain.div_ceil(FRAGMENT) * RECORD_OVERHEAD
}

/// What an error means once the handshake is over.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list is open")]
fn fault(error: &Error) -> ChannelError {
    match error {
        Error::AlertReceived(alert) => ChannelError::PeerAlert(u8::from(*alert)),
        Error::DecryptError => ChannelError::Decrypt,
        Error::EncryptError | Error::General(_) | Error::Other(_) => ChannelError::Internal,
        _ => ChannelError::Protocol,
    }
}
