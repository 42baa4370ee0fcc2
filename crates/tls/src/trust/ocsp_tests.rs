//! The answers are made by the `openssl ocsp` of the system.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, KeyUsagePurpose, SerialNumber,
    date_time_ymd,
};

use super::*;
use crate::testing::{Ca, Leaf};

const RESPONDER: &str = "http://127.0.0.1:9/ocsp";

/// Now, when the answers are made.
fn today() -> i64 {
    Clock::system().now()
}

/// Valid while this test runs, with a responder and this serial number.
fn asked(serial: u64) -> impl FnOnce(&mut CertificateParams) {
    move |params| {
        long_lived(params);
        params.serial_number = Some(SerialNumber::from(serial));
        params.custom_extensions.push(access(RESPONDER));
    }
}

fn long_lived(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2060, 1, 1);
}

/// authorityInfoAccess with a responder.
fn access(url: &str) -> CustomExtension {
    let element = |tag: u8, contents: &[u8]| {
        let length = u8::try_from(contents.len()).unwrap();
        [&[tag, length], contents].concat()
    };
    let oid = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 1];
    let description = [&oid[..], &element(0x86, url.as_bytes())].concat();
    let content = element(0x30, &element(0x30, &description));
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

/// Somebody who answers.
struct Responder {
    place: PathBuf,
}

impl Responder {
    /// For the certificates of `ca`; `signer` signs the answers.
    fn new(ca: &Ca, signer: (&Der, &rcgen::KeyPair)) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("doorward-ocsp-{}-{count}", std::process::id());
        let place = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&place).unwrap();
        let write = |name: &str, text: &[u8]| std::fs::write(place.join(name), text).unwrap();
        write("ca.der", &ca.der);
        write("signer.der", signer.0);
        write("signer.key", signer.1.serialize_pem().as_bytes());
        let this = Self { place };
        for name in ["ca", "signer"] {
            let (from, to) = (format!("{name}.der"), format!("{name}.pem"));
            this.openssl(&["x509", "-inform", "DER", "-in", &from, "-out", &to]);
        }
        this
    }

    /// The issuer itself answers.
    fn of(ca: &Ca) -> Self {
        Self::new(ca, (&ca.der, &ca.key))
    }

    fn openssl(&self, arguments: &[&str]) {
        let mut openssl = Command::new("openssl");
        let output = openssl.args(arguments).current_dir(&self.place).output();
        let output = output.expect("openssl runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments:?}: {said}");
    }

    /// The answer of a responder that knows these certificates: `V` or `R`, and the serial number.
    fn answer(&self, query: &StatusQuery, known: &[(char, u64)], more: &[&str]) -> Vec<u8> {
        let lines = known.iter().map(|(kind, serial)| {
            let revoked = if *kind == 'R' { "250101000000Z" } else { "" };
            format!("{kind}\t491231235959Z\t{revoked}\t{serial:02X}\tunknown\t/CN=leaf\n")
        });
        let text: String = lines.collect();
        std::fs::write(self.place.join("index.txt"), text).unwrap();
        std::fs::write(self.place.join("request"), query.request().unwrap()).unwrap();
        let fixed = "ocsp -index index.txt -CA ca.pem -rsigner signer.pem -rkey signer.key -reqin request -respout answer";
        let arguments: Vec<&str> = fixed.split(' ').chain(more.iter().copied()).collect();
        self.openssl(&arguments);
        std::fs::read(self.place.join("answer")).unwrap()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.place);
    }
}

const AN_HOUR: [&str; 2] = ["-nmin", "60"];

struct Case {
    ca: Ca,
    leaf: Leaf,
    trust: Trust,
}

impl Case {
    fn new(ocsp: Ocsp) -> Self {
        let ca = Ca::root_with("root", long_lived);
        let leaf = ca.leaf_with("core1.example.net", asked(5));
        let trust = trusting(&ca, ocsp);
        Self { ca, leaf, trust }
    }

    fn judged(&self) -> Result<Judged, PathError> {
        let chain: [&[u8]; 1] = [&self.leaf.der];
        self.trust.verify(&chain, PeerRole::Client, today())
    }

    /// The only question about the leaf.
    fn question(&self) -> StatusQuery {
        let mut open = self.trust.open_questions(&self.judged().unwrap(), today());
        assert_eq!(open.len(), 1);
        open.remove(0)
    }

    fn take(&self, octets: &[u8]) -> Result<CertificateStatus, StatusError> {
        self.trust.take_answer(&self.question(), octets, today())
    }

    fn settled(&self) -> Result<(), PathError> {
        self.trust.settle(&self.judged()?, today())
    }
}

fn trusting(ca: &Ca, ocsp: Ocsp) -> Trust {
    let settings = TrustSettings {
        anchors: vec![ca.der.clone()],
        revocation: Revocation::Off,
        ocsp,
        ..TrustSettings::default()
    };
    Trust::new(settings).unwrap()
}

#[test]
fn an_answer_that_says_good_settles_it_until_it_lapses() {
    let case = Case::new(Ocsp::Require);
    let question = case.question();
    assert_eq!(&**question.responder(), RESPONDER);
    let answer = Responder::of(&case.ca).answer(&question, &[('V', 5)], &AN_HOUR);
    let judged = case.judged().unwrap();
    assert_eq!(case.take(&answer), Ok(CertificateStatus::Good));
    assert!(case.trust.open_questions(&judged, today()).is_empty());
    assert_eq!(case.settled(), Ok(()));
    let until = case.trust.status_until(&judged).unwrap();
    assert!((3500..=3600).contains(&(until - today())), "{until}");
    assert_eq!(case.trust.open_questions(&judged, until + 1).len(), 1);
    assert!(case.trust.settle(&judged, until + 1).is_err());
}

#[test]
fn an_answer_that_says_revoked_refuses_at_once_and_ends_what_is_open() {
    for mode in [Ocsp::Require, Ocsp::IfAvailable] {
        let case = Case::new(mode);
        let judged = case.judged().unwrap();
        let question = case.question();
        let answer = Responder::of(&case.ca).answer(&question, &[('R', 5)], &AN_HOUR);
        let taken = case.trust.take_answer(&question, &answer, today());
        assert_eq!(taken, Ok(CertificateStatus::Revoked));
        let revoked = PathError::Revoked { serial: "5".into() };
        assert_eq!(case.trust.settle(&judged, today()), Err(revoked.clone()));
        assert_eq!(case.trust.rejudge(&judged, today()), Err(revoked.clone()));
        assert_eq!(case.judged().err(), Some(revoked.clone()));
        // Once it has lapsed the responder is asked again, and believed if it does not answer.
        let later = today() + 7200;
        assert_eq!(case.trust.open_questions(&judged, later).len(), 1);
        assert_eq!(case.trust.settle(&judged, later), Err(revoked));
    }
}

#[test]
fn no_answer_refuses_where_one_is_required_and_ends_nothing() {
    let case = Case::new(Ocsp::Require);
    let judged = case.judged().unwrap();
    let none = PathError::NoStatus {
        responder: Some(RESPONDER.into()),
    };
    assert_eq!(case.settled(), Err(none));
    assert_eq!(case.trust.rejudge(&judged, today()), Ok(()));
    let case = Case::new(Ocsp::IfAvailable);
    assert_eq!(case.settled(), Ok(()));
}

#[test]
fn a_certificate_that_names_no_responder_needs_a_current_list() {
    let ca = Ca::root_with("root", long_lived);
    let leaf = ca.leaf_with("core1.example.net", long_lived);
    let chain: [&[u8]; 1] = [&leaf.der];
    let judge = |crls: Vec<Der>, responder: Option<&str>, now| {
        let settings = TrustSettings {
            anchors: vec![ca.der.clone()],
            crls,
            revocation: Revocation::IfAvailable,
            ocsp: Ocsp::Require,
            ocsp_responder: responder.map(Arc::from),
            ..TrustSettings::default()
        };
        let trust = Trust::new(settings).unwrap();
        let judged = trust.verify(&chain, PeerRole::Client, now)?;
        Ok(trust.open_questions(&judged, now).len())
    };
    let nobody = Err(PathError::NoStatus { responder: None });
    assert_eq!(judge(Vec::new(), None, today()), nobody);
    assert_eq!(judge(Vec::new(), Some(RESPONDER), today()), Ok(1));
    assert_eq!(judge(vec![ca.crl(&[])], None, crate::testing::NOW), Ok(0));
}

#[test]
fn only_the_issuer_and_whom_it_allows_to_are_believed() {
    let case = Case::new(Ocsp::Require);
    let question = case.question();
    let ask = |signer: (&Der, &rcgen::KeyPair)| {
        let responder = Responder::new(&case.ca, signer);
        let answer = responder.answer(&question, &[('V', 5)], &AN_HOUR);
        case.trust.take_answer(&question, &answer, today())
    };
    let signer = |purpose: Option<ExtendedKeyUsagePurpose>, from: &Ca| {
        from.leaf_with("ocsp.example.net", |params| {
            long_lived(params);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = purpose.into_iter().collect();
        })
    };
    let delegated = signer(Some(ExtendedKeyUsagePurpose::OcspSigning), &case.ca);
    assert_eq!(
        ask((&delegated.der, &delegated.key)),
        Ok(CertificateStatus::Good)
    );
    let another = Ca::root_with("root", long_lived);
    let foreign = signer(Some(ExtendedKeyUsagePurpose::OcspSigning), &another);
    let device = signer(Some(ExtendedKeyUsagePurpose::ClientAuth), &case.ca);
    let lapsed = case.ca.leaf_with("ocsp.example.net", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
    });
    for no_signer in [&foreign, &device, &lapsed] {
        let refused = ask((&no_signer.der, &no_signer.key));
        assert_eq!(refused, Err(StatusError::Signature));
    }
    assert_eq!(
        ask((&another.der, &another.key)),
        Err(StatusError::Signature)
    );
}

#[test]
fn what_tells_nothing_is_told_from_what_does() {
    let case = Case::new(Ocsp::Require);
    let question = case.question();
    let responder = Responder::of(&case.ca);
    let unknown = responder.answer(&question, &[('V', 6)], &AN_HOUR);
    assert_eq!(case.take(&unknown), Err(StatusError::Unknown));
    let old_hash = responder.answer(&question, &[('V', 5)], &["-nmin", "60", "-rmd", "sha1"]);
    assert_eq!(case.take(&old_hash), Err(StatusError::Signature));
    let good = responder.answer(&question, &[('V', 5)], &AN_HOUR);
    let late = case.trust.take_answer(&question, &good, today() + 7200);
    assert_eq!(late, Err(StatusError::NotCurrent));
    let early = case.trust.take_answer(&question, &good, today() - 7200);
    assert_eq!(early, Err(StatusError::NotCurrent));
    let other = case.ca.leaf_with("core2.example.net", asked(6));
    let about = StatusQuery::about(&other.der, &case.ca.der, None).unwrap();
    let other = case.trust.take_answer(&about, &good, today());
    assert_eq!(other, Err(StatusError::OtherCertificate));
    assert_eq!(case.take(b"no answer"), Err(StatusError::Malformed));
    // OCSPResponse { tryLater }
    let later = StatusError::NotAnswered("tryLater");
    assert_eq!(case.take(&[0x30, 3, 0x0a, 1, 3]), Err(later));
    assert_eq!(case.take(&good), Ok(CertificateStatus::Good));
}

/// An answer without nextUpdate counts for a minute: its responder always has a newer one.
#[test]
fn an_answer_without_an_end_is_asked_for_again_soon() {
    let case = Case::new(Ocsp::Require);
    let answer = Responder::of(&case.ca).answer(&case.question(), &[('V', 5)], &[]);
    assert_eq!(case.take(&answer), Ok(CertificateStatus::Good));
    let judged = case.judged().unwrap();
    assert!(case.trust.open_questions(&judged, today() + 30).is_empty());
    assert_eq!(case.trust.open_questions(&judged, today() + 70).len(), 1);
}

/// Nobody who caught an answer without nextUpdate can show it for ever: it says good of what was revoked since.
#[test]
fn an_answer_without_an_end_is_not_taken_once_it_is_old() {
    let case = Case::new(Ocsp::Require);
    let question = case.question();
    let answer = Responder::of(&case.ca).answer(&question, &[('V', 5)], &[]);
    let old = case.trust.take_answer(&question, &answer, today() + 86_400);
    assert_eq!(old, Err(StatusError::NotCurrent));
    assert_eq!(case.take(&answer), Ok(CertificateStatus::Good));
}

/// Else a connection that began while the responder was silent would never be asked about again.
#[test]
fn an_answer_that_is_missing_has_lapsed() {
    let case = Case::new(Ocsp::IfAvailable);
    let judged = case.judged().unwrap();
    assert!(case.trust.status_until(&judged).unwrap() < today());
    let case = Case::new(Ocsp::Off);
    assert_eq!(case.trust.status_until(&case.judged().unwrap()), None);
}

#[test]
fn an_older_answer_takes_back_nothing() {
    let case = Case::new(Ocsp::Require);
    let question = case.question();
    let about = |status, this_update| ocsp::Answer::at(status, this_update, today() + 100);
    let keep = |answer| case.trust.statuses.keep(&question, answer, today());
    let (good, revoked) = (CertificateStatus::Good, CertificateStatus::Revoked);
    assert_eq!(keep(about(revoked, today())), Ok(()));
    let older = keep(about(good, today() - 50));
    assert_eq!(older, Err(StatusError::Older));
    assert!(matches!(case.judged(), Err(PathError::Revoked { .. })));
}

#[test]
fn the_answers_outlive_the_configuration() {
    let case = Case::new(Ocsp::Require);
    let answer = Responder::of(&case.ca).answer(&case.question(), &[('V', 5)], &AN_HOUR);
    case.take(&answer).unwrap();
    let next = trusting(&case.ca, Ocsp::Require);
    next.adopt_answers(&case.trust);
    let chain: [&[u8]; 1] = [&case.leaf.der];
    let judged = next.verify(&chain, PeerRole::Client, today()).unwrap();
    assert!(next.open_questions(&judged, today()).is_empty());
}

#[test]
fn every_certificate_of_the_path_is_asked_about() {
    let root = Ca::root_with("root", long_lived);
    let sub = root.sub_with("sub", asked(9));
    let leaf = sub.leaf_with("core1.example.net", asked(5));
    let trust = trusting(&root, Ocsp::Require);
    let chain: [&[u8]; 2] = [&leaf.der, &sub.der];
    let judged = trust.verify(&chain, PeerRole::Client, today()).unwrap();
    let open = trust.open_questions(&judged, today());
    let [of_leaf, of_sub] = open.as_slice() else {
        panic!("{open:?}");
    };
    let good = Responder::of(&sub).answer(of_leaf, &[('V', 5)], &AN_HOUR);
    assert_eq!(
        trust.take_answer(of_leaf, &good, today()),
        Ok(CertificateStatus::Good)
    );
    assert!(trust.settle(&judged, today()).is_err());
    let revoked = Responder::of(&root).answer(of_sub, &[('R', 9)], &AN_HOUR);
    let taken = trust.take_answer(of_sub, &revoked, today());
    assert_eq!(taken, Ok(CertificateStatus::Revoked));
    assert_eq!(
        trust.settle(&judged, today()),
        Err(PathError::Revoked { serial: "9".into() })
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]

    /// One octet wrong anywhere: it is refused, or it was an octet that says nothing.
    #[test]
    fn a_damaged_answer_never_says_another_thing(place: proptest::sample::Index, bit in 0_u8..8) {
        static MADE: std::sync::OnceLock<(Case, Vec<u8>)> = std::sync::OnceLock::new();
        let (case, answer) = MADE.get_or_init(|| {
            let case = Case::new(Ocsp::Require);
            let answer = Responder::of(&case.ca).answer(&case.question(), &[('R', 5)], &["-nmin", "600"]);
            (case, answer)
        });
        let mut damaged = answer.clone();
        let place = place.index(damaged.len());
        damaged[place] ^= 1 << bit;
        let question = StatusQuery::about(&case.leaf.der, &case.ca.der, None).unwrap();
        let algorithms = case.trust.material.algorithms();
        let read = ocsp::read(&question, &damaged, algorithms, today());
        let said = read.map(|answer| answer.status);
        proptest::prop_assert!(said != Ok(CertificateStatus::Good), "octet {place}");
    }
}
