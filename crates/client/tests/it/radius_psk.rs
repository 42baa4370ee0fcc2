//! The RADIUS client over TLS by a pre-shared key.

use std::net::SocketAddr;
use std::sync::Arc;

use doorward_client::radius::{AttemptError, Client, Code, Secret, Server};
use doorward_client::{ServerAddress, Tls, TransportError};
use doorward_radius::RawPacket;
use doorward_tls::{
    Admission, AdmissionRefusal, ClientPolicy, ClientSettings, HandshakeError, Methods,
    PeerIdentity, PskDevice, PskFailure, PskIdentity, PskKey, ReferenceIdentity, ServerChannel,
    ServerPolicy, Versions,
};
use tokio::net::TcpListener;

use crate::PATIENCE;
use crate::certificates::Authority;
use crate::fake::{Anybody, Wire};
use crate::radius::{answer, pap, reasons};
use crate::tls::NAME;

const KEY: [u8; 32] = [0x5a; 32];

/// Who proves to be core1, by a certificate or by its key.
pub(crate) struct Keys;

impl Admission for Keys {
    fn admit(&self, _: &PeerIdentity, _: SocketAddr) -> Result<Arc<str>, AdmissionRefusal> {
        Ok("core1".into())
    }

    fn psk(&self, identity: &[u8], _: SocketAddr) -> Result<PskDevice, AdmissionRefusal> {
        if identity != b"core1" {
            return Err(AdmissionRefusal::UnknownKey);
        }
        Ok(PskDevice {
            device: "core1".into(),
            key: Arc::new(PskKey::new(KEY).unwrap()),
        })
    }

    fn methods(&self) -> Methods {
        Methods {
            certificate: true,
            psk: true,
            raw_public_key: false,
        }
    }
}

/// Of a client that has a key and nothing else.
pub(crate) fn by_key(authority: &Authority, identity: &str) -> ClientSettings {
    ClientSettings {
        tls12: true,
        datagrams: true,
        psk: Some((
            PskIdentity::new(identity).unwrap(),
            PskKey::new(KEY).unwrap(),
        )),
        ..authority.client_settings(None, Vec::new())
    }
}

struct Home {
    listener: TcpListener,
    policy: Arc<ServerPolicy>,
    client: Client,
}

impl Home {
    async fn new() -> Self {
        let authority = Authority::new("CA");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let policy = ClientPolicy::new(by_key(&authority, "core1")).unwrap();
        let tls = Tls::new(Arc::new(policy), ReferenceIdentity::parse(NAME).unwrap());
        let address = listener.local_addr().unwrap();
        let address = ServerAddress::from_ip(address.ip(), address.port());
        let mut server = Server::tls(address, tls).unwrap();
        server.connect_timeout = PATIENCE;
        Self {
            policy: Arc::new(authority.server_policy(&authority.server(&[NAME]))),
            listener,
            client: Client::new(vec![server]).unwrap(),
        }
    }

    async fn accept(&self, admission: Arc<dyn Admission>) -> Wire {
        let (stream, peer) = self.listener.accept().await.unwrap();
        let channel = ServerChannel::new(Arc::clone(&self.policy), admission, peer);
        let channel = channel.with_versions(Versions::Tls12AndTls13);
        Wire::over(stream, Some(channel))
    }
}

/// proves: RAD-3.3.2-3, RAD-3.3.1-3
#[tokio::test]
async fn a_login_over_tls_by_a_key() {
    let home = Home::new().await;
    let (answered, ()) = tokio::join!(home.client.ask(pap()), async {
        let mut wire = home.accept(Arc::new(Keys)).await;
        wire.fill(20).await.unwrap();
        let length = usize::from(u16::from_be_bytes([wire.seen()[2], wire.seen()[3]]));
        wire.fill(length).await.unwrap();
        let request = RawPacket::new(wire.take(length)).unwrap();
        let accept = answer(&request, Code::ACCESS_ACCEPT, &Secret::RADSEC);
        wire.write(&accept).await;
    });
    let answered = answered.unwrap();
    assert!(answered.is_accept());
    let facts = answered.facts.tls.unwrap();
    assert_eq!((facts.version, facts.auth), ("1.3", "psk"));
}

/// One that goes on with its certificate instead is told nothing.
#[tokio::test]
async fn a_server_that_does_not_take_the_key_is_dropped() {
    let home = Home::new().await;
    let (answered, seen) = tokio::join!(home.client.ask(pap()), async {
        home.accept(Arc::new(Anybody)).await.fill(1).await
    });
    assert_eq!(seen, None);
    let [AttemptError::Transport(error)] = &reasons(answered)[..] else {
        panic!("it was believed");
    };
    let dropped = HandshakeError::Psk(PskFailure::NotAccepted);
    assert!(
        matches!(&**error, TransportError::Handshake(seen) if *seen == dropped),
        "{error:?}"
    );
}
