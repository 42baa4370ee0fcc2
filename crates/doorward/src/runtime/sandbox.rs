//! The file system the server sees from its start on, by the kernel's Landlock.
//!
//! ```text
//! the configuration, what it names, the system's own files  →  read
//! journal, store, control socket, sinks                     →  read and write
//! programs, if a secret is `exec:`                          →  execute
//! everything else                                           →  not there, whoever the process runs as
//! ```
//!
//! Rules hold for inodes, and administrators replace files by new ones of the same name: what is allowed is therefore always
//! the folder of a file. Landlock holds for a thread and for those it starts, so it is entered before there are any.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, path_beneath_rules,
};

use crate::config::source::escape;
use crate::config::{Config, Places, SandboxMode};

/// The accesses that are restricted; of these an older kernel restricts what it knows.
const HANDLED: ABI = ABI::V5;

/// What of the system the server reads while it runs: the time zone, names and their resolution, how many cores it has.
const SYSTEM: &[&str] = &[
    "/etc",
    "/usr/share/zoneinfo",
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/nscd",
    "/proc/self",
    "/proc/sys/kernel",
    "/proc/sys/net",
    "/proc/stat",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    "/dev/urandom",
];
/// Where the programs of `exec:` secrets and what they load are.
const PROGRAMS: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt"];

/// What the server is confined to.
#[derive(Debug)]
pub(super) struct Sandbox {
    state: State,
    read: BTreeSet<PathBuf>,
    write: BTreeSet<PathBuf>,
    programs: bool,
}

/// How much of it the kernel enforces.
#[derive(Debug)]
enum State {
    Off,
    Enforced,
    Partly,
    /// Why.
    Unavailable(SandboxError),
}

/// Why the server is not confined although it has to be.
#[derive(Debug)]
pub enum SandboxError {
    /// This kernel has no Landlock, or it is switched off.
    NoLandlock,
    /// Setting it up failed.
    Setup(RulesetError),
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLandlock => {
                f.write_str(
                    "this kernel has no Landlock (CONFIG_SECURITY_LANDLOCK, `lsm=`), or a container's filter hides it",
                )
            }
            Self::Setup(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for SandboxError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoLandlock => None,
            Self::Setup(error) => Some(error),
        }
    }
}

impl Sandbox {
    /// No confinement.
    pub(super) fn off() -> Self {
        Self {
            state: State::Off,
            read: BTreeSet::new(),
            write: BTreeSet::new(),
            programs: true,
        }
    }

    /// Confines this thread, and those it starts, to what the configuration needs.
    ///
    /// # Errors
    /// With `sandbox = "require"`, that the kernel does not do it.
    pub(super) fn enter(config: &Config) -> Result<Self, SandboxError> {
        let mode = config.server.sandbox;
        if mode == SandboxMode::Off {
            return Ok(Self::off());
        }
        let mut sandbox = Self::of(&config.places);
        sandbox.state = match sandbox.restrict() {
            Ok(RulesetStatus::FullyEnforced) => State::Enforced,
            Ok(RulesetStatus::PartiallyEnforced) => State::Partly,
            Ok(RulesetStatus::NotEnforced) => State::Unavailable(SandboxError::NoLandlock),
            // Also where a container's filter forbids the calls.
            Err(error) => State::Unavailable(SandboxError::Setup(error)),
        };
        match sandbox.state {
            State::Unavailable(why) if mode == SandboxMode::Require => Err(why),
            State::Unavailable(_) | State::Off | State::Enforced | State::Partly => Ok(sandbox),
        }
    }

    fn of(places: &Places) -> Self {
        let mut read: BTreeSet<PathBuf> = places.read.iter().flat_map(|one| folders(one)).collect();
        let write = places.write.iter().flat_map(|one| folders(one)).collect();
        // A bare name is somewhere in PATH, among the system's programs.
        let named = places
            .programs
            .iter()
            .filter(|one| one.components().count() > 1);
        read.extend(named.flat_map(|one| folders(one)));
        read.extend(std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from));
        Self {
            state: State::Off,
            read,
            write,
            programs: !places.programs.is_empty(),
        }
    }

    fn restrict(&self) -> Result<RulesetStatus, RulesetError> {
        let all = AccessFs::from_all(HANDLED);
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let execute = if self.programs {
            read | AccessFs::Execute
        } else {
            read
        };
        let programs: &[&str] = if self.programs { PROGRAMS } else { &[] };
        let write: BitFlags<AccessFs> = all & !BitFlags::from(AccessFs::Execute);
        let null = read | AccessFs::WriteFile;
        let status = Ruleset::default()
            .handle_access(all)?
            .create()?
            .add_rules(path_beneath_rules(SYSTEM, read))?
            .add_rules(path_beneath_rules(programs, execute))?
            .add_rules(path_beneath_rules(&self.read, execute))?
            .add_rules(path_beneath_rules(&self.write, write))?
            .add_rules(path_beneath_rules(["/dev/null"], null))?
            .restrict_self()?;
        Ok(status.ruleset)
    }

    /// Says in the log how the server is confined.
    pub(super) fn announce(&self) {
        let paths = |set: &BTreeSet<PathBuf>| {
            let texts: Vec<String> = set.iter().map(|one| one.display().to_string()).collect();
            texts.join(" ")
        };
        match &self.state {
            State::Off => {
                tracing::info!("sandbox: off, as the configuration says");
            }
            State::Enforced => {
                tracing::info!(
                    read = paths(&self.read),
                    write = paths(&self.write),
                    programs = self.programs,
                    "sandbox: enforced"
                );
            }
            State::Partly => {
                tracing::info!(
                    read = paths(&self.read),
                    write = paths(&self.write),
                    programs = self.programs,
                    "sandbox: partly enforced; this kernel's Landlock is older than what we ask of it"
                );
            }
            State::Unavailable(why) => {
                tracing::warn!(
                    "sandbox: unavailable: {why}; the server sees every file that its user may see"
                );
            }
        }
    }

    /// What a refused configuration reads or runs and the sandbox does not allow, for people; `None` = nothing.
    pub(super) fn unreadable(&self, places: &Places) -> Option<String> {
        let mut paths = beyond(&places.read, &[&self.read, &self.write]);
        if !self.programs {
            paths.extend(places.programs.iter().cloned());
        }
        self.refusal(&paths)
    }

    /// What a new configuration writes and the sandbox does not allow. What is opened once, at the start, does not count.
    pub(super) fn unwritable(&self, config: &Config) -> Option<String> {
        let server = &config.server;
        let once = [&server.journal, &server.storage, &server.control];
        let mut paths = config.places.write.clone();
        paths.retain(|path| !once.contains(&path));
        self.refusal(&beyond(&paths, &[&self.write]))
    }

    fn refusal(&self, paths: &[PathBuf]) -> Option<String> {
        let confined = match &self.state {
            State::Enforced | State::Partly => true,
            State::Off | State::Unavailable(_) => false,
        };
        if !confined || paths.is_empty() {
            return None;
        }
        let lines: Vec<String> = paths
            .iter()
            .map(|path| format!("  --> {}", escape(&path.to_string_lossy())))
            .collect();
        Some(format!(
            "error: the new configuration needs what is outside of the sandbox that was set up at the start\n{}\n  help: restart the \
             server, which then allows it; or set `sandbox = \"off\"` in [server] and restart",
            lines.join("\n")
        ))
    }
}

/// The paths that are below none of the folders, nor of the system's.
fn beyond(paths: &BTreeSet<PathBuf>, allowed: &[&BTreeSet<PathBuf>]) -> Vec<PathBuf> {
    let within = |path: &PathBuf| {
        let mut allowed = allowed.iter().copied().flatten();
        allowed.any(|folder| path.starts_with(folder))
            || SYSTEM.iter().any(|folder| path.starts_with(folder))
    };
    let outside = |path: &&PathBuf| !folders(path).iter().all(within);
    paths.iter().filter(outside).cloned().collect()
}

/// The folder of a file as it is named, and that of what its name leads to; of a folder itself too.
fn folders(path: &Path) -> Vec<PathBuf> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = |path: &Path| -> PathBuf {
        if path.is_dir() {
            return path.to_path_buf();
        }
        path.parent().unwrap_or(path).to_path_buf()
    };
    let named = folder(&whole);
    let mut found = vec![named.canonicalize().unwrap_or(named)];
    if let Ok(real) = whole.canonicalize() {
        let real = folder(&real);
        if !found.contains(&real) {
            found.push(real);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_the_folder_of_a_file_and_of_what_it_leads_to() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for folder in ["live", "archive"] {
            std::fs::create_dir(root.join(folder)).unwrap();
        }
        std::fs::write(root.join("archive/cert1.pem"), "").unwrap();
        std::os::unix::fs::symlink("../archive/cert1.pem", root.join("live/cert.pem")).unwrap();
        let (live, archive) = (root.join("live"), root.join("archive"));
        assert_eq!(
            folders(&root.join("live/cert.pem")),
            [live.clone(), archive]
        );
        assert_eq!(
            folders(&root.join("live/missing.pem")),
            std::slice::from_ref(&live)
        );
        assert_eq!(folders(&live), std::slice::from_ref(&live));
    }

    #[test]
    fn a_reload_is_told_which_paths_are_outside() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("in")).unwrap();
        std::fs::create_dir(root.join("out")).unwrap();
        let mut places = Places::default();
        places.read.insert(root.join("in/doorward.toml"));
        let mut sandbox = Sandbox::of(&places);
        sandbox.state = State::Enforced;
        assert_eq!(sandbox.unreadable(&places), None);
        places.read.insert(root.join("in/more.toml"));
        places.read.insert("/etc/ssl/certs/ca.pem".into());
        assert_eq!(sandbox.unreadable(&places), None);
        places.read.insert(root.join("out/key"));
        places.programs.insert("pass".into());
        let text = sandbox.unreadable(&places).unwrap();
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("  -->"))
            .collect();
        let key = format!("  --> {}", root.join("out/key").display());
        assert_eq!(lines, [key.as_str(), "  --> pass"]);
        sandbox.state = State::Off;
        assert_eq!(sandbox.unreadable(&places), None);
    }
}
