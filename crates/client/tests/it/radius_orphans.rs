//! Connections that end shortly after one another: what waited on them goes on where there still is one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use doorward_client::radius::{Aim, Ask, AttemptError, Client, Code, Error, Lost, Secret, Server};
use doorward_radius::RawPacket;
use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::build::PacketBuilder;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::radius::{Home, Peer};

/// Identifiers of a connection.
const IDS: u32 = 255;

/// The one that gets no answer.
const FATAL: u32 = u32::MAX;

/// A login with a number in place of a port.
struct Numbered(u32);

impl Ask for Numbered {
    fn build(&self, id: u8, secret: &Secret) -> Result<Vec<u8>, Error> {
        let mut packet = PacketBuilder::request(Code::ACCESS_REQUEST, id, [id; 16]);
        packet.message_authenticator().map_err(Error::Request)?;
        let numbered = packet.push_integer(kind::NAS_PORT, self.0);
        numbered.map_err(Error::Request)?;
        Ok(packet.finish(secret))
    }
}

fn number(request: &RawPacket) -> u32 {
    let attributes = Attributes::new(request.attributes()).unwrap();
    attributes.integer(kind::NAS_PORT).unwrap()
}

/// No more than these connections, and nobody is found dead by time.
fn server(home: &Home, connections: usize) -> Server {
    let mut server = home.server();
    server.max_connections = connections;
    server.watchdog = None;
    server
}

/// Whether they were answered.
type Asks = JoinSet<Result<(), Error>>;

fn ask(client: &Arc<Client>, asks: &mut Asks, number: u32) {
    let client = Arc::clone(client);
    asks.spawn(async move {
        let passed = client.pass(Arc::new(Numbered(number)), Aim::Any).await;
        passed.map(drop)
    });
}

/// Connections with all their identifiers in use, and what waits on each.
async fn full(
    home: &Home,
    client: &Arc<Client>,
    asks: &mut Asks,
    count: u32,
) -> Vec<(Peer, Vec<RawPacket>)> {
    (0..count * IDS).for_each(|number| ask(client, asks, number));
    let mut peers = Vec::new();
    for _ in 0..count {
        let (mut peer, mut held) = (home.accept().await, Vec::new());
        for _ in 0..IDS {
            held.push(peer.packet().await.unwrap());
        }
        peers.push((peer, held));
    }
    peers
}

/// Answers so many of what waits, and sees the answers arrive.
async fn make_room(peer: &mut (Peer, Vec<RawPacket>), asks: &mut Asks, count: usize) {
    for request in peer.1.drain(..count) {
        peer.0.answer(&request, Code::ACCESS_ACCEPT).await;
    }
    for _ in 0..count {
        asks.join_next().await.unwrap().unwrap().unwrap();
    }
}

/// Two of five connections end together, or so soon after one another that what waited on the first is sent on the second, which has
/// most room, before that ends, too. It says nothing of a request that nobody has read.
#[tokio::test]
async fn what_was_lost_twice_is_answered_by_the_connections_that_live() {
    for together in [true, false] {
        lost_twice(together).await;
    }
}

async fn lost_twice(together: bool) {
    let home = Home::new().await;
    let client = Arc::new(Client::new(vec![server(&home, 5)]).unwrap());
    let mut asks = JoinSet::new();
    let mut peers = full(&home, &client, &mut asks, 5).await;
    for (peer, room) in peers.iter_mut().zip([1, 200, 60, 60, 60]) {
        make_room(peer, &mut asks, room).await;
    }
    let orphans: Vec<u32> = peers[..2]
        .iter()
        .flat_map(|(_, held)| held.iter().map(number))
        .collect();
    drop(peers.remove(0));
    if !together {
        peers[0].0.packet().await.unwrap();
    }
    drop(peers.remove(0));
    let seen = Arc::new(Mutex::new(HashMap::<(usize, u32), usize>::new()));
    let mut living = JoinSet::new();
    for (at, (mut peer, held)) in peers.into_iter().enumerate() {
        let seen = Arc::clone(&seen);
        living.spawn(async move {
            for request in held {
                peer.answer(&request, Code::ACCESS_ACCEPT).await;
            }
            while let Some(request) = peer.packet().await {
                *seen
                    .lock()
                    .unwrap()
                    .entry((at, number(&request)))
                    .or_default() += 1;
                peer.answer(&request, Code::ACCESS_ACCEPT).await;
            }
        });
    }
    let mut lost = 0;
    while let Some(passed) = asks.join_next().await {
        lost += usize::from(passed.unwrap().is_err());
    }
    assert_eq!(lost, 0, "of {} orphans", orphans.len());
    let seen = seen.lock().unwrap();
    for orphan in orphans {
        let times: usize = (0..3).filter_map(|at| seen.get(&(at, orphan))).sum();
        assert_eq!(times, 1, "{orphan}");
    }
}

/// A request whose connections end each time is not sent for ever: once more if the server has certainly read it, because it has
/// answered a later one, and else up to three times more on connections that were there before.
#[tokio::test]
async fn a_request_that_ends_every_connection_is_given_up() {
    for (read, most) in [(true, 2), (false, 5)] {
        let home = Home::new().await;
        let count = most + 1;
        let server = server(&home, count);
        let client = Arc::new(Client::new(vec![server]).unwrap());
        let (mut fatal, mut others) = (JoinSet::new(), JoinSet::new());
        let count = u32::try_from(count).unwrap();
        let peers = full(&home, &client, &mut others, count).await;
        ask(&client, &mut fatal, FATAL);
        for mut peer in peers.into_iter().take(most) {
            // There is room on this one alone.
            make_room(&mut peer, &mut others, IDS as usize).await;
            let (mut peer, _) = peer;
            let came = timeout(crate::PATIENCE, peer.packet()).await;
            assert_eq!(number(&came.unwrap().unwrap()), FATAL);
            if read {
                ask(&client, &mut others, 0);
                let later = peer.packet().await.unwrap();
                peer.answer(&later, Code::ACCESS_ACCEPT).await;
                others.join_next().await.unwrap().unwrap().unwrap();
            }
            peer.end().await;
        }
        let Err(Error::Unavailable(attempts)) = fatal.join_next().await.unwrap().unwrap() else {
            panic!("it was answered");
        };
        let lost = AttemptError::Lost(Lost::Closed).to_string();
        assert_eq!(attempts[0].reason.to_string(), lost);
    }
}
