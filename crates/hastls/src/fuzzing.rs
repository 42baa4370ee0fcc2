//! Entry points for fuzzing. The targets in `fuzz/` call them, and so does an ordinary test with every file of the corpus.

use alloc::string::ToString;

use crate::{
    Answer, Application, Basis, Mode, Plan, Policy, Record, RecordType, Security, Service,
    Validation, ZoneLine, decide,
};

/// RDATA of one record, or of two where the first octet says how long the first is; and what every client makes of it.
pub fn hastls_record(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let rdatas = match rest.split_at_checked(usize::from(*first)) {
        Some((one, other)) if *first > 0 => [one, other].to_vec(),
        _ => [rest].to_vec(),
    };
    if let Ok(record) = Record::decode(&rdatas) {
        let written = record.encode();
        assert_eq!(written.is_ok(), record.check().is_ok());
        if let Ok(octets) = written {
            assert_eq!(Record::decode([&octets]).as_ref(), Ok(&record));
            assert_eq!(record.to_string().parse().as_ref(), Ok(&record));
            let generic = record.to_generic().unwrap_or_default();
            assert_eq!(generic.parse().as_ref(), Ok(&record));
        }
    }
    let answer = Answer::read(Validation::Secure, &rdatas);
    for service in [Service::TACACS, Service::RADIUS, of_the_same_port()] {
        for policy in Policy::ALL {
            judged(&answer, policy, &service);
        }
    }
}

/// A line of a zone file.
pub fn hastls_text(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    _ = text.parse::<Record>();
    let Ok(line) = ZoneLine::parse(text, RecordType::DEFAULT) else {
        return;
    };
    let generic = line.to_generic(RecordType::DEFAULT).unwrap_or_default();
    for again in [line.to_string(), generic] {
        let again = ZoneLine::parse(&again, RecordType::DEFAULT);
        assert_eq!(again.as_ref(), Ok(&line), "what is written can be read");
    }
}

fn of_the_same_port() -> Service {
    let port = Service::TACACS.insecure;
    Service::new(Application::Other, port, port)
}

/// No record makes a client do what its policy does not have.
fn judged(answer: &Answer, policy: Policy, service: &Service) {
    let plan = decide(answer, policy, service);
    let unasked = Mode::Off.decide(answer, policy, service);
    assert!(matches!(unasked, Plan::Connect(_)));
    let Plan::Connect(route) = plan else {
        return;
    };
    let plain = |attempt: &crate::Attempt| attempt.security == Security::Plain;
    let count = route.attempts().filter(plain).count();
    match service.policy(policy) {
        Policy::InsecureOnly => assert_eq!(count, route.attempts().count()),
        Policy::SecureOnly => assert_eq!(count, 0),
        Policy::AllowFallback => assert!(count <= 1),
    }
    if let Basis::Configured(_) = route.basis() {
        let required = Mode::Require.decide(answer, policy, service);
        assert!(matches!(required, Plan::Refuse(_)));
    }
}
