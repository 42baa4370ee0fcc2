//! Which OpenSSL a build has is one feature of the server, handed down to the crate that uses it.

use std::process::Command;

/// Packages that a build of the server consists of.
fn packages(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", "doorward"])
        .args(["--edges", "normal,build", "--prefix", "none"])
        .args(arguments)
        .current_dir(super::repository(""))
        .output()
        .unwrap();
    let said = super::said(&output);
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn openssl_is_built_along_or_the_one_of_the_system() {
    let has = |arguments: &[&str]| {
        let packages = packages(arguments);
        assert!(packages.contains("\nopenssl-sys v"), "{packages}");
        packages.contains("\nopenssl-src v")
    };
    assert!(has(&[]));
    assert!(!has(&["--no-default-features"]));
    let bundled = ["--no-default-features", "--features", "openssl-bundled"];
    assert!(has(&bundled));
}
