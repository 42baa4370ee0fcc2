//! Arguments of authorization (RFC 8907 sections 6.1, 8.1 and 8.2) through rules, roles and replies.

use crate::harness::{Place, code, doorward, stderr};
use crate::sessions::{AUTHOR_FAIL, PASS_ADD, PASS_REPL, author_arguments, everywhere};
use crate::wire::{Packet, Peer, author};

/// The demo's watcher with everything that section 8.2 knows, and a vendor's service.
fn place() -> Place {
    Place::with(&[(
        "shell = { priv_lvl = 1, idle_time = \"15m\" }",
        "shell = { priv_lvl = 1, idle_time = \"15m\", timeout = \"0m\", attributes = { acl = 150, inacl = \"in\", outacl = \"out\", \
         addr = \"192.0.2.9\", addr-pool = \"pool\", \"autocmd*\" = \"show clock\", noescape = true, nohangup = false, x-vendor = [\"b\", \"a\", \"b\"] } }\n\
         services.custom-x = { local-user = \"NOC\", \"level*\" = 3 }\nservices.\"ppp/ip\" = { addr = \"2001:db8::1\" }",
    )])
}

fn ask(peer: &mut Peer, packet: Packet) -> (u8, Vec<String>) {
    let reply = peer.ask(packet);
    (reply.body[0], author_arguments(&reply))
}

/// proves: TAC-6.1-17, TAC-8.2-7, TAC-8-2, TAC-6.1-18, TAC-8.2-10
#[test]
fn everything_of_the_rfc_can_be_granted_and_only_to_a_session() {
    let place = place();
    let server = place.start();
    everywhere(&place, &server, |connect, kind| {
        let (status, arguments) = ask(
            &mut connect(),
            author(1, "alice", &["service=shell", "cmd="]),
        );
        assert_eq!(status, PASS_ADD, "{kind}");
        let wanted = [
            "priv-lvl=1",
            "idletime=15",
            "timeout=0",
            "acl=150",
            "addr=192.0.2.9",
            "addr-pool=pool",
            "autocmd*show clock",
            "inacl=in",
            "noescape=true",
            "nohangup=false",
            "outacl=out",
            "x-vendor=b",
            "x-vendor=a",
            "x-vendor=b",
        ];
        let mut sorted = arguments.clone();
        sorted.sort();
        let mut expected = wanted.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(sorted, expected, "{kind}");
        let vendor: Vec<&String> = arguments
            .iter()
            .filter(|one| one.starts_with("x-"))
            .collect();
        assert_eq!(
            vendor,
            ["x-vendor=b", "x-vendor=a", "x-vendor=b"],
            "in the order of the file"
        );
        // A command is permitted or not, and no more.
        let (status, arguments) = ask(
            &mut connect(),
            author(
                2,
                "alice",
                &["service=shell", "cmd=show", "cmd-arg=version"],
            ),
        );
        assert_eq!((status, arguments), (PASS_ADD, vec![]), "{kind}");
    });
}

/// proves: TAC-8.2-2, TAC-8-2, TAC-8.2-3
#[test]
fn services_of_vendors_reach_the_role_as_they_are() {
    let place = place();
    let server = place.start();
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    let mut ask =
        |session, arguments: &[&str]| ask(&mut peer, author(session, "alice", arguments).flags(5));
    let (status, granted) = ask(1, &["service=custom-x"]);
    assert_eq!(status, PASS_ADD);
    assert_eq!(granted, ["local-user=NOC", "level*3"]);
    assert_eq!(ask(2, &["service=custom-X"]).0, AUTHOR_FAIL);
    assert_eq!(
        ask(3, &["service=ppp", "protocol=ip"]).1,
        ["addr=2001:db8::1"]
    );
    assert_eq!(ask(4, &["service=ppp", "protocol=lcp"]).0, AUTHOR_FAIL);
    assert_eq!(ask(5, &["service=ppp"]).0, AUTHOR_FAIL);
}

/// proves: TAC-6.1-12, D05-5-1
#[test]
fn optional_arguments_may_go_and_mandatory_ones_may_not() {
    let place = place();
    let server = place.start();
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    let mut ask = |session, more: &str| {
        let arguments = ["service=shell", "cmd=", more];
        ask(&mut peer, author(session, "alice", &arguments).flags(5))
    };
    let (status, granted) = ask(1, "x-new*1");
    assert_eq!(status, PASS_REPL, "an addition would approve it");
    assert!(
        !granted.iter().any(|one| one.starts_with("x-new")),
        "{granted:?}"
    );
    assert!(granted.contains(&"service=shell".to_owned()), "{granted:?}");
    assert_eq!(ask(2, "x-new=1").0, AUTHOR_FAIL);
    assert_eq!(ask(3, "acl=150").0, PASS_ADD, "the role says the same");
    assert_eq!(ask(4, "acl=151").0, AUTHOR_FAIL);
    let huge = format!("priv-lvl={}", "9".repeat(200));
    assert_eq!(ask(5, &huge).0, AUTHOR_FAIL, "not handled, and mandatory");
    let (status, granted) = ask(6, &huge.replace('=', "*"));
    assert_eq!(status, PASS_REPL);
    assert!(granted.contains(&"priv-lvl=1".to_owned()), "{granted:?}");
    // The order of the others is that of the request.
    let words = [
        "service=shell",
        "cmd=show",
        "cmd-arg=b",
        "cmd-arg=a",
        "cmd-arg=b",
        "x-new*",
    ];
    let (status, granted) = self::ask(
        &mut Peer::tls(server.tls(), &place, "core1").unwrap(),
        author(7, "alice", &words),
    );
    assert_eq!(status, PASS_REPL);
    assert_eq!(granted, words[..5]);
}

/// How a device says it authenticated the user takes no part in what the user may do.
/// proves: TAC-6.1-3, TAC-6-1, D05-5.1-5
#[test]
fn the_method_changes_no_decision() {
    for dialect in ["rfc8907", "draft-05"] {
        let place = place();
        place.edit(&[(
            "tags          = [\"role:access\"]",
            &format!("tags          = [\"role:access\"]\ndialect       = \"{dialect}\""),
        )]);
        let server = place.start();
        for method in [0, 1, 2, 3, 4, 5, 6, 8, 0x10, 0x11, 0x20] {
            let status = |user: &str, arguments: &[&str]| {
                let mut packet = author(1, user, arguments);
                packet.body[0] = method;
                let plain = Peer::plain(server.plain(), &place).ask(packet.clone()).body;
                let tls = Peer::tls(server.tls(), &place, "core1")
                    .unwrap()
                    .ask(packet)
                    .body;
                (plain, tls)
            };
            let session = status("alice", &["service=shell", "cmd="]);
            assert_eq!(
                (session.0[0], session.1[0]),
                (PASS_ADD, PASS_ADD),
                "{method:#x}"
            );
            let open = status("alice", &["service=custom-x"]);
            assert_eq!((open.0[0], open.1[0]), (PASS_ADD, PASS_ADD), "{method:#x}");
            let command = status("alice", &["service=shell", "cmd=reload"]);
            assert_eq!(
                (command.0[0], command.1[0]),
                (AUTHOR_FAIL, AUTHOR_FAIL),
                "{method:#x}"
            );
            let nobody = status("mallory", &["service=custom-x"]);
            assert_eq!(
                (nobody.0[0], nobody.1[0]),
                (AUTHOR_FAIL, AUTHOR_FAIL),
                "{method:#x}"
            );
        }
    }
    // And no rule can ask for it.
    let place = place();
    place.edit(&[(
        "when = { group = \"noc\" }",
        "when = { group = \"noc\", authen_method = \"tacacsplus\" }",
    )]);
    let check = place.check();
    assert_eq!(code(&check), 1);
    assert!(
        stderr(&check).contains("`authen_method` is no key"),
        "{}",
        stderr(&check)
    );
}

/// proves: TAC-9-4, D05-8-1
#[test]
fn a_session_has_the_level_of_its_role_in_both_dialects() {
    for dialect in ["rfc8907", "draft-05"] {
        let place = Place::with(&[
            (
                "tags          = [\"role:access\"]",
                &format!("tags          = [\"role:access\"]\ndialect       = \"{dialect}\""),
            ),
            (
                "shell = { priv_lvl = 1, idle_time = \"15m\" }",
                "shell = { priv_lvl = 7 }",
            ),
            (
                "when = { group = \"engineers\", device_group = \"core\" }",
                "when = { group = \"engineers\" }",
            ),
            ("expect = { priv_lvl = 1 }", "expect = { priv_lvl = 7 }"),
            (
                "deny   = [\"show version\"]\nexpect = { login = \"deny\" }",
                "permit = [\"show version\"]\nexpect = { login = \"permit\" }",
            ),
        ]);
        let server = place.start();
        for (user, level) in [("alice", "priv-lvl=7"), ("bob", "priv-lvl=15")] {
            let request = author(1, user, &["service=shell", "cmd="]);
            let (status, granted) = ask(&mut Peer::plain(server.plain(), &place), request);
            assert_eq!(
                (status, granted),
                (PASS_ADD, vec![level.to_owned()]),
                "{dialect} {user}"
            );
        }
    }
}

/// proves: TAC-5.1-8
#[test]
fn the_port_reaches_rules_and_the_log_as_it_is() {
    let place = place();
    place.edit(&[(
        "when = { group = \"noc\" }",
        "when = { group = \"noc\", port = \"tty1\" }",
    )]);
    let mut server = place.start();
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    let show = ["service=shell", "cmd=show", "cmd-arg=version"];
    assert_eq!(
        ask(&mut peer, author(1, "alice", &show).flags(5)).0,
        PASS_ADD
    );
    // `tty1` of every request here becomes `ttyX`.
    let mut other = author(2, "alice", &show).flags(5);
    let at = other
        .body
        .windows(4)
        .position(|some| some == b"tty1")
        .unwrap();
    other.body[at + 3] = b'X';
    assert_eq!(ask(&mut peer, other).0, AUTHOR_FAIL);
    server.wait_for_log(&["\"port\":\"ttyX\"", "no-rule"]);
}

/// proves: TAC-10.5.4-1, TAC-8.2-8, TAC-8.2-9, TAC-8.2-10
#[test]
fn a_role_with_a_value_of_another_type_is_refused_at_its_word() {
    let place = place();
    for (good, bad, why) in [
        ("acl = 150", "acl = \"many\"", "`acl` is a decimal number"),
        (
            "addr = \"192.0.2.9\"",
            "addr = \"notanip\"",
            "`addr` is an IPv4",
        ),
        (
            "noescape = true",
            "noescape = \"yes\"",
            "`noescape` is true or false",
        ),
        (
            "x-vendor = [\"b\", \"a\", \"b\"]",
            "timezone = 330",
            "`timezone` is the abbreviation",
        ),
    ] {
        let text = std::fs::read_to_string(place.config()).unwrap();
        assert!(text.contains(good), "{good}");
        let file = place.path("changed.toml");
        std::fs::write(&file, text.replace(good, bad)).unwrap();
        let check = doorward().arg("check").arg(&file).output().unwrap();
        assert_eq!(code(&check), 1, "{bad}");
        assert!(stderr(&check).contains(why), "{}", stderr(&check));
    }
}
