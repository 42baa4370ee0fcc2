//! When a RadSec connection is down: the watchdog (RFC 3539 section 3.4), and what TLS says.

use std::sync::Arc;
use std::time::Duration;

use doorward_client::radius::{AttemptError, Client, Code, Lost, Secret};
use doorward_radius::attribute::Attributes;
use doorward_radius::authenticator::{MessageAuthenticator, message_authenticator};

use crate::radius::{Home, pap, reasons};

/// A server that reads and says nothing is found dead by two timers of the watchdog that ran out.
/// proves: RAD-3.7-1, RAD-3.7-4
#[tokio::test]
async fn a_server_that_answers_nothing_is_down() {
    let home = Home::new().await;
    let mut server = home.server();
    let day = Duration::from_secs(86_400);
    server.reply_timeout = day;
    let client = Client::new(vec![server]).unwrap();
    let ask = client.ask(pap());
    tokio::pin!(ask);
    let mut peer = tokio::select! {
        _ = &mut ask => panic!("there is no answer"),
        peer = async {
            let mut peer = home.accept().await;
            peer.packet().await.unwrap();
            peer
        } => peer,
    };
    // From here on nobody waits for the network, so that time may jump from one timer to the next.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let reasons = reasons(ask.await);
    assert!(matches!(reasons[..], [AttemptError::Lost(Lost::Silent)]));
    // Three times Tw of 30 s, each with 2 s of jitter.
    let span = began.elapsed().as_secs();
    assert!((84..=96).contains(&span), "{span}");
    tokio::time::resume();
    let probe = peer.packet().await.unwrap();
    assert_eq!(probe.header().code, Code::STATUS_SERVER);
    assert_eq!(peer.packet().await, None);
}

/// Nothing was said for Tw, 30 seconds with two of jitter; that it is never less than six is shown where it is computed
/// (`jitter_is_two_seconds_and_tw_at_least_six` of doorward-radius).
/// proves: RAD-3.7-8
#[tokio::test]
async fn an_idle_connection_is_probed_by_status_server() {
    let home = Home::new().await;
    let client = Client::new(vec![home.server()]).unwrap();
    let (answered, mut peer) = tokio::join!(client.ask(pap()), async {
        let mut peer = home.accept().await;
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
        peer
    });
    assert!(answered.unwrap().is_accept());
    // Time jumps to the next timer whenever everybody waits.
    tokio::time::pause();
    for _ in 0..2 {
        let began = tokio::time::Instant::now();
        let probe = peer.packet().await.unwrap();
        let span = began.elapsed().as_secs_f64();
        assert!((27.9..=32.1).contains(&span), "{span}");
        assert_eq!(probe.header().code, Code::STATUS_SERVER);
        let attributes = Attributes::new(probe.attributes()).unwrap();
        let signed = message_authenticator(&probe, &attributes, None, &Secret::RADSEC);
        assert_eq!(signed, MessageAuthenticator::Right);
        peer.answer(&probe, Code::ACCESS_ACCEPT).await;
    }
}

/// The one that stalls is found dead, and what waits on it moves to the other; nobody else notices.
/// proves: RAD-3.7-6, RAD-3.7-7
#[tokio::test]
async fn a_connection_that_stalls_takes_no_other_with_it() {
    let home = Home::new().await;
    let mut server = home.server();
    server.watchdog = Some(Duration::from_secs(6));
    server.reply_timeout = crate::PATIENCE * 10;
    server.max_connections = 2;
    let client = Arc::new(Client::new(vec![server]).unwrap());
    let mut stalled = tokio::task::JoinSet::new();
    for _ in 0..255 {
        let client = Arc::clone(&client);
        stalled.spawn(async move { client.ask(pap()).await.unwrap().is_accept() });
    }
    let mut first = home.accept().await;
    for _ in 0..255 {
        first.packet().await.unwrap();
    }
    let asks = async {
        assert!(client.ask(pap()).await.unwrap().is_accept());
        // What waited on the dead one is answered by the other.
        let moved = stalled.join_all().await;
        assert_eq!(moved, [true; 255]);
        client.ask(pap()).await.unwrap().is_accept()
    };
    let serve = async {
        let mut second = home.accept().await;
        while let Some(request) = second.packet().await {
            second.answer(&request, Code::ACCESS_ACCEPT).await;
        }
    };
    let silent = async {
        while let Some(probe) = first.packet().await {
            assert_eq!(probe.header().code, Code::STATUS_SERVER);
        }
    };
    tokio::select! {
        (accepted, ()) = async { tokio::join!(asks, silent) } => assert!(accepted),
        () = serve => panic!("the other connection is gone"),
    }
    assert!(home.is_quiet().await, "no third connection was made");
}

/// What waits on the connection that an alert ends comes anew on the other one, which nobody takes for dead.
/// proves: RAD-3.7-3
#[tokio::test]
async fn a_fatal_alert_ends_its_connection_and_no_other() {
    let home = Home::new().await;
    let mut server = home.server();
    server.max_connections = 2;
    // Nobody is found dead by time.
    server.watchdog = None;
    let client = Arc::new(Client::new(vec![server]).unwrap());
    let mut asks = tokio::task::JoinSet::new();
    let mut ask = || {
        let client = Arc::clone(&client);
        asks.spawn(async move { client.ask(pap()).await.unwrap().is_accept() });
    };
    (0..255).for_each(|_| ask());
    let mut first = home.accept().await;
    let answered = first.packet().await.unwrap();
    for _ in 1..255 {
        first.packet().await.unwrap();
    }
    ask();
    let mut second = home.accept().await;
    let kept = second.packet().await.unwrap();
    // The others fit beside that one.
    first.answer(&answered, Code::ACCESS_ACCEPT).await;
    assert!(asks.join_next().await.unwrap().unwrap());
    first.alert().await;
    for _ in 0..254 {
        let request = second.packet().await.unwrap();
        second.answer(&request, Code::ACCESS_ACCEPT).await;
    }
    second.answer(&kept, Code::ACCESS_ACCEPT).await;
    let all = asks.join_all().await;
    assert!(all.len() == 255 && all.into_iter().all(|accepted| accepted));
    assert!(home.is_quiet().await, "no third connection was made");
}

/// It answers requests, and no Status-Server ever (Cisco ISE): it is kept, asked no more, and found dead by requests that it does
/// not answer; the next connection is used without a question.
#[tokio::test]
async fn a_server_that_answers_no_status_server_is_judged_by_its_answers_to_requests() {
    let home = Home::new().await;
    let mut server = home.server();
    server.watchdog_learns = true;
    server.reply_timeout = Duration::from_secs(86_400);
    let client = Arc::new(Client::new(vec![server]).unwrap());
    let (answered, mut peer) = tokio::join!(client.ask(pap()), async {
        let mut peer = home.accept().await;
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
        peer
    });
    assert!(answered.unwrap().is_accept());
    // Time jumps to the next timer whenever everybody waits.
    tokio::time::pause();
    let probe = peer.packet().await.unwrap();
    assert_eq!(probe.header().code, Code::STATUS_SERVER);
    let quiet = tokio::time::timeout(Duration::from_secs(1000), peer.packet());
    assert!(quiet.await.is_err(), "asked again, or closed");

    tokio::time::resume();
    let mut asks = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let client = Arc::clone(&client);
        asks.spawn(async move { reasons(client.ask(pap()).await) });
        let request = peer.packet().await.unwrap();
        assert_eq!(request.header().code, Code::ACCESS_REQUEST);
    }
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    for reasons in asks.join_all().await {
        assert!(matches!(reasons[..], [AttemptError::Lost(Lost::Silent)]));
    }
    // Twice Tw of 30 s, each with 2 s of jitter; some of it has passed before.
    let span = began.elapsed().as_secs();
    assert!((40..=64).contains(&span), "{span}");
    tokio::time::resume();
    assert_eq!(peer.packet().await, None);

    let (answered, ()) = tokio::join!(client.ask(pap()), async {
        let (mut peer, request) = home.used().await;
        assert_eq!(request.header().code, Code::ACCESS_REQUEST);
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
    });
    assert!(answered.unwrap().is_accept());
}

/// What it has done once, it has to do: the connection is closed, and the next one asks at once.
#[tokio::test]
async fn a_server_that_has_answered_a_status_server_is_held_to_it() {
    let home = Home::new().await;
    let mut server = home.server();
    server.watchdog_learns = true;
    server.keep_open = true;
    let client = Client::new(vec![server]).unwrap();
    let (alive, mut peer) = tokio::join!(client.status(), async {
        let mut peer = home.accept().await;
        let probe = peer.packet().await.unwrap();
        peer.answer(&probe, Code::ACCESS_ACCEPT).await;
        peer
    });
    assert!(alive.is_ok());
    tokio::time::pause();
    let probe = peer.packet().await.unwrap();
    assert_eq!(probe.header().code, Code::STATUS_SERVER);
    assert_eq!(peer.packet().await, None);
    tokio::time::resume();
    let (_, probe) = home.used().await;
    assert_eq!(probe.header().code, Code::STATUS_SERVER);
}

/// The peer of the only connection has vanished without a word: it is asked for a sign of life as soon as an answer is overdue, and
/// when none comes another connection is made and used, long before the watchdog closes the old one. That one goes on: its late
/// answer still counts.
#[tokio::test]
async fn a_connection_that_is_silent_gets_a_second_one_beside_it() {
    let home = Home::new().await;
    let mut server = home.server();
    server.keep_open = true;
    server.max_connections = 1;
    server.doubt_after = Duration::from_secs(2);
    let client = Arc::new(Client::new(vec![server]).unwrap());
    let began = std::time::Instant::now();
    let asking = Arc::clone(&client);
    let first = tokio::spawn(async move { asking.ask(pap()).await.unwrap().is_accept() });
    let (mut old, overdue) = home.used().await;
    let probe = old.packet().await.unwrap();
    assert_eq!(probe.header().code, Code::STATUS_SERVER);
    let mut new = home.accept().await;
    let asked = client.ask(pap());
    let (answered, ()) = tokio::join!(asked, async {
        let request = new.packet().await.unwrap();
        assert_eq!(request.header().code, Code::ACCESS_REQUEST);
        new.answer(&request, Code::ACCESS_ACCEPT).await;
    });
    assert!(answered.unwrap().is_accept());
    assert!(began.elapsed() < Duration::from_secs(20), "{began:?}");
    assert!(!first.is_finished());
    old.answer(&overdue, Code::ACCESS_ACCEPT).await;
    assert!(first.await.unwrap());
    assert!(home.is_quiet().await, "a third connection was made");
}
