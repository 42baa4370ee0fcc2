//! The connecting role.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, version};

use super::engine::Engine;
use super::verifier::ServerJudge;
use super::{Handshake, PeerInfo, PlainState, settled};
use crate::{ChannelError, ClientPolicy, HandshakeError, ReferenceIdentity};

/// One connection to a server.
///
/// A TLS 1.3 client sees the handshake as complete before the server has judged its certificate: the refusal comes as
/// an alert to the first read. Only [`Self::confirmed`] says that the server lets us in.
pub struct ClientChannel {
    state: State,
    confirmed: bool,
}

enum State {
    Handshaking {
        engine: Engine,
        judge: Arc<ServerJudge>,
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

impl ClientChannel {
    /// Begins a handshake with the server at `peer`: `reference` is what its certificate has to carry, `sni` the name
    /// sent in clear, if any. An address is never sent as a name (RFC 6066 section 3).
    pub fn new(
        policy: Arc<ClientPolicy>,
        reference: ReferenceIdentity,
        sni: Option<&str>,
        peer: SocketAddr,
    ) -> Self {
        let state = match begin(policy, reference, sni, peer) {
            Some(state) => state,
            None => State::Failed {
                error: HandshakeError::Internal,
                output: Vec::new(),
            },
        };
        Self {
            state,
            confirmed: false,
        }
    }

    /// Takes octets from the socket. Trouble shows in [`Self::handshake`] or [`Self::read_plain`].
    pub fn feed(&mut self, octets: &[u8]) {
        let internal = State::Failed {
            error: HandshakeError::Internal,
            output: Vec::new(),
        };
        self.state = match std::mem::replace(&mut self.state, internal) {
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
            State::Handshaking { engine, .. } | State::Open { engine, .. } => engine.drain(out),
            State::Failed { output, .. } => out.append(output),
        }
    }

    /// How far the handshake is, as the client sees it.
    pub fn handshake(&self) -> Handshake<'_> {
        match &self.state {
            State::Handshaking { .. } => Handshake::WantRead,
            State::Open { info, .. } => Handshake::Done(info),
            State::Failed { error, .. } => Handshake::Failed(error),
        }
    }

    /// Plain data of the server has been read, so it accepted our certificate.
    pub fn confirmed(&self) -> bool {
        self.confirmed
    }

    /// Appends what the peer said. An error is final; what came in good order before it is appended all the same.
    pub fn read_plain(&mut self, out: &mut Vec<u8>) -> Result<PlainState, ChannelError> {
        match &mut self.state {
            State::Open { engine, .. } => {
                let before = out.len();
                let state = engine.read_plain(out);
                self.confirmed |= out.len() > before;
                state
            }
            State::Handshaking { .. } | State::Failed { .. } => Err(ChannelError::NotReady),
        }
    }

    /// Takes plain data for the peer; what one turn writes is sealed together by [`Self::drain`].
    pub fn write_plain(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        match &mut self.state {
            State::Open { engine, .. } => engine.write_plain(plain),
            State::Handshaking { .. } | State::Failed { .. } => Err(ChannelError::NotReady),
        }
    }

    /// Says close_notify after what was written; nothing can be written any more.
    pub fn close(&mut self) {
        match &mut self.state {
            State::Open { engine, .. } => engine.close(),
            State::Handshaking { .. } | State::Failed { .. } => {}
        }
    }

    /// Changes our sending keys and asks the peer to change its own (RFC 8446 section 4.6.3).
    pub fn key_update(&mut self) -> Result<(), ChannelError> {
        match &mut self.state {
            State::Open { engine, .. } => engine.key_update(),
            State::Handshaking { .. } | State::Failed { .. } => Err(ChannelError::NotReady),
        }
    }
}

fn begin(
    policy: Arc<ClientPolicy>,
    reference: ReferenceIdentity,
    sni: Option<&str>,
    peer: SocketAddr,
) -> Option<State> {
    let named = sni.map(|name| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase());
    let name = match &named {
        Some(name) => ServerName::try_from(name.clone()).ok()?,
        None => ServerName::IpAddress(peer.ip().into()),
    };
    // An address in place of the name makes rustls send none.
    let sent = matches!(name, ServerName::DnsName(_))
        .then_some(named)
        .flatten();
    let judge = Arc::new(ServerJudge {
        policy: policy.clone(),
        reference,
        verdict: OnceLock::new(),
    });
    let builder = ClientConfig::builder_with_provider(policy.provider.clone())
        .with_protocol_versions(&[&version::TLS13])
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(judge.clone());
    let mut config = match &policy.certified {
        Some(certified) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified.clone())))
        }
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    let connection = UnbufferedClientConnection::new(Arc::new(config), name).ok()?;
    Some(settle(Engine::client(connection), judge, sent))
}

fn settle(mut engine: Engine, judge: Arc<ServerJudge>, sni: Option<String>) -> State {
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
