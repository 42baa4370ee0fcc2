//! From a socket to a device and its first packet.

use std::net::SocketAddr;
use std::sync::Arc;

use doorward_tacacs::server::{self, ServerConnection};
use doorward_tacacs::{Dialect, Now, Protection};
use doorward_tls::{Handshake, ServerChannel, ServerPolicy};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{Broken, Connection, Serving, Stage};
use crate::aaa::tacacs::Service;
use crate::aaa::{Peer, Refused, Snapshot, Transport};
use crate::config::{Device, Listener, Tolerance};
use crate::listen::{Open, Slot, peer};

impl Connection {
    /// A connection without TLS: its address says which device it is.
    pub(in crate::listen) fn plain(
        open: Arc<Open>,
        snapshot: &Arc<Snapshot>,
        settings: &Listener,
        socket: TcpStream,
        peer: SocketAddr,
        slot: Slot,
    ) -> Result<Self, Refused> {
        let device = Open::plain_device(snapshot, settings, peer.ip())?;
        let secrets = device.secrets_on(today);
        if secrets.is_empty() {
            return Err(Refused::SecretNotValid);
        }
        open.seen.plain(&device.name);
        let origin = Instant::now();
        let who = Peer {
            device: Arc::clone(&device.name),
            address: peer,
            transport: Transport::Plain,
            identity: None,
            listener: Arc::clone(&open.name),
        };
        let serving = Serving::new(
            &open,
            snapshot,
            settings,
            &device,
            Protection::Obfuscated(secrets),
            who,
        );
        Ok(Self::new(
            open,
            socket,
            peer,
            None,
            Stage::Serving(Box::new(serving)),
            settings.idle_timeout,
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
        );
        let origin = Instant::now();
        let stage = Stage::Handshake {
            deadline: origin + settings.handshake_timeout,
            _slot: handshake,
        };
        Ok(Self::new(
            open,
            socket,
            peer,
            Some(Box::new(channel)),
            stage,
            settings.idle_timeout,
            (slot, origin),
        ))
    }

    /// Looks how far the handshake is; once it is done, the device is known and packets may come.
    pub(super) fn advance_handshake(&mut self) -> Result<(), Broken> {
        let Some(channel) = &mut self.channel else {
            return Ok(());
        };
        let (method, identity, device) = match channel.handshake() {
            Handshake::WantRead => {
                channel.drain(&mut self.wire.out);
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
            Handshake::Done(info) => match &info.device {
                Some(device) => (info.method, Arc::clone(&info.identity), Arc::clone(device)),
                None => {
                    return Err(Broken::Refused(
                        Refused::CertificateMatchesNoDevice,
                        String::new(),
                    ));
                }
            },
        };
        channel.drain(&mut self.wire.out);
        let snapshot = self.open.aaa.snapshot();
        let (Some(settings), Some(configured)) = (
            self.open.key.find(&snapshot),
            snapshot.config.devices.by_name(&device),
        ) else {
            return Err(Broken::Refused(Refused::DeviceRemoved, device.to_string()));
        };
        self.open.seen.tls(&device, method, &identity);
        let who = Peer {
            device,
            address: self.peer,
            transport: Transport::Tls,
            identity: Some(identity),
            listener: Arc::clone(&self.open.name),
        };
        let serving = Serving::new(
            &self.open,
            &snapshot,
            settings,
            configured,
            Protection::Tls,
            who,
        );
        let done = Instant::now();
        let took = done.saturating_duration_since(self.origin);
        self.open.aaa.metrics.handshakes.completed.observe(took);
        self.origin = done;
        self.recheck.established(channel.valid_until());
        self.stage = Stage::Serving(Box::new(serving));
        Ok(())
    }
}

impl Serving {
    fn new(
        open: &Arc<Open>,
        snapshot: &Arc<Snapshot>,
        settings: &Listener,
        device: &Device,
        protection: Protection,
        peer: Peer,
    ) -> Self {
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
        let config = server::Config {
            single_connection: settings.single_connection
                && device.single_connection != Some(false),
            idle_timeout: Some(settings.idle_timeout),
            first_packet_timeout,
            max_body: settings.max_body,
            dialect,
            tolerate_wrong_flag: device.tolerate.contains(flag),
            ..server::Config::new(protection)
        };
        Self {
            device: Arc::clone(&device.name),
            machine: ServerConnection::new(Arc::new(config), Now::default()),
            service: Service::new(
                Arc::clone(&open.aaa),
                Arc::clone(snapshot),
                Arc::new(peer),
                dialect,
            ),
        }
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

/// The day, in the time zone of the machine.
fn today() -> jiff::civil::Date {
    jiff::Zoned::now().date()
}
