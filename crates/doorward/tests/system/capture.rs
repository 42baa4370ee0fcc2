//! The whole wire, as a sniffer on the loopback interface of a network of its own sees it: server, clients, and nobody else.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::harness::{AS_CORE1, Place, all_said, doorward};

/// Serves, runs commands one after the other, and prints every packet of the loopback interface meanwhile.
///
/// Its argument is JSON: the server's command, the clients' commands with `PORT` for the port of the server with TLS, and
/// whether the network is shared with others, whose packets are left out then.
const SNIFFER: &str = r#"
import fcntl, json, select, signal, socket, struct, subprocess, sys, threading
order = json.loads(sys.argv[1])
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
if not order["shared"]:
    # lo up: SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
    request = struct.pack("16sh14x", b"lo", 0)
    flags = struct.unpack("16sh14x", fcntl.ioctl(sniffer, 0x8913, request))[1]
    fcntl.ioctl(sniffer, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))
sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
sniffer.bind(("lo", 0))
marker, frames = b"the sniffer has seen everything before this", []
def sniff():
    while True:
        frame, about = sniffer.recvfrom(1 << 17)
        if marker in frame:
            return
        if about[2] != 4:  # each packet comes as PACKET_OUTGOING and once more
            frames.append(frame)
listening = threading.Thread(target=sniff)
listening.start()
server = subprocess.Popen(order["server"], stdout=subprocess.PIPE, text=True)
ready = json.loads(server.stdout.readline().removeprefix("ready "))
port = next(one["address"] for one in ready["listeners"] if one["protocol"] == "tacacs-tls").rsplit(":", 1)[1]
codes = []
for command in order["clients"]:
    codes.append(subprocess.run([word.replace("PORT", port) for word in command], stdout=subprocess.DEVNULL).returncode)
server.send_signal(signal.SIGTERM)
server.wait()
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(marker, ("127.0.0.1", 9))
listening.join()
_, dropped = struct.unpack("II", sniffer.getsockopt(263, 6, 8))  # SOL_PACKET, PACKET_STATISTICS
packets, others = [], 0
for frame in frames:
    if frame[12:14] != b"\x08\x00" or frame[23] != 6:
        others += 1
        continue
    segment = frame[14 + 4 * (frame[14] & 15):14 + int.from_bytes(frame[16:18], "big")]
    ends = [int.from_bytes(segment[0:2], "big"), int.from_bytes(segment[2:4], "big")]
    if order["shared"] and int(port) not in ends:
        continue
    data = segment[4 * (segment[12] >> 4):]
    if data:
        packets.append(ends + [int.from_bytes(segment[4:8], "big"), data.hex()])
print(json.dumps({"port": int(port), "codes": codes, "dropped": dropped, "others": others, "packets": packets}))
"#;

/// What went over the wire: each direction of each connection with the server, by the ports of its ends.
struct Wire {
    port: u16,
    flows: BTreeMap<(u16, u16), Vec<u8>>,
}

fn sniffed(place: &Place, clients: &[Vec<String>]) -> Wire {
    let program = doorward().get_program().to_str().unwrap().to_owned();
    let config = place.config().to_str().unwrap().to_owned();
    let server = [&program, "run", "--config", &config].map(str::to_owned);
    let alone = Command::new("unshare").args(["-r", "-n", "true"]).status();
    let alone = alone.is_ok_and(|status| status.success());
    let order = serde_json::json!({ "server": server, "clients": clients, "shared": !alone });
    let words: &[&str] = if alone {
        &["unshare", "-r", "-n", "python3"]
    } else {
        &["python3"]
    };
    let output = Command::new(words[0])
        .args(&words[1..])
        .args(["-c", SNIFFER, &order.to_string()])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "no sniffer without CAP_NET_RAW: {error}: {}",
            all_said(&output)
        )
    });
    let zeros = vec![0; clients.len()];
    assert_eq!(
        told["codes"],
        serde_json::json!(zeros),
        "{}",
        all_said(&output)
    );
    assert_eq!(told["dropped"], 0, "the sniffer was too slow");
    if alone {
        assert_eq!(told["others"], 0, "nothing but TCP");
    }
    let mut segments: BTreeMap<(u16, u16), BTreeMap<u64, Vec<u8>>> = BTreeMap::new();
    for packet in told["packets"].as_array().unwrap() {
        let number = |place: usize| packet[place].as_u64().unwrap();
        let ends = [number(0), number(1)].map(|port| u16::try_from(port).unwrap());
        let digits = packet[3].as_str().unwrap().as_bytes();
        let octets = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
        let flow = segments.entry((ends[0], ends[1])).or_default();
        flow.insert(number(2), octets.collect());
    }
    let flows = segments.into_iter();
    Wire {
        port: u16::try_from(told["port"].as_u64().unwrap()).unwrap(),
        flows: flows.map(|(ends, flow)| (ends, joined(&flow))).collect(),
    }
}

/// Segments in their order. The sequence numbers of these short connections are not expected to wrap; a gap or an overlap
/// is a fault of the test.
fn joined(segments: &BTreeMap<u64, Vec<u8>>) -> Vec<u8> {
    let mut all = Vec::new();
    let first = segments.keys().next().copied().unwrap_or_default();
    for (number, octets) in segments {
        assert_eq!(usize::try_from(number - first).unwrap(), all.len());
        all.extend_from_slice(octets);
    }
    all
}

/// The content types of the records that octets consist of, with nothing between or after them.
fn records(octets: &[u8]) -> Vec<u8> {
    let (mut rest, mut kinds) = (octets, Vec::new());
    while let [kind, 3, 1 | 3, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        assert!(length <= behind.len(), "a record that is cut short");
        kinds.push(*kind);
        rest = &behind[length..];
    }
    assert!(rest.is_empty(), "octets outside TLS: {rest:?}");
    kinds
}

fn client(what: &[&str], proof: &[&str], more: &[&str]) -> Vec<String> {
    let program = doorward().get_program().to_str().unwrap().to_owned();
    let server = ["--server", "127.0.0.1:PORT", "--user", "alice"];
    let words = [&["client"][..], what, &server, proof, more].concat();
    std::iter::once(program)
        .chain(words.iter().map(|word| (*word).to_owned()))
        .collect()
}

/// proves: TLS-3.1-2
#[test]
fn a_sniffer_finds_no_octet_outside_tls() {
    let place = crate::psk::place("[\"certificate\", \"psk\"]");
    let certificate = [&AS_CORE1[..], &["--server-name", "aaa1.doorward.test"]].concat();
    let key = [
        "--psk-identity",
        "core1.example.net",
        "--psk-key",
        "file:core1.psk",
    ];
    let password = ["--password", "file:alice.password"];
    let mut clients = Vec::new();
    for proof in [&certificate[..], &key] {
        for kind in ["ascii", "pap"] {
            let more = [&password[..], &["--type", kind]].concat();
            clients.push(client(&["authenticate"], proof, &more));
        }
        clients.push(client(&["authorize"], proof, &["--", "show", "version"]));
        clients.push(client(&["account"], proof, &["--", "show", "clock"]));
    }
    let wire = sniffed(&place, &clients);
    assert_eq!(
        wire.flows.len(),
        2 * clients.len(),
        "both directions of each"
    );
    let secrets = [
        place.text("alice.password"),
        "alice".into(),
        "service=shell".into(),
        "show".into(),
        "clock".into(),
    ];
    for ((from, to), octets) in &wire.flows {
        assert!(*from == wire.port || *to == wire.port, "{from} to {to}");
        let kinds = records(octets);
        assert_eq!(kinds[0], 22, "it begins with a hello");
        assert!(kinds.contains(&23));
        // All that follows the hellos and the octet that stands for a change of ciphers is encrypted.
        let tail = kinds.iter().skip_while(|kind| matches!(kind, 20 | 22));
        assert!(
            tail.clone().all(|kind| *kind == 23),
            "{from} to {to}: {kinds:?}"
        );
        for secret in &secrets {
            let found = octets
                .windows(secret.len())
                .any(|one| one == secret.as_bytes());
            assert!(!found, "{from} to {to}: {secret}");
        }
        for kind in 1..=3 {
            for version in [0xc0, 0xc1] {
                let header = [version, kind, 1, 1, 0];
                assert!(!octets.windows(5).any(|one| one == header));
            }
        }
    }
}
