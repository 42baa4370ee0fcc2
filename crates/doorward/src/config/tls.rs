//! `[tls.NAME]`: certificates, keys, trust, and whether they fit together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest;
use doorward_tls::pem::{self, PemError};
use doorward_tls::{
    ClientPolicy, ClientSettings, Clock, Der, KeyLog, MAX_TICKET_LIFETIME, Ocsp, PolicyError,
    PrivateKey, Revocation, ServerPolicy, ServerSettings, Trust, TrustError, TrustSettings,
};

use super::file::Document;
use super::lint::{Lint, certificates};
use super::report::Report;
use super::section::Section;
use super::source::{Span, escape};
use super::tree::{Entry, Node};
use super::{CrlFiles, Surroundings, TlsProfile, key_log, ocsp, secret, value};

/// Seconds, when the file does not say.
const TICKET_LIFETIME: u32 = 3600;

/// The profiles by name.
type Profiles = BTreeMap<Arc<str>, Arc<TlsProfile>>;

/// A profile's name, and the place of the names that would choose it.
#[derive(Debug)]
pub(super) struct ReadProfile {
    pub(super) name: Arc<str>,
    pub(super) sni_names: Option<Span>,
    /// Them, in lower case.
    pub(super) names: Vec<String>,
    /// Its suites leave out the hash that pre-shared keys are bound to.
    pub(super) no_psk: bool,
    /// It is for TLS alone.
    pub(super) no_datagrams: bool,
    /// What RADIUS connections of ours are made from, where it can be used.
    pub(super) client: Option<ClientMaterial>,
}

/// What we show and trust on connections of ours.
#[derive(Debug)]
pub(super) struct ClientMaterial {
    chain: Vec<Der>,
    key: PrivateKey,
    trust: Arc<Trust>,
    cipher_suites: Vec<String>,
    groups: Vec<String>,
    tls12: bool,
    /// Of all that; `None` with revocation lists, which change while it is used.
    pub(super) digest: Option<[u8; 32]>,
}

impl ClientMaterial {
    /// For RADIUS, which wants the authorities named (RFC 6614bis section 3.3.1).
    pub(super) fn policy(&self, datagrams: bool) -> Result<ClientPolicy, PolicyError> {
        ClientPolicy::new(ClientSettings {
            show_authorities: true,
            datagrams,
            ..self.settings()
        })
    }

    fn settings(&self) -> ClientSettings {
        ClientSettings {
            certificate: Some((self.chain.clone(), self.key.clone())),
            raw_public_key: false,
            server_pins: Vec::new(),
            trust: Arc::clone(&self.trust),
            show_authorities: false,
            cipher_suites: self.cipher_suites.clone(),
            groups: self.groups.clone(),
            tls12: self.tls12,
            datagrams: false,
            psk: None,
            clock: Clock::system(),
        }
    }
}

/// The profiles that can be used, and the names of all.
pub(super) fn profiles(
    report: &mut Report,
    document: &Document<'_>,
    surroundings: &Surroundings,
) -> (Profiles, Vec<ReadProfile>) {
    let mut profiles = Profiles::new();
    let mut read = Vec::new();
    for entry in document.named(report, "tls") {
        let (place, names) = sni_names(&entry.value).unzip();
        let names = names.unwrap_or_default();
        read.push(ReadProfile {
            name: Arc::from(entry.key.as_str()),
            sni_names: place,
            names,
            no_psk: false,
            no_datagrams: false,
            client: None,
        });
        report.about(Some(format!("tls.{}", entry.key)));
        if let Some((profile, client)) = profile(report, entry, surroundings) {
            if let Some(read) = read.last_mut() {
                read.client = Some(client);
                read.no_psk = !profile.server.can_serve_psk();
                read.no_datagrams = !profile.server.can_serve_datagrams();
            }
            profiles.insert(Arc::clone(&profile.name), Arc::new(profile));
        }
    }
    report.about(None);
    (profiles, read)
}

/// What a list of files held, each element with the place of its file's name.
pub(super) type Found = Vec<(Der, Span)>;
/// A list of words, with their places.
type Words<'t> = Vec<(&'t str, &'t Node)>;

fn profile(
    report: &mut Report,
    entry: &Entry,
    surroundings: &Surroundings,
) -> Option<(TlsProfile, ClientMaterial)> {
    let mut section = Section::new(report, format!("[tls.{}]", entry.key), &entry.value)?;
    let chain = section
        .required(report, "certificate")
        .and_then(|node| files(report, "certificate", node, pem::certificates));
    let key_node = section.required(report, "key");
    let key = key_node.and_then(|node| private_key(report, "key", node, surroundings));
    let asking = ocsp::asking(report, &mut section);
    let trust = trust(report, &mut section, entry, &asking, surroundings);
    let suites = words(report, &mut section, "cipher_suites");
    let groups = words(report, &mut section, "groups");
    // For RADIUS and syslog: TACACS+ is TLS 1.3 whatever it says (RFC 9887 section 3.1).
    let tls12 = match section.value("min_version") {
        Some(node) => {
            value::choice(
                report,
                "min_version",
                node,
                &[("1.2", true), ("1.3", false)],
            ) == Some(true)
        }
        None => true,
    };
    let raw_public_key = section
        .value("raw_public_key")
        .filter(|node| node.as_str() != Some(""))
        .and_then(|node| private_key(report, "raw_public_key", node, surroundings));
    let ticket_lifetime = ticket_lifetime(report, &mut section);
    let (sni_required, sni_names) = sni(report, &mut section);
    let key_log = key_log::read(report, &mut section);
    section.finish(report);

    let (chain, key, key_node, (trust, crls, trusted)) = (chain?, key?, key_node?, trust?);
    let leaf = chain.first().map_or(entry.key_span, |(_, span)| *span);
    certificates::ours(report, &chain, surroundings.now.as_second());
    let owned = |words: &Words<'_>| -> Vec<String> {
        words.iter().map(|(text, _)| (*text).to_owned()).collect()
    };
    let chain: Vec<Der> = chain.into_iter().map(|(der, _)| der).collect();
    let mut material = ClientMaterial {
        chain: chain.clone(),
        key: key.clone(),
        trust: Arc::clone(&trust),
        cipher_suites: owned(&suites),
        groups: owned(&groups),
        tls12,
        digest: None,
    };
    material.digest = trusted.map(|trusted| digest(&material, &trusted));
    let client = ClientPolicy::new(material.settings());
    let policy = ServerPolicy::new(ServerSettings {
        certificate_chain: chain,
        key,
        trust,
        cipher_suites: owned(&suites),
        groups: owned(&groups),
        tls12,
        sni_required,
        sni_names,
        raw_public_key,
        staple: asking.stapling(),
        ticket_lifetime,
        key_log: key_log.clone().map(|log| log as Arc<dyn KeyLog>),
        clock: Clock::system(),
    });
    let (policy, client) = match policy.and_then(|policy| Ok((policy, client?))) {
        Ok(policies) => policies,
        Err(error) => {
            let span = match &error {
                PolicyError::UnknownSuite { name } => place_of(&suites, name).unwrap_or(leaf),
                PolicyError::UnknownGroup { name } => place_of(&groups, name).unwrap_or(leaf),
                PolicyError::Key | PolicyError::KeyMismatch => key_node.span,
                PolicyError::NoCertificate
                | PolicyError::Certificate
                | PolicyError::PskSuite
                | PolicyError::PskIdentity
                | PolicyError::StapleResponder
                | PolicyError::StapleIssuer
                | PolicyError::TicketLifetime
                | PolicyError::Engine => leaf,
            };
            let told = report.error(span, escape(&error.to_string()));
            if let Some(help) = ocsp::help(&error) {
                told.help(help);
            }
            return None;
        }
    };
    let expires = policy.certificate_expires();
    certificates::wildcards(report, policy.certificate_names(), leaf);
    let profile = TlsProfile {
        name: entry.key.as_str().into(),
        certificate_expires: expires,
        crls,
        key_log,
        server: Arc::new(policy),
        client: Arc::new(client),
        location: report.location(entry.key_span),
    };
    Some((profile, material))
}

/// Of what we show, and of what is trusted. The certificate stands for its key.
fn digest(material: &ClientMaterial, trusted: &str) -> [u8; 32] {
    let mut digest = digest::Context::new(&digest::SHA256);
    for der in &material.chain {
        digest.update(&u64::try_from(der.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(der);
    }
    let words = (&material.cipher_suites, &material.groups, material.tls12);
    digest.update(format!("{words:?}{trusted}").as_bytes());
    digest.finish().as_ref().try_into().unwrap_or_default()
}

fn place_of(words: &Words<'_>, name: &str) -> Option<Span> {
    words
        .iter()
        .find(|(text, _)| *text == name)
        .map(|(_, node)| node.span)
}

/// `client_ca`, `intermediates`, `crl`, `revocation`.
fn trust(
    report: &mut Report,
    section: &mut Section<'_>,
    entry: &Entry,
    asking: &ocsp::Asking,
    surroundings: &Surroundings,
) -> Option<(Arc<Trust>, CrlFiles, Option<String>)> {
    let mut list = |report: &mut Report, key, read| match section.value(key) {
        Some(node) => files(report, key, node, read),
        None => Some(Vec::new()),
    };
    let anchors = list(report, "client_ca", pem::certificates);
    let intermediates = list(report, "intermediates", pem::certificates);
    let crls = list(report, "crl", pem::crls);
    let revocation = revocation(report, section, asking.ocsp);
    let (anchors, intermediates, crls) = (anchors?, intermediates?, crls?);
    if anchors.is_empty() {
        report
            .warning(
                Lint::TrustsNobody,
                entry.key_span,
                format!(
                    "[tls.{}] trusts nobody: no device can connect with it",
                    entry.key
                ),
            )
            .help("name the CA of the devices in `client_ca`");
    } else if revocation == Revocation::Require && crls.is_empty() {
        report
            .warning(
                Lint::TrustsNobody,
                entry.key_span,
                format!(
                    "[tls.{}] requires a revocation list and has none: every device is refused",
                    entry.key
                ),
            )
            .help("name the list in `crl`, or set `revocation = \"if-available\"`");
    } else if revocation == Revocation::IfAvailable && crls.is_empty() && asking.ocsp == Ocsp::Off {
        report
            .warning(
                Lint::RevocationOff,
                entry.key_span,
                format!(
                    "[tls.{}] has no revocation list, and does not require one: revoked certificates are accepted",
                    entry.key
                ),
            )
            .help("name the CA's list in `crl`");
    }
    let octets =
        |found: &Found| -> Vec<Der> { found.iter().map(|(der, _)| Arc::clone(der)).collect() };
    let trusted = crls.is_empty().then(|| {
        let roots = (octets(&anchors), octets(&intermediates));
        format!(
            "{roots:?}{revocation:?}{:?}{:?}",
            asking.ocsp, asking.responder
        )
    });
    let trust = Trust::new(TrustSettings {
        anchors: octets(&anchors),
        intermediates: octets(&intermediates),
        crls: octets(&crls),
        revocation,
        ocsp: asking.ocsp,
        ocsp_responder: asking.responder.clone(),
    });
    let place =
        |list: &Found, index: usize| list.get(index).map_or(entry.key_span, |(_, span)| *span);
    match trust {
        Ok(trust) => {
            for warning in trust.warnings() {
                let issuer = escape(&warning.issuer);
                report
                    .warning(
                        Lint::CrlUnusable,
                        place(&crls, warning.crl),
                        format!(
                            "the revocation list of {issuer} does not count: {}",
                            warning.problem
                        ),
                    )
                    .help("fetch the list from the CA of the devices again, or take it out");
            }
            let (lists, now) = (trust.crls(), surroundings.now.as_second());
            certificates::revocation_lists(report, &lists, &crls, revocation, now);
            certificates::authorities(report, &anchors, "a CA of `client_ca`", now);
            certificates::authorities(report, &intermediates, "a CA of `intermediates`", now);
            let node = section.value("crl");
            let origins: Vec<PathBuf> = crls
                .iter()
                .map(|(_, span)| file_at(report, node, *span))
                .collect();
            let mut paths = origins.clone();
            paths.dedup();
            let trust = Arc::new(trust);
            let files = CrlFiles::new(Arc::clone(&trust), paths, origins);
            Some((trust, files, trusted))
        }
        Err(error) => {
            let span = match error {
                TrustError::Anchor { index } => place(&anchors, index),
                TrustError::Intermediate { index } => place(&intermediates, index),
                TrustError::Crl { index } => place(&crls, index),
            };
            report.error(span, error.to_string());
            None
        }
    }
}

/// The path that stands at `span`, in a list or alone.
fn file_at(report: &Report, node: Option<&Node>, span: Span) -> PathBuf {
    let elements = node.and_then(Node::as_list).unwrap_or_default();
    let named = elements.iter().chain(node).find(|one| one.span == span);
    let text = named.and_then(Node::as_str).unwrap_or_default();
    secret::folder(report, span).join(text)
}

fn revocation(report: &mut Report, section: &mut Section<'_>, ocsp: Ocsp) -> Revocation {
    let Some(node) = section.value("revocation") else {
        return Revocation::Require;
    };
    let words = [
        ("require", Revocation::Require),
        ("if-available", Revocation::IfAvailable),
        ("off", Revocation::Off),
    ];
    let chosen = value::choice(report, "revocation", node, &words).unwrap_or(Revocation::Require);
    if chosen == Revocation::Off && ocsp == Ocsp::Off {
        report
            .warning(
                Lint::RevocationOff,
                node.span,
                "revoked certificates are accepted",
            )
            .help("set `revocation` to \"if-available\" or \"require\"");
    }
    chosen
}

fn words<'t>(report: &mut Report, section: &mut Section<'t>, key: &'static str) -> Words<'t> {
    let Some(node) = section.value(key) else {
        return Vec::new();
    };
    let found = value::texts(report, key, node);
    if node.as_list().is_some_and(<[Node]>::is_empty) {
        report
            .error(
                node.span,
                format!("`{key}` is empty, so that no handshake could succeed"),
            )
            .help("take it out for the default");
    }
    found
}

/// The place of `sni = { names = [..] }` and the names, if there are any.
fn sni_names(profile: &Node) -> Option<(Span, Vec<String>)> {
    let names = profile.entry("sni")?.value.entry("names")?;
    let listed = names.value.as_list().unwrap_or_default();
    let texts = listed.iter().filter_map(Node::as_str);
    let texts: Vec<String> = texts.map(str::to_ascii_lowercase).collect();
    (!texts.is_empty()).then_some((names.key_span, texts))
}

fn sni(report: &mut Report, section: &mut Section<'_>) -> (bool, Vec<String>) {
    let name = format!("`sni` of {}", section.name);
    let node = section.value("sni");
    let Some(mut sni) = node.and_then(|node| Section::new(report, name, node)) else {
        return (false, Vec::new());
    };
    let required = sni
        .value("required")
        .and_then(|node| value::boolean(report, "required", node))
        .unwrap_or(false);
    let names = sni
        .value("names")
        .map(|node| value::names(report, "names", node));
    let names: Vec<String> = names
        .unwrap_or_default()
        .iter()
        .map(|name| name.to_string())
        .collect();
    if required && names.is_empty() {
        report
            .error(
                sni.span,
                "`sni` is required, and no name is given that would do",
            )
            .help("add `names = [\"aaa1.example.net\"]`");
    }
    sni.finish(report);
    (required, names)
}

/// `tickets = { lifetime = ".." }` in seconds.
fn ticket_lifetime(report: &mut Report, section: &mut Section<'_>) -> u32 {
    let name = format!("`tickets` of {}", section.name);
    let node = section.value("tickets");
    let Some(mut tickets) = node.and_then(|node| Section::new(report, name, node)) else {
        return TICKET_LIFETIME;
    };
    let mut lifetime = TICKET_LIFETIME;
    if let Some(node) = tickets.value("lifetime")
        && let Some(asked) = value::duration(report, "lifetime", node)
    {
        match u32::try_from(asked.as_secs()) {
            Ok(seconds) if seconds <= MAX_TICKET_LIFETIME && asked.subsec_nanos() == 0 => {
                lifetime = seconds;
            }
            Ok(seconds) if seconds <= MAX_TICKET_LIFETIME => {
                report.error(
                    node.span,
                    "the `lifetime` of tickets counts in whole seconds",
                );
            }
            Ok(_) | Err(_) => {
                report
                    .error(
                        node.span,
                        "the `lifetime` of tickets is more than 604800 seconds, the most that TLS allows (RFC 8446 section 4.6.1)",
                    )
                    .help("set at most \"7d\"; \"0s\" turns resumption off");
            }
        }
    }
    tickets.finish(report);
    lifetime
}

fn private_key(
    report: &mut Report,
    name: &'static str,
    node: &Node,
    surroundings: &Surroundings,
) -> Option<PrivateKey> {
    let secret = secret::resolve(report, surroundings, name, node)?;
    match pem::private_key(&secret) {
        Ok(key) => Some(key),
        Err(error) => {
            report
                .error(node.span, format!("the private key cannot be used: {error}"))
                .help("give one private key (for `key` that of the certificate), in PEM or DER, without a passphrase");
            None
        }
    }
}

/// Reads a file, or a list of files; `None` when any of them is of no use.
fn files(
    report: &mut Report,
    key: &str,
    node: &Node,
    read: fn(&[u8]) -> Result<Vec<Der>, PemError>,
) -> Option<Found> {
    if node.as_list().is_some_and(<[Node]>::is_empty) {
        return Some(Vec::new());
    }
    let named = value::one_or_more(report, key, node);
    let mut found = Vec::new();
    let mut sound = !named.is_empty();
    for (text, element) in named {
        let path = secret::folder(report, element.span).join(text);
        report.places.read.insert(path.clone());
        let octets = std::fs::read(&path).map_err(|error| error.to_string());
        match octets.and_then(|octets| read(&octets).map_err(|error| error.to_string())) {
            Ok(read) => found.extend(read.into_iter().map(|der| (der, element.span))),
            Err(why) => {
                let shown = escape(&path.to_string_lossy());
                report
                    .error(
                        element.span,
                        format!("{shown} of `{key}` cannot be used: {why}"),
                    )
                    .help("check the path, its permissions, and that the file is PEM or DER");
                sound = false;
            }
        }
    }
    sound.then_some(found)
}
