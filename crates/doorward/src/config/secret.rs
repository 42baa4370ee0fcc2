//! References to secrets: `file:`, `env:`, `cred:` (systemd), `exec:`, and `plain:` with a warning.
//!
//! No message ever shows a value: whatever is not clearly a reference is blanked in every excerpt.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::Surroundings;
use super::report::Report;
use super::source::{Span, escape};
use super::tree::Node;

/// No secret, hash or key is longer.
const MAX_OCTETS: usize = 1 << 20;
/// How long the program of an `exec:` reference may take.
const PATIENCE: Duration = Duration::from_secs(5);

const KINDS: [&str; 5] = ["file", "env", "cred", "exec", "plain"];

/// The secret a reference stands for, its trailing line end trimmed; what is wrong is reported without showing it.
pub(super) fn resolve(
    report: &mut Report,
    surroundings: &Surroundings,
    key: &str,
    node: &Node,
) -> Option<Zeroizing<Vec<u8>>> {
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
    let Some((kind, rest)) = text
        .split_once(':')
        .filter(|(kind, _)| KINDS.contains(kind))
    else {
        report.sources.hide(node.span);
        report
            .error(node.span, format!("`{key}` is no secret reference"))
            .help("write \"file:PATH\", \"env:NAME\", \"cred:NAME\" or \"exec:PROGRAM ARGUMENTS\"; \"plain:\" and the secret itself works with a warning");
        return None;
    };
    let folder = folder(report, node.span);
    let read = match kind {
        "file" => {
            let path = folder.join(rest);
            warn_world_readable(report, node.span, &path);
            read_file(&path)
        }
        "env" => (surroundings.variable)(rest)
            .map(|value| Zeroizing::new(value.into_bytes()))
            .ok_or_else(|| "that environment variable is not set".to_owned()),
        "cred" => credential(surroundings, rest),
        "exec" => run(rest, &folder),
        _ => {
            report.sources.hide(node.span);
            report
                .warning(node.span, format!("`{key}` stands in the file itself"))
                .help("move it to a file of its own and refer to it by \"file:PATH\"");
            Ok(Zeroizing::new(rest.as_bytes().to_vec()))
        }
    };
    let mut secret = match read {
        Ok(secret) => secret,
        Err(why) => {
            report
                .error(
                    node.span,
                    format!("the secret of `{key}` cannot be read: {why}"),
                )
                .help("check the reference and its permissions");
            return None;
        }
    };
    if kind != "plain" {
        trim_line_end(&mut secret);
    }
    if secret.is_empty() {
        report
            .error(node.span, format!("the secret of `{key}` is empty"))
            .help("an empty secret protects nothing; put one there");
        return None;
    }
    Some(secret)
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

fn trim_line_end(secret: &mut Zeroizing<Vec<u8>>) {
    if secret.last() == Some(&b'\n') {
        secret.pop();
        if secret.last() == Some(&b'\r') {
            secret.pop();
        }
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let file = std::fs::File::open(path).map_err(|error| describe(path, &error))?;
    let mut secret = Zeroizing::new(Vec::new());
    file.take(MAX_OCTETS as u64 + 1)
        .read_to_end(&mut secret)
        .map_err(|error| describe(path, &error))?;
    if secret.len() > MAX_OCTETS {
        return Err(format!("{} is larger than 1 MiB", shown(path)));
    }
    Ok(secret)
}

fn describe(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", shown(path))
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy())
}

#[cfg(unix)]
fn warn_world_readable(report: &mut Report, span: Span, path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let open = std::fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o004 != 0);
    if open {
        let path = shown(path);
        report
            .warning(
                span,
                format!("everybody on this machine can read the secret in {path}"),
            )
            .help(format!("chmod o-r {path}"));
    }
}

#[cfg(not(unix))]
fn warn_world_readable(_report: &mut Report, _span: Span, _path: &Path) {}

fn credential(surroundings: &Surroundings, name: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    if name.is_empty() || name.contains('/') || name == ".." {
        return Err("a credential has a plain name".into());
    }
    let Some(folder) = (surroundings.variable)("CREDENTIALS_DIRECTORY") else {
        return Err("CREDENTIALS_DIRECTORY is not set: this process was not started by systemd with credentials".into());
    };
    read_file(&Path::new(&folder).join(name))
}

/// The words of an `exec:` reference; quotes keep white space together.
fn arguments(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for character in text.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            (_, _) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

fn run(text: &str, folder: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let words = arguments(text).ok_or("a quote is not closed")?;
    let (program, rest) = words.split_first().ok_or("no program is named")?;
    // A bare name is looked for in PATH, a path is relative to the file that names it.
    let program = if program.contains('/') {
        folder.join(program)
    } else {
        PathBuf::from(program)
    };
    let mut child = Command::new(&program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| describe(&program, &error))?;
    let output = child.stdout.take().ok_or("its output cannot be read")?;
    let (sender, receiver) = std::sync::mpsc::channel();
    // The thread ends with the pipe, which the kill below closes unless the program left children behind.
    std::thread::spawn(move || {
        let mut secret = Zeroizing::new(Vec::new());
        let read = output.take(MAX_OCTETS as u64 + 1).read_to_end(&mut secret);
        let _ = sender.send(read.map(|_| secret));
    });
    let deadline = Instant::now() + PATIENCE;
    let read = receiver.recv_timeout(PATIENCE);
    let ended = match &read {
        Ok(Ok(secret)) if secret.len() <= MAX_OCTETS => wait_until(&mut child, deadline),
        Ok(_) | Err(_) => None,
    };
    let Some(status) = ended else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(match read {
            Ok(Ok(secret)) if secret.len() > MAX_OCTETS => {
                format!("{} printed more than 1 MiB", shown(&program))
            }
            Ok(Err(error)) => describe(&program, &error),
            Ok(Ok(_)) | Err(_) => format!("{} did not end within 5 seconds", shown(&program)),
        });
    };
    if !status.success() {
        return Err(format!("{} failed ({status})", shown(&program)));
    }
    match read {
        Ok(Ok(secret)) => Ok(secret),
        Ok(Err(_)) | Err(_) => Err("its output cannot be read".into()),
    }
}

/// Its output is at its end, so the program is about to be too.
fn wait_until(
    child: &mut std::process::Child,
    deadline: Instant,
) -> Option<std::process::ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) | Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_program_keep_quoted_white_space_together() {
        assert_eq!(
            arguments("pass show 'my secret' \"\""),
            Some(vec![
                "pass".into(),
                "show".into(),
                "my secret".into(),
                String::new()
            ])
        );
        assert_eq!(arguments("a 'b"), None);
    }

    #[test]
    fn a_program_gives_its_output_or_the_reason_why_not() {
        assert_eq!(
            run("printf 'a b\\n'", Path::new("")).map(|out| out.to_vec()),
            Ok(b"a b\n".to_vec())
        );
        assert!(run("false", Path::new("")).is_err_and(|why| why.contains("failed")));
        assert!(run("/nonexistent/program", Path::new("")).is_err());
    }
}
