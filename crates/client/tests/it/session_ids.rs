//! Session ids look like what they are: octets of the operating system's generator.

use std::collections::HashSet;

use doorward_client::{AuthenticationStatus, Login};
use doorward_tacacs::Dialect;

use crate::fake::Fake;
use crate::{alice, client, plain};

/// proves: D05-3.4-2
#[tokio::test]
async fn ten_thousand_ids_are_spread_evenly_and_follow_no_pattern() {
    const IDS: u16 = 10_000;
    let fake =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await;
    let mut server = plain(&fake);
    server.dialect = Dialect::Draft05;
    let client = client([server]);
    for _ in 0..IDS {
        let login = Login::Pap {
            password: b"correct horse",
        };
        assert!(
            client
                .authenticate(&alice(), login)
                .await
                .unwrap()
                .decision
                .is_pass()
        );
    }
    let ids: Vec<u32> = fake
        .requests()
        .iter()
        .map(|request| request.header.session_id.0)
        .collect();
    assert_eq!(ids.len(), usize::from(IDS));
    // Of ten thousand draws from 2^32 about 0.01 are expected to be a repetition.
    let different: HashSet<u32> = ids.iter().copied().collect();
    assert!(different.len() + 2 >= ids.len());
    // Pearson's sum over the 256 values of each octet: 255 on average, over 400 once in a hundred million.
    for octet in 0..4 {
        let mut counts = [0_f64; 256];
        for id in &ids {
            counts[usize::from(id.to_be_bytes()[octet])] += 1.0;
        }
        let expected = f64::from(IDS) / 256.0;
        let sum: f64 = counts
            .iter()
            .map(|count| (count - expected).powi(2) / expected)
            .sum();
        assert!((120.0..400.0).contains(&sum), "octet {octet}: {sum}");
    }
    // Neither counted up nor alike: neighbours differ in half of their bits, give or take six standard deviations.
    let changed: u32 = ids
        .windows(2)
        .map(|pair| (pair[0] ^ pair[1]).count_ones())
        .sum();
    let pairs = f64::from(IDS) - 1.0;
    let deviation = (pairs * 32.0).sqrt() / 2.0;
    assert!((f64::from(changed) - pairs * 16.0).abs() < 6.0 * deviation);
}
