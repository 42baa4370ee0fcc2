//! A pool whose servers are found in the DNS (RFC 7585), with a name server that has a signed zone and one that is not.

use std::net::SocketAddr;

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::build::{PacketBuilder, error_cause};
use doorward_radius::{Code, RawPacket, Secret};
use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, OtherNameValue, SanType,
};

use crate::harness::{Place, Server, stdout};
use crate::radius_wire::Device;
use crate::zones::{NameServer, Zones};

/// id-on-naiRealm (RFC 7585 section 2.2).
const NAI_REALM: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 8];

/// The home server of both realms: a certificate of the demo's CA with these names.
fn home(names: Vec<SanType>) -> (Place, Server) {
    let place = Place::demo();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let certificate = params.signed_by(&key, &place.ca()).unwrap();
    std::fs::write(place.path("home.pem"), certificate.pem()).unwrap();
    std::fs::write(place.path("home.key"), key.serialize_pem()).unwrap();
    place.edit(&[
        ("certificate = \"server.pem\"", "certificate = \"home.pem\""),
        ("\"file:server.key\"", "\"file:home.key\""),
    ]);
    let server = place.start();
    (place, server)
}

fn host(name: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(name).unwrap())
}

fn realm(name: &str) -> SanType {
    let name = OtherNameValue::Utf8String(name.to_owned());
    SanType::OtherName((NAI_REALM.to_vec(), name))
}

/// The realms `org.example` and `srv.example`, proved, and `plain.example`, not proved. All of them are at home at `home`.
fn zones(home: SocketAddr) -> Zones {
    let port = home.port();
    let example = format!(
        "org NAPTR 10 10 s aaa+auth:radius.tls.tcp \"\" _radsec._tcp.org.example.\n\
         org NAPTR 10 10 s aaa+acct:radius.tls.tcp \"\" _radsec._tcp.org.example.\n\
         _radsec._tcp.org SRV 0 0 {port} aaa1.doorward.test.\n\
         _radiustls._tcp.srv SRV 0 0 {port} aaa1.doorward.test.\n\
         gone NAPTR 10 10 s aaa+auth:radius.tls.tcp \"\" _radsec._tcp.gone.example.\n\
         _radsec._tcp.gone SRV 0 0 0 .\n"
    );
    let plain = format!(
        "@ NAPTR 10 10 s aaa+auth:radius.tls.tcp \"\" _radsec._tcp\n\
         _radsec._tcp SRV 0 0 {port} aaa1.doorward.test.\n"
    );
    // Nothing has to prove an address.
    Zones::with(&example, &plain, &[("doorward.test", "aaa1 A 127.0.0.1\n")])
}

/// A proxy of which all realms below `example` are found so.
fn proxy(home: &Place, zones: &Zones, names: &NameServer, dnssec: &str) -> (Place, Server) {
    let place = Place::demo();
    let path = |name: &str| home.path(name).display().to_string();
    let text = format!(
        "\n[dns]\nservers = [\"{}\"]\ntrust_anchor = \"{}\"\n\
         [tls.upstream]\ncertificate = \"{}\"\nkey = \"file:{}\"\nclient_ca = [\"{}\"]\ncrl = [\"{}\"]\n\
         [[pool]]\nname = \"federation\"\ndiscover = {{ dnssec = \"{dnssec}\" }}\ntls = \"upstream\"\n\
         [[route]]\nrealm = \"*.example\"\npool = \"federation\"\nstrip_realm = true\n",
        names.address,
        zones.anchor("example").display(),
        path("core1.pem"),
        path("core1.key"),
        path("ca.pem"),
        path("ca.crl"),
    );
    let before = std::fs::read_to_string(place.config()).unwrap();
    std::fs::write(place.config(), before + &text).unwrap();
    let server = place.start();
    (place, server)
}

fn packet(code: Code, id: u8, user: &str, password: &str) -> Vec<u8> {
    let secret = Secret::RADSEC;
    let authenticator = match code {
        Code::ACCESS_REQUEST => [id; 16],
        _ => [0; 16],
    };
    let mut packet = PacketBuilder::request(code, id, authenticator);
    if code == Code::ACCESS_REQUEST {
        packet.message_authenticator().unwrap();
    }
    packet.push(kind::USER_NAME, user.as_bytes()).unwrap();
    if code == Code::ACCESS_REQUEST {
        packet.push_password(password.as_bytes(), &secret).unwrap();
    } else {
        packet.push_integer(kind::ACCT_STATUS_TYPE, 1).unwrap();
        packet.push(kind::ACCT_SESSION_ID, b"one").unwrap();
    }
    packet.finish(&secret)
}

fn not_routable(answer: &RawPacket) -> bool {
    let attributes = Attributes::new(answer.attributes()).unwrap();
    answer.header().code == Code::PROTOCOL_ERROR
        && attributes.integer(kind::ERROR_CAUSE) == Some(error_cause::REQUEST_NOT_ROUTABLE)
}

/// Asked once, the realm's servers are known: what DNSSEC has proved of them makes the host's name good enough. A realm that is proved to have
/// none rejects its users; one of which nothing is proved is a fault, and a record finds no home either way.
///
/// proves: RAD-3.3.1-20, RAD-3.3.1-21
#[test]
fn users_log_in_at_the_servers_of_their_realm() {
    let (home, at_home) = home(vec![host("aaa1.doorward.test")]);
    let zones = zones(at_home.address("radius-tls"));
    let names = zones.knot();
    let (place, mut server) = proxy(&home, &zones, &names, "require");
    let mut device = Device::core1(&place, &server);
    let password = home.text("alice.password");
    let mut id = 0;
    let mut login = |device: &mut Device, user: &str, password: &str| {
        id += 1;
        device.ask(&packet(Code::ACCESS_REQUEST, id, user, password))
    };
    for user in [
        "alice@org.example",
        "alice@ORG.Example",
        "alice@srv.example",
    ] {
        let right = login(&mut device, user, &password);
        assert_eq!(right.header().code, Code::ACCESS_ACCEPT, "{user}");
        let wrong = login(&mut device, user, "wrong");
        assert_eq!(wrong.header().code, Code::ACCESS_REJECT, "{user}");
    }
    let kept = device.ask(&packet(
        Code::ACCOUNTING_REQUEST,
        100,
        "alice@org.example",
        "",
    ));
    assert_eq!(kept.header().code, Code::ACCOUNTING_RESPONSE);
    let found = stdout(&place.ask(&["acct", "search", "--json"]));
    let upstream = format!(
        "\"upstream\":\"radius-tls://aaa1.doorward.test:{}\"",
        at_home.address("radius-tls").port()
    );
    assert!(found.contains(&upstream), "{found}");

    for user in ["alice@none.example", "alice@gone.example"] {
        let none = login(&mut device, user, &password);
        assert_eq!(none.header().code, Code::ACCESS_REJECT, "{user}");
        server.wait_for_log(&["\"reason\":\"realm-unknown\"", user]);
    }
    let nowhere = device.ask(&packet(
        Code::ACCOUNTING_REQUEST,
        101,
        "alice@none.example",
        "",
    ));
    assert!(not_routable(&nowhere), "{nowhere:?}");
    let unproved = login(&mut device, "alice@plain.example", &password);
    assert!(not_routable(&unproved), "{unproved:?}");
    server.wait_for_log(&["plain.example is not signed", "dnssec"]);

    let status = stdout(&place.ask(&["status", "--json"]));
    for realm in ["org.example", "srv.example"] {
        assert!(
            status.contains(&format!("\"realm\":\"{realm}\"")),
            "{status}"
        );
    }
    let page = server.page();
    let realms = page.series("doorward_pool_realms").map(|(_, value)| value);
    // Accounting of one of them was looked up as well.
    assert_eq!(realms.sum::<f64>(), 3.0);

    // What is known stays in use without a name server; of another realm nothing can be known.
    drop(names);
    let right = login(&mut device, "alice@org.example", &password);
    assert_eq!(right.header().code, Code::ACCESS_ACCEPT);
    let fault = login(&mut device, "alice@other.example", &password);
    assert!(not_routable(&fault), "{fault:?}");
}

/// Found without proof, a server has to show the realm: a name in the DNS that anybody could have written proves nothing.
///
/// proves: RAD-3.3.1-19
#[test]
fn a_server_that_was_found_without_proof_has_to_show_the_realm() {
    for (shown, wanted) in [
        (vec![host("aaa1.doorward.test")], None),
        (
            vec![host("aaa1.doorward.test"), realm("plain.example")],
            Some(Code::ACCESS_ACCEPT),
        ),
        (vec![realm("other.example")], None),
    ] {
        let (home, at_home) = home(shown);
        let zones = zones(at_home.address("radius-tls"));
        let names = zones.knot();
        let (place, server) = proxy(&home, &zones, &names, "if-signed");
        let mut device = Device::core1(&place, &server);
        let password = home.text("alice.password");
        let user = "alice@plain.example";
        let answer = device.ask(&packet(Code::ACCESS_REQUEST, 1, user, &password));
        match wanted {
            Some(code) => assert_eq!(answer.header().code, code),
            None => assert!(not_routable(&answer), "{answer:?}"),
        }
    }
}
