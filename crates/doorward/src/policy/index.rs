//! Which rules can match at all: found by the names they want, so that a request costs the same whether there are ten
//! rules or ten thousand.
//!
//! ```text
//! [[rule]]: user or group it names → device, device group or tag it names → positions
//! command rule: first word         → positions
//! ```
//!
//! An index only leaves out what could not match. Every rule that it offers is asked in full, in the order of the files, so
//! that the first one that matches is the same as without it; a property test compares the two.

use std::collections::HashMap;
use std::ops::Deref;

use super::Context;
use super::command::{CommandLine, CommandRule};
use super::condition::{Condition, Test};
use super::eval::Rule;
use super::pattern::Pattern;

/// With so few entries, asking each is cheaper than looking them up.
const FEW: usize = 8;

/// Positions in the order of the files, each once.
type Positions = Vec<usize>;

/// Adds `at`, which is never smaller than what is there.
fn add(positions: &mut Positions, at: usize) {
    if positions.last() != Some(&at) {
        positions.push(at);
    }
}

/// Every `[[rule]]`, in the order of the files.
#[derive(Debug, Default)]
pub struct Rules {
    list: Vec<Rule>,
    index: RuleIndex,
}

impl From<Vec<Rule>> for Rules {
    fn from(list: Vec<Rule>) -> Self {
        let mut index = RuleIndex::default();
        for (at, rule) in list.iter().enumerate() {
            index.insert(at, rule);
        }
        Self { list, index }
    }
}

impl Deref for Rules {
    type Target = [Rule];

    fn deref(&self) -> &[Rule] {
        &self.list
    }
}

impl Rules {
    /// The rules that can match this user on this device, in their order: whether one does is still to be asked.
    pub fn candidates<'p>(&'p self, context: &Context<'_>) -> impl Iterator<Item = &'p Rule> {
        self.index.find(context).filter_map(|at| self.list.get(at))
    }
}

/// By who asks. A rule that names users and groups is found by the users, one that names many under each.
#[derive(Debug, Default)]
struct RuleIndex {
    users: HashMap<Box<str>, ByDevice>,
    groups: HashMap<Box<str>, ByDevice>,
    /// Rules that name nobody, or name them by a pattern.
    anybody: ByDevice,
}

/// By the device that asks, under one name of a user or group.
#[derive(Debug, Default)]
struct ByDevice {
    all: Positions,
    devices: HashMap<Box<str>, Positions>,
    device_groups: HashMap<Box<str>, Positions>,
    tags: HashMap<Box<str>, Positions>,
    /// Rules that name no device, or name them by a pattern.
    anywhere: Positions,
}

/// The names that `wanted` finds in the rule's conditions.
fn names<'r, N>(rule: &'r Rule, wanted: impl Fn(&'r Test) -> Option<N>) -> Option<N> {
    let tests = rule.conditions.iter().map(|Condition { test, .. }| test);
    tests.into_iter().find_map(wanted)
}

/// The texts of patterns that all stand for one name only.
fn exact(patterns: &[Pattern]) -> Option<Vec<&str>> {
    let texts = patterns
        .iter()
        .map(|one| one.is_exact().then(|| one.as_str()));
    texts.collect()
}

fn texts(names: &[std::sync::Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

impl RuleIndex {
    fn insert(&mut self, at: usize, rule: &Rule) {
        let users = names(rule, |test| match_names(test, Key::User));
        let groups = names(rule, |test| match_names(test, Key::Group));
        let (map, keys) = match (users, groups) {
            (Some(users), _) => (&mut self.users, users),
            (None, Some(groups)) => (&mut self.groups, groups),
            (None, None) => return self.anybody.insert(at, rule),
        };
        for key in keys {
            map.entry(key.into()).or_default().insert(at, rule);
        }
    }

    fn find<'i>(&'i self, context: &Context<'_>) -> Merged<'i> {
        let mut found = Merged::default();
        let by_user = self.users.get(context.user);
        let by_group = context
            .groups
            .iter()
            .filter_map(|group| self.groups.get(&**group));
        for one in by_user.into_iter().chain(by_group) {
            one.find(context, &mut found);
        }
        self.anybody.find(context, &mut found);
        found
    }
}

impl ByDevice {
    fn insert(&mut self, at: usize, rule: &Rule) {
        add(&mut self.all, at);
        let keyed = [
            (Key::Device, &mut self.devices),
            (Key::DeviceGroup, &mut self.device_groups),
            (Key::Tag, &mut self.tags),
        ];
        for (key, map) in keyed {
            if let Some(found) = names(rule, |test| match_names(test, key)) {
                for name in found {
                    add(map.entry(name.into()).or_default(), at);
                }
                return;
            }
        }
        add(&mut self.anywhere, at);
    }

    fn find<'i>(&'i self, context: &Context<'_>, found: &mut Merged<'i>) {
        if self.all.len() <= FEW {
            return found.push(&self.all);
        }
        found.push(&self.anywhere);
        let device = context.device;
        let groups = device.groups.iter().map(|name| (&self.device_groups, name));
        let tags = device.tags.iter().map(|name| (&self.tags, name));
        let name = std::iter::once((&self.devices, &device.name));
        for (map, name) in name.chain(groups).chain(tags) {
            if let Some(positions) = map.get(&**name) {
                found.push(positions);
            }
        }
    }
}

/// A condition by whose names rules are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    User,
    Group,
    Device,
    DeviceGroup,
    Tag,
}

/// The names of the condition `key`, if it is one and lists nothing but names.
fn match_names(test: &Test, key: Key) -> Option<Vec<&str>> {
    match (key, test) {
        (Key::User, Test::User(list))
        | (Key::Device, Test::Device(list))
        | (Key::Tag, Test::Tag(list)) => exact(list),
        (Key::Group, Test::Group(list)) | (Key::DeviceGroup, Test::DeviceGroup(list)) => {
            Some(texts(list))
        }
        (Key::User | Key::Group | Key::Device | Key::DeviceGroup | Key::Tag, _) => None,
    }
}

/// The `commands` of a role, in the order of the file.
#[derive(Debug, Default)]
pub struct Commands {
    list: Vec<CommandRule>,
    words: HashMap<Box<str>, Positions>,
    /// Rules whose first word may be any of many.
    open: Positions,
    /// The role has them, be it without a line.
    written: bool,
}

impl From<Vec<CommandRule>> for Commands {
    fn from(list: Vec<CommandRule>) -> Self {
        let (mut words, mut open) = (HashMap::<Box<str>, Positions>::new(), Positions::new());
        for (at, rule) in list.iter().enumerate() {
            match rule.first_words() {
                Some(first) => {
                    for word in first {
                        add(words.entry(word.into()).or_default(), at);
                    }
                }
                None => open.push(at),
            }
        }
        Self {
            list,
            words,
            open,
            written: true,
        }
    }
}

impl Deref for Commands {
    type Target = [CommandRule];

    fn deref(&self) -> &[CommandRule] {
        &self.list
    }
}

impl Commands {
    /// Is there a command that they deny, as far as one can see? A role that does not have them says nothing of commands: it is
    /// for devices that do not ask for each. One that has them without a line permits none.
    pub fn restrict(&self) -> bool {
        let decides =
            |line: &&CommandRule| line.decision == super::Decision::Deny || line.covers_all();
        let first = self.list.iter().find(decides);
        self.written && first.is_none_or(|line| line.decision == super::Decision::Deny)
    }

    /// The rules that can match the command, in their order.
    pub fn candidates<'p>(
        &'p self,
        command: &CommandLine,
    ) -> impl Iterator<Item = &'p CommandRule> {
        let mut found = Merged::default();
        found.push(&self.open);
        let positions = command.words().next().and_then(|word| self.words.get(word));
        found.push(positions.map_or(&[], Vec::as_slice));
        found.filter_map(|at| self.list.get(at))
    }
}

/// How many lists are merged without an allocation: a user in a dozen groups on a device in a dozen.
const LISTS: usize = 32;

/// Ascending lists, merged into one in which everything stands once.
#[derive(Debug, Default)]
struct Merged<'i> {
    few: [&'i [usize]; LISTS],
    count: usize,
    more: Vec<&'i [usize]>,
}

impl<'i> Merged<'i> {
    fn push(&mut self, list: &'i [usize]) {
        if list.is_empty() {
            return;
        }
        match self.few.get_mut(self.count) {
            Some(free) => {
                *free = list;
                self.count += 1;
            }
            None => self.more.push(list),
        }
    }
}

impl Iterator for Merged<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let few = self.few.get_mut(..self.count)?;
        let heads = few.iter().chain(&self.more).filter_map(|list| list.first());
        let least = *heads.min()?;
        for list in few.iter_mut().chain(&mut self.more) {
            if let [first, rest @ ..] = *list
                && *first == least
            {
                *list = rest;
            }
        }
        Some(least)
    }
}

#[cfg(test)]
mod tests;
