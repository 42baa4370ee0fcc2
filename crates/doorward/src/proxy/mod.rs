//! The RADIUS servers that requests are passed on to: their connections, which outlive a reload, and what keeps a login of
//! several rounds at one of them.
//!
//! ```text
//! aaa::radius ── route, request ──▶ Upstream ── room ──▶ Destination ── aim ──▶ doorward_client::radius::Client ──▶ server
//!                                       └─ Realms: one for each realm, found in the DNS
//! ```

mod destination;
mod realms;
mod room;
mod sticky;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use doorward_client::dns::{Resolver, Settings};
use doorward_client::radius::discovery::WhyNone;
use doorward_tls::hello::OwnHellos;

use crate::config::{Config, Pool};
use destination::Maker;
pub use destination::{Destination, Whose};
use realms::{Known, Realms};
pub use room::Place;
use room::Room;
use sticky::Sticky;

/// Requests of one pool that may be under way at once, each of which keeps a packet or two: 8 connections of 255 requests, and
/// as many that wait for an identifier.
const ROOM: usize = 4096;

/// How long a request waits for room.
const PATIENCE: Duration = Duration::from_secs(5);

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
    /// What it was made from, and it.
    resolver: ArcSwapOption<(Settings, Resolver)>,
    mark: [u8; MARK],
}

impl Default for Proxy {
    fn default() -> Self {
        let mut mark = [0; MARK];
        // Without random numbers no request can be passed on either; then this is used for nothing.
        _ = getrandom::fill(&mut mark);
        Self {
            upstreams: ArcSwap::default(),
            resolver: ArcSwapOption::default(),
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
        let (resolver, same) = self.resolver(config);
        let mut upstreams = BTreeMap::new();
        for (name, pool) in &config.pools {
            let old = before.get(name);
            let kept = old.filter(|old| old.pool.is_like(pool) && (same || !pool.asks_dns()));
            // With the same servers in the same order, a login of several rounds goes on where it is.
            let asked = old.filter(|old| old.pool.names == pool.names);
            let asked = asked.and_then(|old| old.sticky()).map(Arc::clone);
            let new = || {
                let upstream = Upstream::new(pool, own, &resolver, asked.unwrap_or_default());
                upstream.map(Arc::new)
            };
            let upstream = kept.cloned().or_else(new);
            upstreams.extend(upstream.map(|upstream| (Arc::clone(name), upstream)));
        }
        self.upstreams.store(Arc::new(upstreams));
    }

    /// The one for this configuration, and whether it is the one that there was, with all that it knows.
    fn resolver(&self, config: &Config) -> (Resolver, bool) {
        let before = self.resolver.load();
        if let Some(before) = before.as_deref()
            && before.0 == config.dns.settings
        {
            return (before.1.clone(), true);
        }
        let made = Resolver::new(config.dns.settings.clone());
        let known = (config.dns.settings.clone(), made.clone());
        self.resolver.store(Some(Arc::new(known)));
        (made, false)
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
    to: To,
    room: Arc<Room>,
}

/// Where the requests of a pool go.
enum To {
    /// To its own servers.
    Servers(Arc<Destination>),
    /// To those of the user's realm.
    Realms(Realms),
}

/// Why a realm leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Astray {
    /// It has no servers, which is a fact about it.
    NoServers(WhyNone),
    /// They could not be found, which is a fault.
    Fault(Arc<str>),
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
    fn new(
        pool: &Arc<Pool>,
        own: &Arc<OwnHellos>,
        resolver: &Resolver,
        sticky: Arc<Sticky>,
    ) -> Option<Self> {
        let maker = Maker::new(pool, own, resolver);
        let to = match &pool.discover {
            Some(wanted) => To::Realms(Realms::new(wanted.clone(), resolver.clone(), maker)),
            None => {
                let (names, accounting) = (pool.names.clone(), pool.accounting.as_deref());
                let made = maker.destination(names, &pool.servers, accounting, sticky)?;
                To::Servers(Arc::new(made))
            }
        };
        Some(Self {
            pool: Arc::clone(pool),
            to,
            room: Arc::new(Room::new(ROOM)),
        })
    }

    fn sticky(&self) -> Option<&Arc<Sticky>> {
        match &self.to {
            To::Servers(destination) => Some(destination.sticky()),
            To::Realms(_) => None,
        }
    }

    /// The pool's name.
    pub fn name(&self) -> &Arc<str> {
        &self.pool.name
    }

    /// Its own servers; `None` where they are those of each realm.
    pub fn servers(&self) -> Option<&Arc<Destination>> {
        match &self.to {
            To::Servers(destination) => Some(destination),
            To::Realms(_) => None,
        }
    }

    /// Its own servers, or those of the realm as the DNS has them.
    ///
    /// # Errors
    /// There are none, or they cannot be found.
    pub async fn servers_of(
        &self,
        realm: &str,
        purpose: Purpose,
    ) -> Result<Arc<Destination>, Astray> {
        match &self.to {
            To::Servers(destination) => Ok(Arc::clone(destination)),
            To::Realms(realms) => match realms.of(realm, purpose).await {
                Known::Found(destination) => Ok(destination),
                Known::None(why) => Err(Astray::NoServers(why)),
                Known::Failed(why) => Err(Astray::Fault(why)),
            },
        }
    }

    /// The servers that are in use, each set of them with the realm that it is for, if it is for one.
    pub fn destinations(&self) -> Vec<(Option<Box<str>>, Arc<Destination>)> {
        match &self.to {
            To::Servers(destination) => vec![(None, Arc::clone(destination))],
            To::Realms(realms) => {
                let found = realms.destinations().into_iter();
                found.map(|(realm, one)| (Some(realm), one)).collect()
            }
        }
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
