//! A server of its own for each test: own folder, own certificates, free ports, stopped by its pid.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use doorward::demo::Folder;
use rcgen::{Issuer, KeyPair};
use serde_json::Value;

/// How long anything that should happen may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The binary under test.
pub(crate) fn doorward() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command
        .env_remove("DOORWARD_CONFIG")
        .env_remove("DOORWARD_LOG")
        .stdin(Stdio::null());
    command
}

/// The same, started by another program.
pub(crate) fn doorward_through(wrapper: &[&str]) -> Command {
    let Some((program, arguments)) = wrapper.split_first() else {
        return doorward();
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(env!("CARGO_BIN_EXE_doorward"))
        .env_remove("DOORWARD_CONFIG")
        .env_remove("DOORWARD_LOG")
        .stdin(Stdio::null());
    command
}

/// A folder with the demo's certificates, users and secrets, and a configuration of the test's own.
pub(crate) struct Place {
    pub folder: tempfile::TempDir,
}

impl Place {
    /// The demo's configuration as it is.
    pub(crate) fn demo() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Folder::prepare(&folder.path().join("d")).unwrap();
        Self { folder }
    }

    /// The demo's configuration with some of its text replaced; every replacement has to find its text.
    pub(crate) fn with(replacements: &[(&str, &str)]) -> Self {
        let place = Self::demo();
        place.edit(replacements);
        place
    }

    /// The demo without what it has for RADIUS.
    pub(crate) fn tacacs() -> Self {
        let place = Self::demo();
        let text = place.text("doorward.toml");
        let begin = text.find("[[listen]]\nprotocol = \"radius").unwrap();
        let end = text.find("[tls.default]").unwrap();
        let secret = "radius_secret = \"file:old-sw7.radius\"\n";
        // Its key is of use with RADIUS alone here.
        let keyed = text.find("[device.lab-pe1]").unwrap();
        let next = text.find("[device.old-sw7]").unwrap();
        place.edit(&[
            (&text[begin..end], ""),
            (&text[keyed..next], ""),
            (secret, ""),
        ]);
        place
    }

    /// Moves the demo's listener for a protocol to another address; without one to its default.
    pub(crate) fn move_listener(&self, protocol: &str, address: Option<&str>) {
        let text = self.text("doorward.toml");
        let line = format!("protocol = \"{protocol}\"");
        let (before, after) = text.split_once(&line).unwrap();
        let begin = after.find("address ").unwrap();
        let end = begin + after[begin..].find('\n').unwrap();
        let address = address.map_or_else(String::new, |one| format!("address = \"{one}\""));
        let (above, below) = (&after[..begin], &after[end..]);
        let text = format!("{before}{line}{above}{address}{below}\n");
        std::fs::write(self.config(), text).unwrap();
    }

    /// Replaces text in the configuration.
    pub(crate) fn edit(&self, replacements: &[(&str, &str)]) {
        let mut text = std::fs::read_to_string(self.config()).unwrap();
        for (old, new) in replacements {
            assert!(
                text.contains(old),
                "the demo's configuration has no {old:?}"
            );
            text = text.replace(old, new);
        }
        std::fs::write(self.config(), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("d").join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("doorward.toml")
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name))
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Starts `doorward run` and waits for its ready line.
    pub(crate) fn start(&self) -> Server {
        Server::start(&self.config())
    }

    /// The same through another program, which gets the command at the end of its arguments, and with a level of the log.
    pub(crate) fn start_through(&self, wrapper: &[&str], level: &str) -> Server {
        Server::launch(wrapper, level, &self.config())
    }

    /// Runs a command that takes `--config`.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        doorward()
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .output()
            .unwrap()
    }

    /// `doorward check` of the configuration.
    pub(crate) fn check(&self) -> Output {
        let mut command = doorward();
        command.arg("check").arg(self.config()).output().unwrap()
    }

    /// A login of alice by our client at `server`, with what proves the device and the server.
    pub(crate) fn log_in(&self, server: SocketAddr, proof: &[&str]) -> Output {
        doorward()
            .args(["client", "authenticate", "--server", &server.to_string()])
            .args(["--user", "alice", "--password", "file:alice.password"])
            .args(proof)
            .current_dir(self.path(""))
            .output()
            .unwrap()
    }

    /// The demo's own CA, to sign with.
    pub(crate) fn ca(&self) -> Issuer<'static, KeyPair> {
        let key = KeyPair::from_pem(&self.text("ca.key")).unwrap();
        Issuer::from_ca_cert_pem(&self.text("ca.pem"), key).unwrap()
    }
}

/// What the client takes to be `core1` and to believe the demo's CA.
pub(crate) const AS_CORE1: [&str; 6] = [
    "--cert",
    "core1.pem",
    "--key",
    "core1.key",
    "--ca",
    "ca.pem",
];

/// A running `doorward run`.
pub(crate) struct Server {
    child: Option<Child>,
    pub ready: Value,
    log: mpsc::Receiver<String>,
    lines: Vec<String>,
}

impl Server {
    pub(crate) fn start(config: &Path) -> Self {
        Self::launch(&[], "debug", config)
    }

    fn launch(wrapper: &[&str], level: &str, config: &Path) -> Self {
        let mut child = doorward_through(wrapper)
            .args(["run", "--log-format", "json", "--config"])
            .arg(config)
            .env("DOORWARD_LOG", level)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let Some(json) = line.strip_prefix("ready ") else {
            let log: Vec<String> = log.iter().collect();
            panic!("no ready line but {line:?}\n{}", log.join("\n"));
        };
        let ready = serde_json::from_str(json).unwrap();
        std::thread::spawn(move || {
            // Exactly one line belongs on stdout.
            let mut rest = String::new();
            _ = stdout.read_to_string(&mut rest);
            assert!(
                rest.is_empty(),
                "more than the ready line on stdout: {rest}"
            );
        });
        Self {
            child: Some(child),
            ready,
            log,
            lines: Vec::new(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The first listener of a protocol.
    pub(crate) fn address(&self, protocol: &str) -> SocketAddr {
        let listeners = self.ready["listeners"].as_array().unwrap();
        let found = listeners
            .iter()
            .find(|listener| listener["protocol"] == protocol)
            .unwrap();
        found["address"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn tls(&self) -> SocketAddr {
        self.address("tacacs-tls")
    }

    pub(crate) fn plain(&self) -> SocketAddr {
        self.address("tacacs")
    }

    /// Waits for a log line that has all of these texts.
    pub(crate) fn wait_for_log(&mut self, texts: &[&str]) -> String {
        self.wait_for_logs(texts, 1)
    }

    /// Waits until there are `count` such lines since the start, and returns the last of them.
    pub(crate) fn wait_for_logs(&mut self, texts: &[&str], count: usize) -> String {
        let deadline = Instant::now() + PATIENCE;
        let fits = |line: &&String| texts.iter().all(|text| line.contains(text));
        loop {
            if let Some(line) = self.lines.iter().filter(fits).nth(count - 1) {
                return line.clone();
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.log.recv_timeout(rest) else {
                panic!(
                    "not {count} log lines with {texts:?} among\n{}",
                    self.lines.join("\n")
                );
            };
            self.lines.push(line);
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM; the exit code, and all that was logged.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        let code = self.child.take().unwrap().wait().unwrap().code();
        self.lines.extend(self.log.iter());
        (code, self.lines.join("\n"))
    }

    /// Resident memory in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

/// Text of a finished command's stdout.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Text of a finished command's stderr.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The exit code; a command killed by a signal has failed the test.
/// Everything a command said to people and programs.
pub(crate) fn all_said(output: &Output) -> String {
    stderr(output) + &stdout(output)
}

pub(crate) fn code(output: &Output) -> i32 {
    output
        .status
        .code()
        .unwrap_or_else(|| panic!("ended by a signal: {output:?}"))
}
