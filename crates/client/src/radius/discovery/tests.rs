//! Discovery against a zone of the test.

use std::collections::HashMap;
use std::sync::Mutex;

use super::*;
use crate::dns::Absent;

/// What the DNS has; everything else is proved not to be there.
#[derive(Default)]
struct Zone {
    answers: HashMap<(String, u16), Lookup>,
    asked: Mutex<Vec<String>>,
}

impl Lookups for Zone {
    async fn lookup(&self, name: &Name, kind: Kind) -> Lookup {
        let key = (text(name), kind.0);
        self.asked.lock().unwrap().push(key.0.clone());
        self.answers
            .get(&key)
            .cloned()
            .unwrap_or_else(|| absent(Security::Secure))
    }
}

fn text(name: &Name) -> String {
    name.to_string().trim_end_matches('.').to_ascii_lowercase()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

const HOUR: Duration = Duration::from_secs(3600);

fn absent(security: Security) -> Lookup {
    Lookup::Absent(Absent {
        owner: name("x.example"),
        security,
        ttl: HOUR,
    })
}

fn found(records: Vec<Data>, security: Security, ttl: u64) -> Lookup {
    Lookup::Found(Found {
        records,
        owner: name("x.example"),
        security,
        ttl: Duration::from_secs(ttl),
    })
}

fn naptr(order: u16, preference: u16, flags: &str, services: &str, replacement: &str) -> Data {
    Data::Naptr(Naptr {
        order,
        preference,
        flags: flags.into(),
        services: services.into(),
        regexp: Vec::new(),
        replacement: name(replacement),
    })
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Data {
    Data::Srv(Srv {
        priority,
        weight,
        port,
        target: name(target),
    })
}

impl Zone {
    fn with(mut self, owner: &str, kind: Kind, records: Vec<Data>) -> Self {
        self.put(owner, kind, found(records, Security::Secure, 3600));
        self
    }

    fn put(&mut self, owner: &str, kind: Kind, lookup: Lookup) {
        self.answers.insert((owner.into(), kind.0), lookup);
    }

    fn host(self, owner: &str, last: u8) -> Self {
        self.with(owner, Kind::A, vec![Data::A([192, 0, 2, last].into())])
    }

    async fn discover(&self, realm: &str, tag: &str, proof: Proof) -> Discovery {
        discover(self, realm, &Tag::parse(tag).unwrap(), proof).await
    }
}

const TAG: &str = "aaa+auth:radius.tls.tcp";

/// A realm with two ways, the better of which has three servers, one of them without an address.
fn example() -> Zone {
    Zone::default()
        .with(
            "example.org",
            Kind::NAPTR,
            vec![
                naptr(20, 0, "a", TAG, "last.example.org"),
                naptr(
                    10,
                    50,
                    "S",
                    "AAA+auth:radius.tls.TCP",
                    "_radiustls._tcp.example.net",
                ),
                naptr(
                    1,
                    0,
                    "s",
                    "aaa+acct:radius.tls.tcp",
                    "_acct._tcp.example.net",
                ),
                naptr(1, 0, "s", "x-eduroam:radius.tls", "_edu._tcp.example.net"),
                naptr(1, 0, "u", TAG, "other.example.net"),
            ],
        )
        .with(
            "_radiustls._tcp.example.net",
            Kind::SRV,
            vec![
                srv(20, 0, 2084, "b.example.net"),
                srv(10, 0, 2083, "a.example.net"),
                srv(15, 0, 2083, "gone.example.net"),
            ],
        )
        .host("a.example.net", 1)
        .with(
            "a.example.net",
            Kind::AAAA,
            vec![Data::Aaaa("2001:db8::1".parse().unwrap())],
        )
        .host("b.example.net", 2)
        .host("last.example.org", 3)
}

fn places(discovery: &Discovery) -> Vec<String> {
    let Discovery::Found(servers) = discovery else {
        panic!("{discovery:?}");
    };
    let places = servers.places.iter();
    let shown = |place: &Place| format!("{}:{} {:?}", place.host, place.port, place.addresses);
    places.map(shown).collect()
}

#[tokio::test]
async fn servers_are_found_in_the_order_of_the_records() {
    let found = example()
        .discover("example.org", TAG, Proof::Required)
        .await;
    assert_eq!(
        places(&found),
        [
            "a.example.net:2083 [2001:db8::1, 192.0.2.1]",
            "b.example.net:2084 [192.0.2.2]",
            "last.example.org:2083 [192.0.2.3]",
        ]
    );
    let Discovery::Found(servers) = found else {
        unreachable!()
    };
    assert!(servers.secure);
    // Another service of the same realm is another way.
    let edu = example()
        .discover("example.org", "x-eduroam:radius.tls", Proof::Required)
        .await;
    let Discovery::None(none) = edu else {
        panic!("{edu:?}")
    };
    assert_eq!(none.why, WhyNone::NoHost);
}

/// RFC 7585 section 3.4.3: without a NAPTR of our service the label of SRV is looked up, and only for the tags of that document.
#[tokio::test]
async fn a_realm_without_naptr_may_have_the_label() {
    let zone = Zone::default()
        .with(
            "_radiustls._tcp.example.org",
            Kind::SRV,
            vec![srv(0, 0, 2083, "a.example.net")],
        )
        .host("a.example.net", 1);
    let found = zone.discover("example.org", TAG, Proof::Required).await;
    assert_eq!(places(&found), ["a.example.net:2083 [192.0.2.1]"]);
    for tag in ["x-eduroam:radius.tls", "aaa+auth:radius.dtls.udp"] {
        let none = zone.discover("example.org", tag, Proof::Required).await;
        let Discovery::None(none) = none else {
            panic!("{none:?}")
        };
        assert_eq!((none.why, none.ttl), (WhyNone::NoService, HOUR));
    }
    // A record of ours that leads nowhere is no absent record.
    let zone = zone
        .with(
            "example.org",
            Kind::NAPTR,
            vec![naptr(1, 1, "s", TAG, "_x._tcp.example.org")],
        )
        .with("_x._tcp.example.org", Kind::SRV, vec![srv(0, 0, 2083, ".")]);
    let none = zone.discover("example.org", TAG, Proof::Required).await;
    let Discovery::None(none) = none else {
        panic!("{none:?}")
    };
    assert_eq!(none.why, WhyNone::NoHost);
}

/// What is not proved counts as nothing where proof is required, also that there is nothing; and makes the host's name no identity
/// where it is not.
///
/// proves: RAD-3.3.1-21
#[tokio::test]
async fn an_answer_without_proof_is_no_answer_where_proof_is_required() {
    let unsigned = [
        ("example.org", Kind::NAPTR),
        ("_radiustls._tcp.example.net", Kind::SRV),
    ];
    for (owner, kind) in unsigned {
        for security in [Security::Insecure, Security::Indeterminate] {
            let mut zone = example();
            let Some(Lookup::Found(mut records)) = zone.answers.remove(&(owner.into(), kind.0))
            else {
                panic!("{owner}");
            };
            records.security = security;
            zone.put(owner, kind, Lookup::Found(records));
            let refused = zone.discover("example.org", TAG, Proof::Required).await;
            assert_eq!(refused, Discovery::Failed(Failure::Unproved(name(owner))));
            let found = zone.discover("example.org", TAG, Proof::IfSigned).await;
            assert_eq!(places(&found).len(), 3);
            let Discovery::Found(servers) = found else {
                unreachable!()
            };
            assert!(!servers.secure);
        }
    }
    let mut zone = Zone::default();
    zone.put("example.org", Kind::NAPTR, absent(Security::Insecure));
    let refused = zone.discover("example.org", TAG, Proof::Required).await;
    assert_eq!(
        refused,
        Discovery::Failed(Failure::Unproved(name("example.org")))
    );
    let none = zone.discover("example.org", TAG, Proof::IfSigned).await;
    assert!(matches!(none, Discovery::None(_)), "{none:?}");
}

/// The shortest time to live on the way bounds what is found.
#[tokio::test]
async fn what_is_found_holds_no_longer_than_its_shortest_part() {
    for (owner, kind) in [
        ("example.org", Kind::NAPTR),
        ("_radiustls._tcp.example.net", Kind::SRV),
        ("b.example.net", Kind::A),
    ] {
        let mut zone = example();
        let Some(Lookup::Found(mut records)) = zone.answers.remove(&(owner.into(), kind.0)) else {
            panic!("{owner}");
        };
        records.ttl = Duration::from_secs(90);
        zone.put(owner, kind, Lookup::Found(records));
        let found = zone.discover("example.org", TAG, Proof::Required).await;
        let Discovery::Found(servers) = found else {
            panic!("{found:?}")
        };
        assert_eq!(servers.ttl, Duration::from_secs(90), "{owner}");
    }
}

/// A host that cannot be looked up leaves the others; where it was the only one nothing is known.
#[tokio::test]
async fn a_fault_is_no_absence() {
    let lost = || Lookup::Unreachable(Unreachable::Timeout);
    let mut zone = example();
    zone.put("a.example.net", Kind::AAAA, lost());
    zone.put("a.example.net", Kind::A, lost());
    let found = zone.discover("example.org", TAG, Proof::Required).await;
    assert_eq!(places(&found)[0], "b.example.net:2084 [192.0.2.2]");
    for owner in ["b.example.net", "last.example.org"] {
        zone.put(owner, Kind::A, lost());
    }
    let failed = zone.discover("example.org", TAG, Proof::Required).await;
    assert_eq!(
        failed,
        Discovery::Failed(Failure::Unreachable(Unreachable::Timeout))
    );
    zone.put("example.org", Kind::NAPTR, lost());
    let failed = zone.discover("example.org", TAG, Proof::Required).await;
    assert_eq!(
        failed,
        Discovery::Failed(Failure::Unreachable(Unreachable::Timeout))
    );
}

/// A user chooses the realm, and with it the zone: what that can make us ask is bounded.
#[tokio::test]
async fn a_realm_with_very_many_records_costs_few_questions() {
    let many = (0..200).map(|at| naptr(at, 0, "s", TAG, &format!("_{at}._tcp.example.org")));
    let mut zone = Zone::default().with("example.org", Kind::NAPTR, many.collect());
    for at in 0..200 {
        let hosts = (0..200).map(|host| srv(0, host, 2083, &format!("h{at}-{host}.example.org")));
        zone = zone.with(
            &format!("_{at}._tcp.example.org"),
            Kind::SRV,
            hosts.collect(),
        );
    }
    let none = zone.discover("example.org", TAG, Proof::Required).await;
    assert!(matches!(none, Discovery::None(_)), "{none:?}");
    let asked = zone.asked.lock().unwrap().len();
    assert!(asked <= 1 + MOST + 2 * MOST * MOST, "{asked}");

    let zone = Zone::default();
    for realm in ["", "a..b", "b\u{fc}cher.example"] {
        let none = zone.discover(realm, TAG, Proof::Required).await;
        let Discovery::None(none) = none else {
            panic!("{none:?}")
        };
        assert_eq!(none.why, WhyNone::NoName, "{realm}");
    }
    assert!(zone.asked.lock().unwrap().is_empty());
}

/// RFC 2782: by priority, and by chance where that is the same; a weight is a share.
#[test]
fn services_are_ordered_by_priority_and_weight() {
    let one = |priority, weight, port| Srv {
        priority,
        weight,
        port,
        target: name("a.example"),
    };
    let mut first = HashMap::new();
    for _ in 0..1000 {
        let ordered = order(vec![
            one(2, 9, 4),
            one(1, 0, 1),
            one(1, 10, 2),
            one(1, 90, 3),
        ]);
        assert_eq!(ordered.len(), 4);
        assert_eq!(ordered[3].port, 4);
        *first.entry(ordered[0].port).or_insert(0) += 1;
    }
    let share = |port| first.get(&port).copied().unwrap_or(0);
    assert!(
        share(3) > 800 && share(2) > 40 && share(1) < 50,
        "{first:?}"
    );
}

#[test]
fn tags_say_what_carries_the_packets() {
    for (text, carrier, accounting) in [
        (
            "aaa+auth:radius.tls.tcp",
            Carrier::Tls,
            "aaa+acct:radius.tls.tcp",
        ),
        (
            "AAA+Auth:radius.dtls.udp",
            Carrier::Dtls,
            "aaa+acct:radius.dtls.udp",
        ),
        ("x-eduroam:radius.tls", Carrier::Tls, "x-eduroam:radius.tls"),
    ] {
        let tag = Tag::parse(text).unwrap();
        assert_eq!(tag.carrier(), carrier, "{text}");
        assert_eq!(tag.for_accounting().text(), accounting);
    }
    for (text, error) in [
        ("", TagError::Form),
        ("radius.tls", TagError::Form),
        (":radius.tls", TagError::Form),
        ("x eduroam:radius.tls", TagError::Form),
        ("x-eduroam:", TagError::Form),
        ("aaa+auth:diameter.tls.tcp", TagError::Protocol),
    ] {
        assert_eq!(Tag::parse(text), Err(error), "{text}");
    }
}
