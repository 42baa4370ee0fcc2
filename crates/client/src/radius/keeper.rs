//! The connections to one server: one task, which connects, waits after failures, and hands requests out.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use doorward_radius::watchdog::Watching;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::backoff::{Backoff, Gate};
use super::doubt::DOUBT;
use super::error::{AttemptError, Lost};
use super::link::{End, Link};
use super::order::{Loss, Order, Question};
use super::state::{Standing, State};
use super::{Carriage, Server, way};
use crate::error::TransportError;
use crate::hastls::Found;
use crate::transport::Unconnected;

type Finding = Pin<Box<dyn Future<Output = Result<Found, TransportError>> + Send>>;
type Connecting = Pin<Box<dyn Future<Output = Result<Link, Unconnected>> + Send>>;

pub(super) struct Keeper {
    server: Arc<Server>,
    state: Arc<State>,
    orders: mpsc::UnboundedReceiver<Order>,
    /// What waits for a connection, or for room on one.
    queue: VecDeque<Order>,
    /// Each with the number of the attempt that made it.
    links: Vec<(u64, Link)>,
    connecting: Option<(u64, Connecting)>,
    /// Whether the connections lead where HASTLS says is being found out again.
    finding: Option<Finding>,
    backoff: Backoff,
    /// What the last attempt to connect came to, while it is waited for the next.
    last: Option<Arc<TransportError>>,
    /// The last connection was found dead.
    down: bool,
    /// Until then a new connection alone says nothing good of a server that was found dead.
    doubted: Option<Instant>,
    /// By what the server is judged, as its connections have found out.
    watching: Watching,
}

/// What happened next.
enum Happened {
    Asked(Order),
    /// The client is gone, or is being closed.
    Closed,
    Connected(Box<Result<Link, Unconnected>>),
    Found(Result<Found, TransportError>),
    /// There is room on a connection, or this one has ended.
    Link(usize, Option<End>),
    Time,
}

impl Keeper {
    pub(super) fn new(
        server: Arc<Server>,
        state: Arc<State>,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Self {
        Self {
            backoff: Backoff::new(server.reconnect),
            watching: server.watching(),
            server,
            state,
            orders,
            queue: VecDeque::new(),
            links: Vec::new(),
            connecting: None,
            finding: None,
            last: None,
            down: false,
            doubted: None,
        }
    }

    /// Serves until the client is gone.
    pub(super) async fn run(mut self) {
        loop {
            self.dispatch();
            let connect = self.connect();
            let wake = [connect, self.reconsider(), self.find()]
                .into_iter()
                .flatten()
                .min();
            self.publish();
            match self.next(wake).await {
                Happened::Asked(order) => self.queue.push_back(order),
                Happened::Connected(made) => self.connected(*made),
                Happened::Found(found) => self.found(found),
                Happened::Link(place, ended) => {
                    let lost = ended.is_some();
                    self.link(place, ended);
                    if lost {
                        self.notice_others().await;
                    }
                }
                Happened::Time => {}
                Happened::Closed => break,
            }
        }
        for order in self.queue.drain(..) {
            order.fail(AttemptError::Lost(Lost::Local));
        }
        for (_, mut link) in self.links.drain(..) {
            for (order, _) in link.orphans() {
                order.fail(AttemptError::Lost(Lost::Local));
            }
        }
    }

    /// When a server that is in doubt has another try.
    fn reconsider(&self) -> Option<Instant> {
        let links = self.links.iter().map(|(_, link)| link.doubted_until());
        let now = Instant::now();
        let all = links.chain([self.doubted]).flatten();
        all.filter(|until| now < *until).min()
    }

    /// Tells whoever chooses among servers what to expect of this one.
    fn publish(&self) {
        let fit = || self.links.iter().map(|(_, link)| link);
        let doubted = self.doubted.is_some_and(|until| Instant::now() < until);
        let standing = if !doubted && fit().any(|link| link.is_well() && !link.is_leaving()) {
            Standing::Well
        } else if self.last.is_some() && self.links.is_empty() {
            Standing::Down
        } else if self.down || !self.links.is_empty() {
            Standing::Doubtful
        } else {
            Standing::Well
        };
        let used = fit().map(|link| link.used()).sum();
        let connecting = self.connecting.is_some();
        self.state
            .publish(standing, connecting, self.links.len(), used);
    }

    /// Begins to find out again where HASTLS says that connections lead, as soon as that is not known any more; gives the time until then.
    fn find(&mut self) -> Option<Instant> {
        let links = self.links.iter();
        let until = links.filter_map(|(_, link)| link.found_until()).min()?;
        if self.finding.is_some() {
            return None;
        }
        if Instant::now() < until {
            return Some(until);
        }
        let server = Arc::clone(&self.server);
        self.finding = Some(Box::pin(async move { way::find(&server).await }));
        None
    }

    fn found(&mut self, found: Result<Found, TransportError>) {
        self.finding = None;
        match found {
            Ok(found) => {
                let mut at = 0;
                while let Some((_, link)) = self.links.get_mut(at) {
                    if link.judge_way(&found) {
                        let (_, mut link) = self.links.swap_remove(at);
                        let orphans = link.orphans();
                        self.retry(orphans, Lost::Closed);
                    } else {
                        at += 1;
                    }
                }
            }
            // There is nothing to connect to any more.
            Err(error) => {
                let error = Arc::new(error);
                for (_, mut link) in self.links.drain(..) {
                    for (order, _) in link.orphans() {
                        order.fail(AttemptError::Transport(Arc::clone(&error)));
                    }
                }
                self.failed(error);
            }
        }
    }

    /// Gives waiting requests to connections with room, the well ones first. While another connection is being made in the
    /// place of one in doubt, they wait for what comes of that: on the old one they would have to stay.
    fn dispatch(&mut self) {
        let replacing = self.connecting.is_some() && !self.is_udp();
        self.queue.retain(|order| !order.answer.is_closed());
        while let Some(order) = self.queue.pop_front() {
            let needed = usize::from(matches!(order.question, Question::Request(_)));
            let links = self.links.iter_mut().map(|(_, link)| link);
            let roomy = links.filter(|link| link.free() >= needed && !link.is_leaving());
            let roomy = roomy.filter(|link| !(replacing && link.is_doubted()));
            let best = roomy.max_by_key(|link| (link.is_well(), link.free()));
            let back = match best {
                Some(link) => link.ask(order).err(),
                None => Some(order),
            };
            if let Some(order) = back {
                self.queue.push_front(order);
                return;
            }
        }
    }

    /// Begins a connection if one is needed and may be made; gives the time to look again otherwise.
    fn connect(&mut self) -> Option<Instant> {
        if self.connecting.is_some() || !(self.needs_more() || self.needs_another()) {
            return None;
        }
        let now = Instant::now();
        match self.backoff.gate(now) {
            Gate::Open => {
                let attempt = self.backoff.begin(now);
                let (server, down) = (Arc::clone(&self.server), self.down);
                let watching = self.watching;
                let connecting = Box::pin(async move { Link::open(&server, down, watching).await });
                self.connecting = Some((attempt, connecting));
                None
            }
            Gate::Soon(next) => Some(next),
            Gate::Closed(next) => {
                // Requests wait for room on the connections there are; without any, others may be asked.
                if self.links.is_empty() {
                    self.fail_all(next.saturating_duration_since(now));
                }
                Some(next)
            }
        }
    }

    /// Whether there is a connection too few. Those that are leaving are not counted, within bounds: what waits on them may
    /// wait for long, and their identifiers are the ones that are missing.
    fn needs_more(&self) -> bool {
        let fit = self.links.iter().filter(|(_, link)| !link.is_leaving());
        let (fit, most) = (fit.count(), self.server.max_connections);
        let needed = !self.queue.is_empty() || (self.server.keep_open && fit == 0);
        needed && fit < most && self.links.len() < most.saturating_mul(2)
    }

    /// Whether answers are missing on every connection, so that another one may do better: the peer of the old ones may have
    /// vanished without a word. A server that says nothing on the second one either hangs, and gets no stream of them. A
    /// socket of UDP is as good as another.
    fn needs_another(&self) -> bool {
        let links = || self.links.iter().map(|(_, link)| link);
        let doubted = links().all(Link::is_doubted) && !self.links.is_empty();
        let mute = links().filter(|link| !link.is_confirmed()).count();
        let room = self.links.len() <= self.server.max_connections;
        let waits = !self.queue.is_empty() || links().any(Link::is_waited_for);
        let wanted = waits || self.server.keep_open;
        wanted && doubted && mute < 2 && room && !self.is_udp()
    }

    fn is_udp(&self) -> bool {
        matches!(self.server.carriage, Carriage::Udp(_))
    }

    fn fail_all(&mut self, left: std::time::Duration) {
        for order in self.queue.drain(..) {
            order.fail(match &self.last {
                Some(last) => AttemptError::Waiting {
                    left,
                    last: Arc::clone(last),
                },
                None => AttemptError::Lost(Lost::Closed),
            });
        }
    }

    async fn next(&mut self, wake: Option<Instant>) -> Happened {
        let Self {
            orders,
            links,
            connecting,
            finding,
            ..
        } = self;
        let connected = poll_fn(|cx| match connecting {
            Some((_, connecting)) => connecting.as_mut().poll(cx),
            None => Poll::Pending,
        });
        let found = poll_fn(|cx| match finding {
            Some(finding) => finding.as_mut().poll(cx),
            None => Poll::Pending,
        });
        let timer = async {
            match wake {
                Some(wake) => sleep_until(wake).await,
                None => std::future::pending().await,
            }
        };
        // A handful: each is looked at whenever one of them has something.
        let links = links.iter_mut().map(|(_, link)| Box::pin(link.run()));
        let mut runs: Vec<_> = links.collect();
        let link = poll_fn(|cx| {
            for (place, run) in runs.iter_mut().enumerate() {
                if let Poll::Ready(ended) = run.as_mut().poll(cx) {
                    return Poll::Ready((place, ended));
                }
            }
            Poll::Pending
        });
        tokio::select! {
            order = orders.recv() => order.map_or(Happened::Closed, Happened::Asked),
            found = found => Happened::Found(found),
            made = connected => Happened::Connected(Box::new(made)),
            (place, ended) = link => Happened::Link(place, ended),
            () = timer => Happened::Time,
        }
    }

    fn connected(&mut self, made: Result<Link, Unconnected>) {
        let connecting = self.connecting.take();
        let attempt = connecting.map_or(0, |(attempt, _)| attempt);
        match made {
            Ok(link) => self.links.push((attempt, link)),
            // Its tickets are forgotten, so that the next handshake is a full one.
            Err(unconnected) if unconnected.resuming => self.backoff.at_once(),
            Err(unconnected) => self.failed(Arc::new(unconnected.error)),
        }
    }

    /// An attempt to connect has failed: whoever waits for it is told.
    fn failed(&mut self, error: Arc<TransportError>) {
        // Jitter wants some number, not a secret one.
        let random = getrandom::u32().unwrap_or_default();
        self.backoff.failed(Instant::now(), random);
        self.last = Some(Arc::clone(&error));
        if self.links.is_empty() {
            for order in self.queue.drain(..) {
                order.fail(AttemptError::Transport(Arc::clone(&error)));
            }
        }
    }

    fn link(&mut self, place: usize, ended: Option<End>) {
        if let Some((attempt, link)) = self.links.get_mut(place) {
            if link.newly_confirmed() {
                self.last = None;
                self.backoff.worked(*attempt);
            }
            // Whoever answers is there, which the next connection need not show again.
            if link.was_alive() {
                self.down = false;
                self.doubted = None;
            }
            let watching = link.watching();
            self.learn(watching);
        }
        let Some(end) = ended else {
            return;
        };
        let (_, mut link) = self.links.swap_remove(place);
        let orphans = link.orphans();
        drop(link);
        let lost = match end {
            // Only a Status-Server can have been waited for.
            End::Idle => Lost::Closed,
            End::Silent => {
                self.down = true;
                self.doubted = Some(Instant::now() + DOUBT);
                Lost::Silent
            }
            End::Lost(lost) => lost,
            End::Refused { error, resumed } => {
                if resumed {
                    // The ticket is forgotten, so that the next handshake is a full one.
                    self.backoff.at_once();
                    return self.retry(orphans, Lost::Closed);
                }
                for (order, _) in orphans {
                    order.fail(AttemptError::Transport(Arc::clone(&error)));
                }
                return self.failed(error);
            }
        };
        self.retry(orphans, lost);
    }

    /// Looks at every connection once before what was lost with one is sent on another: who ends a connection often ends several.
    async fn notice_others(&mut self) {
        // Lets the runtime see what has come meanwhile.
        tokio::task::yield_now().await;
        let mut place = 0;
        while let Some((_, link)) = self.links.get_mut(place) {
            let looked = {
                let mut run = std::pin::pin!(link.run());
                poll_fn(|cx| Poll::Ready(run.as_mut().poll(cx))).await
            };
            match looked {
                // It is taken out, and another one is in its place.
                Poll::Ready(Some(end)) => self.link(place, Some(end)),
                Poll::Ready(None) => {
                    self.link(place, None);
                    place += 1;
                }
                Poll::Pending => place += 1,
            }
        }
    }

    /// One that has ever answered a Status-Server is held to it; that it answers none is new only while nothing is known.
    fn learn(&mut self, watching: Watching) {
        let before = self.watching;
        self.watching = match (before, watching) {
            (Watching::Status, _) | (_, Watching::Status) => Watching::Status,
            (Watching::Learning, learned) => learned,
            (Watching::Traffic, _) => Watching::Traffic,
        };
        if before != self.watching && self.watching == Watching::Traffic {
            tracing::info!(
                server = %self.server.address,
                "the server answers requests and no Status-Server: it is asked no more, and judged by its answers to requests"
            );
        }
    }

    /// What was not answered is sent once more as new packets, on another connection: a new one where the server closed
    /// this one, one that is well where this one was found dead, and one that there is where an answer was not believed.
    /// Another one that the server has closed as well, unnoticed so far, does not count as the other connection.
    fn retry(&mut self, orphans: Vec<(Order, Loss)>, lost: Lost) {
        let mut others = self.links.iter().map(|(_, link)| link);
        let retried = match lost {
            Lost::Closed => true,
            Lost::Silent => others.any(Link::is_well),
            Lost::Refused(_) | Lost::Local => others.any(|link| !link.is_leaving()),
        };
        for (mut order, loss) in orphans {
            // The one whose answer ended the connection would end the next one, too.
            if retried && !order.progress.is_doubted() && order.losses.bear(loss) {
                self.queue.push_back(order);
            } else {
                order.fail(AttemptError::Lost(lost.clone()));
            }
        }
    }
}
