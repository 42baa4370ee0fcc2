//! Hash vectors of every kind, and the pool under load.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use zeroize::Zeroizing;

use super::*;
use crate::aaa::{Reason, Unavailable};

const PATIENT: Duration = Duration::from_secs(3600);

/// Made with crypt(3) (libxcrypt), `openssl passwd` and the reference implementation of argon2.
const VECTORS: &[(HashKind, &str, &str)] = &[
    (
        HashKind::Argon2id,
        "password",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    ),
    (
        HashKind::Sha512Crypt,
        "correct horse",
        "$6$Kx7pQ2vT$AiIxJcVEMRZQ6Y8jd82oNaFSjp.hREYrb1GWfd6uVF8ZFZcc67VDaB2UBsVX/6L5IBWLT9vCBG1XGGWhxrbPq.",
    ),
    (
        HashKind::Sha512Crypt,
        "correct horse",
        "$6$rounds=20000$Kx7pQ2vT$/kZ3qrAwSa/MTbjcmxFoa2i5niGJ.Gdd7hRE4qTwSuL0EW/L5m14T3XB8fn.2ZUTnVNMFhLI185AeVBiaEalu.",
    ),
    (
        HashKind::Sha256Crypt,
        "correct horse",
        "$5$Kx7pQ2vT$P1/bQ7MRnoZKo3nRjS2ZW6D.p6RkeAm4s8gvEWbJOPB",
    ),
    (
        HashKind::Sha256Crypt,
        "passw\u{f6}rd",
        "$5$a$bYPc8QREMuOkv40EEK64bIof.iAz7wnL4ykGMAOkTEB",
    ),
    (
        HashKind::Yescrypt,
        "correct horse",
        "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$zwtVrjrUCmXcyLTs6oxLTQlzifSUkF8RHJ./tK5KU79",
    ),
    (
        HashKind::Yescrypt,
        "correct horse",
        "$y$j75$F5Jx5fExrKuPp53xLKQ..1$aEFV0VcEI5Jx.rzUhLbfRgipTKSbuNF0ldHPkDpnco3",
    ),
    (
        HashKind::Bcrypt,
        "correct horse",
        "$2a$06$abcdefghijklmnopqrstuud/5IuQmqhVO0kfNEbHJM.fJkPiliBzC",
    ),
    (
        HashKind::Bcrypt,
        "correct horse",
        "$2b$06$abcdefghijklmnopqrstuud/5IuQmqhVO0kfNEbHJM.fJkPiliBzC",
    ),
    (
        HashKind::Bcrypt,
        "correct horse",
        "$2y$06$abcdefghijklmnopqrstuud/5IuQmqhVO0kfNEbHJM.fJkPiliBzC",
    ),
    (
        HashKind::Md5Crypt,
        "correct horse",
        "$1$Kx7pQ2vT$QiYSrGjRSMfx4TXXpy0rS/",
    ),
    (HashKind::Md5Crypt, "", "$1$a$8CfZSfErbeskipdhZHtvu."),
    (
        HashKind::Md5Crypt,
        "a much longer password than sixteen octets",
        "$1$abcdefgh$xYgzCeAep4jRR7g1m7ysq.",
    ),
];

fn secret(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

fn poll(verification: &mut Verification) -> Poll<Result<bool, Unavailable>> {
    pin!(verification).poll(&mut Context::from_waker(Waker::noop()))
}

const BUSY: Poll<Result<bool, Unavailable>> = Poll::Ready(Err(Unavailable(Reason::HashingBusy)));

#[test]
fn every_kind_knows_its_password_and_no_other() {
    let mut scratch = Scratch::default();
    for (kind, password, text) in VECTORS {
        let hash = PasswordHash::parse(&format!(" {text}\n")).unwrap();
        assert_eq!(hash.kind(), *kind);
        let mut verify = |password: &[u8]| hash.verify(password, &mut scratch).unwrap();
        assert!(verify(password.as_bytes()), "{text}");
        assert!(!verify(format!("{password}x").as_bytes()), "{text}");
        assert!(!verify(b"Correct horse"), "{text}");
        assert!(!verify(format!("{password}\0").as_bytes()), "{text}");
        assert!(
            !verify(format!("{password}\0{password}").as_bytes()),
            "{text}"
        );
    }
}

#[test]
fn a_new_hash_verifies_and_differs_each_time() {
    let mut scratch = Scratch::default();
    let (first, second) = (
        hash_password(b"new secret").unwrap(),
        hash_password(b"new secret").unwrap(),
    );
    assert_ne!(first, second);
    assert!(
        first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{first}"
    );
    let hash = PasswordHash::parse(&first).unwrap();
    assert_eq!(hash.verify(b"new secret", &mut scratch), Ok(true));
    assert_eq!(hash.verify(b"old secret", &mut scratch), Ok(false));
    assert_eq!(hash_password(b""), Err(HashError::Length));
    assert_eq!(
        hash_password(&[b'x'; MAX_PASSWORD + 1]),
        Err(HashError::Length)
    );
}

#[test]
fn a_password_over_the_limit_is_wrong_even_if_its_start_is_right() {
    let longest = [b'x'; MAX_PASSWORD + 1];
    let hash = PasswordHash::parse(&hash_password(&longest[1..]).unwrap()).unwrap();
    let mut scratch = Scratch::default();
    assert_eq!(hash.verify(&longest[1..], &mut scratch), Ok(true));
    assert_eq!(hash.verify(&longest, &mut scratch), Ok(false));
}

#[test]
fn debug_shows_the_kind_only() {
    for (kind, _, text) in VECTORS {
        let hash = PasswordHash::parse(text).unwrap();
        assert_eq!(
            format!("{hash:?}"),
            format!("PasswordHash({})", kind.name())
        );
    }
}

#[test]
fn absurd_costs_are_refused() {
    for (kind, text) in [
        (
            HashKind::Argon2id,
            "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        ),
        (
            HashKind::Argon2id,
            "$argon2id$v=19$m=65536,t=500,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        ),
        (
            HashKind::Sha512Crypt,
            "$6$rounds=999999999$Kx7pQ2vT$AiIxJcVEMRZQ6Y8jd82oNaFSjp.hREYrb1GWfd6uVF8ZFZcc67VDaB2UBsVX/6L5IBWLT9vCBG1XGGWhxrbPq.",
        ),
        (
            HashKind::Sha256Crypt,
            "$5$rounds=99999999$Kx7pQ2vT$P1/bQ7MRnoZKo3nRjS2ZW6D.p6RkeAm4s8gvEWbJOPB",
        ),
        (
            HashKind::Bcrypt,
            "$2b$17$abcdefghijklmnopqrstuud/5IuQmqhVO0kfNEbHJM.fJkPiliBzC",
        ),
        (
            HashKind::Yescrypt,
            "$y$jJT$F5Jx5fExrKuPp53xLKQ..1$zwtVrjrUCmXcyLTs6oxLTQlzifSUkF8RHJ./tK5KU79",
        ),
    ] {
        let refused = PasswordHash::parse(text).unwrap_err();
        assert_eq!(refused, HashError::TooCostly(kind), "{text}");
        assert!(refused.to_string().contains(kind.name()), "{refused}");
    }
    // The usual advice of other systems is not absurd.
    for text in [
        "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$6$rounds=656000$Kx7pQ2vT$AiIxJcVEMRZQ6Y8jd82oNaFSjp.hREYrb1GWfd6uVF8ZFZcc67VDaB2UBsVX/6L5IBWLT9vCBG1XGGWhxrbPq.",
        "$2b$14$abcdefghijklmnopqrstuud/5IuQmqhVO0kfNEbHJM.fJkPiliBzC",
        "$y$jBT$F5Jx5fExrKuPp53xLKQ..1$zwtVrjrUCmXcyLTs6oxLTQlzifSUkF8RHJ./tK5KU79",
    ] {
        assert!(PasswordHash::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn what_is_no_hash_is_refused_and_not_repeated() {
    for text in [
        "",
        "hunter2",
        "$",
        "$$",
        "$3$x$y",
        "$2x$06$abcdefghijklmnopqrstuud/5IuQmqhVO0kfNEbHJM.fJkPiliBzC",
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$AAAA",
    ] {
        let refused = PasswordHash::parse(text).unwrap_err();
        assert_eq!(refused, HashError::UnknownKind, "{text}");
        assert!(!refused.to_string().contains("hunter2"));
    }
}

/// A hash that was cut or changed in copying must not become one that never matches.
#[test]
fn a_damaged_hash_is_refused() {
    for (kind, _, text) in VECTORS {
        for damaged in [
            text[..text.len() - 1].to_owned(),
            format!("{text}x"),
            format!("{text}$x"),
            format!("{}!", &text[..text.len() - 1]),
            text[..text.rfind('$').unwrap() + 1].to_owned(),
            text[..text.rfind('$').unwrap()].to_owned(),
        ] {
            assert_eq!(
                PasswordHash::parse(&damaged).unwrap_err(),
                HashError::Malformed(*kind),
                "{damaged}"
            );
        }
    }
}

#[tokio::test]
async fn the_pool_answers_right_and_wrong() {
    let pool = HashingPool::new(2, 16).unwrap();
    for (_, password, text) in VECTORS {
        let hash = PasswordHash::parse(text).unwrap();
        assert_eq!(
            pool.verify(&hash, secret(password), PATIENT).await,
            Ok(true),
            "{text}"
        );
        assert_eq!(
            pool.verify(&hash, secret("wrong"), PATIENT).await,
            Ok(false),
            "{text}"
        );
    }
    assert_eq!(pool.stats().waiting, 0);
}

#[tokio::test]
async fn an_unknown_user_costs_a_default_hash_and_is_never_right() {
    let pool = HashingPool::new(1, 16).unwrap();
    for password in ["", "x", "secret"] {
        let before = pool.hashed();
        assert_eq!(
            pool.verify_decoy(secret(password), PATIENT).await,
            Ok(false)
        );
        assert_eq!(pool.hashed(), before + 1);
    }
    let usual = PasswordHash::parse(&hash_password(b"x").unwrap()).unwrap();
    assert_eq!(pool.decoy_cost(), Some(usual.nominal_cost()));
}

#[tokio::test]
async fn a_queue_longer_than_the_patience_is_answered_busy_at_once() {
    let pool = HashingPool::new(1, 100_000).unwrap();
    let hash = PasswordHash::parse(&hash_password(b"secret").unwrap()).unwrap();
    let patience = Duration::from_secs(3);
    let mut waiting = Vec::new();
    // Far more than one worker can hash in three seconds, submitted in a few milliseconds.
    let refused = (0..5_000).find_map(|_| {
        let mut verification = pool.verify(&hash, secret("wrong"), patience);
        match poll(&mut verification) {
            Poll::Pending => {
                waiting.push(verification);
                None
            }
            answer => Some(answer),
        }
    });
    assert_eq!(refused, Some(BUSY));
    assert!(waiting.len() > 10, "only {} were let in", waiting.len());
    // A patient device is let in all the same, and one that is in line is served.
    assert_eq!(
        poll(&mut pool.verify(&hash, secret("wrong"), PATIENT)),
        Poll::Pending
    );
    let first = waiting.remove(0);
    assert_eq!(first.await, Ok(false));
}

#[test]
fn a_full_queue_is_answered_busy_at_once() {
    let pool = HashingPool::new(1, 2).unwrap();
    let hash = PasswordHash::parse(&hash_password(b"secret").unwrap()).unwrap();
    let mut all: Vec<_> = (0..20)
        .map(|_| pool.verify(&hash, secret("wrong"), PATIENT))
        .collect();
    let refused = all
        .iter_mut()
        .map(poll)
        .filter(|answer| *answer == BUSY)
        .count();
    // One with the worker, two in the queue; a few more if the worker was fast.
    assert!(refused >= 10, "{refused}");
}

#[tokio::test]
async fn jobs_whose_device_went_away_are_not_hashed() {
    let pool = HashingPool::new(1, 1000).unwrap();
    let slow = PasswordHash::parse("$2b$11$abcdefghijklmnopqrstuud/5IuQmqhVO0kfNEbHJM.fJkPiliBzC")
        .unwrap();
    let waiting: Vec<_> = (0..100)
        .map(|_| pool.verify(&slow, secret("wrong"), PATIENT))
        .collect();
    drop(waiting);
    let (_, password, text) = VECTORS[1];
    let quick = PasswordHash::parse(text).unwrap();
    // Without the room that the abandoned ones left this patience would be far too short.
    assert_eq!(
        pool.verify(&quick, secret(password), Duration::from_secs(5))
            .await,
        Ok(true)
    );
    assert!(pool.hashed() < 50, "{} were hashed", pool.hashed());
}

#[tokio::test]
async fn a_hash_that_cannot_be_evaluated_is_a_fault_not_a_denial() {
    let pool = HashingPool::new(1, 16).unwrap();
    for broken in [
        hash::broken_for_tests("not bcrypt"),
        hash::panicking_for_tests(),
    ] {
        let answer = pool.verify(&broken, secret("x"), PATIENT).await;
        assert_eq!(answer, Err(Unavailable(Reason::PasswordStoreFault)));
    }
    // The worker is still there.
    assert_eq!(pool.verify_decoy(secret("x"), PATIENT).await, Ok(false));
}

#[tokio::test]
async fn a_stopping_pool_answers_stopping() {
    let pool = HashingPool::new(1, 100).unwrap();
    let waiting: Vec<_> = (0..20)
        .map(|_| pool.verify_decoy(secret("x"), PATIENT))
        .collect();
    drop(pool);
    let mut stopped = 0;
    for verification in waiting {
        stopped += usize::from(verification.await == Err(Unavailable(Reason::Stopping)));
    }
    assert!(stopped >= 10, "{stopped}");
}
