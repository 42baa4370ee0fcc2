//! What a connection speaks once its device is known: the machine and the service of one protocol.

use std::sync::Arc;
use std::task::Context;

use doorward_radius::{Secret, server as radius};
use doorward_tacacs::server::{self as tacacs, CloseReason};
use doorward_tacacs::{Dialect, Now, Protection};
use doorward_tls::ServerChannel;

use super::Broken;
use crate::aaa::radius::Service as RadiusService;
use crate::aaa::tacacs::Service as TacacsService;
use crate::aaa::{Peer, Protocol, Refused, Snapshot};
use crate::config::{Device, Listener, Tolerance};
use crate::listen::Open;
use crate::metrics::Turn as Answers;

/// A connection that is served.
pub(super) struct Serving {
    pub(super) device: Arc<str>,
    spoken: Spoken,
}

/// Boxed by whoever holds it.
enum Spoken {
    Tacacs {
        machine: tacacs::ServerConnection,
        service: TacacsService,
    },
    Radius {
        machine: radius::ServerConnection,
        service: RadiusService,
        /// The server stops, the listener is closed, or the keys are worn: what is under way is answered, then the
        /// connection ends.
        draining: bool,
    },
}

impl Serving {
    pub(super) fn new(
        open: &Arc<Open>,
        snapshot: &Arc<Snapshot>,
        settings: &Listener,
        device: &Device,
        protection: Protection,
        peer: Peer,
    ) -> Self {
        let aaa = Arc::clone(&open.aaa);
        let snapshot = Arc::clone(snapshot);
        let carrier = match settings.protocol.is_udp() {
            true => doorward_radius::Transport::Dtls,
            false => doorward_radius::Transport::Tls,
        };
        let spoken = match peer.protocol {
            Protocol::Radius => Spoken::Radius {
                machine: radius::ServerConnection::new(
                    radius::Config {
                        idle: settings.idle_timeout,
                        ..radius::Config::new(carrier)
                    },
                    doorward_radius::Now::default(),
                ),
                service: RadiusService::new(aaa, snapshot, Arc::new(peer))
                    .with_secret(Secret::of(carrier).unwrap_or(Secret::RADSEC))
                    .with_orders(settings.protocol.is_udp()),
                draining: false,
            },
            Protocol::Tacacs => {
                let (config, dialect) = tacacs_config(settings, device, protection);
                Spoken::Tacacs {
                    machine: tacacs::ServerConnection::new(Arc::new(config), Now::default()),
                    service: TacacsService::new(aaa, snapshot, Arc::new(peer), dialect),
                }
            }
        };
        Self {
            device: Arc::clone(&device.name),
            spoken,
        }
    }

    /// The server stops or the listener is closed.
    pub(super) fn drain(&mut self) {
        match &mut self.spoken {
            Spoken::Tacacs { machine, .. } => machine.refuse_new_sessions(),
            Spoken::Radius { draining, .. } => *draining = true,
        }
    }

    pub(super) fn wants_read(&self) -> bool {
        match &self.spoken {
            Spoken::Tacacs { machine, .. } => machine.wants_read(),
            Spoken::Radius {
                machine,
                service,
                draining,
            } => !draining && machine.wants_read() && !service.is_pressed(),
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        match &self.spoken {
            Spoken::Tacacs { machine, .. } => machine.close_reason().is_some(),
            Spoken::Radius { machine, .. } => machine.close_reason().is_some(),
        }
    }

    pub(super) fn receive(&mut self, octets: &[u8], now: Now) {
        match &mut self.spoken {
            Spoken::Tacacs { machine, .. } => machine.receive(octets, now),
            Spoken::Radius { machine, .. } => {
                machine.receive(octets, doorward_radius::Now(now.0));
            }
        }
    }

    pub(super) fn peer_closed(&mut self) {
        match &mut self.spoken {
            Spoken::Tacacs { machine, .. } => machine.peer_closed(),
            Spoken::Radius { machine, .. } => machine.close(radius::CloseReason::Peer),
        }
    }

    /// Hands packets to the service and its answers to the machine, until neither has more.
    pub(super) fn serve(&mut self, cx: &mut Context<'_>, now: Now, answers: &mut Answers) {
        match &mut self.spoken {
            Spoken::Tacacs { machine, service } => loop {
                while let Some(event) = machine.poll() {
                    if let Some(response) = service.handle(event, answers) {
                        response.send(machine, now);
                    }
                }
                service.submit(answers);
                if !service.poll(cx, machine, now, answers) {
                    break;
                }
            },
            Spoken::Radius {
                machine, service, ..
            } => {
                let now = doorward_radius::Now(now.0);
                loop {
                    while let Some(event) = machine.poll() {
                        service.handle(event, machine, now, answers);
                    }
                    service.submit(answers);
                    if !service.poll(cx, machine, now, answers) {
                        break;
                    }
                }
            }
        }
    }

    /// Puts what is to be sent into `out`, or through the channel: one packet a record with RADIUS.
    pub(super) fn transmit(
        &mut self,
        channel: Option<&mut ServerChannel>,
        clear: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), Broken> {
        let lost = |error: doorward_tls::ChannelError| {
            Broken::Refused(Refused::ConnectionLost, error.to_string())
        };
        match (&mut self.spoken, channel) {
            (Spoken::Tacacs { machine, .. }, channel) => {
                clear.clear();
                if machine.poll_transmit(clear) {
                    match channel {
                        None => out.extend_from_slice(clear),
                        Some(channel) => {
                            channel.write_plain(clear).map_err(lost)?;
                            channel.drain(out);
                        }
                    }
                }
            }
            (
                Spoken::Radius {
                    machine,
                    service,
                    draining,
                },
                Some(channel),
            ) => {
                while let Some(packet) = machine.poll_transmit() {
                    channel.write_record(packet.octets()).map_err(lost)?;
                }
                channel.drain(out);
                if !*draining && channel.wants_renewal() {
                    let device = &*self.device;
                    tracing::info!(
                        device,
                        "a connection over TLS 1.2 has used up its keys and is closed once its requests are answered"
                    );
                    *draining = true;
                }
                if *draining && !service.is_busy() {
                    machine.close(radius::CloseReason::Local);
                }
            }
            // RADIUS/UDP has no connections.
            (Spoken::Radius { .. }, None) => {}
        }
        Ok(())
    }

    pub(super) fn poll_timeout(&self) -> Option<Now> {
        match &self.spoken {
            Spoken::Tacacs { machine, .. } => machine.poll_timeout(),
            Spoken::Radius { machine, .. } => machine.poll_timeout().map(|when| Now(when.0)),
        }
    }

    /// Since when nothing is under way; `None` while something is.
    pub(super) fn idle_since(&self) -> Option<Now> {
        match &self.spoken {
            Spoken::Tacacs { machine, .. } => machine.idle_since(),
            Spoken::Radius {
                machine, service, ..
            } => {
                let since = machine.idle_since().map(|since| Now(since.0));
                since.filter(|_| !service.is_asking())
            }
        }
    }

    /// Counts and tells that it ends for a new connection.
    pub(super) fn gives_way(&self, open: &Open, peer: std::net::SocketAddr, now: Now) {
        let idle = self.idle_since().map_or(now.0, |since| since.0);
        let idle = now.0.saturating_sub(idle).as_secs();
        let device = &self.device;
        let detail = format!("the open connection of device {device} is closed, idle for {idle} s");
        open.refuse(Refused::MadeRoom, peer, &detail);
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        match &mut self.spoken {
            Spoken::Tacacs { machine, .. } => machine.handle_timeout(now),
            Spoken::Radius { machine, .. } => machine.handle_timeout(doorward_radius::Now(now.0)),
        }
    }

    /// Counts why the connection ends, where that is worth it.
    pub(super) fn count_end(&self, open: &Open, peer: std::net::SocketAddr) {
        let idle = || open.aaa.metrics.refused.add(Refused::Idle);
        match &self.spoken {
            Spoken::Tacacs { machine, .. } => match machine.close_reason() {
                Some(CloseReason::IdleTimeout) => idle(),
                Some(CloseReason::FirstPacketTimeout) => {
                    open.refuse(Refused::HandshakeTimeout, peer, "no first packet");
                }
                _ => {}
            },
            Spoken::Radius { machine, .. } => match machine.close_reason() {
                Some(radius::CloseReason::Idle) => idle(),
                Some(radius::CloseReason::Length(length)) => {
                    let detail = format!("device {}: a length of {length}", self.device);
                    open.refuse(Refused::RadiusLength, peer, &detail);
                }
                _ => {}
            },
        }
    }

    /// The connection is gone.
    pub(super) fn closed(&mut self) {
        match &mut self.spoken {
            Spoken::Tacacs { service, .. } => service.closed(),
            Spoken::Radius { service, .. } => service.closed(),
        }
    }
}

fn tacacs_config(
    settings: &Listener,
    device: &Device,
    protection: Protection,
) -> (tacacs::Config, Dialect) {
    // Without TLS nobody is known before the first packet.
    let first_packet_timeout = match &protection {
        Protection::Tls => None,
        Protection::Obfuscated(_) => Some(settings.handshake_timeout),
    };
    let (dialect, flag) = match &protection {
        // RFC 9887 is built on RFC 8907 and on nothing older.
        Protection::Tls => (Dialect::Rfc8907, Tolerance::FlagClearOnTls),
        Protection::Obfuscated(_) => (
            device.dialect.unwrap_or(settings.dialect),
            Tolerance::FlagSetOnPlain,
        ),
    };
    let config = tacacs::Config {
        single_connection: settings.single_connection && device.single_connection != Some(false),
        idle_timeout: settings.idle_timeout,
        first_packet_timeout,
        max_body: settings.max_body,
        dialect,
        tolerate_wrong_flag: device.tolerate.contains(flag),
        ..tacacs::Config::new(protection)
    };
    (config, dialect)
}
