//! What is the same in both roles: an engine with its judge from the first flight on.

use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::openssl::OpenSsl;
use super::verifier::{Accepted, Judge, Proof, explain, judged_by};
use super::{Handshake, Method, PeerInfo, PlainState};
use crate::trust::{Judged, Trust};
use crate::{ChannelError, HandshakeError, PathError, PskKey, StatusQuery, algorithms};

pub(super) enum Session {
    Handshaking {
        engine: Engine,
        judge: Arc<Judge>,
        sni: Option<String>,
    },
    Open {
        engine: Engine,
        info: Box<PeerInfo>,
        judged: Option<Judged>,
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
            Some(Ok((info, judged))) => Self::Open {
                engine,
                info: Box::new(info),
                judged,
            },
            Some(Err(error)) => {
                let mut output = Vec::new();
                engine.drain(&mut output);
                Self::Failed { error, output }
            }
        }
    }

    /// The same in a record of DTLS, with this number.
    pub(super) fn failed_datagram(
        error: HandshakeError,
        number: Option<u8>,
        sequence: [u8; 6],
    ) -> Self {
        let mut output = Vec::new();
        if let Some(number) = number {
            output.extend([21, 254, 253, 0, 0]);
            output.extend(sequence);
            output.extend([0, 2, 2, number]);
        }
        Self::Failed { error, output }
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
                judged_by(&judge, || engine.feed(octets));
                Self::settle(engine, judge, sni)
            }
            Self::Open {
                mut engine,
                info,
                judged,
            } => {
                engine.feed(octets);
                Self::Open {
                    engine,
                    info,
                    judged,
                }
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

    pub(super) fn read_records(
        &mut self,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<PlainState, ChannelError> {
        self.open()?.read_records(each)
    }

    /// When the last flight is to be repeated, from now.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.under_way()?.timeout()
    }

    pub(super) fn handle_timeout(&mut self) {
        if let Self::Handshaking {
            engine: Engine::OpenSsl(engine),
            ..
        } = self
        {
            engine.handle_timeout();
        }
    }

    /// Why a handshake that is under way will not come to its end.
    pub(super) fn stalled(&self) -> Option<HandshakeError> {
        self.under_way()?.stalled()
    }

    /// The engine of a handshake that is under way, where it may be one of DTLS.
    fn under_way(&self) -> Option<&OpenSsl> {
        match self {
            Self::Handshaking {
                engine: Engine::OpenSsl(engine),
                ..
            } => Some(engine),
            Self::Handshaking { .. } | Self::Open { .. } | Self::Failed { .. } => None,
        }
    }

    pub(super) fn write_plain(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        self.open()?.write_plain(plain)
    }

    pub(super) fn write_record(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        self.open()?.write_record(plain)
    }

    /// Records under keys that cannot be changed.
    pub(super) fn worn(&self) -> u64 {
        match self {
            Self::Open { engine, .. } => engine.worn(),
            Self::Handshaking { .. } | Self::Failed { .. } => 0,
        }
    }

    pub(super) fn close(&mut self) {
        if let Ok(engine) = self.open() {
            engine.close();
        }
    }

    pub(super) fn key_update(&mut self) -> Result<(), ChannelError> {
        self.open()?.key_update()
    }

    /// Judges the peer of an open session by the trust of today.
    pub(super) fn rejudge(&self, trust: &Trust, now: i64) -> Result<(), PathError> {
        match self.judged() {
            Some(judged) => trust.rejudge(judged, now),
            None => Ok(()),
        }
    }

    /// Whether responders may have to be asked about the peer at all.
    pub(super) fn asks_status(&self) -> bool {
        self.judged().is_some_and(Judged::asks_status)
    }

    /// What responders have to be asked about the peer of an open session.
    pub(super) fn open_questions(&self, trust: &Trust, now: i64) -> Vec<StatusQuery> {
        match self.judged() {
            Some(judged) => trust.open_questions(judged, now),
            None => Vec::new(),
        }
    }

    /// Judges the peer of an open session once the responders were asked.
    pub(super) fn settle_status(&self, trust: &Trust, now: i64) -> Result<(), PathError> {
        match self.judged() {
            Some(judged) => trust.settle(judged, now),
            None => Ok(()),
        }
    }

    /// When the first answer about the peer's path lapses, Unix seconds.
    pub(super) fn status_until(&self, trust: &Trust) -> Option<i64> {
        trust.status_until(self.judged()?)
    }

    fn judged(&self) -> Option<&Judged> {
        match self {
            Self::Open { judged, .. } => judged.as_ref(),
            Self::Handshaking { .. } | Self::Failed { .. } => None,
        }
    }

    /// When the peer's path ends, Unix seconds.
    pub(super) fn valid_until(&self) -> Option<i64> {
        self.judged().map(Judged::valid_until)
    }

    /// Whether the peer proved itself by this pre-shared key.
    pub(super) fn is_proved_by(&self, key: &PskKey) -> bool {
        match self {
            Self::Open {
                engine: Engine::OpenSsl(engine),
                ..
            } => engine.is_proved_by(key),
            Self::Open { .. } | Self::Handshaking { .. } | Self::Failed { .. } => false,
        }
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
) -> Option<Result<(PeerInfo, Option<Judged>), HandshakeError>> {
    if let Engine::OpenSsl(engine) = engine {
        return engine.settled(judge, sni);
    }
    let common = match engine.outcome()? {
        Ok(common) => common,
        Err(error) => return Some(Err(explain(error, judge.verdict()))),
    };
    let resumed = common.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
    let accepted = match (resumed, judge.verdict()) {
        (true, None) => judge.resumption(),
        (false, Some(Ok(accepted))) => Some(accepted.clone()),
        // Cannot be: both roles ask for a certificate, and without a good verdict or ticket rustls goes no further.
        (true, Some(_)) | (false, Some(Err(_)) | None) => None,
    };
    Some(match accepted {
        Some(accepted) => {
            let info = negotiated(common, &accepted, sni);
            let path = accepted.proof.path();
            if let Some(judged) = path {
                judge.basis().trust.remember(judged);
            }
            Ok((info, path.cloned()))
        }
        None => Err(HandshakeError::NoCertificate),
    })
}

/// What both roles report when the handshake is over.
fn negotiated(common: &rustls::CommonState, accepted: &Accepted, sni: Option<&str>) -> PeerInfo {
    PeerInfo {
        method: match accepted.proof {
            Proof::Path(_) => Method::Certificate,
            Proof::Key(_) => Method::RawPublicKey,
        },
        device: accepted.device.clone(),
        identity: accepted.proof.identity().clone(),
        psk_identity: None,
        sni: sni.map(str::to_owned),
        alpn: common.alpn_protocol().map(<[u8]>::to_vec),
        version: match common.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
            Some(_) | None => "1.3",
        },
        suite: common
            .negotiated_cipher_suite()
            .map_or("", algorithms::suite_name),
        group: common
            .negotiated_key_exchange_group()
            .map_or("", algorithms::group_name),
        resumed: common.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
    }
}
