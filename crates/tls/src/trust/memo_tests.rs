use std::net::Ipv4Addr;

use rcgen::{ExtendedKeyUsagePurpose, SanType};

use super::tests::verify;
use super::*;
use crate::testing::{Ca, NOW, trust};

#[test]
fn a_remembered_path_is_bound_to_chain_and_role() {
    let root = Ca::root("root");
    let leaf = root.leaf_with("core1.example.net", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let trust = trust(&[&root], Vec::new(), Revocation::Off);
    let chain: [&[u8]; 1] = [&leaf.der];
    let judged = trust.verify(&chain, PeerRole::Client, NOW).unwrap();
    assert_eq!(trust.remembered(), 0, "nothing is proved yet");
    trust.remember(&judged);
    trust.remember(&judged);
    assert_eq!(trust.remembered(), 1);
    assert!(trust.verify(&chain, PeerRole::Server, NOW).is_err());
    let mut changed = leaf.der.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    assert!(trust.verify(&[&changed], PeerRole::Client, NOW).is_err());
    assert_eq!(trust.remembered(), 1, "only good paths are remembered");
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
    let known = trust
        .verify(&[&leaf.der], PeerRole::Client, NOW)
        .unwrap()
        .known;
    for number in 0..5 * u64::try_from(memo::GENERATION).unwrap() {
        trust.memo.insert(
            memo::key(&[&number.to_be_bytes()], PeerRole::Client),
            &known,
        );
    }
    assert!(trust.remembered() <= 2 * memo::GENERATION);
}

#[test]
fn asking_for_a_path_moves_nothing() {
    let root = Ca::root("root");
    let leaf = root.leaf("core1.example.net");
    let trust = trust(&[&root], Vec::new(), Revocation::Off);
    let judged = trust.verify(&[&leaf.der], PeerRole::Client, NOW).unwrap();
    let memo = memo::Memo::default();
    let key = |number: u32| memo::key(&[&number.to_be_bytes()], PeerRole::Client);
    let generation = u32::try_from(memo::GENERATION).unwrap();
    for number in 0..2 * generation {
        memo.insert(key(number), &judged.known);
    }
    for number in 0..generation {
        assert!(memo.get(&key(number)).is_some(), "an old one is found");
    }
    assert_eq!(memo.len(), 2 * memo::GENERATION, "and stays where it is");
    memo.insert(key(0), &judged.known);
    assert!(
        memo.get(&key(0)).is_some(),
        "one that is used again is kept"
    );
    assert!(memo.get(&key(1)).is_none());
    assert_eq!(memo.len(), memo::GENERATION + 1);
}

#[test]
fn rubbish_behind_the_leaf_takes_no_memory() {
    let root = Ca::root("root");
    let leaf = root.leaf("core1.example.net");
    let trust = trust(&[&root], Vec::new(), Revocation::Off);
    let octets = |chain: &[&[u8]]| {
        let judged = trust.verify(chain, PeerRole::Client, NOW).unwrap();
        judged.known.octets()
    };
    let alone = octets(&[&leaf.der]);
    assert!(alone < 1000, "{alone} octets");
    assert_eq!(octets(&[&leaf.der, &[0; 30_000]]), alone);
}

#[test]
fn an_identity_too_large_to_remember_is_served_all_the_same() {
    let root = Ca::root("root");
    let leaf = root.leaf_with("core1.example.net", |params| {
        for number in 0..1000_u32 {
            let address = Ipv4Addr::from(0x0a00_0000 + number);
            params
                .subject_alt_names
                .push(SanType::IpAddress(address.into()));
        }
    });
    let trust = trust(&[&root], Vec::new(), Revocation::Off);
    assert_eq!(verify(&trust, &[&leaf.der]).unwrap().ip.len(), 1000);
    assert_eq!(trust.remembered(), 0);
}
