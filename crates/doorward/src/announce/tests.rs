use super::*;

const TODAY: Date = jiff::civil::date(2027, 6, 30);

fn listening(protocol: ListenerProtocol, address: &str) -> Listening {
    Listening {
        protocol,
        address: address.parse().unwrap(),
        until: None,
    }
}

/// A record, what listens, and the faults.
type Row = (
    &'static str,
    &'static [(ListenerProtocol, &'static str)],
    &'static [&'static str],
);

fn offer(listeners: &[(ListenerProtocol, &str)]) -> Offer {
    let all = listeners
        .iter()
        .map(|(protocol, at)| listening(*protocol, at));
    Offer::new(all, TODAY)
}

use ListenerProtocol::{RadiusDtls, RadiusTls, RadiusUdp, Tacacs, TacacsTls};

#[test]
fn the_record_says_what_listens() {
    let rows: &[(&[(ListenerProtocol, &str)], &str)] = &[
        (&[(Tacacs, "0.0.0.0:49")], "(49 0)"),
        (&[(TacacsTls, "[::]:300")], "(0 300)"),
        (&[(TacacsTls, "[::]:300"), (Tacacs, "[::]:49")], "(49 300)"),
        (
            &[
                (RadiusDtls, "[::]:2083"),
                (RadiusTls, "[::]:2083"),
                (TacacsTls, "[::]:3300"),
            ],
            "(0 3300 0 2083)",
        ),
        // Every port with every port, the usual ones first.
        (
            &[
                (TacacsTls, "[::]:301"),
                (TacacsTls, "[::]:300"),
                (Tacacs, "192.0.2.1:49"),
                (Tacacs, "192.0.2.2:49"),
                (Tacacs, "192.0.2.2:48"),
            ],
            "(49 300 49 301 48 300 48 301)",
        ),
        (
            &[
                (RadiusUdp, "[::]:1813"),
                (RadiusUdp, "[::]:1812"),
                (RadiusTls, "[::]:2083"),
            ],
            "(1812 2083 1813 2083)",
        ),
        // For this machine alone.
        (
            &[(RadiusUdp, "127.0.0.1:1812"), (RadiusTls, "[::]:2083")],
            "(0 2083)",
        ),
        (
            &[
                (RadiusUdp, "[::ffff:127.0.0.1]:1812"),
                (RadiusTls, "[::]:2083"),
            ],
            "(0 2083)",
        ),
        (
            &[(RadiusUdp, "127.0.0.1:1812"), (RadiusTls, "[::1]:2083")],
            "(1812 2083)",
        ),
    ];
    for (listeners, record) in rows {
        let offer = offer(listeners);
        assert_eq!(offer.record().unwrap().to_string(), *record);
        // What we publish, we find to be true.
        let (faults, notes) = compare(&offer.record().unwrap(), &offer, TODAY);
        assert_eq!((faults, notes), (vec![], vec![]), "{record}");
    }
}

#[test]
fn what_a_record_cannot_say_is_refused() {
    assert_eq!(offer(&[]).record(), Err(Unsayable::Nothing));
    let shared = offer(&[(Tacacs, "192.0.2.1:49"), (TacacsTls, "192.0.2.2:49")]);
    assert_eq!(
        shared.record(),
        Err(Unsayable::Shared(Protocol::Tacacs, 49))
    );
    let two = offer(&[(TacacsTls, "192.0.2.1:300"), (RadiusUdp, "192.0.2.2:300")]);
    assert!(matches!(two.record(), Err(Unsayable::Contradiction(..))));
    let free = offer(&[(TacacsTls, "192.0.2.1:0")]);
    assert_eq!(
        (free.unknown.len(), free.record()),
        (1, Err(Unsayable::Nothing))
    );
}

#[test]
fn a_listener_counts_to_the_end_of_its_last_day() {
    let with = |until: Date| {
        let plain = Listening {
            until: Some(until),
            ..listening(Tacacs, "[::]:49")
        };
        Offer::new([plain, listening(TacacsTls, "[::]:300")], TODAY)
    };
    let text = |offer: &Offer| offer.record().unwrap().to_string();
    assert_eq!(text(&with(TODAY)), "(49 300)");
    assert_eq!(text(&with(TODAY.yesterday().unwrap())), "(0 300)");
    let later = with(jiff::civil::date(2027, 7, 2));
    assert_eq!(later.ends().into_iter().collect::<Vec<_>>().len(), 1);
    assert_eq!(text(&later.after(TODAY)), "(49 300)");
    assert_eq!(text(&later.after(jiff::civil::date(2027, 7, 2))), "(0 300)");
    // The record without it may come on the last day, and not before.
    let only: Record = "(0 300)".parse().unwrap();
    let (faults, notes) = compare(&only, &with(TODAY), TODAY);
    assert_eq!(faults, []);
    assert!(matches!(notes[..], [Note::Closing(..)]), "{notes:?}");
    let (faults, notes) = compare(&only, &later, TODAY);
    assert!(matches!(faults[..], [Fault::PlainOpen(..)]), "{faults:?}");
    assert_eq!(notes, []);
    let both: Record = "(49 300)".parse().unwrap();
    let (faults, notes) = compare(&both, &later, TODAY);
    assert_eq!(faults, []);
    assert!(matches!(notes[..], [Note::Ends(_)]), "{notes:?}");
}

#[test]
fn every_lie_has_its_name() {
    let both: &[(ListenerProtocol, &str)] = &[(Tacacs, "[::]:49"), (TacacsTls, "[::]:300")];
    let only: &[(ListenerProtocol, &str)] = &[(TacacsTls, "[::]:300")];
    let odd: &[(ListenerProtocol, &str)] = &[(Tacacs, "[::]:4949"), (TacacsTls, "[::]:3300")];
    let radius: &[(ListenerProtocol, &str)] = &[(TacacsTls, "[::]:300"), (RadiusTls, "[::]:2083")];
    let rows: &[Row] = &[
        ("(0 300)", both, &["plain-open"]),
        ("(49 300)", only, &["nobody-listens"]),
        ("(49 0)", both, &["not-announced"]),
        (
            "(300 49)",
            both,
            &[
                "nobody-listens",
                "nobody-listens",
                "not-announced",
                "not-announced",
            ],
        ),
        ("(0 300)", radius, &["not-announced"]),
        ("(0 300 1812 2083)", radius, &["nobody-listens"]),
        ("(0 300 0 2083)", only, &["nobody-listens"]),
        (
            "(49 49)",
            both,
            &["upgrade", "not-announced", "not-announced"],
        ),
        (
            "(4949 4949)",
            odd,
            &["upgrade", "not-announced", "not-announced"],
        ),
        (
            "(49 300)",
            odd,
            &[
                "nobody-listens",
                "nobody-listens",
                "not-announced",
                "not-announced",
            ],
        ),
        ("(0 3300 4949 300)", odd, &["nobody-listens", "plain-open"]),
        ("(49 300 0 300)", both, &["contradicting", "plain-open"]),
        // Other services of the host are not ours to judge.
        ("(25 25 0 443 49 300)", both, &[]),
        ("(0 0 49 300)", both, &[]),
    ];
    for (text, listeners, names) in rows {
        // As it may come from the DNS, where pairs may contradict each other.
        let record = {
            let numbers = text.trim_matches(['(', ')']).split(' ');
            let octets = numbers.flat_map(|n| n.parse::<u16>().unwrap().to_be_bytes());
            Record::decode([octets.collect::<Vec<u8>>()]).unwrap()
        };
        let (faults, _) = compare(&record, &offer(listeners), TODAY);
        let mut found: Vec<&str> = faults.iter().map(Fault::name).collect();
        let mut expected = names.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{text}: {faults:?}");
        for fault in faults {
            assert!(!fault.to_string().is_empty() && !fault.help().is_empty());
        }
    }
}
