//! What a connection says about its device: certificate, key and address.

use doorward_tls::PeerIdentity;

use super::*;
use crate::policy::tests::{context, device};

fn identity() -> PeerIdentity {
    let mut identity = PeerIdentity::default();
    identity.issuer = "CN=ca,O=Example".into();
    identity.subject = "CN=core1,O=Example".into();
    identity.policy_oids = vec!["1.2.3".into(), "1.2.4".into()];
    identity.usages = vec!["1.3.6.1.5.5.7.3.2".into(), "1.2.3.4".into()].into();
    identity.dns = vec!["core1.example.net".into()];
    identity.ip = vec!["2001:db8::1".parse().unwrap()];
    identity.uri = vec!["urn:Core1".into()];
    identity.directory = vec!["CN=core1,O=Example".into()];
    identity.srv = vec!["_tacacss.example.net".into()];
    identity.realms = vec!["example.org".into()];
    identity.fingerprint = [0xab; 32];
    identity
}

fn texts(texts: &[&str]) -> Vec<Arc<str>> {
    texts.iter().map(|text| Arc::from(*text)).collect()
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::new(text)).collect()
}

fn networks(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn condition(test: Test) -> Condition {
    let location = crate::policy::tests::reference(1, "").location.clone();
    Condition { test, location }
}

/// What holds, what does not, and what is said to be there.
fn tried() -> Vec<(Test, Test, &'static str)> {
    let names = "dns:core1.example.net, ip:2001:db8::1, uri:urn:Core1, directory:CN=core1,O=Example, srv:_tacacss.example.net, realm:example.org";
    vec![
        (
            Test::Address(networks(&["192.0.2.0/24", "2001:db8::/32"])),
            Test::Address(networks(&["192.0.3.0/24"])),
            "192.0.2.1",
        ),
        (
            Test::PolicyOid(texts(&["1.2.9", "1.2.4"])),
            Test::PolicyOid(texts(&["1.2"])),
            "1.2.3, 1.2.4",
        ),
        (
            Test::Issuer(texts(&["CN=ca,O=Example"])),
            Test::Issuer(texts(&["CN=core1,O=Example"])),
            "CN=ca,O=Example",
        ),
        (
            Test::Subject(texts(&["CN=core1,O=Example"])),
            Test::Subject(texts(&[
                "cn=core1,O=Example",
                "CN=ca,O=Example",
                "CN=core1",
            ])),
            "CN=core1,O=Example",
        ),
        (
            Test::Fingerprint(vec![[0xab; 32]]),
            Test::Fingerprint(vec![[0; 32]]),
            "abababababababababababababababababababababababababababababababab",
        ),
        (
            Test::Eku(texts(&["1.3.6.1.5.5.7.3.1", "1.2.3.4"])),
            Test::Eku(texts(&["1.3.6.1.5.5.7.3.4"])),
            "clientAuth, 1.2.3.4",
        ),
        (
            Test::San(patterns(&["dns:x", "dns:core*.example.net"])),
            // A kind is not another one, and the subject is none of them.
            Test::San(patterns(&[
                "realm:core1.example.net",
                "uri:urn:core1",
                "dns:core1",
            ])),
            names,
        ),
        (
            Test::San(patterns(&["ip:2001:db8::*"])),
            Test::San(patterns(&["ip:192.0.2.1"])),
            names,
        ),
        (
            Test::San(patterns(&["directory:CN=core1,*"])),
            Test::San(patterns(&["directory:CN=core2,*"])),
            names,
        ),
        (
            Test::San(patterns(&["realm:example.org"])),
            Test::San(patterns(&["dns:example.org"])),
            names,
        ),
    ]
}

#[test]
fn what_a_connection_says_is_compared_and_shown() {
    let (device, identity) = (device("core1"), identity());
    let known = Context {
        address: "192.0.2.1".parse().ok(),
        peer: Some(&identity),
        ..context(&[], &device)
    };
    let unknown = context(&[], &device);
    for (right, wrong, found) in tried() {
        let (right, wrong) = (condition(right), condition(wrong));
        assert!(right.holds(&known), "{right:?}");
        assert!(!wrong.holds(&known), "{wrong:?}");
        assert_eq!(right.found(&known), found);
        assert!(!right.holds(&unknown), "{right:?}");
        assert_eq!(right.found(&unknown), "none");
        assert!(right.test.covers(&right.test) && !right.test.covers(&wrong.test));
        assert!(!right.test.always());
    }
}

#[test]
fn of_a_pre_shared_key_there_is_its_identity() {
    let device = device("core1");
    let known = Context {
        psk_identity: Some("core1\\x00"),
        ..context(&[], &device)
    };
    let right = condition(Test::PskIdentity(patterns(&["other", "core*\\x00"])));
    assert!(right.holds(&known));
    assert_eq!(right.wanted(), "other, core*\\x00");
    assert_eq!(right.found(&known), "core1\\x00");
    let unknown = context(&[], &device);
    assert!(!right.holds(&unknown));
    assert_eq!(right.found(&unknown), "none");
    assert!(!condition(Test::PskIdentity(patterns(&["core1"]))).holds(&known));
    for (certificate, _, _) in tried() {
        assert!(!condition(certificate).holds(&known));
    }
}

#[test]
fn more_of_the_same_covers_less() {
    let wide = [
        Test::Address(networks(&["10.0.0.0/8"])),
        Test::Subject(texts(&["CN=a", "CN=b"])),
        Test::Eku(texts(&["1.2.3", "1.2.4"])),
        Test::San(patterns(&["dns:*.example.net"])),
        Test::PskIdentity(patterns(&["core*"])),
    ];
    let narrow = [
        Test::Address(networks(&["10.1.0.0/16", "10.2.0.0/16"])),
        Test::Subject(texts(&["CN=b"])),
        Test::Eku(texts(&["1.2.4"])),
        Test::San(patterns(&["dns:*.a.example.net", "dns:b.example.net"])),
        Test::PskIdentity(patterns(&["core1"])),
    ];
    for (at, wide) in wide.iter().enumerate() {
        for (other, narrow) in narrow.iter().enumerate() {
            assert_eq!(wide.covers(narrow), at == other, "{wide:?} {narrow:?}");
            assert!(!narrow.covers(wide));
        }
    }
}
