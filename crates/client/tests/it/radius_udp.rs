//! The RADIUS client over UDP, against a socket that a test answers from.

use std::net::SocketAddr;
use std::time::Duration;

use doorward_client::ServerAddress;
use doorward_client::radius::{AttemptError, Client, Code, Proof, Request, Secret, Server};
use doorward_radius::RawPacket;
use doorward_radius::attribute::Attributes;
use doorward_radius::build::PacketBuilder;
use doorward_radius::challenge::{MICROSOFT, MsChap2, microsoft};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::radius::{answer, pap, reasons};

pub(crate) const SECRET: &[u8] = b"squeamish ossifrage";

pub(crate) struct Home(UdpSocket);

impl Home {
    pub(crate) async fn new() -> Self {
        Self(UdpSocket::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn server(&self) -> Server {
        let address = self.0.local_addr().unwrap();
        let address = ServerAddress::from_ip(address.ip(), address.port());
        let mut server = Server::udp(address, Secret::new(SECRET)).unwrap();
        server.reply_timeout = PATIENCE;
        server.retransmit = Duration::from_millis(20);
        server
    }

    pub(crate) async fn packet(&self) -> (RawPacket, SocketAddr) {
        let mut octets = vec![0; 4096];
        let received = timeout(PATIENCE, self.0.recv_from(&mut octets)).await;
        let (count, from) = received.unwrap().unwrap();
        octets.truncate(count);
        (RawPacket::new(octets).unwrap(), from)
    }

    /// The next packet, whenever it comes.
    pub(crate) async fn next(&self) -> (RawPacket, SocketAddr) {
        let mut octets = vec![0; 4096];
        let (count, from) = self.0.recv_from(&mut octets).await.unwrap();
        octets.truncate(count);
        (RawPacket::new(octets).unwrap(), from)
    }

    pub(crate) async fn send(&self, octets: &[u8], to: SocketAddr) {
        self.0.send_to(octets, to).await.unwrap();
    }
}

/// proves: RAD-3.8.2-5
#[tokio::test]
async fn what_is_not_answered_is_sent_again_as_it_was() {
    let home = Home::new().await;
    let client = Client::new(vec![home.server()]).unwrap();
    let (answered, ()) = tokio::join!(client.ask(pap()), async {
        let (first, from) = home.packet().await;
        for _ in 0..2 {
            assert_eq!(home.packet().await, (first.clone(), from));
        }
        home.send(
            &answer(&first, Code::ACCESS_ACCEPT, &Secret::new(SECRET)),
            from,
        )
        .await;
    });
    let answered = answered.unwrap();
    assert!(answered.is_accept());
    assert_eq!(answered.facts.tls, None);
}

/// Forged answers, and those that could be, change nothing: the right one still comes.
#[tokio::test]
async fn only_a_signed_answer_is_one() {
    let home = Home::new().await;
    let client = Client::new(vec![home.server()]).unwrap();
    let secret = Secret::new(SECRET);
    let (answered, ()) = tokio::join!(client.ask(pap()), async {
        let (request, from) = home.packet().await;
        let forged = answer(&request, Code::ACCESS_ACCEPT, &Secret::new(b"another"));
        home.send(&forged, from).await;
        let unsigned = PacketBuilder::answer(Code::ACCESS_ACCEPT, request.header());
        home.send(&unsigned.finish(&secret), from).await;
        home.send(&[2, 1, 0, 19], from).await;
        home.send(&answer(&request, Code::ACCESS_REJECT, &secret), from)
            .await;
    });
    assert_eq!(answered.unwrap().code(), Code::ACCESS_REJECT);

    // Unless it is wanted.
    let home = Home::new().await;
    let mut server = home.server();
    server.unsigned_answers = true;
    let client = Client::new(vec![server]).unwrap();
    let (answered, ()) = tokio::join!(client.ask(pap()), async {
        let (request, from) = home.packet().await;
        let unsigned = PacketBuilder::answer(Code::ACCESS_ACCEPT, request.header());
        home.send(&unsigned.finish(&secret), from).await;
    });
    assert!(answered.unwrap().is_accept());
}

/// proves: RAD-6.2.2-7
#[tokio::test]
async fn what_nobody_waits_for_is_not_sent_any_more() {
    let home = Home::new().await;
    let client = Client::new(vec![home.server()]).unwrap();
    let first = {
        let ask = client.ask(pap());
        tokio::pin!(ask);
        tokio::select! {
            _ = &mut ask => panic!("there is no answer"),
            seen = home.packet() => seen,
        }
    };
    // The next request comes on the same socket, after copies of the first at most.
    let (answered, ()) = tokio::join!(client.ask(pap()), async {
        let (second, from) = loop {
            let seen = home.packet().await;
            if seen != first {
                break seen;
            }
        };
        // Many times what a copy of the first would take.
        for _ in 0..3 {
            assert_eq!(home.packet().await, (second.clone(), from));
        }
        let accept = answer(&second, Code::ACCESS_ACCEPT, &Secret::new(SECRET));
        home.send(&accept, from).await;
    });
    assert!(answered.unwrap().is_accept());
}

/// A port where nobody listens is told of by ICMP.
/// proves: RAD-3.7-2
#[tokio::test]
async fn silence_and_closed_ports_move_on_to_the_next_server() {
    let (silent, closed, home) = (Home::new().await, Home::new().await, Home::new().await);
    let mut first = silent.server();
    first.reply_timeout = crate::SHORT;
    let second = closed.server();
    drop(closed);
    let client = Client::new(vec![first.clone(), second.clone(), home.server()]).unwrap();
    let (answered, ()) = tokio::join!(client.ask(pap()), async {
        let (request, from) = home.packet().await;
        let accept = answer(&request, Code::ACCESS_ACCEPT, &Secret::new(SECRET));
        home.send(&accept, from).await;
    });
    assert!(answered.unwrap().is_accept());
    let client = Client::new(vec![first, second]).unwrap();
    let seen = reasons(client.ask(pap()).await);
    assert!(matches!(
        seen[..],
        [AttemptError::ReplyTimeout, AttemptError::Transport(_)]
    ));
}

/// A name may have several addresses: where nobody listens at one, the next is asked.
#[tokio::test]
async fn the_next_address_of_a_name_is_asked() {
    let home = Home::new().await;
    let mut server = home.server();
    server.address = ServerAddress::parse("localhost", server.address.port()).unwrap();
    // Not waited for: the next address gets the request at once.
    server.retransmit = PATIENCE;
    let client = Client::new(vec![server]).unwrap();
    let (answered, ()) = tokio::join!(client.ask(pap()), async {
        let (request, from) = home.packet().await;
        let accept = answer(&request, Code::ACCESS_ACCEPT, &Secret::new(SECRET));
        home.send(&accept, from).await;
    });
    assert!(answered.unwrap().is_accept());
}

/// A question that was lost is asked anew (RFC 5997 section 4.1).
/// proves: RAD-3.7-9
#[tokio::test]
async fn a_status_server_is_never_sent_twice() {
    let home = Home::new().await;
    let mut server = home.server();
    server.reply_timeout = crate::SHORT;
    let client = Client::new(vec![server]).unwrap();
    let (answered, ()) = tokio::join!(client.status(), async {
        let (first, _) = home.packet().await;
        let (second, from) = home.packet().await;
        assert_eq!((first.header().id, second.header().id), (0, 0));
        assert_ne!(first.header().authenticator, second.header().authenticator);
        let alive = answer(&second, Code::ACCESS_ACCEPT, &Secret::new(SECRET));
        home.send(&alive, from).await;
    });
    assert_eq!(answered.unwrap().code(), Code::ACCESS_ACCEPT);
}

/// A server that does not know the secret is not believed (RFC 2759 section 5).
#[tokio::test]
async fn mschapv2_wants_the_server_to_know_the_secret_too() {
    for (known, believed) in [(&b"clientPass"[..], true), (b"guessed", false)] {
        let home = Home::new().await;
        let client = Client::new(vec![home.server()]).unwrap();
        let request = Request::access("User", Proof::MsChapV2(b"clientPass")).unwrap();
        let (answered, ()) = tokio::join!(client.ask(request), async {
            let (request, from) = home.packet().await;
            let attributes = Attributes::new(request.attributes()).unwrap();
            let response = MsChap2::of(&attributes).unwrap();
            let proof = response.success(b"User", known).unwrap();
            let mut packet = PacketBuilder::answer(Code::ACCESS_ACCEPT, request.header());
            packet.message_authenticator().unwrap();
            let value = [&[response.id][..], proof.as_bytes()].concat();
            packet
                .push_vendor(MICROSOFT, microsoft::CHAP2_SUCCESS, &value)
                .unwrap();
            home.send(&packet.finish(&Secret::new(SECRET)), from).await;
        });
        let answered = answered.unwrap();
        assert_eq!(
            (answered.is_accept(), answered.is_unproven()),
            (believed, !believed)
        );
    }
}
