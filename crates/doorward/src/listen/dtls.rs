//! RADIUS/DTLS: one task for each socket, which gives every datagram to the association of its 5-tuple.
//!
//! ```text
//! datagram → is there an association between these two ends? → its inbox → Connection
//!          → source permitted? → ClientHello? → cookie? ─ no ─▶ HelloVerifyRequest, nothing is kept
//!                                                └ yes ▶ room? → a Connection of its own
//! ```
//!
//! An association is a [`Connection`](super::connection::Connection) whose wire is its [`Share`] of the socket. A hello between
//! two ends that have one goes to it like any datagram, and is dropped there: nobody else can end or replace it (RFC
//! 6614bis section 6.5.1.1). The task lives until the last association is over.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use doorward_tls::hello::{ClientHello, Cookies, First};
use doorward_tls::{datagrams, is_dtls};
use tokio::time::{Instant, Sleep};

use super::connection::Connection;
use super::datagrams::{Datagrams, Ends, Outlet};
use super::limits::{Drain, Present, Slot};
use super::woken::Woken;
use super::{EXHAUSTED, LAST_DAY_OVER, Open, last_day};
use crate::aaa::{Refused, Snapshot};
use crate::config::contains;

/// Octets of the longest datagram that is read: a record with the longest packet and as much padding.
const DATAGRAM: usize = 9 * 1024;
/// Datagrams in one turn, so that a flood does not keep a worker from everything else.
const DATAGRAMS_PER_TURN: usize = 64;
/// Datagrams that wait for one association, at most; what comes then is lost, as on any network.
const WAITING: usize = 64;
/// Datagrams that are sent with one call, at most; the kernel takes 64, and 65,507 octets.
const AT_ONCE: usize = 15;

/// Serves until the server stops, the listener is closed or its last day has passed; then until the last association is over.
pub(super) async fn serve(open: Arc<Open>, datagrams: Datagrams) {
    let Some(cookies) = Cookies::new(Duration::ZERO) else {
        let error = io::Error::other("the system gives no random octets");
        return open.aaa.accept_failed(&open.name, &error);
    };
    let cookies = cookies.with_own_hellos(Arc::clone(&open.aaa.own_hellos));
    let ends = Drain::either(&open.shared.drain, &open.ended);
    let mut socket = Socket::new(Arc::clone(&open), datagrams, cookies);
    tokio::select! {
        () = &mut socket => {}
        () = ends => {}
        () = last_day(&open) => {
            tracing::warn!(listener = &*open.name, "{LAST_DAY_OVER}");
            open.ended.begin();
        }
    }
    socket.draining = true;
    socket.await;
}

/// What waits for one association.
#[derive(Default)]
struct Inbox(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    datagrams: VecDeque<Vec<u8>>,
    task: Option<Waker>,
}

impl Inbox {
    fn put(&self, datagram: &[u8]) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.datagrams.len() >= WAITING {
            return;
        }
        waiting.datagrams.push_back(datagram.to_vec());
        let task = waiting.task.take();
        drop(waiting);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// All that waits.
    fn poll_take(&self, cx: &mut Context<'_>) -> Poll<VecDeque<Vec<u8>>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.datagrams.is_empty() {
            waiting.task = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(std::mem::take(&mut waiting.datagrams))
    }
}

/// An association's share of the socket. The socket forgets the association when it is dropped.
pub(super) struct Share {
    ends: Ends,
    serial: u64,
    inbox: Arc<Inbox>,
    /// Taken from the inbox and not read yet; an idle association keeps no buffer for it.
    taken: VecDeque<Vec<u8>>,
    /// Gone when the task of the socket was stopped.
    outlet: Weak<Outlet>,
    over: Arc<Woken<(Ends, u64)>>,
}

impl Share {
    /// The next datagram, with its length in `buffer`; what does not fit is lost.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<usize> {
        if self.taken.is_empty() {
            self.taken = match self.inbox.poll_take(cx) {
                Poll::Ready(taken) => taken,
                Poll::Pending => return Poll::Pending,
            };
        }
        let datagram = self.taken.pop_front().unwrap_or_default();
        if self.taken.is_empty() {
            self.taken = VecDeque::new();
        }
        let length = datagram.len().min(buffer.len());
        if let (Some(room), Some(octets)) = (buffer.get_mut(..length), datagram.get(..length)) {
            room.copy_from_slice(octets);
        }
        Poll::Ready(length)
    }

    /// Sends records, neighbours of one length with one call.
    pub(super) fn send(&self, records: &[u8]) {
        let mut rest = records;
        while let Some(first) = datagrams(rest).next() {
            let same = datagrams(rest).take_while(|one| one.len() == first.len());
            let count = same.take(AT_ONCE).count();
            let (run, others) = rest
                .split_at_checked(count * first.len())
                .unwrap_or((rest, &[]));
            if let Some(outlet) = self.outlet.upgrade() {
                outlet.send_run(run, first.len(), &self.ends);
            }
            rest = others;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.over.add((self.ends, self.serial));
    }
}

/// The task of one socket.
struct Socket {
    open: Arc<Open>,
    datagrams: Datagrams,
    buffer: Box<[u8]>,
    cookies: Cookies,
    associations: HashMap<Ends, (u64, Arc<Inbox>)>,
    serial: u64,
    over: Arc<Woken<(Ends, u64)>>,
    gone: Vec<(Ends, u64)>,
    origin: Instant,
    timer: Pin<Box<Sleep>>,
    /// Not read before, because the operating system reported a fault.
    paused: Option<Instant>,
    draining: bool,
    _present: Present,
}

impl Socket {
    fn new(open: Arc<Open>, datagrams: Datagrams, cookies: Cookies) -> Self {
        let origin = Instant::now();
        Self {
            _present: open.shared.drain.enter(),
            open,
            datagrams,
            buffer: vec![0; DATAGRAM].into_boxed_slice(),
            cookies,
            associations: HashMap::new(),
            serial: 0,
            over: Arc::default(),
            gone: Vec::new(),
            origin,
            timer: Box::pin(tokio::time::sleep_until(origin)),
            paused: None,
            draining: false,
        }
    }

    /// Forgets the associations that are over.
    fn forget(&mut self, cx: &mut Context<'_>) {
        self.over.take(cx.waker(), &mut self.gone);
        for (ends, serial) in self.gone.drain(..) {
            let known = self.associations.get(&ends);
            if known.is_some_and(|(known, _)| *known == serial) {
                self.associations.remove(&ends);
            }
        }
    }

    /// Takes the datagrams that are there.
    fn receive(&mut self, cx: &mut Context<'_>) {
        if self.is_paused(cx) {
            return;
        }
        let snapshot = self.open.aaa.snapshot();
        for _ in 0..DATAGRAMS_PER_TURN {
            match self.datagrams.poll_receive(cx, &mut self.buffer) {
                Poll::Ready(Ok((length, ends))) => self.datagram(length, ends, &snapshot),
                Poll::Ready(Err(error)) => {
                    self.open.aaa.accept_failed(&self.open.name, &error);
                    self.paused = Some(Instant::now() + EXHAUSTED);
                    cx.waker().wake_by_ref();
                    return;
                }
                Poll::Pending => return,
            }
        }
        cx.waker().wake_by_ref();
    }

    fn is_paused(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(until) = self.paused else {
            return false;
        };
        self.timer.as_mut().reset(until);
        let waits = self.timer.as_mut().poll(cx).is_pending();
        if !waits {
            self.paused = None;
        }
        waits
    }

    fn datagram(&mut self, length: usize, ends: Ends, snapshot: &Arc<Snapshot>) {
        let datagram = self.buffer.get(..length).unwrap_or_default();
        // Of anything else not a word is said, and nothing is kept: not even a line of the log.
        if !is_dtls(datagram) {
            return;
        }
        if let Some((_, inbox)) = self.associations.get(&ends) {
            return inbox.put(datagram);
        }
        if self.draining {
            return;
        }
        let peer = ends.canonical();
        let Some(settings) = self.open.key.find(snapshot) else {
            return;
        };
        if !settings.from.is_empty() && !contains(&settings.from, peer.ip()) {
            return self.open.refuse(Refused::SourceAddress, peer, "");
        }
        let now = self.origin.elapsed();
        match self.cookies.judge(datagram, &ends.octets(), now) {
            First::Nothing => {}
            First::Verify(answer) => self.datagrams.outlet().send(&answer, &ends),
            First::Refused(error) => {
                let error = doorward_tls::HandshakeError::Hello(error);
                let reason = super::peer::refusal(&error);
                self.open.aaa.metrics.handshakes.failed.add(reason);
                self.open.refuse(reason, peer, &error.to_string());
            }
            First::Own(alert) => {
                self.datagrams.outlet().send(&alert, &ends);
                self.open.aaa.metrics.handshakes.failed.add(Refused::Loop);
                self.open.refuse(Refused::Loop, peer, "");
            }
            First::Proved(hello) => {
                if let Err(reason) = self.begin(hello, length, (ends, peer), snapshot) {
                    self.open.refuse(reason, peer, "");
                }
            }
        }
    }

    /// Gives the sender of a good cookie an association, if there is room.
    fn begin(
        &mut self,
        hello: Box<ClientHello>,
        length: usize,
        (ends, peer): (Ends, SocketAddr),
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Refused> {
        let settings = self.open.settings(snapshot);
        let slot = Slot::take(&self.open.connections, settings.max_connections);
        if slot.is_none() && !settings.make_room {
            return Err(Refused::TooManyConnections);
        }
        let slots = self.open.slots_for_handshake(settings, slot)?;
        self.serial = self.serial.wrapping_add(1);
        let inbox = Arc::<Inbox>::default();
        let share = Share {
            ends,
            serial: self.serial,
            inbox: Arc::clone(&inbox),
            taken: VecDeque::new(),
            outlet: Arc::downgrade(self.datagrams.outlet()),
            over: Arc::clone(&self.over),
        };
        let datagram = self.buffer.get(..length).unwrap_or_default();
        let connection = Connection::datagrams(
            Arc::clone(&self.open),
            snapshot,
            settings,
            (share, peer),
            (hello, datagram),
            slots,
        );
        self.associations.insert(ends, (self.serial, inbox));
        tokio::spawn(connection);
        Ok(())
    }
}

impl Future for Socket {
    type Output = ();

    /// One turn; ready once it is draining and no association is left.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.forget(cx);
        if self.draining && self.associations.is_empty() {
            return Poll::Ready(());
        }
        self.receive(cx);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_wakes_its_task_and_loses_what_is_too_much() {
        let inbox = Inbox::default();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(inbox.poll_take(&mut cx).is_pending());
        for number in 0..=WAITING {
            inbox.put(&[u8::try_from(number).unwrap()]);
        }
        let number = |number| vec![u8::try_from(number).unwrap()];
        let all: VecDeque<Vec<u8>> = (0..WAITING).map(number).collect();
        assert_eq!(inbox.poll_take(&mut cx), Poll::Ready(all));
        assert!(inbox.poll_take(&mut cx).is_pending());
    }
}
