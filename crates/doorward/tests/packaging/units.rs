//! The units, judged by systemd's own tools, which need no running systemd.

use std::path::Path;
use std::process::Command;

use crate::{repository, run, said};

/// Exposure that `systemd-analyze security` may find, times ten. What is left are the network, CAP_NET_BIND_SERVICE and the
/// host's own root directory, which an AAA server on port 49 cannot do without.
const EXPOSURE: &str = "16";

/// A root directory with the units and something to execute.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let units = path("etc/systemd/system");
    std::fs::create_dir_all(&units).unwrap();
    std::fs::create_dir_all(path("usr/bin")).unwrap();
    std::fs::copy("/bin/true", path("usr/bin/doorward")).unwrap();
    for name in ["doorward.service", "doorward.socket"] {
        std::fs::copy(
            repository(&format!("packaging/systemd/{name}")),
            units.join(name),
        )
        .unwrap();
    }
    // Units that every systemd has and ours order themselves by.
    for name in [
        "sysinit.target",
        "basic.target",
        "shutdown.target",
        "sockets.target",
        "network.target",
        "network-online.target",
        "time-sync.target",
        "multi-user.target",
    ] {
        std::fs::write(units.join(name), "[Unit]\nDescription=x\n").unwrap();
    }
    root
}

fn analyze(root: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new("systemd-analyze");
    command.arg(format!("--root={}", root.display()));
    run(command.args(arguments), "systemd")
}

/// The version of systemd.
fn version() -> u32 {
    let output = run(Command::new("systemd-analyze").arg("--version"), "systemd");
    let text = said(&output);
    text.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    let root = root();
    let old = version() < 253;
    for unit in ["doorward.service", "doorward.socket"] {
        let output = analyze(
            root.path(),
            &[
                "verify",
                "--man=no",
                "--recursive-errors=no",
                &format!("{}/etc/systemd/system/{unit}", root.path().display()),
            ],
        );
        let complaints = said(&output);
        // The two lines of the service that version 253 brought; older ones fall back to Type=notify, as the unit says.
        let known = |line: &&str| {
            old && (line.ends_with("Failed to parse service type, ignoring: notify-reload")
                || line.ends_with("Unknown key 'ReloadSignal' in section [Service], ignoring."))
        };
        let others: Vec<&str> = complaints.lines().filter(|line| !known(line)).collect();
        assert!(others.is_empty(), "{unit}\n{}", others.join("\n"));
        // The exit code of an old one counts the two lines.
        assert!(old || output.status.success(), "{unit}\n{complaints}");
    }
}

/// The test above would be worth nothing if systemd were silent.
#[test]
fn systemd_would_say_what_it_does_not_understand() {
    let root = root();
    let path = root.path().join("etc/systemd/system/doorward.service");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("ProtectHome=yes", "ProtectHoem=yes");
    std::fs::write(&path, text).unwrap();
    let output = analyze(root.path(), &["verify", "--man=no", path.to_str().unwrap()]);
    assert!(said(&output).contains("ProtectHoem"), "{}", said(&output));
}

#[test]
fn the_service_is_exposed_as_little_as_its_work_allows() {
    let root = root();
    let output = analyze(
        root.path(),
        &[
            "security",
            "--offline=true",
            "--no-pager",
            &format!("--threshold={EXPOSURE}"),
            "doorward.service",
        ],
    );
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("Overall exposure level"),
        "{}",
        said(&output)
    );
}

/// What the server itself needs of the unit.
#[test]
fn the_service_tells_of_reloads_keeps_one_capability_and_dumps_no_memory() {
    let text = std::fs::read_to_string(repository("packaging/systemd/doorward.service")).unwrap();
    let values = |key: &str| -> Vec<&str> {
        text.lines()
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .collect()
    };
    assert_eq!(values("Type").last(), Some(&"notify-reload"));
    for key in ["AmbientCapabilities", "CapabilityBoundingSet"] {
        assert_eq!(values(key), ["CAP_NET_BIND_SERVICE"], "{key}");
    }
    assert_eq!(values("User"), ["doorward"]);
    assert_eq!(values("ExecReload"), ["/usr/bin/doorward reload"]);
    assert_eq!(values("ReloadSignal"), ["SIGCONT"]);
    assert_eq!(values("LimitCORE"), ["0"]);
}
