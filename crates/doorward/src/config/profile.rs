//! `profile` of a device or a group of devices, and what roles are to each of them.

use doorward_radius::dictionary::Dictionary;

use super::reply;
use super::report::Report;
use super::source::escape;
use super::suggest::nearest;
use super::tree::Node;
use super::value;
use crate::policy::{Profile, Rendered, ReplyAttribute, Role, Saying, takes_the_place_of};

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
        let own = role.radius.iter().filter(|one| profile.knows(one));
        let others: Vec<ReplyAttribute> = own.cloned().collect();
        let sayings = profile.sayings(role);
        let derived = sayings.iter().filter_map(|one| look_up(dictionary, one));
        let mut shell = others.clone();
        shell.extend(derived.filter(|one| !others.iter().any(|own| takes_the_place_of(own, one))));
        rendered.add(*profile, shell, others);
    }
    rendered
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
