//! RadSec as its records show it on the wire.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use doorward::aaa::{Aaa, Snapshot};
use doorward::accounting::{Journal, JournalOptions};
use doorward::config::{self, ListenerProtocol};
use doorward::identity::{HashingPool, PasswordStore};
use doorward::listen::{ListenerKey, Open, Shared};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, SupportedProtocolVersion, version};

use crate::harness::Place;
use crate::radius::{pap, status};
use crate::wire::{client_config_with, tcp};

/// A device that looks at each record by itself.
struct Device {
    tls: ClientConnection,
    socket: std::net::TcpStream,
}

impl Device {
    fn connect(
        place: &Place,
        address: SocketAddr,
        version: &'static SupportedProtocolVersion,
    ) -> Self {
        let config = client_config_with(place, Some("core1"), &[version]);
        let name = ServerName::try_from("aaa1.doorward.test").unwrap();
        let mut tls = ClientConnection::new(config, name).unwrap();
        let mut socket = tcp(address);
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).unwrap();
        }
        Self { tls, socket }
    }

    /// Sends octets as one record.
    fn send(&mut self, octets: &[u8]) {
        self.tls.writer().write_all(octets).unwrap();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.socket).unwrap();
        }
    }

    /// What the next record with plain data holds; tickets are none. `None` = close_notify.
    fn record(&mut self) -> Option<Vec<u8>> {
        loop {
            let mut record = vec![0; 5];
            self.socket.read_exact(&mut record).unwrap();
            let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
            record.resize(5 + length, 0);
            self.socket.read_exact(&mut record[5..]).unwrap();
            self.tls.read_tls(&mut &record[..]).unwrap();
            let state = self.tls.process_new_packets().unwrap();
            if state.peer_has_closed() {
                return None;
            }
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            self.tls.reader().read_exact(&mut plain).unwrap();
            if !plain.is_empty() {
                return Some(plain);
            }
        }
    }
}

/// The requests come in one record, so that they are answered in one turn.
///
/// proves: RAD-4.1-7
#[test]
fn every_answer_has_a_record_of_its_own() {
    let place = Place::demo();
    let server = place.start();
    for version in [&version::TLS12, &version::TLS13] {
        let mut device = Device::connect(&place, server.address("radius-tls"), version);
        let eight: Vec<u8> = (1..=8).flat_map(status).collect();
        device.send(&eight);
        for id in 1..=8 {
            let record = device.record().unwrap();
            let length = usize::from(u16::from_be_bytes([record[2], record[3]]));
            assert_eq!((record[1], record.len()), (id, length));
        }
    }
}

/// A listener for RadSec without the rest of the server, and with keys that are worn after so many records.
pub(crate) fn listener(
    runtime: &tokio::runtime::Runtime,
    place: &Place,
    protocol: ListenerProtocol,
    tls12_records: u64,
) -> (SocketAddr, Arc<Aaa>) {
    let config = config::load(&place.config()).unwrap().config;
    let snapshot = Snapshot {
        generation: 1,
        config: Arc::clone(&config),
        loaded: jiff::Timestamp::now(),
    };
    let journal = Journal::open(&place.path("worn.db"), JournalOptions::default()).unwrap();
    let passwords = PasswordStore::open(&place.path("worn.storage")).unwrap();
    let hashing = HashingPool::new(1, 1).unwrap();
    let aaa = Arc::new(Aaa::new(snapshot, journal, hashing, passwords));
    let mut shared = Shared::new(Arc::clone(&aaa), Arc::default());
    shared.tls12_records = tls12_records;
    let radsec = ListenerKey::all(&config.listeners)
        .find(|(key, _)| key.protocol == protocol)
        .unwrap();
    let inside = runtime.enter();
    let (open, socket) = Open::bind(radsec, None, Arc::clone(&aaa), Arc::new(shared)).unwrap();
    let address = open.address;
    runtime.spawn(open.serve(socket));
    drop(inside);
    (address, aaa)
}

/// Over TLS 1.2 the server ends the connection in good order, and the device goes on over another one; over TLS 1.3 the library
/// changes the keys.
///
/// proves: RAD-7.5-1
#[test]
fn a_connection_whose_keys_are_worn_is_renewed() {
    let place = Place::demo();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (address, _) = listener(&runtime, &place, ListenerProtocol::RadiusTls, 5);
    for _ in 0..2 {
        let mut device = Device::connect(&place, address, &version::TLS12);
        for id in 1..=5 {
            device.send(&status(id));
            assert_eq!(device.record().unwrap()[1], id);
        }
        assert_eq!(device.record(), None);
        assert_eq!(device.socket.read(&mut [0]).unwrap(), 0);
    }
    // What is under way is answered first.
    let mut device = Device::connect(&place, address, &version::TLS12);
    for id in 1..=4 {
        device.send(&status(id));
        assert_eq!(device.record().unwrap()[1], id);
    }
    let last: Vec<u8> = [status(5), pap(6, "alice", "wrong"), status(7)].concat();
    device.send(&last);
    let mut answered: Vec<u8> = (0..3).map(|_| device.record().unwrap()[1]).collect();
    answered.sort_unstable();
    assert_eq!(answered, [5, 6, 7], "the login as well, which takes longer");
    assert_eq!(device.record(), None);

    let mut device = Device::connect(&place, address, &version::TLS13);
    for id in 1..=20 {
        device.send(&status(id));
        assert_eq!(device.record().unwrap()[1], id);
    }
}
