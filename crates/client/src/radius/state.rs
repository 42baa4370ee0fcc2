//! What a client knows of its servers, kept where whoever chooses one, or counts, can look without asking their tasks.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::error::AttemptError;
use super::link::Outcome;

/// What can be expected of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It answers, as far as is known: a connection is well, or none has been tried.
    Well,
    /// A connection is there or being made, but something is overdue, or it has to prove itself after it was found dead.
    Doubtful,
    /// There is no connection, and the last attempt to make one failed.
    Down,
}

impl Standing {
    /// Every standing.
    pub const ALL: [Self; 3] = [Self::Well, Self::Doubtful, Self::Down];

    /// The name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Doubtful => "doubtful",
            Self::Down => "down",
        }
    }
}

/// The counters of one server. Relaxed: they are looked at, and nothing is ordered by them.
#[derive(Debug, Default)]
pub(super) struct State {
    standing: AtomicU8,
    connecting: AtomicBool,
    connections: AtomicUsize,
    identifiers: AtomicUsize,
    outstanding: AtomicUsize,
    requests: AtomicU64,
    answers: AtomicU64,
    timeouts: AtomicU64,
    failures: AtomicU64,
    given_up: AtomicU64,
    micros: AtomicU64,
}

/// One server as it stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerState {
    /// Host and port.
    pub server: String,
    /// What can be expected of it.
    pub standing: Standing,
    /// A connection is being made.
    pub connecting: bool,
    /// Open connections.
    pub connections: usize,
    /// Identifiers in use on them, those in quarantine included.
    pub identifiers: usize,
    /// Requests that wait for its answer, or for room on a connection to it.
    pub outstanding: usize,
    /// Requests it was given since the client began.
    pub requests: u64,
    /// Those it answered, Protocol-Error included.
    pub answers: u64,
    /// Those it did not answer in time.
    pub timeouts: u64,
    /// Those that ended in another way: no connection, or one that was lost.
    pub failures: u64,
    /// Those that nobody waited for any more before they had come to anything.
    pub given_up: u64,
    /// The time that the answers took, all together.
    pub answering: Duration,
}

/// A request that is counted as outstanding until this is dropped, and then by what it came to.
pub(super) struct Outstanding<'a> {
    state: &'a State,
    /// Set once another server has answered, for whom this one was too slow.
    outrun: &'a AtomicBool,
    began: Instant,
    ended: bool,
}

impl Outstanding<'_> {
    pub(super) fn ended(mut self, outcome: &Outcome) {
        self.ended = true;
        match outcome {
            Ok(_) => self.state.answered(self.began.elapsed()),
            Err(AttemptError::ReplyTimeout | AttemptError::Ignored(_)) => {
                count(&self.state.timeouts);
            }
            Err(_) => count(&self.state.failures),
        }
    }
}

impl Drop for Outstanding<'_> {
    fn drop(&mut self) {
        self.state.outstanding.fetch_sub(1, Ordering::Relaxed);
        if self.ended {
            return;
        }
        if self.outrun.load(Ordering::Relaxed) {
            count(&self.state.timeouts);
        } else {
            count(&self.state.given_up);
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl State {
    pub(super) fn begin<'a>(&'a self, outrun: &'a AtomicBool) -> Outstanding<'a> {
        count(&self.requests);
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        Outstanding {
            state: self,
            outrun,
            began: Instant::now(),
            ended: false,
        }
    }

    fn answered(&self, after: Duration) {
        count(&self.answers);
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What the task of the server's connections knows.
    pub(super) fn publish(
        &self,
        standing: Standing,
        connecting: bool,
        connections: usize,
        identifiers: usize,
    ) {
        let number = match standing {
            Standing::Well => 0,
            Standing::Doubtful => 1,
            Standing::Down => 2,
        };
        self.standing.store(number, Ordering::Relaxed);
        self.connecting.store(connecting, Ordering::Relaxed);
        self.connections.store(connections, Ordering::Relaxed);
        self.identifiers.store(identifiers, Ordering::Relaxed);
    }

    pub(super) fn standing(&self) -> Standing {
        match self.standing.load(Ordering::Relaxed) {
            0 => Standing::Well,
            1 => Standing::Doubtful,
            _ => Standing::Down,
        }
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    pub(super) fn snapshot(&self, server: &str) -> ServerState {
        ServerState {
            server: server.to_owned(),
            standing: self.standing(),
            connecting: self.connecting.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            identifiers: self.identifiers.load(Ordering::Relaxed),
            outstanding: self.outstanding(),
            requests: self.requests.load(Ordering::Relaxed),
            answers: self.answers.load(Ordering::Relaxed),
            timeouts: self.timeouts.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            given_up: self.given_up.load(Ordering::Relaxed),
            answering: Duration::from_micros(self.micros.load(Ordering::Relaxed)),
        }
    }
}
