use std::cell::Cell;

use rcgen::{
    CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope, KeyUsagePurpose, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

use super::tests::{verify, with_serial};
use super::*;
use crate::testing::{Ca, Leaf, NOW, trust};

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
        ..TrustSettings::default()
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
            ..TrustSettings::default()
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
fn a_list_of_the_future_takes_no_place_before_its_time() {
    let root = Ca::root("root");
    let leaf = serial_5(&root);
    let list = |number: u64, begins, serials: &[u64]| {
        root.crl_with(serials, |crl| {
            crl.crl_number = SerialNumber::from(number);
            crl.this_update = begins;
        })
    };
    let older = list(1, date_time_ymd(2027, 4, 1), &[]);
    let current = list(2, date_time_ymd(2027, 5, 1), &[]);
    let future = list(3, date_time_ymd(2027, 6, 2), &[5]);
    let lists = [older, current, future];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let given = order.map(|place| lists[place].clone()).to_vec();
        let trust = trust(&[&root], given, Revocation::Require);
        assert!(verify(&trust, &[&leaf.der]).is_ok(), "{order:?}");
        let places: Vec<_> = trust
            .warnings()
            .iter()
            .map(|warning| (order[warning.crl], warning.problem))
            .collect();
        assert_eq!(places, [(0, CrlProblem::Superseded)], "{order:?}");
        let tomorrow = NOW + 86_400;
        let refusal = trust.verify(&[&leaf.der], PeerRole::Client, tomorrow).err();
        assert_eq!(refusal, Some(PathError::Revoked { serial: "5".into() }));
    }
}

#[test]
fn a_certificate_that_may_not_sign_lists_hides_no_twin_that_may() {
    let root = Ca::root("root");
    let leaf = root.leaf("core1.example.net");
    let twin: Der = {
        let mut params = root.params.clone();
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.self_signed(&root.key).unwrap().der().as_ref().into()
    };
    for anchors in [
        vec![twin.clone(), root.der.clone()],
        vec![root.der.clone(), twin.clone()],
    ] {
        let settings = TrustSettings {
            anchors,
            crls: vec![root.crl(&[])],
            ..Default::default()
        };
        let trust = Trust::at(settings, NOW).unwrap();
        assert_eq!(trust.warnings(), []);
        assert!(verify(&trust, &[&leaf.der]).is_ok());
    }
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
    let trust = Trust::with_algorithms(settings, ALGORITHMS, NOW).unwrap();
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
