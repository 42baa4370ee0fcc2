//! The accepting role.
//!
//! ```text
//! Hello ─ ClientHello complete ─▶ Handshaking ─ client proved ─▶ Open
//!   └─ refused ─▶ Failed ◀─ error ──────┘
//! ```

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;

use super::engine::Engine;
use super::psk::{Route, route};
use super::session::Session;
use super::verifier::{Judge, Subject};
use super::{Admission, Handshake, PlainState};
use crate::error::alert;
use crate::hello::{ClientHello, ClientHelloReader, Progress};
use crate::{ChannelError, HandshakeError, Incompatibility, ServerPolicy};

/// One connection of a TLS listener.
pub struct ServerChannel {
    policies: Arc<[Arc<ServerPolicy>]>,
    admission: Arc<dyn Admission>,
    peer: SocketAddr,
    state: State,
}

enum State {
    Hello(ClientHelloReader),
    Session(Session),
}

impl ServerChannel {
    /// A connection from `peer` that has sent nothing yet.
    pub fn new(policy: Arc<ServerPolicy>, admission: Arc<dyn Admission>, peer: SocketAddr) -> Self {
        Self::selecting(Arc::new([policy]), admission, peer)
    }

    /// The same with several policies: server_name chooses the one that lists it, otherwise the first serves. No
    /// listener has several yet; this waits for their configuration.
    pub fn selecting(
        policies: Arc<[Arc<ServerPolicy>]>,
        admission: Arc<dyn Admission>,
        peer: SocketAddr,
    ) -> Self {
        Self {
            policies,
            admission,
            peer,
            state: State::Hello(ClientHelloReader::new()),
        }
    }

    /// Takes octets from the socket. Trouble shows in [`Self::handshake`] or [`Self::read_plain`].
    pub fn feed(&mut self, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        let reader = match &mut self.state {
            State::Session(session) => return session.feed(octets),
            State::Hello(reader) => reader,
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
            State::Hello(_) => Handshake::WantRead,
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

    fn session(&mut self) -> Result<&mut Session, ChannelError> {
        match &mut self.state {
            State::Session(session) => Ok(session),
            State::Hello(_) => Err(ChannelError::NotReady),
        }
    }

    /// Chooses the policy and the engine, and shows the engine everything that came so far.
    fn start(&self, hello: Box<ClientHello>, octets: &[u8]) -> Session {
        // rustls would complain about other things such an old hello lacks, and hide the reason.
        if !hello.offers_tls13() {
            let error = HandshakeError::Incompatible(Incompatibility::Version);
            return Session::failed(error, Some(alert::PROTOCOL_VERSION));
        }
        let policy = match self.choose(hello.server_name.as_deref()) {
            Ok(policy) => policy,
            Err((error, number)) => return Session::failed(error, Some(number)),
        };
        let judge = Judge::new(Subject::Client {
            policy: policy.clone(),
            admission: self.admission.clone(),
            peer: self.peer,
        });
        match route(policy, self.admission.as_ref(), self.peer, &hello) {
            Route::Certificate => {}
            Route::Psk(engine) => {
                let mut engine = Engine::OpenSsl(engine);
                engine.feed(octets);
                return Session::settle(engine, judge, hello.server_name);
            }
            Route::Refused(error, number) => return Session::failed(error, Some(number)),
        }
        match UnbufferedServerConnection::new(policy.connection_config(judge.clone())) {
            Ok(connection) => {
                let mut engine = Engine::server(connection);
                engine.feed(octets);
                Session::settle(engine, judge, hello.server_name)
            }
            Err(_) => Session::failed(HandshakeError::Internal, Some(alert::INTERNAL_ERROR)),
        }
    }

    fn choose(&self, name: Option<&str>) -> Result<&Arc<ServerPolicy>, (HandshakeError, u8)> {
        let listed = name.and_then(|name| self.policies.iter().find(|policy| policy.serves(name)));
        if let Some(policy) = listed {
            return Ok(policy);
        }
        let policy = self
            .policies
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
}
