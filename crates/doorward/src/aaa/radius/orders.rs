//! Orders to devices: Disconnect-Request and CoA-Request (RFC 5176), down the connection that the device has opened.
//!
//! ```text
//! Orders::give ─▶ the Desk of the device's newest connection ─▶ Clerk: packet ─▶ machine ─▶ device
//!      ▲                                                              │
//!      └──────────────── ACK, NAK, or why there is none ◀─────────────┘ its answer, proved
//! ```
//!
//! A connection has a desk as long as it is served. Identifiers are its own, apart from those of the device's requests. Over
//! DTLS an order without an answer is given again, the same packet each time (RFC 5080 section 2.2.1).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::authenticator::{
    MessageAuthenticator, answer_is_right, message_authenticator,
};
use doorward_radius::build::{BuildError, PacketBuilder};
use doorward_radius::server::ServerConnection;
use doorward_radius::{Code, RawPacket, Secret};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout};

/// The first wait for an answer over DTLS; each one after it is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Orders that wait at once, at most: the control socket has other things to do too.
const AT_ONCE: usize = 8;
/// Orders of one connection without an answer, at most.
const UNDER_WAY: usize = 64;

/// An attribute of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderAttribute {
    /// Of this vendor, or of the IETF.
    pub vendor: Option<u32>,
    /// Its number; with that of its extension where it is one.
    pub path: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// What a device is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// End a session, rather than change it.
    pub disconnect: bool,
    /// Which session, and to what.
    pub attributes: Vec<OrderAttribute>,
    /// Given where the operator says no other time.
    pub event_timestamp: u32,
}

impl Order {
    fn code(&self) -> Code {
        match self.disconnect {
            true => Code::DISCONNECT_REQUEST,
            false => Code::COA_REQUEST,
        }
    }

    /// The packet, with its authenticators.
    ///
    /// # Errors
    /// The attributes do not fit.
    pub fn packet(&self, id: u8, secret: &Secret) -> Result<Vec<u8>, BuildError> {
        let mut builder = PacketBuilder::request(self.code(), id, [0; 16]);
        builder.message_authenticator()?;
        let plain =
            |number: u8| move |one: &OrderAttribute| one.vendor.is_none() && one.path == [number];
        if !self.attributes.iter().any(plain(kind::EVENT_TIMESTAMP)) {
            builder.push_integer(kind::EVENT_TIMESTAMP, self.event_timestamp)?;
        }
        for attribute in &self.attributes {
            match (attribute.vendor, attribute.path.as_slice()) {
                (None, [number]) => builder.push(*number, &attribute.value)?,
                (None, [number, extended]) => {
                    builder.push_extended(*number, *extended, &attribute.value)?
                }
                (Some(vendor), [number]) => {
                    builder.push_vendor(vendor, *number, &attribute.value)?
                }
                _ => return Err(BuildError::Kind),
            };
        }
        Ok(builder.finish(secret))
    }
}

/// What a device answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obeyed {
    /// ACK, rather than NAK.
    pub acknowledged: bool,
    /// Error-Cause, if there is one.
    pub cause: Option<u32>,
    /// Octets of the attributes.
    pub attributes: Vec<u8>,
}

/// Why an order has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The device has no RadSec connection open.
    NoConnection,
    /// It did not answer in time.
    Silent,
    /// Its connection went away before an answer.
    Gone,
    /// It does not know such packets (Protocol-Error, RFC 7930).
    Unknown,
    /// The attributes do not fit into a packet.
    TooLong,
    /// Too many orders are under way.
    Busy,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoConnection => "the device has no RadSec connection open to this server",
            Self::Silent => "the device did not answer in time",
            Self::Gone => "the device's connection ended before it answered",
            Self::Unknown => "the device does not know such packets (Protocol-Error)",
            Self::TooLong => "the attributes do not fit into one packet",
            Self::Busy => "too many orders are under way, and wait for their answers",
        })
    }
}

/// The desks of all devices.
#[derive(Debug)]
pub struct Orders {
    desks: Mutex<HashMap<Arc<str>, Vec<Weak<Desk>>>>,
    /// Places for those that wait for an answer.
    places: Semaphore,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            desks: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
        }
    }
}

impl Orders {
    /// Has a device told something, and waits for its answer.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn give(
        &self,
        device: &str,
        order: &Order,
        patience: Duration,
    ) -> Result<Obeyed, Unanswered> {
        let _place = self.places.try_acquire().map_err(|_| Unanswered::Busy)?;
        let Some(desk) = self.newest(device) else {
            return Err(Unanswered::NoConnection);
        };
        let (answer, mut answered) = oneshot::channel();
        let number = desk.put(order.clone(), answer);
        let end = Instant::now() + patience;
        let mut wait = if desk.lossy { FIRST_WAIT } else { patience };
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                desk.forget(number);
                return Err(Unanswered::Silent);
            }
            match timeout(wait.min(left), &mut answered).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(_)) => return Err(Unanswered::Gone),
                Err(_) if Instant::now() < end => {
                    desk.again(number);
                    wait = wait.saturating_mul(2);
                }
                Err(_) => {}
            }
        }
    }

    /// The desk of the device's newest connection.
    fn newest(&self, device: &str) -> Option<Arc<Desk>> {
        self.desks()
            .get(device)?
            .iter()
            .rev()
            .find_map(Weak::upgrade)
    }

    /// A desk for a connection of a device; it is there until it is dropped.
    pub(super) fn open(&self, device: &Arc<str>, lossy: bool) -> Arc<Desk> {
        let desk = Arc::new(Desk {
            lossy,
            inner: Mutex::default(),
        });
        let mut desks = self.desks();
        let of_device = desks.entry(Arc::clone(device)).or_default();
        of_device.retain(|one| one.strong_count() > 0);
        of_device.push(Arc::downgrade(&desk));
        desk
    }

    /// The connection is over: what it has not answered has no answer.
    pub(super) fn close(&self, device: &Arc<str>, desk: &Arc<Desk>) {
        let mut inner = desk.inner();
        inner.closed = true;
        let unheard = std::mem::take(&mut inner.waiting);
        drop((inner, unheard));
        let mut desks = self.desks();
        if let Some(of_device) = desks.get_mut(device) {
            of_device.retain(|one| !std::ptr::eq(one.as_ptr(), Arc::as_ptr(desk)));
            if of_device.is_empty() {
                desks.remove(device);
            }
        }
    }

    fn desks(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Weak<Desk>>>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Answer = oneshot::Sender<Result<Obeyed, Unanswered>>;

/// Where the orders for one connection lie.
#[derive(Debug)]
pub(super) struct Desk {
    lossy: bool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    number: u64,
    waiting: Vec<Waiting>,
    task: Option<Waker>,
    /// The connection is over.
    closed: bool,
}

#[derive(Debug)]
enum Waiting {
    Order(u64, Order, Answer),
    Again(u64),
    Forget(u64),
}

impl Desk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, order: Order, answer: Answer) -> u64 {
        let mut inner = self.inner();
        inner.number += 1;
        let number = inner.number;
        Self::leave(inner, Waiting::Order(number, order, answer));
        number
    }

    fn again(&self, number: u64) {
        Self::leave(self.inner(), Waiting::Again(number));
    }

    fn forget(&self, number: u64) {
        Self::leave(self.inner(), Waiting::Forget(number));
    }

    fn leave(mut inner: MutexGuard<'_, Inner>, what: Waiting) {
        if inner.closed {
            return;
        }
        inner.waiting.push(what);
        let task = inner.task.take();
        drop(inner);
        if let Some(task) = task {
            task.wake();
        }
    }

    fn take(&self, cx: &Context<'_>) -> Vec<Waiting> {
        let mut inner = self.inner();
        if !inner
            .task
            .as_ref()
            .is_some_and(|task| task.will_wake(cx.waker()))
        {
            inner.task = Some(cx.waker().clone());
        }
        std::mem::take(&mut inner.waiting)
    }
}

/// An order that was given and has no answer.
struct Given {
    number: u64,
    packet: RawPacket,
    answer: Answer,
}

/// Gives the orders of one connection.
pub(super) struct Clerk {
    desk: Arc<Desk>,
    given: Vec<Given>,
    next: u8,
}

/// What an answer that was asked for, or not, comes to.
pub(super) enum Heard {
    /// It was one to an order.
    Taken,
    /// Nobody asked for it.
    Unasked,
    /// Its authenticator is wrong, or its Message-Authenticator.
    Forged(&'static str),
}

impl Clerk {
    pub(super) fn new(desk: Arc<Desk>) -> Self {
        Self {
            desk,
            given: Vec::new(),
            next: 0,
        }
    }

    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.given.is_empty()
    }

    /// Gives what has come in; true when there was something to send.
    pub(super) fn give(
        &mut self,
        cx: &Context<'_>,
        machine: &mut ServerConnection,
        secret: &Secret,
    ) -> bool {
        let mut sent = false;
        for waiting in self.desk.take(cx) {
            match waiting {
                Waiting::Order(number, order, answer) => {
                    sent |= self.begin(number, &order, answer, machine, secret);
                }
                Waiting::Again(number) => {
                    let given = self.given.iter().find(|one| one.number == number);
                    if let Some(given) = given {
                        machine.ask(given.packet.clone());
                        sent = true;
                    }
                }
                Waiting::Forget(number) => self.given.retain(|one| one.number != number),
            }
        }
        sent
    }

    fn begin(
        &mut self,
        number: u64,
        order: &Order,
        answer: Answer,
        machine: &mut ServerConnection,
        secret: &Secret,
    ) -> bool {
        if self.given.len() >= UNDER_WAY {
            // Whoever asked may have gone.
            _ = answer.send(Err(Unanswered::Busy));
            return false;
        }
        let id = self.free_id();
        let packet = order.packet(id, secret).ok();
        let packet = packet.and_then(|octets| RawPacket::new(octets).ok());
        let Some(packet) = packet else {
            // Whoever asked may have gone.
            _ = answer.send(Err(Unanswered::TooLong));
            return false;
        };
        machine.ask(packet.clone());
        self.given.push(Given {
            number,
            packet,
            answer,
        });
        true
    }

    /// An identifier that no order has which is waiting for its answer.
    fn free_id(&mut self) -> u8 {
        loop {
            self.next = self.next.wrapping_add(1);
            let taken = |one: &Given| one.packet.header().id == self.next;
            if !self.given.iter().any(taken) {
                return self.next;
            }
        }
    }

    /// Takes a packet whose code is that of an answer.
    pub(super) fn hear(
        &mut self,
        packet: &RawPacket,
        attributes: &Attributes<'_>,
        secret: &Secret,
    ) -> Heard {
        let header = packet.header();
        let fits = |one: &Given| {
            let codes = match one.packet.header().code {
                Code::DISCONNECT_REQUEST => [Code::DISCONNECT_ACK, Code::DISCONNECT_NAK],
                _ => [Code::COA_ACK, Code::COA_NAK],
            };
            let known = codes.contains(&header.code) || header.code == Code::PROTOCOL_ERROR;
            known && one.packet.header().id == header.id
        };
        let Some(place) = self.given.iter().position(fits) else {
            return Heard::Unasked;
        };
        let request = self
            .given
            .get(place)
            .map(|one| one.packet.header().authenticator);
        let request = request.unwrap_or_default();
        if !answer_is_right(packet, &request, secret) {
            return Heard::Forged("wrong Response Authenticator");
        }
        match message_authenticator(packet, attributes, Some(&request), secret) {
            MessageAuthenticator::Right | MessageAuthenticator::Absent => {}
            _ => return Heard::Forged("wrong Message-Authenticator"),
        }
        let given = self.given.swap_remove(place);
        let cause = attributes.first(kind::ERROR_CAUSE);
        let cause = cause.and_then(|value| Some(u32::from_be_bytes(value.try_into().ok()?)));
        // Whoever asked may have gone.
        _ = given.answer.send(match header.code {
            Code::PROTOCOL_ERROR => Err(Unanswered::Unknown),
            code => Ok(Obeyed {
                acknowledged: [Code::DISCONNECT_ACK, Code::COA_ACK].contains(&code),
                cause,
                attributes: packet.attributes().to_vec(),
            }),
        });
        Heard::Taken
    }
}
