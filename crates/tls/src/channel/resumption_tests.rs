//! Resumption seen from outside: who gets a ticket, how often it works, and what is judged again.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{SerialNumber, date_time_ymd};

use super::tests::{client_info, converse, drained, info};
use super::*;
use crate::hello::{ClientHello, ClientHelloReader, Progress};
use crate::testing::{NOW, World, alert_at, carry, client_failure, peer, server_failure, trust};
use crate::{
    ClientPolicy, ClientSettings, Clock, PathError, PolicyError, ReferenceIdentity, Revocation,
    ServerPolicy, ServerSettings, Trust,
};

/// Says what the test wants it to say.
struct Doorman(Mutex<Result<Arc<str>, AdmissionRefusal>>);

impl Admission for Doorman {
    fn admit(&self, _: &PeerIdentity, _: SocketAddr) -> Result<Arc<str>, AdmissionRefusal> {
        self.0.lock().unwrap().clone()
    }
}

/// A client and a server that meet more than once.
struct Pair {
    server: Arc<ServerPolicy>,
    client: Arc<ClientPolicy>,
    doorman: Arc<Doorman>,
    time: Arc<AtomicI64>,
}

fn numbered(number: u64) -> impl Fn(&mut rcgen::CertificateParams) {
    move |params| params.serial_number = Some(SerialNumber::from(number))
}

/// With client certificate 5 and server certificate 6.
fn world() -> World {
    let mut world = World::new();
    world.client = world.ca.leaf_with("core1.example.net", numbered(5));
    world.server = world.ca.leaf_with("aaa1.example.net", numbered(6));
    world
}

impl Pair {
    fn new(world: &World) -> Self {
        Self::with(world, |_| (), |_| ())
    }

    fn with(
        world: &World,
        server: impl FnOnce(&mut ServerSettings),
        client: impl FnOnce(&mut ClientSettings),
    ) -> Self {
        let time = Arc::new(AtomicI64::new(NOW));
        let told = time.clone();
        let clock = Clock::new(move || told.load(Ordering::SeqCst));
        let (mut ours, mut theirs) = (world.server_settings(), world.client_settings());
        (ours.clock, theirs.clock) = (clock.clone(), clock);
        server(&mut ours);
        client(&mut theirs);
        Self {
            server: Arc::new(ServerPolicy::new(ours).unwrap()),
            client: Arc::new(ClientPolicy::new(theirs).unwrap()),
            doorman: Arc::new(Doorman(Mutex::new(Ok("core1".into())))),
            time,
        }
    }

    fn ends(&self) -> (ClientChannel, ServerChannel) {
        let reference = ReferenceIdentity::parse("aaa1.example.net").unwrap();
        let name = Some("aaa1.example.net");
        (
            ClientChannel::new(self.client.clone(), reference, name, peer()),
            ServerChannel::new(self.server.clone(), self.doorman.clone(), peer()),
        )
    }

    /// One connection that says something; was it resumed?
    fn connect(&self) -> bool {
        let (mut client, mut server) = self.ends();
        carry(&mut client, &mut server, 1000);
        converse(&mut client, &mut server, 1000);
        let resumed = info(&server).resumed;
        assert_eq!(client_info(&client).resumed, resumed, "both know");
        resumed
    }
}

fn hello(client: &mut ClientChannel) -> (Box<ClientHello>, Vec<u8>) {
    let flight = drained(|out| client.drain(out));
    match ClientHelloReader::new().push(&flight) {
        Ok(Progress::Done(hello)) => (hello, flight),
        other => panic!("{other:?}"),
    }
}

/// proves: TLS-3.6-1, TLS-3.6-2, TLS-3.6-4
#[test]
fn the_second_connection_is_resumed_and_is_the_same_device() {
    let pair = Pair::new(&world());
    assert!(!pair.connect());
    let (mut client, mut server) = pair.ends();
    let (hello, flight) = hello(&mut client);
    assert_eq!(hello.psk_identities.len(), 1, "the ticket is offered");
    server.feed(&flight);
    let answer = drained(|out| server.drain(out));
    client.feed(&answer);
    carry(&mut client, &mut server, 1000);
    converse(&mut client, &mut server, 1000);
    let info = info(&server);
    assert!(info.resumed);
    assert_eq!(info.device.as_deref(), Some("core1"));
    assert_eq!(info.identity.dns, ["core1.example.net"]);
    assert_eq!(info.identity.serial, "5", "with all its marks");
}

/// proves: TLS-3.6-3, TLS-3.6-6, TLS-5.1.2-2
#[test]
fn every_connection_offers_another_ticket_and_no_early_data() {
    let pair = Pair::new(&world());
    assert!(!pair.connect());
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let (mut client, mut server) = pair.ends();
        let (hello, flight) = hello(&mut client); // the reader refuses early_data
        assert!(seen.insert(hello.psk_identities.first().unwrap().clone()));
        server.feed(&flight);
        carry(&mut client, &mut server, 1000);
        converse(&mut client, &mut server, 1000);
        assert!(info(&server).resumed);
    }
    // Two at once: there is one ticket, and only one of them has it.
    let ((mut one, _), (mut other, _)) = (pair.ends(), pair.ends());
    assert_eq!(hello(&mut one).0.psk_identities.len(), 1);
    assert!(hello(&mut other).0.psk_identities.is_empty());
}

/// proves: TLS-3.6-4
#[test]
fn a_ticket_that_comes_a_second_time_leads_to_a_full_handshake() {
    let pair = Pair::new(&world());
    assert!(!pair.connect());
    let (mut client, _) = pair.ends();
    let (_, flight) = hello(&mut client);
    let answer = |server: &mut ServerChannel| {
        server.feed(&flight);
        drained(|out| server.drain(out))
    };
    let (_, mut first) = pair.ends();
    let (_, mut second) = pair.ends();
    let (abbreviated, full) = (answer(&mut first), answer(&mut second));
    assert!(
        matches!(second.handshake(), Handshake::WantRead),
        "no error"
    );
    assert!(
        full.len() > abbreviated.len() + 400,
        "the second answer has the certificate that the first one leaves out"
    );
    client.feed(&abbreviated);
    carry(&mut client, &mut first, 1000);
    converse(&mut client, &mut first, 1000);
}

/// proves: TLS-3.6-9, TLS-3.6-5
#[test]
fn the_lifetime_is_what_the_policy_says() {
    let world = world();
    for lifetime in [60, 604_800] {
        let pair = Pair::with(&world, |server| server.ticket_lifetime = lifetime, |_| ());
        assert!(!pair.connect());
        pair.time.fetch_add(i64::from(lifetime), Ordering::SeqCst);
        // Certificates of the test end before a week is over in neither case.
        assert!(pair.connect(), "in time");
        pair.time
            .fetch_add(i64::from(lifetime) + 1, Ordering::SeqCst);
        assert!(!pair.connect(), "too late, and no error");
    }
    let none = Pair::with(&world, |server| server.ticket_lifetime = 0, |_| ());
    assert!(!none.connect());
    let (mut client, _) = none.ends();
    assert!(
        hello(&mut client).0.psk_identities.is_empty(),
        "no ticket was sent"
    );
    let mut settings = world.server_settings();
    settings.ticket_lifetime = 604_801;
    assert_eq!(
        ServerPolicy::new(settings).unwrap_err(),
        PolicyError::TicketLifetime
    );
}

/// proves: TLS-3.6-5
#[test]
fn a_server_without_resumption_takes_a_ticket_for_nothing() {
    let world = world();
    let pair = Pair::new(&world);
    assert!(!pair.connect());
    // The same server later, under a configuration without tickets.
    let mut settings = world.server_settings();
    settings.ticket_lifetime = 0;
    let later = Pair {
        server: Arc::new(ServerPolicy::new(settings).unwrap()),
        ..pair
    };
    let (mut client, mut server) = later.ends();
    let (hello, flight) = hello(&mut client);
    assert_eq!(hello.psk_identities.len(), 1);
    server.feed(&flight);
    carry(&mut client, &mut server, 1000);
    converse(&mut client, &mut server, 1000);
    assert!(!info(&server).resumed);
    assert_eq!(
        info(&server).identity.serial,
        "5",
        "it showed its certificate"
    );
}

/// proves: TLS-3.6-7
#[test]
fn a_client_revoked_since_its_ticket_is_refused() {
    let world = world();
    let listing = |serials: &[u64]| vec![world.ca.crl(serials)];
    let required = Arc::new(trust(&[&world.ca], listing(&[1]), Revocation::Require));
    let pair = Pair::with(&world, |server| server.trust = required.clone(), |_| ());
    assert!(!pair.connect());
    assert!(pair.connect());
    required.replace_crls(&listing(&[5])).unwrap();
    let (mut client, mut server) = pair.ends();
    let (hello, flight) = hello(&mut client);
    assert_eq!(hello.psk_identities.len(), 1);
    server.feed(&flight);
    carry(&mut client, &mut server, 1000);
    let revoked = HandshakeError::Path(PathError::Revoked { serial: "5".into() });
    assert_eq!(server_failure(&server), &revoked);
    assert_eq!(alert_at(&mut client), 44);
}

/// proves: TLS-3.6-8
#[test]
fn a_server_revoked_since_its_ticket_is_refused_by_the_client() {
    let world = world();
    let listing = |serials: &[u64]| vec![world.ca.crl(serials)];
    let required = Arc::new(trust(&[&world.ca], listing(&[1]), Revocation::Require));
    let pair = Pair::with(&world, |_| (), |client| client.trust = required.clone());
    assert!(!pair.connect());
    assert!(pair.connect());
    required.replace_crls(&listing(&[6])).unwrap();
    let (mut client, mut server) = pair.ends();
    let (hello, flight) = hello(&mut client);
    assert!(hello.psk_identities.is_empty(), "the ticket is not offered");
    server.feed(&flight);
    carry(&mut client, &mut server, 1000);
    let revoked = HandshakeError::Path(PathError::Revoked { serial: "6".into() });
    assert_eq!(client_failure(&client), &revoked);
}

#[test]
fn expiry_device_and_address_are_judged_at_every_use() {
    let world = {
        let mut world = world();
        world.client = world.ca.leaf_with("core1.example.net", |params| {
            params.not_after = date_time_ymd(2027, 6, 2);
        });
        world
    };
    let pair = Pair::with(&world, |server| server.ticket_lifetime = 604_800, |_| ());
    assert!(!pair.connect());
    assert!(pair.connect());

    // The same alert as after a full handshake, for every reason.
    let refusals = [
        AdmissionRefusal::UnknownDevice,
        AdmissionRefusal::WrongAddress {
            device: "core1".into(),
        },
        AdmissionRefusal::WrongListener {
            device: "core1".into(),
        },
    ];
    for refusal in refusals {
        *pair.doorman.0.lock().unwrap() = Ok("core1".into());
        pair.connect();
        *pair.doorman.0.lock().unwrap() = Err(refusal.clone());
        let (mut client, mut server) = pair.ends();
        let (hello, flight) = hello(&mut client);
        assert_eq!(hello.psk_identities.len(), 1);
        server.feed(&flight);
        carry(&mut client, &mut server, 1000);
        assert_eq!(server_failure(&server), &HandshakeError::Admission(refusal));
        assert_eq!(alert_at(&mut client), 49);
    }

    // Another device owns the certificate now.
    *pair.doorman.0.lock().unwrap() = Ok("core1".into());
    pair.connect();
    *pair.doorman.0.lock().unwrap() = Ok("core2".into());
    let (mut client, mut server) = pair.ends();
    carry(&mut client, &mut server, 1000);
    assert!(info(&server).resumed);
    assert_eq!(info(&server).device.as_deref(), Some("core2"));
    converse(&mut client, &mut server, 1000);

    pair.time.fetch_add(3 * 24 * 3600, Ordering::SeqCst);
    let (mut client, mut server) = pair.ends();
    carry(&mut client, &mut server, 1000);
    assert!(matches!(
        server_failure(&server),
        HandshakeError::Path(PathError::Expired { .. })
    ));
    assert_eq!(alert_at(&mut client), 45);
}

/// proves: TLS-3.2-8
#[test]
fn how_a_connection_ended_does_not_matter_to_its_ticket() {
    let pair = Pair::new(&world());
    for close in [true, false] {
        let (mut client, mut server) = pair.ends();
        carry(&mut client, &mut server, 1000);
        converse(&mut client, &mut server, 1000);
        if close {
            server.close();
        }
        drop((client, server));
        assert!(pair.connect());
    }
}

#[test]
fn a_resumed_connection_without_a_word_leads_to_a_full_handshake() {
    let pair = Pair::new(&world());
    assert!(!pair.connect());
    let (mut client, mut server) = pair.ends();
    carry(&mut client, &mut server, 1000);
    assert!(client_info(&client).resumed);
    server.close();
    client.feed(&drained(|out| server.drain(out)));
    assert_eq!(
        client.read_plain(&mut Vec::new()).unwrap(),
        PlainState::Closed
    );
    drop(client);
    assert!(!pair.connect(), "the tickets of that server are gone");
    assert!(pair.connect());
}

/// Wherever in the handshake the server stops, and in whatever way.
#[test]
fn a_resumption_that_is_refused_in_the_handshake_leads_to_a_full_one() {
    let pair = Pair::new(&world());
    for answer in [&[][..], &[21, 3, 3, 0, 2, 2, 40], b"what?"] {
        // Two at once, so that there are two tickets.
        let mut both = [pair.ends(), pair.ends()];
        for (client, server) in &mut both {
            assert!(!client.offered_resumption());
            carry(client, server, 1000);
            converse(client, server, 1000);
        }
        let (mut refused, _) = pair.ends();
        assert_eq!(hello(&mut refused).0.psk_identities.len(), 1);
        assert!(refused.offered_resumption());
        refused.feed(answer);
        assert!(!matches!(refused.handshake(), Handshake::Done(_)));
        drop(refused);
        let (mut next, _) = pair.ends();
        assert!(hello(&mut next).0.psk_identities.is_empty());
        assert!(!next.offered_resumption());
    }
    // The same after half of a server's flight that goes along with it.
    assert!(!pair.connect());
    let (mut client, mut server) = pair.ends();
    server.feed(&hello(&mut client).1);
    let flight = drained(|out| server.drain(out));
    client.feed(&flight[..flight.len() / 2]);
    assert!(matches!(client.handshake(), Handshake::WantRead));
    drop(client);
    assert!(hello(&mut pair.ends().0).0.psk_identities.is_empty());
}

#[test]
fn a_ticket_goes_only_to_the_server_it_came_from() {
    let pair = Pair::new(&world());
    assert!(!pair.connect());
    let port = AtomicU16::new(1);
    let elsewhere = |reference: &str, name: &str, same: bool| {
        let mut address = peer();
        if !same {
            address.set_port(port.fetch_add(1, Ordering::SeqCst));
        }
        let reference = ReferenceIdentity::parse(reference).unwrap();
        let mut client = ClientChannel::new(pair.client.clone(), reference, Some(name), address);
        hello(&mut client).0.psk_identities.len()
    };
    let name = "aaa1.example.net";
    assert_eq!(elsewhere(name, name, false), 0, "another port");
    assert_eq!(elsewhere("aaa2.example.net", name, true), 0, "another name");
    assert_eq!(elsewhere(name, "aaa2.example.net", true), 0, "another SNI");
    assert_eq!(elsewhere(name, name, true), 1);
}

#[test]
fn live_sessions_are_judged_by_the_trust_of_today() {
    let world = world();
    let pair = Pair::new(&world);
    for resumed in [false, true] {
        let (mut client, mut server) = pair.ends();
        carry(&mut client, &mut server, 1000);
        converse(&mut client, &mut server, 1000);
        assert_eq!(info(&server).resumed, resumed);
        let ends = date_time_ymd(2027, 12, 31).unix_timestamp();
        assert_eq!(server.valid_until(), Some(ends));
        let judged = |trust: &Trust, now| server.rejudge(trust, now);
        let listing = |serials: &[u64]| {
            trust(
                &[&world.ca],
                vec![world.ca.crl(serials)],
                Revocation::Require,
            )
        };
        assert_eq!(judged(&listing(&[1]), NOW), Ok(()));
        let revoked = PathError::Revoked { serial: "5".into() };
        assert_eq!(judged(&listing(&[5]), NOW), Err(revoked));
        let without = trust(&[&world.ca], Vec::new(), Revocation::Require);
        assert_eq!(judged(&without, NOW), Ok(()), "no list ends no connection");
        let expired = PathError::Expired { not_after: ends };
        assert_eq!(judged(&without, ends + 1), Err(expired));
        let stranger = crate::testing::Ca::root("Another CA");
        let other = trust(&[&stranger], Vec::new(), Revocation::Off);
        assert_eq!(judged(&other, NOW), Err(PathError::UnknownIssuer));
    }
}
