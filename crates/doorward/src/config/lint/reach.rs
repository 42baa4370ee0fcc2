//! Who and what rules can match: sets of devices, users without rules, groups that nothing refers to.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::rules::View;
use super::{Lint, Whole};
use crate::config::device::ReadDevice;
use crate::config::report::{Fold, Report};
use crate::config::source::{Span, escape};
use crate::policy::{Condition, Names, Pattern, Rule, Test};

/// Names compared with patterns for one file; what would need more is not known.
const COMPARED: usize = 2_000_000;
/// Words of 64 devices that sets may take: 64 MiB.
const WORDS: usize = 8 << 20;

/// Devices by their numbers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Set(Vec<u64>);

impl Set {
    pub(super) fn empty(devices: usize) -> Self {
        Self(vec![0; devices.div_ceil(64)])
    }

    pub(super) fn insert(&mut self, device: usize) {
        if let Some(word) = self.0.get_mut(device / 64) {
            *word |= 1 << (device % 64);
        }
    }

    fn has(&self, device: usize) -> bool {
        let word = self.0.get(device / 64).copied().unwrap_or(0);
        word & (1 << (device % 64)) != 0
    }

    fn keep(&mut self, other: &Self) {
        for (own, theirs) in self.0.iter_mut().zip(&other.0) {
            *own &= theirs;
        }
    }

    fn add(&mut self, other: &Self) {
        for (own, theirs) in self.0.iter_mut().zip(&other.0) {
            *own |= theirs;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn is_within(&self, other: &Self) -> bool {
        let mut words = self.0.iter().zip(&other.0);
        words.all(|(own, theirs)| own & !theirs == 0)
    }

    /// The number of the first device that is in both.
    pub(super) fn first_shared(&self, other: &Self) -> Option<usize> {
        let mut words = self.0.iter().zip(&other.0).enumerate();
        let (at, word) = words.find_map(|(at, (own, theirs))| {
            let both = own & theirs;
            (both != 0).then_some((at, both))
        })?;
        Some(at * 64 + usize::try_from(word.trailing_zeros()).ok()?)
    }

    /// The number of the first device.
    pub(super) fn first(&self) -> Option<usize> {
        let (at, word) = self.0.iter().enumerate().find(|(_, word)| **word != 0)?;
        Some(at * 64 + usize::try_from(word.trailing_zeros()).ok()?)
    }
}

/// The devices that `device`, `device_group` and `tag` of a rule or route leave.
#[derive(Clone, Debug)]
pub(super) enum Reach {
    /// It has none of these.
    All,
    /// These.
    Only(Rc<Set>),
    /// Finding out would take too long.
    Unknown,
}

impl Reach {
    /// The number of the first of these devices that it certainly has.
    pub(super) fn first_of(&self, devices: &Set) -> Option<usize> {
        match self {
            Self::All => devices.first(),
            Self::Only(set) => set.first_shared(devices),
            Self::Unknown => None,
        }
    }
}

/// The devices of a file by what rules can say about them.
pub(super) struct Atlas<'a> {
    count: usize,
    /// Sorted, for patterns that begin with letters.
    names: BTreeMap<&'a str, usize>,
    groups: HashMap<&'a str, Vec<usize>>,
    tags: HashMap<&'a str, Vec<usize>>,
    /// Many rules have the same conditions.
    known: RefCell<HashMap<String, Option<Rc<Set>>>>,
    comparisons: Cell<usize>,
    words: Cell<usize>,
}

impl<'a> Atlas<'a> {
    pub(super) fn new(devices: &'a [ReadDevice]) -> Self {
        let mut atlas = Self {
            count: devices.len(),
            names: BTreeMap::new(),
            groups: HashMap::new(),
            tags: HashMap::new(),
            known: RefCell::default(),
            comparisons: Cell::new(COMPARED),
            words: Cell::new(WORDS),
        };
        for (at, read) in devices.iter().enumerate() {
            atlas.names.insert(&read.device.name, at);
            for group in &read.device.groups {
                atlas.groups.entry(group).or_default().push(at);
            }
            for tag in &read.device.tags {
                atlas.tags.entry(tag).or_default().push(at);
            }
        }
        atlas
    }

    /// The devices that these conditions together leave.
    pub(super) fn reach(&self, conditions: &[Condition]) -> Reach {
        let mut reach = Reach::All;
        for condition in conditions.iter().filter(|one| is_of_devices(&one.test)) {
            let Some(set) = self.devices(&condition.test) else {
                return Reach::Unknown;
            };
            reach = match reach {
                Reach::All => Reach::Only(set),
                Reach::Only(before) => {
                    let Some(mut both) = self.set() else {
                        return Reach::Unknown;
                    };
                    both.add(&before);
                    both.keep(&set);
                    Reach::Only(Rc::new(both))
                }
                Reach::Unknown => return Reach::Unknown,
            };
        }
        reach
    }

    /// The devices that one condition leaves.
    pub(super) fn devices(&self, test: &Test) -> Option<Rc<Set>> {
        let key = format!("{test:?}");
        if let Some(known) = self.known.borrow().get(&key) {
            return known.clone();
        }
        let found = self.find(test).map(Rc::new);
        self.known.borrow_mut().insert(key, found.clone());
        found
    }

    fn find(&self, test: &Test) -> Option<Set> {
        let mut set = self.set()?;
        match test.names() {
            Names::DeviceGroups(groups) => {
                let members = groups.iter().filter_map(|group| self.groups.get(&**group));
                members.flatten().for_each(|device| set.insert(*device));
            }
            Names::Devices(patterns) => {
                for pattern in patterns {
                    self.named(pattern, &self.names, |device| set.insert(*device))?;
                }
            }
            Names::Tags(patterns) => {
                for pattern in patterns.iter().filter(|one| one.is_exact()) {
                    let members = self.tags.get(pattern.as_str()).into_iter().flatten();
                    members.for_each(|device| set.insert(*device));
                }
                for pattern in patterns.iter().filter(|one| !one.is_exact()) {
                    for (tag, members) in &self.tags {
                        self.spend(1)?;
                        if pattern.matches(tag) {
                            self.spend(members.len())?;
                            members.iter().for_each(|device| set.insert(*device));
                        }
                    }
                }
            }
            Names::Users(_) | Names::Groups(_) | Names::None => return None,
        }
        Some(set)
    }

    fn named<T>(
        &self,
        pattern: &Pattern,
        names: &BTreeMap<&str, T>,
        mut with: impl FnMut(&T),
    ) -> Option<()> {
        let text = pattern.as_str();
        let prefix = text.split('*').next().unwrap_or(text);
        for (name, value) in names.range(prefix..) {
            if !name.starts_with(prefix) {
                break;
            }
            self.spend(1)?;
            if pattern.matches(name) {
                with(value);
            }
        }
        Some(())
    }

    fn spend(&self, comparisons: usize) -> Option<()> {
        let left = self.comparisons.get().checked_sub(comparisons)?;
        self.comparisons.set(left);
        Some(())
    }

    fn set(&self) -> Option<Set> {
        let set = Set::empty(self.count);
        self.words.set(self.words.get().checked_sub(set.0.len())?);
        Some(set)
    }
}

pub(super) fn is_of_devices(test: &Test) -> bool {
    matches!(test, Test::Device(_) | Test::DeviceGroup(_) | Test::Tag(_))
}

/// Devices that no rule can match on.
pub(super) fn devices(report: &mut Report, devices: &[ReadDevice], views: &[View<'_>]) {
    let mut reached = Set::empty(devices.len());
    for view in views {
        match &view.reach {
            Reach::Only(set) => reached.add(set),
            Reach::All | Reach::Unknown => return,
        }
    }
    let without = devices
        .iter()
        .enumerate()
        .filter(|(at, _)| !reached.has(*at));
    let sections = without
        .map(|(_, read)| (format!("device.{}", read.device.name), read.name))
        .collect();
    report.fold(Fold {
        lint: Lint::DeviceWithoutRule,
        sections,
        message: &|names, _| {
            format!("no rule can match on {names}: every login and every command there is denied")
        },
        help: "give the device a tag or a group that a [[rule]] names, or name it in one",
    });
}

/// Users that no rule can match, and groups that only such users could have told apart.
pub(super) fn users(report: &mut Report, whole: &Whole<'_>) {
    let people = People::new(whole);
    let mut without: Vec<(String, Span)> = Vec::new();
    // Groups that no rule names, with the first place where one is given.
    let mut unnamed: BTreeMap<&str, Span> = BTreeMap::new();
    let mut comparisons = COMPARED;
    for read in whole.users {
        let user = &read.user;
        let reached = people.matches(&user.name, &user.groups, &mut comparisons);
        if !reached {
            without.push((format!("user.{}", user.name), read.name));
            continue;
        }
        for (group, span) in user.groups.iter().zip(&read.groups) {
            if !people.named.contains(&**group) {
                unnamed.entry(group).or_insert(*span);
            }
        }
    }
    report.fold(Fold {
        lint: Lint::UserWithoutRule,
        sections: without,
        message: &|names, _| {
            format!("no rule can match {names}: every login and every command is denied")
        },
        help: "put the user into a group that a [[rule]] names, or take the user out",
    });
    for (group, span) in unnamed {
        report
            .warning(
                Lint::GroupWithoutRule,
                span,
                format!("no rule names the group `{}`", escape(group)),
            )
            .on(format!("group.{group}"))
            .help("name it in a [[rule]], or take it out of the users");
    }
}

/// What rules ask of users.
struct People<'a> {
    /// Some rule asks nothing.
    everybody: bool,
    /// Groups that a rule names.
    named: HashSet<&'a str>,
    /// Groups that are enough for a rule.
    enough: HashSet<&'a str>,
    /// Rules that ask for names, by those without a `*`.
    exact: HashMap<&'a str, Vec<&'a Rule>>,
    patterns: Vec<&'a Rule>,
}

impl<'a> People<'a> {
    fn new(whole: &Whole<'a>) -> Self {
        let mut people = Self {
            everybody: false,
            named: HashSet::new(),
            enough: HashSet::new(),
            exact: HashMap::new(),
            patterns: Vec::new(),
        };
        for read in whole.rules {
            let (mut users, mut groups) = (None, None);
            for condition in &read.rule.conditions {
                match condition.test.names() {
                    Names::Users(patterns) => users = Some(patterns),
                    Names::Groups(list) => groups = Some(list),
                    Names::Devices(_) | Names::DeviceGroups(_) | Names::Tags(_) | Names::None => {}
                }
            }
            let names = groups.into_iter().flatten().map(|group| &**group);
            people.named.extend(names.clone());
            match users {
                None if groups.is_none() => people.everybody = true,
                None => people.enough.extend(names),
                Some(patterns) => {
                    if patterns.iter().any(|one| !one.is_exact()) {
                        people.patterns.push(&read.rule);
                    }
                    for name in patterns.iter().filter(|one| one.is_exact()) {
                        people
                            .exact
                            .entry(name.as_str())
                            .or_default()
                            .push(&read.rule);
                    }
                }
            }
        }
        people
    }

    /// Can some rule match this user? `true` also where finding out would take too long.
    fn matches(&self, name: &str, groups: &[std::sync::Arc<str>], left: &mut usize) -> bool {
        if self.everybody || groups.iter().any(|group| self.enough.contains(&**group)) {
            return true;
        }
        let fits = |rule: &&&Rule| {
            rule.conditions
                .iter()
                .all(|condition| match condition.test.names() {
                    Names::Users(patterns) => patterns.iter().any(|one| one.matches(name)),
                    Names::Groups(list) => groups.iter().any(|group| list.contains(group)),
                    Names::Devices(_) | Names::DeviceGroups(_) | Names::Tags(_) | Names::None => {
                        true
                    }
                })
        };
        let by_name = self.exact.get(name).into_iter().flatten();
        let candidates = by_name.chain(&self.patterns);
        let cost = self.patterns.len() + self.exact.get(name).map_or(0, Vec::len);
        match left.checked_sub(cost) {
            Some(rest) => *left = rest,
            None => return true,
        }
        candidates.into_iter().find(fits).is_some()
    }
}

/// Device groups that nothing refers to, and those without devices.
pub(super) fn device_groups(report: &mut Report, whole: &Whole<'_>) {
    let mut named: BTreeSet<&str> = BTreeSet::new();
    let rules = whole.rules.iter().map(|read| &read.rule.conditions);
    let routes = whole.routes.iter().map(|read| &read.route.conditions);
    for conditions in rules.chain(routes) {
        for condition in conditions {
            if let Test::DeviceGroup(groups) = &condition.test {
                named.extend(groups.iter().map(|group| &**group));
            }
        }
    }
    for (listener, _) in whole.listeners {
        let groups = listener.device_groups.iter().flatten();
        named.extend(groups.map(|group| &**group));
    }
    let devices = whole.devices.iter();
    let filled: HashSet<&str> = devices
        .flat_map(|read| read.device.groups.iter().map(|group| &**group))
        .collect();
    for group in whole.groups {
        let name = escape(&group.name);
        let (lint, message, help) = if !named.contains(&*group.name) && !group.matters() {
            (
                Lint::GroupWithoutRule,
                format!("nothing refers to the device group `{name}`"),
                "name it in a [[rule]] or in `device_groups` of a [[listen]], or take it out",
            )
        } else if !filled.contains(&*group.name) {
            (
                Lint::EmptyDeviceGroup,
                format!(
                    "no device is in the device group `{name}`: every key of its `match` has to fit"
                ),
                "look at `match`, or take the group and the rules for it out",
            )
        } else {
            continue;
        };
        report
            .warning(lint, group.place, message)
            .on(format!("device_group.{}", group.name))
            .help(help);
    }
}
