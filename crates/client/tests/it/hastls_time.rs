//! HASTLS records that change: how long what they said counts.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorward_client::hastls::{Forbidden, Mode, Refusal};
use doorward_client::radius::{AttemptError, Code};
use doorward_client::{AuthenticationStatus, Client, ClientError, Login, Secret, Server, radius};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout};

use crate::fake::Fake;
use crate::hastls::{at, forbidden, heed, resolver};
use crate::radius::{answer, pap, reasons};
use crate::radius_udp::{Home, SECRET};
use crate::zones::{NameServer, Zones};
use crate::{PATIENCE, alice, client};

/// The time to live of the records here.
const TTL: Duration = Duration::from_secs(2);

/// A name server that can be exchanged for another while it is used.
struct Dns {
    address: SocketAddr,
    to: Arc<Mutex<SocketAddr>>,
    zones: Zones,
    server: Option<NameServer>,
}

impl Dns {
    async fn new(record: &str) -> Self {
        let zones = Zones::of(&lines(record));
        let server = zones.knot();
        let to = Arc::new(Mutex::new(server.address));
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(forward(Arc::new(socket), Arc::clone(&to)));
        Self {
            address,
            to,
            zones,
            server: Some(server),
        }
    }

    fn change(&mut self, record: &str) {
        self.zones.change(&lines(record));
        // Two of them do not share a folder.
        self.server = None;
        let server = self.zones.knot();
        *self.to.lock().unwrap() = server.address;
        self.server = Some(server);
    }
}

fn lines(record: &str) -> String {
    format!("host {} TYPE65400 \\# 4 {record}\n", TTL.as_secs())
}

/// Hands questions on, and answers back.
async fn forward(socket: Arc<UdpSocket>, to: Arc<Mutex<SocketAddr>>) {
    let mut question = vec![0; 65_536];
    while let Ok((count, from)) = socket.recv_from(&mut question).await {
        let (socket, question) = (Arc::clone(&socket), question[..count].to_vec());
        let to = *to.lock().unwrap();
        tokio::spawn(async move {
            let ours = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            ours.send_to(&question, to).await.unwrap();
            let mut answer = vec![0; 65_536];
            if let Ok(Ok(count)) = timeout(PATIENCE, ours.recv(&mut answer)).await {
                _ = socket.send_to(&answer[..count], from).await;
            }
        });
    }
}

/// Asks until nothing may be sent any more, and tells how long that took.
async fn until_forbidden(mut ask: impl AsyncFnMut() -> Result<(), Forbidden>) -> Duration {
    let began = Instant::now();
    loop {
        match ask().await {
            Ok(()) => assert!(began.elapsed() < PATIENCE, "the old record still counts"),
            Err(forbidden) => {
                assert_eq!(forbidden, Forbidden::Record(Refusal::SecureOnly));
                return began.elapsed();
            }
        }
        // So that the servers get their turn.
        sleep(Duration::from_millis(5)).await;
    }
}

/// As four octets.
fn pair(insecure: u16, secure: u16) -> String {
    format!("{insecure:04x}{secure:04x}")
}

/// The kept connection is of no more use than the record that it was made by.
#[tokio::test]
async fn a_kept_connection_ends_with_its_record() {
    let fake = Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into());
    let fake = fake.await;
    let port = fake.address().port();
    let mut dns = Dns::new(&pair(port, 300)).await;
    let resolver = resolver(dns.address, &dns.zones);
    let mut server = Server::plain(at("host.example", port), Secret::new(crate::SECRET)).unwrap();
    server.hastls = Some(heed(Mode::Use, &resolver));
    let client = client([server]);
    login(&client).await.unwrap();
    dns.change(&pair(0, 300));
    let took = until_forbidden(async || login(&client).await).await;
    assert!(took < TTL * 2, "{took:?}");
    assert_eq!(fake.connections(), 1);
    let sent = fake.requests().len();
    login(&client).await.unwrap_err();
    assert_eq!((fake.connections(), fake.requests().len()), (1, sent));
}

async fn login(client: &Client) -> Result<(), Forbidden> {
    let login = Login::Pap {
        password: b"correct horse",
    };
    match client.authenticate(&alice(), login).await {
        Ok(_) => Ok(()),
        Err(ClientError::Unavailable(mut attempts)) => match attempts.pop().unwrap().reason {
            doorward_client::AttemptError::Transport(error) => Err(forbidden(&error)),
            other => panic!("{other:?}"),
        },
        Err(error) => panic!("{error}"),
    }
}

/// A socket of RADIUS/UDP that is in use all the time is given up when the record says so.
#[tokio::test]
async fn a_busy_client_without_tls_stops_with_its_record() {
    let home = Home::new().await;
    let mut server = home.server();
    let port = server.address.port();
    let mut dns = Dns::new(&pair(port, 2083)).await;
    let resolver = resolver(dns.address, &dns.zones);
    server.address = at("host.example", port);
    server.hastls = Some(heed(Mode::Use, &resolver));
    tokio::spawn(async move {
        loop {
            let (request, from) = home.next().await;
            let secret = radius::Secret::new(SECRET);
            let accept = answer(&request, Code::ACCESS_ACCEPT, &secret);
            home.send(&accept, from).await;
        }
    });
    let client = radius::Client::new(vec![server]).unwrap();
    assert!(client.ask(pap()).await.unwrap().is_accept());
    dns.change(&pair(0, 2083));
    let took = until_forbidden(async || {
        let answered = client.ask(pap()).await;
        if answered.is_ok() {
            return Ok(());
        }
        match reasons(answered).pop().unwrap() {
            AttemptError::Transport(error) => Err(forbidden(&error)),
            AttemptError::Waiting { last, .. } => Err(forbidden(&last)),
            other => panic!("{other:?}"),
        }
    })
    .await;
    assert!(took < TTL * 2, "{took:?}");
}
