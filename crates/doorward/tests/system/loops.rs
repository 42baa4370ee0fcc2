//! A client that is part of the server, and comes to one of its listeners.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use doorward::aaa::Refused;
use doorward::config::ListenerProtocol;
use doorward_client::radius::{Client, Server};
use doorward_client::{ServerAddress, Tls};
use doorward_tls::ReferenceIdentity;
use doorward_tls::hello::OwnHellos;

use crate::dtls_device::{Proof, policy};
use crate::harness::{PATIENCE, Place};
use crate::psk;
use crate::radsec_records::listener;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn client(
    place: &Place,
    (protocol, address): (ListenerProtocol, SocketAddr),
    proof: Proof<'_>,
    own: Option<&Arc<OwnHellos>>,
) -> Client {
    let reference = ReferenceIdentity::parse("aaa1.doorward.test").unwrap();
    let mut tls = Tls::new(Arc::new(policy(place, proof)), reference);
    tls.own_hellos = own.cloned();
    let address = ServerAddress::from_ip(address.ip(), address.port());
    let server = if protocol == ListenerProtocol::RadiusDtls {
        Server::dtls(address, tls)
    } else {
        Server::tls(address, tls)
    };
    let mut server = server.unwrap();
    server.connect_timeout = PATIENCE;
    Client::new(vec![server]).unwrap()
}

/// By a certificate and by a key, over TLS and over DTLS; whoever else has the same is served, in the same process too.
#[test]
fn a_connection_of_its_own_is_refused_and_told_of() {
    for (protocol, name) in [
        (ListenerProtocol::RadiusTls, "radius-tls"),
        (ListenerProtocol::RadiusDtls, "radius-dtls"),
    ] {
        let place = psk::place_of(name, "[\"certificate\", \"psk\"]");
        let key = place.text("core1.psk");
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone())
            .finish();
        // One thread for all, whose log this is.
        let _guard = tracing::subscriber::set_default(subscriber);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (address, aaa) = listener(&runtime, &place, protocol, 1 << 20);
        let proofs = [
            Proof::Certificate("core1"),
            Proof::Key("core1.example.net", key.trim()),
        ];
        let others = Arc::default();
        for (before, proof) in (0..).zip(proofs) {
            assert_eq!(aaa.metrics.refused.get(Refused::Loop), before);
            let ask = |own| {
                let client = client(&place, (protocol, address), proof, own);
                runtime.block_on(client.status())
            };
            assert!(ask(None).is_ok());
            assert!(ask(Some(&others)).is_ok());
            let refused = ask(Some(&aaa.own_hellos)).unwrap_err().to_string();
            assert!(refused.contains("the TLS handshake failed"), "{refused}");
            assert_eq!(aaa.metrics.refused.get(Refused::Loop), before + 1);
        }
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let told = |line: &&str| {
            line.contains("\"reason\":\"loop\"") && line.contains("a route leads back to it")
        };
        assert_eq!(text.lines().filter(told).count(), 2, "{text}");
    }
}
