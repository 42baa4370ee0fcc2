//! One role, and devices of several vendors: each is sent the attributes it knows.

use serde_json::Value;

use crate::harness::{AS_CORE1, Place, Server, all_said, code, doorward, stdout};
use crate::radius::ROLE;

/// For every vendor, and for none.
const MIXED: &str = "radius = { Session-Timeout = 600, Juniper-Local-User-Name = \"NOC\" }\n";

/// The attributes of the Access-Accept for alice on a device.
fn accepted(place: &Place, server: &Server, device: &str) -> Value {
    let (protocol, proof) = match device {
        "core1" => (
            "radius-tls",
            [&AS_CORE1[..], &["--server-name", "aaa1.doorward.test"]].concat(),
        ),
        _ => (
            "radius-udp",
            vec!["--udp", "--secret", "file:old-sw7.radius"],
        ),
    };
    let output = doorward()
        .args(["radius", "access", "--json", "--server"])
        .arg(server.address(protocol).to_string())
        .args(proof)
        .args(["--user", "alice", "--password", "file:alice.password"])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", all_said(&output));
    let said: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let attributes = said["attributes"].as_array().unwrap();
    let signed = |one: &&Value| one[0] != "Message-Authenticator";
    attributes.iter().filter(signed).cloned().collect()
}

fn with_profile(device: &str, profile: &str) -> (String, String) {
    let head = format!("[device.{device}]");
    (head.clone(), format!("{head}\nprofile = \"{profile}\"\n#"))
}

#[test]
fn each_device_is_sent_what_its_vendor_reads() {
    let place = Place::with(&[(ROLE, MIXED)]);
    for (device, profile) in [("core1", "cisco-ios-xe"), ("old-sw7", "juniper-junos")] {
        let (old, new) = with_profile(device, profile);
        place.edit(&[(&old, &new)]);
    }
    let mut server = place.start();
    let expect = |server: &Server, device: &str, wanted: &[(&str, &str)]| {
        let mut all = vec![("Session-Timeout", "600")];
        all.extend(wanted);
        let wanted: Value = all.iter().map(|(a, b)| serde_json::json!([a, b])).collect();
        assert_eq!(accepted(&place, server, device), wanted, "{device}");
    };
    expect(&server, "core1", &[("Cisco-AVPair", "shell:priv-lvl=1")]);
    expect(&server, "old-sw7", &[("Juniper-Local-User-Name", "NOC")]);

    // Another profile is in force with the next login.
    place.edit(&[
        ("\"juniper-junos\"", "\"mikrotik-routeros\""),
        ("\"cisco-ios-xe\"", "\"rfc5607\""),
    ]);
    let reloaded = place.ask(&["reload"]);
    assert_eq!(code(&reloaded), 0, "{}", all_said(&reloaded));
    server.wait_for_log(&["configuration reloaded"]);
    expect(
        &server,
        "core1",
        &[
            ("Service-Type", "NAS-Prompt-User"),
            ("Management-Privilege-Level", "1"),
        ],
    );
    expect(&server, "old-sw7", &[("Mikrotik-Group", "read")]);

    // And without one, all of the role and nothing else.
    place.edit(&[("profile = \"rfc5607\"", "")]);
    let reloaded = place.ask(&["reload"]);
    assert_eq!(code(&reloaded), 0, "{}", all_said(&reloaded));
    expect(&server, "core1", &[("Juniper-Local-User-Name", "NOC")]);
}
