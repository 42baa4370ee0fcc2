//! The resolver against name servers with signed, unsigned and damaged zones, on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod liar;
mod zones;

use std::net::SocketAddr;
use std::time::Duration;

use doorward_client::dns::{
    Anchors, BogusReason, Data, Kind, Lookup, Name, Naptr, Resolver, Security, Settings, Srv,
    Unreachable,
};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use liar::Part;
use zones::Zones;

const HASTLS: Kind = Kind(65400);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn resolver(server: SocketAddr, anchor: &std::path::Path) -> Resolver {
    let anchors = Anchors::parse(&std::fs::read_to_string(anchor).unwrap()).unwrap();
    Resolver::new(Settings {
        servers: vec![server],
        anchors,
        deadline: Duration::from_secs(20),
    })
}

/// What a look-up says, in one line.
async fn said(resolver: &Resolver, host: &str, kind: Kind) -> String {
    match resolver.lookup(&name(host), kind).await {
        Lookup::Found(found) => {
            let rdata = |data: &Data| {
                if let Data::Other(octets) = data {
                    octets.iter().map(|octet| format!("{octet:02x}")).collect()
                } else {
                    format!("{data:?}")
                }
            };
            let mut records: Vec<String> = found.records.iter().map(rdata).collect();
            records.sort();
            format!("{} {} [{}]", found.security, found.owner, records.join(","))
        }
        Lookup::Absent(absent) => format!("{} {} absent", absent.security, absent.owner),
        Lookup::Bogus(bogus) => format!("bogus {} {:?}", bogus.at, bogus.reason),
        Lookup::Unreachable(why) => format!("{why:?}"),
    }
}

/// Names, and what is said about their HASTLS records.
const EXPECTED: &[(&str, &str)] = &[
    ("host.example", "secure host.example [0031012c]"),
    ("HOST.Example.", "secure host.example [0031012c]"),
    ("two.example", "secure two.example [0000012c,07140823]"),
    // hickory-proto reads no message with an empty record in it.
    ("empty.example", "Garbage"),
    ("odd.example", "secure odd.example [003101]"),
    // Aliases, also in other case.
    ("alias.example", "secure host.example [0031012c]"),
    ("alias2.example", "secure host.example [0031012c]"),
    ("out.example", "insecure host.plain.example [0031012c]"),
    ("host.tree.example", "secure host.secure.example [0031012c]"),
    ("none.tree.example", "secure none.secure.example absent"),
    // Wildcards.
    ("x.wild.example", "secure x.wild.example [0000012c]"),
    ("y.x.wild.example", "secure y.x.wild.example [0000012c]"),
    (
        "x.wild.secure.example",
        "secure x.wild.secure.example [0000012c]",
    ),
    (
        "y.x.wild.secure.example",
        "secure y.x.wild.secure.example [0000012c]",
    ),
    // Nothing there: no such name, no such type, a name that only has others beneath it, a wildcard without the type.
    ("none.example", "secure none.example absent"),
    ("a.none.example", "secure a.none.example absent"),
    ("ns.example", "secure ns.example absent"),
    ("example", "secure example absent"),
    ("ent.example", "secure ent.example absent"),
    ("b.ent.example", "secure b.ent.example absent"),
    ("none.secure.example", "secure none.secure.example absent"),
    ("b.secure.example", "secure b.secure.example absent"),
    ("secure.example", "secure secure.example absent"),
    // Other ways to sign.
    (
        "host.secure.example",
        "secure host.secure.example [0031012c]",
    ),
    (
        "host.optout.example",
        "secure host.optout.example [0031012c]",
    ),
    ("optout.example", "secure optout.example absent"),
    ("none.optout.example", "insecure none.optout.example absent"),
    // Not signed.
    (
        "host.plain.example",
        "insecure host.plain.example [0031012c]",
    ),
    ("none.plain.example", "insecure none.plain.example absent"),
    ("alias.plain.example", "insecure host.example [0031012c]"),
    (
        "host.plain.optout.example",
        "insecure host.plain.optout.example [0031012c]",
    ),
    // Wrong.
    ("host.late.example", "bogus late.example Expired"),
    ("none.late.example", "bogus late.example Expired"),
    ("host.early.example", "bogus early.example Expired"),
    ("host.lie.example", "bogus host.lie.example Signature"),
    ("x.wild.lie.example", "secure x.wild.lie.example [0000012c]"),
    ("host.bare.example", "bogus host.bare.example Unsigned"),
    ("none.bare.example", "bogus none.bare.example Denial"),
    ("host.stranger.example", "bogus stranger.example Keys"),
    ("none.stranger.example", "bogus stranger.example Keys"),
    // Not ours.
    ("host.invalid", "Answered(5)"),
];

async fn all_are_as_expected(server: SocketAddr, zones: &Zones, looping: &str) {
    let resolver = resolver(server, &zones.anchor("example"));
    let mut faults = Vec::new();
    for (host, expected) in EXPECTED.iter().chain(&[("loop.example", looping)]) {
        let said = said(&resolver, host, HASTLS).await;
        if said != *expected {
            faults.push(format!("{host}: {said}, and not {expected}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn what_knot_says_is_judged() {
    let zones = Zones::new();
    let server = zones.knot();
    all_are_as_expected(server.address, &zones, "Aliases").await;
}

#[tokio::test]
async fn what_bind_says_is_judged() {
    let zones = Zones::new();
    let server = zones.bind();
    // BIND follows the loop itself, and gives up.
    all_are_as_expected(server.address, &zones, "Answered(2)").await;
}

#[tokio::test]
async fn records_that_lead_on_are_read() {
    let zones = Zones::new();
    let server = zones.knot();
    let resolver = resolver(server.address, &zones.anchor("example"));
    let records = async |host: &str, kind| {
        let Lookup::Found(found) = resolver.lookup(&name(host), kind).await else {
            panic!("{host} is there");
        };
        assert_eq!(found.security, Security::Secure);
        assert!(found.ttl > Duration::from_secs(200) && found.ttl <= Duration::from_secs(300));
        found.records
    };
    let srv = Srv {
        priority: 1,
        weight: 2,
        port: 2083,
        target: name("host.example"),
    };
    assert_eq!(records("srv.example", Kind::SRV).await, [Data::Srv(srv)]);
    let naptr = Naptr {
        order: 1,
        preference: 2,
        flags: b"s".to_vec(),
        services: b"aaa+auth:radius.tls.tcp".to_vec(),
        regexp: b"".to_vec(),
        replacement: name("_radsec._tcp.example"),
    };
    assert_eq!(
        records("naptr.example", Kind::NAPTR).await,
        [Data::Naptr(naptr)]
    );
    let address = Data::A([127, 0, 0, 1].into());
    assert_eq!(records("ns.example", Kind::A).await, [address]);
    // More than a datagram holds.
    assert_eq!(records("crowd.example", Kind::A).await.len(), 90);
}

/// The trust anchor is all that is believed: another key, no key of a zone above, or a key of a zone beneath.
#[tokio::test]
async fn all_depends_on_the_anchor() {
    let zones = Zones::new();
    let server = zones.knot();
    let by = |anchor: &str| resolver(server.address, &zones.anchor(anchor));
    let host = "host.secure.example";
    let secure = "secure host.secure.example [0031012c]";
    assert_eq!(said(&by("secure.example"), host, HASTLS).await, secure);
    let unknown = "indeterminate host.example [0031012c]";
    assert_eq!(
        said(&by("secure.example"), "host.example", HASTLS).await,
        unknown
    );
    // The same from a server that has nothing else, and from DS records.
    let island = zones.knot_with(&["secure.example"]);
    let digests = zones.path("dsset-secure.example.");
    for anchor in [zones.anchor("secure.example"), digests] {
        let alone = resolver(island.address, &anchor);
        assert_eq!(said(&alone, host, HASTLS).await, secure);
        assert_eq!(
            said(&alone, "none.secure.example", HASTLS).await,
            "secure none.secure.example absent"
        );
    }
    drop(island);
    // The key of another zone, as if it were this one's.
    let file = zones.path("wrong.anchor");
    let other = std::fs::read_to_string(zones.anchor("lie.example")).unwrap();
    std::fs::write(&file, other.replace("lie.example.", "example.")).unwrap();
    let wrong = resolver(server.address, &file);
    assert_eq!(
        said(&wrong, "host.example", HASTLS).await,
        "bogus example Keys"
    );
    assert_eq!(
        said(&wrong, "host.plain.example", HASTLS).await,
        "bogus example Keys"
    );
    // The built-in keys of the root: this server does not have the root.
    let root = Resolver::new(Settings {
        servers: vec![server.address],
        ..Settings::default()
    });
    assert_eq!(said(&root, "host.example", HASTLS).await, "Answered(5)");
}

/// What was found is remembered for its time to live, even if the server is gone; and a look-up that finds nobody ends.
#[tokio::test]
async fn answers_are_remembered_and_silence_ends() {
    let zones = Zones::new();
    let server = zones.knot();
    let anchors =
        Anchors::parse(&std::fs::read_to_string(zones.anchor("example")).unwrap()).unwrap();
    let resolver = Resolver::new(Settings {
        servers: vec![server.address],
        anchors,
        deadline: Duration::from_millis(1500),
    });
    let before = said(&resolver, "host.example", HASTLS).await;
    drop(server);
    assert_eq!(said(&resolver, "host.example", HASTLS).await, before);
    let Lookup::Found(found) = resolver.lookup(&name("host.example"), HASTLS).await else {
        panic!("it is remembered");
    };
    assert!(found.ttl <= Duration::from_secs(60));
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let Lookup::Unreachable(why) = resolver.lookup(&name("only.example"), HASTLS).await else {
        panic!("nobody is there");
    };
    assert!(
        matches!(why, Unreachable::Network(_) | Unreachable::Timeout),
        "{why:?}"
    );
    let nobody = Resolver::new(Settings {
        servers: vec![silent.local_addr().unwrap()],
        deadline: Duration::from_millis(300),
        ..Settings::default()
    });
    let lookup = nobody.lookup(&name("host.example"), HASTLS).await;
    assert_eq!(lookup, Lookup::Unreachable(Unreachable::Timeout));
}

/// Bogus answers have a reason that can be told apart by programs.
#[tokio::test]
async fn a_reason_is_a_value() {
    let zones = Zones::new();
    let server = zones.knot();
    let resolver = resolver(server.address, &zones.anchor("example"));
    let Lookup::Bogus(bogus) = resolver.lookup(&name("host.late.example"), HASTLS).await else {
        panic!("it is too late");
    };
    assert_eq!(bogus.reason, BogusReason::Expired);
}

/// True pieces in a false place: nothing of it is believed.
#[tokio::test]
async fn a_lie_made_of_truths_is_bogus() {
    let zones = Zones::new();
    let server = zones.knot();
    let hastls = RecordType::from(HASTLS.0);
    let lies: [(&str, liar::Lie); 6] = [
        // A name that has a record gets that of the wildcard; the proof that it may is replaced by something unsigned.
        ("own.wild.example", |query| {
            let hastls = RecordType::from(HASTLS.0);
            is(query, "own.wild.example.").then(|| {
                vec![
                    Part::Answer("x.wild.example.", hastls),
                    Part::Authority("none.plain.example.", hastls),
                ]
            })
        }),
        ("own.wild.example", |query| {
            let hastls = RecordType::from(HASTLS.0);
            is(query, "own.wild.example.").then(|| vec![Part::Answer("x.wild.example.", hastls)])
        }),
        ("own.wild.example", |query| {
            let hastls = RecordType::from(HASTLS.0);
            is(query, "own.wild.example.").then(|| {
                vec![
                    Part::Answer("x.wild.example.", hastls),
                    Part::Authority("none.example.", hastls),
                ]
            })
        }),
        // The owner of a DNAME says nothing about names beneath it (RFC 6840 section 4.1).
        ("host.tree.example", |query| {
            let hastls = RecordType::from(HASTLS.0);
            is(query, "host.tree.example.").then(|| {
                vec![
                    Part::Authority("tree.example.", hastls),
                    Part::Code(ResponseCode::NXDomain),
                ]
            })
        }),
        // A zone that is not signed cannot deny what is in another.
        ("host.example", |query| {
            let hastls = RecordType::from(HASTLS.0);
            is(query, "host.example.").then(|| vec![Part::Authority("none.plain.example.", hastls)])
        }),
        // A signature less.
        ("host.example", |query| {
            is(query, "host.example.").then(|| {
                vec![Part::Answer(
                    "host.plain.example.",
                    RecordType::from(HASTLS.0),
                )]
            })
        }),
    ];
    let mut faults = Vec::new();
    for (number, (host, lie)) in lies.into_iter().enumerate() {
        let liar = liar::start(server.address, lie).await;
        let resolver = resolver(liar, &zones.anchor("example"));
        let said = said(&resolver, host, Kind(hastls.into())).await;
        if !said.starts_with("bogus") {
            faults.push(format!("{number}: {said}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn is(query: &hickory_proto::op::Query, name: &str) -> bool {
    query.name().to_ascii().eq_ignore_ascii_case(name) && u16::from(query.query_type()) == HASTLS.0
}
