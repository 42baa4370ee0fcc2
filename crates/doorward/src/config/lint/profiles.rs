//! Roles that are less on a device with a profile than the file says, because RADIUS has no word for all of it.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::reach::Set;
use super::rules::View;
use super::{Lint, Whole};
use crate::config::AuthenticationType;
use crate::config::report::Report;
use crate::config::source::escape;
use crate::policy::{Condition, Held, Profile, Protocol, Role, SHELL, Test, Transport};

/// The devices of one profile that come to a RADIUS listener of the file, by how they come.
pub(super) struct Served {
    pub(super) profile: Profile,
    pub(super) transport: Transport,
    pub(super) devices: Set,
}

/// Tells of each role and profile once, with a device that a rule gives that role on.
pub(super) fn held(report: &mut Report, whole: &Whole<'_>, views: &[View<'_>], today: Date) {
    let served = served(whole, today);
    let mut found: BTreeMap<(&str, &str), (usize, &Held, Profile)> = BTreeMap::new();
    for view in views {
        let role = &view.read.rule.role;
        for one in &served {
            let held = role.rendered.of(one.profile).map(|one| &one.held);
            let Some(held) = held.filter(|held| is_news(role, one.profile, held)) else {
                continue;
            };
            let device = view.reach.first_of(&one.devices);
            let fits = can_be_radius(&view.read.rule.conditions, one.transport);
            if let Some(device) = device.filter(|_| fits) {
                let key = (&*role.name, one.profile.name());
                found.entry(key).or_insert((device, held, one.profile));
            }
        }
    }
    for ((role, profile), (device, held, which)) in found {
        let (Some(read), Some(device)) = (whole.roles.get(role), whole.devices.get(device)) else {
            continue;
        };
        let (name, device) = (escape(role), escape(&device.device.name));
        let message = match held {
            Held::Least(why) => format!(
                "over RADIUS, role {name} has only the least rights of profile {profile}, on [device.{device}] for one: nothing there holds anybody to {}",
                escape(why)
            ),
            Held::Refused(why) => format!(
                "over RADIUS, role {name} lets nobody in on devices with profile {profile}, [device.{device}] for one: nothing there holds anybody to {}",
                escape(why)
            ),
            Held::NoShell => format!(
                "over RADIUS, role {name} lets nobody in on devices with profile {profile}, [device.{device}] for one: it has no `shell`, and nothing in `radius` says what somebody may do there (for logins to a network, let the rule ask for `service = \"ppp\"`)"
            ),
            Held::Whole => continue,
        };
        let attribute = which.attribute().unwrap_or_default();
        let help = format!(
            "write what the role is to these devices into its `radius`, as {attribute}; or accept the finding if this is what is meant: docs/guide/profiles.md"
        );
        report
            .warning(Lint::RoleHeldToLeast, read.name, message)
            .on(format!("role.{role}"))
            .help(help);
    }
}

/// A role without a shell gives none over TACACS+ either, which is no news unless it speaks to these devices all the same, or of the
/// shells of other vendors.
fn is_news(role: &Role, profile: Profile, held: &Held) -> bool {
    let speaks = |profile: &Profile| {
        let there = role.rendered.of(*profile).map(|one| &one.held);
        there == Some(&Held::Whole)
    };
    match held {
        Held::Whole => false,
        Held::Least(_) | Held::Refused(_) => true,
        Held::NoShell => {
            let mut own = role.radius.iter();
            let to_vendor = own.any(|one| one.vendor.is_some() && profile.knows(one));
            to_vendor || Profile::ALL.iter().any(speaks)
        }
    }
}

pub(super) fn served(whole: &Whole<'_>, today: Date) -> Vec<Served> {
    let listeners = whole.listeners.iter().map(|(listener, _)| listener);
    let open: Vec<_> = listeners
        .filter(|one| one.protocol.speaks() == Protocol::Radius && !one.is_closed(today))
        .collect();
    let mut served: Vec<Served> = Vec::new();
    for (at, read) in whole.devices.iter().enumerate() {
        let Some(profile) = read.device.profile else {
            continue;
        };
        for (transport, tls) in [(Transport::Tls, true), (Transport::Plain, false)] {
            let mut ways = open.iter().filter(|one| one.protocol.is_tls() == tls);
            if !ways.any(|one| one.serves(&read.device)) {
                continue;
            }
            let known = served
                .iter()
                .position(|one| one.profile == profile && one.transport == transport);
            match known.and_then(|known| served.get_mut(known)) {
                Some(one) => one.devices.insert(at),
                None => {
                    let mut devices = Set::empty(whole.devices.len());
                    devices.insert(at);
                    served.push(Served {
                        profile,
                        transport,
                        devices,
                    });
                }
            }
        }
    }
    served
}

/// Can these conditions hold for a RADIUS login to a shell?
pub(super) fn can_be_radius(conditions: &[Condition], by: Transport) -> bool {
    const TYPES: [AuthenticationType; 3] = [
        AuthenticationType::Pap,
        AuthenticationType::Chap,
        AuthenticationType::MsChapV2,
    ];
    conditions.iter().all(|condition| match &condition.test {
        Test::Protocol(protocols) => protocols.contains(&Protocol::Radius),
        Test::Transport(transports) => transports.contains(&by),
        Test::Service(services) => services.iter().any(|one| one.matches(SHELL)),
        Test::Auth(types) => types.iter().any(|one| TYPES.contains(one)),
        Test::User(_)
        | Test::Group(_)
        | Test::Device(_)
        | Test::DeviceGroup(_)
        | Test::Tag(_)
        | Test::From(_)
        | Test::Time(_)
        | Test::Port(_)
        | Test::Remote(_)
        | Test::Address(_)
        | Test::PolicyOid(_)
        | Test::Issuer(_)
        | Test::Subject(_)
        | Test::Fingerprint(_)
        | Test::Eku(_)
        | Test::San(_)
        | Test::PskIdentity(_) => true,
    })
}
