//! `when` of a rule: keys that must all hold, each with one or more values of which one is enough.

use std::fmt;
use std::sync::Arc;

use doorward_tls::ExtendedKeyUsages;
use ipnet::IpNet;

use super::pattern::Pattern;
use super::time::{self, Window};
use super::{Context, Transport};
use crate::config::source::Location;
use crate::config::{AuthenticationType, contains};

/// One key of `when`.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What is compared.
    pub test: Test,
    /// Where it is written.
    pub location: Location,
}

/// What a condition compares; one value that fits is enough.
#[derive(Clone, Debug)]
pub enum Test {
    /// `user`: the user name.
    User(Vec<Pattern>),
    /// `group`: a group of the user.
    Group(Vec<Arc<str>>),
    /// `device`: the device's name.
    Device(Vec<Pattern>),
    /// `device_group`: a group of the device.
    DeviceGroup(Vec<Arc<str>>),
    /// `tag`: a tag of the device.
    Tag(Vec<Pattern>),
    /// `from`: the user's remote address.
    From(Vec<IpNet>),
    /// `time`: the moment of the request.
    Time(Vec<Window>),
    /// `protocol`: there is only TACACS+ so far.
    Protocol(Vec<Protocol>),
    /// `transport`.
    Transport(Vec<Transport>),
    /// `auth`: how the user authenticates.
    Auth(Vec<AuthenticationType>),
    /// `service`.
    Service(Vec<Pattern>),
    /// `port`.
    Port(Vec<Pattern>),
    /// `remote`: the remote address as the device wrote it.
    Remote(Vec<Pattern>),
    /// `address`: where the device connects from.
    Address(Vec<IpNet>),
    /// `policy_oid`: a policy of the client certificate.
    PolicyOid(Vec<Arc<str>>),
    /// `issuer`: the issuer of the client certificate.
    Issuer(Vec<Arc<str>>),
    /// `subject`: the subject of the client certificate.
    Subject(Vec<Arc<str>>),
    /// `fingerprint`: SHA-256 of the client certificate.
    Fingerprint(Vec<[u8; 32]>),
    /// `eku`: an extended key usage of the client certificate, as a dotted number.
    Eku(Vec<Arc<str>>),
    /// `san`: a name of the client certificate, after its kind.
    San(Vec<Pattern>),
    /// `psk_identity`: the identity of the pre-shared key, escaped as logs show it.
    PskIdentity(Vec<Pattern>),
}

/// The names that a condition asks for, where it is about who or which device.
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    /// `user`.
    Users(&'a [Pattern]),
    /// `group`.
    Groups(&'a [Arc<str>]),
    /// `device`.
    Devices(&'a [Pattern]),
    /// `device_group`.
    DeviceGroups(&'a [Arc<str>]),
    /// `tag`.
    Tags(&'a [Pattern]),
    /// The condition is about something else.
    None,
}

impl Test {
    /// The names of users, devices and their groups that it asks for.
    pub fn names(&self) -> Names<'_> {
        match self {
            Self::User(users) => Names::Users(users),
            Self::Group(groups) => Names::Groups(groups),
            Self::Device(devices) => Names::Devices(devices),
            Self::DeviceGroup(groups) => Names::DeviceGroups(groups),
            Self::Tag(tags) => Names::Tags(tags),
            Self::From(_)
            | Self::Time(_)
            | Self::Protocol(_)
            | Self::Transport(_)
            | Self::Auth(_)
            | Self::Service(_)
            | Self::Port(_)
            | Self::Remote(_)
            | Self::Address(_)
            | Self::PolicyOid(_)
            | Self::Issuer(_)
            | Self::Subject(_)
            | Self::Fingerprint(_)
            | Self::Eku(_)
            | Self::San(_)
            | Self::PskIdentity(_) => Names::None,
        }
    }

    /// Does it hold whenever `other` does? `false` also where that is not certain.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::User(own), Self::User(other))
            | (Self::Device(own), Self::Device(other))
            | (Self::Tag(own), Self::Tag(other))
            | (Self::Service(own), Self::Service(other))
            | (Self::Port(own), Self::Port(other))
            | (Self::Remote(own), Self::Remote(other))
            | (Self::San(own), Self::San(other))
            | (Self::PskIdentity(own), Self::PskIdentity(other)) => other
                .iter()
                .all(|theirs| own.iter().any(|one| one.covers(theirs))),
            (Self::Group(own), Self::Group(other))
            | (Self::DeviceGroup(own), Self::DeviceGroup(other))
            | (Self::PolicyOid(own), Self::PolicyOid(other))
            | (Self::Issuer(own), Self::Issuer(other))
            | (Self::Subject(own), Self::Subject(other))
            | (Self::Eku(own), Self::Eku(other)) => contained(other, own),
            (Self::From(own), Self::From(other)) | (Self::Address(own), Self::Address(other)) => {
                let own = IpNet::aggregate(own);
                let within = |theirs: &IpNet| own.iter().any(|one| one.contains(theirs));
                other.iter().all(within)
            }
            (Self::Time(own), Self::Time(other)) => time::covers(own, other),
            (Self::Protocol(own), Self::Protocol(other)) => contained(other, own),
            (Self::Transport(own), Self::Transport(other)) => contained(other, own),
            (Self::Auth(own), Self::Auth(other)) => contained(other, own),
            (Self::Fingerprint(own), Self::Fingerprint(other)) => contained(other, own),
            (
                Self::User(_)
                | Self::Group(_)
                | Self::Device(_)
                | Self::DeviceGroup(_)
                | Self::Tag(_)
                | Self::From(_)
                | Self::Time(_)
                | Self::Protocol(_)
                | Self::Transport(_)
                | Self::Auth(_)
                | Self::Service(_)
                | Self::Port(_)
                | Self::Remote(_)
                | Self::Address(_)
                | Self::PolicyOid(_)
                | Self::Issuer(_)
                | Self::Subject(_)
                | Self::Fingerprint(_)
                | Self::Eku(_)
                | Self::San(_)
                | Self::PskIdentity(_),
                _,
            ) => false,
        }
    }

    /// Does it hold for every request? `false` also where that is not certain.
    pub fn always(&self) -> bool {
        let anything = |patterns: &[Pattern]| patterns.iter().any(|one| one.as_str() == "*");
        match self {
            // Every request has these, if only empty.
            Self::User(patterns)
            | Self::Device(patterns)
            | Self::Port(patterns)
            | Self::Remote(patterns) => anything(patterns),
            Self::Protocol(protocols) => {
                protocols.contains(&Protocol::Tacacs) && protocols.contains(&Protocol::Radius)
            }
            Self::Transport(transports) => {
                transports.contains(&Transport::Tls) && transports.contains(&Transport::Plain)
            }
            Self::Time(windows) => time::always(windows),
            Self::Group(_)
            | Self::DeviceGroup(_)
            | Self::Tag(_)
            | Self::From(_)
            | Self::Auth(_)
            | Self::Service(_)
            | Self::Address(_)
            | Self::PolicyOid(_)
            | Self::Issuer(_)
            | Self::Subject(_)
            | Self::Fingerprint(_)
            | Self::Eku(_)
            | Self::San(_)
            | Self::PskIdentity(_) => false,
        }
    }
}

fn contained<T: PartialEq>(small: &[T], large: &[T]) -> bool {
    small.iter().all(|one| large.contains(one))
}

/// Is one of the texts that are wanted among those there are?
fn have_common(wanted: &[Arc<str>], have: &[String]) -> bool {
    have.iter()
        .any(|have| wanted.iter().any(|want| **want == **have))
}

/// The protocol of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TACACS+.
    Tacacs,
    /// RADIUS.
    Radius,
}

impl Protocol {
    /// The name in the file, in JSON and in text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tacacs => "tacacs",
            Self::Radius => "radius",
        }
    }
}

impl Condition {
    /// Does it hold?
    pub fn holds(&self, context: &Context<'_>) -> bool {
        let any = |patterns: &[Pattern], name: &str| patterns.iter().any(|one| one.matches(name));
        match &self.test {
            Test::User(patterns) => any(patterns, context.user),
            Test::Group(groups) => groups.iter().any(|group| context.groups.contains(group)),
            Test::Device(patterns) => any(patterns, &context.device.name),
            Test::DeviceGroup(groups) => groups
                .iter()
                .any(|group| context.device.groups.contains(group)),
            Test::Tag(patterns) => context.device.tags.iter().any(|tag| any(patterns, tag)),
            Test::From(networks) => context
                .remote_address
                .is_some_and(|address| contains(networks, address)),
            Test::Time(windows) => windows.iter().any(|window| window.contains(context.now)),
            Test::Protocol(protocols) => protocols.contains(&context.protocol),
            Test::Transport(transports) => transports.contains(&context.transport),
            Test::Auth(types) => context.auth.is_some_and(|one| types.contains(&one)),
            Test::Service(patterns) => context.service.is_some_and(|name| any(patterns, name)),
            Test::Port(patterns) => any(patterns, context.port),
            Test::Remote(patterns) => any(patterns, context.remote),
            Test::Address(networks) => context
                .address
                .is_some_and(|address| contains(networks, address)),
            Test::PolicyOid(oids) => context
                .peer
                .is_some_and(|peer| have_common(oids, &peer.policy_oids)),
            Test::Issuer(issuers) => context
                .peer
                .is_some_and(|peer| issuers.iter().any(|want| **want == *peer.issuer)),
            Test::Subject(subjects) => context
                .peer
                .is_some_and(|peer| subjects.iter().any(|want| **want == *peer.subject)),
            Test::Fingerprint(digests) => context
                .peer
                .is_some_and(|peer| digests.contains(&peer.fingerprint)),
            Test::Eku(usages) => context
                .peer
                .is_some_and(|peer| have_common(usages, peer.usages.as_slice())),
            Test::San(patterns) => context
                .peer
                .is_some_and(|peer| peer.names().any(|name| any(patterns, &name))),
            Test::PskIdentity(patterns) => context
                .psk_identity
                .is_some_and(|identity| any(patterns, identity)),
        }
    }

    /// The key in the file.
    pub fn key(&self) -> &'static str {
        match &self.test {
            Test::User(_) => "user",
            Test::Group(_) => "group",
            Test::Device(_) => "device",
            Test::DeviceGroup(_) => "device_group",
            Test::Tag(_) => "tag",
            Test::From(_) => "from",
            Test::Time(_) => "time",
            Test::Protocol(_) => "protocol",
            Test::Transport(_) => "transport",
            Test::Auth(_) => "auth",
            Test::Service(_) => "service",
            Test::Port(_) => "port",
            Test::Remote(_) => "remote",
            Test::Address(_) => "address",
            Test::PolicyOid(_) => "policy_oid",
            Test::Issuer(_) => "issuer",
            Test::Subject(_) => "subject",
            Test::Fingerprint(_) => "fingerprint",
            Test::Eku(_) => "eku",
            Test::San(_) => "san",
            Test::PskIdentity(_) => "psk_identity",
        }
    }

    /// The values of the file.
    pub fn wanted(&self) -> String {
        match &self.test {
            Test::User(list)
            | Test::Device(list)
            | Test::Tag(list)
            | Test::Service(list)
            | Test::Port(list)
            | Test::Remote(list)
            | Test::San(list)
            | Test::PskIdentity(list) => joined(list),
            Test::Group(list)
            | Test::DeviceGroup(list)
            | Test::PolicyOid(list)
            | Test::Issuer(list)
            | Test::Subject(list) => joined(list),
            Test::Eku(list) => joined(list.iter().map(|one| ExtendedKeyUsages::name(one))),
            Test::From(list) | Test::Address(list) => joined(list),
            Test::Time(list) => joined(list.iter().map(Window::as_str)),
            Test::Protocol(list) => joined(list.iter().map(|one| one.name())),
            Test::Transport(list) => joined(list.iter().map(|one| one.name())),
            Test::Auth(list) => joined(list.iter().map(|one| one.name())),
            Test::Fingerprint(list) => joined(list.iter().map(|digest| hexadecimal(digest))),
        }
    }

    /// What the request has for it.
    pub fn found(&self, context: &Context<'_>) -> String {
        let none = || "none".to_owned();
        match &self.test {
            Test::User(_) => context.user.into(),
            Test::Group(_) => joined(context.groups),
            Test::Device(_) => context.device.name.to_string(),
            Test::DeviceGroup(_) => joined(&context.device.groups),
            Test::Tag(_) => joined(&context.device.tags),
            Test::From(_) => context
                .remote_address
                .map_or_else(none, |one| one.to_string()),
            Test::Time(windows) => windows
                .first()
                .map_or_else(none, |window| window.local_time(context.now)),
            Test::Protocol(_) => context.protocol.name().into(),
            Test::Transport(_) => context.transport.name().into(),
            Test::Auth(_) => context.auth.map_or_else(none, |one| one.name().into()),
            Test::Service(_) => context.service.map_or_else(none, str::to_owned),
            Test::Port(_) => context.port.into(),
            Test::Remote(_) => context.remote.into(),
            Test::Address(_) => context.address.map_or_else(none, |one| one.to_string()),
            Test::PolicyOid(_) => context
                .peer
                .map_or_else(none, |peer| joined(&peer.policy_oids)),
            Test::Issuer(_) => context.peer.map_or_else(none, |peer| peer.issuer.clone()),
            Test::Subject(_) => context.peer.map_or_else(none, |peer| peer.subject.clone()),
            Test::Fingerprint(_) => context
                .peer
                .map_or_else(none, |peer| hexadecimal(&peer.fingerprint)),
            Test::Eku(_) => context.peer.map_or_else(none, |peer| {
                let usages = peer.usages.as_slice().iter();
                joined(usages.map(|one| ExtendedKeyUsages::name(one)))
            }),
            Test::San(_) => context.peer.map_or_else(none, |peer| joined(peer.names())),
            Test::PskIdentity(_) => context.psk_identity.map_or_else(none, str::to_owned),
        }
    }
}

/// The values with `, ` between them, or "none".
fn joined<T: fmt::Display>(list: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for one in list {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&one.to_string());
    }
    if text.is_empty() { "none".into() } else { text }
}

pub(crate) fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests;
