//! A client that is part of the server it reaches: the listener knows its hello while the handshake lasts.

use std::sync::Arc;
use std::time::Duration;

use doorward_client::radius::{AttemptError, Client, Server};
use doorward_client::{ServerAddress, Tls, TransportError};
use doorward_tls::hello::{Cookies, First, OwnHellos};
use doorward_tls::{
    ClientPolicy, ClientSettings, HandshakeError, ReferenceIdentity, ServerChannel, Versions,
};
use tokio::net::{TcpListener, UdpSocket};

use crate::PATIENCE;
use crate::certificates::Authority;
use crate::fake::Wire;
use crate::radius::{pap, reasons};
use crate::radius_psk::{Keys, by_key};
use crate::tls::NAME;

/// By a certificate, and by a key.
fn both(authority: &Authority) -> [ClientSettings; 2] {
    let device = authority.device();
    let by_certificate = ClientSettings {
        datagrams: true,
        ..authority.client_settings(Some(&device), Vec::new())
    };
    [by_certificate, by_key(authority, "core1")]
}

fn tls(settings: ClientSettings, own: &Arc<OwnHellos>) -> Tls {
    let policy = Arc::new(ClientPolicy::new(settings).unwrap());
    let mut tls = Tls::new(policy, ReferenceIdentity::parse(NAME).unwrap());
    tls.own_hellos = Some(Arc::clone(own));
    tls
}

/// Its only server ended the handshake by access_denied.
async fn is_denied(mut server: Server) {
    server.connect_timeout = PATIENCE;
    let client = Client::new(vec![server]).unwrap();
    let reasons = reasons(client.ask(pap()).await);
    let [AttemptError::Transport(error)] = &reasons[..] else {
        panic!("{reasons:?}");
    };
    let denied = HandshakeError::PeerAlert(49);
    assert!(
        matches!(&**error, TransportError::Handshake(alert) if *alert == denied),
        "{error}"
    );
}

#[tokio::test]
async fn over_tls_it_is_refused() {
    let authority = Authority::new("CA");
    let policy = Arc::new(authority.server_policy(&authority.server(&[NAME])));
    for settings in both(&authority) {
        let own = Arc::new(OwnHellos::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let address = ServerAddress::from_ip(address.ip(), address.port());
        let server = Server::tls(address, tls(settings, &own)).unwrap();
        tokio::join!(is_denied(server), async {
            let (stream, peer) = listener.accept().await.unwrap();
            let channel = ServerChannel::new(Arc::clone(&policy), Arc::new(Keys), peer)
                .with_versions(Versions::Tls12AndTls13)
                .with_own_hellos(Arc::clone(&own));
            assert_eq!(Wire::over(stream, Some(channel)).fill(1).await, None);
        });
    }
}

#[tokio::test]
async fn over_dtls_it_is_refused_and_nothing_is_kept() {
    let authority = Authority::new("CA");
    for settings in both(&authority) {
        let own = Arc::new(OwnHellos::default());
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let address = ServerAddress::from_ip(address.ip(), address.port());
        let server = Server::dtls(address, tls(settings, &own)).unwrap();
        let cookies = Cookies::new(Duration::ZERO).unwrap();
        let mut cookies = cookies.with_own_hellos(Arc::clone(&own));
        tokio::join!(is_denied(server), async {
            let mut datagram = vec![0; 65_536];
            loop {
                let (count, from) = socket.recv_from(&mut datagram).await.unwrap();
                let judged = cookies.judge(&datagram[..count], b"here", Duration::ZERO);
                let (answer, refused) = match judged {
                    First::Verify(answer) => (answer, false),
                    First::Own(alert) => (alert, true),
                    other => panic!("{other:?}"),
                };
                socket.send_to(&answer, from).await.unwrap();
                if refused {
                    return;
                }
            }
        });
    }
}
