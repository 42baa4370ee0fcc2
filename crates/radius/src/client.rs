//! The connecting side of a connection.
//!
//! ```text
//!   request ──▶ send           an id is allotted, the caller builds the packet for it
//!   octets  ◀── poll_transmit  one packet a call
//!   octets  ──▶ receive        framing, matching by id and code, the caller verifies
//!   event   ◀── poll           answers, requests without answer, a Status-Server to send, the end
//! ```
//!
//! Over TLS nothing is sent twice: time only decides that no answer will come. What was not answered may be built anew
//! for another connection once this one is closed.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::datagram::{self, DatagramError};
use crate::ids::{Full, Ids, STATUS_ID};
use crate::pairs::answers;
use crate::retransmit::{Due, Retransmission, Transmissions};
use crate::server::{CloseReason, Refusal};
use crate::stream::StreamFraming;
use crate::watchdog::{Action, Health, Watchdog, Watching};
use crate::{Code, HeaderError, Now, RawPacket, Transport};

/// How requests are sent.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// What carries the packets.
    pub transport: Transport,
    /// Over TLS: how long an answer is waited for.
    pub timeout: Duration,
    /// Over DTLS and UDP: when a request is sent again and given up.
    pub retransmission: Retransmission,
    /// How long an id is not used after its request was given up, unless the answer comes.
    pub quarantine: Duration,
    /// Tw of the watchdog, 6 s at least; `None` asks no questions, as over UDP, where servers need not answer them
    /// (RFC 5997 section 4).
    pub watchdog: Option<Duration>,
    /// By what the watchdog judges the peer, as far as that is known of it.
    pub watching: Watching,
    /// Closes a connection on which nothing but Status-Server came or went for this long; `None` never does.
    pub idle: Option<Duration>,
}

impl Config {
    /// 30 s for an answer, RFC 5080's timers, a minute of quarantine, Tw of 30 s (none over UDP), no idle timeout.
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
            timeout: Duration::from_secs(30),
            retransmission: Retransmission::default(),
            quarantine: Duration::from_secs(60),
            watchdog: (transport != Transport::Udp).then_some(Watchdog::INTERVAL),
            watching: Watching::Status,
            idle: None,
        }
    }
}

/// Names a request, unique on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(u64);

/// Why a request is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// No id is free: another connection, or later.
    Full,
    /// The connection is closed.
    Closed,
    /// The octets are not exactly one request with the id that was allotted, or a Status-Server where none is sent.
    NoRequest,
}

impl From<Full> for SendError {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => Full.fmt(f),
            Self::Closed => f.write_str("the connection is closed"),
            Self::NoRequest => f.write_str("the octets are no request with the id allotted"),
        }
    }
}

impl core::error::Error for SendError {}

/// What the application has to know.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The verified answer, Protocol-Error included, that ends a request.
    Answer {
        /// The request.
        handle: Handle,
        /// Its octets, which hidden attributes of the answer are revealed with.
        request: Arc<RawPacket>,
        /// The answer.
        packet: RawPacket,
    },
    /// No answer will come. That alone says nothing about the connection.
    TimedOut(Handle),
    /// The verified answer to a Status-Server: the peer lives. It grants nothing, whatever its code is.
    Probed(RawPacket),
    /// A Status-Server is due: build a new one with id 0 for [`ClientConnection::probe`].
    ProbeDue,
    /// A packet that answers nothing, and is ignored.
    Unmatched(RawPacket),
    /// The connection is closed. Comes once and is the last event.
    Closed {
        /// Why; [`CloseReason::Silent`] if the watchdog found the peer DOWN.
        reason: CloseReason,
        /// Requests that were not answered, which may be tried on another connection.
        unanswered: Vec<Handle>,
    },
}

#[derive(Debug)]
struct Pending {
    handle: Handle,
    request: Arc<RawPacket>,
    state: State,
    /// Answers that may still come: each transmission can have one.
    expected: u32,
}

#[derive(Debug)]
enum State {
    /// Over TLS: until then.
    Waiting(Now),
    /// Over DTLS and UDP.
    Sending(Transmissions),
    /// Given up, or answered while other transmissions were not; the id is in quarantine.
    Late,
}

impl Pending {
    fn timeout(&self) -> Option<Now> {
        match &self.state {
            State::Waiting(end) => Some(*end),
            State::Sending(sending) => Some(sending.timeout()),
            State::Late => None,
        }
    }
}

/// The connecting side of one connection.
#[derive(Debug)]
pub struct ClientConnection {
    config: Config,
    framing: StreamFraming,
    ids: Ids,
    pending: BTreeMap<u8, Pending>,
    next_handle: u64,
    /// The Status-Server that is not answered, and over DTLS and UDP the one before.
    probes: VecDeque<Arc<RawPacket>>,
    watchdog: Watchdog,
    events: VecDeque<Event>,
    outbox: VecDeque<Arc<RawPacket>>,
    closed: Option<CloseReason>,
    active: Now,
    random: u64,
}

impl ClientConnection {
    /// Status-Server packets whose answers are still taken.
    const PROBES: usize = 2;

    /// A connection whose handshake is done. `down`: the connection before it to the same server was found dead, so
    /// that this one has to prove itself (REOPEN of RFC 3539). `seed` is any random number; jitter is made of it.
    pub fn new(config: Config, down: bool, seed: u64, now: Now) -> Self {
        let lossy = config.transport != Transport::Tls;
        let watchdog = Watchdog::new(config.watchdog.unwrap_or(Watchdog::INTERVAL), lossy);
        let mut this = Self {
            config,
            framing: StreamFraming::default(),
            ids: Ids::new(config.quarantine),
            pending: BTreeMap::new(),
            next_handle: 0,
            probes: VecDeque::new(),
            watchdog: watchdog.watching_by(config.watching),
            events: VecDeque::new(),
            outbox: VecDeque::new(),
            closed: None,
            active: now,
            random: seed,
        };
        let random = this.random();
        if down && config.watchdog.is_some() {
            this.watchdog.connected(now, random);
            this.watchdog.disconnected();
        }
        let action = this.watchdog.connected(now, random);
        this.act(action);
        this
    }

    /// What the watchdog believes of the peer: only in [`Health::Okay`] new requests should be sent here if there is
    /// another connection.
    pub fn health(&self) -> Health {
        self.watchdog.health()
    }

    /// By what the peer is judged: what was learned of it, for the next connection.
    pub fn watching(&self) -> Watching {
        self.watchdog.watching()
    }

    /// How many more requests can be outstanding.
    pub fn free(&self) -> usize {
        self.ids.free()
    }

    /// Sends a request. `build` gets the id and gives the whole packet, authenticators and all.
    ///
    /// # Errors
    /// Nothing is sent.
    pub fn send(
        &mut self,
        build: impl FnOnce(u8) -> Vec<u8>,
        now: Now,
    ) -> Result<Handle, SendError> {
        if self.closed.is_some() {
            return Err(SendError::Closed);
        }
        let id = self.ids.take()?;
        let request = RawPacket::new(build(id)).ok().filter(|packet| {
            let header = packet.header();
            header.id == id && header.code.is_request() && header.code != Code::STATUS_SERVER
        });
        let Some(request) = request.map(Arc::new) else {
            self.ids.release(id);
            return Err(SendError::NoRequest);
        };
        let handle = Handle(self.next_handle);
        self.next_handle = self.next_handle.wrapping_add(1);
        let state = if self.config.transport == Transport::Tls {
            State::Waiting(now.after(self.config.timeout))
        } else {
            let random = self.random();
            State::Sending(Transmissions::start(
                &self.config.retransmission,
                now,
                random,
            ))
        };
        self.outbox.push_back(Arc::clone(&request));
        self.active = now;
        let random = self.random();
        self.watchdog.sent(now, random);
        let pending = Pending {
            handle,
            request,
            state,
            expected: 1,
        };
        self.pending.insert(id, pending);
        Ok(handle)
    }

    /// Sends a Status-Server: the one that [`Event::ProbeDue`] asked for, or one that somebody wants to have asked.
    ///
    /// # Errors
    /// The connection is closed, the octets are no Status-Server with id 0, or one that cannot get lost is not answered yet.
    pub fn probe(&mut self, octets: Vec<u8>) -> Result<(), SendError> {
        if self.closed.is_some() {
            return Err(SendError::Closed);
        }
        // There is one id: the answer to the earlier one would be taken for a wrong answer to this one.
        if self.config.transport == Transport::Tls && self.is_probing() {
            return Err(SendError::Full);
        }
        let packet = RawPacket::new(octets).map_err(|_| SendError::NoRequest)?;
        let header = packet.header();
        if header.code != Code::STATUS_SERVER || header.id != STATUS_ID {
            return Err(SendError::NoRequest);
        }
        let packet = Arc::new(packet);
        self.probes.push_front(Arc::clone(&packet));
        self.probes.truncate(Self::PROBES);
        self.outbox.push_back(packet);
        Ok(())
    }

    /// Whether a Status-Server is not answered yet.
    pub fn is_probing(&self) -> bool {
        !self.probes.is_empty()
    }

    /// Gives a request up, because nobody waits for its answer any more: it is not sent again, and its id is in
    /// quarantine. Nothing is told about it afterwards.
    pub fn cancel(&mut self, handle: Handle, now: Now) {
        let mut pending = self.pending.iter_mut();
        let Some((id, pending)) = pending.find(|(_, pending)| pending.handle == handle) else {
            return;
        };
        if !matches!(pending.state, State::Late) {
            pending.state = State::Late;
            self.ids.quarantine(*id, now);
        }
    }

    /// Takes octets of the peer: a piece of the stream of any size, or exactly one DTLS record or UDP datagram.
    ///
    /// `verify` gets a request and what by id and code is its answer, and tells what is wrong with that. A bad answer
    /// never ends its request; it closes the connection, or over UDP is ignored.
    pub fn receive(
        &mut self,
        mut octets: &[u8],
        now: Now,
        mut verify: impl FnMut(&RawPacket, &RawPacket) -> Result<(), Refusal>,
    ) {
        if self.config.transport != Transport::Tls {
            match datagram::packet(octets) {
                Ok(Some(packet)) if self.closed.is_none() => self.take(packet, now, &mut verify),
                Err(DatagramError::Length(length)) => self.fault(CloseReason::Length(length)),
                Ok(_) | Err(DatagramError::Truncated) => {}
            }
            return;
        }
        while self.closed.is_none() {
            match self.framing.next(&mut octets) {
                Ok(Some(packet)) => self.take(packet, now, &mut verify),
                Ok(None) => return,
                Err(HeaderError::Length(length)) => self.fault(CloseReason::Length(length)),
                // The framing gives whole packets only.
                Err(HeaderError::Short) => return,
            }
        }
    }

    /// The next event, if any.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next packet to send. Each belongs into a TLS or DTLS record of its own.
    pub fn poll_transmit(&mut self) -> Option<Arc<RawPacket>> {
        self.outbox.pop_front()
    }

    /// When [`ClientConnection::handle_timeout`] is due, if ever.
    pub fn poll_timeout(&self) -> Option<Now> {
        if self.closed.is_some() {
            return None;
        }
        let requests = self.pending.values().filter_map(Pending::timeout);
        let others = [self.probe_due(), self.ids.timeout(), self.idle_end()];
        requests.chain(others.into_iter().flatten()).min()
    }

    /// Does what time asks for.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.closed.is_some() {
            return;
        }
        while let Some(id) = self.ids.expire(now) {
            self.pending.remove(&id);
        }
        self.time_requests(now);
        if self.probe_due().is_some_and(|due| due <= now) {
            let random = self.random();
            let action = self.watchdog.elapsed(now, random);
            self.act(action);
            if self.watching() == Watching::Traffic {
                // Whoever wants to ask anew does not wait for an answer that will not come.
                self.probes.clear();
            }
        }
        if self.idle_end().is_some_and(|end| end <= now) {
            self.close(CloseReason::Idle);
        }
    }

    /// Closes the connection: the peer, the network or (D)TLS did ([`CloseReason::Peer`]), or the caller wants it.
    pub fn close(&mut self, reason: CloseReason) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(reason);
        self.watchdog.disconnected();
        self.framing = StreamFraming::default();
        self.outbox.clear();
        self.probes.clear();
        let pending = core::mem::take(&mut self.pending).into_values();
        let unanswered = pending
            .filter(|pending| !matches!(pending.state, State::Late))
            .map(|pending| pending.handle)
            .collect();
        self.events.push_back(Event::Closed { reason, unanswered });
    }

    /// Why the connection is closed, if it is. Over TLS and DTLS the caller sends close_notify.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.closed
    }

    fn take(
        &mut self,
        packet: RawPacket,
        now: Now,
        verify: &mut impl FnMut(&RawPacket, &RawPacket) -> Result<(), Refusal>,
    ) {
        let header = *packet.header();
        let fits = |request: &RawPacket| answers(request.header().code, header.code);
        if header.id == STATUS_ID {
            let verdicts = self.probes.iter().filter(|probe| fits(probe));
            let verdict = verdicts
                .map(|probe| verify(probe, &packet))
                .reduce(|one, other| one.or(other));
            match verdict {
                Some(Ok(())) => {
                    self.probes.clear();
                    let random = self.random();
                    self.watchdog.answered(true, now, random);
                    self.events.push_back(Event::Probed(packet));
                }
                Some(Err(refusal)) => self.fault(CloseReason::Refused(refusal)),
                None => self.events.push_back(Event::Unmatched(packet)),
            }
            return;
        }
        let known = self.pending.get_mut(&header.id);
        let Some(pending) = known.filter(|pending| fits(&pending.request)) else {
            self.events.push_back(Event::Unmatched(packet));
            return;
        };
        if let Err(refusal) = verify(&pending.request, &packet) {
            self.fault(CloseReason::Refused(refusal));
            return;
        }
        let state = core::mem::replace(&mut pending.state, State::Late);
        self.events.push_back(match state {
            State::Late => Event::Unmatched(packet),
            State::Waiting(_) | State::Sending(_) => Event::Answer {
                handle: pending.handle,
                request: Arc::clone(&pending.request),
                packet,
            },
        });
        pending.expected = pending.expected.saturating_sub(1);
        if pending.expected == 0 {
            self.pending.remove(&header.id);
            self.ids.release(header.id);
        } else {
            // The answer to another transmission would not verify against the next request with this id.
            self.ids.quarantine(header.id, now);
        }
        self.active = now;
        let random = self.random();
        self.watchdog.answered(false, now, random);
    }

    fn time_requests(&mut self, now: Now) {
        let mut random = self.random;
        for (id, pending) in &mut self.pending {
            if pending.timeout().is_none_or(|due| now < due) {
                continue;
            }
            let due = match &mut pending.state {
                State::Sending(sending) => {
                    sending.due(&self.config.retransmission, now, next(&mut random))
                }
                State::Waiting(_) | State::Late => Due::GiveUp,
            };
            match due {
                Due::Wait => {}
                Due::Send => {
                    pending.expected = pending.expected.saturating_add(1);
                    self.outbox.push_back(Arc::clone(&pending.request));
                }
                Due::GiveUp => {
                    pending.state = State::Late;
                    self.ids.quarantine(*id, now);
                    self.events.push_back(Event::TimedOut(pending.handle));
                }
            }
        }
        self.random = random;
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::None => {}
            Action::Probe => self.events.push_back(Event::ProbeDue),
            Action::Close => self.close(CloseReason::Silent),
        }
    }

    /// When the watchdog wants something, if there is one.
    fn probe_due(&self) -> Option<Now> {
        self.config.watchdog.and(self.watchdog.timeout())
    }

    /// A connection that waits for an answer is not idle.
    fn idle_end(&self) -> Option<Now> {
        let idle = self.config.idle?;
        let waits = self.pending.values().any(|it| it.timeout().is_some());
        (!waits).then(|| self.active.after(idle))
    }

    fn fault(&mut self, reason: CloseReason) {
        if self.config.transport != Transport::Udp {
            self.close(reason);
        }
    }

    fn random(&mut self) -> u32 {
        next(&mut self.random)
    }
}

/// Jitter has to differ between connections and nothing more, which a linear congruential generator does (Knuth's
/// constants for 64 bits; the upper half is the better one).
fn next(state: &mut u64) -> u32 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    u32::try_from(*state >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests;
