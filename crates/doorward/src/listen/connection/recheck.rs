//! Whether the device of an open connection may still be here: asked after every reload, when revocation lists change, and
//! when a certificate of its path ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use doorward_tls::{
    Admission as _, AdmissionRefusal, Clock, Handshake, HandshakeError, KeyPin, Method,
};
use tokio::time::Instant;

use super::establish::policies;
use super::{Connection, Stage};
use crate::aaa::Refused;
use crate::listen::limits::Sweep;
use crate::listen::{Open, peer};

/// The clock of the wall may be set meanwhile, so that nothing is waited for longer.
const LONGEST: Duration = Duration::from_secs(3600);

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

    /// The handshake is over; `ends` is when the first certificate of the peer does, in Unix seconds.
    pub(super) fn established(&mut self, ends: Option<i64>) {
        self.before_the_end_of(ends);
        if self.missed {
            self.at = Some(Instant::now());
        }
    }

    /// Asks again once the certificate ends, at `ends` in Unix seconds.
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
        let device = match &self.stage {
            Stage::Serving(serving) => Arc::clone(&serving.device),
            Stage::Handshake { .. } => {
                self.recheck.missed = true;
                return;
            }
            Stage::Lingering { .. } => return,
        };
        let Some((reason, detail)) = self.no_longer_served(&device) else {
            return;
        };
        let detail = format!("the open connection of device {device} is closed: {detail}");
        self.open.refuse(reason, self.peer, &detail);
        self.say_goodbye();
        // A certificate that has ended ends once.
        self.recheck.before_the_end_of(None);
    }

    /// Why the device could not connect any more, if it could not.
    fn no_longer_served(&self, device: &Arc<str>) -> Option<(Refused, String)> {
        let snapshot = self.open.aaa.snapshot();
        // A listener that is gone takes no new connections; those it has may end by themselves.
        let settings = self.open.key.find(&snapshot)?;
        if snapshot.config.devices.by_name(device).is_none() {
            return Some((Refused::DeviceRemoved, "it was taken out".into()));
        }
        let Some(channel) = &self.channel else {
            return match Open::plain_device(&snapshot, settings, self.peer.ip()) {
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
                found.map(|found| found.device)
            }
            Method::Certificate => Err(AdmissionRefusal::UnknownDevice),
            Method::RawPublicKey | Method::Psk => Err(AdmissionRefusal::UnknownKey),
        };
        let judged = admitted.map_err(HandshakeError::Admission);
        let policies = policies(&snapshot, settings);
        // A name that is not served any more is no reason to end what was begun under it.
        let sni = info.sni.as_deref();
        let policy = doorward_tls::select(&policies, sni)
            .ok()
            .or(policies.first())?;
        let judged = judged.and_then(|found| {
            channel
                .rejudge(policy.trust(), Clock::system().now())
                .map_err(HandshakeError::Path)?;
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
