//! Secrets of a role on their way to a device: hidden in every answer anew, and shown nowhere.

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::challenge::MICROSOFT;
use doorward_radius::hidden::reveal_salted;
use doorward_radius::{Code, RawPacket, Secret};

use crate::foreign::CORE1;
use crate::harness::{AS_CORE1, Place, all_said, code, doorward};
use crate::radius::{ROLE, RadSec, pap, secret};

/// Tunnel-Password (RFC 2868 section 3.5), and MS-MPPE-Send-Key (RFC 2548 section 2.4.2).
const TUNNEL_PASSWORD: u8 = 69;
const SEND_KEY: u8 = 16;

pub(crate) const HIDDEN: &str = "radius = { \"Tunnel-Password:3\" = \"file:tunnel\", Tunnel-Password = \"file:other\", \
                      MS-MPPE-Send-Key = \"file:key\" }\n";

/// The demo whose role for alice has secrets.
fn place() -> Place {
    let place = Place::with(&[(ROLE, HIDDEN)]);
    write_secrets(&place);
    place
}

/// The files of the role's secrets.
pub(crate) fn write_secrets(place: &Place) {
    for (name, text) in [
        ("tunnel", "hunter2\n"),
        ("other", "zerberus\n"),
        ("key", "0x00ff00ff\n"),
    ] {
        std::fs::write(place.path(name), text).unwrap();
    }
}

/// What the secrets of an Access-Accept are, and the salts they were hidden with.
pub(crate) fn revealed(answer: &RawPacket, request: &[u8], secret: &Secret) -> Vec<[u8; 2]> {
    assert_eq!(answer.header().code, Code::ACCESS_ACCEPT);
    let authenticator: [u8; 16] = request[4..20].try_into().unwrap();
    let attributes = Attributes::new(answer.attributes()).unwrap();
    let reveal = |hidden: &[u8]| {
        reveal_salted(hidden, &authenticator, secret)
            .unwrap()
            .to_vec()
    };
    let passwords: Vec<&[u8]> = attributes.all(TUNNEL_PASSWORD).collect();
    let tagged: Vec<(u8, Vec<u8>)> = passwords
        .iter()
        .map(|value| (value[0], reveal(&value[1..])))
        .collect();
    assert_eq!(
        tagged,
        [(3, b"hunter2".to_vec()), (0, b"zerberus".to_vec())]
    );
    let keys: Vec<&[u8]> = attributes.of_vendor(MICROSOFT, SEND_KEY).collect();
    assert_eq!(
        keys.iter().map(|key| reveal(key)).collect::<Vec<_>>(),
        [[0, 255, 0, 255]]
    );
    for clear in [&b"hunter2"[..], b"zerberus", &[0, 255, 0, 255]] {
        let octets = answer.attributes();
        assert!(!octets.windows(clear.len()).any(|window| window == clear));
    }
    let passwords = passwords.iter().map(|value| [value[1], value[2]]);
    passwords
        .chain(keys.iter().map(|key| [key[0], key[1]]))
        .collect()
}

#[test]
fn secrets_are_hidden_anew_in_each_answer_and_shown_nowhere() {
    let place = place();
    let server = place.start();
    let password = place.text("alice.password");
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let mut salts = Vec::new();
    for id in [1, 2] {
        let request = pap(id, "alice", &password);
        let answer = device.ask(&request);
        salts.extend(revealed(&answer, &request, &secret()));
    }
    assert!(salts.iter().all(|salt| salt[0] & 0x80 != 0), "{salts:?}");
    let [first, second] = [&salts[..3], &salts[3..]];
    assert_ne!(first, second);
    for answer in [first, second] {
        let mut one = answer.to_vec();
        one.sort_unstable();
        one.dedup();
        assert_eq!(one.len(), 3, "{salts:?}");
    }

    // Our own client knows the secret, and does not tell.
    let said = doorward()
        .args(["radius", "access", "--json", "--server"])
        .arg(server.address("radius-tls").to_string())
        .args(AS_CORE1)
        .args(["--server-name", "aaa1.doorward.test"])
        .args(["--user", "alice", "--password", "file:alice.password"])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let said = all_said(&said);
    assert!(said.contains(r#"["Tunnel-Password","(hidden)"]"#), "{said}");
    let explained = place.ask(&["explain", "--protocol", "radius", "alice", "core1"]);
    assert_eq!(code(&explained), 0);
    let explained = all_said(&explained);
    assert!(
        explained.contains("Tunnel-Password:3 = (hidden)"),
        "{explained}"
    );
    let checked = all_said(&place.check());
    let (_, log) = server.stop();
    assert!(log.contains("\"outcome\":\"pass\""), "{log}");
    for text in [said, explained, checked, log] {
        for clear in ["hunter2", "zerberus", "00ff00ff"] {
            assert!(!text.contains(clear), "{text}");
        }
    }
}

/// The next answer has the secret that the file has after a reload.
#[test]
fn a_reload_reads_secrets_again() {
    let place = place();
    let mut server = place.start();
    let password = place.text("alice.password");
    let mut device = RadSec::connect(&place, &server, &CORE1);
    std::fs::write(place.path("tunnel"), "swordfish\n").unwrap();
    let request = pap(1, "alice", &password);
    revealed(&device.ask(&request), &request, &secret());
    let reloaded = place.ask(&["reload"]);
    assert_eq!(code(&reloaded), 0, "{}", all_said(&reloaded));
    server.wait_for_log(&["configuration reloaded"]);
    let request = pap(2, "alice", &password);
    let answer = device.ask(&request);
    let attributes = Attributes::new(answer.attributes()).unwrap();
    let value = attributes.first(TUNNEL_PASSWORD).unwrap();
    let authenticator: [u8; 16] = request[4..20].try_into().unwrap();
    let shown = reveal_salted(&value[1..], &authenticator, &secret()).unwrap();
    assert_eq!(&**shown, b"swordfish");
    assert!(attributes.first(kind::REPLY_MESSAGE).is_none());
}
