//! Secret references in a configuration; what is wrong with one becomes a diagnostic.
//!
//! No message ever shows a value: whatever is not clearly a reference is blanked in every excerpt.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Surroundings;
use super::lint::Lint;
use super::report::Report;
use super::source::{Span, escape};
use super::tree::Node;
use crate::secret::{Octets, ReadError, Reference, World};

/// The secret a reference stands for, its trailing line end trimmed; what is wrong is reported without showing it.
pub(super) fn resolve(
    report: &mut Report,
    surroundings: &Surroundings,
    key: &str,
    node: &Node,
) -> Option<Octets> {
    let Some(text) = node.as_str() else {
        super::section::hide(report, node);
        report
            .error(
                node.span,
                format!("`{key}` must be one secret reference, a string"),
            )
            .help("write \"file:PATH\", \"env:NAME\", \"cred:NAME\" or \"exec:PROGRAM ARGUMENTS\"");
        return None;
    };
    let Some(reference) = Reference::parse(text) else {
        report.sources.hide(node.span);
        report
            .error(node.span, format!("`{key}` is no secret reference"))
            .help("write \"file:PATH\", \"env:NAME\", \"cred:NAME\" or \"exec:PROGRAM ARGUMENTS\"; \"plain:\" and the secret itself works with a warning");
        return None;
    };
    let folder = folder(report, node.span);
    note_place(report, surroundings, &folder, reference);
    match reference {
        Reference::File(path) => warn_world_readable(report, node.span, &folder.join(path)),
        Reference::Plain(_) => {
            report.sources.hide(node.span);
            report
                .warning(
                    Lint::PlainSecret,
                    node.span,
                    format!("`{key}` stands in the file itself"),
                )
                .help("move it to a file of its own and refer to it by \"file:PATH\"");
        }
        Reference::Variable(_) | Reference::Credential(_) | Reference::Program(_) => {}
    }
    let world = World {
        folder: &folder,
        variable: &|name| (surroundings.variable)(name).map(OsString::from),
        stderr: false,
    };
    let error = match reference.read(&world) {
        Ok(secret) => return Some(secret),
        Err(error) => error,
    };
    if matches!(error, ReadError::Empty) {
        report
            .error(node.span, format!("the secret of `{key}` is empty"))
            .help("an empty secret protects nothing; put one there");
    } else {
        let why = escape(&error.to_string());
        report
            .error(
                node.span,
                format!("the secret of `{key}` cannot be read: {why}"),
            )
            .help("check the reference and its permissions");
    }
    None
}

/// Remembers what reading the secret needs of the file system.
fn note_place(
    report: &mut Report,
    surroundings: &Surroundings,
    folder: &Path,
    reference: Reference<'_>,
) {
    match reference {
        Reference::File(path) => _ = report.places.read.insert(folder.join(path)),
        Reference::Credential(name) => {
            let place = (surroundings.variable)("CREDENTIALS_DIRECTORY");
            let place = place.map(|place| Path::new(&place).join(name));
            report.places.read.extend(place);
        }
        Reference::Program(_) => {
            let program = reference.program(folder);
            report.places.programs.extend(program);
        }
        Reference::Variable(_) | Reference::Plain(_) => {}
    }
}

/// The folder that relative paths in the file of `span` start from.
pub(super) fn folder(report: &Report, span: Span) -> PathBuf {
    report
        .sources
        .file(span)
        .and_then(|file| file.path.parent())
        .unwrap_or(Path::new(""))
        .to_path_buf()
}

#[cfg(unix)]
fn warn_world_readable(report: &mut Report, span: Span, path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let open = std::fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o004 != 0);
    if open {
        let path = escape(&path.to_string_lossy());
        report
            .warning(
                Lint::ReadableSecret,
                span,
                format!("everybody on this machine can read the secret in {path}"),
            )
            .help(format!("chmod o-r {path}"));
    }
}

#[cfg(not(unix))]
fn warn_world_readable(_report: &mut Report, _span: Span, _path: &Path) {}
