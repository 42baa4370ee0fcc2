use std::net::Ipv4Addr;

use rcgen::{
    BasicConstraints, CidrSubnet, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, SanType, SerialNumber, date_time_ymd,
};

use super::*;
use crate::testing::{Ca, NOW, policies, trust};

/// Judges a client whose handshake goes on to succeed.
pub(super) fn verify(trust: &Trust, chain: &[&Der]) -> Result<Arc<PeerIdentity>, PathError> {
    let chain: Vec<&[u8]> = chain.iter().map(|der| &***der).collect();
    trust.verify(&chain, PeerRole::Client, NOW).map(|judged| {
        trust.remember(&judged);
        judged.identity().clone()
    })
}

/// Judges a leaf directly under a root, without revocation.
fn leaf_under_root(
    change: impl FnOnce(&mut rcgen::CertificateParams),
) -> Result<Arc<PeerIdentity>, PathError> {
    let root = Ca::root("root");
    let leaf = root.leaf_with("core1.example.net", change);
    verify(&trust(&[&root], Vec::new(), Revocation::Off), &[&leaf.der])
}

/// Judges root - `sub` - leaf, without revocation.
fn under_sub(
    sub: impl FnOnce(&mut rcgen::CertificateParams),
    leaf: impl FnOnce(&mut rcgen::CertificateParams),
) -> Result<Arc<PeerIdentity>, PathError> {
    let root = Ca::root("root");
    let sub = root.sub_with("sub", sub);
    let leaf = sub.leaf_with("core1.example.net", leaf);
    verify(
        &trust(&[&root], Vec::new(), Revocation::Off),
        &[&leaf.der, &sub.der],
    )
}

pub(super) fn with_serial(serial: u64) -> impl FnOnce(&mut rcgen::CertificateParams) {
    move |params| params.serial_number = Some(SerialNumber::from(serial))
}

#[test]
fn a_good_path_tells_who_it_is() {
    let identity = under_sub(|_| (), with_serial(0x0a0b)).unwrap();
    assert_eq!(identity.dns, ["core1.example.net"]);
    assert_eq!(identity.serial, "a0b");
    assert_eq!(identity.issuer, "CN=sub,O=Doorward test");
}

#[test]
fn an_issuer_without_ca_true_is_refused() {
    assert_eq!(
        under_sub(|sub| sub.is_ca = IsCa::ExplicitNoCa, |_| ()),
        Err(PathError::IssuerNotCa)
    );
    assert_eq!(
        under_sub(|sub| sub.is_ca = IsCa::NoCa, |_| ()),
        Err(PathError::IssuerNotCa)
    );
    let root = Ca::root_with("root", |root| root.is_ca = IsCa::ExplicitNoCa);
    let leaf = root.leaf("core1.example.net");
    assert_eq!(
        verify(&trust(&[&root], Vec::new(), Revocation::Off), &[&leaf.der]),
        Err(PathError::IssuerNotCa)
    );
}

#[test]
fn a_ca_certificate_is_no_leaf() {
    let is_ca = |params: &mut rcgen::CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)
    };
    assert_eq!(leaf_under_root(is_ca), Err(PathError::LeafIsCa));
}

#[test]
fn a_path_longer_than_an_issuer_allows_is_refused() {
    let limited = |params: &mut rcgen::CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))
    };
    assert!(under_sub(limited, |_| ()).is_ok());
    let root = Ca::root("root");
    let upper = root.sub_with("upper", limited);
    let lower = upper.sub("lower");
    let leaf = lower.leaf("core1.example.net");
    let chain = [&leaf.der, &lower.der, &upper.der];
    assert_eq!(
        verify(&trust(&[&root], Vec::new(), Revocation::Off), &chain),
        Err(PathError::PathLength)
    );

    let root = Ca::root_with("root", limited);
    let sub = root.sub("sub");
    let leaf = sub.leaf("core1.example.net");
    let trust = trust(&[&root], Vec::new(), Revocation::Off);
    assert_eq!(
        verify(&trust, &[&leaf.der, &sub.der]),
        Err(PathError::PathLength),
        "of the anchor itself"
    );
}

#[test]
fn a_name_outside_the_constraints_of_an_issuer_is_refused() {
    let only = |subtree: GeneralSubtree| {
        move |params: &mut rcgen::CertificateParams| {
            let permitted_subtrees = vec![subtree];
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees,
                excluded_subtrees: Vec::new(),
            });
        }
    };
    let dns = |name: &str| GeneralSubtree::DnsName(name.into());
    assert!(under_sub(only(dns("example.net")), |_| ()).is_ok());
    assert_eq!(
        under_sub(only(dns("example.org")), |_| ()),
        Err(PathError::NameConstraint)
    );
    let address = |leaf: &mut rcgen::CertificateParams| {
        leaf.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::new(10, 0, 0, 1).into())];
    };
    let net = GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([192, 0, 2, 0], 24));
    assert_eq!(
        under_sub(only(net), address),
        Err(PathError::NameConstraint)
    );
}

#[test]
fn an_unknown_critical_extension_is_refused() {
    let odd = |critical| {
        move |params: &mut rcgen::CertificateParams| {
            let mut extension =
                CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 32473, 1], vec![5, 0]);
            extension.set_criticality(critical);
            params.custom_extensions.push(extension);
        }
    };
    assert!(leaf_under_root(odd(false)).is_ok());
    assert_eq!(
        leaf_under_root(odd(true)),
        Err(PathError::CriticalExtension)
    );
}

#[test]
fn an_issuer_without_key_cert_sign_is_refused() {
    let unable =
        |params: &mut rcgen::CertificateParams| params.key_usages = vec![KeyUsagePurpose::CrlSign];
    assert_eq!(under_sub(unable, |_| ()), Err(PathError::IssuerKeyUsage));
    let root = Ca::root_with("root", unable);
    let leaf = root.leaf("core1.example.net");
    assert_eq!(
        verify(&trust(&[&root], Vec::new(), Revocation::Off), &[&leaf.der]),
        Err(PathError::IssuerKeyUsage)
    );
}

#[test]
fn a_leaf_key_that_may_not_sign_is_refused() {
    let unable = |params: &mut rcgen::CertificateParams| {
        params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]
    };
    assert_eq!(leaf_under_root(unable), Err(PathError::LeafKeyUsage));
    assert!(leaf_under_root(|params| params.key_usages.clear()).is_ok());
}

#[test]
fn dates_outside_the_validity_are_refused() {
    let expired = leaf_under_root(|params| params.not_after = date_time_ymd(2027, 5, 31));
    assert_eq!(
        expired,
        Err(PathError::Expired {
            not_after: NOW - 86_400
        })
    );
    let early = leaf_under_root(|params| params.not_before = date_time_ymd(2027, 6, 2));
    assert_eq!(
        early,
        Err(PathError::NotYetValid {
            not_before: NOW + 86_400
        })
    );
    let sub = under_sub(
        |params| params.not_after = date_time_ymd(2027, 5, 31),
        |_| (),
    );
    assert_eq!(
        sub,
        Err(PathError::Expired {
            not_after: NOW - 86_400
        })
    );
}

#[test]
fn the_dates_of_the_anchor_count_as_well() {
    let root = Ca::root_with("root", |params| {
        params.not_after = date_time_ymd(2027, 5, 31)
    });
    let leaf = root.leaf("core1.example.net");
    let refusal = verify(&trust(&[&root], Vec::new(), Revocation::Off), &[&leaf.der]).unwrap_err();
    assert_eq!(refusal.name(), "anchor-not-valid");
    // The same key certified anew makes the path good again.
    let renewed = root.params.clone();
    let renewed = {
        let mut params = renewed;
        params.not_after = date_time_ymd(2030, 1, 1);
        params.self_signed(&root.key).unwrap().der().as_ref().into()
    };
    let both = TrustSettings {
        anchors: vec![root.der.clone(), renewed],
        revocation: Revocation::Off,
        ..Default::default()
    };
    assert!(verify(&Trust::new(both).unwrap(), &[&leaf.der]).is_ok());
}

#[test]
fn a_certificate_for_another_purpose_is_refused() {
    let server_only = |params: &mut rcgen::CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    assert_eq!(
        leaf_under_root(server_only),
        Err(PathError::ExtendedKeyUsage)
    );
    assert!(leaf_under_root(|params| params.extended_key_usages.clear()).is_ok());
}

#[test]
fn a_ca_that_is_not_ours_is_refused() {
    let (ours, theirs) = (Ca::root("root"), Ca::root("another root"));
    let leaf = theirs.leaf("core1.example.net");
    let trusting = trust(&[&ours], Vec::new(), Revocation::Off);
    assert_eq!(
        verify(&trusting, &[&leaf.der]),
        Err(PathError::UnknownIssuer)
    );
    // Nor does the same name help, nor a root that the peer brings along.
    let impostor = Ca::root("root");
    let leaf = impostor.leaf("core1.example.net");
    assert_eq!(
        verify(&trusting, &[&leaf.der, &impostor.der]),
        Err(PathError::BadSignature)
    );
    assert_eq!(
        verify(&Trust::new(TrustSettings::default()).unwrap(), &[&leaf.der]),
        Err(PathError::UnknownIssuer)
    );
}

#[test]
fn a_damaged_signature_is_refused() {
    let root = Ca::root("root");
    let mut leaf = root.leaf("core1.example.net").der.to_vec();
    *leaf.last_mut().unwrap() ^= 1;
    assert_eq!(
        verify(
            &trust(&[&root], Vec::new(), Revocation::Off),
            &[&leaf.into()]
        ),
        Err(PathError::BadSignature)
    );
}

#[test]
fn local_intermediates_complete_a_bare_leaf() {
    let root = Ca::root("root");
    let sub = root.sub("sub");
    let leaf = sub.leaf("core1.example.net");
    let mut settings = TrustSettings {
        anchors: vec![root.der.clone()],
        revocation: Revocation::Off,
        ..Default::default()
    };
    assert_eq!(
        verify(&Trust::new(settings.clone()).unwrap(), &[&leaf.der]),
        Err(PathError::UnknownIssuer)
    );
    settings.intermediates = vec![sub.der.clone()];
    assert!(verify(&Trust::new(settings).unwrap(), &[&leaf.der]).is_ok());
}

#[test]
fn a_policy_has_to_hold_along_the_whole_path() {
    const A: &[u8] = &[0x2b, 6, 1, 4, 1, 1];
    const B: &[u8] = &[0x2b, 6, 1, 4, 1, 2];
    const ANY: &[u8] = &[0x55, 0x1d, 0x20, 0x00];
    let with = |oids: &'static [&'static [u8]]| {
        move |params: &mut rcgen::CertificateParams| {
            if !oids.is_empty() {
                params.custom_extensions.push(policies(oids));
            }
        }
    };
    let hold = |sub, leaf| {
        under_sub(with(sub), with(leaf))
            .unwrap()
            .policy_oids
            .clone()
    };
    assert_eq!(hold(&[A, B], &[A]), ["1.3.6.1.4.1.1"]);
    assert_eq!(hold(&[ANY], &[A, B]), ["1.3.6.1.4.1.1", "1.3.6.1.4.1.2"]);
    assert_eq!(hold(&[A], &[ANY]), ["1.3.6.1.4.1.1"]);
    assert!(hold(&[B], &[A]).is_empty());
    assert!(hold(&[], &[A]).is_empty());
    assert!(hold(&[A], &[]).is_empty());
    assert!(hold(&[ANY], &[ANY]).is_empty());
}

#[test]
fn weak_keys_and_old_hashes_are_refused() {
    let read = |octets: &[u8]| crate::pem::certificates(octets).unwrap().remove(0);
    let root = read(include_bytes!("../../tests/data/old-hash-ca.pem"));
    let trust = Trust::new(TrustSettings {
        anchors: vec![root],
        revocation: Revocation::Off,
        ..Default::default()
    });
    let trust = trust.unwrap();
    let weak = read(include_bytes!("../../tests/data/rsa1024-leaf.pem"));
    assert_eq!(
        verify(&trust, &[&weak]),
        Err(PathError::WeakKey { bits: 1024 })
    );
    let old = read(include_bytes!("../../tests/data/sha1-leaf.pem"));
    assert_eq!(verify(&trust, &[&old]), Err(PathError::SignatureAlgorithm));
}

#[test]
fn unusable_names_make_the_certificate_unusable() {
    for name in [
        "core1\0.example.net",
        "core1..example.net",
        &"a.".repeat(140),
    ] {
        let named = |params: &mut rcgen::CertificateParams| {
            params
                .subject_alt_names
                .push(SanType::DnsName(name.try_into().unwrap()));
        };
        assert_eq!(
            leaf_under_root(named),
            Err(PathError::UnusableName),
            "{name:?}"
        );
    }
    let uri = |params: &mut rcgen::CertificateParams| {
        params
            .subject_alt_names
            .push(SanType::URI("urn:a\0b".try_into().unwrap()));
    };
    assert_eq!(leaf_under_root(uri), Err(PathError::UnusableName));
}

#[test]
fn an_authority_key_identifier_without_a_key_is_legal() {
    let bare = CustomExtension::from_oid_content(&[2, 5, 29, 35], vec![0x30, 0]);
    assert!(leaf_under_root(|params| params.custom_extensions.push(bare)).is_ok());
}

/// Anybody who can connect can send these.
#[test]
fn certificates_that_all_name_each_other_cost_little() {
    let trust = trust(&[&Ca::root("root")], Vec::new(), Revocation::Off);
    let mut maze = vec![Ca::root("maze")];
    for _ in 0..8 {
        let next = maze[0].sub("maze");
        maze.push(next);
    }
    let leaf = maze[0].leaf("core1.example.net");
    for length in 2..=10 {
        let chain: Vec<&Der> = std::iter::once(&leaf.der)
            .chain(maze.iter().map(|ca| &ca.der))
            .take(length)
            .collect();
        let since = std::time::Instant::now();
        assert!(verify(&trust, &chain).is_err());
        assert!(
            since.elapsed() < std::time::Duration::from_millis(150),
            "{length} certificates took {:?}",
            since.elapsed()
        );
    }
}

#[test]
fn more_certificates_than_anybody_needs_are_refused() {
    let root = Ca::root("root");
    let leaf = root.leaf("core1.example.net");
    let trust = trust(&[&root], Vec::new(), Revocation::Off);
    assert!(verify(&trust, &[&leaf.der; 6]).is_ok());
    assert_eq!(
        verify(&trust, &[&leaf.der; 7]),
        Err(PathError::TooManyCertificates)
    );
    assert_eq!(verify(&trust, &[]), Err(PathError::Malformed));
}

#[test]
fn longer_certificates_than_anybody_needs_are_refused() {
    let root = Ca::root("root");
    let leaf = root.leaf("core1.example.net");
    let trust = trust(&[&root], Vec::new(), Revocation::Off);
    let rubbish = |length: usize| -> Der { vec![0; length].into() };
    let most = 32 * 1024 - leaf.der.len();
    assert!(verify(&trust, &[&leaf.der, &rubbish(most)]).is_ok());
    let refusal = verify(&trust, &[&leaf.der, &rubbish(most + 1)]).unwrap_err();
    assert_eq!(refusal, PathError::TooManyOctets);
    assert_eq!(
        (refusal.name(), refusal.alert()),
        ("certificates-too-long", 42)
    );
}

#[test]
fn files_that_hold_something_else_are_refused() {
    let root = Ca::root("root");
    let list = root.crl(&[]);
    let anchors = TrustSettings {
        anchors: vec![root.der.clone(), list.clone()],
        ..Default::default()
    };
    assert_eq!(
        Trust::new(anchors).unwrap_err(),
        TrustError::Anchor { index: 1 }
    );
    let intermediates = TrustSettings {
        intermediates: vec![list],
        ..Default::default()
    };
    assert_eq!(
        Trust::new(intermediates).unwrap_err(),
        TrustError::Intermediate { index: 0 }
    );
    let crls = TrustSettings {
        crls: vec![root.der.clone()],
        ..Default::default()
    };
    assert_eq!(Trust::new(crls).unwrap_err(), TrustError::Crl { index: 0 });
}

proptest::proptest! {
    #[test]
    fn damaged_certificates_and_lists_never_panic(at in proptest::prelude::any::<proptest::sample::Index>(), to: u8) {
        static MADE: std::sync::OnceLock<(Der, Der, Der, Der)> = std::sync::OnceLock::new();
        let (root, sub, leaf, list) = MADE.get_or_init(|| {
            let root = Ca::root("root");
            let sub = root.sub("sub");
            let leaf = sub.leaf("core1.example.net");
            (root.der.clone(), sub.der.clone(), leaf.der, root.crl(&[1, 2, 3]))
        });
        let damaged = |der: &Der| -> Der {
            let mut octets = der.to_vec();
            let at = at.index(octets.len());
            octets[at] = to;
            octets.into()
        };
        let changed = |der: &Der| damaged(der) != *der;
        let settings = TrustSettings {
            anchors: vec![root.clone()],
            crls: vec![list.clone()],
            revocation: Revocation::IfAvailable,
            ..Default::default()
        };
        let trust = Trust::new(settings.clone()).unwrap();
        if changed(leaf) {
            proptest::prop_assert!(verify(&trust, &[&damaged(leaf), sub]).is_err());
        }
        if changed(sub) {
            proptest::prop_assert!(verify(&trust, &[leaf, &damaged(sub)]).is_err());
        }
        let crls = vec![damaged(list)];
        if changed(list) && let Ok(trust) = Trust::new(TrustSettings { crls, ..settings.clone() }) {
            proptest::prop_assert!(trust.crls().is_empty());
        }
        let _ = Trust::new(TrustSettings { anchors: vec![damaged(root)], ..settings });
        let _ = PeerIdentity::from_der(&damaged(leaf));
    }
}
