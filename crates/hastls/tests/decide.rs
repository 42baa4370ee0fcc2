//! What a client may do: the tables of section 4 by hand, and its sentences over every small record.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::num::NonZeroU16;

use doorward_hastls::{
    Answer, Application, Attempt, Basis, Mode, Plan, Policy, Record, RecordError, Refusal,
    Security, Server, Service, Unusable, Validation, decide,
};

const CIO: Policy = Policy::InsecureOnly;
const CSO: Policy = Policy::SecureOnly;
const CFB: Policy = Policy::AllowFallback;

fn service(application: Application, insecure: u16, secure: u16) -> Service {
    let port = |number| NonZeroU16::new(number).unwrap();
    Service::new(application, port(insecure), port(secure))
}

/// A validated answer with one record of these pairs.
fn secured(pairs: &[(u16, u16)]) -> Answer {
    let octets = pairs.iter().flat_map(|(insecure, secure)| {
        let [a, b] = insecure.to_be_bytes();
        let [c, d] = secure.to_be_bytes();
        [a, b, c, d]
    });
    Answer::read(Validation::Secure, [octets.collect::<Vec<u8>>()])
}

/// The ports of a text such as `49 300 0 2083`; `-` is no record at all.
fn answer(text: &str) -> Answer {
    if text == "-" {
        return Answer::ABSENT;
    }
    let ports: Vec<u16> = text.split(' ').map(|port| port.parse().unwrap()).collect();
    let pairs: Vec<_> = ports.chunks(2).map(|pair| (pair[0], pair[1])).collect();
    secured(&pairs)
}

/// `tls 300, plain 49`, or what is refused.
fn told(plan: &Plan) -> String {
    let attempt = |attempt: Attempt| {
        let word = match attempt.security {
            Security::Plain => "plain",
            Security::Tls => "tls",
            Security::Upgrade => "upgrade",
        };
        format!("{word} {}", attempt.port)
    };
    match plan {
        Plan::Connect(route) => {
            let all: Vec<String> = route.attempts().map(attempt).collect();
            all.join(", ")
        }
        Plan::Refuse(Refusal::SecureOnly) => "no: only secure".into(),
        Plan::Refuse(Refusal::InsecureOnly) => "no: only insecure".into(),
        Plan::Refuse(Refusal::Contradicting) => "no: contradiction".into(),
        Plan::Refuse(Refusal::Required(why)) => format!("no: {}", why.name()),
    }
}

/// A record, and what CIO, CSO and CFB do.
type Line = [&'static str; 4];

fn compare(service: Service, table: &[Line]) {
    for [record, cio, cso, cfb] in table {
        for (policy, expected) in [(CIO, cio), (CSO, cso), (CFB, cfb)] {
            let plan = decide(&answer(record), policy, &service);
            assert_eq!(told(&plan), *expected, "{service:?} {policy} ({record})");
        }
    }
}

/// TACACS+ never falls back: RFC 9887 section 5.1.1.
#[test]
fn the_table_of_tacacs() {
    compare(
        Service::TACACS,
        &[
            ["-", "plain 49", "tls 300", "tls 300"],
            ["49 0", "plain 49", "no: only insecure", "no: only insecure"],
            ["0 300", "no: only secure", "tls 300", "tls 300"],
            ["49 300", "plain 49", "tls 300", "tls 300"],
            // Other ports, beside one that is ours.
            ["49 3300", "plain 49", "tls 3300", "tls 3300"],
            ["4949 300", "plain 4949", "tls 300", "tls 300"],
            ["0 49", "no: only secure", "tls 49", "tls 49"],
            [
                "300 0",
                "plain 300",
                "no: only insecure",
                "no: only insecure",
            ],
            // Nothing about us.
            ["0 3300", "plain 49", "tls 300", "tls 300"],
            ["25 25 0 443", "plain 49", "tls 300", "tls 300"],
            ["25 25 0 443 0 300", "no: only secure", "tls 300", "tls 300"],
            // Upgrades, which TACACS+ does not have.
            ["49 49", "plain 49", "tls 300", "tls 300"],
            ["300 300", "plain 49", "tls 300", "tls 300"],
            ["49 49 49 300", "plain 49", "tls 300", "tls 300"],
            // No meaning.
            ["0 0", "plain 49", "tls 300", "tls 300"],
            ["0 0 0 300", "no: only secure", "tls 300", "tls 300"],
            // Contradictions.
            ["49 300 0 300", "no: contradiction", "tls 300", "tls 300"],
            ["49 3300 0 3300", "no: contradiction", "tls 300", "tls 300"],
            ["49 0 0 300", "no: contradiction", "tls 300", "tls 300"],
            ["49 0 49 3300", "plain 49", "tls 300", "tls 300"],
            // Several pairs: the one with both ports, then the lowest.
            ["49 3300 49 300", "plain 49", "tls 300", "tls 300"],
            ["49 3301 49 3300", "plain 49", "tls 3300", "tls 3300"],
        ],
    );
}

/// RADIUS falls back where that is configured, to the port that is configured.
#[test]
fn the_table_of_radius() {
    compare(
        Service::RADIUS,
        &[
            ["-", "plain 1812", "tls 2083", "tls 2083, plain 1812"],
            ["1812 0", "plain 1812", "no: only insecure", "plain 1812"],
            ["0 2083", "no: only secure", "tls 2083", "tls 2083"],
            [
                "1812 2083",
                "plain 1812",
                "tls 2083",
                "tls 2083, plain 1812",
            ],
            [
                "1812 2084",
                "plain 1812",
                "tls 2084",
                "tls 2084, plain 1812",
            ],
            [
                "1645 2083",
                "plain 1812",
                "tls 2083",
                "tls 2083, plain 1812",
            ],
            [
                "1813 2083 1812 2083",
                "plain 1812",
                "tls 2083",
                "tls 2083, plain 1812",
            ],
            ["49 300", "plain 1812", "tls 2083", "tls 2083, plain 1812"],
            [
                "2083 2083",
                "plain 1812",
                "tls 2083",
                "tls 2083, plain 1812",
            ],
            [
                "1812 2083 0 2083",
                "no: contradiction",
                "tls 2083",
                "tls 2083",
            ],
            [
                "1812 0 1812 2083",
                "plain 1812",
                "tls 2083",
                "tls 2083, plain 1812",
            ],
        ],
    );
    compare(
        Service::RADIUS_ACCOUNTING,
        &[
            [
                "1812 2083",
                "plain 1813",
                "tls 2083",
                "tls 2083, plain 1813",
            ],
            ["0 2083", "no: only secure", "tls 2083", "tls 2083"],
        ],
    );
}

#[test]
fn the_table_of_an_application_with_two_ports_and_an_upgrade() {
    compare(
        service(Application::Other, 110, 995),
        &[
            ["-", "plain 110", "tls 995", "tls 995, plain 110"],
            ["110 0", "plain 110", "no: only insecure", "plain 110"],
            ["0 995", "no: only secure", "tls 995", "tls 995"],
            ["110 995", "plain 110", "tls 995", "tls 995, plain 110"],
            [
                "110 110",
                "plain 110",
                "upgrade 110",
                "upgrade 110, plain 110",
            ],
            ["0 110", "no: only secure", "upgrade 110", "upgrade 110"],
            ["1110 995", "plain 1110", "tls 995", "tls 995, plain 1110"],
            [
                "110 110 110 995",
                "plain 110",
                "tls 995",
                "tls 995, plain 110",
            ],
        ],
    );
    compare(
        service(Application::Other, 25, 25),
        &[
            ["-", "plain 25", "upgrade 25", "upgrade 25, plain 25"],
            ["25 0", "plain 25", "no: only insecure", "plain 25"],
            ["0 25", "no: only secure", "upgrade 25", "upgrade 25"],
            ["25 25", "plain 25", "upgrade 25", "upgrade 25, plain 25"],
            ["25 465", "plain 25", "tls 465", "tls 465, plain 25"],
        ],
    );
}

/// proves: HAS-2-7
#[test]
fn the_nine_combinations_of_section_2() {
    let pop = service(Application::Other, 110, 995);
    for (server, pair, works) in [
        (Server::InsecureOnly, (110, 0), [true, false, true]),
        (Server::SecureOnly, (0, 995), [false, true, true]),
        (Server::Both, (110, 995), [true, true, true]),
    ] {
        for (policy, works) in [CIO, CSO, CFB].into_iter().zip(works) {
            match decide(&secured(&[pair]), policy, &pop) {
                Plan::Connect(route) => {
                    assert!(works, "{policy} to {server}");
                    assert_eq!(route.basis(), Basis::Record(server));
                }
                Plan::Refuse(_) => assert!(!works, "{policy} to {server}"),
            }
        }
    }
}

/// proves: HAS-3-10
#[test]
fn a_client_of_tacacs_looks_at_the_pair_of_its_ports_alone() {
    let others = [(25, 25), (0, 443), (1812, 2083)];
    let basis = |pairs: &[(u16, u16)], service: &Service| {
        let plan = decide(&secured(pairs), CSO, service);
        let Plan::Connect(route) = plan else {
            panic!("{}", told(&plan));
        };
        (route.first().port.get(), route.basis())
    };
    let silent = Basis::Configured(Unusable::Silent);
    assert_eq!(basis(&others, &Service::TACACS), (300, silent));
    for (mine, port) in [((49, 4300), 4300), ((4949, 300), 300), ((0, 300), 300)] {
        for place in 0..=others.len() {
            let mut pairs = others.to_vec();
            pairs.insert(place, mine);
            let (to, basis) = basis(&pairs, &Service::TACACS);
            assert_eq!(to, port);
            assert!(matches!(basis, Basis::Record(_)));
        }
    }
    // By configured ports.
    let moved = service(Application::Tacacs, 4949, 3300);
    assert_eq!(basis(&[(49, 300)], &moved), (3300, silent));
    let said = Basis::Record(Server::SecureOnly);
    assert_eq!(basis(&[(0, 3300)], &moved), (3300, said));
}

/// proves: HAS-3-9
#[test]
fn a_pair_for_tls_is_a_pair_for_dtls() {
    let record = Record::new([(1812, 2083)]).unwrap();
    // Nothing but the two ports crosses, and nothing else is asked for.
    assert_eq!(record.encode().unwrap(), [0x07, 0x14, 0x08, 0x23]);
    let plan = decide(&secured(&[(1812, 2083)]), CSO, &Service::RADIUS);
    assert_eq!(told(&plan), "tls 2083");
}

/// proves: HAS-3-4
#[test]
fn a_record_without_pairs_is_no_record() {
    assert_eq!(Record::new([]), Err(RecordError::Empty));
    assert_eq!(Record::decode([[]; 1]), Err(RecordError::Empty));
    as_without(&secured(&[]), Unusable::Malformed(RecordError::Empty));
}

/// proves: HAS-3-7
#[test]
fn two_zeros_are_refused_and_passed_over() {
    assert_eq!(Record::new([(0, 0)]), Err(RecordError::Undefined));
    let read = Record::decode([[0, 0, 0, 0, 0, 0, 1, 44]]).unwrap();
    assert_eq!((read.undefined(), read.pairs().len()), (1, 1));
    let beside = secured(&[(0, 0), (0, 300)]);
    for policy in Policy::ALL {
        let plans = [&beside, &secured(&[(0, 300)])];
        let [with, without] = plans.map(|answer| decide(answer, policy, &Service::TACACS));
        assert_eq!(with, without);
    }
    let nothing_else = Unusable::Malformed(RecordError::Undefined);
    as_without(&secured(&[(0, 0), (0, 0)]), nothing_else);
}

/// proves: HAS-3-8
#[test]
fn octets_that_are_no_whole_pairs_change_nothing() {
    for length in [1, 2, 3, 5, 6, 7] {
        // What is whole of it would forbid the insecure form.
        let octets = &[0, 0, 1, 44, 0, 0, 1][..length];
        let error = RecordError::Length(length);
        assert_eq!(Record::decode([octets]), Err(error));
        let answer = Answer::read(Validation::Secure, [octets]);
        as_without(&answer, Unusable::Malformed(error));
    }
}

#[test]
fn what_is_not_proved_changes_nothing_and_does_where_a_record_is_required() {
    let rdata = [[0, 49, 0, 0], [0, 0, 1, 44]];
    for (validation, why) in [
        (Validation::Insecure, Unusable::Insecure),
        (Validation::Bogus, Unusable::Bogus),
        (Validation::Expired, Unusable::Expired),
        (Validation::Indeterminate, Unusable::Indeterminate),
    ] {
        for one in rdata {
            as_without(&Answer::read(validation, [one]), why);
        }
    }
    as_without(&Answer::ABSENT, Unusable::Absent);
    as_without(&secured(&[(25, 25)]), Unusable::Silent);
}

/// The plan is the one of a client that does not look, and says why; and there is none if a record is required.
fn as_without(answer: &Answer, why: Unusable) {
    let services = [
        Service::TACACS,
        Service::RADIUS,
        service(Application::Other, 110, 995),
    ];
    for service in services {
        for policy in Policy::ALL {
            let plan = |mode: Mode| mode.decide(answer, policy, &service);
            assert_eq!(told(&plan(Mode::Use)), told(&plan(Mode::Off)));
            let Plan::Connect(route) = plan(Mode::Use) else {
                panic!("{} is no reason to refuse", why);
            };
            assert_eq!(route.basis(), Basis::Configured(why));
            let required = Plan::Refuse(Refusal::Required(why));
            assert_eq!(plan(Mode::Require), required);
        }
    }
}

#[test]
fn a_mode_is_what_it_says() {
    let only_tls = secured(&[(0, 300)]);
    let plan = |mode: Mode, policy| told(&mode.decide(&only_tls, policy, &Service::TACACS));
    assert_eq!(plan(Mode::Off, CIO), "plain 49");
    for mode in [Mode::Use, Mode::Require] {
        assert_eq!(plan(mode, CIO), "no: only secure");
        assert_eq!(plan(mode, CSO), "tls 300");
    }
    assert_eq!((Mode::default(), Policy::default()), (Mode::Off, CSO));
    let both = secured(&[(49, 300), (0, 300)]);
    let plan = Mode::Require.decide(&both, CSO, &Service::TACACS);
    assert_eq!(told(&plan), "no: contradicting");
    for policy in Policy::ALL {
        assert_eq!(policy.name().parse(), Ok(policy));
    }
    for mode in Mode::ALL {
        assert_eq!(mode.name().parse(), Ok(mode));
    }
    let wrong = (
        "cio".parse::<Policy>().is_err(),
        "on".parse::<Mode>().is_err(),
    );
    assert_eq!(wrong, (true, true));
}

/// The sentences of section 4, and ours about what a record must not do, for every record of up to three pairs of these ports.
#[test]
fn no_record_opens_what_the_policy_or_one_of_its_pairs_closes() {
    let ports = [0, 49, 300, 3300];
    let all: Vec<(u16, u16)> = ports
        .iter()
        .flat_map(|insecure| ports.map(|secure| (*insecure, secure)))
        .collect();
    let mut records: Vec<Vec<(u16, u16)>> = Vec::new();
    for one in &all {
        records.push(vec![*one]);
        for two in &all {
            records.push(vec![*one, *two]);
            records.extend(all.iter().map(|three| vec![*one, *two, *three]));
        }
    }
    let applications = [Application::Tacacs, Application::Radius, Application::Other];
    for pairs in &records {
        let answer = secured(pairs);
        for application in applications {
            let service = service(application, 49, 300);
            for policy in Policy::ALL {
                held(pairs, &answer, policy, &service);
            }
        }
    }
}

fn held(pairs: &[(u16, u16)], answer: &Answer, policy: Policy, service: &Service) {
    let context = format!("{pairs:?} {policy} {:?}", service.application);
    let plan = decide(answer, policy, service);
    let mut turned = pairs.to_vec();
    turned.reverse();
    let again = decide(&secured(&turned), policy, service);
    assert_eq!(plan, again, "the order means nothing: {context}");
    let Plan::Connect(route) = plan else {
        return;
    };
    let attempts: Vec<(bool, u16)> = route
        .attempts()
        .map(|attempt| (attempt.security == Security::Plain, attempt.port.get()))
        .collect();
    let in_clear = attempts.iter().any(|(plain, _)| *plain);
    let by_tls = attempts.iter().any(|(plain, _)| !plain);
    let is_ours = |(a, b): &(u16, u16)| [49, 300].iter().any(|port| a == port || b == port);
    // "MUST NOT try to communicate insecurely with a server that has the insecure-port set to 0", for CIO and CFB.
    if in_clear {
        let closed = |pair: &(u16, u16)| is_ours(pair) && pair.0 == 0 && pair.1 != 0;
        assert!(!pairs.iter().any(closed), "{context}");
    }
    // "MUST NOT try to communicate securely with a server that has the secure-port set to 0", where that is all it says.
    if by_tls
        && let [(insecure, 0)] = pairs
        && *insecure != 0
    {
        assert!(!is_ours(&(*insecure, 0)), "{context}");
    }
    // A policy is never left.
    match policy {
        Policy::InsecureOnly => assert!(!by_tls, "{context}"),
        Policy::SecureOnly => assert!(!in_clear, "{context}"),
        Policy::AllowFallback => {
            let tacacs = service.application == Application::Tacacs;
            assert!(!(tacacs && in_clear), "{context}");
        }
    }
    // "SHOULD first try to communicate securely over the secure port": TLS comes first where both are tried.
    assert!(attempts.len() <= 2, "{context}");
    assert!(
        attempts.len() < 2 || (!attempts[0].0 && attempts[1].0),
        "{context}"
    );
    // The ports are those of the record or of the configuration; plain RADIUS goes to the latter alone.
    for (plain, port) in attempts {
        let announced = pairs
            .iter()
            .any(|(insecure, secure)| port == if plain { *insecure } else { *secure });
        let configured = port == if plain { 49 } else { 300 };
        assert!(announced || configured, "{context}");
        let radius = service.application == Application::Radius;
        assert!(configured || !(radius && plain), "{context}");
    }
}
