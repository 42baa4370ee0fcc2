//! What is asked, on its way through the connections.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use doorward_radius::server::Refusal;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Ask;
use super::error::AttemptError;
use super::link::Outcome;
use super::verdict::wrong;

/// Something to ask, and who waits for the answer.
pub(super) struct Order {
    pub(super) question: Question,
    pub(super) answer: oneshot::Sender<Outcome>,
    pub(super) losses: Losses,
    /// For whoever tires of waiting.
    pub(super) progress: Arc<Progress>,
}

/// With which connections an order was lost so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    /// When the first one was.
    first: Option<Instant>,
    /// Those since then that had probably ended, too, when it was sent.
    unread: u8,
    /// The time for an answer, as if the first connection had lived.
    until: Option<Instant>,
}

/// A connection that was lost, as one of the orders on it sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    /// When the connection was made.
    pub(super) made: Instant,
    /// The server has said nothing that shows that it has read the order.
    pub(super) unread: bool,
}

impl Losses {
    /// It was sent, and has an answer after this time or none.
    pub(super) fn sent(&mut self, reply_timeout: Duration) {
        self.until
            .get_or_insert_with(|| Instant::now() + reply_timeout);
    }

    /// Counts one more; false if it was one too many. A request may be what the server ends connections for, so that it is
    /// sent on one other connection; but one that was there already may have ended together with the first, unnoticed.
    pub(super) fn bear(&mut self, loss: Loss) -> bool {
        let Some(first) = self.first else {
            self.first = Some(Instant::now());
            return true;
        };
        let together = loss.unread && loss.made < first;
        let in_time = self.until.is_none_or(|until| Instant::now() < until);
        let borne = together && in_time && self.unread < UNREAD;
        self.unread += u8::from(borne);
        borne
    }
}

/// How far an order has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// It is or was on a connection.
    sent: AtomicBool,
    /// What was wrong with the first answer that was not believed.
    doubt: OnceLock<Refusal>,
}

impl Progress {
    pub(super) fn sent(&self) {
        self.sent.store(true, Ordering::Relaxed);
    }

    /// An answer was not believed; the first such is as good as the others.
    pub(super) fn doubted(&self, doubt: Refusal) {
        _ = self.doubt.set(doubt);
    }

    /// Why there is no answer now.
    pub(super) fn verdict(&self) -> AttemptError {
        match self.doubt.get() {
            Some(doubt) => AttemptError::Ignored(wrong(*doubt)),
            None if self.sent.load(Ordering::Relaxed) => AttemptError::ReplyTimeout,
            None => AttemptError::Busy,
        }
    }

    /// Whether something came for it that was not believed.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubt.get().is_some()
    }
}

pub(super) enum Question {
    Request(Arc<dyn Ask>),
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

/// How many connections an order may be lost with because they ended together with the first.
const UNREAD: u8 = 3;
