//! What a role grants.

use std::fmt;
use std::sync::Arc;

use doorward_radius::dictionary::Hiding;
use zeroize::Zeroizing;

use super::index::Commands;
use super::profile::Profile;
use super::{RuleReference, SHELL};
use crate::config::Device;

/// `[role.NAME]`.
#[derive(Debug)]
pub struct Role {
    /// NAME.
    pub name: Arc<str>,
    /// `shell`; `None` = no shell.
    pub shell: Option<Arc<ShellGrant>>,
    /// `commands`, in the order of the file.
    pub commands: Commands,
    /// `services`.
    pub services: Vec<Service>,
    /// `radius`: the attributes of an Access-Accept, in the order of the file.
    pub radius: Arc<[ReplyAttribute]>,
    /// The attributes for devices with a profile.
    pub rendered: Rendered,
    /// Where it is defined.
    pub reference: Arc<RuleReference>,
}

/// What a role gives to devices of each profile: made once, when the file is read.
#[derive(Debug, Default)]
pub struct Rendered(Vec<PerProfile>);

/// What a role gives to devices of one profile.
#[derive(Debug)]
pub struct PerProfile {
    /// Which.
    pub profile: Profile,
    /// To somebody who logs in to a shell.
    pub shell: Arc<[ReplyAttribute]>,
    /// To anybody else, such as a PPP user, who must not be made an administrator.
    pub others: Arc<[ReplyAttribute]>,
    /// How much of the role holds at the login to a shell.
    pub held: Held,
}

/// How much of a role holds over RADIUS at a login to a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// As over TACACS+, or as `radius` of the role says itself.
    Whole,
    /// The rights are the least that the vendor has, because of these parts of the role.
    Least(Arc<str>),
    /// There is no shell in it, and nothing in `radius` that says what somebody may do there.
    NoShell,
    /// The profile has nothing little enough for this part of the role, so that there is no login.
    Refused(Arc<str>),
}

impl Rendered {
    /// Adds what it is to devices of one profile.
    pub fn add(&mut self, one: PerProfile) {
        self.0.push(one);
    }

    /// What it is to devices of this profile.
    pub fn of(&self, profile: Profile) -> Option<&PerProfile> {
        self.0.iter().find(|one| one.profile == profile)
    }
}

/// An attribute of an Access-Accept, as octets and in words. Two are the same if their octets are.
#[derive(Clone, Debug)]
pub struct ReplyAttribute {
    /// The enterprise number of its vendor.
    pub vendor: Option<u32>,
    /// Its type, and the extended type after 241 to 246.
    pub path: Vec<u8>,
    /// The value.
    pub value: ReplyValue,
    /// Its name with its tag, for people.
    pub name: String,
    /// The value, for people; of a secret, that it is one.
    pub text: String,
    /// The part of the role that the device's profile made it of; `None` = it stands in `radius` of the role.
    pub derived: Option<&'static str>,
}

/// The value of an attribute of an Access-Accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyValue {
    /// With its tag, as it stands in the packet.
    Plain(Vec<u8>),
    /// What every answer hides anew.
    Secret(ReplySecret),
}

/// A secret for a device, such as Tunnel-Password (RFC 2868 section 3.5). Never shown, wiped with its last clone.
#[derive(Clone, PartialEq, Eq)]
pub struct ReplySecret {
    /// What stands before it, in clear.
    pub tag: Option<u8>,
    /// How it is hidden.
    pub hiding: Hiding,
    octets: Arc<Zeroizing<Vec<u8>>>,
}

impl ReplySecret {
    /// A secret; `octets` are those of the value alone.
    pub fn new(tag: Option<u8>, hiding: Hiding, octets: Vec<u8>) -> Self {
        Self {
            tag,
            hiding,
            octets: Arc::new(Zeroizing::new(octets)),
        }
    }

    /// The value as it is.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

impl fmt::Debug for ReplySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplySecret(..)")
    }
}

impl PartialEq for ReplyAttribute {
    fn eq(&self, other: &Self) -> bool {
        self.is_alike(other) && self.value == other.value
    }
}

impl Eq for ReplyAttribute {}

impl ReplyAttribute {
    /// Whether both are the same attribute, whatever their values.
    pub fn is_alike(&self, other: &Self) -> bool {
        self.vendor == other.vendor && self.path == other.path
    }
}

impl Role {
    /// What an Access-Accept to this device holds, for a login to this service: `radius` as it stands, or as the profile of the
    /// device has it.
    pub fn access_accept(&self, device: &Device, service: Option<&str>) -> Arc<[ReplyAttribute]> {
        let rendered = device.profile.and_then(|profile| self.rendered.of(profile));
        Arc::clone(match rendered {
            None => &self.radius,
            Some(rendered) if service == Some(SHELL) => &rendered.shell,
            Some(rendered) => &rendered.others,
        })
    }

    /// How much of the role holds at a RADIUS login to a shell of this device; `None` without a profile, when `radius` is all there is.
    pub fn held(&self, device: &Device) -> Option<&Held> {
        let rendered = self.rendered.of(device.profile?);
        rendered.map(|one| &one.held)
    }

    /// What of `radius` this device does not get, because it is for devices of other vendors.
    pub fn left_out(&self, device: &Device) -> impl Iterator<Item = &ReplyAttribute> {
        let profile = device.profile;
        let known = move |one: &&ReplyAttribute| profile.is_some_and(|profile| !profile.knows(one));
        self.radius.iter().filter(known)
    }

    /// The service for a request: one with the very protocol before one without.
    ///
    /// `services."ppp/ip"` is for requests that carry `protocol=ip`, `services.ppp` for all requests of `service=ppp`
    /// that no such entry is for.
    pub fn service(&self, service: &str, protocol: Option<&str>) -> Option<&Service> {
        let of_name = || self.services.iter().filter(|one| *one.name == *service);
        of_name()
            .find(|one| one.protocol.is_some() && one.protocol.as_deref() == protocol)
            .or_else(|| of_name().find(|one| one.protocol.is_none()))
    }
}

/// An argument of an authorization reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedArgument {
    /// Name, without separator.
    pub name: Arc<str>,
    /// `=` (the device has to honour it) or `*` (it may ignore it); RFC 8907 section 6.1.
    pub mandatory: bool,
    /// Value, maybe empty.
    pub value: Arc<str>,
}

/// `shell` of a role: what a session-based shell authorization grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellGrant {
    /// `priv_lvl`, 0 to 15 (RFC 8907 section 9); `None` = not said, the device's default.
    pub priv_lvl: Option<u8>,
    /// `max_priv_lvl`, 0 to 15: up to where `[enable]` may raise the level; `None` = no further than `priv_lvl`.
    pub max_priv_lvl: Option<u8>,
    /// Everything to send, in order, `priv-lvl` included.
    pub arguments: Vec<GrantedArgument>,
    /// Its place and text.
    pub reference: Arc<RuleReference>,
}

impl ShellGrant {
    /// The arguments of `attributes` with this name, in the order of the file.
    pub fn arguments_named(&self, name: &str) -> impl Iterator<Item = &GrantedArgument> {
        self.arguments.iter().filter(move |one| *one.name == *name)
    }

    /// The highest level that an enable request may reach; a shell that names no level has the one of a plain user, 1.
    pub fn highest_level(&self) -> u8 {
        self.max_priv_lvl.or(self.priv_lvl).unwrap_or(1)
    }
}

/// `services.NAME` of a role.
#[derive(Clone, Debug)]
pub struct Service {
    /// The value of `service`.
    pub name: Arc<str>,
    /// The value of `protocol` it is for; `None` = any, or none at all.
    pub protocol: Option<Arc<str>>,
    /// What it grants.
    pub grant: Arc<ServiceGrant>,
}

/// What a service authorization grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceGrant {
    /// Everything to send, in order.
    pub arguments: Vec<GrantedArgument>,
    /// Its place and text.
    pub reference: Arc<RuleReference>,
}
