//! The accepting role.
//!
//! ```text
//! Hello ─ ClientHello complete ─▶ Handshaking ─ client proved ─▶ Open
//!   └─ refused ─▶ Failed ◀─ error ──────┘
//! ```

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use rustls::server::UnbufferedServerConnection;

use super::engine::Engine;
use super::verifier::ClientJudge;
use super::{Admission, Handshake, PeerInfo, PlainState, settled};
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
    Handshaking {
        engine: Engine,
        judge: Arc<ClientJudge>,
        sni: Option<String>,
    },
    Open {
        engine: Engine,
        info: Box<PeerInfo>,
    },
    Failed {
        error: HandshakeError,
        output: Vec<u8>,
    },
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
            state: State::Hello(ClientHelloReader::new()),
        }
    }

    /// Takes octets from the socket. Trouble shows in [`Self::handshake`] or [`Self::read_plain`].
    pub fn feed(&mut self, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        let state = std::mem::replace(
            &mut self.state,
            State::failed(HandshakeError::Internal, None),
        );
        self.state = match state {
            State::Hello(reader) => self.greet(reader, octets),
            State::Handshaking {
                mut engine,
                judge,
                sni,
            } => {
                engine.feed(octets);
                settle(engine, judge, sni)
            }
            State::Open { mut engine, info } => {
                engine.feed(octets);
                State::Open { engine, info }
            }
            failed @ State::Failed { .. } => failed,
        };
    }

    /// Appends what has to go to the socket.
    pub fn drain(&mut self, out: &mut Vec<u8>) {
        match &mut self.state {
            State::Hello(_) => {}
            State::Handshaking { engine, .. } | State::Open { engine, .. } => engine.drain(out),
            State::Failed { output, .. } => out.append(output),
        }
    }

    /// How far the handshake is.
    pub fn handshake(&self) -> Handshake<'_> {
        match &self.state {
            State::Hello(_) | State::Handshaking { .. } => Handshake::WantRead,
            State::Open { info, .. } => Handshake::Done(info),
            State::Failed { error, .. } => Handshake::Failed(error),
        }
    }

    /// After a failure: the connection is to be cut at once (reset rather than closed), nothing of it was processed.
    pub fn wants_abrupt_close(&self) -> bool {
        match &self.state {
            State::Failed {
                error: HandshakeError::Hello(error),
                ..
            } => error.alert().is_none(),
            State::Failed { .. }
            | State::Hello(_)
            | State::Handshaking { .. }
            | State::Open { .. } => false,
        }
    }

    /// Appends what the peer said. An error is final; what came in good order before it is appended all the same.
    pub fn read_plain(&mut self, out: &mut Vec<u8>) -> Result<PlainState, ChannelError> {
        match &mut self.state {
            State::Open { engine, .. } => engine.read_plain(out),
            State::Hello(_) | State::Handshaking { .. } | State::Failed { .. } => {
                Err(ChannelError::NotReady)
            }
        }
    }

    /// Takes plain data for the peer; what one turn writes is sealed together by [`Self::drain`].
    pub fn write_plain(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        match &mut self.state {
            State::Open { engine, .. } => engine.write_plain(plain),
            State::Hello(_) | State::Handshaking { .. } | State::Failed { .. } => {
                Err(ChannelError::NotReady)
            }
        }
    }

    /// Says close_notify after what was written; nothing can be written any more.
    pub fn close(&mut self) {
        match &mut self.state {
            State::Open { engine, .. } => engine.close(),
            State::Hello(_) | State::Handshaking { .. } | State::Failed { .. } => {}
        }
    }

    /// Changes our sending keys and asks the peer to change its own (RFC 8446 section 4.6.3).
    pub fn key_update(&mut self) -> Result<(), ChannelError> {
        match &mut self.state {
            State::Open { engine, .. } => engine.key_update(),
            State::Hello(_) | State::Handshaking { .. } | State::Failed { .. } => {
                Err(ChannelError::NotReady)
            }
        }
    }

    fn greet(&self, mut reader: ClientHelloReader, octets: &[u8]) -> State {
        match reader.push(octets) {
            Ok(Progress::WantRead) => State::Hello(reader),
            Ok(Progress::Done(hello)) => self.start(hello, &reader.into_octets()),
            Err(error) => State::failed(HandshakeError::Hello(error), error.alert()),
        }
    }

    /// Chooses the policy and the engine, and shows the engine everything that came so far.
    fn start(&self, hello: Box<ClientHello>, octets: &[u8]) -> State {
        // rustls would complain about other things such an old hello lacks, and hide the reason.
        if !hello.offers_tls13() {
            let error = HandshakeError::Incompatible(Incompatibility::Version);
            return State::failed(error, Some(alert::PROTOCOL_VERSION));
        }
        let policy = match self.choose(hello.server_name.as_deref()) {
            Ok(policy) => policy,
            Err((error, number)) => return State::failed(error, Some(number)),
        };
        let judge = Arc::new(ClientJudge {
            policy: policy.clone(),
            admission: self.admission.clone(),
            peer: self.peer,
            verdict: OnceLock::new(),
        });
        match UnbufferedServerConnection::new(policy.connection_config(judge.clone())) {
            Ok(connection) => {
                let mut engine = Engine::server(connection);
                engine.feed(octets);
                settle(engine, judge, hello.server_name)
            }
            Err(_) => State::failed(HandshakeError::Internal, Some(alert::INTERNAL_ERROR)),
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

impl State {
    /// Before the engine runs we write the alert ourselves, in clear (RFC 8446 section 6).
    fn failed(error: HandshakeError, number: Option<u8>) -> Self {
        let output = number
            .map(|number| vec![21, 3, 3, 0, 2, 2, number])
            .unwrap_or_default();
        Self::Failed { error, output }
    }
}

fn settle(mut engine: Engine, judge: Arc<ClientJudge>, sni: Option<String>) -> State {
    match settled(
        &engine,
        judge.verdict.get(),
        &judge.policy.trust,
        sni.as_deref(),
    ) {
        None => State::Handshaking { engine, judge, sni },
        Some(Ok(info)) => State::Open {
            engine,
            info: Box::new(info),
        },
        Some(Err(error)) => {
            let mut output = Vec::new();
            engine.drain(&mut output);
            State::Failed { error, output }
        }
    }
}
