//! From root to the user of the configuration, at the very start.
//!
//! Linux gives credentials to threads, and every thread inherits those of the one that made it. All of this therefore happens
//! while there is one thread, by rustix, which calls the kernel for that thread and needs no `unsafe` here. The user is looked
//! for in /etc/passwd itself: a service's user is local, and asking the name services would load their modules as root.

use std::fmt;
use std::io;

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set,
    set_capabilities, set_keep_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid, set_thread_uid,
};

/// What a listener on port 49 or 300 needs, also one that a reload brings.
const KEPT: CapabilitySet = CapabilitySet::NET_BIND_SERVICE;

/// Who the server is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// Whoever started it: it was not root, and the configuration asks for nobody.
    AsStarted,
    /// Root, because the configuration names nobody else.
    Root,
    /// The user of the configuration, by our own doing.
    Became(Account),
    /// The user of the configuration, as started.
    Already,
    /// Somebody else, who cannot become that user.
    Other(u32),
}

/// A user with the groups it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    gid: u32,
    /// Groups that /etc/group lists the user in.
    supplementary: Vec<u32>,
}

/// Why the server cannot become the user of the configuration.
#[derive(Debug)]
pub enum PrivilegeError {
    /// /etc/passwd or /etc/group cannot be read.
    Database(&'static str, io::Error),
    /// There is no user of this name.
    NoUser(String),
    /// There is no group of this name.
    NoGroup(String),
    /// The user is root.
    UserIsRoot(String),
    /// Threads of the process would keep being root.
    Threads(usize),
    /// The kernel refused a step.
    Kernel(&'static str, io::Error),
    /// The kernel let us be root again.
    StillRoot,
}

impl fmt::Display for PrivilegeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(file, error) => write!(f, "{file} cannot be read: {error}"),
            Self::NoUser(name) => write!(f, "there is no user `{name}` in /etc/passwd"),
            Self::NoGroup(name) => write!(f, "there is no group `{name}` in /etc/group"),
            Self::UserIsRoot(name) => write!(f, "the user `{name}` is root"),
            Self::Threads(count) => write!(f, "the process already has {count} threads"),
            Self::Kernel(step, error) => write!(f, "the kernel refused {step}: {error}"),
            Self::StillRoot => f.write_str("the process could still become root again"),
        }
    }
}

impl std::error::Error for PrivilegeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Database(_, error) | Self::Kernel(_, error) => Some(error),
            Self::NoUser(_)
            | Self::NoGroup(_)
            | Self::UserIsRoot(_)
            | Self::Threads(_)
            | Self::StillRoot => None,
        }
    }
}

/// Keeps passwords and keys, which pass through memory, out of core dumps and away from debuggers of the same user. To be called
/// before a secret is read, and again once the user was changed, which undoes half of it. What cannot be had (a service manager
/// may forbid it, and has limits of its own) is left.
pub fn forbid_core_dumps() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    _ = setrlimit(Resource::Core, none);
    _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Becomes `user` with the group `group`, or the user's own, if started as root.
///
/// # Errors
/// No such user or group, or what the kernel says; the process must not go on then.
pub(super) fn become_user(
    user: Option<&str>,
    group: Option<&str>,
) -> Result<Identity, PrivilegeError> {
    let me = geteuid();
    let Some(user) = user else {
        return Ok(if me.is_root() {
            Identity::Root
        } else {
            Identity::AsStarted
        });
    };
    if !me.is_root() {
        let same = find(user, group).is_ok_and(|account| account.uid == me.as_raw());
        return Ok(if same {
            Identity::Already
        } else {
            Identity::Other(me.as_raw())
        });
    }
    let account = find(user, group)?;
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(PrivilegeError::Threads(threads));
    }
    let step = |what, result: rustix::io::Result<()>| {
        result.map_err(|error| PrivilegeError::Kernel(what, error.into()))
    };
    let groups: Vec<Gid> = account
        .supplementary
        .iter()
        .map(|id| Gid::from_raw(*id))
        .collect();
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    // What the process may keep is no more than what it has: a container may have taken it away.
    let kept = capabilities(None)
        .map_err(|error| PrivilegeError::Kernel("telling the capabilities", error.into()))?
        .permitted
        & KEPT;
    step("no new privileges", set_no_new_privs(true))?;
    for one in CapabilitySet::all().iter().filter(|one| *one != KEPT) {
        // A kernel that does not know it yet has nothing to take away, and without CAP_SETPCAP the line above is enough.
        _ = remove_capability_from_bounding_set(one);
    }
    step("keeping capabilities", set_keep_capabilities(true))?;
    step("the groups", set_thread_groups(&groups))?;
    step("the group", set_thread_res_gid(gid, gid, gid))?;
    step("the user", set_thread_res_uid(uid, uid, uid))?;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    step("dropping capabilities", set_capabilities(None, sets))?;
    step("keeping no more", set_keep_capabilities(false))?;
    if set_thread_uid(Uid::ROOT).is_ok() {
        return Err(PrivilegeError::StillRoot);
    }
    Ok(Identity::Became(account))
}

/// Whether the user and group of a configuration are there.
///
/// # Errors
/// The one that is not.
pub fn check_account(user: &str, group: Option<&str>) -> Result<(), PrivilegeError> {
    find(user, group).map(|_| ())
}

fn find(user: &str, group: Option<&str>) -> Result<Account, PrivilegeError> {
    let read =
        |file| std::fs::read_to_string(file).map_err(|error| PrivilegeError::Database(file, error));
    account(user, group, &read("/etc/passwd")?, &read("/etc/group")?)
}

/// passwd(5): `name:password:uid:gid:..`; group(5): `name:password:gid:member,member`.
fn account(
    user: &str,
    group: Option<&str>,
    passwd: &str,
    groups: &str,
) -> Result<Account, PrivilegeError> {
    let field = |line: &str, index| line.split(':').nth(index).map(str::to_owned);
    let number = |line: &str, index| field(line, index)?.parse::<u32>().ok();
    let named = |text: &str, name: &str| {
        let mut lines = text.lines();
        lines
            .find(|line| field(line, 0).as_deref() == Some(name))
            .map(str::to_owned)
    };
    let line = named(passwd, user);
    let ids = line.and_then(|line| Some((number(&line, 2)?, number(&line, 3)?)));
    let (uid, own) = ids.ok_or_else(|| PrivilegeError::NoUser(user.to_owned()))?;
    if uid == 0 {
        return Err(PrivilegeError::UserIsRoot(user.to_owned()));
    }
    let gid = match group {
        None => own,
        Some(group) => named(groups, group)
            .and_then(|line| number(&line, 2))
            .ok_or_else(|| PrivilegeError::NoGroup(group.to_owned()))?,
    };
    let member = |line: &&str| {
        field(line, 3).is_some_and(|members| members.split(',').any(|one| one == user))
    };
    Ok(Account {
        name: user.to_owned(),
        uid,
        gid,
        supplementary: groups
            .lines()
            .filter(member)
            .filter_map(|line| number(line, 2))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\nbad:x:one:1::/:\ndoorward:x:998:997::/:/usr/sbin/nologin\n";
    const GROUP: &str = "root:x:0:doorwards\nssl-cert:x:104:www-data,doorward\ndoorward:x:997:\nkeys:x:50:doorward\n";

    #[test]
    fn a_user_gets_its_own_or_the_named_group_and_those_it_is_listed_in() {
        let found = account("doorward", None, PASSWD, GROUP).unwrap();
        assert_eq!((found.uid, found.gid), (998, 997));
        assert_eq!(found.supplementary, [104, 50]);
        let found = account("doorward", Some("ssl-cert"), PASSWD, GROUP).unwrap();
        assert_eq!((found.uid, found.gid), (998, 104));
    }

    #[test]
    fn nobody_becomes_root_or_somebody_who_is_not_there() {
        let why = |user, group| account(user, group, PASSWD, GROUP).unwrap_err().to_string();
        assert_eq!(why("root", None), "the user `root` is root");
        assert_eq!(why("toor", None), "the user `toor` is root");
        assert_eq!(
            why("doorwar", None),
            "there is no user `doorwar` in /etc/passwd"
        );
        assert_eq!(why("bad", None), "there is no user `bad` in /etc/passwd");
        assert_eq!(why("", None), "there is no user `` in /etc/passwd");
        assert_eq!(
            why("doorward", Some("wheel")),
            "there is no group `wheel` in /etc/group"
        );
    }
}
