//! The threads that evaluate password hashes, and the queue in front of them.
//!
//! An evaluation takes tens of milliseconds of a core, so it never runs on a thread that serves connections, and a burst
//! of logins is refused early rather than late: what would not be answered within the device's patience is answered
//! `Unavailable` at once, so that the device can try its next server.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::hash::{PasswordHash, Scratch, hash_password};
use crate::aaa::{Reason, Unavailable};

/// argon2id at its default cost over a digest of zeros: nobody knows a password for it.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$ZG9vcndhcmQtZGVjb3ktMQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A bounded pool of threads for password hashing.
pub struct HashingPool {
    shared: Arc<Shared>,
    decoy: Option<PasswordHash>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    hashed: AtomicU64,
    workers: u32,
    capacity: usize,
}

struct State {
    queue: VecDeque<Job>,
    /// Nominal cost of all that is queued or being hashed.
    outstanding: Duration,
    /// Measured over nominal cost, a moving average.
    pace: f64,
    /// Workers that hash now.
    busy: u32,
    closed: bool,
}

struct Job {
    hash: PasswordHash,
    password: Zeroizing<Vec<u8>>,
    /// What a right password leads to.
    change: Option<Change>,
    /// Whether another job has shown meanwhile that the password is right.
    known: Option<Known>,
    nominal: Duration,
    deadline: Instant,
    answer: oneshot::Sender<Result<bool, Unavailable>>,
}

/// A new password, and what keeps the hash of it.
struct Change {
    password: Zeroizing<Vec<u8>>,
    keep: Keep,
}

type Keep = Box<dyn FnOnce(&str) -> Result<(), Unavailable> + Send>;

/// Asked once, by the worker whose turn it is.
pub type Known = Box<dyn FnOnce() -> bool + Send>;

/// What is to be done with a password, beside comparing it.
#[derive(Default)]
struct Beside {
    change: Option<Change>,
    known: Option<Known>,
}

impl HashingPool {
    /// Starts `workers` threads (at least one) behind a queue of at most `queue` jobs.
    pub fn new(workers: usize, queue: usize) -> std::io::Result<Self> {
        let workers = workers.clamp(1, 256);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                outstanding: Duration::ZERO,
                pace: 1.0,
                busy: 0,
                closed: false,
            }),
            wake: Condvar::new(),
            hashed: AtomicU64::new(0),
            workers: u32::try_from(workers).unwrap_or(1),
            capacity: queue.max(1),
        });
        let pool = Self {
            shared,
            decoy: PasswordHash::parse(DECOY).ok(),
        };
        for number in 0..workers {
            let shared = Arc::clone(&pool.shared);
            thread::Builder::new()
                .name(format!("hashing-{number}"))
                .spawn(move || shared.work())?;
        }
        Ok(pool)
    }

    /// Asks whether `password` is the one behind `hash`, for a device that waits for `patience`.
    ///
    /// Dropping the future drops the job, if no worker has begun it.
    pub fn verify(
        &self,
        hash: &PasswordHash,
        password: Zeroizing<Vec<u8>>,
        patience: Duration,
    ) -> Verification {
        let beside = Beside::default();
        self.shared
            .submit(hash.clone(), password, beside, patience, Decoy::No)
    }

    /// [`Self::verify`], unless `known` says that the password is right by the time a worker would begin: of many logins with one
    /// password that come at once, one costs a hash.
    pub fn verify_unless(
        &self,
        known: Known,
        hash: &PasswordHash,
        password: Zeroizing<Vec<u8>>,
        patience: Duration,
    ) -> Verification {
        let beside = Beside {
            known: Some(known),
            change: None,
        };
        self.shared
            .submit(hash.clone(), password, beside, patience, Decoy::No)
    }

    /// If `password` is the one behind `hash`, makes a hash of `new` and hands it to `keep`, all on a worker: right only when
    /// it is kept.
    pub fn change(
        &self,
        hash: &PasswordHash,
        password: Zeroizing<Vec<u8>>,
        new: Zeroizing<Vec<u8>>,
        keep: impl FnOnce(&str) -> Result<(), Unavailable> + Send + 'static,
        patience: Duration,
    ) -> Verification {
        let change = Change {
            password: new,
            keep: Box::new(keep),
        };
        let beside = Beside {
            change: Some(change),
            known: None,
        };
        self.shared
            .submit(hash.clone(), password, beside, patience, Decoy::No)
    }

    /// Costs what a wrong password costs and is never right: for users that do not exist, whose names would else be
    /// known by the time the answer takes.
    pub fn verify_decoy(&self, password: Zeroizing<Vec<u8>>, patience: Duration) -> Verification {
        match &self.decoy {
            Some(decoy) => {
                let beside = Beside::default();
                self.shared
                    .submit(decoy.clone(), password, beside, patience, Decoy::Yes)
            }
            None => Verification::refused(Reason::PasswordStoreFault),
        }
    }

    /// Figures for the metrics.
    pub fn stats(&self) -> HashingStats {
        let state = self.shared.lock();
        HashingStats {
            workers: self.shared.workers,
            busy: state.busy,
            waiting: state.queue.len(),
            hashed: self.shared.hashed.load(Ordering::Relaxed),
        }
    }

    #[cfg(test)]
    pub(super) fn decoy_cost(&self) -> Option<Duration> {
        self.decoy.as_ref().map(PasswordHash::nominal_cost)
    }

    /// Passwords hashed since the start.
    pub fn hashed(&self) -> u64 {
        self.shared.hashed.load(Ordering::Relaxed)
    }

    /// Whether a job handed in now would be refused by a device's `patience`.
    pub fn is_saturated(&self, patience: Duration) -> bool {
        let state = self.shared.lock();
        let nominal = self
            .decoy
            .as_ref()
            .map_or(Duration::ZERO, PasswordHash::nominal_cost);
        self.shared.too_busy(&state, nominal, patience)
    }
}

/// Figures of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashingStats {
    /// Threads.
    pub workers: u32,
    /// Threads that hash now.
    pub busy: u32,
    /// Jobs that wait for a thread.
    pub waiting: usize,
    /// Passwords hashed since the start.
    pub hashed: u64,
}

impl fmt::Debug for HashingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashingPool")
            .field("workers", &self.shared.workers)
            .finish_non_exhaustive()
    }
}

impl Drop for HashingPool {
    /// Unfinished jobs answer [`Reason::Stopping`]; the threads end by themselves.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.queue.clear();
        drop(state);
        self.shared.wake.notify_all();
    }
}

const STORE_FAULT: Unavailable = Unavailable(Reason::PasswordStoreFault);

/// The "nice" value of the workers: beside threads that want all of a core, they get a third of what those get.
const NICE: i32 = 5;

/// What making a new hash costs on the machine of reference: that of the decoy, which has the same parameters.
const NEW_HASH: Duration = Duration::from_millis(20);

impl Change {
    fn make(self) -> Result<(), Unavailable> {
        let hash = hash_password(&self.password).map_err(|_| STORE_FAULT)?;
        (self.keep)(&hash)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Decoy {
    Yes,
    No,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held cannot leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(
        &self,
        hash: PasswordHash,
        password: Zeroizing<Vec<u8>>,
        beside: Beside,
        patience: Duration,
        decoy: Decoy,
    ) -> Verification {
        let Beside { change, known } = beside;
        let now = Instant::now();
        let mut nominal = hash.nominal_cost();
        if change.is_some() {
            nominal += NEW_HASH;
        }
        let (answer, outcome) = oneshot::channel();
        let mut state = self.lock();
        if state.closed {
            return Verification::refused(Reason::Stopping);
        }
        if self.too_busy(&state, nominal, patience) {
            // Some that wait may have been given up by their devices: then there is room after all.
            state.drop_abandoned();
            if self.too_busy(&state, nominal, patience) {
                return Verification::refused(Reason::HashingBusy);
            }
        }
        state.outstanding += nominal;
        let deadline = now.checked_add(patience).unwrap_or(now);
        state.queue.push_back(Job {
            hash,
            password,
            change,
            known,
            nominal,
            deadline,
            answer,
        });
        drop(state);
        self.wake.notify_one();
        Verification {
            state: Waiting::For(outcome),
            decoy,
        }
    }

    /// Is the queue full, or longer than `patience`?
    fn too_busy(&self, state: &State, nominal: Duration, patience: Duration) -> bool {
        // With nothing ahead there is nothing to wait for: an estimate made while the machine stood still must not lock
        // anybody out, and only a job that runs can correct it.
        if state.outstanding.is_zero() {
            return false;
        }
        let ahead = (state.outstanding / self.workers + nominal).mul_f64(state.pace);
        state.queue.len() >= self.capacity || ahead > patience
    }

    fn work(&self) {
        // A flood of logins takes all there is of every core; what needs no password must not wait behind it. That it cannot be
        // had changes nothing else.
        _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
        let mut scratch = Scratch::default();
        while let Some(job) = self.next() {
            let nominal = job.nominal;
            let began = Instant::now();
            if job.answer.is_closed() {
                self.done(nominal, None);
                continue;
            }
            if began > job.deadline {
                self.done(nominal, None);
                let _ = job.answer.send(Err(Unavailable(Reason::HashingBusy)));
                continue;
            }
            if job.known.is_some_and(|known| known()) {
                self.done(nominal, None);
                let _ = job.answer.send(Ok(true));
                continue;
            }
            // A panic in one of the hash libraries is a fault of that hash, not the end of this worker.
            let Job {
                hash,
                password,
                change,
                answer,
                ..
            } = job;
            let found = catch_unwind(AssertUnwindSafe(|| {
                let right = hash.verify(&password, &mut scratch);
                match (right.map_err(|_| STORE_FAULT)?, change) {
                    (true, Some(change)) => change.make().map(|()| true),
                    (right, _) => Ok(right),
                }
            }));
            self.done(nominal, Some(began.elapsed()));
            // The other end may have gone while the password was hashed.
            let _ = answer.send(found.unwrap_or(Err(STORE_FAULT)));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.queue.pop_front() {
                state.busy += 1;
                return Some(job);
            }
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, nominal: Duration, took: Option<Duration>) {
        let mut state = self.lock();
        state.outstanding = state.outstanding.saturating_sub(nominal);
        state.busy = state.busy.saturating_sub(1);
        if let Some(took) = took {
            self.hashed.fetch_add(1, Ordering::Relaxed);
            let seen = took.as_secs_f64() / nominal.as_secs_f64().max(1e-6);
            // One job that took long (the machine was paused) says little; many in a row say it all the same.
            let seen = seen.min(state.pace * 4.0);
            state.pace = (state.pace * 0.875 + seen * 0.125).clamp(0.05, 50.0);
        }
    }
}

impl State {
    /// Forgets the jobs whose answer nobody waits for.
    fn drop_abandoned(&mut self) {
        let outstanding = &mut self.outstanding;
        self.queue.retain(|job| {
            let wanted = !job.answer.is_closed();
            if !wanted {
                *outstanding = outstanding.saturating_sub(job.nominal);
            }
            wanted
        });
    }
}

/// The answer to come: right, wrong, or no answer.
#[must_use]
pub struct Verification {
    state: Waiting,
    decoy: Decoy,
}

enum Waiting {
    For(oneshot::Receiver<Result<bool, Unavailable>>),
    Refused(Reason),
}

impl Verification {
    fn refused(reason: Reason) -> Self {
        Self {
            state: Waiting::Refused(reason),
            decoy: Decoy::No,
        }
    }
}

impl Future for Verification {
    type Output = Result<bool, Unavailable>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let decoy = self.decoy == Decoy::Yes;
        match &mut self.state {
            Waiting::Refused(reason) => Poll::Ready(Err(Unavailable(*reason))),
            Waiting::For(outcome) => Pin::new(outcome).poll(context).map(|answer| match answer {
                Ok(found) => found.map(|right| right && !decoy),
                Err(_) => Err(Unavailable(Reason::Stopping)),
            }),
        }
    }
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verification(..)")
    }
}
