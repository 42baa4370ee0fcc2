//! The RADIUS servers that requests are passed on to: their connections, which outlive a reload, and what keeps a login of
//! several rounds at one of them.
//!
//! ```text
//! aaa::radius ── route, request ──▶ Upstream ── room, aim ──▶ doorward_client::radius::Client ──▶ server
//! ```

mod room;
mod sticky;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use doorward_client::radius::{
    Aim, Ask, Carriage, Client, Error, Passed, Server, ServerState, Strategy,
};
use doorward_tls::hello::OwnHellos;

use crate::config::{self, Config, ListenerProtocol, Pool, Watchdog};
pub use room::Place;
use room::Room;
use sticky::Sticky;

/// Requests of one pool that may be under way at once, each of which keeps a packet or two: 8 connections of 255 requests, and
/// as many that wait for an identifier.
const ROOM: usize = 4096;

/// How long a request waits for room.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a name in [`Sticky`] is of.
const STATE: &[u8] = b"state";
const STATION: &[u8] = b"station";

/// Whose login it is.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// The name of the device.
    pub device: &'a str,
    /// User-Name as it came.
    pub user: &'a [u8],
}

impl<'a> Whose<'a> {
    /// States are unique at the server that made them, for one login: two servers may use the same.
    fn name(&self, kind: &'a [u8], value: &'a [u8]) -> [&'a [u8]; 4] {
        [kind, self.device.as_bytes(), self.user, value]
    }
}

/// Proxy-States that a request may have when it comes: each proxy on the way adds one (RFC 2865 section 5.33), and a way of so
/// many hops leads in a circle.
pub const HOPS: usize = 16;

/// Octets of [`Proxy::mark`].
const MARK: usize = 12;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Access-Request.
    Login,
    /// Accounting-Request.
    Accounting,
}

impl Purpose {
    /// The name for metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Accounting => "accounting",
        }
    }
}

/// All pools, and the mark by which this server knows its own requests again.
#[derive(Debug)]
pub struct Proxy {
    upstreams: ArcSwap<BTreeMap<Arc<str>, Arc<Upstream>>>,
    mark: [u8; MARK],
}

impl Default for Proxy {
    fn default() -> Self {
        let mut mark = [0; MARK];
        // Without random numbers no request can be passed on either; then this is used for nothing.
        _ = getrandom::fill(&mut mark);
        Self {
            upstreams: ArcSwap::default(),
            mark,
        }
    }
}

impl Proxy {
    /// Makes the pools those of this configuration. What did not change keeps its connections; what is gone or different
    /// finishes what is under way on the old ones.
    /// Their hellos are known to `own`, so that a listener of ours can refuse them.
    pub fn settle(&self, config: &Config, own: &Arc<OwnHellos>) {
        let before = self.upstreams.load();
        let mut upstreams = BTreeMap::new();
        for (name, pool) in &config.pools {
            let old = before.get(name);
            let kept = old.filter(|old| old.pool.is_like(pool));
            // With the same servers in the same order, a login of several rounds goes on where it is.
            let asked = old.filter(|old| old.pool.names == pool.names);
            let asked = asked.map(|old| Arc::clone(&old.sticky));
            let new = || Upstream::new(pool, own, asked.unwrap_or_default()).map(Arc::new);
            let upstream = kept.cloned().or_else(new);
            upstreams.extend(upstream.map(|upstream| (Arc::clone(name), upstream)));
        }
        self.upstreams.store(Arc::new(upstreams));
    }

    /// A pool by its name.
    pub fn upstream(&self, pool: &str) -> Option<Arc<Upstream>> {
        self.upstreams.load().get(pool).cloned()
    }

    /// All pools, by name.
    pub fn upstreams(&self) -> Vec<Arc<Upstream>> {
        self.upstreams.load().values().cloned().collect()
    }

    /// The value of the Proxy-State that requests get here.
    pub fn mark(&self) -> &[u8] {
        &self.mark
    }

    /// Whether a request with these Proxy-States has been here before, or has come a way that is none.
    pub fn goes_in_circles<'a>(&self, mut states: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
        states.clone().count() >= HOPS || states.any(|state| state == self.mark)
    }
}

/// A pool whose connections are kept.
pub struct Upstream {
    pool: Arc<Pool>,
    logins: Client,
    /// Where accounting goes to other ports than logins, and what these servers are called.
    accounting: Option<(Client, Vec<String>)>,
    room: Arc<Room>,
    sticky: Arc<Sticky>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("pool", &self.pool.name)
            .finish_non_exhaustive()
    }
}

impl Upstream {
    /// `None`: the configuration takes no pool that is mixed or empty.
    fn new(pool: &Arc<Pool>, own: &Arc<OwnHellos>, sticky: Arc<Sticky>) -> Option<Self> {
        let marked = |server: &Server| {
            let mut server = server.clone();
            server.watchdog_learns = pool.watchdog == Watchdog::Auto;
            if let Carriage::Tls(tls) | Carriage::Dtls(tls) = &mut server.carriage {
                tls.own_hellos = Some(Arc::clone(own));
            }
            server
        };
        let client = |servers: &[Server]| {
            let client = Client::new(servers.iter().map(marked).collect()).ok()?;
            let client = client.with_strategy(match pool.strategy {
                config::Strategy::Failover => Strategy::Failover,
                config::Strategy::Balance => Strategy::Balance,
            });
            // Without a runtime, as in checks of a configuration, they connect once they are asked.
            if tokio::runtime::Handle::try_current().is_ok() {
                client.start();
            }
            Some(client)
        };
        // Over TLS and DTLS one connection carries both.
        let named = |servers: &[Server]| {
            let scheme = ListenerProtocol::RadiusUdp.name();
            let servers = servers.iter();
            let names = servers.map(|server| format!("{scheme}://{}", server.address));
            names.collect()
        };
        let logins = client(&pool.servers)?;
        let accounting = match &pool.accounting {
            Some(servers) => Some((client(servers)?, named(servers))),
            None => None,
        };
        Some(Self {
            pool: Arc::clone(pool),
            logins,
            accounting,
            room: Arc::new(Room::new(ROOM)),
            sticky,
        })
    }

    /// The pool's name.
    pub fn name(&self) -> &Arc<str> {
        &self.pool.name
    }

    /// A server as the file calls it; with the port of accounting where that is another one.
    pub fn server_name(&self, purpose: Purpose, server: usize) -> &str {
        if let (Purpose::Accounting, Some((_, names))) = (purpose, &self.accounting) {
            return names.get(server).map_or("", |name| name);
        }
        self.pool.names.get(server).map_or("", |name| name)
    }

    /// Its servers as they stand, with their names in the file: for logins, or for both where they are the same; and those
    /// that are for accounting alone.
    pub fn states(&self) -> impl Iterator<Item = (&str, Purpose, ServerState)> {
        let logins = self.logins.states().into_iter().enumerate();
        let logins = logins.map(|(at, state)| (at, Purpose::Login, state));
        let others = self.accounting.iter();
        let others = others.flat_map(|(client, _)| client.states()).enumerate();
        let others = others.map(|(at, state)| (at, Purpose::Accounting, state));
        logins
            .chain(others)
            .map(|(at, purpose, state)| (self.server_name(purpose, at), purpose, state))
    }

    /// Requests under way and how many there may be.
    pub fn load(&self) -> (usize, usize) {
        (self.room.taken(), ROOM)
    }

    /// Room for a request of this device, if there is.
    pub fn try_room(&self, device: &Arc<str>) -> Option<Place> {
        self.room.try_enter(device)
    }

    /// Room for a request of this device, as soon as there is; `None` after a while, so that one pool that hangs does not keep a
    /// connection from being read for ever.
    pub async fn room(&self, device: &Arc<str>) -> Option<Place> {
        let place = self.room.enter(device);
        tokio::time::timeout(PATIENCE, place).await.ok()?
    }

    /// Which server a login should go to: the one whose question it answers, or the one that has asked this user at this
    /// station before.
    pub fn aim(&self, whose: Whose<'_>, state: Option<&[u8]>, station: Option<&[u8]>) -> Aim {
        let asked = |kind: &[u8], value| self.sticky.asked(&whose.name(kind, value));
        if let Some(server) = state.and_then(|state| asked(STATE, state)) {
            return Aim::Only(server);
        }
        let station = station.and_then(|station| asked(STATION, station));
        station.map_or(Aim::Any, Aim::First)
    }

    /// Notes which server has asked something, for [`Self::aim`].
    pub fn asked_by(
        &self,
        server: usize,
        whose: Whose<'_>,
        state: Option<&[u8]>,
        station: Option<&[u8]>,
    ) {
        for (kind, value) in [(STATE, state), (STATION, station)] {
            if let Some(value) = value {
                self.sticky.note(&whose.name(kind, value), server);
            }
        }
    }

    /// Passes a request on; see [`Client::pass`].
    ///
    /// # Errors
    /// No server answered.
    pub async fn pass(
        &self,
        purpose: Purpose,
        what: Arc<dyn Ask>,
        aim: Aim,
    ) -> Result<Passed, Error> {
        let client = match purpose {
            Purpose::Login => &self.logins,
            Purpose::Accounting => {
                let own = self.accounting.as_ref();
                own.map_or(&self.logins, |(client, _)| client)
            }
        };
        client.pass(what, aim).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request that has our mark, or the marks of too many, is not passed on again.
    #[test]
    fn circles_are_known_by_our_mark_and_by_their_length() {
        let proxy = Proxy::default();
        let other = Proxy::default();
        let many = |count| std::iter::repeat_n(&b"a"[..], count);
        assert!(!proxy.goes_in_circles(std::iter::empty()));
        assert!(!proxy.goes_in_circles([other.mark()].into_iter()));
        assert!(proxy.goes_in_circles([other.mark(), proxy.mark()].into_iter()));
        assert!(!proxy.goes_in_circles(many(HOPS - 1)));
        assert!(proxy.goes_in_circles(many(HOPS)));
    }
}
