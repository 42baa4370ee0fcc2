//! Both machines against each other over a network that cuts, loses, repeats and delays.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use doorward_radius::client::{self, ClientConnection, Handle};
use doorward_radius::server::{self, ServerConnection};
use doorward_radius::{Code, Header, Now, RawPacket, Transport};
use proptest::prelude::*;

/// The packet carries `mark` in its authenticator, so that the end can tell which request an answer was made for.
fn packet(code: Code, id: u8, mark: u32) -> Vec<u8> {
    let mut authenticator = [0; 16];
    authenticator[..4].copy_from_slice(&mark.to_be_bytes());
    let mut out = Vec::new();
    Header {
        code,
        id,
        length: 20,
        authenticator,
    }
    .encode(&mut out);
    out
}

fn mark(packet: &RawPacket) -> u32 {
    let [a, b, c, d, ..] = packet.header().authenticator;
    u32::from_be_bytes([a, b, c, d])
}

fn verify(request: &RawPacket, answer: &RawPacket) -> Result<(), server::Refusal> {
    if mark(request) == mark(answer) {
        Ok(())
    } else {
        Err(server::Refusal::Authenticator)
    }
}

/// What the application behind the server saw, by mark, and what the client got for each handle.
#[derive(Default)]
struct World {
    worked: HashMap<u32, u32>,
    answered: BTreeMap<Handle, u32>,
    timed_out: Vec<Handle>,
}

impl World {
    fn serve(&mut self, server: &mut ServerConnection, now: Now) {
        while let Some(event) = server.poll() {
            if let server::Event::Request {
                ticket,
                packet: asked,
            } = event
            {
                let id = asked.header().id;
                let code = if asked.header().code == Code::STATUS_SERVER {
                    Code::ACCESS_ACCEPT
                } else {
                    *self.worked.entry(mark(&asked)).or_default() += 1;
                    Code::ACCESS_REJECT
                };
                let answer = packet(code, id, mark(&asked));
                server.answer(ticket, answer, now).unwrap();
            }
        }
    }

    fn collect(&mut self, client: &mut ClientConnection) {
        while let Some(event) = client.poll() {
            match event {
                client::Event::Answer { handle, packet, .. } => {
                    assert!(self.answered.insert(handle, mark(&packet)).is_none());
                }
                client::Event::TimedOut(handle) => self.timed_out.push(handle),
                client::Event::ProbeDue => client.probe(packet(Code::STATUS_SERVER, 0, 0)).unwrap(),
                client::Event::Unmatched(_) | client::Event::Probed(_) => {}
                // Losing everything is the one way to lose the connection.
                client::Event::Closed { reason, unanswered } => {
                    assert_eq!(reason, server::CloseReason::Silent);
                    self.timed_out.extend(unanswered);
                }
            }
        }
    }
}

/// Copies of a datagram that arrive: none, one or two, each after some tenths of a second.
fn fate() -> impl Strategy<Value = Vec<u64>> {
    prop_oneof![
        2 => Just(Vec::new()),
        5 => prop::collection::vec(0_u64..8, 1),
        2 => prop::collection::vec(0_u64..40, 2),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn datagrams_may_be_lost_repeated_and_reordered(
        requests in 1_u32..400,
        dtls in any::<bool>(),
        fates in prop::collection::vec(fate(), 1..50),
    ) {
        let tick = |number: u64| Now(Duration::from_millis(number * 100));
        // DTLS drops repeated records. Over UDP a repeated request may come after its id was used again, which nothing
        // helps against.
        let (transport, requests, copies) = if dtls {
            (Transport::Dtls, requests, 1)
        } else {
            (Transport::Udp, requests.min(255), 2)
        };
        let mut client = ClientConnection::new(client::Config::new(transport), false, 3, tick(0));
        // A copy of the last transmission may come later than the usual 30 s.
        let config = server::Config { answers: Duration::from_secs(60), ..server::Config::new(transport) };
        let mut server = ServerConnection::new(config, tick(0));
        let mut world = World::default();
        let mut handles = BTreeMap::new();
        let mut wire: BTreeMap<u64, Vec<(bool, Vec<u8>)>> = BTreeMap::new();
        let mut fates = fates.iter().cycle();
        let mut mark = 0;
        for number in 0..1500 {
            let now = tick(number);
            for _ in 0..8 {
                if mark < requests && client.free() > 0 && client.close_reason().is_none() {
                    let handle = client.send(|id| packet(Code::ACCESS_REQUEST, id, mark), now).unwrap();
                    handles.insert(handle, mark);
                    mark += 1;
                }
            }
            client.handle_timeout(now);
            server.handle_timeout(now);
            for (to_server, octets) in wire.remove(&number).unwrap_or_default() {
                if to_server {
                    server.receive(&octets, now);
                } else {
                    client.receive(&octets, now, verify);
                }
            }
            world.serve(&mut server, now);
            world.collect(&mut client);
            let out = std::iter::from_fn(|| client.poll_transmit()).map(|packet| (true, packet));
            let out: Vec<_> = out.chain(std::iter::from_fn(|| server.poll_transmit()).map(|packet| (false, packet))).collect();
            for (to_server, packet) in out {
                for delay in fates.next().unwrap().iter().take(copies) {
                    let arrival = wire.entry(number + 1 + delay).or_default();
                    arrival.push((to_server, packet.octets().to_vec()));
                }
            }
        }
        prop_assert_eq!(world.answered.len() + world.timed_out.len(), handles.len());
        for (handle, mark) in &world.answered {
            prop_assert_eq!(handles.get(handle), Some(mark));
        }
        prop_assert!(world.worked.values().all(|times| *times == 1), "{:?}", world.worked);
    }

    #[test]
    fn a_stream_may_be_cut_anywhere(
        requests in 1_u32..255,
        cuts in prop::collection::vec(1_usize..90, 1..9),
    ) {
        let now = Now::default();
        let mut client = ClientConnection::new(client::Config::new(Transport::Tls), false, 3, now);
        let mut server = ServerConnection::new(server::Config::new(Transport::Tls), now);
        let mut world = World::default();
        let mut handles = BTreeMap::new();
        for mark in 0..requests {
            let handle = client.send(|id| packet(Code::ACCESS_REQUEST, id, mark), now).unwrap();
            handles.insert(handle, mark);
        }
        let mut cuts = cuts.iter().cycle();
        let mut pieces = |mut stream: Vec<u8>| {
            let mut out = Vec::new();
            while !stream.is_empty() {
                let rest = stream.split_off((*cuts.next().unwrap()).min(stream.len()));
                out.push(std::mem::replace(&mut stream, rest));
            }
            out
        };
        let stream: Vec<u8> = std::iter::from_fn(|| client.poll_transmit())
            .flat_map(|packet| packet.octets().to_vec())
            .collect();
        let mut back = Vec::new();
        for piece in pieces(stream) {
            server.receive(&piece, now);
            world.serve(&mut server, now);
            while let Some(packet) = server.poll_transmit() {
                back.extend_from_slice(packet.octets());
            }
        }
        for piece in pieces(back) {
            client.receive(&piece, now, verify);
            world.collect(&mut client);
        }
        prop_assert_eq!(world.answered, handles);
        prop_assert_eq!(client.free(), 255);
    }
}
