//! From a socket to a device and its first packet.

use std::net::SocketAddr;
use std::sync::Arc;

use doorward_tacacs::Protection;
use doorward_tls::hello::ClientHello;
use doorward_tls::{
    Clock, Handshake, HandshakeError, Method, PathError, ServerChannel, ServerPolicy, StatusQuery,
    Trust, Versions,
};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::serving::Serving;
use super::{Broken, Connection, STALLED, Stage, line};
use crate::aaa::{Peer, Protocol, Refused, Snapshot, Transport};
use crate::config::Listener;
use crate::listen::dtls::Share;
use crate::listen::wire::Wire;
use crate::listen::{Open, Slot, peer};

impl Connection {
    /// A connection without TLS: its address says which device it is.
    pub(in crate::listen) fn plain(
        open: Arc<Open>,
        snapshot: &Arc<Snapshot>,
        settings: &Listener,
        socket: TcpStream,
        peer: SocketAddr,
        slot: Option<Slot>,
    ) -> Result<Self, Refused> {
        let device = open.plain_device(snapshot, settings, peer.ip())?;
        let secrets = device.secrets_on(open.key.protocol, today);
        if secrets.is_empty() {
            return Err(Refused::SecretNotValid);
        }
        let slot = open.place(settings, slot)?;
        open.shared.seen.plain(&device.name);
        let origin = Instant::now();
        let who = Peer {
            device: Arc::clone(&device.name),
            address: peer,
            protocol: open.key.protocol.speaks(),
            transport: Transport::Plain,
            identity: None,
            psk_identity: None,
            listener: Arc::clone(&open.name),
        };
        let protection = Protection::Obfuscated(secrets);
        let serving = Serving::new(&open, snapshot, settings, &device, protection, who);
        Ok(Self::new(
            open,
            Wire::new(socket, settings.idle_timeout.unwrap_or(STALLED)),
            peer,
            None,
            Stage::Serving(Box::new(serving)),
            settings,
            (slot, origin),
        ))
    }

    /// A connection with TLS: the handshake says which device it is.
    pub(in crate::listen) fn tls(
        open: Arc<Open>,
        snapshot: &Arc<Snapshot>,
        settings: &Listener,
        socket: TcpStream,
        peer: SocketAddr,
        (slot, handshake): (Slot, Slot),
    ) -> Result<Self, Refused> {
        let channel = ServerChannel::selecting(
            policies(snapshot, settings),
            Arc::clone(&open) as Arc<dyn doorward_tls::Admission>,
            peer,
        )
        .with_versions(versions(settings.protocol.speaks()))
        .with_own_hellos(Arc::clone(&open.aaa.own_hellos))
        .with_tls12_records(open.shared.tls12_records);
        let origin = Instant::now();
        let stage = Stage::Handshake {
            deadline: origin + settings.handshake_timeout,
            repeat: None,
            slot: handshake,
        };
        Ok(Self::new(
            open,
            Wire::new(socket, settings.idle_timeout.unwrap_or(STALLED)),
            peer,
            Some(Box::new(channel)),
            stage,
            settings,
            (slot, origin),
        ))
    }

    /// An association of DTLS, whose hello has brought its cookie: `datagram` holds it.
    pub(in crate::listen) fn datagrams(
        open: Arc<Open>,
        snapshot: &Arc<Snapshot>,
        settings: &Listener,
        (share, peer): (Share, SocketAddr),
        (hello, datagram): (Box<ClientHello>, &[u8]),
        (slot, handshake): (Slot, Slot),
    ) -> Self {
        let channel = ServerChannel::datagrams(
            policies(snapshot, settings),
            Arc::clone(&open) as Arc<dyn doorward_tls::Admission>,
            peer,
            hello,
            datagram,
        )
        .with_tls12_records(open.shared.tls12_records);
        let origin = Instant::now();
        let stage = Stage::Handshake {
            deadline: origin + settings.handshake_timeout,
            // The channel has taken the hello: there is something to send, if only an alert.
            repeat: Some(origin),
            slot: handshake,
        };
        Self::new(
            open,
            Wire::datagrams(share),
            peer,
            Some(Box::new(channel)),
            stage,
            settings,
            (slot, origin),
        )
    }

    /// Sends the last flight of a handshake of DTLS again, if its time has come.
    pub(super) fn repeat_flight(&mut self) -> Result<(), Broken> {
        if let Some(channel) = &mut self.channel {
            channel.handle_timeout();
        }
        self.advance_handshake()
    }

    /// Looks how far the handshake is; once it is done, the device is known and packets may come.
    pub(super) fn advance_handshake(&mut self) -> Result<(), Broken> {
        let Some(channel) = &mut self.channel else {
            return Ok(());
        };
        match channel.handshake() {
            Handshake::WantRead => {
                channel.drain(&mut self.wire.out);
                if let Stage::Handshake { repeat, .. } = &mut self.stage {
                    *repeat = channel.timeout().map(|left| Instant::now() + left);
                }
                return Ok(());
            }
            Handshake::Failed(error) => {
                let (reason, detail) = (peer::refusal(error), error.to_string());
                let abrupt = channel.wants_abrupt_close();
                channel.drain(&mut self.wire.out);
                self.open.aaa.metrics.handshakes.failed.add(reason);
                self.open.refuse(reason, self.peer, &detail);
                if abrupt {
                    self.wire.reset_on_drop();
                    return Err(Broken::Gone);
                }
                // The alert has to arrive before the reset that unread octets would cause.
                self.stage = Stage::lingering();
                return Ok(());
            }
            Handshake::Done(_) => {}
        }
        channel.drain(&mut self.wire.out);
        let snapshot = self.open.aaa.snapshot();
        let Some((trust, questions)) = self.open_questions(&snapshot) else {
            self.admitted(&snapshot);
            return Ok(());
        };
        let patience = self.open.settings(&snapshot).handshake_timeout;
        let inquiries = &self.open.shared.inquiries;
        let asked = inquiries.ask_all(Arc::clone(&trust), questions, patience);
        let before = std::mem::replace(&mut self.stage, Stage::lingering());
        self.stage = if let Stage::Handshake { slot, .. } = before {
            Stage::Held {
                asked,
                trust,
                heard: Vec::new(),
                _slot: slot,
            }
        } else {
            before
        };
        Ok(())
    }

    /// Which OCSP responders have to be asked about the peer, and who keeps their answers; `None` = nobody.
    pub(super) fn open_questions(
        &self,
        snapshot: &Snapshot,
    ) -> Option<(Arc<Trust>, Vec<StatusQuery>)> {
        let channel = self.channel.as_ref()?;
        if !channel.asks_status() {
            return None;
        }
        let trust = self.trust(snapshot)?;
        let questions = channel.open_questions(&trust, Clock::system().now());
        (!questions.is_empty()).then_some((trust, questions))
    }

    /// By what the peer of an open channel is judged in this configuration.
    pub(super) fn trust(&self, snapshot: &Snapshot) -> Option<Arc<Trust>> {
        let Handshake::Done(info) = self.channel.as_ref()?.handshake() else {
            return None;
        };
        let policies = policies(snapshot, self.open.settings(snapshot));
        // A name that is not served any more is no reason to end what was begun under it.
        let policy = doorward_tls::select(&policies, info.sni.as_deref())
            .ok()
            .or(policies.first())?;
        Some(Arc::clone(policy.trust()))
    }

    /// The OCSP responders were asked: the device is served or refused.
    pub(super) fn status_is_known(&mut self) {
        let snapshot = self.open.aaa.snapshot();
        let settled = match (&self.channel, &self.stage, self.trust(&snapshot)) {
            (Some(channel), Stage::Held { trust: asked, .. }, Some(trust)) => {
                // A reload meanwhile has brought another one, which has heard nothing.
                if !Arc::ptr_eq(asked, &trust) {
                    trust.adopt_answers(asked);
                }
                channel.settle_status(&trust, Clock::system().now())
            }
            // Nobody is left who could say whether the certificate is good.
            _ => Err(PathError::UnknownIssuer),
        };
        if let Err(error) = settled {
            let error = HandshakeError::Path(error);
            self.turn_away(peer::refusal(&error), &error.to_string());
            return;
        }
        self.admitted(&snapshot);
    }

    /// Refuses a peer whose handshake is over, and tells it that nothing comes any more.
    fn turn_away(&mut self, reason: Refused, detail: &str) {
        self.open.aaa.metrics.handshakes.failed.add(reason);
        self.open.refuse(reason, self.peer, detail);
        self.say_goodbye();
    }

    /// The handshake is over and the peer may speak.
    fn admitted(&mut self, snapshot: &Arc<Snapshot>) {
        let Some(channel) = &self.channel else {
            return;
        };
        let Handshake::Done(info) = channel.handshake() else {
            return;
        };
        let Some(device) = info.device.clone() else {
            return self.turn_away(Refused::CertificateMatchesNoDevice, "");
        };
        let (method, identity) = (info.method, Arc::clone(&info.identity));
        let psk_identity = info.psk_identity.as_deref().map(escaped);
        let settings = self.open.settings(snapshot);
        let Some(configured) = snapshot.config.devices.by_name(&device) else {
            return self.turn_away(Refused::DeviceRemoved, &device);
        };
        let seen = &self.open.shared.seen;
        seen.tls(&device, method, &identity);
        if self.wire.has_datagrams() && seen.dtls(&device) && !configured.dtls_required {
            tracing::info!(
                device = &*device,
                "the device comes by DTLS: `dtls_required = true` would discard whatever else claims to be it over RADIUS"
            );
        }
        let who = Peer {
            device,
            address: self.peer,
            protocol: self.open.key.protocol.speaks(),
            transport: Transport::Tls,
            // Of a pre-shared key there is nothing but its identity.
            identity: (method != Method::Psk).then_some(identity),
            psk_identity,
            listener: Arc::clone(&self.open.name),
        };
        line::admitted(&who, info);
        let protection = Protection::Tls;
        let serving = Serving::new(&self.open, snapshot, settings, configured, protection, who);
        let done = Instant::now();
        let took = done.saturating_duration_since(self.origin);
        self.open.aaa.metrics.handshakes.completed.observe(took);
        self.origin = done;
        let ends = self.ends(snapshot);
        self.recheck.established(ends);
        self.stage = Stage::Serving(Box::new(serving));
    }
}

/// What the profiles of a listener are in this configuration; the first serves whom no name leads to another.
pub(super) fn policies(snapshot: &Snapshot, settings: &Listener) -> Arc<[Arc<ServerPolicy>]> {
    let names = settings.tls.iter();
    let profiles = names.filter_map(|name| snapshot.config.tls.get(name));
    profiles
        .map(|profile| Arc::clone(&profile.server))
        .collect()
}

/// The identity of a pre-shared key as logs show it and rules ask for it.
fn escaped(identity: &[u8]) -> Arc<str> {
    identity.escape_ascii().to_string().into()
}

/// TACACS+ is TLS 1.3 whatever the profile says (RFC 9887 section 3.1); RadSec takes what the profile does.
fn versions(spoken: Protocol) -> Versions {
    match spoken {
        Protocol::Tacacs => Versions::Tls13,
        Protocol::Radius => Versions::Tls12AndTls13,
    }
}

/// The day, in the time zone of the machine.
pub(in crate::listen) fn today() -> jiff::civil::Date {
    jiff::Zoned::now().date()
}
