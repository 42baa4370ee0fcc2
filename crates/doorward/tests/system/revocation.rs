//! What ends the connections and the tickets of a device: revocation, expiry, and its place in the configuration.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use rustls::HandshakeKind;

use crate::foreign::{CORE1, TALKING, openssl_asks};
use crate::harness::{Place, Server, code, stderr};
use crate::wire::{Peer, author, client_config};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The serial number in hexadecimal digits, as OpenSSL reads it.
pub(crate) fn serial(place: &Place, certificate: &str) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-serial", "-in", certificate])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let digits = text.trim().strip_prefix("serial=").unwrap();
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Puts a list with these serials in the place of the old one, by rename as a fetcher does.
pub(crate) fn publish(place: &Place, serials: &[Vec<u8>]) {
    publish_until(place, serials, SystemTime::now() + DAY);
}

fn publish_until(place: &Place, serials: &[Vec<u8>], next_update: SystemTime) {
    let now = SystemTime::now();
    let number = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let revoked = |serial: &Vec<u8>| RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: now.into(),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: (now - 30 * DAY).into(),
        next_update: next_update.into(),
        crl_number: SerialNumber::from(u64::try_from(number.as_nanos()).unwrap()),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let pem = list.signed_by(&place.ca()).unwrap().pem().unwrap();
    std::fs::write(place.path("ca.crl.new"), pem).unwrap();
    std::fs::rename(place.path("ca.crl.new"), place.path("ca.crl")).unwrap();
}

fn show(session: u32) -> crate::wire::Packet {
    author(session, "alice", &["service=shell", "cmd=show"]).flags(4)
}

fn live(server: &Server, place: &Place) -> Peer {
    let mut peer = Peer::tls(server.tls(), place, "core1").unwrap();
    assert_eq!(peer.ask(show(1)).body[0], 1);
    peer
}

/// proves: TLS-3.6-7, TLS-3.6-1
#[test]
fn a_certificate_revoked_under_a_live_connection_ends_it_and_its_tickets() {
    let place = Place::demo();
    let mut server = place.start();
    let config = client_config(&place, Some("core1"));
    let connect = || Peer::tls_with(server.tls(), Arc::clone(&config));
    let mut first = connect().unwrap();
    assert_eq!(first.ask(show(1)).body[0], 1);
    assert_eq!(first.kind(), HandshakeKind::Full);
    let mut second = connect().unwrap();
    assert_eq!(second.ask(show(2)).body[0], 1);
    assert_eq!(second.kind(), HandshakeKind::Resumed);

    // No reload: the file alone changes.
    publish(&place, &[serial(&place, "core1.pem")]);
    for peer in [&mut first, &mut second] {
        assert!(peer.rest().is_empty(), "closed, and nothing more said");
    }
    // A client of TLS 1.3 sees the refusal with its first read.
    let refused = connect().and_then(|mut peer| {
        peer.write(&show(3).flags(1).octets(None))?;
        peer.receive()
    });
    assert!(refused.is_err());
    server.wait_for_logs(
        &[
            "\"reason\":\"certificate-revoked\"",
            "the open connection of device core1 is closed",
        ],
        2,
    );
    server.wait_for_log(&["the revocation lists were read again"]);
}

/// The CA has published nothing for a while: hard fail and soft fail, as configured, and both told.
///
/// proves: TLS-5.1.4-1
#[test]
fn a_list_that_has_lapsed_refuses_where_one_is_required_and_only_there() {
    for (mode, refused) in [("require", true), ("if-available", false)] {
        let place = Place::with(&[(
            "revocation  = \"require\" ",
            &format!("revocation  = \"{mode}\" "),
        )]);
        publish_until(&place, &[], SystemTime::now() - Duration::from_secs(60));
        let mut server = place.start();
        let asked = Peer::tls(server.tls(), &place, "core1").and_then(|mut peer| {
            peer.write(&show(1).flags(1).octets(None))?;
            peer.receive()
        });
        assert_eq!(asked.is_err(), refused, "{mode}");
        server.wait_for_log(&["\"level\":\"WARN\"", "has lapsed"]);
        if refused {
            server.wait_for_log(&["\"reason\":\"revocation-unknown\"", "lapsed at"]);
        }
    }
}

#[test]
fn a_list_that_cannot_be_read_leaves_the_old_one_in_force() {
    let place = Place::demo();
    let mut server = place.start();
    let mut peer = live(&server, &place);
    std::fs::write(place.path("ca.crl.new"), "no list").unwrap();
    std::fs::rename(place.path("ca.crl.new"), place.path("ca.crl")).unwrap();
    server.wait_for_log(&["cannot be used", "the lists from before stay in force"]);
    assert_eq!(peer.ask(show(2)).body[0], 1);
    drop(live(&server, &place));
    publish(&place, &[]);
    server.wait_for_log(&["the revocation lists were read again"]);
    assert_eq!(peer.ask(show(3)).body[0], 1, "it is in no list");
}

#[test]
fn a_device_that_is_taken_out_or_moved_loses_its_connection_at_the_reload() {
    let place = Place::demo();
    let mut server = place.start();
    let mut peer = live(&server, &place);
    place.edit(&[(
        "certificate = { dns = [\"core1.doorward.test\"] }",
        "certificate = { dns = [\"core1.doorward.test\"] }\naddress = [\"192.0.2.1/32\"]",
    )]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    assert!(
        peer.rest().is_empty(),
        "its address is not its own any more"
    );
    server.wait_for_log(&[
        "\"reason\":\"device-address\"",
        "the open connection of device core1 is closed",
    ]);
}

/// The listener of the demo that speaks without TLS.
const PLAIN_LISTENER: &str = "[[listen]]\nprotocol = \"tacacs\"                  # TACACS+ with obfuscation (RFC 8907); 49 is its port in real life\naddress  = \"127.0.0.1:0\"\n";

/// The connection of old-sw7 ends at a reload after these changes, and the log says why.
fn cuts_off_old_sw7(changes: &[(&str, &str)], logged: &[&str]) {
    let place = Place::tacacs();
    let mut server = place.start();
    let mut plain = Peer::plain(server.plain(), &place);
    assert_eq!(plain.ask(show(1)).body[0], 1);
    place.edit(changes);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    assert!(plain.rest().is_empty());
    server.wait_for_log(logged);
}

#[test]
fn the_switch_that_forbids_all_that_is_plain_ends_what_is_open() {
    let changes = [
        (PLAIN_LISTENER, ""),
        ("tacacs_secret = \"file:old-sw7.secret\"\n", ""),
        ("name    = \"demo\"", "name    = \"demo\"\ntls_only = true"),
    ];
    let closed = "the open connection of device old-sw7 is closed: `tls_only`";
    cuts_off_old_sw7(&changes, &["\"reason\":\"tls-required\"", closed]);
}

/// Device and listener go with one reload.
#[test]
fn a_device_that_goes_together_with_its_listener_is_cut_off() {
    let changes = [
        (PLAIN_LISTENER, ""),
        ("[device.old-sw7]", "[device.other]"),
        ("on     = \"old-sw7\"", "on     = \"other\""),
    ];
    cuts_off_old_sw7(
        &changes,
        &["\"reason\":\"device-removed\"", "device old-sw7"],
    );
}

/// Nobody is left who could say whether its certificate is good.
#[test]
fn a_connection_whose_profile_goes_with_its_listener_is_cut_off() {
    let place = Place::demo();
    let mut server = place.start();
    let mut peer = live(&server, &place);
    let text = std::fs::read_to_string(place.config()).unwrap();
    let block = |from: &str| {
        let begin = text.find(from).unwrap();
        let length = text[begin..].find("\n\n").unwrap();
        &text[begin..begin + length]
    };
    let listener = block("[[listen]]\nprotocol = \"tacacs-tls\"");
    let radius = block("[[listen]]\nprotocol = \"radius-tls\"");
    let datagrams = block("[[listen]]\nprotocol = \"radius-dtls\"");
    let gone = [listener, radius, datagrams, block("[tls.default]")];
    place.edit(&gone.map(|one| (one, "")));
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    assert!(peer.rest().is_empty());
    server.wait_for_log(&["\"reason\":\"certificate-path\"", "device core1 is closed"]);
}

#[test]
fn a_reload_that_changes_nothing_for_a_device_leaves_its_connection() {
    let place = Place::demo();
    let server = place.start();
    let mut peer = live(&server, &place);
    let mut plain = Peer::plain(server.plain(), &place);
    assert_eq!(plain.ask(show(1)).body[0], 1);
    for round in 0..3 {
        let reload = place.ask(&["reload"]);
        assert_eq!(code(&reload), 0, "{}", stderr(&reload));
        assert_eq!(peer.ask(show(10 + round)).body[0], 1);
        assert_eq!(plain.ask(show(10 + round)).body[0], 1);
    }
}

/// Makes `brief.pem` and its key: a certificate of core1 that ends in four seconds.
pub(crate) fn brief(place: &Place) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "core1");
    params.subject_alt_names = vec![SanType::DnsName("core1.doorward.test".try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_secs(60)).into();
    params.not_after = (now + Duration::from_secs(4)).into();
    let certificate = params.signed_by(&key, &place.ca()).unwrap();
    std::fs::write(place.path("brief.pem"), certificate.pem()).unwrap();
    std::fs::write(place.path("brief.key"), key.serialize_pem()).unwrap();
}

/// Seconds before its end a certificate still connects, and then its connection is closed.
#[test]
fn a_connection_ends_with_the_certificate_it_was_made_with() {
    let place = Place::demo();
    let mut server = place.start();
    brief(&place);
    let mut peer = Peer::tls(server.tls(), &place, "brief").unwrap();
    assert_eq!(peer.ask(show(1)).body[0], 1);
    assert!(peer.rest().is_empty());
    server.wait_for_log(&[
        "\"reason\":\"certificate-date\"",
        "the open connection of device core1 is closed",
    ]);
}

/// What OpenSSL says about a connection that asks one question.
fn s_client(place: &Place, server: &Server, arguments: &[&str]) -> String {
    let (said, _) = openssl_asks(place, server, &[&TALKING[..], &CORE1, arguments].concat());
    String::from_utf8_lossy(&said).into_owned()
}

/// proves: TLS-3.6-4, TLS-3.6-9
#[test]
fn openssl_resumes_once_with_each_ticket_and_sees_its_lifetime() {
    for (lifetime, seconds) in [("60s", "60"), ("7d", "604800")] {
        let place = Place::with(&[("lifetime = \"1h\"", &format!("lifetime = \"{lifetime}\""))]);
        let server = place.start();
        let first = s_client(&place, &server, &["-sess_out", "one"]);
        assert!(first.contains("New, TLSv1.3"), "{first}");
        let hint = format!("TLS session ticket lifetime hint: {seconds} (seconds)");
        assert!(first.contains(&hint), "{first}");
        assert!(first.contains("Max Early Data: 0"), "{first}");
        let second = s_client(&place, &server, &["-sess_in", "one"]);
        assert!(second.contains("Reused, TLSv1.3"), "{second}");
        let again = s_client(&place, &server, &["-sess_in", "one"]);
        assert!(again.contains("New, TLSv1.3"), "once only: {again}");
    }
    let place = Place::with(&[("lifetime = \"1h\"", "lifetime = \"0s\"")]);
    let server = place.start();
    let none = s_client(&place, &server, &[]);
    assert!(!none.contains("ticket lifetime hint"), "{none}");
    let place = Place::with(&[("lifetime = \"1h\"", "lifetime = \"604801s\"")]);
    let checked = place.check();
    assert_eq!(code(&checked), 1);
    assert!(stderr(&checked).contains("604800"), "{}", stderr(&checked));
}
