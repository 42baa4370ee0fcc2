//! One connection to one server, and the requests on it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use doorward_radius::attribute::Attributes;
use doorward_radius::authenticator::{self, MessageAuthenticator};
use doorward_radius::client::{ClientConnection, Event, Handle, SendError};
use doorward_radius::server::{CloseReason, Refusal};
use doorward_radius::watchdog::Health;
use doorward_radius::{Code, Now, RawPacket, Secret};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::error::{AttemptError, Error, Lost};
use super::request::status_server;
use super::{Carriage, Request, Server};
use crate::error::TransportError;
use crate::outcome::TlsFacts;
use crate::transport::{self, Read, TlsStream, Unconnected};

/// The largest packet (RFC 2865 section 3), and an octet more that shows a longer one.
const DATAGRAM: usize = 4097;

/// What a request came to on one server.
pub(super) type Outcome = Result<Reply, AttemptError>;

/// An answer, and the connection it came on.
pub(super) struct Reply {
    pub(super) packet: RawPacket,
    pub(super) tls: Option<TlsFacts>,
}

/// Something to ask, and who waits for the answer.
pub(super) struct Order {
    pub(super) question: Question,
    pub(super) answer: oneshot::Sender<Outcome>,
    /// It was sent on a connection that was lost since.
    pub(super) tried: bool,
    /// It is or was on a connection, for whoever tires of waiting.
    pub(super) sent: Arc<AtomicBool>,
}

pub(super) enum Question {
    Request(Arc<Request>),
    /// A Status-Server; `again`, because the one before may be lost.
    Alive {
        again: bool,
    },
}

impl Order {
    pub(super) fn fail(self, error: AttemptError) {
        // Whoever asked may be gone.
        _ = self.answer.send(Err(error));
    }
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

enum Wire {
    Tls(Box<TlsStream>),
    Udp(Udp),
}

/// A socket, and what it has not taken yet.
struct Udp {
    socket: UdpSocket,
    out: VecDeque<Arc<RawPacket>>,
    /// Addresses of the server that were not tried yet, and what was sent to the one before them; of no use any more once
    /// something has come.
    others: VecDeque<SocketAddr>,
    sent: Vec<Arc<RawPacket>>,
}

pub(super) struct Link {
    wire: Wire,
    machine: ClientConnection,
    secret: Secret,
    unsigned_answers: bool,
    tls: Option<TlsFacts>,
    born: Instant,
    waiting: HashMap<Handle, Order>,
    /// Who waits for the answer to a Status-Server.
    probing: Vec<Order>,
    buffer: Vec<u8>,
    /// The server has said something, and it has been told to whoever asked.
    confirmed: bool,
    told: bool,
    /// It has given a verified answer since this was last asked.
    alive: bool,
    /// Over UDP: what is wrong with the answer that came last, which was ignored.
    doubt: Option<Refusal>,
    end: Option<End>,
}

impl Link {
    /// Makes a connection; `down` says that the one before it was found dead.
    pub(super) async fn open(server: &Server, down: bool) -> Result<Self, Unconnected> {
        let wire = match &server.carriage {
            Carriage::Tls(tls) => {
                let stream =
                    TlsStream::connect(&server.address, tls, server.connect_timeout).await?;
                Wire::Tls(Box::new(stream))
            }
            Carriage::Udp(_) => {
                let bound = timeout(server.connect_timeout, Udp::bind(server)).await;
                Wire::Udp(bound.unwrap_or(Err(TransportError::ConnectTimeout))?)
            }
        };
        let tls = match &wire {
            Wire::Tls(stream) => stream.facts(),
            Wire::Udp(_) => None,
        };
        // Only jitter is made of it; without random numbers no request can be sent anyway.
        let seed = getrandom::u64().unwrap_or_default();
        Ok(Self {
            wire,
            machine: ClientConnection::new(server.config(), down, seed, Now::default()),
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
            doubt: None,
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
        self.machine.health() == Health::Okay
    }

    /// Its keys are worn: it only waits for what is under way.
    pub(super) fn is_worn(&self) -> bool {
        match &self.wire {
            Wire::Tls(stream) => stream.wants_renewal(),
            Wire::Udp(_) => false,
        }
    }

    /// How many more requests can be sent.
    pub(super) fn free(&self) -> usize {
        self.machine.free()
    }

    /// Sends a question. It comes back if the connection has no room, or has just been closed.
    pub(super) fn ask(&mut self, order: Order) -> Result<(), Order> {
        let now = self.now();
        order.sent.store(true, Ordering::Relaxed);
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
        let build = |id| {
            request.build(id, &self.secret).unwrap_or_else(|error| {
                failed = Some(error);
                Vec::new()
            })
        };
        match self.machine.send(build, now) {
            Ok(handle) => {
                self.waiting.insert(handle, order);
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

    /// Goes on until something was answered, so that there may be room for more, or the connection has ended: then it
    /// tells how, and [`Self::orphans`] what was not answered. Nothing is lost if it is dropped meanwhile.
    pub(super) async fn run(&mut self) -> Option<End> {
        let free = self.machine.free();
        loop {
            let answered = self.settle();
            self.transmit();
            if self.is_worn() && self.waiting.is_empty() && self.probing.is_empty() {
                self.end.get_or_insert(End::Idle);
            }
            // What could not be sent has ended it, too.
            if self.end.is_some() {
                return self.end.take();
            }
            // Ids also come back when their quarantine ends, or by late answers.
            if answered || self.machine.free() > free {
                return None;
            }
            let due = self.machine.poll_timeout().map(|due| self.born + due.0);
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
                    let now = self.now();
                    self.forget_unwanted(now);
                    self.machine.handle_timeout(now);
                }
            }
        }
    }

    /// What was not answered, once the connection has ended.
    pub(super) fn orphans(&mut self) -> Vec<Order> {
        let mut orders: Vec<Order> = self.waiting.drain().map(|(_, order)| order).collect();
        orders.append(&mut self.probing);
        orders
    }

    /// Says goodbye.
    pub(super) fn close(self) {
        match self.wire {
            Wire::Tls(stream) => stream.close(),
            Wire::Udp(_) => {}
        }
    }

    fn now(&self) -> Now {
        Now(self.born.elapsed())
    }

    fn heard(&mut self, read: Result<Read, TransportError>) {
        let now = self.now();
        match read {
            Ok(Read::Data) => {
                let (secret, unsigned) = (self.secret.clone(), self.unsigned_answers);
                let is_tls = matches!(self.wire, Wire::Tls(_));
                let doubt = &mut self.doubt;
                let verify = |request: &RawPacket, answer: &RawPacket| {
                    let verdict = verify(request, answer, &secret, is_tls || unsigned);
                    *doubt = verdict.err();
                    verdict
                };
                self.machine.receive(&self.buffer, now, verify);
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
                Event::Answer { handle, packet, .. } => {
                    self.alive = true;
                    self.reply(handle, Ok(packet));
                    answered = true;
                }
                Event::TimedOut(handle) => {
                    let doubt = self.doubt.map(|doubt| AttemptError::Ignored(wrong(doubt)));
                    self.reply(handle, Err(doubt.unwrap_or(AttemptError::ReplyTimeout)));
                    answered = true;
                }
                Event::ProbeDue => self.probe(),
                Event::Probed(packet) => {
                    self.alive = true;
                    for order in std::mem::take(&mut self.probing) {
                        let tls = self.tls.clone();
                        let packet = packet.clone();
                        _ = order.answer.send(Ok(Reply { packet, tls }));
                    }
                    answered = true;
                }
                // Also what is of an unknown code, or comes too late.
                Event::Unmatched(packet) => {
                    if Attributes::new(packet.attributes()).is_err()
                        && matches!(self.wire, Wire::Tls(_))
                    {
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

    fn reply(&mut self, handle: Handle, outcome: Result<RawPacket, AttemptError>) {
        if let Some(order) = self.waiting.remove(&handle) {
            let tls = self.tls.clone();
            let outcome = outcome.map(|packet| Reply { packet, tls });
            // Whoever asked may be gone.
            _ = order.answer.send(outcome);
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
            let queued = match &mut self.wire {
                Wire::Tls(stream) => stream.queue(packet.octets()),
                Wire::Udp(udp) => {
                    udp.out.push_back(packet);
                    Ok(())
                }
            };
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
        waiting.retain(|handle, order| {
            let wanted = !order.answer.is_closed();
            if !wanted {
                machine.cancel(*handle, now);
            }
            wanted
        });
    }
}

impl Wire {
    /// Sends what is queued and waits for octets. Nothing is lost if it is dropped meanwhile.
    async fn read(&mut self, into: &mut Vec<u8>) -> Result<Read, TransportError> {
        match self {
            Self::Tls(stream) => stream.read(into).await,
            Self::Udp(udp) => udp.read(into).await.map_err(TransportError::Io),
        }
    }
}

impl Udp {
    /// A socket of its own for each connection: its port tells the answers apart.
    async fn bind(server: &Server) -> Result<Self, TransportError> {
        let found = transport::addresses(&server.address).await?;
        let mut others = VecDeque::from(found);
        let socket = connect_first(&mut others).await;
        Ok(Self {
            socket: socket.map_err(TransportError::Connect)?,
            out: VecDeque::new(),
            others,
            sent: Vec::new(),
        })
    }

    async fn read(&mut self, into: &mut Vec<u8>) -> io::Result<Read> {
        loop {
            match self.turn(into).await {
                // Nobody is there: another address may do better.
                Err(error) if !self.others.is_empty() => {
                    tracing::debug!(%error, "the next address of the server is tried");
                    self.socket = connect_first(&mut self.others).await?;
                    self.out = std::mem::take(&mut self.sent).into();
                }
                turned => {
                    if turned? {
                        self.others.clear();
                        self.sent.clear();
                        return Ok(Read::Data);
                    }
                }
            }
        }
    }

    /// Waits for the socket; true if it gave something.
    async fn turn(&mut self, into: &mut Vec<u8>) -> io::Result<bool> {
        let mut interest = Interest::READABLE;
        if !self.out.is_empty() {
            interest |= Interest::WRITABLE;
        }
        let ready = self.socket.ready(interest).await?;
        if ready.is_writable()
            && let Some(packet) = self.out.front()
        {
            match self.socket.try_send(packet.octets()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
                Ok(_) => {
                    let packet = self.out.pop_front();
                    self.sent.extend(packet.filter(|_| !self.others.is_empty()));
                }
            }
        }
        if ready.is_readable() {
            into.resize(DATAGRAM, 0);
            match self.socket.try_recv(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => into.clear(),
                Err(error) => return Err(error),
                Ok(count) => {
                    into.truncate(count);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// A socket for the first address that has a way to it; those that were tried are taken out.
async fn connect_first(addresses: &mut VecDeque<SocketAddr>) -> io::Result<UdpSocket> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    while let Some(address) = addresses.pop_front() {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let connected = async {
            let socket = UdpSocket::bind(any).await?;
            socket.connect(address).await?;
            Ok(socket)
        };
        match connected.await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
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

fn wrong(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Malformed => "the answer is malformed: its attributes do not fill it",
        Refusal::Authenticator => {
            "the answer is not authentic: its Response Authenticator is wrong; is the shared secret the same on both sides?"
        }
        Refusal::MessageAuthenticator => {
            "the answer is not authentic: its Message-Authenticator is wrong, or missing over UDP, where somebody on the way could have made it"
        }
    }
}

/// What is wrong with an answer (RFC 6614bis section 3.11); `unsigned`: logins may be answered without a
/// Message-Authenticator.
fn verify(
    request: &RawPacket,
    answer: &RawPacket,
    secret: &Secret,
    unsigned: bool,
) -> Result<(), Refusal> {
    let attributes = Attributes::new(answer.attributes()).map_err(|_| Refusal::Malformed)?;
    let asked = &request.header().authenticator;
    if !authenticator::answer_is_right(answer, asked, secret) {
        return Err(Refusal::Authenticator);
    }
    let signed =
        |asked| authenticator::message_authenticator(answer, &attributes, Some(asked), secret);
    match signed(asked) {
        MessageAuthenticator::Right => Ok(()),
        // No RFC says how that of an Accounting-Response is made: some take zeros in place of the request's authenticator.
        MessageAuthenticator::Wrong
            if answer.header().code == Code::ACCOUNTING_RESPONSE
                && signed(&[0; 16]) == MessageAuthenticator::Right =>
        {
            Ok(())
        }
        MessageAuthenticator::Absent
            if unsigned || request.header().code != Code::ACCESS_REQUEST =>
        {
            Ok(())
        }
        MessageAuthenticator::Absent | MessageAuthenticator::Wrong => {
            Err(Refusal::MessageAuthenticator)
        }
    }
}

/// Long enough for a server to take a connection's end.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);
