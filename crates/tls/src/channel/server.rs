//! The accepting role.
//!
//! ```text
//! Hello ─ ClientHello complete ─▶ Handshaking ─ client proved ─▶ Open
//!   └─ refused ─▶ Failed ◀─ error ──────┘
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;

use super::engine::Engine;
use super::openssl::OpenSsl;
use super::psk::{self, Route, route};
use super::session::Session;
use super::ticket::Ticketer;
use super::verifier::{Judge, Subject};
use super::{Admission, Handshake, PlainState, TLS12_RECORDS};
use crate::error::alert;
use crate::hello::{ClientHello, ClientHelloReader, HelloError, OwnHellos, Progress};
use crate::trust::Trust;
use crate::{
    ChannelError, HandshakeError, Incompatibility, PathError, PskKey, ServerPolicy, StatusQuery,
};

/// One connection of a TLS listener.
pub struct ServerChannel {
    policies: Arc<[Arc<ServerPolicy>]>,
    admission: Arc<dyn Admission>,
    peer: SocketAddr,
    versions: Versions,
    tls12_records: u64,
    own: Arc<OwnHellos>,
    state: State,
}

/// Which versions of TLS a connection may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// TLS 1.3 alone, as TACACS+ wants it (RFC 9887 section 3.1).
    #[default]
    Tls13,
    /// TLS 1.2 too, with clients that know nothing better: forward secrecy, authenticated encryption and the extended
    /// master secret (RFC 9325), no resumption. For RadSec.
    Tls12AndTls13,
}

enum State {
    Hello(ClientHelloReader),
    /// The first datagram of an association, which has brought its cookie; nothing was made for it yet.
    Proved {
        hello: Box<ClientHello>,
        datagram: Vec<u8>,
    },
    Session(Session),
}

impl ServerChannel {
    /// A connection from `peer` that has sent nothing yet.
    pub fn new(policy: Arc<ServerPolicy>, admission: Arc<dyn Admission>, peer: SocketAddr) -> Self {
        Self::selecting(Arc::new([policy]), admission, peer)
    }

    /// The same with several policies: server_name chooses the one that lists it, otherwise the first serves.
    pub fn selecting(
        policies: Arc<[Arc<ServerPolicy>]>,
        admission: Arc<dyn Admission>,
        peer: SocketAddr,
    ) -> Self {
        Self {
            policies,
            admission,
            peer,
            versions: Versions::Tls13,
            tls12_records: TLS12_RECORDS,
            own: Arc::default(),
            state: State::Hello(ClientHelloReader::new()),
        }
    }

    /// The same connection with these versions; before the first octet.
    #[must_use]
    pub fn with_versions(self, versions: Versions) -> Self {
        Self { versions, ..self }
    }

    /// The same connection, which is refused if it comes from one of our own clients; before the first octet. Of DTLS that is
    /// for [`Cookies`](crate::hello::Cookies) to see.
    #[must_use]
    pub fn with_own_hellos(self, own: Arc<OwnHellos>) -> Self {
        Self { own, ..self }
    }

    /// The same connection, to be renewed after this many records over TLS 1.2; for tests, which cannot wait for
    /// [`TLS12_RECORDS`].
    #[must_use]
    pub fn with_tls12_records(self, tls12_records: u64) -> Self {
        Self {
            tls12_records,
            ..self
        }
    }

    /// An association of DTLS 1.2 with `peer`, which sent `datagram`, the hello that brought a good cookie
    /// ([`Cookies`](crate::hello::Cookies)). What [`Self::drain`] gives is one record after another, each to be sent whole, and
    /// [`Self::feed`] takes one datagram at a time. The handshake begins with the first call of that or of
    /// [`Self::handle_timeout`] and not before, so that whoever reads the socket need not wait for its signature.
    pub fn datagrams(
        policies: Arc<[Arc<ServerPolicy>]>,
        admission: Arc<dyn Admission>,
        peer: SocketAddr,
        hello: Box<ClientHello>,
        datagram: &[u8],
    ) -> Self {
        let datagram = datagram.to_vec();
        Self {
            state: State::Proved { hello, datagram },
            ..Self::selecting(policies, admission, peer).with_versions(Versions::Tls12AndTls13)
        }
    }

    /// Begins the handshake of an association, if it has not begun.
    fn begin(&mut self) {
        let State::Proved { hello, datagram } = &mut self.state else {
            return;
        };
        let (hello, datagram) = (std::mem::take(hello), std::mem::take(datagram));
        let session = self.begin_datagrams(hello, &datagram);
        // The number that the record of the hello has.
        let sequence = datagram.get(5..).and_then(<[u8]>::first_chunk);
        let sequence = sequence.copied().unwrap_or_default();
        self.state = State::Session(session.unwrap_or_else(|(error, number)| {
            Session::failed_datagram(error, Some(number), sequence)
        }));
    }

    fn begin_datagrams(
        &self,
        hello: Box<ClientHello>,
        datagram: &[u8],
    ) -> Result<Session, (HandshakeError, u8)> {
        let lacks = |what| HandshakeError::Incompatible(what);
        if !hello.offers_dtls12() {
            return Err((lacks(Incompatibility::Version), alert::PROTOCOL_VERSION));
        }
        // Keys that are not bound to the whole handshake could be another's (RFC 7627).
        if !hello.extended_master_secret {
            let error = lacks(Incompatibility::ExtendedMasterSecret);
            return Err((error, alert::HANDSHAKE_FAILURE));
        }
        let policy = choose(&self.policies, hello.server_name.as_deref())?;
        let methods = self.admission.methods();
        let by_key = methods.psk && (!methods.certificate || psk::offers_key(&hello));
        let context = policy.datagrams(by_key);
        let judge = self.judge(policy, false, true);
        let admission = self.admission.clone();
        let engine = context.and_then(|context| {
            OpenSsl::datagram_server(context, &judge, admission, self.peer, datagram)
        });
        let engine = engine.ok_or((HandshakeError::Internal, alert::INTERNAL_ERROR))?;
        let engine = Engine::OpenSsl(Box::new(engine));
        Ok(Session::settle(engine, judge, hello.server_name))
    }

    fn judge(&self, policy: &Arc<ServerPolicy>, raw: bool, tls12: bool) -> Arc<Judge> {
        Judge::new(Subject::Client {
            policy: policy.clone(),
            admission: self.admission.clone(),
            peer: self.peer,
            raw,
            tls12,
        })
    }

    /// When a handshake of DTLS is to be woken by [`Self::handle_timeout`], from now; `None` = it waits for nothing.
    pub fn timeout(&self) -> Option<Duration> {
        match &self.state {
            State::Session(session) => session.timeout(),
            State::Hello(_) | State::Proved { .. } => None,
        }
    }

    /// Repeats the last flight of a handshake of DTLS, if its time has come; drain afterwards.
    pub fn handle_timeout(&mut self) {
        self.begin();
        if let State::Session(session) = &mut self.state {
            session.handle_timeout();
        }
    }

    /// Why a handshake of DTLS that is still under way will not come to its end, where that is known: whoever does not hold the
    /// key is not told, and waits.
    pub fn stalled(&self) -> Option<HandshakeError> {
        match &self.state {
            State::Session(session) => session.stalled(),
            State::Hello(_) | State::Proved { .. } => None,
        }
    }

    /// Shows what came over DTLS, one record after another. What the peer sent before an error or its end is shown too.
    pub fn read_records(
        &mut self,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<PlainState, ChannelError> {
        self.session()?.read_records(each)
    }

    /// Whether the keys are worn and cannot be changed: what is under way should be answered, then the connection closed.
    /// Over TLS 1.3 keys are changed without anybody's help.
    pub fn wants_renewal(&self) -> bool {
        match &self.state {
            State::Session(session) => session.worn() >= self.tls12_records,
            State::Hello(_) | State::Proved { .. } => false,
        }
    }

    /// Takes octets from the socket. Trouble shows in [`Self::handshake`] or [`Self::read_plain`].
    pub fn feed(&mut self, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        self.begin();
        let reader = match &mut self.state {
            State::Session(session) => return session.feed(octets),
            State::Hello(reader) => reader,
            // It has just begun.
            State::Proved { .. } => return,
        };
        let session = match reader.push(octets) {
            Ok(Progress::WantRead) => return,
            Ok(Progress::Done(hello)) => {
                let octets = std::mem::take(reader).into_octets();
                self.start(hello, &octets)
            }
            Err(error) => Session::failed(HandshakeError::Hello(error), error.alert()),
        };
        self.state = State::Session(session);
    }

    /// Appends what has to go to the socket.
    pub fn drain(&mut self, out: &mut Vec<u8>) {
        if let State::Session(session) = &mut self.state {
            session.drain(out);
        }
    }

    /// How far the handshake is.
    pub fn handshake(&self) -> Handshake<'_> {
        match &self.state {
            State::Hello(_) | State::Proved { .. } => Handshake::WantRead,
            State::Session(session) => session.handshake(),
        }
    }

    /// After a failure: the connection is to be cut at once (reset rather than closed), nothing of it was processed.
    pub fn wants_abrupt_close(&self) -> bool {
        matches!(self.handshake(), Handshake::Failed(HandshakeError::Hello(error)) if error.alert().is_none())
    }

    /// Appends what the peer said. An error is final; what came in good order before it is appended all the same.
    pub fn read_plain(&mut self, out: &mut Vec<u8>) -> Result<PlainState, ChannelError> {
        self.session()?.read_plain(out)
    }

    /// Takes plain data for the peer; what one turn writes is sealed together by [`Self::drain`].
    pub fn write_plain(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        self.session()?.write_plain(plain)
    }

    /// The same in a record of its own (several if it is longer than one holds): RADIUS wants one for each packet (RFC 6614bis
    /// section 4.1). All of one turn still leave [`Self::drain`] together.
    pub fn write_record(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        self.session()?.write_record(plain)
    }

    /// Says close_notify after what was written; nothing can be written any more.
    pub fn close(&mut self) {
        if let Ok(session) = self.session() {
            session.close();
        }
    }

    /// Changes our sending keys and asks the peer to change its own (RFC 8446 section 4.6.3). rustls does so by itself
    /// before a key wears out; this is for tools and tests that play a peer which wants it earlier.
    pub fn key_update(&mut self) -> Result<(), ChannelError> {
        self.session()?.key_update()
    }

    /// Judges the peer again by `trust`, which may be of a later configuration: its anchor, its dates and the revocation
    /// lists of today. That the device is still served is for the caller to see.
    ///
    /// # Errors
    /// Why the connection should end. A list that lapsed is no such reason.
    pub fn rejudge(&self, trust: &Trust, now: i64) -> Result<(), PathError> {
        match &self.state {
            State::Session(session) => session.rejudge(trust, now),
            State::Hello(_) | State::Proved { .. } => Ok(()),
        }
    }

    /// Whether OCSP responders may have to be asked about the peer at all.
    pub fn asks_status(&self) -> bool {
        match &self.state {
            State::Session(session) => session.asks_status(),
            State::Hello(_) | State::Proved { .. } => false,
        }
    }

    /// Which OCSP responders have to be asked before the peer is served: `trust` has no current answer of theirs about its
    /// path. Hand what they send to [`Trust::take_answer`], then ask [`Self::settle_status`]; until then nothing of the
    /// peer should be processed. Empty before the handshake is over, and where OCSP is off.
    pub fn open_questions(&self, trust: &Trust, now: i64) -> Vec<StatusQuery> {
        match &self.state {
            State::Session(session) => session.open_questions(trust, now),
            State::Hello(_) | State::Proved { .. } => Vec::new(),
        }
    }

    /// Judges the peer once the responders were asked, whatever they said.
    ///
    /// # Errors
    /// Why it is not to be served.
    pub fn settle_status(&self, trust: &Trust, now: i64) -> Result<(), PathError> {
        match &self.state {
            State::Session(session) => session.settle_status(trust, now),
            State::Hello(_) | State::Proved { .. } => Ok(()),
        }
    }

    /// When the first answer of a responder about the peer's path lapses, in Unix seconds.
    pub fn status_until(&self, trust: &Trust) -> Option<i64> {
        match &self.state {
            State::Session(session) => session.status_until(trust),
            State::Hello(_) | State::Proved { .. } => None,
        }
    }

    /// When the first certificate of the peer's path ends, in Unix seconds; `None` before the handshake is over.
    pub fn valid_until(&self) -> Option<i64> {
        match &self.state {
            State::Session(session) => session.valid_until(),
            State::Hello(_) | State::Proved { .. } => None,
        }
    }

    /// Whether this is the pre-shared key by which the peer proved itself; false where it did so in another way.
    pub fn is_proved_by(&self, key: &PskKey) -> bool {
        match &self.state {
            State::Session(session) => session.is_proved_by(key),
            State::Hello(_) | State::Proved { .. } => false,
        }
    }

    fn session(&mut self) -> Result<&mut Session, ChannelError> {
        match &mut self.state {
            State::Session(session) => Ok(session),
            State::Hello(_) | State::Proved { .. } => Err(ChannelError::NotReady),
        }
    }

    /// Chooses the policy and the engine, and shows the engine everything that came so far.
    fn start(&self, hello: Box<ClientHello>, octets: &[u8]) -> Session {
        if self.own.contains(&hello.random) {
            let error = HelloError::Own;
            return Session::failed(HandshakeError::Hello(error), error.alert());
        }
        // rustls would complain about other things such an old hello lacks, and hide the reason.
        let old = !hello.offers_tls13();
        let taken = match self.versions {
            Versions::Tls13 => !old,
            Versions::Tls12AndTls13 => !old || hello.offers_tls12(),
        };
        if !taken {
            let error = HandshakeError::Incompatible(Incompatibility::Version);
            return Session::failed(error, Some(alert::PROTOCOL_VERSION));
        }
        let policy = match choose(&self.policies, hello.server_name.as_deref()) {
            Ok(policy) => policy,
            Err((error, number)) => return Session::failed(error, Some(number)),
        };
        let judge = |raw| self.judge(policy, raw, old);
        let methods = self.admission.methods();
        match route(policy, &self.admission, methods, self.peer, &hello) {
            Route::Certificate => {}
            Route::Psk(engine) => {
                let mut engine = Engine::OpenSsl(engine);
                engine.feed(octets);
                return Session::settle(engine, judge(false), hello.server_name);
            }
            Route::Refused(error, number) => return Session::failed(error, Some(number)),
        }
        let raw = match wanted(&hello.client_certificate_types, |kind| match kind {
            CertificateKind::X509 => methods.certificate,
            CertificateKind::RawPublicKey => methods.raw_public_key,
        }) {
            Some(kind) => kind == CertificateKind::RawPublicKey,
            None => return Session::failed(NO_COMMON_KIND, Some(alert::UNSUPPORTED_CERTIFICATE)),
        };
        let raw_server = match wanted(&hello.server_certificate_types, |_| true) {
            Some(kind) => kind == CertificateKind::RawPublicKey,
            None => return Session::failed(NO_COMMON_KIND, Some(alert::UNSUPPORTED_CERTIFICATE)),
        };
        let judge = judge(raw);
        let config = match old {
            true => policy.old_connection_config(judge.clone()),
            false => Some(connection_config(policy, &judge, raw_server)),
        };
        let Some(config) = config else {
            let error = HandshakeError::Incompatible(Incompatibility::Version);
            return Session::failed(error, Some(alert::PROTOCOL_VERSION));
        };
        match UnbufferedServerConnection::new(config) {
            Ok(connection) => {
                let mut engine = Engine::server(connection);
                engine.feed(octets);
                Session::settle(engine, judge, hello.server_name)
            }
            Err(_) => Session::failed(HandshakeError::Internal, Some(alert::INTERNAL_ERROR)),
        }
    }
}

/// The policy that a server_name chooses: the one that lists it, or else the first.
///
/// # Errors
/// The name is missing or unknown, and the first policy requires one; or there is no policy at all.
pub fn select<'a>(
    policies: &'a [Arc<ServerPolicy>],
    name: Option<&str>,
) -> Result<&'a Arc<ServerPolicy>, HandshakeError> {
    choose(policies, name).map_err(|(error, _)| error)
}

fn choose<'a>(
    policies: &'a [Arc<ServerPolicy>],
    name: Option<&str>,
) -> Result<&'a Arc<ServerPolicy>, (HandshakeError, u8)> {
    let listed = name.and_then(|name| policies.iter().find(|policy| policy.serves(name)));
    if let Some(policy) = listed {
        return Ok(policy);
    }
    let policy = policies
        .first()
        .ok_or((HandshakeError::Internal, alert::INTERNAL_ERROR))?;
    match name {
        None if policy.wants_name() => {
            Err((HandshakeError::NoServerName, alert::MISSING_EXTENSION))
        }
        Some(_) if policy.wants_name() && policy.has_names() => {
            Err((HandshakeError::UnknownServerName, alert::UNRECOGNIZED_NAME))
        }
        Some(_) | None => Ok(policy),
    }
}

/// What the policy says, and tickets that know this connection.
fn connection_config(
    policy: &ServerPolicy,
    judge: &Arc<Judge>,
    raw_server: bool,
) -> Arc<ServerConfig> {
    let mut config = policy.connection_config(judge.clone(), raw_server);
    if let Some(tickets) = &policy.tickets {
        config.ticketer = Arc::new(Ticketer::new(tickets.clone(), judge.clone()));
        // A connection uses one and gets one, so that whoever has as many connections as before can resume them all.
        config.send_tls13_tickets = 1;
    }
    Arc::new(config)
}

/// Nothing in the hello's lists of certificate types is allowed here.
const NO_COMMON_KIND: HandshakeError =
    HandshakeError::Incompatible(Incompatibility::CertificateType);

/// What a peer may show in place of a certificate (RFC 7250 section 3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum CertificateKind {
    X509,
    RawPublicKey,
}

/// The first kind of the hello's list that is allowed; without a list it is X.509 (RFC 7250 section 4.2).
fn wanted(listed: &[u8], allowed: impl Fn(CertificateKind) -> bool) -> Option<CertificateKind> {
    let listed = if listed.is_empty() { &[0] } else { listed };
    let mut kinds = listed.iter().filter_map(|number| match number {
        0 => Some(CertificateKind::X509),
        2 => Some(CertificateKind::RawPublicKey),
        _ => None,
    });
    kinds.find(|kind| allowed(*kind))
}
