//! One TACACS+ connection, plain or TLS: a future that does a whole turn in one poll.
//!
//! ```text
//! socket → (TLS) → ServerConnection → Event → aaa::tacacs::Service → answer → ServerConnection → (TLS) → socket
//! ```
//!
//! A turn reads what is there, hands every complete packet to the service, submits all accounting records of the turn as one
//! batch, and writes all replies with one call. The buffers for reading belong to the thread, so that an idle connection
//! keeps only its state.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use doorward_tacacs::server::{self, CloseReason, ServerConnection};
use doorward_tacacs::{Now, Protection};
use doorward_tls::{Handshake, PlainState, ServerChannel};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::limits::Present;
use super::{Open, Slot};
use crate::aaa::tacacs::Service;
use crate::aaa::{Peer, Refused, Snapshot, Transport};
use crate::config::{Device, Listener};

/// Octets read from the socket at once: a whole TLS record and a bit.
const READ: usize = 17 * 1024;
/// Reads in one turn, so that one busy peer does not keep a worker from the others.
const READS_PER_TURN: usize = 8;
/// Octets of write buffer that an idle connection keeps.
const KEPT: usize = 1024;
/// How long a closing connection waits for the peer's FIN, so that a reset does not overtake our last reply.
const LINGER: Duration = Duration::from_secs(3);
/// Octets thrown away meanwhile, at most.
const LINGER_OCTETS: usize = 1 << 20;

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers { wire: vec![0; READ].into_boxed_slice(), clear: Vec::new(), replies: Vec::new() });
}

struct Buffers {
    wire: Box<[u8]>,
    clear: Vec<u8>,
    replies: Vec<u8>,
}

/// A connection from accept to close.
pub(super) struct Connection {
    open: Arc<Open>,
    peer: SocketAddr,
    socket: TcpStream,
    channel: Option<Box<ServerChannel>>,
    stage: Stage,
    out: Vec<u8>,
    written: usize,
    /// Since when the peer has taken nothing of `out`.
    stalled: Option<Instant>,
    /// How long it may do so.
    patience: Duration,
    origin: Instant,
    timer: Pin<Box<Sleep>>,
    drain: Pin<Box<dyn Future<Output = ()> + Send>>,
    draining: bool,
    _slot: Slot,
    _present: Present,
}

enum Stage {
    Handshake {
        deadline: Instant,
        _slot: Slot,
    },
    Serving(Box<Serving>),
    Lingering {
        deadline: Instant,
        octets: usize,
        shut: bool,
    },
}

impl Stage {
    fn lingering() -> Self {
        Self::Lingering {
            deadline: Instant::now() + LINGER,
            octets: 0,
            shut: false,
        }
    }
}

struct Serving {
    machine: ServerConnection,
    service: Service,
}

/// What a turn came to.
enum Turn {
    Wait,
    Done,
}

/// Why a connection is given up without more ado.
enum Broken {
    /// Refused; counted and logged with this detail.
    Refused(Refused, String),
    /// The peer went away.
    Gone,
}

impl Connection {
    /// A connection without TLS: its address says which device it is.
    pub(super) fn plain(
        open: Arc<Open>,
        snapshot: &Arc<Snapshot>,
        settings: &Listener,
        socket: TcpStream,
        peer: SocketAddr,
        slot: Slot,
    ) -> Result<Self, Refused> {
        let device = Open::plain_device(snapshot, settings, peer.ip())?;
        let Some(secret) = device.tacacs_secret.clone() else {
            return Err(Refused::DeviceUnknown);
        };
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
            Protection::Obfuscated(vec![secret]),
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
    pub(super) fn tls(
        open: Arc<Open>,
        snapshot: &Arc<Snapshot>,
        settings: &Listener,
        socket: TcpStream,
        peer: SocketAddr,
        (slot, handshake): (Slot, Slot),
    ) -> Result<Self, Refused> {
        let Some(profile) = settings
            .tls
            .as_ref()
            .and_then(|name| snapshot.config.tls.get(name))
        else {
            return Err(Refused::Handshake);
        };
        let channel = ServerChannel::new(
            Arc::clone(&profile.server),
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

    fn new(
        open: Arc<Open>,
        socket: TcpStream,
        peer: SocketAddr,
        channel: Option<Box<ServerChannel>>,
        stage: Stage,
        patience: Duration,
        (slot, origin): (Slot, Instant),
    ) -> Self {
        let present = open.drain.enter();
        let drain = open.drain.begin_signal();
        Self {
            open,
            peer,
            socket,
            channel,
            stage,
            out: Vec::new(),
            written: 0,
            stalled: None,
            patience,
            origin,
            timer: Box::pin(tokio::time::sleep_until(origin)),
            drain,
            draining: false,
            _slot: slot,
            _present: present,
        }
    }

    fn now(&self) -> Now {
        Now(Instant::now().saturating_duration_since(self.origin))
    }

    fn turn(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers) -> Result<Turn, Broken> {
        if !self.draining && self.drain.as_mut().poll(cx).is_ready() {
            self.draining = true;
            match &mut self.stage {
                Stage::Serving(serving) => serving.machine.refuse_new_sessions(),
                Stage::Handshake { .. } => return Err(Broken::Gone),
                Stage::Lingering { .. } => {}
            }
        }
        self.expire()?;
        if let Stage::Lingering { .. } = self.stage {
            return self.linger(cx, buffers);
        }
        // What could not be written last time goes first; while the peer does not read, it is not read from.
        if !self.write(cx)? {
            // A peer that reads nothing is closed like any other once its time is up.
            return if self.is_finished() {
                self.close(cx, buffers)
            } else {
                self.wait(cx)
            };
        }
        let mut reads = 0;
        loop {
            self.serve(cx, buffers)?;
            if !self.write(cx)? || self.is_finished() {
                break;
            }
            if !self.wants_read() || !self.read(cx, buffers)? {
                break;
            }
            reads += 1;
            if reads == READS_PER_TURN {
                cx.waker().wake_by_ref();
                self.serve(cx, buffers)?;
                self.write(cx)?;
                break;
            }
        }
        if let Stage::Lingering { .. } = self.stage {
            return self.linger(cx, buffers);
        }
        if self.is_finished() {
            return self.close(cx, buffers);
        }
        self.wait(cx)
    }

    fn wants_read(&self) -> bool {
        match &self.stage {
            Stage::Handshake { .. } => true,
            Stage::Serving(serving) => serving.machine.wants_read(),
            Stage::Lingering { .. } => false,
        }
    }

    fn is_finished(&self) -> bool {
        matches!(&self.stage, Stage::Serving(serving) if serving.machine.close_reason().is_some())
    }

    /// One read; false when there is nothing to read now.
    fn read(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers) -> Result<bool, Broken> {
        let mut wire = ReadBuf::new(&mut buffers.wire);
        match tokio::io::AsyncRead::poll_read(Pin::new(&mut self.socket), cx, &mut wire) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(_)) => return self.gone(),
            Poll::Ready(Ok(())) => {}
        }
        if wire.filled().is_empty() {
            return self.peer_closed();
        }
        let now = self.now();
        let Some(channel) = &mut self.channel else {
            if let Stage::Serving(serving) = &mut self.stage {
                serving.machine.receive(wire.filled(), now);
            }
            return Ok(true);
        };
        channel.feed(wire.filled());
        if let Stage::Handshake { .. } = self.stage {
            self.advance_handshake()?;
        }
        if let (Some(channel), Stage::Serving(serving)) = (&mut self.channel, &mut self.stage) {
            buffers.clear.clear();
            let state = channel.read_plain(&mut buffers.clear);
            if !buffers.clear.is_empty() {
                serving.machine.receive(&buffers.clear, now);
            }
            channel.drain(&mut self.out);
            match state {
                Ok(PlainState::Open) => {}
                Ok(PlainState::Closed) => serving.machine.peer_closed(),
                Err(error) => {
                    let detail = error.to_string();
                    _ = self.write(cx);
                    return Err(Broken::Refused(Refused::ConnectionLost, detail));
                }
            }
        }
        Ok(true)
    }

    fn advance_handshake(&mut self) -> Result<(), Broken> {
        let Some(channel) = &mut self.channel else {
            return Ok(());
        };
        let (identity, device) = match channel.handshake() {
            Handshake::WantRead => {
                channel.drain(&mut self.out);
                return Ok(());
            }
            Handshake::Failed(error) => {
                let (reason, detail) = (super::peer::refusal(error), error.to_string());
                let abrupt = channel.wants_abrupt_close();
                channel.drain(&mut self.out);
                self.open.refuse(reason, self.peer, &detail);
                if abrupt {
                    // Without lingering, closing is a reset.
                    _ = socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
                    return Err(Broken::Gone);
                }
                // The alert has to arrive before the reset that unread octets would cause.
                self.stage = Stage::lingering();
                return Ok(());
            }
            Handshake::Done(info) => match &info.device {
                Some(device) => (Arc::clone(&info.identity), Arc::clone(device)),
                None => {
                    return Err(Broken::Refused(
                        Refused::CertificateMatchesNoDevice,
                        String::new(),
                    ));
                }
            },
        };
        channel.drain(&mut self.out);
        let snapshot = self.open.aaa.snapshot();
        let (Some(settings), Some(configured)) = (
            self.open.key.find(&snapshot),
            snapshot.config.devices.by_name(&device),
        ) else {
            return Err(Broken::Refused(Refused::DeviceRemoved, device.to_string()));
        };
        self.open.seen.tls(&device, identity.not_after);
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
        self.origin = Instant::now();
        self.stage = Stage::Serving(Box::new(serving));
        Ok(())
    }

    /// Hands packets to the service and its answers to the machine, until neither has more.
    fn serve(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers) -> Result<(), Broken> {
        let now = self.now();
        let Stage::Serving(serving) = &mut self.stage else {
            return Ok(());
        };
        let Serving { machine, service } = &mut **serving;
        loop {
            while let Some(event) = machine.poll() {
                if let Some(response) = service.handle(event) {
                    response.send(machine, now);
                }
            }
            service.submit();
            if !service.poll(cx, machine, now) {
                break;
            }
        }
        buffers.replies.clear();
        if machine.poll_transmit(&mut buffers.replies) {
            match &mut self.channel {
                None => self.out.extend_from_slice(&buffers.replies),
                Some(channel) => {
                    channel.write_plain(&buffers.replies).map_err(|error| {
                        Broken::Refused(Refused::ConnectionLost, error.to_string())
                    })?;
                    channel.drain(&mut self.out);
                }
            }
        }
        Ok(())
    }

    /// Writes what there is; false when the peer does not take it now.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, Broken> {
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.socket), cx, rest) {
                Poll::Pending => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return Ok(false);
                }
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.written += count;
                    self.stalled = None;
                }
                Poll::Ready(_) => return Err(Broken::Gone),
            }
        }
        self.written = 0;
        self.out.clear();
        if self.out.capacity() > KEPT {
            self.out = Vec::new();
        }
        Ok(true)
    }

    fn peer_closed(&mut self) -> Result<bool, Broken> {
        if let Stage::Serving(serving) = &mut self.stage {
            serving.machine.peer_closed();
            return Ok(true);
        }
        self.gone()
    }

    fn gone(&self) -> Result<bool, Broken> {
        match self.stage {
            Stage::Handshake { .. } => Err(Broken::Refused(
                Refused::Handshake,
                "the peer closed the connection during the handshake".into(),
            )),
            Stage::Serving(_) | Stage::Lingering { .. } => Err(Broken::Gone),
        }
    }

    /// When a peer that takes no replies is given up. The machine's own timers do not run then: it may owe replies that
    /// cannot even be made while the old ones are not gone.
    fn given_up(&self) -> Option<Instant> {
        self.stalled.map(|since| since + self.patience)
    }

    fn expire(&mut self) -> Result<(), Broken> {
        let now = self.now();
        if self.given_up().is_some_and(|when| when <= Instant::now()) {
            return Err(Broken::Refused(Refused::NotReading, String::new()));
        }
        match &mut self.stage {
            Stage::Handshake { deadline, .. } if Instant::now() >= *deadline => {
                Err(Broken::Refused(Refused::HandshakeTimeout, String::new()))
            }
            Stage::Lingering { deadline, .. } if Instant::now() >= *deadline => Err(Broken::Gone),
            Stage::Serving(serving) => {
                if serving
                    .machine
                    .poll_timeout()
                    .is_some_and(|when| when <= now)
                {
                    serving.machine.handle_timeout(now);
                }
                Ok(())
            }
            Stage::Handshake { .. } | Stage::Lingering { .. } => Ok(()),
        }
    }

    /// Arms the timer and goes to sleep.
    fn wait(&mut self, cx: &mut Context<'_>) -> Result<Turn, Broken> {
        let wanted = match &self.stage {
            Stage::Handshake { deadline, .. } | Stage::Lingering { deadline, .. } => {
                Some(*deadline)
            }
            Stage::Serving(serving) => serving
                .machine
                .poll_timeout()
                .map(|when| self.origin + when.0),
        };
        let Some(wanted) = wanted.into_iter().chain(self.given_up()).min() else {
            return Ok(Turn::Wait);
        };
        // Deadlines mostly move later, with every packet. The timer is left alone until it fires too early: re-arming it
        // for each packet costs more than the packet.
        if self.timer.is_elapsed() || wanted < self.timer.deadline() {
            self.timer.as_mut().reset(wanted);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= wanted {
                cx.waker().wake_by_ref();
                return Ok(Turn::Wait);
            }
            self.timer.as_mut().reset(wanted);
        }
        Ok(Turn::Wait)
    }

    /// Says goodbye: the machine wants no more, its last replies are written.
    fn close(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers) -> Result<Turn, Broken> {
        self.serve(cx, buffers)?;
        if let Stage::Serving(serving) = &mut self.stage {
            match serving.machine.close_reason() {
                Some(CloseReason::IdleTimeout) => self.open.aaa.metrics.refused.add(Refused::Idle),
                Some(CloseReason::FirstPacketTimeout) => {
                    self.open
                        .refuse(Refused::HandshakeTimeout, self.peer, "no first packet")
                }
                _ => {}
            }
            serving.service.closed();
        }
        if let Some(channel) = &mut self.channel {
            channel.close();
            channel.drain(&mut self.out);
        }
        self.stage = Stage::lingering();
        self.linger(cx, buffers)
    }

    /// Writes the rest, sends FIN, and throws away what still comes until the peer's FIN.
    fn linger(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers) -> Result<Turn, Broken> {
        if !self.write(cx)? {
            return self.wait(cx);
        }
        let Stage::Lingering { octets, shut, .. } = &mut self.stage else {
            return Ok(Turn::Wait);
        };
        if !*shut {
            match tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.socket), cx) {
                Poll::Pending => return self.wait(cx),
                Poll::Ready(Err(_)) => return Err(Broken::Gone),
                Poll::Ready(Ok(())) => *shut = true,
            }
        }
        loop {
            let mut wire = ReadBuf::new(&mut buffers.wire);
            match tokio::io::AsyncRead::poll_read(Pin::new(&mut self.socket), cx, &mut wire) {
                Poll::Pending => return self.wait(cx),
                Poll::Ready(Err(_)) => return Err(Broken::Gone),
                Poll::Ready(Ok(())) if wire.filled().is_empty() => return Ok(Turn::Done),
                Poll::Ready(Ok(())) => *octets += wire.filled().len(),
            }
            if *octets > LINGER_OCTETS {
                return Err(Broken::Gone);
            }
        }
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let connection = &mut *self;
        let turn = BUFFERS.with(|buffers| match buffers.try_borrow_mut() {
            Ok(mut buffers) => connection.turn(cx, &mut buffers),
            Err(_) => Err(Broken::Gone),
        });
        match turn {
            Ok(Turn::Wait) => Poll::Pending,
            Ok(Turn::Done) => Poll::Ready(()),
            Err(broken) => {
                if let Broken::Refused(reason, detail) = broken {
                    connection.open.refuse(reason, connection.peer, &detail);
                }
                if let Stage::Serving(serving) = &mut connection.stage {
                    serving.service.closed();
                }
                Poll::Ready(())
            }
        }
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
        let config = server::Config {
            single_connection: settings.single_connection
                && device.single_connection != Some(false),
            idle_timeout: Some(settings.idle_timeout),
            first_packet_timeout: Some(settings.handshake_timeout),
            max_body: settings.max_body,
            ..server::Config::new(protection)
        };
        Self {
            machine: ServerConnection::new(Arc::new(config), Now::default()),
            service: Service::new(Arc::clone(&open.aaa), Arc::clone(snapshot), Arc::new(peer)),
        }
    }
}
