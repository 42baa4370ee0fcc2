//! One connection to one server, and the requests on it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use doorward_radius::attribute::Attributes;
use doorward_radius::client::{ClientConnection, Event, Handle, SendError};
use doorward_radius::server::{CloseReason, Refusal};
use doorward_radius::watchdog::{Health, Watching};
use doorward_radius::{Now, RawPacket, Secret};
use tokio::time::{Instant, sleep_until};

use super::Server;
use super::doubt::Doubt;
use super::error::{AttemptError, Error, Lost};
use super::order::{Loss, Order, Question};
use super::request::status_server;
use super::verdict::{verify, wrong};
use super::way;
use super::wire::Wire;
use crate::error::TransportError;
use crate::hastls::Found;
use crate::outcome::TlsFacts;
use crate::transport::{Read, Unconnected};

/// What a request came to on one server.
pub(super) type Outcome = Result<Reply, AttemptError>;

/// An answer, and the connection it came on.
pub(super) struct Reply {
    pub(super) packet: RawPacket,
    /// What it answers, as it was sent; `None` for a Status-Server.
    pub(super) request: Option<Arc<RawPacket>>,
    /// The one that it depends on.
    pub(super) secret: Secret,
    pub(super) tls: Option<TlsFacts>,
}

/// Why a connection is no more.
pub(super) enum End {
    /// Nobody needed it.
    Idle,
    /// The server was silent: the next connection has to prove itself.
    Silent,
    /// The server refused it before it said anything; a resumed one may be followed by a full handshake at once.
    Refused {
        error: Arc<TransportError>,
        resumed: bool,
    },
    /// Any other reason, after the server had said something.
    Lost(Lost),
}

/// An order that was sent here.
struct Waiting {
    order: Order,
    id: u8,
    /// From then on its answer is missed; `None` once that was counted.
    overdue: Option<Instant>,
}

pub(super) struct Link {
    wire: Wire,
    machine: ClientConnection,
    secret: Secret,
    unsigned_answers: bool,
    reply_timeout: Duration,
    tls: Option<TlsFacts>,
    born: Instant,
    waiting: HashMap<Handle, Waiting>,
    /// Who waits for the answer to a Status-Server.
    probing: Vec<Order>,
    buffer: Vec<u8>,
    /// The server has said something, and it has been told to whoever asked.
    confirmed: bool,
    told: bool,
    /// It has given a verified answer since this was last asked.
    alive: bool,
    /// The last request that was answered, in the order in which they were sent.
    read: Option<Handle>,
    /// The watchdog may ask questions.
    watched: bool,
    doubt: Doubt,
    found: Found,
    /// It is a fall-back, and until when.
    fallen: Option<Instant>,
    /// HASTLS says now that it should lead elsewhere.
    stray: bool,
    end: Option<End>,
}

impl Link {
    /// Makes a connection; `down` says that the one before it was found dead, `watching` by what the server is judged.
    pub(super) async fn open(
        server: &Arc<Server>,
        down: bool,
        watching: Watching,
    ) -> Result<Self, Unconnected> {
        let opened = way::open(server).await?;
        let (wire, server) = (opened.wire, opened.server);
        let tls = wire.facts();
        // Only jitter is made of it; without random numbers no request can be sent anyway.
        let seed = getrandom::u64().unwrap_or_default();
        Ok(Self {
            wire,
            machine: ClientConnection::new(server.config(watching), down, seed, Now::default()),
            secret: server.carriage.secret(),
            unsigned_answers: server.unsigned_answers,
            tls,
            born: Instant::now(),
            waiting: HashMap::new(),
            probing: Vec::new(),
            buffer: Vec::new(),
            confirmed: false,
            told: false,
            alive: false,
            read: None,
            reply_timeout: server.reply_timeout,
            watched: server.watchdog.is_some(),
            doubt: Doubt::new(server.doubt_after),
            found: opened.found,
            fallen: opened.fallen,
            stray: false,
            end: None,
        })
    }

    /// Whether the server has said something, once.
    pub(super) fn newly_confirmed(&mut self) -> bool {
        let newly = self.confirmed && !self.told;
        self.told = self.confirmed;
        newly
    }

    /// Whether a verified answer came since the last call.
    pub(super) fn was_alive(&mut self) -> bool {
        std::mem::take(&mut self.alive)
    }

    /// Whether new requests should go here if they can choose.
    pub(super) fn is_well(&self) -> bool {
        self.machine.health() == Health::Okay && self.doubt.until().is_none()
    }

    /// Whether somebody waits for an answer.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether the server has said something here.
    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Whether answers are missing for so long that another connection may do better. One that only has to prove itself is not
    /// meant: the next would have to as well.
    pub(super) fn is_doubted(&self) -> bool {
        self.machine.health() == Health::Suspect || self.doubt.until().is_some()
    }

    /// By what the server is judged here.
    pub(super) fn watching(&self) -> Watching {
        self.machine.watching()
    }

    /// Until when it is in doubt for missing answers.
    pub(super) fn doubted_until(&self) -> Option<Instant> {
        self.doubt.until()
    }

    /// Counts the answers that are missed by now. A server that is known to answer Status-Server is asked at once whether it
    /// lives: one that is only slow says so, and one that says nothing is in doubt before three requests were lost.
    /// True if that changes what is thought of it.
    fn judge(&mut self) -> bool {
        // Whoever gave up a request because it was overdue may have been a moment faster.
        let passed = Instant::now() + TICK;
        let overdue = self.waiting.values_mut();
        let overdue = overdue.filter_map(|one| one.overdue.take_if(|at| *at <= passed));
        let missed = overdue.count();
        (0..missed).for_each(|_| self.doubt.miss());
        if missed > 0 && self.answers_questions() && self.doubt.may_ask() {
            self.probe();
            self.doubt.asked();
        }
        self.doubt.judge() || missed > 0
    }

    /// As far as is known.
    fn answers_questions(&self) -> bool {
        self.watched && self.machine.watching() == Watching::Status
    }

    /// When [`Self::judge`] has something to do.
    fn judged_at(&self) -> Option<Instant> {
        let overdue = self.waiting.values().filter_map(|one| one.overdue).min();
        overdue.into_iter().chain(self.doubt.due()).min()
    }

    /// Until when it is known that it leads where HASTLS says.
    pub(super) fn found_until(&self) -> Option<Instant> {
        self.found.until
    }

    /// Compares where it leads with where HASTLS says now. True if nothing more may be sent here: it is without TLS.
    pub(super) fn judge_way(&mut self, found: &Found) -> bool {
        self.stray = found.way != self.found.way;
        self.found.until = found.until;
        self.stray && !self.wire.is_protected()
    }

    /// It only waits for what is under way: its keys are worn, or its identifiers, most of which are those of requests that
    /// were given up; or TLS is to be tried again, or it should lead elsewhere.
    pub(super) fn is_leaving(&self) -> bool {
        let over = self.fallen.is_some_and(|until| until <= Instant::now());
        over || self.stray || self.wire.wants_renewal() || self.is_spent()
    }

    fn is_spent(&self) -> bool {
        let given_up = self.used().saturating_sub(self.waiting.len());
        self.machine.free() == 0 && given_up * 2 > IDENTIFIERS
    }

    /// Identifiers in use, those in quarantine included.
    pub(super) fn used(&self) -> usize {
        IDENTIFIERS.saturating_sub(self.machine.free())
    }

    /// How many more requests can be sent.
    pub(super) fn free(&self) -> usize {
        self.machine.free()
    }

    /// Sends a question. It comes back if the connection has no room, or has just been closed.
    pub(super) fn ask(&mut self, mut order: Order) -> Result<(), Order> {
        let now = self.now();
        order.progress.sent();
        let request = match &order.question {
            Question::Request(request) => request,
            Question::Alive { again } => {
                if *again || !self.machine.is_probing() {
                    self.probe();
                }
                self.probing.push(order);
                return Ok(());
            }
        };
        let mut failed = None;
        let mut allotted = 0;
        let build = |id| {
            allotted = id;
            request.build(id, &self.secret).unwrap_or_else(|error| {
                failed = Some(error);
                Vec::new()
            })
        };
        match self.machine.send(build, now) {
            Ok(handle) => {
                order.losses.sent(self.reply_timeout);
                let waiting = Waiting {
                    order,
                    id: allotted,
                    overdue: Some(self.doubt.overdue()),
                };
                self.waiting.insert(handle, waiting);
                Ok(())
            }
            Err(SendError::Full | SendError::Closed) => Err(order),
            // It was built before without trouble, so that only random numbers can be missing.
            Err(SendError::NoRequest) => {
                order.fail(AttemptError::Lost(Lost::Local));
                Ok(())
            }
        }
    }

    /// Goes on until something was answered, so that there may be room for more, or is missed, or the connection has ended: then
    /// it tells how, and [`Self::orphans`] what was not answered. Nothing is lost if it is dropped meanwhile.
    pub(super) async fn run(&mut self) -> Option<End> {
        let (free, health) = (self.machine.free(), self.machine.health());
        let mut judged = false;
        loop {
            let answered = self.settle();
            self.transmit();
            if self.is_leaving() && self.waiting.is_empty() && self.probing.is_empty() {
                self.end.get_or_insert(End::Idle);
            }
            // What could not be sent has ended it, too.
            if self.end.is_some() {
                return self.end.take();
            }
            // Ids also come back when their quarantine ends, or by late answers.
            let changed = judged || self.machine.health() != health;
            if answered || changed || self.machine.free() > free {
                return None;
            }
            let due = self.machine.poll_timeout().map(|due| self.born + due.0);
            let due = due.into_iter().chain(self.judged_at()).min();
            let timer = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            self.buffer.clear();
            tokio::select! {
                read = self.wire.read(&mut self.buffer) => self.heard(read),
                () = timer => {
                    judged = self.judge();
                    let now = self.now();
                    self.forget_unwanted(now);
                    self.machine.handle_timeout(now);
                }
            }
        }
    }

    /// What was not answered, once the connection has ended. An answer to something that was sent later shows that the server
    /// has read it, since it reads in that order.
    pub(super) fn orphans(&mut self) -> Vec<(Order, Loss)> {
        let (read, made) = (self.read, self.born);
        let loss = |unread| Loss { made, unread };
        let waiting = self.waiting.drain();
        let waiting = waiting.map(|(handle, one)| (one.order, loss(read < Some(handle))));
        let probing = self.probing.drain(..).map(|order| (order, loss(false)));
        waiting.chain(probing).collect()
    }

    fn now(&self) -> Now {
        Now(self.born.elapsed())
    }

    fn heard(&mut self, read: Result<Read, TransportError>) {
        let now = self.now();
        match read {
            Ok(Read::Data) => {
                let (secret, unsigned) = (self.secret.clone(), self.unsigned_answers);
                let signed_or_not = self.wire.is_protected() || unsigned;
                let mut doubts = Vec::new();
                let verify = |request: &RawPacket, answer: &RawPacket| {
                    let verdict = verify(request, answer, &secret, signed_or_not);
                    doubts.extend(verdict.err().map(|doubt| (request.header().id, doubt)));
                    verdict
                };
                self.machine.receive(&self.buffer, now, verify);
                for (id, doubt) in doubts {
                    let meant = self.waiting.values().find(|one| one.id == id);
                    if let Some(one) = meant {
                        one.order.progress.doubted(doubt);
                    }
                }
                self.confirmed = true;
            }
            Ok(Read::End) => self.machine.close(CloseReason::Peer),
            Err(error) => {
                self.machine.close(CloseReason::Peer);
                self.end.get_or_insert(self.ended_by(error));
            }
        }
    }

    fn ended_by(&self, error: TransportError) -> End {
        // Over UDP that is always so: there is no such port, or no way to it.
        let error = match (&self.wire, error) {
            (Wire::Udp(_), TransportError::Io(error)) => TransportError::Connect(error),
            (_, error) => error,
        };
        if !self.confirmed || matches!(self.wire, Wire::Udp(_)) {
            return End::Refused {
                error: Arc::new(error),
                resumed: self.tls.as_ref().is_some_and(|tls| tls.resumed),
            };
        }
        End::Lost(Lost::Closed)
    }

    /// Takes what the machine has to say; true if a request has ended.
    fn settle(&mut self) -> bool {
        let mut answered = false;
        while let Some(event) = self.machine.poll() {
            match event {
                Event::Answer {
                    handle,
                    packet,
                    request,
                } => {
                    self.alive = true;
                    self.read = self.read.max(Some(handle));
                    self.doubt.forgive();
                    self.reply(handle, packet, request);
                    answered = true;
                }
                Event::TimedOut(handle) => {
                    if let Some(one) = self.waiting.remove(&handle) {
                        if one.overdue.is_some() {
                            self.doubt.miss();
                        }
                        let verdict = one.order.progress.verdict();
                        one.order.fail(verdict);
                    }
                    answered = true;
                }
                Event::ProbeDue => self.probe(),
                Event::Probed(packet) => {
                    self.alive = true;
                    self.doubt.forgive();
                    for order in std::mem::take(&mut self.probing) {
                        let tls = self.tls.clone();
                        let packet = packet.clone();
                        let (request, secret) = (None, self.secret.clone());
                        _ = order.answer.send(Ok(Reply {
                            packet,
                            request,
                            secret,
                            tls,
                        }));
                    }
                    answered = true;
                }
                // Also what is of an unknown code, or comes too late.
                Event::Unmatched(packet) => {
                    if Attributes::new(packet.attributes()).is_err() && self.wire.is_protected() {
                        let reason = CloseReason::Refused(Refusal::Malformed);
                        self.machine.close(reason);
                    }
                    tracing::debug!(code = %packet.header().code, "a packet that answers nothing is ignored");
                }
                Event::Closed { reason, .. } => {
                    let end = ended(reason);
                    self.end.get_or_insert(end);
                }
            }
        }
        answered
    }

    fn reply(&mut self, handle: Handle, packet: RawPacket, request: Arc<RawPacket>) {
        if let Some(one) = self.waiting.remove(&handle) {
            let reply = Reply {
                packet,
                request: Some(request),
                secret: self.secret.clone(),
                tls: self.tls.clone(),
            };
            // Whoever asked may be gone.
            _ = one.order.answer.send(Ok(reply));
        }
    }

    fn probe(&mut self) {
        let sent = status_server(&self.secret).map(|octets| self.machine.probe(octets));
        if let Ok(Err(_)) | Err(Error::Random) = sent {
            tracing::debug!("no Status-Server was sent");
        }
    }

    /// Queues what is to be sent for the next read, which sends it: a packet a record, or a datagram.
    fn transmit(&mut self) {
        while let Some(packet) = self.machine.poll_transmit() {
            let queued = self.wire.queue(packet);
            if let Err(error) = queued {
                self.machine.close(CloseReason::Peer);
                self.end = Some(self.ended_by(error));
                return;
            }
        }
    }

    /// Nobody waits any more: nothing is sent again.
    fn forget_unwanted(&mut self, now: Now) {
        let Self {
            waiting, machine, ..
        } = self;
        waiting.retain(|handle, one| {
            let wanted = !one.order.answer.is_closed();
            if !wanted {
                machine.cancel(*handle, now);
            }
            wanted
        });
    }
}

fn ended(reason: CloseReason) -> End {
    match reason {
        CloseReason::Idle => End::Idle,
        CloseReason::Silent => End::Silent,
        CloseReason::Peer => End::Lost(Lost::Closed),
        CloseReason::Local => End::Lost(Lost::Local),
        CloseReason::Length(_) => End::Lost(Lost::Refused(
            "what the server sent is no RADIUS: its length is impossible",
        )),
        CloseReason::Refused(refusal) => End::Lost(Lost::Refused(wrong(refusal))),
    }
}

/// Timers are no more exact than this.
const TICK: Duration = Duration::from_millis(5);

/// Identifiers of a connection; one is for Status-Server alone.
const IDENTIFIERS: usize = 255;

/// Long enough for a server to take a connection's end.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);
