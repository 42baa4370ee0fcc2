//! The servers of a pool over TLS and DTLS: what proves us, and what they have to show.

use std::sync::Arc;

use aws_lc_rs::digest;
use doorward_client::radius::Server;
use doorward_client::{Responders, ServerAddress, Tls};
use doorward_tls::{
    ClientPolicy, ClientSettings, Clock, PolicyError, ReferenceIdentity, Trust, TrustSettings,
};

use super::{Known, ReadPool, Words};
use crate::config::report::Report;
use crate::config::source::{Span, escape};
use crate::config::suggest::nearest;
use crate::config::tree::Node;
use crate::config::{ListenerProtocol, psk, value};

/// The servers of RadSec.
pub(super) fn secure(
    report: &mut Report,
    list: &Node,
    addresses: &[(ServerAddress, Span)],
    words: &Words<'_>,
    known: &Known<'_>,
    responders: &Arc<Responders>,
    read: &mut ReadPool,
) -> Option<()> {
    let datagrams = read.protocol == ListenerProtocol::RadiusDtls;
    let expected = expected(report, words);
    let sni = words.sni.map(|node| value::boolean(report, "sni", node));
    let (policy, material) = match words.psk {
        Some(node) => by_key(report, node, known, datagrams, read)?,
        None => by_certificate(report, list.span, words, known, datagrams)?,
    };
    read.pool.material = material;
    let (policy, expected) = (Arc::new(policy), expected?);
    for (address, span) in addresses {
        let host = ReferenceIdentity::parse(address.host()).ok()?;
        let named = match &expected {
            Some(ReferenceIdentity::Realm(_)) | None => &host,
            Some(name) => name,
        };
        let tls = Tls {
            policy: Arc::clone(&policy),
            sni: named
                .host_name()
                .filter(|_| sni != Some(Some(false)))
                .map(str::to_owned),
            reference: expected.clone().unwrap_or_else(|| host.clone()),
            responders: Arc::clone(responders),
            own_hellos: None,
        };
        let made = match datagrams {
            true => Server::dtls(address.clone(), tls),
            false => Server::tls(address.clone(), tls),
        };
        match made {
            Ok(server) => read.pool.servers.push(server),
            Err(error) => {
                report.error(*span, error.to_string());
                return None;
            }
        }
    }
    Some(())
}

/// `server_name` or `realm`; inside, `None` = each server its own host.
fn expected(report: &mut Report, words: &Words<'_>) -> Option<Option<ReferenceIdentity>> {
    let read = match (words.server_name, words.realm) {
        (Some(node), _) => {
            let text = value::text(report, "server_name", node)?;
            (ReferenceIdentity::parse(text), text, node)
        }
        (None, Some(node)) => {
            let text = value::text(report, "realm", node)?;
            (ReferenceIdentity::realm(text), text, node)
        }
        (None, None) => return Some(None),
    };
    match read {
        (Ok(reference), ..) => Some(Some(reference)),
        (Err(_), text, node) => {
            let message = format!(
                "`{}` is no name that a certificate could prove",
                escape(text)
            );
            report.error(node.span, message).help(
                "`server_name` is a DNS name, an address or an SRV-ID such as \"_radsec.example.net\", `realm` the DNS name of a realm",
            );
            None
        }
    }
}

type Proof = (ClientPolicy, Option<[u8; 32]>);

/// `psk` of a pool.
fn by_key(
    report: &mut Report,
    node: &Node,
    known: &Known<'_>,
    datagrams: bool,
    read: &mut ReadPool,
) -> Option<Proof> {
    let key = psk::read(
        report,
        known.surroundings,
        "[[pool]]",
        node,
        &mut Vec::new(),
    )?;
    let mut digest = digest::Context::new(&digest::SHA256);
    for part in [b"psk", key.identity.octets(), b"\0", key.key.octets()] {
        digest.update(part);
    }
    let policy = Trust::new(TrustSettings::default()).ok().map(|trust| {
        ClientPolicy::new(ClientSettings {
            certificate: None,
            raw_public_key: false,
            server_pins: Vec::new(),
            trust: Arc::new(trust),
            show_authorities: false,
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            tls12: true,
            datagrams,
            psk: Some((key.identity.clone(), (*key.key).clone())),
            clock: Clock::system(),
        })
    });
    let policy = match policy? {
        Ok(policy) => policy,
        Err(error) => {
            report
                .error(node.span, format!("this key cannot be used: {error}"))
                .help("over DTLS an identity has 256 octets at most, and no zero octet");
            return None;
        }
    };
    read.psk = Some((key, node.span));
    Some((policy, digest.finish().as_ref().try_into().ok()))
}

/// `tls` of a pool.
pub(super) fn by_certificate(
    report: &mut Report,
    list: Span,
    words: &Words<'_>,
    known: &Known<'_>,
    datagrams: bool,
) -> Option<Proof> {
    let (wanted, span) = match words.tls {
        Some(node) => (value::text(report, "tls", node)?, node.span),
        None => ("default", list),
    };
    let names = || known.profiles.iter().map(|profile| &*profile.name);
    let profile = known
        .profiles
        .iter()
        .find(|profile| *profile.name == *wanted);
    let Some(profile) = profile else {
        report
            .error(span, format!("there is no [tls.{}]", escape(wanted)))
            .help("define it: `certificate` and `key` are what we show, `client_ca` is whom we trust to sign the servers' certificates; or prove both sides by `psk`")
            .suggest(nearest(wanted, names()));
        return None;
    };
    let client = profile.client.as_ref()?;
    if datagrams && profile.no_datagrams {
        let message = format!(
            "[tls.{}] is not for DTLS, which has version 1.2",
            escape(wanted)
        );
        report
            .error(span, message)
            .help("write `min_version = \"1.2\"` there; its certificate has to be of ECDSA or RSA");
        return None;
    }
    match client.policy(datagrams) {
        Ok(policy) => Some((policy, client.digest)),
        Err(error) => {
            refuse(report, span, &error);
            None
        }
    }
}

fn refuse(report: &mut Report, span: Span, error: &PolicyError) {
    report
        .error(span, escape(&error.to_string()))
        .help("look at the certificate and the key of this [tls.NAME]");
}
