//! `doorward demo`: a server with everything it needs, tried by the real client before anybody else.

mod files;
mod selftest;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

pub use files::{FilesError, Folder, SERVER_NAME};
pub use selftest::Line;

use crate::runtime::{self, Next, Server, StartError};

/// Why the demo did not run.
#[derive(Debug)]
pub enum DemoError {
    /// Its files.
    Files(FilesError),
    /// The server.
    Start(StartError),
}

impl std::fmt::Display for DemoError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files(error) => error.fmt(f),
            Self::Start(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DemoError {}

/// Runs the demo in the folder `path`; `say` gets each line for people, `serving` is called when the self-test is over and
/// the server goes on. Returns whether every line of the self-test passed.
///
/// # Errors
/// Files that cannot be made, or a server that does not start.
pub fn run(
    path: &Path,
    once: bool,
    mut say: impl FnMut(&str),
    serving: impl FnOnce(),
) -> Result<bool, DemoError> {
    let folder = Folder::prepare(path).map_err(DemoError::Files)?;
    let mut passed = false;
    let config = folder.path("doorward.toml");
    let on_ready = async |server: &Arc<Server>| {
        let ready = server.ready();
        let mut text = serde_json::to_string_pretty(&ready)?;
        text.push('\n');
        folder
            .public("ready.json", &text)
            .map_err(io::Error::other)?;
        say(&format!(
            "A CA, certificates, users, devices and rules are in {}.",
            path.display()
        ));
        for listener in &ready.listeners {
            say(&format!(
                "Listening: {} on {}.",
                listener.protocol, listener.address
            ));
        }
        if let Some(address) = ready.metrics {
            say(&format!("Metrics: http://{address}/metrics."));
        }
        let address = |protocol: &str| {
            let found = ready
                .listeners
                .iter()
                .find(|listener| listener.protocol == protocol);
            found.map(|listener| listener.address).ok_or_else(|| {
                io::Error::other(format!(
                    "the configuration in {} has no listener for {protocol}, which the self-test needs: it was changed, or another version made it. \
                     Take the folder away to have it made anew, or name another one with --dir",
                    path.display()
                ))
            })
        };
        let tls = address("tacacs-tls")?;
        let listeners = selftest::Listeners {
            tls,
            plain: address("tacacs")?,
            radius_tls: address("radius-tls")?,
            radius_dtls: address("radius-dtls")?,
            radius_udp: address("radius-udp")?,
        };
        say("\nSelf-test, by the real client through the sockets:");
        let lines = selftest::run(server, &folder, listeners).await;
        for line in &lines {
            say(&line.to_string());
        }
        let failed = lines.iter().filter(|line| !line.passed).count();
        passed = failed == 0 && !lines.is_empty();
        if failed > 0 {
            say(&format!("\n{failed} of {} lines FAILED.", lines.len()));
        } else {
            say(&format!("\nAll {} lines passed.", lines.len()));
        }
        if once || !passed {
            return Ok(Next::Stop);
        }
        say(
            "\nServing until Ctrl-C; decisions that deny are logged below. Type next, in another terminal:\n",
        );
        for command in next_commands(path, tls) {
            say(&format!("  {command}"));
        }
        serving();
        Ok(Next::Serve)
    };
    let prepared = runtime::Prepared::unconfined(&config).map_err(DemoError::Start)?;
    runtime::run(prepared, on_ready).map_err(DemoError::Start)?;
    Ok(passed)
}

/// Three commands that work as printed: ask a router's question, see why it was answered so, see what was recorded.
fn next_commands(folder: &Path, tls: SocketAddr) -> [String; 3] {
    let program =
        std::env::current_exe().map_or_else(|_| "doorward".to_owned(), |path| quoted(&path));
    let folder = |name: &str| quoted(&folder.join(name));
    [
        format!(
            "{program} client authorize --server {tls} --server-name {SERVER_NAME} --ca {} --cert {} --key {} --user alice reload",
            folder("ca.pem"),
            folder("core1.pem"),
            folder("core1.key")
        ),
        format!(
            "{program} explain --config {} alice core1 reload",
            folder("doorward.toml")
        ),
        format!(
            "{program} acct search --config {} --user alice",
            folder("doorward.toml")
        ),
    ]
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text
        .chars()
        .all(|char| char.is_ascii_alphanumeric() || "/._-+:@".contains(char));
    if plain {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
