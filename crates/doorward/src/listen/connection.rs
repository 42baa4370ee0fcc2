//! One connection of TACACS+ or RADIUS, plain or TLS, or one association of DTLS: a future that does a whole turn in one poll.
//!
//! ```text
//! socket → (TLS) → ServerConnection → Event → aaa::{tacacs, radius}::Service → answer → ServerConnection → (TLS) → socket
//! ```
//!
//! A turn reads what is there, hands every complete packet to the service, submits all accounting records of the turn as one
//! batch, and writes all replies with one call. The buffers for reading belong to the thread, so that an idle connection
//! keeps only its state.

mod establish;
mod line;
mod reading;
mod recheck;
mod serving;

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use doorward_tacacs::Now;
use doorward_tls::{ServerChannel, Trust};
use tokio::time::{Instant, Sleep};

use super::inquiry::Asked;
use super::limits::{Drain, Present};
use super::peer::refusal;
use super::room::Seat;
use super::wire::{Gone, Wire};
use super::{Open, Slot};
use crate::aaa::Refused;
use crate::config::Listener;
use crate::metrics::Turn as Answers;
pub(super) use establish::today;
use serving::Serving;

/// Octets read from the socket at once: a whole TLS record and a bit.
const READ: usize = 17 * 1024;
/// Reads in one turn, so that one busy peer does not keep a worker from the others.
const READS_PER_TURN: usize = 8;
/// How long a closing connection waits for the peer's FIN, so that a reset does not overtake our last reply.
const LINGER: Duration = Duration::from_secs(3);
/// How long a peer may leave our octets untaken where no `idle_timeout` says so.
const STALLED: Duration = Duration::from_secs(300);
thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers { wire: vec![0; READ].into_boxed_slice(), clear: Vec::new(), replies: Vec::new(), turn: Answers::default() });
}

struct Buffers {
    wire: Box<[u8]>,
    clear: Vec<u8>,
    replies: Vec<u8>,
    turn: Answers,
}

/// A connection from accept to close.
pub(super) struct Connection {
    open: Arc<Open>,
    peer: SocketAddr,
    wire: Wire,
    channel: Option<Box<ServerChannel>>,
    stage: Stage,
    origin: Instant,
    timer: Pin<Box<Sleep>>,
    drain: Pin<Box<dyn Future<Output = ()> + Send>>,
    listening_for_drain: bool,
    draining: bool,
    recheck: recheck::Recheck,
    seat: Seat,
    /// `make_room`: a place is wanted from those that are idle.
    make_room: bool,
    _present: Present,
}

enum Stage {
    Handshake {
        deadline: Instant,
        /// When the last flight is sent again, over DTLS.
        repeat: Option<Instant>,
        slot: Slot,
    },
    /// The handshake is over, and nothing of the peer is processed before its OCSP responder has answered.
    Held {
        asked: Asked,
        /// Has the answers.
        trust: Arc<Trust>,
        /// What the peer has said over DTLS meanwhile.
        heard: Vec<Vec<u8>>,
        _slot: Slot,
    },
    Serving(Box<Serving>),
    Lingering {
        deadline: Instant,
    },
}

impl Stage {
    fn lingering() -> Self {
        Self::Lingering {
            deadline: Instant::now() + LINGER,
        }
    }
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
    fn new(
        open: Arc<Open>,
        wire: Wire,
        peer: SocketAddr,
        channel: Option<Box<ServerChannel>>,
        stage: Stage,
        settings: &Listener,
        (slot, origin): (Slot, Instant),
    ) -> Self {
        let present = open.shared.drain.enter();
        let drain = Drain::either(&open.shared.drain, &open.ended);
        let recheck = recheck::Recheck::new(&open.shared.sweep);
        let seat = Seat::new(&open.room, slot);
        Self {
            open,
            peer,
            wire,
            channel,
            stage,
            origin,
            timer: Box::pin(tokio::time::sleep_until(origin)),
            drain,
            listening_for_drain: false,
            draining: false,
            recheck,
            seat,
            make_room: settings.make_room,
            _present: present,
        }
    }

    fn now(&self) -> Now {
        Now(self.origin.elapsed())
    }

    fn turn(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers) -> Result<Turn, Broken> {
        if !self.draining && self.drain_begins(cx) {
            self.draining = true;
            match &mut self.stage {
                Stage::Serving(serving) => serving.drain(),
                Stage::Handshake { .. } => return Err(Broken::Gone),
                // It thinks that it is served.
                Stage::Held { .. } => self.say_goodbye(),
                Stage::Lingering { .. } => {}
            }
        }
        self.give_way();
        self.expire()?;
        if self.recheck.is_due(cx, &self.open.shared.sweep) {
            self.judge_again();
        }
        if let Stage::Held { .. } = self.stage {
            return self.held(cx, buffers);
        }
        if let Stage::Lingering { .. } = self.stage {
            return self.linger(cx, buffers);
        }
        // What could not be written last time goes first; while the peer does not read, it is not read from.
        if !self.wire.write(cx)? {
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
            // Before the peer has its reply: it is idle for whoever comes then.
            self.note_idle(cx);
            // The last replies of a connection leave together with its FIN.
            if self.is_finished() || !self.wire.write(cx)? {
                break;
            }
            if !self.wants_read() || !self.read(cx, buffers)? {
                break;
            }
            reads += 1;
            if reads == READS_PER_TURN {
                cx.waker().wake_by_ref();
                self.serve(cx, buffers)?;
                self.wire.write(cx)?;
                break;
            }
        }
        match self.stage {
            Stage::Lingering { .. } => return self.linger(cx, buffers),
            Stage::Held { .. } => return self.held(cx, buffers),
            Stage::Handshake { .. } | Stage::Serving(_) => {}
        }
        if self.is_finished() {
            return self.close(cx, buffers);
        }
        self.wait(cx)
    }

    /// Ends a connection whose place a new one has. What was read of it is answered first; what is still in the socket then is
    /// not read any more, and its client asks again on another connection, as after any close.
    fn give_way(&mut self) {
        if self.draining || !self.seat.is_given_away() {
            return;
        }
        self.draining = true;
        let now = self.now();
        if let Stage::Serving(serving) = &mut self.stage {
            serving.gives_way(&self.open, self.peer, now);
            serving.drain();
        }
    }

    /// Takes its place among those that are idle, or leaves it.
    fn note_idle(&mut self, cx: &mut Context<'_>) {
        let since = match &self.stage {
            Stage::Serving(serving) if self.make_room => serving.idle_since(),
            Stage::Serving(_)
            | Stage::Handshake { .. }
            | Stage::Held { .. }
            | Stage::Lingering { .. } => None,
        };
        let since = since.map(|since| self.origin + since.0);
        self.seat.idle_since(since, cx.waker());
    }

    /// The turn is over. One whose peer does not take what it asked for could not close, so that it is not idle.
    fn rest(&mut self, cx: &mut Context<'_>) {
        if self.wire.out.is_empty() {
            self.note_idle(cx);
        } else {
            self.seat.idle_since(None, cx.waker());
        }
    }

    /// Waits for the OCSP responder; then the peer is served, with what it has said already, or refused.
    fn held(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers) -> Result<Turn, Broken> {
        self.listen_while_held(cx, buffers)?;
        // What ends the handshake on the peer's side has to leave.
        self.wire.write(cx)?;
        if let Stage::Held { asked, heard, .. } = &mut self.stage
            && asked.as_mut().poll(cx).is_ready()
        {
            let heard = std::mem::take(heard);
            self.status_is_known();
            let now = self.now();
            if let Stage::Serving(serving) = &mut self.stage {
                heard.iter().for_each(|record| serving.receive(record, now));
            }
            self.take_plain(cx, buffers)?;
            cx.waker().wake_by_ref();
            return Ok(Turn::Wait);
        }
        self.wait(cx)
    }

    /// Whether the server stops or the listener is closed. The signal is asked for once, with the waker of the task, which stays
    /// the same; after that a turn costs two loads and no lock that all connections share.
    fn drain_begins(&mut self, cx: &mut Context<'_>) -> bool {
        if self.listening_for_drain
            && !self.open.shared.drain.has_begun()
            && !self.open.ended.has_begun()
        {
            return false;
        }
        self.listening_for_drain = true;
        self.drain.as_mut().poll(cx).is_ready()
    }

    fn wants_read(&self) -> bool {
        match &self.stage {
            Stage::Handshake { .. } => true,
            Stage::Serving(serving) => serving.wants_read(),
            Stage::Held { .. } | Stage::Lingering { .. } => false,
        }
    }

    fn is_finished(&self) -> bool {
        matches!(&self.stage, Stage::Serving(serving) if serving.is_finished())
    }

    /// Hands packets to the service and its answers to the machine, until neither has more.
    fn serve(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers) -> Result<(), Broken> {
        let now = self.now();
        let Stage::Serving(serving) = &mut self.stage else {
            return Ok(());
        };
        let answers = &mut buffers.turn;
        answers.begin(now.0);
        serving.serve(cx, now, answers);
        let channel = self.channel.as_deref_mut();
        serving.transmit(channel, &mut buffers.replies, &mut self.wire.out)?;
        // The replies are ready to be written, all with one call.
        let origin = self.origin;
        answers.finish(&self.open.aaa.metrics.durations, || origin.elapsed());
        Ok(())
    }

    fn expire(&mut self) -> Result<(), Broken> {
        let now = self.now();
        if self
            .wire
            .given_up()
            .is_some_and(|when| when <= Instant::now())
        {
            return Err(Broken::Refused(Refused::NotReading, String::new()));
        }
        match &mut self.stage {
            Stage::Handshake { deadline, .. } if Instant::now() >= *deadline => {
                let stalled = self.channel.as_ref().and_then(|channel| channel.stalled());
                Err(match stalled {
                    Some(error) => Broken::Refused(refusal(&error), error.to_string()),
                    None => Broken::Refused(Refused::HandshakeTimeout, String::new()),
                })
            }
            Stage::Handshake { repeat, .. } if repeat.is_some_and(|at| Instant::now() >= at) => {
                self.repeat_flight()
            }
            Stage::Lingering { deadline, .. } if Instant::now() >= *deadline => Err(Broken::Gone),
            Stage::Serving(serving) => {
                if serving.poll_timeout().is_some_and(|when| when <= now) {
                    serving.handle_timeout(now);
                }
                Ok(())
            }
            Stage::Handshake { .. } | Stage::Held { .. } | Stage::Lingering { .. } => Ok(()),
        }
    }

    /// Arms the timer and goes to sleep.
    fn wait(&mut self, cx: &mut Context<'_>) -> Result<Turn, Broken> {
        let wanted = match &self.stage {
            Stage::Handshake {
                deadline, repeat, ..
            } => Some(repeat.map_or(*deadline, |at| at.min(*deadline))),
            Stage::Lingering { deadline, .. } => Some(*deadline),
            Stage::Serving(serving) => serving.poll_timeout().map(|when| self.origin + when.0),
            // Its questions have their own deadline.
            Stage::Held { .. } => None,
        };
        let others = self.wire.given_up().into_iter().chain(self.recheck.at());
        let Some(wanted) = wanted.into_iter().chain(others).min() else {
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

    /// Closes: the machine wants no more, its last replies are written.
    fn close(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers) -> Result<Turn, Broken> {
        self.serve(cx, buffers)?;
        if let Stage::Serving(serving) = &mut self.stage {
            serving.count_end(&self.open, self.peer);
        }
        self.say_goodbye();
        self.linger(cx, buffers)
    }

    /// Ends what is served; close_notify goes out with what is left.
    fn say_goodbye(&mut self) {
        if let Stage::Serving(serving) = &mut self.stage {
            serving.closed();
        }
        if let Some(channel) = &mut self.channel {
            channel.close();
            channel.drain(&mut self.wire.out);
        }
        self.stage = Stage::lingering();
    }

    /// Waits for the peer's FIN, but not for long.
    fn linger(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers) -> Result<Turn, Broken> {
        if self.wire.finish(cx, &mut buffers.wire)? {
            return Ok(Turn::Done);
        }
        self.wait(cx)
    }
}

impl From<Gone> for Broken {
    fn from(Gone: Gone) -> Self {
        Self::Gone
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
            Ok(Turn::Wait) => {
                connection.rest(cx);
                Poll::Pending
            }
            Ok(Turn::Done) => Poll::Ready(()),
            Err(broken) => {
                if let Broken::Refused(reason, detail) = broken {
                    if let Stage::Handshake { .. } = connection.stage {
                        connection.open.aaa.metrics.handshakes.failed.add(reason);
                    }
                    connection.open.refuse(reason, connection.peer, &detail);
                }
                if let Stage::Serving(serving) = &mut connection.stage {
                    serving.closed();
                }
                Poll::Ready(())
            }
        }
    }
}
