//! RADIUS/UDP: one task for each socket, with a state for each source address and port.
//!
//! ```text
//! datagram → source permitted? → device of the address → secret that proves it → Source: machine → aaa → machine → datagram
//! ```
//!
//! A turn takes many datagrams, hands each proved request to the service of its source, submits what a source has for the
//! journal as one batch, and sends the answers. Nothing is kept of a source before a request of it was proved, unless
//! `message_authenticator = "off"`: an Access-Request without one then proves nothing, and whoever sends it may have invented
//! its address. What is kept is forgotten once the last answer is, and is bounded: sources by `max_connections`, the answers
//! of one by [`Duplicates::KEPT`], those of all by [`Kept`].

mod kept;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorward_radius::duplicate::Duplicates;
use doorward_radius::pairs::is_answer;
use doorward_radius::server::{Config, ServerConnection};
use doorward_radius::{Now, Secret, Transport as Carrier, datagram};
use tokio::time::{Instant, Sleep};

use super::connection::today;
use super::datagrams::{Datagrams, Ends, Outlet};
use super::limits::{Drain, Present};
use super::woken::{Mark, Woken};
use super::{EXHAUSTED, LAST_DAY_OVER, Open, Slot, last_day};
use crate::aaa::radius::{Proved, Service, prove};
use crate::aaa::{Peer, Refused, Snapshot, Transport};
use crate::config::contains;
use crate::metrics::Turn;
use kept::Kept;

/// Octets of the longest packet; what a datagram has behind it is padding.
const DATAGRAM: usize = 4096;
/// Datagrams in one turn, so that a flood does not keep a worker from everything else.
const DATAGRAMS_PER_TURN: usize = 64;
/// How long it is believed which device a source is, and which of its secrets are valid, while nothing is reloaded.
const BELIEVED: Duration = Duration::from_secs(1);
/// Sources that are looked at for one to forget when there is no room.
const LOOKED_AT: usize = 64;

/// Serves until the server stops, the listener is closed or its last day has passed; then answers what is under way.
pub(super) async fn serve(open: Arc<Open>, socket: Datagrams) {
    let ends = Drain::either(&open.shared.drain, &open.ended);
    let mut socket = Socket::new(Arc::clone(&open), socket);
    tokio::select! {
        () = &mut socket => {}
        () = ends => {}
        () = last_day(&open) => tracing::warn!(listener = &*open.name, "{LAST_DAY_OVER}"),
    }
    socket.draining = true;
    socket.await;
}

/// Who a source is, as of a snapshot.
struct Known {
    generation: u64,
    until: Duration,
    device: Arc<str>,
    secrets: Vec<Secret>,
    /// Whether an Access-Request needs a Message-Authenticator.
    required: bool,
    /// Whether it was noted that the device was here.
    seen: AtomicBool,
}

impl Known {
    fn of(
        open: &Open,
        snapshot: &Snapshot,
        source: IpAddr,
        now: Duration,
    ) -> Result<Self, Refused> {
        let settings = open.settings(snapshot);
        if !settings.from.is_empty() && !contains(&settings.from, source) {
            return Err(Refused::SourceAddress);
        }
        let device = open.plain_device(snapshot, settings, source)?;
        let secrets = device.secrets_on(open.key.protocol, today);
        if secrets.is_empty() {
            return Err(Refused::SecretNotValid);
        }
        Ok(Self {
            generation: snapshot.generation,
            until: now.saturating_add(BELIEVED),
            device: Arc::clone(&device.name),
            secrets: secrets
                .iter()
                .map(|one| Secret::new(one.octets()))
                .collect(),
            required: settings.message_authenticator,
            seen: AtomicBool::new(false),
        })
    }
}

/// A source address and port that had a request proved.
struct Source {
    known: Arc<Known>,
    machine: ServerConnection,
    service: Service,
    waker: Waker,
    mark: Arc<Mark<Ends>>,
    /// Tells it from an earlier one of the same address.
    serial: u64,
    active: Duration,
    /// Octets of its answers, as counted in the sum of all.
    kept: usize,
    /// Whether it is among those to be served in this turn.
    touched: bool,
    _slot: Slot,
}

impl Source {
    /// Answers what can be answered.
    fn serve(&mut self, socket: &Outlet, to: &Ends, now: Duration, turn: &mut Turn) {
        let mut cx = Context::from_waker(&self.waker);
        self.service.submit(turn);
        while self
            .service
            .poll(&mut cx, &mut self.machine, Now(now), turn)
        {
            self.service.submit(turn);
        }
        while let Some(packet) = self.machine.poll_transmit() {
            // Where it is lost, the client asks again and gets the same answer.
            socket.send(packet.octets(), to);
        }
    }

    fn is_idle(&self) -> bool {
        !self.service.is_busy() && self.machine.poll_timeout().is_none()
    }
}

/// The task of one socket.
struct Socket {
    open: Arc<Open>,
    socket: Datagrams,
    buffer: Box<[u8]>,
    sources: HashMap<Ends, Source>,
    /// When each source is looked at for whether it may be forgotten, with its serial.
    looks: VecDeque<(Duration, Ends, u64)>,
    serial: u64,
    kept: Kept,
    woken: Arc<Woken<Ends>>,
    /// To be served in this turn.
    touched: Vec<Ends>,
    turn: Turn,
    origin: Instant,
    timer: Pin<Box<Sleep>>,
    /// Not read before, because the operating system reported a fault.
    paused: Option<Duration>,
    draining: bool,
    _present: Present,
}

impl Socket {
    fn new(open: Arc<Open>, socket: Datagrams) -> Self {
        let origin = Instant::now();
        Self {
            _present: open.shared.drain.enter(),
            open,
            socket,
            buffer: vec![0; DATAGRAM].into_boxed_slice(),
            sources: HashMap::new(),
            looks: VecDeque::new(),
            serial: 0,
            kept: Kept::default(),
            woken: Arc::default(),
            touched: Vec::new(),
            turn: Turn::default(),
            origin,
            timer: Box::pin(tokio::time::sleep_until(origin)),
            paused: None,
            draining: false,
        }
    }

    /// Takes the datagrams that are there.
    fn receive(&mut self, cx: &mut Context<'_>, now: Duration) {
        if self.draining || self.paused.is_some_and(|until| now < until) {
            return;
        }
        self.paused = None;
        let snapshot = self.open.aaa.snapshot();
        for _ in 0..DATAGRAMS_PER_TURN {
            match self.socket.poll_receive(cx, &mut self.buffer) {
                Poll::Ready(Ok((length, from))) => self.datagram(length, from, &snapshot, now),
                Poll::Ready(Err(error)) => return self.pause(&error, now),
                Poll::Pending => return,
            }
        }
        cx.waker().wake_by_ref();
    }

    fn pause(&mut self, error: &io::Error, now: Duration) {
        self.open.aaa.accept_failed(&self.open.name, error);
        self.paused = Some(now.saturating_add(EXHAUSTED));
    }

    fn datagram(&mut self, length: usize, from: Ends, snapshot: &Arc<Snapshot>, now: Duration) {
        let peer = from.canonical();
        let known = match self.known(from, peer, snapshot, now) {
            Ok(known) => known,
            Err(reason) => return self.open.refuse(reason, peer, ""),
        };
        let refuse = |reason, what: &dyn std::fmt::Display| {
            let detail = format!("device {}: {what}", known.device);
            self.open.refuse(reason, peer, &detail);
        };
        let octets = self.buffer.get(..length).unwrap_or_default();
        let packet = match datagram::packet(octets) {
            Ok(Some(packet)) => packet,
            Ok(None) => return,
            Err(error) => return refuse(Refused::RadiusLength, &error),
        };
        let code = packet.header().code;
        // Nothing is ever asked from here.
        if is_answer(code) {
            return;
        }
        let proved = match prove(&packet, &known.secrets, known.required) {
            Ok(proved) => proved,
            Err(why) => return refuse(why.reason(), &format_args!("{code}: {why}")),
        };
        // Whoever is not proved may have invented the address.
        if !known.seen.swap(true, Ordering::Relaxed) {
            self.open.shared.seen.plain(&known.device);
        }
        let Some(source) = self.source(from, peer, &known, snapshot, now) else {
            return self.open.refuse(Refused::TooManyConnections, peer, "");
        };
        source.active = now;
        source.machine.receive_packet(packet, Now(now));
        let touched = std::mem::replace(&mut source.touched, true);
        self.hand_over(from, &proved, now);
        if !touched {
            self.touched.push(from);
        }
    }

    fn hand_over(&mut self, from: Ends, proved: &Proved, now: Duration) {
        let Some(source) = self.sources.get_mut(&from) else {
            return;
        };
        let (machine, turn) = (&mut source.machine, &mut self.turn);
        while let Some(event) = machine.poll() {
            let service = &mut source.service;
            service.handle_proved(event, proved, machine, Now(now), turn);
        }
    }

    /// Who a source is: looked up again after a reload, and from time to time for the days of secrets.
    fn known(
        &mut self,
        from: Ends,
        peer: SocketAddr,
        snapshot: &Snapshot,
        now: Duration,
    ) -> Result<Arc<Known>, Refused> {
        let before = self.sources.get(&from).map(|source| &source.known);
        if let Some(known) = before
            && known.generation == snapshot.generation
            && now < known.until
        {
            return Ok(Arc::clone(known));
        }
        let known = Known::of(&self.open, snapshot, peer.ip(), now).map(Arc::new);
        match (&known, self.sources.get_mut(&from)) {
            (Ok(known), Some(source)) if known.device == source.known.device => {
                source.known = Arc::clone(known);
            }
            // It is another device now, or none. What that one asked is not answered any more.
            (_, Some(_)) => self.forget(from),
            (_, None) => {}
        }
        known
    }

    /// The state of a source, made if there is none; `None` if there is no room.
    fn source(
        &mut self,
        from: Ends,
        peer: SocketAddr,
        known: &Arc<Known>,
        snapshot: &Arc<Snapshot>,
        now: Duration,
    ) -> Option<&mut Source> {
        if !self.sources.contains_key(&from) {
            let limit = self.open.settings(snapshot).max_connections;
            let slot = Slot::take(&self.open.connections, limit).or_else(|| {
                self.make_room();
                Slot::take(&self.open.connections, limit)
            })?;
            let who = Peer {
                device: Arc::clone(&known.device),
                address: peer,
                protocol: self.open.key.protocol.speaks(),
                transport: Transport::Plain,
                identity: None,
                psk_identity: None,
                listener: Arc::clone(&self.open.name),
            };
            let aaa = Arc::clone(&self.open.aaa);
            let mark = Mark::new(&self.woken, from);
            self.serial = self.serial.wrapping_add(1);
            let source = Source {
                known: Arc::clone(known),
                machine: ServerConnection::new(Config::new(Carrier::Udp), Now(now)),
                service: Service::new(aaa, Arc::clone(snapshot), Arc::new(who)),
                waker: Waker::from(Arc::clone(&mark)),
                mark,
                serial: self.serial,
                active: now,
                kept: 0,
                touched: false,
                _slot: slot,
            };
            let look = now.saturating_add(Duplicates::LIFETIME);
            self.looks.push_back((look, from, self.serial));
            self.sources.insert(from, source);
        }
        self.sources.get_mut(&from)
    }

    /// Forgets the source that was silent for longest, of those that have been known for longest and wait for nothing.
    fn make_room(&mut self) {
        let looks = self.looks.iter().enumerate().take(LOOKED_AT);
        let silent = looks.filter_map(|(at, (_, from, serial))| {
            let source = self.sources.get(from)?;
            let idle = source.serial == *serial && !source.service.is_busy() && !source.touched;
            idle.then_some((source.active, at))
        });
        let found = silent.min().and_then(|(_, at)| self.looks.remove(at));
        if let Some((_, from, _)) = found {
            self.forget(from);
        }
    }

    fn forget(&mut self, from: Ends) {
        if let Some(mut source) = self.sources.remove(&from) {
            source.service.closed();
            self.kept.forget(source.kept);
        }
    }

    /// Forgets the sources whose answers are all forgotten.
    fn expire(&mut self, now: Duration) {
        let due = |looks: &VecDeque<(Duration, Ends, u64)>| {
            looks.front().is_some_and(|(at, ..)| *at <= now)
        };
        while due(&self.looks)
            && let Some((_, from, serial)) = self.looks.pop_front()
        {
            let Some(source) = self.sources.get_mut(&from) else {
                continue;
            };
            if source.serial != serial {
                continue;
            }
            source.machine.handle_timeout(Now(now));
            self.kept.count(&mut source.machine, &mut source.kept);
            if source.is_idle() {
                self.forget(from);
            } else {
                let look = now.saturating_add(Duplicates::LIFETIME);
                self.looks.push_back((look, from, serial));
            }
        }
    }

    /// Serves the sources that were heard of, or whose waiting has an end.
    fn answer(&mut self, now: Duration) {
        for from in self.touched.drain(..) {
            if let Some(source) = self.sources.get_mut(&from) {
                source.touched = false;
                source.mark.clear();
                source.serve(self.socket.outlet(), &from, now, &mut self.turn);
                self.kept.count(&mut source.machine, &mut source.kept);
            }
        }
    }

    /// Arms the timer.
    fn wait(&mut self, cx: &mut Context<'_>) {
        let look = self.looks.front().map(|(at, ..)| *at);
        let Some(wanted) = look.into_iter().chain(self.paused).min() else {
            return;
        };
        let wanted = self.origin + wanted;
        if self.timer.is_elapsed() || wanted < self.timer.deadline() {
            self.timer.as_mut().reset(wanted);
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

impl Future for Socket {
    type Output = ();

    /// One turn; ready once it is draining and nothing is under way.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let socket = &mut *self;
        let now = socket.origin.elapsed();
        socket.turn.begin(now);
        socket.woken.take(cx.waker(), &mut socket.touched);
        socket.expire(now);
        socket.receive(cx, now);
        socket.answer(now);
        let origin = socket.origin;
        let durations = &socket.open.aaa.metrics.durations;
        socket.turn.finish(durations, || origin.elapsed());
        if socket.draining && !socket.sources.values().any(|one| one.service.is_busy()) {
            return Poll::Ready(());
        }
        socket.wait(cx);
        Poll::Pending
    }
}
