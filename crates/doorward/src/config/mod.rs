//! The checked configuration: what the file means, after every reference has been resolved.
//!
//! ```text
//! files → tree.rs (TOML or JSON, every value with its place) → one file per part of the schema → check.rs → Config
//! ```
//!
//! Every mistake is reported at its place, all of them at once. What the contract has and this version has not is refused by name.

mod accounting;
mod authentication;
mod check;
mod claims;
mod crl_files;
mod device;
mod devices;
mod diagnostic;
mod dialect;
mod dictionary;
mod dns;
mod file;
mod fticks;
mod key_log;
pub mod lint;
mod listen;
mod model;
mod ocsp;
mod parse;
mod pool;
mod pools;
mod profile;
mod protocol;
mod proxied;
mod psk;
mod reply;
mod report;
mod rewrite;
mod roles;
mod routes;
mod rules;
mod schema;
mod secret;
mod section;
mod server;
mod shared_secret;
mod sink;
pub mod source;
pub(crate) mod suggest;
mod syslog;
pub mod tests;
mod text;
mod tls;
mod tolerance;
mod tree;
mod user;
mod value;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use crl_files::{CrlChange, CrlFiles};
pub use devices::{DeviceRefusal, Devices};
pub use diagnostic::{Diagnostic, Excerpt, Failure, Severity};
pub use dictionary::{load_dictionaries, standard as standard_dictionary};
pub use dns::{Dns, name_server};
pub use fticks::{FTicks, Station};
pub use key_log::KeyLogFile;
pub use lint::{Accepted, Findings, Lint};
pub use model::*;
pub use pool::{Discover, Pool, Strategy, Watchdog};
pub use protocol::ListenerProtocol;
pub use psk::{DevicePsk, key_from_text};
pub use reply::path as reply_path;
pub use schema::{Part, schema};
pub use shared_secret::SharedSecret;
pub use sink::{Facility, HostPort, Sink, SinkKind, Syslog, SyslogTarget, SyslogTls};
pub use tolerance::{Tolerance, Tolerances};

use crate::policy::Policy;
use file::Document;
use report::Report;

/// A configuration that can be served, and what to look at in it.
#[derive(Debug)]
pub struct Loaded {
    /// The checked configuration.
    pub config: Arc<Config>,
    /// Warnings that the file does not accept.
    pub diagnostics: Vec<Diagnostic>,
    /// Warnings that an `[[allow]]` of the file accepts.
    pub accepted: Vec<Accepted>,
}

/// What a configuration may ask of the world besides its files.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// The present moment, for `until` and certificates.
    pub now: jiff::Timestamp,
    /// Environment variables (`env:` references and `$CREDENTIALS_DIRECTORY`).
    pub variable: fn(&str) -> Option<String>,
}

impl Surroundings {
    /// The real clock and the real environment.
    pub fn real() -> Self {
        Self {
            now: jiff::Timestamp::now(),
            variable: |name| std::env::var(name).ok(),
        }
    }

    /// The day, in the time zone of the machine.
    fn today(&self) -> jiff::civil::Date {
        self.now.to_zoned(jiff::tz::TimeZone::system()).date()
    }
}

/// Reads, converts and checks the configuration at `path`, its includes and the secrets it refers to.
pub fn load(path: &Path) -> Result<Loaded, Failure> {
    load_with(path, &Surroundings::real())
}

/// [`load`] with a clock and an environment of the caller's choice.
pub fn load_with(path: &Path, surroundings: &Surroundings) -> Result<Loaded, Failure> {
    let mut report = Report::default();
    let trees = file::read(&mut report, path);
    let complete = !report.has_errors();
    let mut config = convert(&mut report, &trees, surroundings, complete);
    let refused = report.has_errors();
    let mut places = std::mem::take(&mut report.places);
    places.write.extend([
        config.server.storage.clone(),
        config.server.journal.clone(),
        config.server.control.clone(),
    ]);
    report.settle(!refused);
    let (diagnostics, accepted) = report.into_diagnostics();
    if refused {
        return Err(Failure {
            diagnostics,
            places,
        });
    }
    config.places = places;
    config.findings = Findings::new(&diagnostics, &accepted);
    Ok(Loaded {
        config: Arc::new(config),
        diagnostics,
        accepted,
    })
}

/// Only `[server]`, for commands that ask a running server: no secret is resolved, and mistakes elsewhere in the file do not
/// keep an operator from asking.
///
/// # Errors
/// A file that cannot be read as TOML (or an include as JSON).
pub fn load_server(path: &Path) -> Result<Server, Failure> {
    let mut report = Report::default();
    let trees = file::read(&mut report, path);
    if report.has_errors() {
        return Err(Failure {
            places: std::mem::take(&mut report.places),
            diagnostics: report.into_diagnostics().0,
        });
    }
    let document = Document::new(&mut report, &trees, &BUILT);
    Ok(server::server(&mut report, &document))
}

/// `[server] tls_only` alone, for whoever connects and does not serve: no secret is resolved.
///
/// # Errors
/// A file that cannot be read, and every mistake in `[server]` or in the name of a section: it may be this very option,
/// misspelt.
pub fn load_tls_only(path: &Path) -> Result<bool, Failure> {
    let mut report = Report::default();
    let trees = file::read(&mut report, path);
    let document = Document::new(&mut report, &trees, &known());
    let server = server::server(&mut report, &document);
    if report.has_errors() {
        return Err(Failure {
            places: std::mem::take(&mut report.places),
            diagnostics: report.into_diagnostics().0,
        });
    }
    Ok(server.tls_only)
}

/// What a search of the records needs of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForRecords {
    /// `[server] journal`.
    pub journal: PathBuf,
    /// The users with `quiet = true`.
    pub quiet: Vec<Arc<str>>,
    /// `[audit]`.
    pub audit: Audit,
}

/// Where the records are and who is left out of searches: no secret is resolved, and mistakes elsewhere, even a whole include
/// that cannot be read, do not make the records unsearchable.
///
/// # Errors
/// `journal` names no file, or a file cannot be read and no other has `[server]`, so that the journal could be anywhere.
pub fn load_for_records(path: &Path) -> Result<ForRecords, Failure> {
    let mut report = Report::default();
    let trees = file::read(&mut report, path);
    let unread = report.has_errors();
    let document = Document::new(&mut Report::default(), &trees, &BUILT);
    let known = !unread || !document.all("server").is_empty();
    match server::journal(&mut report, &document).filter(|_| known) {
        Some(journal) => Ok(ForRecords {
            journal,
            quiet: user::quiet(&document),
            audit: server::audit(&mut Report::default(), &document),
        }),
        None => Err(Failure {
            places: std::mem::take(&mut report.places),
            diagnostics: report.into_diagnostics().0,
        }),
    }
}

/// Top-level keys of the contract that are built.
const BUILT: [&str; 23] = [
    "version",
    "include",
    "server",
    "metrics",
    "listen",
    "tls",
    "device_group",
    "device",
    "user",
    "authentication",
    "enable",
    "password_policy",
    "audit",
    "radius",
    "role",
    "rule",
    "pool",
    "route",
    "fticks",
    "dns",
    "test",
    "secrets",
    "allow",
];

/// Top-level keys of the contract that are not, and what they are for.
const UNBUILT: [(&str, &str); 3] = [
    ("identity", "users outside the file"),
    ("mfa", "second factors"),
    ("lockout", "locking out after wrong passwords"),
];

/// Every top-level key of the contract.
fn known() -> Vec<&'static str> {
    BUILT
        .into_iter()
        .chain(["accounting"])
        .chain(UNBUILT.map(|(key, _)| key))
        .collect()
}

/// `complete`: every file could be read, so that what is missing is missing.
fn convert(
    report: &mut Report,
    trees: &[tree::Node],
    surroundings: &Surroundings,
    complete: bool,
) -> Config {
    let document = Document::new(report, trees, &known());
    refuse_unbuilt(report, &document);
    report.allows = lint::allow::Allows::read(report, &document, surroundings);
    let secrets = lint::secrets::Secrets::read(report, &document);
    let server = server::server(report, &document);
    let metrics = server::metrics(report, &document);
    let mut listeners = listen::listeners(report, &document, surroundings);
    let (tls, tls_names) = tls::profiles(report, &document, surroundings);
    let groups = device::groups(report, &document);
    let devices = device::devices(report, &document, surroundings, &secrets, &groups);
    let users = user::users(report, &document, surroundings);
    let authentication = authentication::authentication(report, &document);
    let enable = authentication::enable(report, &document, surroundings);
    let password_policy = authentication::password_policy(report, &document);
    let audit = server::audit(report, &document);
    let receivers = syslog::Known {
        server: &server,
        tls: &tls,
        tls_names: &tls_names,
    };
    let accounting = accounting::accounting(report, &document, &receivers);
    let fticks = fticks::fticks(report, &document, surroundings, &receivers);
    let dns = dns::dns(report, &document);
    let (pools, pool_names) = pools::pools(
        report,
        &document,
        &pools::Known {
            surroundings,
            secrets: &secrets,
            tls_only: server.tls_only,
            hastls_type: dns.hastls_type,
            profiles: &tls_names,
        },
    );
    let dictionary = dictionary::dictionary(report, &document);
    let known = reply::Known {
        dictionary: &dictionary,
        surroundings,
    };
    let tests = tests::read(report, &document, &known);
    let names = names(&devices, &groups, &users, &tests);
    let roles = roles::roles(report, &document, &known);
    let rules = rules::rules(report, &document, &roles, &names);
    let routes = routes::routes(report, &document, &pool_names, &names, &dictionary);
    if complete {
        tests::check_names(report, &tests, &names);
        lint::secrets::shared(report, &secrets, &devices);
        profile::check_sizes(report, &roles, &devices);
        check::check(
            report,
            &check::Whole {
                server: &server,
                metrics,
                listeners: &listeners,
                tls: &tls_names,
                device_groups: names.device_groups.clone(),
                devices: &devices,
            },
        );
        proxied::check(report, &pools, &routes, &devices, &listeners, &secrets);
    }
    if complete && !report.has_errors() {
        let whole = lint::Whole {
            listeners: &listeners,
            groups: &groups,
            devices: &devices,
            accept: &authentication.accept,
            users: &users,
            roles: &roles,
            rules: &rules,
            pools: &pools,
            routes: &routes,
            tests: &tests,
        };
        lint::run(report, &whole, surroundings);
    }
    for (listener, _) in &mut listeners {
        listen::admit_devices(listener, devices.iter().map(|read| &read.device));
    }
    Config {
        server,
        metrics: metrics.map(|(address, _)| address),
        listeners: listeners
            .into_iter()
            .map(|(listener, _)| listener)
            .collect(),
        tls,
        devices: Devices::new(devices.into_iter().map(|read| read.device)),
        users: users
            .into_iter()
            .map(|read| (Arc::clone(&read.user.name), Arc::new(read.user)))
            .collect::<HashMap<_, _>>(),
        authentication,
        enable,
        password_policy,
        policy: Policy {
            rules: rules
                .into_iter()
                .map(|read| read.rule)
                .collect::<Vec<_>>()
                .into(),
        },
        routes: routes.into_iter().map(|read| read.route).collect(),
        pools: pools
            .into_iter()
            .map(|read| (Arc::clone(&read.pool.name), Arc::new(read.pool)))
            .collect(),
        dictionary,
        audit,
        keep: accounting.keep,
        sinks: accounting.sinks,
        fticks,
        dns,
        tests: tests.into_iter().map(|(test, _)| test).collect(),
        places: Places::default(),
        findings: Findings::default(),
    }
}

/// What rules and tests may name.
fn names<'a>(
    devices: &'a [device::ReadDevice],
    groups: &'a [device::DeviceGroup],
    users: &'a [user::ReadUser],
    tests: &'a [(PolicyTest, tests::TestSpans)],
) -> rules::Names<'a> {
    let mut names = rules::Names::default();
    for read in devices {
        names.devices.insert(&read.device.name);
        names.tags.extend(read.device.tags.iter().map(|tag| &**tag));
    }
    names
        .device_groups
        .extend(groups.iter().map(|group| &*group.name));
    for user in users.iter().map(|read| &read.user) {
        names.users.insert(&user.name);
        names.configured_users.insert(&user.name);
        names
            .groups
            .extend(user.groups.iter().map(|group| &**group));
    }
    for (test, _) in tests {
        names.users.insert(&test.user);
        let groups = test.groups.iter().flatten();
        names.groups.extend(groups.map(|group| &**group));
    }
    names
}

fn refuse_unbuilt(report: &mut Report, document: &Document<'_>) {
    for (key, purpose) in UNBUILT {
        for entry in document.all(key) {
            section::hide(report, &entry.value);
            let list = entry.value.as_list().is_some();
            let what = if list {
                format!("`[[{key}]]`")
            } else {
                format!("`[{key}]`")
            };
            section::not_built(
                report,
                entry.key_span,
                &what,
                purpose,
                "take it out of the file",
            );
        }
    }
}
