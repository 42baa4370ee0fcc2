//! The client: a list of servers of one kind, asked in order.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};

use doorward_radius::Code;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{Attempt, AttemptError, Error, Lost};
use super::keeper::Keeper;
use super::link::{GOODBYE, Outcome};
use super::order::{Losses, Order, Progress, Question};
use super::state::State;
use super::{Answer, Ask, Carriage, Request, Server, Strategy};
use crate::outcome::Facts;

/// A RADIUS client with the servers it may ask, in this order. Connections are made when there is something to ask, and
/// kept. See the module for what moves on to the next server.
#[derive(Debug)]
pub struct Client {
    pub(super) slots: Vec<Slot>,
    pub(super) strategy: Strategy,
    /// Counts choices, so that equals take turns.
    pub(super) turn: AtomicUsize,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) server: Arc<Server>,
    pub(super) name: String,
    pub(super) state: Arc<State>,
    /// The task that has the connections, once something was asked.
    keeper: Mutex<Option<(mpsc::UnboundedSender<Order>, JoinHandle<()>)>>,
}

impl Client {
    /// A client of these servers.
    ///
    /// # Errors
    /// There is none, or they are of different kinds.
    pub fn new(servers: Vec<Server>) -> Result<Self, Error> {
        let first = servers.first().ok_or(Error::NoServer)?;
        let kind = first.carriage.transport();
        if servers
            .iter()
            .any(|server| server.carriage.transport() != kind)
        {
            return Err(Error::Mixed);
        }
        let count = u32::try_from(servers.len()).unwrap_or(u32::MAX);
        let shared = |server: Server| Server {
            // Each has its share of the time before the next one is asked.
            doubt_after: server.doubt_after.min(server.reply_timeout / count),
            ..server
        };
        let slot = |server: Server| Slot {
            name: server.address.to_string(),
            server: Arc::new(server),
            state: Arc::default(),
            keeper: Mutex::new(None),
        };
        Ok(Self {
            slots: servers.into_iter().map(shared).map(slot).collect(),
            strategy: Strategy::default(),
            turn: AtomicUsize::new(0),
        })
    }

    /// Asks the servers, in order, until one answers. Needs a tokio runtime, whose tasks hold the connections.
    ///
    /// # Errors
    /// None of them did, or the request cannot be sent at all.
    pub async fn ask(&self, request: Request) -> Result<Answer, Error> {
        if let Some(slot) = self.slots.first() {
            // Whether it fits does not depend on who is asked.
            request.build(1, &slot.server.carriage.secret())?;
        }
        self.ask_all(Some(Arc::new(request))).await
    }

    /// Asks on where `question` came from, which is an Access-Challenge of this client: its State means something to that
    /// server alone (RFC 2865 section 5.24), and no other one is asked.
    ///
    /// # Errors
    /// That server does not answer, or the request cannot be sent at all.
    pub async fn ask_on(&self, question: &Answer, request: Request) -> Result<Answer, Error> {
        let place = question.place();
        let slot = self.slots.get(place).ok_or(Error::NoServer)?;
        request.build(1, &slot.server.carriage.secret())?;
        let request = Some(Arc::new(request));
        let answered = slot.answer(place, request.as_ref(), Instant::now());
        answered.await.map_err(|reason| {
            Error::AskerGone(Box::new(Attempt {
                server: slot.name.clone(),
                reason,
            }))
        })
    }

    /// Asks whether a server is there, with a Status-Server (RFC 5997).
    ///
    /// # Errors
    /// None answered.
    pub async fn status(&self) -> Result<Answer, Error> {
        self.ask_all(None).await
    }

    async fn ask_all(&self, request: Option<Arc<Request>>) -> Result<Answer, Error> {
        let began = Instant::now();
        let mut attempts = Vec::new();
        for (place, slot) in self.slots.iter().enumerate() {
            let answered = slot.answer(place, request.as_ref(), began);
            let reason = match answered.await {
                Ok(answer) => return Ok(answer),
                Err(reason) => reason,
            };
            if slot.failed(reason, &mut attempts) {
                break;
            }
        }
        Err(Error::Unavailable(attempts))
    }

    /// Ends all connections in good order. What is still being asked gets no answer.
    pub async fn close(self) {
        for slot in &self.slots {
            let keeper = slot.lock().take();
            if let Some((orders, task)) = keeper {
                drop(orders);
                // It has nothing to wait for.
                _ = timeout(GOODBYE, task).await;
            }
        }
    }
}

impl Slot {
    fn lock(
        &self,
    ) -> std::sync::MutexGuard<'_, Option<(mpsc::UnboundedSender<Order>, JoinHandle<()>)>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that it did not answer; true if no other server may be asked either.
    pub(super) fn failed(&self, reason: AttemptError, attempts: &mut Vec<Attempt>) -> bool {
        // The request lives as long as the connection it was sent on. Over DTLS and UDP it was given up.
        let last = matches!(reason, AttemptError::ReplyTimeout)
            && matches!(self.server.carriage, Carriage::Tls(_));
        attempts.push(Attempt {
            server: self.name.clone(),
            reason,
        });
        last
    }

    async fn answer(
        &self,
        place: usize,
        request: Option<&Arc<Request>>,
        began: Instant,
    ) -> Result<Answer, AttemptError> {
        let what = request.map(|request| Arc::clone(request) as Arc<dyn Ask>);
        let reply = self.ask(what, None, &AtomicBool::new(false)).await?;
        let facts = Facts {
            server: self.name.clone(),
            tls: reply.tls,
            elapsed: began.elapsed(),
        };
        let answer = Answer::new(
            reply.packet,
            request.map(|request| &**request),
            facts,
            place,
        );
        if answer.code() == Code::PROTOCOL_ERROR {
            return Err(AttemptError::ProtocolError(Box::new(answer)));
        }
        Ok(answer)
    }

    /// Gives a question, or a Status-Server, to the server's task, and waits for what comes of it, `until` then at most.
    /// `outrun` says whether another server has answered, when it is dropped before.
    pub(super) async fn ask(
        &self,
        request: Option<Arc<dyn Ask>>,
        until: Option<Instant>,
        outrun: &AtomicBool,
    ) -> Outcome {
        let outstanding = self.state.begin(outrun);
        let outcome = self.ask_once(request, until).await;
        outstanding.ended(&outcome);
        outcome
    }

    async fn ask_once(&self, request: Option<Arc<dyn Ask>>, until: Option<Instant>) -> Outcome {
        let server = &self.server;
        // The connection's own timers come first; this is for what never gets on one.
        let patience = server.connect_timeout * 2 + server.reply_timeout;
        // Over DTLS and UDP a question may be lost, and each is a new packet (RFC 5997 section 4.1).
        let (tries, share) = match (&request, &server.carriage) {
            (None, Carriage::Udp(_)) => (STATUS_TRIES, server.reply_timeout / STATUS_TRIES),
            (None, Carriage::Dtls(_)) => {
                let all = server.connect_timeout + server.reply_timeout;
                (STATUS_TRIES, all / STATUS_TRIES)
            }
            (None, Carriage::Tls(_)) => (1, server.connect_timeout * 2 + server.reply_timeout),
            (Some(_), _) => (1, patience),
        };
        let progress = Arc::<Progress>::default();
        for attempt in 0..tries {
            let (answer, outcome) = oneshot::channel();
            let again = attempt > 0;
            let question = match &request {
                Some(request) => Question::Request(Arc::clone(request)),
                None => Question::Alive { again },
            };
            self.order(Order {
                question,
                answer,
                losses: Losses::default(),
                progress: Arc::clone(&progress),
            });
            let end = Instant::now() + share;
            let end = until.map_or(end, |until| until.min(end));
            if let Ok(outcome) = timeout_at(end, outcome).await {
                return outcome.unwrap_or(Err(AttemptError::Lost(Lost::Local)));
            }
        }
        Err(progress.verdict())
    }

    fn order(&self, order: Order) {
        // A keeper that is gone drops the order, which is told to whoever waits.
        _ = self.keeper().send(order);
    }

    /// Begins to connect, where that is to be done before anybody asks.
    pub(super) fn start(&self) {
        drop(self.keeper());
    }

    fn keeper(&self) -> mpsc::UnboundedSender<Order> {
        let mut keeper = self.lock();
        let (orders, _) = keeper.get_or_insert_with(|| {
            let (orders, taken) = mpsc::unbounded_channel();
            let (server, state) = (Arc::clone(&self.server), Arc::clone(&self.state));
            let task = tokio::spawn(Keeper::new(server, state, taken).run());
            (orders, task)
        });
        orders.clone()
    }
}

/// How often a Status-Server is asked over DTLS and UDP.
const STATUS_TRIES: u32 = 3;
