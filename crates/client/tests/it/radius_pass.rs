//! Requests of somebody else over UDP: when the next server is asked, and whose answer counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward_client::radius::{Aim, Ask, AttemptError, Client, Code, Error, Secret, Server};
use doorward_radius::attribute::kind;
use doorward_radius::build::PacketBuilder;

use crate::radius::answer;
use crate::radius_udp::{Home, SECRET};

/// The time that a server has before the next one is asked.
const SHARE: Duration = Duration::from_millis(400);

struct Login;

impl Ask for Login {
    fn build(&self, id: u8, secret: &Secret) -> Result<Vec<u8>, Error> {
        let mut packet = PacketBuilder::request(Code::ACCESS_REQUEST, id, [id; 16]);
        packet.message_authenticator().map_err(Error::Request)?;
        let named = packet.push(kind::USER_NAME, b"carol");
        named.map_err(Error::Request)?;
        Ok(packet.finish(secret))
    }
}

fn server(home: &Home, patience: Duration) -> Server {
    let mut server = home.server();
    server.reply_timeout = patience;
    // Each is sent once.
    server.retransmit = patience * 2;
    server.doubt_after = SHARE;
    server
}

/// A server that is silent for its share is not waited for; it is listened to all the same, and its answer counts if it is the first.
#[tokio::test]
async fn the_next_server_is_asked_beside_a_silent_one() {
    for late in [false, true] {
        let (one, other) = (Home::new().await, Home::new().await);
        let servers = [&one, &other].map(|home| server(home, crate::PATIENCE));
        let client = Client::new(servers.to_vec()).unwrap();
        let began = Instant::now();
        let (passed, ()) = tokio::join!(client.pass(Arc::new(Login), Aim::Any), async {
            let first = one.packet().await;
            let second = other.packet().await;
            assert!(began.elapsed() >= SHARE);
            let (home, (request, from)) = if late {
                (&one, first)
            } else {
                (&other, second)
            };
            let accept = answer(&request, Code::ACCESS_ACCEPT, &Secret::new(SECRET));
            home.send(&accept, from).await;
        });
        assert_eq!(passed.unwrap().server, usize::from(!late));
        assert!(began.elapsed() < crate::PATIENCE / 2);
        let counted = client.states();
        let counted = counted.iter().map(|one| (one.answers, one.timeouts));
        let (answered, outrun) = ((1, 0), (0, 1));
        let expected = if late {
            [answered, outrun]
        } else {
            [outrun, answered]
        };
        assert_eq!(counted.collect::<Vec<_>>(), expected);
    }
}

/// However many servers there are, they have the time for one answer together; each that was silent has said so.
#[tokio::test]
async fn all_servers_together_have_the_time_for_one_answer() {
    let (one, other) = (Home::new().await, Home::new().await);
    let patience = Duration::from_secs(2);
    let servers = [&one, &other].map(|home| server(home, patience));
    let client = Client::new(servers.to_vec()).unwrap();
    let began = Instant::now();
    let passed = client.pass(Arc::new(Login), Aim::Any).await;
    let Err(Error::Unavailable(attempts)) = passed else {
        panic!("{passed:?}");
    };
    let silent = |reason: &AttemptError| matches!(reason, AttemptError::ReplyTimeout);
    assert!(attempts.len() == 2 && attempts.iter().all(|one| silent(&one.reason)));
    let took = began.elapsed();
    assert!(took >= patience && took < patience + SHARE, "{took:?}");
    one.packet().await;
    other.packet().await;
}

/// What goes on with a State is of use to one server alone, however long that is silent; and who no longer waits is counted.
#[tokio::test]
async fn a_login_that_goes_on_stays_where_it_is() {
    let (one, other) = (Home::new().await, Home::new().await);
    let servers = [&one, &other].map(|home| server(home, crate::PATIENCE));
    let client = Client::new(servers.to_vec()).unwrap();
    let passing = client.pass(Arc::new(Login), Aim::Only(0));
    assert!(tokio::time::timeout(SHARE * 3, passing).await.is_err());
    one.packet().await;
    let states = client.states();
    assert_eq!((states[0].requests, states[0].given_up), (1, 1));
    assert_eq!(states[0].timeouts + states[0].failures, 0);
    assert_eq!(states[1].requests, 0);
}

/// Identifiers of requests that were not answered rest for a minute: a socket that has no others left is followed by another one.
#[tokio::test]
async fn a_socket_without_identifiers_is_followed_by_another() {
    let home = Home::new().await;
    let mut server = server(&home, crate::SHORT);
    server.max_connections = 1;
    let client = Arc::new(Client::new(vec![server]).unwrap());
    let mut asks = tokio::task::JoinSet::new();
    for _ in 0..255 {
        let client = Arc::clone(&client);
        asks.spawn(async move { client.pass(Arc::new(Login), Aim::Any).await.is_err() });
    }
    let mut ports = std::collections::BTreeSet::new();
    for _ in 0..255 {
        ports.insert(home.packet().await.1);
    }
    assert_eq!(ports.len(), 1);
    assert_eq!(asks.join_all().await, [true; 255]);
    let (passed, from) = tokio::join!(client.pass(Arc::new(Login), Aim::Any), async {
        let (request, from) = home.packet().await;
        let accept = answer(&request, Code::ACCESS_ACCEPT, &Secret::new(SECRET));
        home.send(&accept, from).await;
        from
    });
    assert!(passed.is_ok());
    assert!(!ports.contains(&from));
}
