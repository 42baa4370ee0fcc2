//! RadSec as its records show it on the wire.

use std::io::{Read, Write};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, SupportedProtocolVersion, version};

use crate::harness::{Place, Server};
use crate::radius::status;
use crate::wire::{client_config_with, tcp};

/// A device that looks at each record by itself.
struct Device {
    tls: ClientConnection,
    socket: std::net::TcpStream,
}

impl Device {
    fn connect(place: &Place, server: &Server, version: &'static SupportedProtocolVersion) -> Self {
        let config = client_config_with(place, Some("core1"), &[version]);
        let name = ServerName::try_from("aaa1.doorward.test").unwrap();
        let mut tls = ClientConnection::new(config, name).unwrap();
        let mut socket = tcp(server.address("radius-tls"));
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

    /// What the next record with plain data holds; tickets are none.
    fn record(&mut self) -> Vec<u8> {
        loop {
            let mut record = vec![0; 5];
            self.socket.read_exact(&mut record).unwrap();
            let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
            record.resize(5 + length, 0);
            self.socket.read_exact(&mut record[5..]).unwrap();
            self.tls.read_tls(&mut &record[..]).unwrap();
            let state = self.tls.process_new_packets().unwrap();
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            self.tls.reader().read_exact(&mut plain).unwrap();
            if !plain.is_empty() {
                return plain;
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
        let mut device = Device::connect(&place, &server, version);
        let eight: Vec<u8> = (1..=8).flat_map(status).collect();
        device.send(&eight);
        for id in 1..=8 {
            let record = device.record();
            let length = usize::from(u16::from_be_bytes([record[2], record[3]]));
            assert_eq!((record[1], record.len()), (id, length));
        }
    }
}
