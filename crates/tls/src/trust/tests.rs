use std::cell::Cell;
use std::net::Ipv4Addr;

use rcgen::{
    BasicConstraints, CidrSubnet, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope,
    CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyUsagePurpose,
    NameConstraints, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

use super::*;
use crate::testing::{Ca, Leaf, NOW, policies, trust};

fn verify(trust: &Trust, chain: &[&Der]) -> Result<Arc<PeerIdentity>, PathError> {
    let chain: Vec<&[u8]> = chain.iter().map(|der| &***der).collect();
    trust
        .verify(&chain, PeerRole::Client, NOW)
        .map(|known| known.identity.clone())
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

fn with_serial(serial: u64) -> impl FnOnce(&mut rcgen::CertificateParams) {
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

#[test]
fn more_certificates_than_anybody_needs_are_refused() {
    let root = Ca::root("root");
    let leaf = root.leaf("core1.example.net");
    let chain = vec![&leaf.der; 11];
    assert_eq!(
        verify(&trust(&[&root], Vec::new(), Revocation::Off), &chain),
        Err(PathError::TooManyCertificates)
    );
    assert_eq!(
        verify(&trust(&[&root], Vec::new(), Revocation::Off), &[]),
        Err(PathError::Malformed)
    );
}

fn serial_5(root: &Ca) -> Leaf {
    root.leaf_with("core1.example.net", with_serial(5))
}

#[test]
fn a_listed_leaf_is_revoked_in_either_mode() {
    let root = Ca::root("root");
    let leaf = serial_5(&root);
    for mode in [Revocation::Require, Revocation::IfAvailable] {
        let refusal = verify(
            &trust(&[&root], vec![root.crl(&[4, 5, 6])], mode),
            &[&leaf.der],
        );
        assert_eq!(refusal, Err(PathError::Revoked { serial: "5".into() }));
        assert!(
            verify(
                &trust(&[&root], vec![root.crl(&[4, 6])], mode),
                &[&leaf.der]
            )
            .is_ok()
        );
    }
    assert!(
        verify(
            &trust(&[&root], vec![root.crl(&[5])], Revocation::Off),
            &[&leaf.der]
        )
        .is_ok()
    );
}

#[test]
fn a_listed_intermediate_is_revoked_too() {
    let root = Ca::root("root");
    let sub = root.sub_with("sub", with_serial(9));
    let leaf = sub.leaf("core1.example.net");
    let settings = |root_list: Der| TrustSettings {
        anchors: vec![root.der.clone()],
        intermediates: vec![sub.der.clone()],
        crls: vec![root_list, sub.crl(&[])],
        revocation: Revocation::Require,
    };
    let judge = |root_list| verify(&Trust::new(settings(root_list)).unwrap(), &[&leaf.der]);
    assert!(judge(root.crl(&[])).is_ok());
    assert_eq!(
        judge(root.crl(&[9])),
        Err(PathError::Revoked { serial: "9".into() })
    );
}

#[test]
fn every_issuer_in_the_path_needs_a_current_list_where_one_is_required() {
    let root = Ca::root("root");
    let sub = root.sub("sub");
    let leaf = sub.leaf("core1.example.net");
    let judge = |crls: Vec<Der>, revocation| {
        let settings = TrustSettings {
            anchors: vec![root.der.clone()],
            intermediates: vec![sub.der.clone()],
            crls,
            revocation,
        };
        verify(&Trust::new(settings).unwrap(), &[&leaf.der])
    };
    let missing = Err(PathError::NoCurrentCrl { next_update: None });
    assert_eq!(judge(Vec::new(), Revocation::Require), missing);
    assert_eq!(judge(vec![root.crl(&[])], Revocation::Require), missing);
    assert_eq!(judge(vec![sub.crl(&[])], Revocation::Require), missing);
    assert!(judge(vec![sub.crl(&[]), root.crl(&[])], Revocation::Require).is_ok());
    assert!(judge(Vec::new(), Revocation::IfAvailable).is_ok());
}

#[test]
fn a_lapsed_list_is_not_current_but_still_proves_what_it_lists() {
    let root = Ca::root("root");
    let leaf = serial_5(&root);
    let lapsed = |serials: &[u64]| {
        root.crl_with(serials, |crl| crl.next_update = date_time_ymd(2027, 5, 31))
    };
    let judge = |list, mode| verify(&trust(&[&root], vec![list], mode), &[&leaf.der]);
    let refusal = Err(PathError::NoCurrentCrl {
        next_update: Some(NOW - 86_400),
    });
    assert_eq!(judge(lapsed(&[]), Revocation::Require), refusal);
    assert!(judge(lapsed(&[]), Revocation::IfAvailable).is_ok());
    assert_eq!(
        judge(lapsed(&[5]), Revocation::IfAvailable),
        Err(PathError::Revoked { serial: "5".into() })
    );
    let early = root.crl_with(&[], |crl| crl.this_update = date_time_ymd(2027, 6, 2));
    assert_eq!(
        judge(early, Revocation::Require).unwrap_err().name(),
        "no-current-crl"
    );
}

#[test]
fn a_list_lapses_while_the_server_runs() {
    let root = Ca::root("root");
    let leaf = root.leaf("core1.example.net");
    let trust = trust(&[&root], vec![root.crl(&[])], Revocation::Require);
    let chain: [&[u8]; 1] = [&leaf.der];
    assert!(trust.verify(&chain, PeerRole::Client, NOW).is_ok());
    assert!(trust.crls()[0].is_current(NOW));
    let july = NOW + 40 * 86_400;
    assert!(!trust.crls()[0].is_current(july));
    let refusal = trust
        .verify(&chain, PeerRole::Client, july)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        refusal.name(),
        "no-current-crl",
        "a remembered path is judged by time again"
    );
}

#[test]
fn the_list_with_the_greatest_number_wins_in_any_order() {
    let root = Ca::root("root");
    let leaf = serial_5(&root);
    let numbered = |number: u64, serials: &[u64]| {
        root.crl_with(serials, |crl| crl.crl_number = SerialNumber::from(number))
    };
    let (old, new) = (numbered(255, &[5]), numbered(256, &[]));
    for lists in [vec![old.clone(), new.clone()], vec![new, old]] {
        let trust = trust(&[&root], lists, Revocation::Require);
        assert!(verify(&trust, &[&leaf.der]).is_ok());
        assert_eq!(trust.crls().len(), 1);
        assert_eq!(trust.warnings()[0].problem, CrlProblem::Superseded);
    }
}

#[test]
fn a_list_that_does_not_count_is_reported_and_never_means_not_revoked() {
    let (root, stranger) = (Ca::root("root"), Ca::root("stranger"));
    let impostor = Ca::root("root");
    let unable = Ca::root_with("root", |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign]
    });
    let partition = root.crl_with(&[], |crl| {
        crl.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint {
                uris: vec!["http://crl.example.net/1".into()],
            },
            scope: Some(CrlScope::UserCertsOnly),
        });
    });
    let cases = [
        (&root, stranger.crl(&[]), CrlProblem::UnknownIssuer),
        (&root, impostor.crl(&[]), CrlProblem::BadSignature),
        (&root, partition, CrlProblem::NotEvaluated),
        (&unable, unable.crl(&[]), CrlProblem::IssuerMayNotSign),
    ];
    for (anchor, list, problem) in cases {
        let leaf = anchor.leaf("core1.example.net");
        let trust = trust(&[anchor], vec![list], Revocation::Require);
        assert_eq!(trust.warnings()[0].problem, problem);
        assert!(trust.crls().is_empty());
        assert_eq!(
            verify(&trust, &[&leaf.der]),
            Err(PathError::NoCurrentCrl { next_update: None }),
            "{problem:?}"
        );
    }
}

#[test]
fn a_rolled_over_key_has_its_own_list() {
    let (first, second) = (Ca::root("root"), Ca::root("root"));
    let leaf = second.leaf_with("core1.example.net", with_serial(5));
    // The list of the old key says nothing about certificates of the new one.
    let lists = vec![first.crl(&[5]), second.crl(&[])];
    assert!(
        verify(
            &trust(&[&first, &second], lists, Revocation::Require),
            &[&leaf.der]
        )
        .is_ok()
    );
    let lists = vec![first.crl(&[])];
    let refusal = verify(
        &trust(&[&first, &second], lists, Revocation::Require),
        &[&leaf.der],
    );
    assert_eq!(refusal, Err(PathError::NoCurrentCrl { next_update: None }));
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

#[test]
fn a_remembered_path_is_bound_to_chain_and_role() {
    let root = Ca::root("root");
    let leaf = root.leaf_with("core1.example.net", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let trust = trust(&[&root], Vec::new(), Revocation::Off);
    let chain: [&[u8]; 1] = [&leaf.der];
    assert!(trust.verify(&chain, PeerRole::Client, NOW).is_ok());
    assert_eq!(trust.memo.len(), 1);
    assert!(trust.verify(&chain, PeerRole::Server, NOW).is_err());
    let mut changed = leaf.der.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    assert!(trust.verify(&[&changed], PeerRole::Client, NOW).is_err());
    assert_eq!(trust.memo.len(), 1, "only good paths are remembered");
    let next_year = NOW + 300 * 86_400;
    assert!(matches!(
        trust.verify(&chain, PeerRole::Client, next_year),
        Err(PathError::Expired { .. })
    ));
}

#[test]
fn the_memo_is_bounded() {
    let root = Ca::root("root");
    let leaf = root.leaf("core1.example.net");
    let trust = trust(&[&root], Vec::new(), Revocation::Off);
    let known = trust.verify(&[&leaf.der], PeerRole::Client, NOW).unwrap();
    for number in 0..20_000_u64 {
        trust.memo.insert(
            memo::key(&[&number.to_be_bytes()], PeerRole::Client),
            known.clone(),
        );
    }
    assert!(trust.memo.len() <= 8192);
}

thread_local! {
    static VERIFICATIONS: Cell<usize> = const { Cell::new(0) };
}

/// P-256 with SHA-256, counted.
#[derive(Debug)]
struct Counting;

impl SignatureVerificationAlgorithm for Counting {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        VERIFICATIONS.set(VERIFICATIONS.get() + 1);
        webpki::aws_lc_rs::ECDSA_P256_SHA256.verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        webpki::aws_lc_rs::ECDSA_P256_SHA256.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        webpki::aws_lc_rs::ECDSA_P256_SHA256.signature_alg_id()
    }
}

#[test]
fn a_list_of_a_hundred_thousand_entries_is_verified_once() {
    static ALGORITHMS: path::Algorithms = &[&Counting];
    let root = Ca::root("root");
    let serials: Vec<u64> = (1_000..101_000).collect();
    let settings = TrustSettings {
        anchors: vec![root.der.clone()],
        crls: vec![root.crl(&serials)],
        revocation: Revocation::Require,
        ..Default::default()
    };
    let trust = Trust::with_algorithms(settings, ALGORITHMS).unwrap();
    assert_eq!(VERIFICATIONS.get(), 1, "at load");
    assert_eq!(trust.crls()[0].entries, 100_000);
    let good = root.leaf_with("core1.example.net", with_serial(7));
    let revoked = root.leaf_with("core1.example.net", with_serial(100_999));
    for handshakes in 0..10 {
        assert!(verify(&trust, &[&good.der]).is_ok());
        let refusal = verify(&trust, &[&revoked.der]);
        assert_eq!(
            refusal,
            Err(PathError::Revoked {
                serial: "18a87".into()
            })
        );
        // The good path is remembered; the revoked one costs the one signature of its own certificate.
        assert_eq!(VERIFICATIONS.get(), 1 + 1 + handshakes + 1);
    }
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
