//! `[server]`, `[metrics]` and `[audit]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::file::Document;
use super::report::Report;
use super::secret::folder;
use super::section::{Section, not_built};
use super::source::Span;
use super::tree::Node;
use super::value::{self, unknown_word};
use super::{Audit, SandboxMode, Server};

const STORAGE: &str = "/var/lib/doorward/doorward.db";
const JOURNAL: &str = "/var/lib/doorward/journal.db";
const CONTROL: &str = "/run/doorward/control.sock";

pub(super) fn server(report: &mut Report, document: &Document<'_>) -> Server {
    let mut server = Server {
        name: host_name(),
        storage: STORAGE.into(),
        journal: JOURNAL.into(),
        control: CONTROL.into(),
        workers: 0,
        tls_only: false,
        user: None,
        group: None,
        sandbox: SandboxMode::Auto,
    };
    let Some(entry) = document.single(report, "server") else {
        return server;
    };
    let Some(mut section) = Section::new(report, "[server]", &entry.value) else {
        return server;
    };
    if let Some(name) = section
        .value("name")
        .and_then(|node| value::name(report, "name", node))
    {
        server.name = name.into();
    }
    if let Some(path) = section
        .value("storage")
        .and_then(|node| storage(report, node))
    {
        server.storage = path;
    }
    if let Some(node) = section.value("journal") {
        server.journal = path(report, "journal", node).unwrap_or(server.journal);
    }
    if let Some(node) = section.value("control") {
        server.control = path(report, "control", node).unwrap_or(server.control);
    }
    if let Some(node) = section.value("workers") {
        server.workers = value::integer(report, "workers", node, 0..=1024).unwrap_or(0);
    }
    if let Some(node) = section.value("tls_only") {
        server.tls_only = value::boolean(report, "tls_only", node).unwrap_or(true);
    }
    process(report, &mut section, &mut server);
    section.finish(report);
    server
}

/// Who the process is, and what it sees.
fn process(report: &mut Report, section: &mut Section<'_>, server: &mut Server) {
    let mut account = |report: &mut Report, key| {
        let name = value::name(report, key, section.value(key)?)?;
        Some(name.to_owned())
    };
    server.user = account(report, "user");
    server.group = account(report, "group");
    if server.user.is_none()
        && let Some(node) = section.value("group")
    {
        report
            .error(
                node.span,
                "`group` of [server] means nothing without `user`",
            )
            .help("add `user = \"doorward\"`, or take `group` out");
    }
    if let Some(node) = section.value("sandbox") {
        let words = [
            ("auto", SandboxMode::Auto),
            ("require", SandboxMode::Require),
            ("off", SandboxMode::Off),
        ];
        let chosen = value::choice(report, "sandbox", node, &words);
        server.sandbox = chosen.unwrap_or(SandboxMode::Require);
    }
}

/// `[metrics]`: the address with its place.
pub(super) fn metrics(report: &mut Report, document: &Document<'_>) -> Option<(SocketAddr, Span)> {
    let entry = document.single(report, "metrics")?;
    let mut section = Section::new(report, "[metrics]", &entry.value)?;
    let listen = section
        .value("listen")
        .and_then(|node| Some((value::socket_address(report, "listen", node)?, node.span)));
    section.finish(report);
    listen
}

/// `journal` alone, whatever the rest says; `None` when it names no file, which is reported.
pub(super) fn journal(report: &mut Report, document: &Document<'_>) -> Option<PathBuf> {
    let tables = document.all("server").iter().map(|entry| &entry.value);
    match tables.filter_map(|table| table.entry("journal")).next() {
        Some(entry) => path(report, "journal", &entry.value),
        None => Some(JOURNAL.into()),
    }
}

/// The kernel's name for this machine.
fn host_name() -> Arc<str> {
    // Not from /proc, which a service need not see.
    let read = rustix::system::uname();
    let name = read.nodename().to_string_lossy();
    if name.is_empty() {
        "doorward".into()
    } else {
        (*name).into()
    }
}

fn storage(report: &mut Report, node: &Node) -> Option<PathBuf> {
    let text = value::text(report, "storage", node)?;
    match text.split_once(':') {
        Some(("sqlite", rest)) if !rest.is_empty() => {
            let path = folder(report, node.span).join(rest);
            report.places.write.insert(path.clone());
            Some(path)
        }
        Some(("postgres" | "postgresql", _)) => {
            // The address of a database may hold its password.
            report.sources.hide(node.span);
            not_built(
                report,
                node.span,
                "storage in PostgreSQL",
                "one store for several servers",
                "use \"sqlite:PATH\"",
            );
            None
        }
        Some(_) | None => {
            report.sources.hide(node.span);
            report
                .error(node.span, "`storage` is no store that is known")
                .help("write \"sqlite:PATH\"");
            None
        }
    }
}

/// The path of a file that is written, relative to the file that names it.
pub(super) fn path(report: &mut Report, key: &str, node: &Node) -> Option<PathBuf> {
    let text = value::text(report, key, node)?;
    if text.is_empty() {
        report.error(node.span, format!("`{key}` must name a file"));
        return None;
    }
    let path = folder(report, node.span).join(text);
    report.places.write.insert(path.clone());
    Some(path)
}

/// `[audit]`: which decisions are kept.
pub(super) fn audit(report: &mut Report, document: &Document<'_>) -> Audit {
    let mut audit = Audit::default();
    let Some(entry) = document.single(report, "audit") else {
        return audit;
    };
    let Some(mut section) = Section::new(report, "[audit]", &entry.value) else {
        return audit;
    };
    if let Some(node) = section.value("decisions")
        && let Some(name) = value::text(report, "decisions", node)
    {
        match Audit::ALL.into_iter().find(|one| one.name() == name) {
            Some(known) => audit = known,
            None => {
                let known = Audit::ALL.map(Audit::name).into_iter();
                unknown_word(report, "decisions", name, node.span, known);
            }
        }
    }
    section.finish(report);
    audit
}
