//! Attributes by the names of a vendor's dictionary: in answers, in requests, in records, and after a reload.

use crate::harness::{AS_CORE1, Place, all_said, code, doorward, stdout};

const ACME: &str = "VENDOR Acme 32473
BEGIN-VENDOR Acme
ATTRIBUTE Acme-Level 1 integer
ATTRIBUTE Acme-Session 200 string
VALUE Acme-Level Operator 7
END-VENDOR Acme
";

const NAMED: [&str; 2] = ["--server-name", "aaa1.doorward.test"];

/// What `doorward radius` says as core1, which has to end well.
fn ask(place: &Place, command: &str, server: &str, arguments: &[&str]) -> String {
    let output = doorward()
        .args(["radius", command, "--json", "--server", server])
        .args(AS_CORE1)
        .args(NAMED)
        .args(arguments)
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", all_said(&output));
    stdout(&output)
}

#[test]
fn names_of_a_vendors_dictionary_are_spoken_on_both_sides() {
    let place = Place::with(&[
        (
            "Cisco-AVPair = \"shell:priv-lvl=1\" }",
            "Acme-Level = \"Operator\" }",
        ),
        (
            "[metrics]",
            "[radius]\ndictionaries = [\"vendors/dictionary.acme\"]\n\n[metrics]",
        ),
    ]);
    let vendors = place.path("vendors");
    std::fs::create_dir(&vendors).unwrap();
    let file = vendors.join("dictionary.acme");
    std::fs::write(&file, ACME).unwrap();
    let mut server = place.start();
    let address = server.address("radius-tls").to_string();
    let dictionary = ["--dictionary", "vendors/dictionary.acme"];
    let alice = ["--user", "alice", "--password", "file:alice.password"];

    let said = ask(
        &place,
        "access",
        &address,
        &[&alice[..], &dictionary].concat(),
    );
    assert!(said.contains(r#"["Acme-Level","Operator"]"#), "{said}");
    let said = ask(&place, "access", &address, &alice);
    assert!(
        said.contains(r#"["Attr-26.32473.1","0x00000007"]"#),
        "{said}"
    );

    let report = |name: &str| {
        let attribute = format!("{name}=blue");
        let arguments = ["--start", "--user", "alice", "--session-id", "s1"];
        let more = ["--attr", &attribute, dictionary[0], dictionary[1]];
        ask(
            &place,
            "accounting",
            &address,
            &[&arguments[..], &more].concat(),
        )
    };
    let recorded = || stdout(&place.ask(&["acct", "search", "--json"]));
    report("Acme-Session");
    let records = recorded();
    assert!(records.contains("\"Acme-Session=blue\""), "{records}");

    // A file that is wrong changes nothing, and says where.
    std::fs::write(&file, ACME.replace("BEGIN-VENDOR", "BEGIN-VENDER")).unwrap();
    let refused = place.ask(&["reload"]);
    assert_eq!(code(&refused), 1);
    let said = all_said(&refused);
    for wanted in ["BEGIN-VENDER", "dictionary.acme:2:1"] {
        assert!(said.contains(wanted), "{said}");
    }

    std::fs::write(&file, ACME.replace("Acme-Session", "Acme-Visit")).unwrap();
    let reloaded = place.ask(&["reload"]);
    assert_eq!(code(&reloaded), 0, "{}", all_said(&reloaded));
    server.wait_for_log(&["configuration reloaded"]);
    report("Acme-Visit");
    let records = recorded();
    let last = records.lines().last().unwrap();
    assert!(last.contains("\"Acme-Visit=blue\""), "{records}");
    // What was recorded keeps the name it was recorded by.
    assert!(records.contains("\"Acme-Session=blue\""), "{records}");
}

#[test]
fn a_wrong_dictionary_of_a_command_is_shown_at_its_word() {
    let place = Place::demo();
    std::fs::write(place.path("wrong"), "VENDOR Acme zero\n").unwrap();
    let output = doorward()
        .args(["radius", "access", "--server", "[::1]:1"])
        .args(AS_CORE1)
        .args([
            "--user",
            "alice",
            "--password",
            "plain:x",
            "--dictionary",
            "wrong",
        ])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let said = all_said(&output);
    assert_eq!(code(&output), 1, "{said}");
    for wanted in [
        "`zero` is no number of a vendor",
        "wrong:1:13",
        "VENDOR Acme zero",
        "^^^^",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}
