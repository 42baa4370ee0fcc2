//! Whether the device of an open connection may still be here: asked after every reload, when revocation lists change, and
//! when a certificate of its path ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use doorward_tls::{
    Admission as _, AdmissionRefusal, Clock, Handshake, HandshakeError, KeyPin, Method, PathError,
    PskFailure,
};
use tokio::time::Instant;

use super::{Connection, Stage};
use crate::aaa::{Refused, Snapshot};
use crate::listen::limits::Sweep;
use crate::listen::peer;

/// The clock of the wall may be set meanwhile, so that nothing is waited for longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long an OCSP responder is waited for while its device is served on.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds until a responder that did not answer is asked again about an open connection.
const AGAIN: i64 = 60;

/// When the question is asked next.
pub(super) struct Recheck {
    round: u64,
    next_round: Pin<Box<dyn Future<Output = ()> + Send>>,
    listening: bool,
    /// Asked while the handshake ran, which may have been judged before.
    missed: bool,
    /// Unix seconds.
    ends: Option<i64>,
    at: Option<Instant>,
}

impl Recheck {
    pub(super) fn new(sweep: &Arc<Sweep>) -> Self {
        let round = sweep.round();
        Self {
            round,
            next_round: sweep.after(round),
            listening: false,
            missed: false,
            ends: None,
            at: None,
        }
    }

    /// The handshake is over; `ends` is when the question has to be asked again, in Unix seconds.
    pub(super) fn established(&mut self, ends: Option<i64>) {
        self.before_the_end_of(ends);
        if self.missed {
            self.at = Some(Instant::now());
        }
    }

    /// Asks again once `ends` has come, in Unix seconds.
    fn before_the_end_of(&mut self, ends: Option<i64>) {
        self.ends = ends;
        self.at = ends.map(|ends| {
            let left = ends.saturating_add(1).saturating_sub(Clock::system().now());
            let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
            Instant::now() + left.min(LONGEST)
        });
    }

    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Whether it is time. Costs two loads where it is not.
    pub(super) fn is_due(&mut self, cx: &mut Context<'_>, sweep: &Arc<Sweep>) -> bool {
        let mut due = self.at.is_some_and(|at| at <= Instant::now());
        if due {
            self.before_the_end_of(self.ends);
        }
        // Ends: a round that began meanwhile is seen by the new future.
        while !self.listening || self.round != sweep.round() {
            let round = sweep.round();
            if self.round != round {
                due = true;
                self.round = round;
                self.next_round = sweep.after(round);
            }
            self.listening = self.next_round.as_mut().poll(cx).is_pending();
        }
        due
    }
}

impl Connection {
    /// Ends the connection of a device that may no longer be here.
    pub(super) fn judge_again(&mut self) {
        let snapshot = self.open.aaa.snapshot();
        self.make_room = self.open.settings(&snapshot).make_room;
        let device = match &self.stage {
            Stage::Serving(serving) => Arc::clone(&serving.device),
            Stage::Handshake { .. } | Stage::Held { .. } => {
                self.recheck.missed = true;
                return;
            }
            Stage::Lingering { .. } => return,
        };
        let Some((reason, detail)) = self.no_longer_served(&device) else {
            self.ask_again();
            return;
        };
        let detail = format!("the open connection of device {device} is closed: {detail}");
        self.open.refuse(reason, self.peer, &detail);
        self.say_goodbye();
        // A certificate that has ended ends once.
        self.recheck.before_the_end_of(None);
    }

    /// Asks the OCSP responders whose answers have lapsed. The connection serves on meanwhile: that they do not answer is
    /// no reason to end it, and if they say revoked every connection is judged again.
    fn ask_again(&mut self) {
        let snapshot = self.open.aaa.snapshot();
        if let Some((trust, questions)) = self.open_questions(&snapshot) {
            let inquiries = &self.open.shared.inquiries;
            tokio::spawn(inquiries.ask_all(trust, questions, PATIENCE));
        }
        let ends = self.ends(&snapshot);
        self.recheck.before_the_end_of(ends);
    }

    /// When the peer has to be judged again, in Unix seconds: its path ends, or an answer about it lapses.
    pub(super) fn ends(&self, snapshot: &Snapshot) -> Option<i64> {
        let channel = self.channel.as_ref()?;
        let path = channel.valid_until()?;
        if !channel.asks_status() {
            return Some(path);
        }
        let now = Clock::system().now();
        let trust = self.trust(snapshot);
        let status = trust.and_then(|trust| channel.status_until(&trust));
        let status = status.unwrap_or(i64::MAX);
        // One that has lapsed is being asked about, or nobody answers.
        let status = if status < now { now + AGAIN } else { status };
        Some(path.min(status))
    }

    /// Why the device could not connect any more, if it could not.
    fn no_longer_served(&self, device: &Arc<str>) -> Option<(Refused, String)> {
        let snapshot = self.open.aaa.snapshot();
        // A listener that is gone takes no new connections. Those it has may end by themselves, but are judged like others.
        let settings = self.open.settings(&snapshot);
        if snapshot.config.devices.by_name(device).is_none() {
            return Some((Refused::DeviceRemoved, "it was taken out".into()));
        }
        let Some(channel) = &self.channel else {
            if snapshot.config.server.tls_only {
                let why = "`tls_only` of [server] allows no connection without TLS";
                return Some((Refused::TlsRequired, why.into()));
            }
            return match self.open.plain_device(&snapshot, settings, self.peer.ip()) {
                Ok(found) if found.name == *device => None,
                Ok(found) => Some((
                    Refused::DeviceUnknown,
                    format!("the address belongs to device {} now", found.name),
                )),
                Err(reason) => Some((reason, reason.sentence().into())),
            };
        };
        let Handshake::Done(info) = channel.handshake() else {
            return None;
        };
        let methods = self.open.methods();
        let mut same_key = true;
        let admitted = match info.method {
            Method::Certificate if methods.certificate => {
                self.open.admit(&info.identity, self.peer)
            }
            Method::RawPublicKey if methods.raw_public_key => {
                let pin = KeyPin(info.identity.fingerprint);
                self.open.admit_key(&pin, self.peer)
            }
            Method::Psk if methods.psk => {
                let identity = info.psk_identity.as_deref().unwrap_or_default();
                let found = self.open.psk(identity, self.peer);
                found.map(|found| {
                    same_key = channel.is_proved_by(&found.key);
                    found.device
                })
            }
            Method::Certificate => Err(AdmissionRefusal::UnknownDevice),
            Method::RawPublicKey | Method::Psk => Err(AdmissionRefusal::UnknownKey),
        };
        let judged = admitted.map_err(HandshakeError::Admission);
        let judged = judged.and_then(|found| {
            if !same_key {
                return Err(HandshakeError::Psk(PskFailure::WrongKey));
            }
            let path = match (self.trust(&snapshot), info.method) {
                (Some(trust), _) => channel.rejudge(&trust, Clock::system().now()),
                // Its profile went with the listener, and whom it trusted.
                (None, Method::Certificate) => Err(PathError::UnknownIssuer),
                (None, Method::RawPublicKey | Method::Psk) => Ok(()),
            };
            path.map_err(HandshakeError::Path)?;
            Ok(found)
        });
        match judged {
            Ok(found) if found == *device => None,
            Ok(found) => Some((
                Refused::CertificateMatchesNoDevice,
                format!("its certificate belongs to device {found} now"),
            )),
            Err(error) => Some((peer::refusal(&error), error.to_string())),
        }
    }
}
