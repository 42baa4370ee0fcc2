//! `[device.NAME]` and `[device_group.NAME]`.

use std::collections::BTreeSet;
use std::sync::Arc;

use doorward_tacacs::Dialect;
use doorward_tls::{CertificateMatch, KeyPin, MatchSettings};
use ipnet::IpNet;

use super::claims::Claims;
use super::file::Document;
use super::lint::secrets::Secrets;
use super::report::Report;
use super::section::Section;
use super::source::Span;
use super::tree::{Entry, Node};
use super::{AuthenticationType, Device, ListenerProtocol, SharedSecret, Surroundings, Tolerances};
use super::{authentication, dialect, profile, psk, shared_secret, tolerance, value};
use crate::policy::{Pattern, Profile};

/// `[device_group.NAME]`.
#[derive(Debug)]
pub(super) struct DeviceGroup {
    pub(super) name: Arc<str>,
    pub(super) place: Span,
    names: Option<Vec<Pattern>>,
    address: Option<Vec<IpNet>>,
    tags: Option<Vec<Arc<str>>>,
    tls_required: bool,
    accept: Option<Vec<AuthenticationType>>,
    /// With its place.
    dialect: Option<(Dialect, Span)>,
    /// With its place.
    profile: Option<(Profile, Span)>,
}

impl DeviceGroup {
    /// Does it change what its devices may do, whether or not a rule names it?
    pub(super) fn matters(&self) -> bool {
        self.tls_required
            || self.accept.is_some()
            || self.dialect.is_some()
            || self.profile.is_some()
    }

    /// Every key given must match, any value of it.
    fn holds(&self, device: &Device) -> bool {
        let name = self
            .names
            .as_ref()
            .is_none_or(|names| names.iter().any(|one| one.matches(&device.name)));
        let address = self.address.as_ref().is_none_or(|networks| {
            device
                .address
                .iter()
                .any(|own| networks.iter().any(|network| network.contains(own)))
        });
        let tag = self
            .tags
            .as_ref()
            .is_none_or(|tags| tags.iter().any(|tag| device.tags.contains(tag)));
        name && address && tag
    }
}

pub(super) fn groups(report: &mut Report, document: &Document<'_>) -> Vec<DeviceGroup> {
    let entries = document.named(report, "device_group");
    entries
        .into_iter()
        .filter_map(|entry| group(report, entry))
        .collect()
}

fn group(report: &mut Report, entry: &Entry) -> Option<DeviceGroup> {
    let title = format!("[device_group.{}]", entry.key);
    let mut section = Section::new(report, title.as_str(), &entry.value)?;
    let mut group = DeviceGroup {
        name: entry.key.as_str().into(),
        place: entry.key_span,
        names: None,
        address: None,
        tags: None,
        tls_required: false,
        accept: None,
        dialect: None,
        profile: None,
    };
    if let Some(node) = section.required(report, "match")
        && let Some(mut matching) = Section::new(report, format!("`match` of {title}"), node)
    {
        if let Some(node) = matching.value("name") {
            let names = value::one_or_more(report, "name", node);
            group.names = Some(
                names
                    .into_iter()
                    .map(|(text, _)| Pattern::new(text))
                    .collect(),
            );
        }
        if let Some(node) = matching.value("address") {
            let texts = value::one_or_more(report, "address", node);
            let networks = texts
                .into_iter()
                .filter_map(|(text, node)| value::network(report, "address", text, node.span));
            group.address = Some(networks.collect());
        }
        if let Some(node) = matching.value("tag") {
            let tags = value::one_or_more(report, "tag", node);
            group.tags = Some(tags.into_iter().map(|(text, _)| text.into()).collect());
        }
        matching.finish(report);
    }
    if let Some(node) = section.value("transport") {
        group.tls_required = transport(report, node);
    }
    if let Some(node) = section.value("accept") {
        group.accept = Some(authentication::accept(report, node));
    }
    if let Some(node) = section.value("dialect") {
        group.dialect = dialect::dialect(report, node).map(|dialect| (dialect, node.span));
    }
    if let Some(node) = section.value("profile") {
        group.profile = profile::profile(report, node).map(|profile| (profile, node.span));
    }
    section.finish(report);
    Some(group)
}

/// Is TLS required?
fn transport(report: &mut Report, node: &Node) -> bool {
    value::choice(report, "transport", node, &[("tls", true), ("any", false)]).unwrap_or(true)
}

/// A device and the places of its words.
#[derive(Debug)]
pub(super) struct ReadDevice {
    pub(super) device: Device,
    pub(super) name: Span,
    pub(super) certificate: Option<Span>,
    /// `tacacs_secret`.
    pub(super) tacacs: ReadSecret,
    /// `radius_secret`.
    pub(super) radius: ReadSecret,
    pub(super) psk: Option<Span>,
    /// `dtls_required`, where it is on.
    pub(super) dtls_required: Option<Span>,
    /// In the order of `address`.
    pub(super) address: Vec<Span>,
    /// Its groups leave it no authentication type.
    pub(super) nothing_accepted: bool,
    /// Every exact name, for the search for doubles: the kind and the name, with its place.
    pub(super) identities: Vec<(String, Span)>,
}

/// Where a shared secret is written.
#[derive(Debug, Default)]
pub(super) struct ReadSecret {
    /// The whole value, whether or not it could be read.
    pub(super) place: Option<Span>,
    /// Of each secret, in its order.
    pub(super) each: Vec<Span>,
}

impl ReadDevice {
    /// What is written of its secret for a protocol without TLS; nothing for one with it.
    pub(super) fn secret(&self, protocol: ListenerProtocol) -> Option<Span> {
        match protocol {
            ListenerProtocol::Tacacs => self.tacacs.place,
            ListenerProtocol::RadiusUdp => self.radius.place,
            ListenerProtocol::TacacsTls
            | ListenerProtocol::RadiusTls
            | ListenerProtocol::RadiusDtls => None,
        }
    }

    /// Every shared secret with the key that holds it and its place.
    pub(super) fn shared_secrets(
        &self,
    ) -> impl Iterator<Item = (&'static str, &SharedSecret, Span)> {
        let both = [
            ("tacacs_secret", &self.device.tacacs_secret, &self.tacacs),
            ("radius_secret", &self.device.radius_secret, &self.radius),
        ];
        both.into_iter().flat_map(|(key, secrets, read)| {
            let places = read.each.iter().copied();
            secrets
                .iter()
                .zip(places)
                .map(move |(secret, place)| (key, secret, place))
        })
    }
}

pub(super) fn devices(
    report: &mut Report,
    document: &Document<'_>,
    surroundings: &Surroundings,
    secrets: &Secrets,
    groups: &[DeviceGroup],
) -> Vec<ReadDevice> {
    let entries = document.named(report, "device");
    let mut devices = Vec::with_capacity(entries.len());
    let mut reported = BTreeSet::new();
    for entry in entries {
        report.about(Some(format!("device.{}", entry.key)));
        if let Some(mut read) = device(report, entry, surroundings, secrets) {
            join(report, &mut read, groups, &mut reported);
            devices.push(read);
        }
    }
    report.about(None);
    devices
}

/// Puts a device into its groups; what a group says narrows what the device says.
fn join(
    report: &mut Report,
    read: &mut ReadDevice,
    groups: &[DeviceGroup],
    reported: &mut BTreeSet<(Span, Span)>,
) {
    let device = &mut read.device;
    let mut dialects = Claims::of("dialect", "dialects", device.dialect);
    let mut profiles = Claims::of("profile", "profiles", device.profile);
    for group in groups {
        if !group.holds(device) {
            continue;
        }
        device.groups.push(Arc::clone(&group.name));
        device.tls_required |= group.tls_required;
        if let Some(claim) = group.dialect {
            let counts = dialects.add(report, &device.name, claim, reported);
            device.dialect = counts.or(device.dialect);
        }
        if let Some(claim) = group.profile {
            let counts = profiles.add(report, &device.name, claim, reported);
            device.profile = counts.or(device.profile);
        }
        if let Some(accept) = &group.accept {
            let own = device.accept.take().unwrap_or_else(|| accept.clone());
            let narrowed: Vec<_> = own
                .iter()
                .copied()
                .filter(|one| accept.contains(one))
                .collect();
            // A list that was empty before has been reported where it is written.
            read.nothing_accepted |= narrowed.is_empty() && !own.is_empty() && !accept.is_empty();
            device.accept = Some(narrowed);
        }
    }
}

fn device(
    report: &mut Report,
    entry: &Entry,
    surroundings: &Surroundings,
    secrets: &Secrets,
) -> Option<ReadDevice> {
    let title = format!("[device.{}]", entry.key);
    let mut section = Section::new(report, title.as_str(), &entry.value)?;
    let mut device = Device {
        name: entry.key.as_str().into(),
        address: Vec::new(),
        certificate: None,
        raw_public_key: Vec::new(),
        psk: None,
        tacacs_secret: Vec::new(),
        radius_secret: Vec::new(),
        tags: Vec::new(),
        profile: None,
        groups: Vec::new(),
        tls_required: false,
        dtls_required: false,
        single_connection: None,
        accept: None,
        dialect: None,
        tolerate: Tolerances::NONE,
        location: report.location(entry.key_span),
    };
    let mut places = (None, Vec::new(), Vec::new());
    if let Some(node) = section.value("address") {
        for (text, element) in value::texts(report, "address", node) {
            if let Some(network) = value::network(report, "address", text, element.span) {
                device.address.push(network);
                places.1.push(element.span);
            }
        }
    }
    if let Some(node) = section.value("certificate") {
        places.0 = Some(node.span);
        device.certificate = certificate(report, &title, node, &mut places.2);
    }
    if let Some(node) = section.value("raw_public_key") {
        device.raw_public_key = raw_public_keys(report, node, &mut places.2);
    }
    let mut psk_place = None;
    if let Some(node) = section.value("psk") {
        psk_place = Some(node.span);
        device.psk = psk::read(report, surroundings, &title, node, &mut places.2);
    }
    let (mut tacacs, mut radius) = (ReadSecret::default(), ReadSecret::default());
    for (key, secret, place) in [
        ("tacacs_secret", &mut device.tacacs_secret, &mut tacacs),
        ("radius_secret", &mut device.radius_secret, &mut radius),
    ] {
        if let Some(node) = section.value(key) {
            place.place = Some(node.span);
            let of = shared_secret::Of {
                key,
                device: &entry.key,
            };
            let read = shared_secret::read(report, surroundings, secrets, of, node);
            (*secret, place.each) = read.into_iter().unzip();
        }
    }
    if let Some(node) = section.value("tags") {
        device.tags = value::names(report, "tags", node);
    }
    if let Some(node) = section.value("profile") {
        device.profile = profile::profile(report, node);
    }
    if let Some(node) = section.value("single_connection") {
        device.single_connection = value::boolean(report, "single_connection", node);
    }
    if let Some(node) = section.value("transport") {
        device.tls_required = transport(report, node);
    }
    let mut dtls_required = None;
    if let Some(node) = section.value("dtls_required") {
        device.dtls_required = value::boolean(report, "dtls_required", node).unwrap_or(false);
        dtls_required = device.dtls_required.then_some(node.span);
    }
    if let Some(node) = section.value("accept") {
        device.accept = Some(authentication::accept(report, node));
    }
    if let Some(node) = section.value("dialect") {
        device.dialect = dialect::dialect(report, node);
    }
    if let Some(node) = section.value("tolerate") {
        device.tolerate = tolerance::tolerances(report, node);
    }
    section.finish(report);
    Some(ReadDevice {
        device,
        name: entry.key_span,
        certificate: places.0,
        tacacs,
        radius,
        psk: psk_place,
        dtls_required,
        address: places.1,
        nothing_accepted: false,
        identities: places.2,
    })
}

/// Pins of raw public keys, each of which is the device.
fn raw_public_keys(
    report: &mut Report,
    node: &Node,
    identities: &mut Vec<(String, Span)>,
) -> Vec<KeyPin> {
    let mut pins = Vec::new();
    for (text, element) in value::texts(report, "raw_public_key", node) {
        match KeyPin::parse(text) {
            Ok(pin) => {
                identities.push((format!("{KEY}{pin}"), element.span));
                pins.push(pin);
            }
            Err(error) => {
                report
                    .error(element.span, format!("this is no pin of a raw public key: {error}"))
                    .help("`openssl pkey -in core1.key -pubout -outform der | sha256sum` prints the digits");
            }
        }
    }
    pins
}

/// How an identity begins that no condition of a certificate tells from its like.
pub(super) const KEY: &str = "raw_public_key ";

/// `certificate = { .. }`; exact names go to `identities`.
fn certificate(
    report: &mut Report,
    title: &str,
    node: &Node,
    identities: &mut Vec<(String, Span)>,
) -> Option<CertificateMatch> {
    let mut section = Section::new(report, format!("`certificate` of {title}"), node)?;
    let mut settings = MatchSettings::default();
    // Every text with its place, to find the word that an error speaks of.
    let mut words: Vec<(String, Span)> = Vec::new();
    let mut list = |report: &mut Report, section: &mut Section<'_>, key: &'static str| {
        let Some(node) = section.value(key) else {
            return Vec::new();
        };
        let texts = value::one_or_more(report, key, node);
        words.extend(
            texts
                .iter()
                .map(|(text, node)| ((*text).to_owned(), node.span)),
        );
        for (text, node) in &texts {
            let identity = match key {
                "dns" | "realm" => text.to_ascii_lowercase(),
                "ip" | "uri" | "directory" | "fingerprint" => (*text).to_owned(),
                _ => continue,
            };
            if identity != "peer" {
                identities.push((format!("{key} {identity}"), node.span));
            }
        }
        texts.into_iter().map(|(text, _)| text.to_owned()).collect()
    };
    settings.dns = list(report, &mut section, "dns");
    settings.ip = list(report, &mut section, "ip");
    settings.uri = list(report, &mut section, "uri");
    settings.directory = list(report, &mut section, "directory");
    settings.realm = list(report, &mut section, "realm");
    settings.policy_oid = list(report, &mut section, "policy_oid");
    settings.fingerprint = list(report, &mut section, "fingerprint");
    for (key, field) in [
        ("issuer", &mut settings.issuer),
        ("serial", &mut settings.serial),
    ] {
        if let Some(node) = section.value(key) {
            *field = value::text(report, key, node).map(str::to_owned);
            words.extend(field.clone().map(|text| (text, node.span)));
        }
    }
    if let Some(node) = section.value("wildcard") {
        settings.wildcard = value::boolean(report, "wildcard", node).unwrap_or(false);
    }
    if !section.finish(report) && words.is_empty() {
        return None;
    }
    usable(report, title, node.span, settings, &words)
}

/// Checks what was read as a whole. One mistake hides the others: it is taken out, and the rest looked at again.
fn usable(
    report: &mut Report,
    title: &str,
    span: Span,
    mut settings: MatchSettings,
    words: &[(String, Span)],
) -> Option<CertificateMatch> {
    let mut sound = true;
    for _ in 0..=words.len() {
        match CertificateMatch::new(settings.clone()) {
            Ok(checked) => return sound.then_some(checked),
            Err(error) => {
                let found = words.iter().find(|(text, _)| *text == error.value);
                let place = found.map_or(span, |(_, word)| *word);
                if sound || found.is_some() {
                    report
                        .error(place, format!("`certificate` of {title} cannot be used: {error}"))
                        .help("one of dns, ip, uri, directory, realm; or fingerprint, policy_oid, or issuer with serial");
                }
                sound = false;
                if found.is_none() {
                    break;
                }
                forget(&mut settings, &error.value);
            }
        }
    }
    None
}

fn forget(settings: &mut MatchSettings, value: &str) {
    for list in [
        &mut settings.dns,
        &mut settings.ip,
        &mut settings.uri,
        &mut settings.directory,
        &mut settings.realm,
        &mut settings.policy_oid,
        &mut settings.fingerprint,
    ] {
        list.retain(|one| one != value);
    }
    for field in [&mut settings.issuer, &mut settings.serial] {
        if field.as_deref() == Some(value) {
            *field = None;
        }
    }
}
