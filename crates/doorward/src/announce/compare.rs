//! A record of the zone against what listens.

use std::collections::BTreeMap;
use std::fmt;

use doorward_hastls::{PortPair, Record, Server, Unusable};
use jiff::civil::Date;

use super::{Listening, Offer, PROTOCOLS, known_ports, title};
use crate::policy::Protocol;

/// The zone says something else than is the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no record that counts: clients do as if there were none.
    Void(Unusable),
    /// The record says that there is TLS alone, and a port without TLS is open (section 2: such a host is to be that and nothing else).
    PlainOpen(PortPair, Listening),
    /// Nobody listens on this port of a pair in this form.
    NobodyListens {
        /// The pair.
        pair: PortPair,
        /// Of which protocol it speaks.
        protocol: Protocol,
        /// The port.
        port: u16,
        /// With TLS.
        tls: bool,
    },
    /// Of this listener the record says nothing.
    NotAnnounced(Listening),
    /// Equal ports announce an upgrade in band, which neither TACACS+ (RFC 9887) nor RADIUS has.
    Upgrade(PortPair, Protocol),
    /// Two pairs cannot both be true.
    Contradicting(PortPair, PortPair),
}

impl Fault {
    /// One word for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Void(Unusable::Insecure) => "unsigned",
            Self::Void(why) => why.name(),
            Self::PlainOpen(..) => "plain-open",
            Self::NobodyListens { .. } => "nobody-listens",
            Self::NotAnnounced(_) => "not-announced",
            Self::Upgrade(..) => "upgrade",
            Self::Contradicting(..) => "contradicting",
        }
    }

    /// What to do.
    pub fn help(&self) -> String {
        match self {
            Self::Void(why) => void_help(*why).to_owned(),
            Self::PlainOpen(_, listener) => match listener.until {
                Some(day) => format!(
                    "publish the record for both until {day}, when the listener closes; or close it today: `until` of its [[listen]], then `doorward reload`"
                ),
                None => "if the last device has moved to TLS, take the [[listen]] out and `doorward reload`; if not, publish the record for both: `doorward hastls publish`".to_owned(),
            },
            Self::NobodyListens { .. } => {
                "open the listener (`doorward check`, `doorward status`), or publish the record of those that are open: `doorward hastls publish`"
                    .to_owned()
            }
            Self::NotAnnounced(_) | Self::Upgrade(..) | Self::Contradicting(..) => {
                "publish the record of the listeners: `doorward hastls publish`".to_owned()
            }
        }
    }
}

fn void_help(why: Unusable) -> &'static str {
    match why {
        Unusable::Insecure => {
            "sign the zone and have its DS record in the zone above; clients obey no record before that"
        }
        Unusable::Absent => {
            "publish it: `doorward hastls publish`; is the name the one that clients are configured with?"
        }
        Unusable::Expired => {
            "sign the zone again; look at the clocks of this host and of the signer"
        }
        Unusable::Bogus => {
            "compare the keys of the zone with the DS records above and with the trust anchor here (`trust_anchor` of [dns], --trust-anchor)"
        }
        Unusable::Indeterminate | Unusable::NotAsked => {
            "look at the name servers and the trust anchor (`servers` and `trust_anchor` of [dns], --resolver, --trust-anchor): an anchor has to be above the name"
        }
        Unusable::Malformed(_) | Unusable::Silent | Unusable::Contradicting | Unusable::Upgrade => {
            "publish the record of the listeners: `doorward hastls publish`"
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Void(why) => write!(f, "no record counts: {why}"),
            Self::PlainOpen(pair, listener) => write!(
                f,
                "the zone says ({pair}), {} with TLS alone, but port {} is open without TLS",
                title(listener.speaks()),
                listener.port()
            ),
            Self::NobodyListens {
                pair,
                protocol,
                port,
                tls,
            } => write!(
                f,
                "the zone says ({pair}), but no {} {} TLS listens on port {port}",
                title(*protocol),
                form(*tls)
            ),
            Self::NotAnnounced(listener) => write!(
                f,
                "the zone does not say that {} is offered {} TLS on port {}",
                title(listener.speaks()),
                form(listener.is_tls()),
                listener.port()
            ),
            Self::Upgrade(pair, protocol) => write!(
                f,
                "the zone says ({pair}): equal ports announce an upgrade to TLS in band, which {} does not have",
                title(*protocol)
            ),
            Self::Contradicting(one, other) => write!(
                f,
                "the zone says ({one}) and ({other}), which cannot both be true"
            ),
        }
    }
}

fn form(tls: bool) -> &'static str {
    match tls {
        true => "with",
        false => "without",
    }
}

/// What is no fault, and worth knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The last step of the move to TLS: the zone says TLS alone already, and the listener without closes today.
    Closing(PortPair, Listening),
    /// The listener closes; one time to live before that day ends, the zone has to say so.
    Ends(Listening),
    /// A pair of another service of this host.
    Elsewhere(PortPair),
    /// So many pairs (0 0), which mean nothing.
    Undefined(usize),
}

impl Note {
    /// One word for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Closing(..) => "closing",
            Self::Ends(_) => "ends",
            Self::Elsewhere(_) => "elsewhere",
            Self::Undefined(_) => "undefined",
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closing(pair, listener) => write!(
                f,
                "the move to TLS ends today: the zone says ({pair}) already, and {} on port {} without TLS closes after {}; nothing is to be done",
                title(listener.speaks()),
                listener.port(),
                listener.until.unwrap_or_default()
            ),
            Self::Ends(listener) => write!(
                f,
                "{} on port {} {} TLS closes after {}: publish the record without it on that day",
                title(listener.speaks()),
                listener.port(),
                form(listener.is_tls()),
                listener.until.unwrap_or_default()
            ),
            Self::Elsewhere(pair) => {
                let upgrade = match pair.is_upgrade() {
                    true => ", with an upgrade to TLS in band",
                    false => "",
                };
                write!(f, "({pair}) is about another service{upgrade}: not judged")
            }
            Self::Undefined(count) => {
                write!(f, "so many pairs (0 0), which mean nothing: {count}")
            }
        }
    }
}

/// What of a proved record is not so. An application is known by its ports alone (section 3): a pair is about a protocol of ours if it has a port
/// that one of its listeners has, or else that it is known by.
pub fn compare(record: &Record, offer: &Offer, today: Date) -> (Vec<Fault>, Vec<Note>) {
    let (mut faults, mut notes) = (Vec::new(), Vec::new());
    faults.extend(
        record
            .contradiction()
            .map(|(one, other)| Fault::Contradicting(one, other)),
    );
    if record.undefined() > 0 {
        notes.push(Note::Undefined(record.undefined()));
    }
    let mut ours: Vec<(PortPair, Protocol)> = Vec::new();
    for pair in record.pairs() {
        match owner(*pair, offer) {
            None => notes.push(Note::Elsewhere(*pair)),
            Some(protocol) if pair.is_upgrade() => faults.push(Fault::Upgrade(*pair, protocol)),
            Some(protocol) => ours.push((*pair, protocol)),
        }
    }
    for (pair, protocol) in &ours {
        let forms = [(pair.insecure(), false), (pair.secure(), true)];
        for (port, tls) in forms {
            let Some(port) = port.map(u16::from) else {
                continue;
            };
            if !offer.ports(*protocol, tls).contains(&port) {
                faults.push(Fault::NobodyListens {
                    pair: *pair,
                    protocol: *protocol,
                    port,
                    tls,
                });
            }
        }
    }
    for listener in one_a_port(offer) {
        let (fault, note) = announced(&listener, &ours, today);
        faults.extend(fault);
        notes.extend(note);
    }
    (faults, notes)
}

/// Of which protocol of ours a pair speaks.
fn owner(pair: PortPair, offer: &Offer) -> Option<Protocol> {
    let listens = |protocol: &Protocol| {
        let has = |port: u16| {
            [true, false]
                .iter()
                .any(|tls| offer.ports(*protocol, *tls).contains(&port))
        };
        pair.ports().any(|port| has(port.get()))
    };
    let is_known = |protocol: &Protocol| {
        pair.ports()
            .any(|port| known_ports(*protocol).contains(&port.get()))
    };
    let ours = PROTOCOLS.into_iter().find(listens);
    ours.or_else(|| PROTOCOLS.into_iter().find(is_known))
}

/// One listener for each protocol and port: the one that stays open for longest.
fn one_a_port(offer: &Offer) -> Vec<Listening> {
    let mut ports: BTreeMap<(bool, &str, u16), Listening> = BTreeMap::new();
    for one in &offer.listening {
        let key = (one.is_tls(), one.speaks().name(), one.port());
        let kept = ports.entry(key).or_insert(*one);
        if one.stays() > kept.stays() {
            *kept = *one;
        }
    }
    ports.into_values().collect()
}

fn announced(
    listener: &Listening,
    ours: &[(PortPair, Protocol)],
    today: Date,
) -> (Option<Fault>, Option<Note>) {
    let about = ours
        .iter()
        .filter(|(_, protocol)| *protocol == listener.speaks());
    let pairs: Vec<PortPair> = about.map(|(pair, _)| *pair).collect();
    let only = pairs
        .iter()
        .find(|pair| !listener.is_tls() && pair.server() == Server::SecureOnly);
    if let Some(pair) = only {
        return match listener.until {
            Some(day) if day == today => (None, Some(Note::Closing(*pair, *listener))),
            Some(_) | None => (Some(Fault::PlainOpen(*pair, *listener)), None),
        };
    }
    let port = |pair: &PortPair| match listener.is_tls() {
        true => pair.secure(),
        false => pair.insecure(),
    };
    let named = pairs
        .iter()
        .any(|pair| port(pair).map(u16::from) == Some(listener.port()));
    let note = listener.until.map(|_| Note::Ends(*listener));
    match named {
        true => (None, note),
        false => (Some(Fault::NotAnnounced(*listener)), None),
    }
}
