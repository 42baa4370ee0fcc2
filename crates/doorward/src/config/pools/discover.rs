//! `discover` of a pool: the servers of each realm are found in the DNS.

use std::sync::Arc;
use std::time::Duration;

use doorward_client::Responders;
use doorward_client::radius::discovery::{Carrier, Proof, Tag};

use super::secure::by_certificate;
use super::{IDLE_WHEN_FOUND, Known, ReadPool, Words, apart};
use crate::config::pool::{Discover, Settings};
use crate::config::report::Report;
use crate::config::section::Section;
use crate::config::source::{Span, escape};
use crate::config::tree::Node;
use crate::config::{ListenerProtocol, psk, value};

/// The tag of RFC 7585 for logins over TLS.
const USUAL_TAG: &str = "aaa+auth:radius.tls.tcp";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// What is looked up more often than that is looked up for every login (RFC 7585 section 3.4.3 has this minimum, too).
const SHORTEST_TTL: Duration = Duration::from_secs(60);

/// What the table says.
pub(super) struct Wanted {
    tag: Tag,
    proof: Proof,
    max_ttl: Duration,
    place: Span,
}

impl Wanted {
    /// What a listener is called that speaks like the servers.
    pub(super) fn protocol(&self) -> ListenerProtocol {
        match self.tag.carrier() {
            Carrier::Tls => ListenerProtocol::RadiusTls,
            Carrier::Dtls => ListenerProtocol::RadiusDtls,
        }
    }
}

/// `discover = { tag = "aaa+auth:radius.tls.tcp", dnssec = "require", max_ttl = "1d" }`.
pub(super) fn read(report: &mut Report, node: &Node, servers: Option<&Node>) -> Option<Wanted> {
    if let Some(servers) = servers {
        report
            .error(
                servers.span,
                "`servers` and `discover` do not go together: a pool has its servers from the file or from the DNS",
            )
            .help("make a [[pool]] for each, and a [[route]] to each");
    }
    let mut table = Section::new(report, "`discover` of [[pool]]", node)?;
    let tag = match table.value("tag") {
        None => Tag::parse(USUAL_TAG).ok(),
        Some(node) => value::text(report, "tag", node).and_then(|text| match Tag::parse(text) {
            Ok(tag) => Some(tag),
            Err(error) => {
                let message = format!("`{}` is no `tag`: {error}", escape(text));
                report
                    .error(node.span, message)
                    .help("write \"aaa+auth:radius.tls.tcp\", \"aaa+auth:radius.dtls.udp\", or the tag of your federation, such as \"x-eduroam:radius.tls\"");
                None
            }
        }),
    };
    let proof = match table.value("dnssec") {
        None => Some(Proof::Required),
        Some(node) => {
            let words = [("require", Proof::Required), ("if-signed", Proof::IfSigned)];
            value::choice(report, "dnssec", node, &words)
        }
    };
    let max_ttl = match table.value("max_ttl") {
        None => Some(DAY),
        Some(node) => value::duration_from(report, "max_ttl", node, SHORTEST_TTL),
    };
    table.finish(report);
    Some(Wanted {
        tag: tag?,
        proof: proof?,
        max_ttl: max_ttl?,
        place: node.span,
    })
}

/// What every server that is found will have.
pub(super) fn found(
    report: &mut Report,
    wanted: Wanted,
    words: &Words<'_>,
    known: &Known<'_>,
    responders: &Arc<Responders>,
    mut settings: Settings,
    read: &mut ReadPool,
) -> Option<()> {
    let mut sound = true;
    for (key, node, why) in [
        (
            "psk",
            words.psk,
            "a key is for one pair of ends, and these are found while running (RFC 9813)",
        ),
        (
            "server_name",
            words.server_name,
            "the realm is what the servers have to show",
        ),
        ("realm", words.realm, "it is the one of the user's name"),
    ] {
        sound &= node.is_none();
        apart(report, (key, node), "`discover`", why, "take it out");
    }
    if let Some(node) = words.psk {
        // What is wrong with it alone is told of at once.
        psk::read(
            report,
            known.surroundings,
            "[[pool]]",
            node,
            &mut Vec::new(),
        );
    }
    let sni = words.sni.map(|node| value::boolean(report, "sni", node));
    let datagrams = wanted.tag.carrier() == Carrier::Dtls;
    let (policy, material) = by_certificate(report, wanted.place, words, known, datagrams)?;
    read.pool.material = material;
    settings.idle_timeout = settings.idle_timeout.or(Some(IDLE_WHEN_FOUND));
    read.pool.discover = Some(Discover {
        tag: wanted.tag,
        proof: wanted.proof,
        max_ttl: wanted.max_ttl,
        policy: Arc::new(policy),
        responders: Arc::clone(responders),
        sni: sni != Some(Some(false)),
        settings,
    });
    sound.then_some(())
}
