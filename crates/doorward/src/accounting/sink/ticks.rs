//! Lines of statistics on their way to a syslog receiver.
//!
//! ```text
//! login decided ── add: never waits ──▶ room for some thousands ── thread ── syslog
//!                        └ no room: dropped, and counted by whoever adds
//! ```
//!
//! Nobody is answered later for them and no disk keeps them: what waits when the process ends is lost. What is sent is
//! confirmed as records are, so that a receiver that is started anew misses nothing and may get the last ones twice.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::fault::Fault;
use super::stats::{Figures, Of, SinkStats};
use super::syslog::{Batch, Receiver};
use super::worker::{Pace, back_off, pause};
use super::{HANGING, spawn};
use crate::accounting::reader::Position;
use crate::config::{FTicks, Syslog};

/// Lines that may wait, of some hundred octets each.
const ROOM: usize = 8192;

/// Lines gather for this long, so that a connection is worth its price.
const GATHER: Duration = Duration::from_millis(500);

/// One line of statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// When it came to that.
    pub at: Timestamp,
    /// What is said: one line, of characters that syslog takes as they are.
    pub line: String,
}

/// The lines and their thread; without a configuration there is none.
#[derive(Debug, Default)]
pub struct Ticks {
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    figures: Arc<Figures>,
    /// Lines that were taken since the start.
    taken: AtomicI64,
    lines: mpsc::Sender<Tick>,
    settings: watch::Sender<Syslog>,
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<()>,
}

impl Ticks {
    /// Hands a line over, at once. `false` = there was no room, and it is lost; without a receiver it is nobody's loss.
    #[must_use = "a line that is dropped has to be counted"]
    pub fn add(&self, tick: Tick) -> bool {
        let running = self.lock();
        let Some(running) = &*running else {
            return true;
        };
        let taken = running.lines.try_send(tick).is_ok();
        running.taken.fetch_add(i64::from(taken), Ordering::Relaxed);
        taken
    }

    /// Starts, changes or ends the delivery as the configuration says. Returns what went wrong.
    pub async fn fit(&self, wanted: Option<&FTicks>) -> Option<String> {
        let Some(wanted) = wanted else {
            self.stop().await;
            return None;
        };
        let mut running = self.lock();
        if let Some(running) = &*running {
            running.settings.send_replace(wanted.syslog.clone());
            return None;
        }
        match start(&wanted.syslog) {
            Ok(started) => {
                *running = Some(started);
                None
            }
            Err(error) => Some(format!(
                "warning: the sender of [fticks] cannot be started: {error}"
            )),
        }
    }

    /// Figures, as a sink has them; the records are lines.
    pub fn stats(&self) -> Option<SinkStats> {
        let running = self.lock();
        let running = running.as_ref()?;
        let taken = Position(running.taken.load(Ordering::Relaxed));
        Some(running.figures.stats(taken, Timestamp::now()))
    }

    /// Ends the delivery, after the lines that wait now where the receiver is up; within bounds.
    pub async fn stop(&self) {
        let Some(running) = self.lock().take() else {
            return;
        };
        running.stop.send_replace(true);
        drop(running.lines);
        let patience = Pace::NORMAL.last + HANGING;
        // An error inside = the thread has ended by a panic.
        if tokio::time::timeout(patience, running.ended).await.is_err() {
            tracing::warn!("the sender of [fticks] hangs and is left behind with its lines");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start(syslog: &Syslog) -> std::io::Result<Running> {
    let figures = Arc::new(Figures::new(
        FTicks::NAME.into(),
        Of::Ticks,
        Position::START,
    ));
    let (lines, waiting) = mpsc::channel(ROOM);
    let settings = watch::Sender::new(syslog.clone());
    let stop = watch::Sender::new(false);
    let worker = Worker {
        waiting,
        settings: settings.subscribe(),
        stop: stop.subscribe(),
        figures: Arc::clone(&figures),
        delivered: 0,
        pace: Pace::NORMAL,
    };
    let ended = spawn("fticks", move || work(worker))?;
    Ok(Running {
        figures,
        taken: AtomicI64::new(0),
        lines,
        settings,
        stop,
        ended,
    })
}

fn work(worker: Worker) {
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match built {
        Ok(runtime) => {
            runtime.block_on(worker.run());
            // A look-up of a name may hang for longer than a stop may take.
            runtime.shutdown_background();
        }
        Err(error) => tracing::error!(%error, "[fticks] has no event loop; its lines are dropped"),
    }
}

struct Worker {
    waiting: mpsc::Receiver<Tick>,
    settings: watch::Receiver<Syslog>,
    stop: watch::Receiver<bool>,
    figures: Arc<Figures>,
    delivered: i64,
    pace: Pace,
}

impl Worker {
    async fn run(mut self) {
        let mut stop = self.stop.clone();
        let last = self.pace.last;
        let end = async {
            // An error = nobody is left who could stop it.
            _ = stop.wait_for(|stop| *stop).await;
            sleep(last).await;
        };
        let unfinished = tokio::select! {
            lost = self.serve() => lost > 0,
            () = end => true,
        };
        if unfinished {
            tracing::warn!(
                "[fticks] was stopped with lines that its receiver did not take; they are lost"
            );
        }
    }

    /// Delivers until nobody adds any more; returns how many are left.
    async fn serve(&mut self) -> usize {
        let mut receiver = Receiver::new(self.settings.borrow_and_update().clone());
        let mut batch = Vec::new();
        let mut untried = true;
        let mut faults = 0;
        loop {
            if batch.is_empty() && !untried && !self.next(&mut batch).await {
                return 0;
            }
            if self.settings.has_changed().unwrap_or(false) {
                receiver = Receiver::new(self.settings.borrow_and_update().clone());
            }
            self.figures.waits_since(batch.first().map(|tick| tick.at));
            match deliver(&mut receiver, &batch).await {
                Ok(()) => {
                    (untried, faults) = (false, 0);
                    self.figures.works();
                    self.delivered += i64::try_from(batch.len()).unwrap_or(0);
                    self.figures
                        .delivered(Position(self.delivered), batch.len());
                    batch.clear();
                }
                Err(fault) => {
                    self.figures.fails(&fault);
                    if *self.stop.borrow() {
                        return batch.len() + self.waiting.len();
                    }
                    let wait = back_off(&self.pace, faults);
                    faults += 1;
                    pause(&mut self.settings, &self.stop, wait).await;
                }
            }
        }
    }

    /// Waits for lines, and a little for more. `false` = there will be none any more.
    async fn next(&mut self, batch: &mut Vec<Tick>) -> bool {
        tokio::select! {
            count = self.waiting.recv_many(batch, self.pace.batch) => if count == 0 {
                return false;
            },
            // A new receiver is tried at once, without lines.
            Ok(()) = self.settings.changed() => {
                self.settings.mark_changed();
                return true;
            }
        }
        let end = Instant::now() + GATHER;
        while batch.len() < self.pace.batch && !*self.stop.borrow() {
            let more = self.pace.batch - batch.len();
            match timeout_at(end, self.waiting.recv_many(batch, more)).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        true
    }
}

/// Sends the lines and has them confirmed; without any, sees whether they would be taken.
async fn deliver(receiver: &mut Receiver, batch: &[Tick]) -> Result<(), Fault> {
    if batch.is_empty() {
        return receiver.probe().await;
    }
    receiver.send(Batch::Ticks(batch)).await?;
    receiver.confirm().await
}
