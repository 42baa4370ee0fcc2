//! `[[pool]]`: the servers that requests are forwarded to.

use std::sync::Arc;
use std::time::Duration;

use doorward_client::hastls::Mode;
use doorward_client::radius::discovery::{Carrier, Place, Proof, Tag};
use doorward_client::radius::{Carriage, Reconnect, Server};
use doorward_client::{Responders, ServerAddress, Tls};
use doorward_hastls::RecordType;
use doorward_tls::{ClientPolicy, ReferenceIdentity};

use super::source::Location;

/// One `[[pool]]`: servers of one transport.
#[derive(Clone, Debug)]
pub struct Pool {
    /// `name`.
    pub name: Arc<str>,
    /// `servers`, in their order; none where they are found for each realm.
    pub servers: Vec<Server>,
    /// `discover`.
    pub discover: Option<Discover>,
    /// The same for accounting, where it has ports of its own, as over UDP; `None` = it goes to `servers`.
    pub accounting: Option<Vec<Server>>,
    /// What the file calls each of the `servers`: `radius-tls://home.example.net:2083`, the port always there.
    pub names: Vec<Arc<str>>,
    /// `strategy`.
    pub strategy: Strategy,
    /// `watchdog`.
    pub watchdog: Watchdog,
    /// `hastls`.
    pub hastls: Mode,
    /// `hastls_type` of [dns].
    pub hastls_type: RecordType,
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

/// `discover`: the servers of each realm are those that the DNS names (RFC 7585).
#[derive(Clone, Debug)]
pub struct Discover {
    /// `tag`.
    pub tag: Tag,
    /// `dnssec`.
    pub proof: Proof,
    /// `max_ttl`: what was found is looked up again after this time at the latest.
    pub max_ttl: Duration,
    pub(super) policy: Arc<ClientPolicy>,
    pub(super) responders: Arc<Responders>,
    pub(super) sni: bool,
    pub(super) settings: Settings,
}

impl Discover {
    /// A server of a realm. Its certificate has to show the realm; where DNSSEC has proved the way to it (`secure`), the name of the host is as
    /// good (RFC 7585 section 2.2). `None`: it is where RadSec must not be, or its name or the realm's is none that a certificate could have.
    pub fn server(&self, realm: &str, secure: bool, place: &Place) -> Option<Server> {
        let reference = match secure {
            true => ReferenceIdentity::found(realm, &place.host),
            false => ReferenceIdentity::realm(realm),
        };
        let host = ServerAddress::parse(&place.host, place.port).ok()?;
        let tls = Tls {
            policy: Arc::clone(&self.policy),
            reference: reference.ok()?,
            sni: self.sni.then(|| place.host.clone()),
            responders: Arc::clone(&self.responders),
            own_hellos: None,
        };
        let address = host.found_at(place.addresses.clone());
        let made = match self.tag.carrier() {
            Carrier::Tls => Server::tls(address, tls),
            Carrier::Dtls => Server::dtls(address, tls),
        };
        let mut server = made.ok()?;
        self.settings.fit(&mut server);
        // There are many realms, and most are asked seldom.
        server.keep_open = false;
        Some(server)
    }

    fn is_like(&self, other: &Self) -> bool {
        let Self {
            tag,
            proof,
            max_ttl,
            policy: _,
            responders: _,
            sni,
            settings,
        } = self;
        *tag == other.tag
            && *proof == other.proof
            && *max_ttl == other.max_ttl
            && *sni == other.sni
            && *settings == other.settings
    }
}

/// What is said of every server of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) timeout: Duration,
    pub(super) max_connections: usize,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) reconnect: Reconnect,
    pub(super) watchdog: Watchdog,
}

/// The interval of the watchdog where the file says `auto`.
const USUAL_WATCHDOG: Duration = Duration::from_secs(30);

impl Settings {
    pub(super) fn fit(&self, server: &mut Server) {
        server.reply_timeout = self.timeout;
        server.max_connections = self.max_connections;
        server.idle_timeout = self.idle_timeout;
        server.reconnect = self.reconnect;
        server.watchdog = match self.watchdog {
            Watchdog::Auto => Some(USUAL_WATCHDOG),
            Watchdog::Every(time) => Some(time),
            Watchdog::Off => None,
        };
        // So that it is known who is there before somebody has to wait for it.
        server.keep_open = self.idle_timeout.is_none();
    }
}

impl Pool {
    /// Whether its servers depend on what the DNS says beyond their addresses.
    pub fn asks_dns(&self) -> bool {
        self.discover.is_some() || self.hastls != Mode::Off
    }

    /// Whether connections made for the one serve the other, so that a reload keeps them. Also `false` where that is not
    /// certain, which costs new connections only.
    pub fn is_like(&self, other: &Self) -> bool {
        let Self {
            name,
            servers,
            discover,
            accounting,
            names,
            strategy,
            watchdog,
            hastls,
            hastls_type,
            location: _,
            material,
        } = self;
        let all = |ours: &[Server], theirs: &[Server]| {
            let pairs = || ours.iter().zip(theirs);
            let secure = pairs().all(|(one, other)| is_like(one, other));
            let tls = ours
                .iter()
                .any(|one| !matches!(one.carriage, Carriage::Udp(_)))
                || discover.is_some();
            let known = material.is_some() && *material == other.material;
            ours.len() == theirs.len() && secure && (!tls || known)
        };
        *name == other.name
            && *names == other.names
            && *strategy == other.strategy
            && *watchdog == other.watchdog
            && *hastls == other.hastls
            && *hastls_type == other.hastls_type
            && all(servers, &other.servers)
            && match (discover, &other.discover) {
                (None, None) => true,
                (Some(ours), Some(theirs)) => ours.is_like(theirs),
                (None, Some(_)) | (Some(_), None) => false,
            }
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
        // The same for all servers of a pool, and not set here.
        hastls: _,
        fallback: _,
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
