//! What a client may do (section 4): a pure function of the answer, the policy and the service.
//!
//! 1. Without a usable record the configured policy stays, on the configured ports.
//! 2. The pairs that name one of the service's two ports are about it. None: the record is silent. An application without upgrade in
//!    band passes over pairs of equal ports.
//! 3. If one of them contradicts another, or a pair that shares a port with it, the record is unusable for this service; but where one of
//!    these says that there is no insecure form, none is tried.
//! 4. The pair that has most ports in common counts, of several the one with the lowest numbers: the order in which the DNS hands them
//!    out means nothing. Its ports are the ports to use, but for plain RADIUS ([`Application::Radius`]).
//!
//! | policy | `(p 0)` | `(0 q)` | `(p q)` | no record |
//! | --- | --- | --- | --- | --- |
//! | insecure only | p | refused | p | configured insecure port |
//! | secure only | refused | q with TLS | q with TLS | configured secure port with TLS |
//! | allow fall-back | p | q with TLS | q with TLS, then p | configured secure port with TLS, then the insecure one |
//!
//! Equal ports `(p p)` mean an upgrade on p that is mandatory, and in the fall-back p without it; and so does `(0 p)` where p is the
//! service's insecure port.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU16;
use core::str::FromStr;

use crate::service::UnknownWord;
use crate::{Answer, Application, Policy, PortPair, Record, Server, Service, Unusable};

/// How a port is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    /// Without TLS.
    Plain,
    /// TLS (or DTLS) from the first octet.
    Tls,
    /// TLS by an upgrade in band; nothing else happens if it cannot be set up.
    Upgrade,
}

/// One thing to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Where.
    pub port: NonZeroU16,
    /// And how.
    pub security: Security,
}

/// `TLS on port 300`.
impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.security {
            Security::Plain => "no TLS",
            Security::Tls => "TLS",
            Security::Upgrade => "an upgrade to TLS",
        };
        write!(f, "{how} on port {}", self.port)
    }
}

/// What a plan stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// A validated record that says this about the service.
    Record(Server),
    /// The configuration alone, since no record counts.
    Configured(Unusable),
}

/// What to try, in order: one attempt, or the secure one and its fall-back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    first: Attempt,
    fallback: Option<NonZeroU16>,
    basis: Basis,
}

impl Route {
    /// What to try first.
    pub fn first(&self) -> Attempt {
        self.first
    }

    /// What to try if TLS cannot be set up, always without TLS. A client that knows from before that it will not be may begin here
    /// (section 4, last item).
    pub fn fallback(&self) -> Option<Attempt> {
        self.fallback.map(plain)
    }

    /// All of it.
    pub fn attempts(&self) -> impl Iterator<Item = Attempt> {
        core::iter::once(self.first).chain(self.fallback())
    }

    /// What it stands on.
    pub fn basis(&self) -> Basis {
        self.basis
    }
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Plan {
    /// It tries this and nothing else.
    Connect(Route),
    /// It does not connect.
    Refuse(Refusal),
}

/// Why a client does not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The client would do without TLS, and the server does not.
    SecureOnly,
    /// The client wants TLS, and the server has none.
    InsecureOnly,
    /// The client would do without TLS, which one part of the record allows and another does not.
    Contradicting,
    /// [`Mode::Require`], and no record counts.
    Required(Unusable),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecureOnly => f.write_str("the server offers this service with TLS only"),
            Self::InsecureOnly => f.write_str("the server offers this service without TLS only"),
            Self::Contradicting => Unusable::Contradicting.fmt(f),
            Self::Required(why) => write!(f, "a HASTLS record is required, but {why}"),
        }
    }
}

impl core::error::Error for Refusal {}

/// What a client is configured to do about HASTLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It does not look; an answer is not used.
    #[default]
    Off,
    /// It obeys a record that counts, and goes on without one.
    Use,
    /// It connects only where a record counts and allows it.
    Require,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::Use, Self::Require];

    /// Its word: `off`, `use` or `require`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Use => "use",
            Self::Require => "require",
        }
    }

    /// [`decide`] under this mode.
    pub fn decide(self, answer: &Answer, policy: Policy, service: &Service) -> Plan {
        match self {
            Self::Off => decide(&Answer::NOT_ASKED, policy, service),
            Self::Use => decide(answer, policy, service),
            Self::Require => match decide(answer, policy, service) {
                Plan::Connect(Route {
                    basis: Basis::Configured(why),
                    ..
                }) => Plan::Refuse(Refusal::Required(why)),
                plan @ (Plan::Connect(_) | Plan::Refuse(_)) => plan,
            },
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The words of [`Mode::name`].
impl FromStr for Mode {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|mode| mode.name() == word);
        found.ok_or(UnknownWord("a mode is off, use or require"))
    }
}

/// What a client of this policy may do, given what the DNS said. The module's page has the rules.
pub fn decide(answer: &Answer, policy: Policy, service: &Service) -> Plan {
    let policy = service.policy(policy);
    let record = match answer {
        Answer::Secure(record) => record,
        Answer::Unusable(why) => return configured(policy, service, *why),
    };
    let about = match about(record, service) {
        Ok(about) => about,
        Err(why) => return configured(policy, service, why),
    };
    if about.contradicting {
        return contradicting(&about, policy, service);
    }
    let (secured, plain_port) = (
        |port| secured(port, about.pair, service),
        |port| plain_port(port, service),
    );
    let (first, fallback) = match (policy, about.pair) {
        (Policy::InsecureOnly, PortPair::SecureOnly(_)) => {
            return Plan::Refuse(Refusal::SecureOnly);
        }
        (Policy::SecureOnly, PortPair::InsecureOnly(_)) => {
            return Plan::Refuse(Refusal::InsecureOnly);
        }
        (Policy::InsecureOnly, PortPair::InsecureOnly(port))
        | (Policy::InsecureOnly, PortPair::Both { insecure: port, .. })
        | (Policy::AllowFallback, PortPair::InsecureOnly(port)) => (plain(plain_port(port)), None),
        (Policy::SecureOnly, PortPair::Both { secure: port, .. })
        | (Policy::SecureOnly | Policy::AllowFallback, PortPair::SecureOnly(port)) => {
            (secured(port), None)
        }
        (Policy::AllowFallback, PortPair::Both { insecure, secure }) => {
            (secured(secure), Some(plain_port(insecure)))
        }
    };
    Plan::Connect(Route {
        first,
        fallback,
        basis: Basis::Record(about.pair.server()),
    })
}

/// What a record says about a service.
struct About {
    /// The pair that counts.
    pair: PortPair,
    contradicting: bool,
    /// One of the pairs says that there is no insecure form.
    no_insecure: bool,
}

fn about(record: &Record, service: &Service) -> Result<About, Unusable> {
    let named = |pair: &PortPair| service.likeness(*pair) > 0;
    let mut matching: Vec<PortPair> = record.pairs().iter().copied().filter(named).collect();
    if matching.is_empty() {
        return Err(Unusable::Silent);
    }
    matching.retain(|pair| service.has_upgrade() || !pair.is_upgrade());
    let best = |pair: &PortPair| {
        let numbers = (pair.insecure(), pair.secure());
        (core::cmp::Reverse(service.likeness(*pair)), numbers)
    };
    let pair = matching.iter().copied().min_by_key(best);
    let pair = pair.ok_or(Unusable::Upgrade)?;
    let ports: BTreeSet<NonZeroU16> = matching.iter().flat_map(|pair| pair.ports()).collect();
    let related = |other: &&PortPair| other.ports().any(|port| ports.contains(&port));
    let mut about = About {
        pair,
        contradicting: matching.iter().any(|one| one.server() != pair.server()),
        no_insecure: false,
    };
    for other in record.pairs().iter().filter(related) {
        about.contradicting |= other.server() != pair.server();
        about.no_insecure |= other.server() == Server::SecureOnly;
    }
    Ok(about)
}

/// The configured policy, as without a record.
fn configured(policy: Policy, service: &Service, why: Unusable) -> Plan {
    let secure = Attempt {
        port: service.secure,
        security: if service.secure == service.insecure && service.has_upgrade() {
            Security::Upgrade
        } else {
            Security::Tls
        },
    };
    let (first, fallback) = match policy {
        Policy::InsecureOnly => (plain(service.insecure), None),
        Policy::SecureOnly => (secure, None),
        Policy::AllowFallback => (secure, Some(service.insecure)),
    };
    Plan::Connect(Route {
        first,
        fallback,
        basis: Basis::Configured(why),
    })
}

/// Nothing can be concluded, except that what one part forbids must not happen in clear.
fn contradicting(about: &About, policy: Policy, service: &Service) -> Plan {
    let policy = match policy {
        Policy::InsecureOnly if about.no_insecure => return Plan::Refuse(Refusal::Contradicting),
        Policy::AllowFallback if about.no_insecure => Policy::SecureOnly,
        Policy::InsecureOnly | Policy::SecureOnly | Policy::AllowFallback => policy,
    };
    configured(policy, service, Unusable::Contradicting)
}

fn plain(port: NonZeroU16) -> Attempt {
    Attempt {
        port,
        security: Security::Plain,
    }
}

fn plain_port(announced: NonZeroU16, service: &Service) -> NonZeroU16 {
    match service.application {
        Application::Radius => service.insecure,
        Application::Tacacs | Application::Other => announced,
    }
}

fn secured(port: NonZeroU16, pair: PortPair, service: &Service) -> Attempt {
    let in_band = pair.is_upgrade() || (service.has_upgrade() && port == service.insecure);
    Attempt {
        port,
        security: if in_band {
            Security::Upgrade
        } else {
            Security::Tls
        },
    }
}
