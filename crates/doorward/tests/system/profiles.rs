//! One role, and devices of several vendors: each is sent the attributes it knows.

use std::process::Output;

use serde_json::Value;

use crate::harness::{AS_CORE1, Place, Server, all_said, code, doorward, stdout};
use crate::radius::ROLE;

/// For every vendor, and for none.
const MIXED: &str = "radius = { Session-Timeout = 600, Juniper-Local-User-Name = \"NOC\" }\n";

/// What a device hears when alice logs in, with these attributes more in the request.
fn answered(place: &Place, server: &Server, device: &str, more: &[&str]) -> Output {
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
    doorward()
        .args(["radius", "access", "--json", "--server"])
        .arg(server.address(protocol).to_string())
        .args(proof)
        .args(["--user", "alice", "--password", "file:alice.password"])
        .args(more)
        .current_dir(place.path(""))
        .output()
        .unwrap()
}

/// The attributes of the Access-Accept.
fn accepted(place: &Place, server: &Server, device: &str, more: &[&str]) -> Value {
    let output = answered(place, server, device, more);
    assert_eq!(code(&output), 0, "{}", all_said(&output));
    let said: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let attributes = said["attributes"].as_array().unwrap();
    let signed = |one: &&Value| one[0] != "Message-Authenticator";
    attributes.iter().filter(signed).cloned().collect()
}

fn reload(place: &Place, server: &mut Server) {
    let reloaded = place.ask(&["reload"]);
    assert_eq!(code(&reloaded), 0, "{}", all_said(&reloaded));
    server.wait_for_log(&["configuration reloaded"]);
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
        // `idle_time` of the role.
        all.push(("Idle-Timeout", "900"));
        let wanted: Value = all.iter().map(|(a, b)| serde_json::json!([a, b])).collect();
        assert_eq!(accepted(&place, server, device, &[]), wanted, "{device}");
    };
    expect(&server, "core1", &[("Cisco-AVPair", "shell:priv-lvl=1")]);
    expect(&server, "old-sw7", &[("Juniper-Local-User-Name", "NOC")]);

    // Another profile is in force with the next login.
    place.edit(&[
        ("\"juniper-junos\"", "\"mikrotik-routeros\""),
        ("\"cisco-ios-xe\"", "\"rfc5607\""),
    ]);
    reload(&place, &mut server);
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
    reload(&place, &mut server);
    let wanted = serde_json::json!([
        ["Session-Timeout", "600"],
        ["Juniper-Local-User-Name", "NOC"]
    ]);
    assert_eq!(accepted(&place, &server, "core1", &[]), wanted);
}

/// With level 15 and a list of commands, over RADIUS nobody is more than a reader; and who comes for a network is none at all.
#[test]
fn commands_that_radius_cannot_hold_make_the_rights_the_least() {
    let place = Place::with(&[
        (ROLE, ""),
        ("priv_lvl = 1,", "priv_lvl = 15,"),
        ("{ priv_lvl = 1 }", "{ priv_lvl = 15 }"),
    ]);
    let (old, new) = with_profile("core1", "paloalto-panos");
    place.edit(&[(&old, &new)]);
    let mut server = place.start();
    let least = serde_json::json!([
        ["PaloAlto-Admin-Role", "superreader"],
        ["Idle-Timeout", "900"]
    ]);
    assert_eq!(accepted(&place, &server, "core1", &[]), least);
    let nothing = serde_json::json!([]);
    let framed = ["--attr", "Framed-Protocol=PPP"];
    assert_eq!(accepted(&place, &server, "core1", &framed), nothing);
    // Once the role permits everything, the level is what it says.
    place.edit(&[
        (
            "deny   show running-config **\npermit show|ping|traceroute **",
            "permit **",
        ),
        (
            "deny   = [\"reload\", \"show running-config\", \"configure terminal\"]",
            "",
        ),
    ]);
    reload(&place, &mut server);
    let whole = serde_json::json!([
        ["PaloAlto-Admin-Role", "superuser"],
        ["Idle-Timeout", "900"]
    ]);
    assert_eq!(accepted(&place, &server, "core1", &[]), whole);
}

/// A role without a shell is denied one over RADIUS as over TACACS+, and says why; a login for a network is another matter.
#[test]
fn a_role_without_a_shell_lets_nobody_in_to_one() {
    let place = Place::with(&[
        (ROLE, "radius = { Session-Timeout = 600 }\n"),
        ("shell = { priv_lvl = 1, idle_time = \"15m\" }\n", ""),
        ("expect = { priv_lvl = 1 }\n", ""),
    ]);
    let (old, new) = with_profile("core1", "cisco-ios");
    place.edit(&[(&old, &new)]);
    let mut server = place.start();
    let output = answered(&place, &server, "core1", &[]);
    assert_ne!(code(&output), 0, "{}", all_said(&output));
    assert!(
        all_said(&output).contains("Reject"),
        "{}",
        all_said(&output)
    );
    server.wait_for_log(&["no-shell", "alice"]);
    let timeout = serde_json::json!([["Session-Timeout", "600"]]);
    let framed = ["--attr", "Service-Type=Framed-User"];
    assert_eq!(accepted(&place, &server, "core1", &framed), timeout);
    // A device without a profile gets the role as it stands.
    assert_eq!(accepted(&place, &server, "old-sw7", &[]), timeout);
}
