//! `[[pool]]`: the servers that requests are forwarded to.

use std::sync::Arc;
use std::time::Duration;

use doorward_client::Tls;
use doorward_client::radius::{Carriage, Server};

use super::source::Location;

/// One `[[pool]]`: servers of one transport.
#[derive(Clone, Debug)]
pub struct Pool {
    /// `name`.
    pub name: Arc<str>,
    /// `servers`, in their order.
    pub servers: Vec<Server>,
    /// The same for accounting, where it has ports of its own, as over UDP; `None` = it goes to `servers`.
    pub accounting: Option<Vec<Server>>,
    /// What the file calls each of the `servers`: `radius-tls://home.example.net:2083`, the port always there.
    pub names: Vec<Arc<str>>,
    /// `strategy`.
    pub strategy: Strategy,
    /// `watchdog`.
    pub watchdog: Watchdog,
    /// Where it is defined.
    pub location: Location,
    /// Of what is shown and trusted over TLS and DTLS, their secrets included; `None` where it may change while it is used
    /// (revocation lists), and over UDP.
    pub(super) material: Option<[u8; 32]>,
}

/// `strategy`: which server is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The first of the list that is well.
    #[default]
    Failover,
    /// Of those that are well, the one with the fewest requests under way.
    Balance,
}

/// `watchdog`: whether servers are asked if they are there, by Status-Server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watchdog {
    /// At the usual intervals. A server that never answers is judged by its other answers.
    #[default]
    Auto,
    /// At this interval.
    Every(Duration),
    /// Never.
    Off,
}

impl Pool {
    /// Whether connections made for the one serve the other, so that a reload keeps them. Also `false` where that is not
    /// certain, which costs new connections only.
    pub fn is_like(&self, other: &Self) -> bool {
        let Self {
            name,
            servers,
            accounting,
            names,
            strategy,
            watchdog,
            location: _,
            material,
        } = self;
        let all = |ours: &[Server], theirs: &[Server]| {
            let pairs = || ours.iter().zip(theirs);
            let secure = pairs().all(|(one, other)| is_like(one, other));
            let tls = ours
                .iter()
                .any(|one| !matches!(one.carriage, Carriage::Udp(_)));
            let known = material.is_some() && *material == other.material;
            ours.len() == theirs.len() && secure && (!tls || known)
        };
        *name == other.name
            && *names == other.names
            && *strategy == other.strategy
            && *watchdog == other.watchdog
            && all(servers, &other.servers)
            && match (accounting, &other.accounting) {
                (None, None) => true,
                (Some(ours), Some(theirs)) => all(ours, theirs),
                (None, Some(_)) | (Some(_), None) => false,
            }
    }
}

/// All but what is shown and trusted.
fn is_like(one: &Server, other: &Server) -> bool {
    let Server {
        address,
        carriage,
        connect_timeout,
        reply_timeout,
        doubt_after,
        retransmit,
        reconnect,
        watchdog,
        watchdog_learns,
        idle_timeout,
        keep_open,
        max_connections,
        unsigned_answers,
    } = one;
    let named = |one: &Tls, other: &Tls| one.reference == other.reference && one.sni == other.sni;
    let carried = match (carriage, &other.carriage) {
        (Carriage::Tls(ours), Carriage::Tls(theirs))
        | (Carriage::Dtls(ours), Carriage::Dtls(theirs)) => named(ours, theirs),
        (Carriage::Udp(ours), Carriage::Udp(theirs)) => ours.octets() == theirs.octets(),
        _ => false,
    };
    carried
        && *address == other.address
        && *connect_timeout == other.connect_timeout
        && *reply_timeout == other.reply_timeout
        && *doubt_after == other.doubt_after
        && *retransmit == other.retransmit
        && *reconnect == other.reconnect
        && *watchdog == other.watchdog
        && *watchdog_learns == other.watchdog_learns
        && *idle_timeout == other.idle_timeout
        && *keep_open == other.keep_open
        && *max_connections == other.max_connections
        && *unsigned_answers == other.unsigned_answers
}
