//! The Debian package, built around the program under test and installed by dpkg into a root of its own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::{repository, run, said};

/// The built package; one for all tests of this file.
fn package() -> &'static Path {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut build = Command::new(repository("packaging/debian/build"));
        // The test's binary is large, and nobody downloads it.
        build
            .arg(env!("CARGO_BIN_EXE_doorward"))
            .env("OUT", folder.path())
            .env("DPKG_DEB_COMPRESSOR_TYPE", "none");
        let output = run(&mut build, "dpkg");
        assert!(output.status.success(), "{}", said(&output));
        let arch = run(Command::new("dpkg").arg("--print-architecture"), "dpkg");
        let arch = String::from_utf8(arch.stdout).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let path = folder
            .path()
            .join(format!("doorward_{version}_{}.deb", arch.trim()));
        (folder, path)
    });
    path
}

/// A root directory in which dpkg can install, and how to call it there.
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "etc", "run"] {
            std::fs::create_dir_all(root.path(folder)).unwrap();
        }
        for file in ["var/lib/dpkg/status", "var/lib/dpkg/available"] {
            std::fs::write(root.path(file), "").unwrap();
        }
        std::fs::write(root.path("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
        std::fs::write(root.path("etc/group"), "root:x:0:\n").unwrap();
        root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn mode(&self, name: &str) -> u32 {
        let data = std::fs::metadata(self.path(name)).unwrap();
        data.permissions().mode() & 0o7777
    }

    /// dpkg, whose scripts run outside of a chroot and find the root in $DPKG_ROOT; nothing else is installed there.
    fn dpkg(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("dpkg");
        command
            .arg(format!("--root={}", self.0.path().display()))
            .args(["--force-script-chrootless", "--force-depends"])
            .args(arguments);
        let output = run(&mut command, "dpkg");
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    }

    fn install(&self) -> String {
        self.dpkg(&["--install", package().to_str().unwrap()])
    }

    fn doorward(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(self.path("usr/bin/doorward"));
        run(command.args(arguments), "")
    }
}

#[test]
fn dpkg_installs_it_and_everything_is_in_its_place() {
    let root = Root::new();
    let said_at_install = root.install();
    assert!(
        said_at_install.contains("systemctl enable --now doorward"),
        "{said_at_install}"
    );
    for (path, mode) in [
        ("usr/bin/doorward", 0o755),
        ("usr/lib/systemd/system/doorward.service", 0o644),
        ("usr/lib/systemd/system/doorward.socket", 0o644),
        ("usr/share/bash-completion/completions/doorward", 0o644),
        ("usr/share/zsh/vendor-completions/_doorward", 0o644),
        ("usr/share/man/man1/doorward.1.gz", 0o644),
        ("usr/share/man/man1/doorward-acct-search.1.gz", 0o644),
        ("usr/share/doc/doorward/copyright", 0o644),
        ("usr/share/doc/doorward/changelog.gz", 0o644),
        ("usr/share/doc/doorward/examples/doorward.toml", 0o644),
        ("usr/share/doc/doorward/grafana/doorward.json", 0o644),
        (
            "usr/share/doc/doorward/prometheus/doorward.rules.yml",
            0o644,
        ),
        ("etc/logrotate.d/doorward", 0o644),
        ("etc/doorward", 0o750),
        ("etc/doorward/doorward.toml", 0o640),
        ("var/lib/doorward", 0o700),
        ("var/log/doorward", 0o750),
        ("run/doorward", 0o750),
    ] {
        assert_eq!(root.mode(path), mode, "{path}");
    }
    let passwd = std::fs::read_to_string(root.path("etc/passwd")).unwrap();
    let user = passwd
        .lines()
        .find(|line| line.starts_with("doorward:"))
        .unwrap();
    assert!(
        user.ends_with("/var/lib/doorward:/usr/sbin/nologin"),
        "{user}"
    );
    // Nothing is enabled: no link in any target's wants.
    assert!(!root.path("etc/systemd").exists());
}

#[test]
fn the_installed_program_knows_its_version_and_takes_its_configuration() {
    let root = Root::new();
    root.install();
    let version = root.doorward(&["--version"]);
    assert_eq!(
        String::from_utf8(version.stdout).unwrap(),
        format!("doorward {}\n", env!("CARGO_PKG_VERSION"))
    );
    let file = root.path("etc/doorward/doorward.toml");
    let check = root.doorward(&["check", file.to_str().unwrap()]);
    assert!(check.status.success(), "{}", said(&check));
    assert!(
        said(&check).contains("there is no [[listen]]"),
        "{}",
        said(&check)
    );
    let man = run(
        Command::new("sh")
            .args(["-c", "gzip -dc \"$0\" | groff -man -ww -Tutf8 -P-cbou"])
            .arg(root.path("usr/share/man/man1/doorward.1.gz")),
        "groff-base",
    );
    assert!(man.stderr.is_empty(), "{}", said(&man));
    assert!(said(&man).contains("hash-password"), "{}", said(&man));
}

/// A starter whose comments do not work when they are taken out would be worse than none.
#[test]
fn the_starter_works_once_its_comments_are_taken_out() {
    let root = Root::new();
    root.install();
    let demo = doorward::demo::Folder::prepare(&root.path("demo")).unwrap();
    let place = |from: &str, to: &str| {
        let path = root.path("etc/doorward").join(to);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, demo.text(from).unwrap()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    place("server.pem", "tls/server.pem");
    place("server.key", "tls/server.key");
    place("ca.pem", "tls/ca.pem");
    place("ca.crl", "tls/ca.crl");
    place("alice.hash", "users/alice.hash");
    place("old-sw7.secret", "keys/old-sw7");
    let file = root.path("etc/doorward/doorward.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') && !rest.is_empty() => rest,
        Some(_) | None => line,
    });
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let check = root.doorward(&["check", file.to_str().unwrap()]);
    assert!(check.status.success(), "{}", said(&check));
    assert!(
        said(&check).contains("2 listeners, 2 devices, 1 user, 1 rule"),
        "{}",
        said(&check)
    );
    assert!(
        said(&check).contains("1 test: 1 passed, 0 failed"),
        "{}",
        said(&check)
    );
}

#[test]
fn an_upgrade_keeps_the_administrators_file_and_a_purge_the_records() {
    let root = Root::new();
    root.install();
    let file = root.path("etc/doorward/doorward.toml");
    std::fs::write(&file, "version = 1\n# mine\n").unwrap();
    root.dpkg(&["--force-confold", "--install", package().to_str().unwrap()]);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, "version = 1\n# mine\n");
    let journal = root.path("var/lib/doorward/journal.db");
    std::fs::write(&journal, "evidence").unwrap();
    root.dpkg(&["--purge", "doorward"]);
    assert!(!root.path("usr/bin/doorward").exists());
    assert!(!file.exists());
    assert!(journal.exists(), "the records are gone");
}
