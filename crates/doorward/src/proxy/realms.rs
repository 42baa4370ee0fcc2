//! The servers of each realm, of a pool that finds them in the DNS: looked up by the first request, used as long as the DNS says.
//!
//! A search that fails leaves what was found before in use, up to `max_ttl`: a resolver that is away for an hour is no reason to let
//! nobody in. A proof that there are no servers any more ends it at once.

use std::collections::HashMap;
use std::collections::hash_map;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorward_client::dns::{Resolver, Unreachable};
use doorward_client::radius::discovery::{Carrier, Discovery, Failure, Place, WhyNone, discover};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

use super::Purpose;
use super::destination::{Destination, Maker};
use crate::config::{Discover, ListenerProtocol};

/// Realms whose servers are remembered. Users choose them, so that there are as many as anybody likes.
const MOST: usize = 4096;
/// How long a search may take; a device waits not much longer.
const PATIENCE: Duration = Duration::from_secs(8);
/// What is looked up again sooner costs more questions than it is worth (RFC 7585 section 3.4.3 has this minimum, too).
const SHORTEST: Duration = Duration::from_secs(60);
/// How long it is believed that a realm has no servers: whoever adds them does not want to wait for longer.
const LONGEST_NONE: Duration = Duration::from_secs(900);
/// When to search again after a fault.
const AFTER_FAULT: Duration = Duration::from_secs(30);

/// What is known of a realm.
#[derive(Clone, Debug)]
pub(super) enum Known {
    Found(Arc<Destination>),
    None(WhyNone),
    Failed(Arc<str>),
}

/// Where the servers of realms are looked for, and what is made of them.
#[derive(Debug)]
struct Finder {
    wanted: Discover,
    resolver: Resolver,
    maker: Maker,
}

struct Findings {
    known: Known,
    /// When to search again.
    until: Instant,
    /// What was found, and until when it is better than nothing.
    found: Option<(Vec<Place>, bool, Instant)>,
}

type Search = Shared<BoxFuture<'static, Arc<Findings>>>;

struct Entry {
    search: Search,
    used: Instant,
}

/// A realm in lower case, and for what: accounting may have servers of its own.
type Key = (Box<str>, bool);

/// The realms of one pool.
pub(super) struct Realms {
    finder: Arc<Finder>,
    entries: Mutex<HashMap<Key, Entry>>,
}

impl Realms {
    pub(super) fn new(wanted: Discover, resolver: Resolver, maker: Maker) -> Self {
        let finder = Finder {
            wanted,
            resolver,
            maker,
        };
        Self {
            finder: Arc::new(finder),
            entries: Mutex::default(),
        }
    }

    /// The servers of a realm. The same search answers all who ask meanwhile.
    pub(super) async fn of(&self, realm: &str, purpose: Purpose) -> Known {
        let search = self.search(realm, purpose);
        search.await.known.clone()
    }

    /// Those that were found, by realm.
    pub(super) fn destinations(&self) -> Vec<(Box<str>, Arc<Destination>)> {
        let entries = self.entries();
        let found = entries.iter().filter_map(|((realm, _), entry)| {
            let Known::Found(destination) = &entry.search.peek()?.known else {
                return None;
            };
            Some((realm.clone(), Arc::clone(destination)))
        });
        found.collect()
    }

    fn search(&self, realm: &str, purpose: Purpose) -> Search {
        let tag = &self.finder.wanted.tag;
        let accounting = purpose == Purpose::Accounting && tag.for_accounting() != *tag;
        let key: Key = (realm.to_ascii_lowercase().into(), accounting);
        let now = Instant::now();
        let mut entries = self.entries();
        if !entries.contains_key(&key) {
            make_room(&mut entries, now);
        }
        match entries.entry(key) {
            hash_map::Entry::Vacant(vacant) => {
                let search = self.finder.begin(vacant.key(), None);
                let entry = vacant.insert(Entry { search, used: now });
                entry.search.clone()
            }
            hash_map::Entry::Occupied(mut occupied) => {
                let over = occupied.get().search.peek().filter(|one| one.until <= now);
                if let Some(last) = over.cloned() {
                    let search = self.finder.begin(occupied.key(), Some(last));
                    occupied.get_mut().search = search;
                }
                let entry = occupied.get_mut();
                entry.used = now;
                entry.search.clone()
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what is over, else what was of use to nobody for longest: first of realms that have no servers.
fn make_room(entries: &mut HashMap<Key, Entry>, now: Instant) {
    if entries.len() < MOST {
        return;
    }
    let has_servers = |entry: &Entry| {
        let found = entry.search.peek();
        found.is_some_and(|one| matches!(one.known, Known::Found(_)))
    };
    entries.retain(|_, entry| {
        has_servers(entry) || entry.search.peek().is_none_or(|one| one.until > now)
    });
    if entries.len() < MOST {
        return;
    }
    let oldest = entries
        .iter()
        .min_by_key(|(_, entry)| (has_servers(entry), entry.used));
    if let Some(key) = oldest.map(|(key, _)| key.clone()) {
        entries.remove(&key);
    }
}

impl Finder {
    fn begin(self: &Arc<Self>, key: &Key, last: Option<Arc<Findings>>) -> Search {
        let (finder, key) = (Arc::clone(self), key.clone());
        let search = async move { Arc::new(finder.find(key, last).await) };
        search.boxed().shared()
    }

    async fn find(&self, (realm, accounting): Key, last: Option<Arc<Findings>>) -> Findings {
        let tag = match accounting {
            true => self.wanted.tag.for_accounting(),
            false => self.wanted.tag.clone(),
        };
        let search = discover(&self.resolver, &realm, &tag, self.wanted.proof);
        let found = tokio::time::timeout(PATIENCE, search).await;
        let found = found.unwrap_or(Discovery::Failed(Failure::Unreachable(
            Unreachable::Timeout,
        )));
        let now = Instant::now();
        let failed = match found {
            Discovery::Found(servers) => {
                let ttl = servers.ttl.max(SHORTEST).min(self.wanted.max_ttl);
                let known = self.known(&realm, &servers.places, servers.secure, last.as_deref());
                if let Some(known) = known {
                    return Findings {
                        known: Known::Found(known),
                        until: now + ttl,
                        found: Some((servers.places, servers.secure, now + self.wanted.max_ttl)),
                    };
                }
                "the servers that the DNS names are where RadSec must not be, or cannot prove who they are".to_owned()
            }
            Discovery::None(none) => {
                let realm = &*realm;
                tracing::debug!(realm, "a realm has no servers: {}", none.why);
                return Findings {
                    known: Known::None(none.why),
                    until: now
                        + none
                            .ttl
                            .clamp(SHORTEST, LONGEST_NONE)
                            .min(self.wanted.max_ttl),
                    found: None,
                };
            }
            Discovery::Failed(failure) => failure.to_string(),
        };
        self.failed(&realm, &failed, last.as_deref(), now)
    }

    /// The servers with their connections: the old ones if nothing has changed.
    fn known(
        &self,
        realm: &str,
        places: &[Place],
        secure: bool,
        last: Option<&Findings>,
    ) -> Option<Arc<Destination>> {
        if let Some(Findings {
            known: Known::Found(destination),
            found: Some((old, proved, _)),
            ..
        }) = last
            && *proved == secure
            // Chance orders them anew with each search.
            && old.len() == places.len()
            && old.iter().all(|one| places.contains(one))
        {
            return Some(Arc::clone(destination));
        }
        let scheme = match self.wanted.tag.carrier() {
            Carrier::Tls => ListenerProtocol::RadiusTls.name(),
            Carrier::Dtls => ListenerProtocol::RadiusDtls.name(),
        };
        let made = places.iter().filter_map(|place| {
            let server = self.wanted.server(realm, secure, place)?;
            Some((
                Arc::from(format!("{scheme}://{}:{}", place.host, place.port)),
                server,
            ))
        });
        let (names, servers): (Vec<Arc<str>>, Vec<_>) = made.unzip();
        let named = names.join(" ");
        let sticky = Arc::default();
        let destination = self.maker.destination(names, &servers, None, sticky)?;
        tracing::info!(
            realm,
            servers = named,
            secure,
            "the servers of a realm were found"
        );
        Some(Arc::new(destination))
    }

    fn failed(&self, realm: &str, why: &str, last: Option<&Findings>, now: Instant) -> Findings {
        let stale = last.and_then(|last| last.found.clone().map(|found| (last, found)));
        let stale = stale.filter(|(_, (.., until))| *until > now);
        let until = now + AFTER_FAULT;
        match stale {
            Some((last, found)) => {
                tracing::warn!(
                    realm,
                    "the servers of a realm cannot be looked up again, those that were found stay in use: {why}"
                );
                Findings {
                    known: last.known.clone(),
                    until,
                    found: Some(found),
                }
            }
            None => {
                tracing::debug!(realm, "the servers of a realm cannot be found: {why}");
                Findings {
                    known: Known::Failed(why.into()),
                    until,
                    found: None,
                }
            }
        }
    }
}
