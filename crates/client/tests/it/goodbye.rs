//! A client that ends after its handshake says so, whatever it ends for: the server need not wait for its own timer.

use std::sync::Arc;

use doorward_client::radius::{Client, Server};
use doorward_client::{ServerAddress, Tls};
use doorward_tls::{ClientPolicy, Handshake, PlainState, ReferenceIdentity, ServerChannel};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::certificates::Authority;
use crate::radius::pap;
use crate::radius_dtls::Home;
use crate::radius_psk::Keys;
use crate::tls::NAME;

/// What an OCSP responder does with who asks it.
#[derive(Clone, Copy, PartialEq)]
enum Responder {
    /// Sends it away, so that nobody knows whether the server's certificate is good.
    Closes,
    /// Says nothing while the client is ended.
    Hangs,
}

/// A responder, and the URL to ask it by.
async fn responder() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

/// Has a server asked by a client that never trusts it. Ready when the client is gone.
async fn ask(server: Server, responder: TcpListener, how: Responder) {
    let client = Client::new(vec![server]).unwrap();
    let asked = tokio::spawn(async move { client.ask(pap()).await });
    let (stream, _) = responder.accept().await.unwrap();
    if how == Responder::Closes {
        drop((stream, responder));
        assert!(asked.await.unwrap().is_err());
    } else {
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
    }
}

/// Nothing else would tell it: there is no connection beneath.
#[tokio::test]
async fn a_server_over_dtls_hears_that_its_client_is_gone() {
    for how in [Responder::Closes, Responder::Hangs] {
        let authority = Authority::new("CA");
        let (listener, url) = responder().await;
        let mut home = Home::of(&authority, NAME, authority.asking(&url, true)).await;
        let server = home.server();
        let serve = async {
            let mut peer = home.accept().await;
            assert!(peer.packet().await.is_none());
        };
        let both = async { tokio::join!(serve, ask(server, listener, how)) };
        timeout(PATIENCE, both).await.unwrap();
        home.saw_dtls_alone();
    }
}

/// Over TLS the end of the stream would tell, too; what is said in good order cannot be an attacker's.
#[tokio::test]
async fn a_server_over_tls_gets_close_notify() {
    for how in [Responder::Closes, Responder::Hangs] {
        let authority = Authority::new("CA");
        let (listener, url) = responder().await;
        let policy = authority.server_policy(&authority.server(&[NAME]));
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let local = socket.local_addr().unwrap();
        let clients = ClientPolicy::new(authority.asking(&url, false)).unwrap();
        let tls = Tls::new(Arc::new(clients), ReferenceIdentity::parse(NAME).unwrap());
        let address = ServerAddress::from_ip(local.ip(), local.port());
        let server = Server::tls(address, tls).unwrap();
        let serve = async {
            let (mut stream, peer) = socket.accept().await.unwrap();
            let mut channel = ServerChannel::new(Arc::new(policy), Arc::new(Keys), peer);
            let mut chunk = vec![0; 17 * 1024];
            let mut said = Vec::new();
            loop {
                let count = stream.read(&mut chunk).await.unwrap();
                assert_ne!(count, 0, "the end without close_notify");
                channel.feed(&chunk[..count]);
                let mut out = Vec::new();
                channel.drain(&mut out);
                // The client may be gone before its tickets are there.
                _ = stream.write_all(&out).await;
                if matches!(channel.handshake(), Handshake::Done(_))
                    && channel.read_plain(&mut said) == Ok(PlainState::Closed)
                {
                    return assert!(said.is_empty());
                }
            }
        };
        let both = async { tokio::join!(serve, ask(server, listener, how)) };
        timeout(PATIENCE, both).await.unwrap();
    }
}
