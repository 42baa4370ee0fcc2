//! What is the same in both roles: an engine with its judge from the first flight on.

use std::sync::Arc;

use super::engine::Engine;
use super::verifier::{Accepted, Judge, explain};
use super::{Handshake, Method, PeerInfo, PlainState};
use crate::{ChannelError, HandshakeError, policy};

pub(super) enum Session {
    Handshaking {
        engine: Engine,
        judge: Arc<Judge>,
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

impl Session {
    /// Goes on with the handshake, or past it.
    pub(super) fn settle(mut engine: Engine, judge: Arc<Judge>, sni: Option<String>) -> Self {
        match settled(&engine, &judge, sni.as_deref()) {
            None => Self::Handshaking { engine, judge, sni },
            Some(Ok(info)) => Self::Open {
                engine,
                info: Box::new(info),
            },
            Some(Err(error)) => {
                let mut output = Vec::new();
                engine.drain(&mut output);
                Self::Failed { error, output }
            }
        }
    }

    /// Before the engine runs we write the alert ourselves, in clear (RFC 8446 section 6).
    pub(super) fn failed(error: HandshakeError, number: Option<u8>) -> Self {
        let output = number
            .map(|number| vec![21, 3, 3, 0, 2, 2, number])
            .unwrap_or_default();
        Self::Failed { error, output }
    }

    pub(super) fn feed(&mut self, octets: &[u8]) {
        let before = std::mem::replace(self, Self::failed(HandshakeError::Internal, None));
        *self = match before {
            Self::Handshaking {
                mut engine,
                judge,
                sni,
            } => {
                engine.feed(octets);
                Self::settle(engine, judge, sni)
            }
            Self::Open { mut engine, info } => {
                engine.feed(octets);
                Self::Open { engine, info }
            }
            failed @ Self::Failed { .. } => failed,
        };
    }

    pub(super) fn drain(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Handshaking { engine, .. } | Self::Open { engine, .. } => engine.drain(out),
            Self::Failed { output, .. } => out.append(output),
        }
    }

    pub(super) fn handshake(&self) -> Handshake<'_> {
        match self {
            Self::Handshaking { .. } => Handshake::WantRead,
            Self::Open { info, .. } => Handshake::Done(info),
            Self::Failed { error, .. } => Handshake::Failed(error),
        }
    }

    pub(super) fn read_plain(&mut self, out: &mut Vec<u8>) -> Result<PlainState, ChannelError> {
        self.open()?.read_plain(out)
    }

    pub(super) fn write_plain(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        self.open()?.write_plain(plain)
    }

    pub(super) fn close(&mut self) {
        if let Ok(engine) = self.open() {
            engine.close();
        }
    }

    pub(super) fn key_update(&mut self) -> Result<(), ChannelError> {
        self.open()?.key_update()
    }

    fn open(&mut self) -> Result<&mut Engine, ChannelError> {
        match self {
            Self::Open { engine, .. } => Ok(engine),
            Self::Handshaking { .. } | Self::Failed { .. } => Err(ChannelError::NotReady),
        }
    }
}

/// How the handshake ended; `None` = it goes on. The path of a peer that proved itself is remembered.
fn settled(
    engine: &Engine,
    judge: &Judge,
    sni: Option<&str>,
) -> Option<Result<PeerInfo, HandshakeError>> {
    if let Engine::OpenSsl(engine) = engine {
        return engine.settled(sni); // a key is proved by the handshake itself
    }
    Some(match (engine.outcome()?, judge.verdict()) {
        (Err(error), verdict) => Err(explain(error, verdict)),
        (Ok(common), Some(Ok(accepted))) => {
            judge.basis().trust.remember(&accepted.judged);
            Ok(negotiated(common, accepted, sni))
        }
        // Cannot be: both roles ask for a certificate, and without a good verdict rustls goes no further.
        (Ok(_), Some(Err(_)) | None) => Err(HandshakeError::NoCertificate),
    })
}

/// What both roles report when the handshake is over.
fn negotiated(common: &rustls::CommonState, accepted: &Accepted, sni: Option<&str>) -> PeerInfo {
    PeerInfo {
        method: Method::Certificate,
        device: accepted.device.clone(),
        identity: accepted.judged.identity().clone(),
        psk_identity: None,
        sni: sni.map(str::to_owned),
        alpn: common.alpn_protocol().map(<[u8]>::to_vec),
        version: match common.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
            Some(_) | None => "1.3",
        },
        suite: common
            .negotiated_cipher_suite()
            .map_or("", policy::suite_name),
        group: common
            .negotiated_key_exchange_group()
            .map_or("", policy::group_name),
        resumed: common.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
    }
}
