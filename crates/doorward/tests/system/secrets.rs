//! Shared secrets: one for each device, two during a changeover, none in what is shown (RFC 8907 section 10.5).

use jiff::ToSpan;

use crate::harness::{Place, Server, code, doorward, stderr, stdout};
use crate::sessions::{ERROR, FAIL, PASS};
use crate::wire::{Peer, pap, start};

const NEW: &str = "the-second-secret-of-some-length";

/// The demo whose switch has these secrets; `{old}` and `{new}` stand for the references.
fn place(secrets: &str) -> Place {
    let secrets = secrets
        .replace("{old}", "\"file:old-sw7.secret\"")
        .replace("{new}", "\"file:new.secret\"");
    let place = Place::with(&[(
        "tacacs_secret = \"file:old-sw7.secret\"",
        &format!("tacacs_secret = {secrets}"),
    )]);
    std::fs::write(place.path("new.secret"), NEW).unwrap();
    place
}

/// The status of a login with this secret from an address of the loopback network; `None` = no answer that can be read with it.
fn login_from(source: &str, place: &Place, server: &Server, secret: &str) -> Option<u8> {
    let source = format!("{source}:0").parse().unwrap();
    let mut peer = Peer::plain_from(source, server.plain(), secret);
    peer.send(pap(1, "alice", &place.text("alice.password")));
    match *peer.receive().ok()?.body {
        [status @ (PASS | FAIL | ERROR), 0, 0, 0, 0, 0] => Some(status),
        _ => None,
    }
}

fn login(place: &Place, server: &Server, secret: &str) -> Option<u8> {
    login_from("127.0.0.1", place, server, secret)
}

fn day(offset: i64) -> String {
    let today = jiff::Zoned::now().date();
    today.checked_add(offset.days()).unwrap().to_string()
}

/// proves: TAC-10.5.1-6, TAC-10.5.1-4
#[test]
fn during_a_changeover_both_secrets_are_valid_and_outside_of_it_one_is() {
    let both = place(&format!(
        "[{{ key = {{new}}, from = {} }}, {{ key = {{old}}, until = {} }}]",
        day(-1),
        day(1)
    ));
    let server = both.start();
    let old = both.text("old-sw7.secret");
    assert_eq!(login(&both, &server, &old), Some(PASS));
    assert_eq!(login(&both, &server, NEW), Some(PASS));
    assert_eq!(login(&both, &server, "neither-of-the-two-secrets"), None);
    // The other end of the changeover, by a reload.
    both.edit(&[(&day(-1), &day(2)), (&day(1), &day(3))]);
    assert_eq!(code(&both.ask(&["reload"])), 0);
    assert_eq!(login(&both, &server, &old), Some(PASS));
    assert_eq!(login(&both, &server, NEW), None, "not before its first day");
    both.edit(&[(&day(2), &day(-3)), (&day(3), &day(-1))]);
    assert_eq!(code(&both.ask(&["reload"])), 0);
    assert_eq!(login(&both, &server, &old), None, "not after its last day");
    assert_eq!(login(&both, &server, NEW), Some(PASS));
}

#[test]
fn a_day_without_a_secret_is_refused_told_and_counted() {
    let place = place(&format!("[{{ key = {{new}}, from = {} }}]", day(1)));
    let check = place.check();
    assert!(stderr(&check).contains("secret-gap"), "{}", stderr(&check));
    let mut server = place.start();
    server.wait_for_log(&["secret-gap"]);
    assert_eq!(login(&place, &server, NEW), None);
    server.wait_for_log(&["secret-not-valid"]);
    server.wait_for("doorward_refused_total{reason=\"secret-not-valid\"}", 1.0);
}

/// proves: TAC-10.5.2-1, TAC-10.5.1-4, TAC-4.5-2
#[test]
fn each_device_has_its_own_and_no_other_s() {
    let place = place("{old}");
    place.edit(&[("[device_group.core]", "[device.old-sw8]\naddress = [\"127.0.0.2/32\"]\ntacacs_secret = \"file:new.secret\"\ntags = [\"role:access\"]\n\n[device_group.core]")]);
    let server = place.start();
    let old = place.text("old-sw7.secret");
    let from = |source: &str, secret: &str| login_from(source, &place, &server, secret);
    assert_eq!(from("127.0.0.1", &old), Some(PASS));
    assert_eq!(from("127.0.0.1", NEW), None);
    assert_eq!(from("127.0.0.2", &old), None);
    assert_eq!(from("127.0.0.2", NEW), Some(PASS));
    // Options of the one are not those of the other: no password is taken from it any more.
    place.edit(&[("[device.old-sw8]", "[device.old-sw8]\naccept = [\"chap\"]")]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    assert_eq!(from("127.0.0.1", &old), Some(PASS));
    assert_eq!(from("127.0.0.2", NEW), Some(FAIL));
}

/// The age of the oldest secret that a device may have today.
/// proves: TAC-10.5.1-5
#[test]
fn the_age_of_secrets_is_a_figure() {
    const SERIES: &str = "doorward_device_secret_changed_timestamp_seconds{device=\"old-sw7\"}";
    let place = place(&format!(
        "[{{ key = {{new}}, from = {} }}, {{ key = {{old}}, until = {} }}]",
        day(-1),
        day(1)
    ));
    let written = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_500_000_000);
    let file = std::fs::File::options();
    let file = file
        .clone()
        .append(true)
        .open(place.path("old-sw7.secret"))
        .unwrap();
    file.set_modified(written).unwrap();
    let mut server = place.start();
    server.wait_for_log(&["warning[old-secret]", "since 2017-07-1"]);
    let page = server.page();
    assert_eq!(page.get(SERIES), Some(1_500_000_000.0));
    let family = "doorward_device_secret_changed_timestamp_seconds";
    assert_eq!(page.series(family).count(), 1, "the others have none");
    // Once only the new one is valid, its first day counts, whenever its file was written.
    place.edit(&[(&day(-1), &day(-3)), (&day(1), &day(-2))]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    let first: jiff::civil::Date = day(-3).parse().unwrap();
    let zone = jiff::tz::TimeZone::system();
    let since = first.to_zoned(zone).unwrap().timestamp().as_second();
    server.wait_for(SERIES, since as f64);
}

/// proves: TAC-10.1-1
#[test]
fn who_is_no_device_gets_no_answer() {
    let place = place("{old}");
    let mut server = place.start();
    let secret = place.text("old-sw7.secret");
    assert_eq!(login_from("127.0.0.3", &place, &server, &secret), None);
    server.wait_for_log(&["device-unknown"]);
    // And no device can be known by nothing at all.
    let text = std::fs::read_to_string(place.config()).unwrap();
    let anybody = text.replace(
        "address       = [\"127.0.0.1/32\"]",
        "address       = [\"0.0.0.0/0\", \"::/0\"]",
    );
    let file = place.path("anybody.toml");
    std::fs::write(&file, anybody).unwrap();
    let check = doorward().arg("check").arg(&file).output().unwrap();
    assert!(
        stderr(&check).contains("wide-address"),
        "{}",
        stderr(&check)
    );
}

/// proves: TAC-10.5.1-8
#[test]
fn a_plain_listener_whose_device_has_no_secret_is_refused() {
    let place = place("{old}");
    place.edit(&[("tacacs_secret = \"file:old-sw7.secret\"\n", "")]);
    let check = place.check();
    assert_eq!(code(&check), 1);
    assert!(
        stderr(&check).contains("`tacacs_secret`"),
        "{}",
        stderr(&check)
    );
}

/// There is nothing to turn on: SENDAUTH, SENDPASS and FOLLOW are no settings, the first two are refused, the third is never sent.
/// proves: TAC-10.5.3-8, TAC-10.5.5-1, TAC-10.5.5-3, TAC-10.2-3
#[test]
fn nothing_hands_out_passwords_or_sends_devices_elsewhere() {
    let place = place("{old}");
    let text = std::fs::read_to_string(place.config()).unwrap();
    for (setting, refusal) in [
        (
            "[authentication]\nsendauth = true\n",
            "`sendauth` is no key",
        ),
        (
            "[authentication]\nsendpass = true\n",
            "`sendpass` is no key",
        ),
        (
            "[authentication]\nfollow = [\"192.0.2.1\"]\n",
            "`follow` is no key",
        ),
        ("[follow]\nhosts = [\"192.0.2.1\"]\n", "`follow` is no key"),
    ] {
        let file = place.path("more.toml");
        let role = "[role.watcher]";
        std::fs::write(&file, text.replace(role, &format!("{setting}\n{role}"))).unwrap();
        let check = doorward().arg("check").arg(&file).output().unwrap();
        assert_eq!(code(&check), 1, "{setting}");
        let said = stderr(&check);
        assert!(
            said.contains(refusal) && said.contains("refused: 1 error"),
            "{said}"
        );
    }
    let server = place.start();
    let ask = |packet| Peer::plain(server.plain(), &place).ask(packet).body[0];
    for kind in [2, 3, 5, 6] {
        let sendauth = start([4, 1, kind, 1], 1, b"alice", b"x").version(0xc1);
        assert_eq!(ask(sendauth), FAIL, "{kind}");
    }
    assert_eq!(
        ask(start([3, 1, 2, 1], 1, b"alice", b"x").version(0xc1)),
        ERROR
    );
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/security.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    assert!(guide.contains("FOLLOW") && guide.contains("deprecated by RFC 8907"));
}

/// proves: TAC-10.5.1-1
#[test]
fn no_output_holds_a_secret() {
    let place = place("[{ key = {new} }, { key = {old} }]");
    let mut server = place.start();
    let old = place.text("old-sw7.secret");
    assert_eq!(login(&place, &server, "another-wrong-secret-here"), None);
    server.wait_for_log(&["secret-mismatch"]);
    let mut shown = String::new();
    for command in [
        &["status", "--devices"][..],
        &["status", "--json"],
        &["reload"],
        &["audit", "search"],
    ] {
        let output = place.ask(command);
        shown += &(stdout(&output) + &stderr(&output));
    }
    let check = doorward()
        .args(["check", "-v"])
        .arg(place.config())
        .output()
        .unwrap();
    shown += &(stdout(&check) + &stderr(&check));
    let (_, log) = server.stop();
    for secret in [old.as_str(), NEW] {
        assert!(!shown.contains(secret) && !log.contains(secret));
    }
}
