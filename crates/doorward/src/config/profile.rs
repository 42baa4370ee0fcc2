//! `profile` of a device or a group of devices, and what roles are to each of them.

use std::collections::HashSet;

use doorward_radius::dictionary::Dictionary;

use super::device::ReadDevice;
use super::reply;
use super::report::Report;
use super::roles::Roles;
use super::source::escape;
use super::suggest::nearest;
use super::tree::Node;
use super::value;
use crate::policy::{Held, PerProfile, Profile, Rendered, ReplyAttribute, Role, Saying};

/// Reads the word.
pub(super) fn profile(report: &mut Report, node: &Node) -> Option<Profile> {
    let text = value::text(report, "profile", node)?;
    let known = Profile::by_name(text);
    if known.is_none() {
        let near = nearest(text, Profile::NAMES.iter().copied());
        let near = near.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
        report
            .error(
                node.span,
                format!("`{}` is no value of `profile`", escape(text)),
            )
            .help(format!(
                "{near}the profiles are {}",
                Profile::NAMES.join(", ")
            ));
    }
    known
}

/// What a role gives to devices of each profile.
pub(super) fn render(dictionary: &Dictionary, role: &Role) -> Rendered {
    let mut rendered = Rendered::default();
    for profile in Profile::ALL {
        rendered.add(render_for(*profile, dictionary, role));
    }
    rendered
}

fn render_for(profile: Profile, dictionary: &Dictionary, role: &Role) -> PerProfile {
    let own = role.radius.iter().filter(|one| profile.knows(one));
    let others: Vec<ReplyAttribute> = own.cloned().collect();
    let derivation = profile.derive(role);
    let derived = added(profile, dictionary, &others, &derivation.sayings);
    let stated = is_stated(profile, dictionary, &others);
    let says_rights = stated || derived.iter().any(|(_, rights)| *rights);
    let held = if role.shell.is_none() {
        if stated { Held::Whole } else { Held::NoShell }
    } else if stated {
        Held::Whole
    } else if !derivation.unsaid.is_empty() {
        Held::Refused(derivation.unsaid.join(", ").into())
    } else if !says_rights {
        // What a device makes of somebody of whom it hears nothing is often more than this.
        let why = match (derivation.level_zero, derivation.lost.is_empty()) {
            (false, false) => derivation.lost.join(", "),
            (true, _) | (false, true) => "`priv_lvl` 0".to_owned(),
        };
        Held::Refused(why.into())
    } else if !derivation.lost.is_empty() {
        Held::Least(derivation.lost.join(", ").into())
    } else {
        Held::Whole
    };
    let derived = derived.into_iter().map(|(attribute, _)| attribute);
    let shell: Vec<ReplyAttribute> = others.iter().cloned().chain(derived).collect();
    PerProfile {
        profile,
        shell: shell.into(),
        others: others.into(),
        held,
    }
}

/// What is said beside `own` of a role, and of each whether it gives rights.
fn added(
    profile: Profile,
    dictionary: &Dictionary,
    own: &[ReplyAttribute],
    sayings: &[Saying],
) -> Vec<(ReplyAttribute, bool)> {
    let derived = sayings
        .iter()
        .filter_map(|one| Some((one, look_up(dictionary, one)?)));
    let added = derived.filter(|(saying, one)| {
        let mut own = own.iter();
        !own.any(|own| profile.takes_the_place_of(own, saying, one))
    });
    added.map(|(saying, one)| (one, saying.rights)).collect()
}

/// Whether `radius` of the role says itself what somebody may do on these devices.
fn is_stated(profile: Profile, dictionary: &Dictionary, own: &[ReplyAttribute]) -> bool {
    profile.rights().any(|name| {
        let known = dictionary.by_name(name);
        let place = known.and_then(|one| Some((one.vendor, reply::path(dictionary, one)?)));
        place.is_some_and(|(vendor, path)| {
            let alike = |one: &&ReplyAttribute| one.vendor == vendor && one.path == path;
            own.iter()
                .filter(alike)
                .any(|one| profile.states_rights(name, &one.value))
        })
    })
}

/// What a profile adds has to fit into the packet, too: for each profile that a device has.
pub(super) fn check_sizes(report: &mut Report, roles: &Roles<'_>, devices: &[ReadDevice]) {
    let profiles: HashSet<Profile> = devices
        .iter()
        .filter_map(|read| read.device.profile)
        .collect();
    let used = Profile::ALL.iter().filter(|one| profiles.contains(one));
    for (name, read) in roles {
        // Too much of its own has been said of already.
        if reply::octets(&read.role.radius) > reply::OCTETS {
            continue;
        }
        let given = used.clone().filter_map(|one| read.role.rendered.of(*one));
        for one in given {
            let octets = reply::octets(&one.shell);
            if octets > reply::OCTETS {
                let profile = one.profile.name();
                report
                    .error(
                        read.name,
                        format!("the attributes of [role.{}] do not fit into one packet for devices with profile {profile}", escape(name)),
                    )
                    .help(format!(
                        "leave some of `radius`, of `shell` or of `services` out, which the profile makes attributes of: {} octets are the most, these take {octets}",
                        reply::OCTETS
                    ));
            }
        }
    }
}

/// A saying as an attribute. Its name is built in, which a test sees to, and a dictionary of the file cannot take it away.
fn look_up(dictionary: &Dictionary, saying: &Saying) -> Option<ReplyAttribute> {
    let pair = dictionary
        .parse_pair(saying.attribute, &saying.value)
        .ok()?;
    let path = reply::path(dictionary, pair.attribute)?;
    Some(ReplyAttribute {
        derived: Some(saying.from),
        ..reply::plain(dictionary, &pair, path)
    })
}

#[cfg(test)]
mod tests;
