//! Requests of somebody else, for whoever stands between clients and servers.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use doorward_radius::{Code, RawPacket, Secret};
use tokio::time::{Instant, sleep_until};

use super::client::{Client, Slot};
use super::error::{AttemptError, Error, Lost};
use super::link::{Outcome, Reply};
use super::state::{ServerState, Standing};
use super::{Answer, Carriage};
use crate::outcome::Facts;

/// Something to ask, of which a packet is made for each connection it is sent on.
pub trait Ask: Send + Sync {
    /// The whole packet, with this identifier and whatever depends on it and on the secret made anew.
    ///
    /// # Errors
    /// It cannot be made; the request then ends without an answer.
    fn build(&self, id: u8, secret: &Secret) -> Result<Vec<u8>, Error>;
}

/// How a client chooses among servers of which equally much can be expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The first one.
    #[default]
    Failover,
    /// The one with the fewest requests outstanding.
    Balance,
}

/// Which server a request should go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aim {
    /// Whichever the strategy chooses.
    #[default]
    Any,
    /// This one first, the others if it does not answer.
    First(usize),
    /// This one and no other: the request goes on with what it has begun.
    Only(usize),
}

/// A verified answer to what was passed on.
#[derive(Debug)]
#[must_use = "an answer that is not passed back is lost"]
pub struct Passed {
    /// The request as it was sent, whose authenticator the answer's hidden values depend on.
    pub request: Arc<RawPacket>,
    /// The answer as it came; never a Protocol-Error.
    pub answer: RawPacket,
    /// The shared secret of that server.
    pub secret: Secret,
    /// Which of the client's servers gave it.
    pub server: usize,
}

impl Client {
    /// The same with another way to choose servers for [`Client::pass`].
    #[must_use]
    pub fn with_strategy(self, strategy: Strategy) -> Self {
        Self { strategy, ..self }
    }

    /// Connects to all servers that are to be kept connected, without waiting for anything. Needs a tokio runtime.
    pub fn start(&self) {
        for slot in self.slots.iter().filter(|slot| slot.server.keep_open) {
            slot.start();
        }
    }

    /// The servers as they stand, in the order of the client.
    pub fn states(&self) -> Vec<ServerState> {
        let slots = self.slots.iter();
        slots.map(|slot| slot.state.snapshot(&slot.name)).collect()
    }

    /// The name of one of the servers: host and port.
    pub fn server_name(&self, place: usize) -> &str {
        self.slots.get(place).map_or("", |slot| &slot.name)
    }

    /// Asks servers until one answers, in this order: those of which most can be expected, and among these as the strategy
    /// says. A Protocol-Error is no answer. Whoever drops the future gives the request up: nothing of it is sent again.
    ///
    /// Over DTLS and UDP a server that is silent for [`Server::doubt_after`](super::Server::doubt_after) is not waited for: the next one is asked beside it if
    /// it can be expected to answer, and the first answer of any of them counts. All together they have the time for one
    /// answer.
    ///
    /// # Errors
    /// None of them did, each in the order of their failures; over TLS also when the one that was asked did not in time,
    /// because the request lives as long as the connection (RFC 6614bis section 4.2).
    pub async fn pass(&self, what: Arc<dyn Ask>, aim: Aim) -> Result<Passed, Error> {
        let began = Instant::now();
        let mut attempts = Vec::new();
        let mut left: Vec<usize> = match aim {
            Aim::Only(place) => vec![place],
            Aim::Any | Aim::First(_) => (0..self.slots.len()).collect(),
        };
        let mut wanted = match aim {
            Aim::First(place) => Some(place),
            Aim::Any | Aim::Only(_) => None,
        };
        let until = self.patience().map(|patience| began + patience);
        let over = || until.is_some_and(|until| until <= Instant::now());
        let outrun = AtomicBool::new(false);
        let mut asked = Vec::new();
        let mut doubt = began;
        let mut more = true;
        loop {
            let next = Some(()).filter(|()| more && !over());
            if let Some(place) = next.and_then(|()| self.choose(&mut left, wanted.take()))
                && let Some(slot) = self.slots.get(place)
            {
                doubt = Instant::now() + slot.server.doubt_after;
                let what = Some(Arc::clone(&what));
                asked.push((place, Box::pin(slot.ask(what, until, &outrun))));
            }
            if asked.is_empty() {
                break;
            }
            let (place, outcome) = tokio::select! {
                first = first_of(&mut asked) => first,
                () = sleep_until(doubt), if until.is_some() && !left.is_empty() => {
                    more = self.is_any_up(&left);
                    // Until then one may have come back.
                    doubt = Instant::now() + LOOK;
                    continue;
                }
            };
            let Some(slot) = self.slots.get(place) else {
                break;
            };
            let reason = match self.judge(place, slot, outcome, began) {
                Ok(passed) => {
                    outrun.store(true, Ordering::Relaxed);
                    return Ok(passed);
                }
                Err(reason) => reason,
            };
            more = !slot.failed(reason, &mut attempts);
            if !more {
                break;
            }
        }
        Err(Error::Unavailable(attempts))
    }

    /// How long all servers together may take, where another may be asked while one is waited for.
    fn patience(&self) -> Option<Duration> {
        let slots = self.slots.iter();
        let lossy = slots.filter(|slot| !matches!(slot.server.carriage, Carriage::Tls(_)));
        lossy.map(|slot| slot.server.reply_timeout).max()
    }

    /// Whether one of these servers can be expected to answer.
    fn is_any_up(&self, places: &[usize]) -> bool {
        let slots = places.iter().filter_map(|place| self.slots.get(*place));
        { slots }.any(|slot| slot.state.standing() != Standing::Down)
    }

    /// What came back from a server, if it is to be passed on.
    fn judge(
        &self,
        place: usize,
        slot: &Slot,
        outcome: Outcome,
        began: Instant,
    ) -> Result<Passed, AttemptError> {
        let Reply {
            packet,
            request,
            secret,
            tls,
        } = outcome?;
        // Only a Status-Server has an answer without a request.
        let request = request.ok_or(AttemptError::Lost(Lost::Local))?;
        if packet.header().code != Code::PROTOCOL_ERROR {
            return Ok(Passed {
                request,
                answer: packet,
                secret,
                server: place,
            });
        }
        let facts = Facts {
            server: slot.name.clone(),
            tls,
            elapsed: began.elapsed(),
        };
        let answer = Answer::new(packet, None, facts, place);
        Err(AttemptError::ProtocolError(Box::new(answer)))
    }

    /// Takes the next server to ask out of those that are left.
    fn choose(&self, left: &mut Vec<usize>, wanted: Option<usize>) -> Option<usize> {
        let usable = |place: &usize| {
            let slot = self.slots.get(*place);
            slot.is_some_and(|slot| slot.state.standing() != Standing::Down)
        };
        if let Some(at) = wanted
            .filter(usable)
            .and_then(|wanted| left.iter().position(|place| *place == wanted))
        {
            return Some(left.remove(at));
        }
        // Equals are taken in turn: with nothing outstanding anywhere the first would get everything.
        let turn = match self.strategy {
            Strategy::Balance if left.len() > 1 => self.turn.fetch_add(1, Ordering::Relaxed),
            // There is no choice: somebody who has one keeps the turn.
            Strategy::Failover | Strategy::Balance => 0,
        };
        let count = self.slots.len().max(1);
        let rank = |place: &usize| {
            let slot = self.slots.get(*place)?;
            let load = match self.strategy {
                Strategy::Failover => 0,
                Strategy::Balance => slot.state.outstanding(),
            };
            let distance = place.wrapping_add(turn) % count;
            Some((slot.state.standing(), load, distance))
        };
        let at = left.iter().enumerate().min_by_key(|(_, place)| rank(place));
        at.map(|(at, _)| at).map(|at| left.remove(at))
    }
}

/// The outcome of the first one to have any, which is taken out.
async fn first_of<F: Future<Output = Outcome>>(
    asked: &mut Vec<(usize, Pin<Box<F>>)>,
) -> (usize, Outcome) {
    poll_fn(|cx| {
        for at in 0..asked.len() {
            let Some((place, asking)) = asked.get_mut(at) else {
                break;
            };
            if let Poll::Ready(outcome) = asking.as_mut().poll(cx) {
                let place = *place;
                drop(asked.swap_remove(at));
                return Poll::Ready((place, outcome));
            }
        }
        Poll::Pending
    })
    .await
}

/// How often it is looked whether a server has come back while another one is waited for.
const LOOK: Duration = Duration::from_secs(1);
