//! Rules that never decide.

use std::collections::HashMap;

use super::Lint;
use super::reach::{Atlas, Reach, is_of_devices};
use crate::config::device::ReadDevice;
use crate::config::report::Report;
use crate::config::rules::ReadRule;
use crate::config::source::escape;
use crate::policy::{Names, Pattern, Rule, Test};

/// Rules under one key that are compared with a later one; more are not looked at.
const COMPARED: usize = 64;
/// Values of a condition that a rule is filed under; one with more is compared with every later rule.
const KEYS: usize = 8;

/// A rule and the devices it can match on.
pub(super) struct View<'a> {
    pub(super) read: &'a ReadRule,
    pub(super) reach: Reach,
}

pub(super) fn views<'a>(atlas: &Atlas<'_>, rules: &'a [ReadRule]) -> Vec<View<'a>> {
    let view = |read: &'a ReadRule| View {
        reach: atlas.reach(&read.rule.conditions),
        read,
    };
    rules.iter().map(view).collect()
}

/// Rules whose conditions hold for no device together, though each of them does alone (otherwise the name is what is wrong).
pub(super) fn without_device(report: &mut Report, atlas: &Atlas<'_>, views: &[View<'_>]) {
    for view in views {
        let rule = &view.read.rule;
        let nowhere = matches!(&view.reach, Reach::Only(set) if set.is_empty());
        let mut conditions = rule.conditions.iter();
        let alone = conditions.all(|condition| {
            !is_of_devices(&condition.test)
                || atlas
                    .devices(&condition.test)
                    .is_none_or(|set| !set.is_empty())
        });
        if nowhere && alone {
            report
                .warning(
                    Lint::RuleWithoutDevice,
                    view.read.place,
                    "this rule never decides: no device fits its conditions together",
                )
                .on(view.read.section.as_str())
                .help("a device has to fit `device`, `device_group` and `tag`, each that is given");
        }
    }
}

/// Rules behind one that matches whenever they would.
pub(super) fn shadowed(report: &mut Report, devices: &[ReadDevice], views: &[View<'_>]) {
    let mut index = Index {
        devices,
        filed: HashMap::new(),
    };
    for (at, view) in views.iter().enumerate() {
        // Such a rule matches nothing anyway, which is said elsewhere.
        if matches!(&view.reach, Reach::Only(set) if set.is_empty()) {
            continue;
        }
        let Some(earlier) = index.covering(views, view) else {
            index.insert(at, view);
            continue;
        };
        let (rule, by) = (&view.read.rule, &earlier.read.rule);
        let name = match &by.name {
            Some(name) => format!("the rule `{}`, which is earlier,", escape(name)),
            None => "an earlier rule".to_owned(),
        };
        let help = if rule.role.name == by.role.name {
            "both give the same role: take this one out"
        } else {
            "move it before the earlier rule, narrow that one, or take this one out"
        };
        report
            .warning(
                Lint::ShadowedRule,
                view.read.place,
                format!("this rule never decides: {name} matches whenever it would"),
            )
            .on(view.read.section.as_str())
            .see(earlier.read.place, "the earlier rule")
            .help(help);
    }
}

/// Does `by` match whenever `view` does? `false` also where that is not certain.
fn covers(by: &View<'_>, view: &View<'_>) -> bool {
    let devices = match (&by.reach, &view.reach) {
        (Reach::All, _) => true,
        // On the devices of this file, whatever the words.
        (Reach::Only(own), Reach::Only(theirs)) => theirs.is_within(own),
        // A rule for every device is meant for those to come, too.
        (Reach::Only(_) | Reach::Unknown, _) => false,
    };
    by.read.rule.conditions.iter().all(|condition| {
        let test = &condition.test;
        (devices && is_of_devices(test))
            || test.always()
            || view
                .read
                .rule
                .conditions
                .iter()
                .any(|other| test.covers(&other.test))
    })
}

/// What a rule asks of users or devices, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key<'a> {
    Group(&'a str),
    User(&'a str),
    DeviceGroup(&'a str),
    Device(&'a str),
    Tag(&'a str),
    /// Nothing, or nothing that could be looked up.
    Any,
}

/// Rules by what they ask of users and devices, so that a rule is compared only with those that could match the same.
struct Index<'a> {
    devices: &'a [ReadDevice],
    filed: HashMap<(Key<'a>, Key<'a>), Vec<usize>>,
}

impl<'a> Index<'a> {
    fn insert(&mut self, at: usize, view: &View<'a>) {
        let (people, places) = (people(&view.read.rule), places(&view.read.rule));
        for one in &people {
            for two in &places {
                let list = self.filed.entry((*one, *two)).or_default();
                if list.len() < COMPARED {
                    list.push(at);
                }
            }
        }
    }

    /// The earliest rule known that covers this one.
    fn covering<'v>(&self, views: &'v [View<'a>], view: &View<'a>) -> Option<&'v View<'a>> {
        let rule = &view.read.rule;
        // A rule that covers this one fits each of its values, so that one of them is enough to find it.
        let mut people = vec![Key::Any];
        let mut places = vec![Key::Any];
        for condition in &rule.conditions {
            match condition.test.names() {
                Names::Groups(groups) => {
                    people.extend(groups.first().map(|name| Key::Group(name)));
                }
                Names::Users(users) => {
                    people.extend(users.first().map(|name| Key::User(name.as_str())));
                }
                Names::DeviceGroups(groups) => {
                    places.extend(groups.first().map(|name| Key::DeviceGroup(name)));
                }
                Names::Devices(names) => {
                    places.extend(names.first().map(|name| Key::Device(name.as_str())));
                }
                Names::Tags(tags) => {
                    places.extend(tags.first().map(|tag| Key::Tag(tag.as_str())));
                }
                Names::None => {}
            }
        }
        if let Reach::Only(set) = &view.reach
            && let Some(read) = set.first().and_then(|at| self.devices.get(at))
        {
            let device = &read.device;
            places.push(Key::Device(&device.name));
            places.extend(device.groups.iter().map(|group| Key::DeviceGroup(group)));
            places.extend(device.tags.iter().map(|tag| Key::Tag(tag)));
        }
        let mut found: Option<usize> = None;
        for one in &people {
            for two in &places {
                let list = self.filed.get(&(*one, *two)).map_or(&[][..], Vec::as_slice);
                let earliest = list.iter().copied().find(|at| {
                    found.is_none_or(|found| *at < found)
                        && views.get(*at).is_some_and(|by| covers(by, view))
                });
                found = earliest.or(found);
            }
        }
        found.and_then(|at| views.get(at))
    }
}

/// What a rule is filed under: it can only cover a rule that asks for one of these.
fn people(rule: &Rule) -> Vec<Key<'_>> {
    let mut keys = vec![Key::Any];
    for condition in &rule.conditions {
        if let Test::Group(groups) = &condition.test {
            return filed(groups, |group| Key::Group(group));
        }
        if let Test::User(users) = &condition.test
            && users.iter().all(Pattern::is_exact)
        {
            keys = filed(users, |user| Key::User(user.as_str()));
        }
    }
    keys
}

/// The same for devices.
fn places(rule: &Rule) -> Vec<Key<'_>> {
    let mut keys = vec![Key::Any];
    for condition in &rule.conditions {
        if let Test::DeviceGroup(groups) = &condition.test {
            return filed(groups, |group| Key::DeviceGroup(group));
        }
        if let Test::Device(names) = &condition.test
            && names.iter().all(Pattern::is_exact)
        {
            keys = filed(names, |name| Key::Device(name.as_str()));
        }
        if let Test::Tag(tags) = &condition.test
            && tags.iter().all(Pattern::is_exact)
        {
            keys = filed(tags, |tag| Key::Tag(tag.as_str()));
        }
    }
    keys
}

fn filed<'a, T>(values: &'a [T], key: impl Fn(&'a T) -> Key<'a>) -> Vec<Key<'a>> {
    if values.is_empty() || values.len() > KEYS {
        vec![Key::Any]
    } else {
        values.iter().map(key).collect()
    }
}
