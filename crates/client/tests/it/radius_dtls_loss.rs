//! The RADIUS client over DTLS where datagrams, questions and servers are lost.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use doorward_client::radius::{AttemptError, Client, Code};
use doorward_client::{ServerAddress, TransportError};

use crate::certificates::Authority;
use crate::radius::{pap, reasons};
use crate::radius_dtls::Home;
use crate::radius_psk::by_key;

fn transport_error(reasons: &[AttemptError]) -> &TransportError {
    let [AttemptError::Transport(error)] = reasons else {
        panic!("{reasons:?}");
    };
    error
}

/// The timer of the handshake brings it again.
#[tokio::test]
async fn a_hello_that_is_lost_comes_again() {
    let mut home = Home::new().await;
    let client = Client::new(vec![home.server()]).unwrap();
    let (answered, ()) = tokio::join!(client.ask(pap()), async {
        let (from, lost) = home.datagram().await;
        assert_eq!(lost[0], 22, "a handshake record");
        let mut peer = home.accept().await;
        assert_eq!(peer.from, from);
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
    });
    assert!(answered.unwrap().is_accept());
}

/// A server does not tell what is wrong with a key: it says nothing, and gets nothing.
#[tokio::test]
async fn a_key_that_is_wrong_makes_no_association() {
    let mut home = Home::new().await;
    home.clients = by_key(&Authority::new("of no use"), "core9");
    let mut server = home.server();
    server.connect_timeout = crate::SHORT * 4;
    let client = Client::new(vec![server]).unwrap();
    let reasons = tokio::select! {
        answered = client.ask(pap()) => reasons(answered),
        _ = home.accept() => panic!("it was believed"),
    };
    let error = transport_error(&reasons);
    assert!(matches!(error, TransportError::ConnectTimeout), "{error}");
    home.saw_dtls_alone();
}

/// Each try is a new question (RFC 5997 section 4.1).
/// proves: RAD-3.7-9
#[tokio::test]
async fn a_status_server_is_never_sent_twice() {
    let mut home = Home::new().await;
    let mut server = home.server();
    server.connect_timeout = Duration::from_secs(4);
    server.reply_timeout = crate::SHORT;
    server.retransmit = crate::SHORT / 10;
    let client = Client::new(vec![server]).unwrap();
    let (answered, ()) = tokio::join!(client.status(), async {
        let mut peer = home.accept().await;
        let mut authenticators = BTreeSet::new();
        let mut last = None;
        for _ in 0..2 {
            let probe = peer.packet().await.unwrap();
            let header = probe.header();
            assert_eq!((header.code, header.id), (Code::STATUS_SERVER, 0));
            assert!(authenticators.insert(header.authenticator));
            last = Some(probe);
        }
        peer.answer(&last.unwrap(), Code::ACCESS_ACCEPT).await;
    });
    assert_eq!(answered.unwrap().code(), Code::ACCESS_ACCEPT);
}

/// Nobody listens any more, which the network tells: nothing is waited for.
#[tokio::test]
async fn a_server_that_is_gone_is_down_at_once() {
    let mut home = Home::new().await;
    let client = Client::new(vec![home.server()]).unwrap();
    let (answered, ()) = tokio::join!(client.ask(pap()), async {
        let mut peer = home.accept().await;
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
    });
    assert!(answered.unwrap().is_accept());
    drop(home);
    let reasons = reasons(client.ask(pap()).await);
    let error = transport_error(&reasons);
    assert!(matches!(error, TransportError::Connect(_)), "{error}");
}

/// A name may have several addresses: where nobody listens at one, the next is tried.
#[tokio::test]
async fn the_next_address_of_a_name_is_asked() {
    let mut home = Home::new().await;
    let mut server = home.server();
    let address: SocketAddr = home.socket.local_addr().unwrap();
    server.address = ServerAddress::parse("localhost", address.port()).unwrap();
    let client = Client::new(vec![server]).unwrap();
    let (answered, ()) = tokio::join!(client.ask(pap()), async {
        let mut peer = home.accept().await;
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
    });
    assert!(answered.unwrap().is_accept());
}
