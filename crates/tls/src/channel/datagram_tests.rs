//! DTLS 1.2: both roles over a lossy wire, by certificate and by key.

use std::time::Duration;

use super::psk_world::{BOTH, KEY, Keys, PSK_ONLY};
use super::tests::{client_info, info};
use super::*;
use crate::hello::{Cookies, First};
use crate::testing::{Everybody, Nobody, World, client_failure, peer, server_failure};
use crate::{
    ChannelError, ClientPolicy, ClientSettings, Incompatibility, PathError, PskFailure,
    PskIdentity, ReferenceIdentity, ServerPolicy, ServerSettings, datagrams,
};

fn client(world: &World, change: impl FnOnce(&mut ClientSettings)) -> ClientChannel {
    let mut settings = world.client_settings();
    settings.datagrams = true;
    change(&mut settings);
    let reference = ReferenceIdentity::parse("aaa1.example.net").unwrap();
    let policy = Arc::new(ClientPolicy::new(settings).unwrap());
    ClientChannel::datagrams(policy, reference, Some("aaa1.example.net"), peer())
}

fn by_key(world: &World, identity: &str, key: &[u8]) -> ClientChannel {
    client(world, |settings| {
        let identity = PskIdentity::new(identity).unwrap();
        settings.psk = Some((identity, PskKey::new(key).unwrap()));
    })
}

/// A listener with one client: what it keeps, and what it has answered.
struct Server {
    cookies: Cookies,
    policies: Arc<[Arc<ServerPolicy>]>,
    admission: Arc<dyn Admission>,
    channel: Option<ServerChannel>,
    verify: Vec<u8>,
}

impl Server {
    fn new(
        world: &World,
        admission: impl Admission + 'static,
        change: impl FnOnce(&mut ServerSettings),
    ) -> Self {
        let mut settings = world.server_settings();
        change(&mut settings);
        Self {
            cookies: Cookies::new(Duration::ZERO).unwrap(),
            policies: Arc::new([Arc::new(ServerPolicy::new(settings).unwrap())]),
            admission: Arc::new(admission),
            channel: None,
            verify: Vec::new(),
        }
    }

    fn feed(&mut self, datagram: &[u8]) {
        if let Some(channel) = &mut self.channel {
            return channel.feed(datagram);
        }
        match self.cookies.judge(datagram, b"here", Duration::ZERO) {
            First::Verify(answer) => self.verify = answer,
            First::Proved(hello) => {
                let (policies, admission) = (self.policies.clone(), self.admission.clone());
                let mut channel =
                    ServerChannel::datagrams(policies, admission, peer(), hello, datagram);
                // Nothing is done for the hello before that.
                assert!(matches!(channel.handshake(), Handshake::WantRead));
                let mut early = Vec::new();
                channel.drain(&mut early);
                assert!(early.is_empty());
                channel.handle_timeout();
                self.channel = Some(channel);
            }
            other @ (First::Nothing | First::Refused(_) | First::Own(_)) => panic!("{other:?}"),
        }
    }

    fn drain(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.verify);
        if let Some(channel) = &mut self.channel {
            channel.drain(out);
        }
    }

    fn channel(&mut self) -> &mut ServerChannel {
        self.channel.as_mut().unwrap()
    }
}

/// Carries datagrams both ways until nobody has any; `lost` says which of them, by number, does not arrive.
fn carry(client: &mut ClientChannel, server: &mut Server, lost: &mut dyn FnMut() -> bool) {
    loop {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        client.drain(&mut up);
        datagrams(&up)
            .filter(|_| !lost())
            .for_each(|one| server.feed(one));
        server.drain(&mut down);
        datagrams(&down)
            .filter(|_| !lost())
            .for_each(|one| client.feed(one));
        if up.is_empty() && down.is_empty() {
            return;
        }
    }
}

fn established(client: &mut ClientChannel, server: &mut Server) {
    carry(client, server, &mut || false);
    client_info(client);
    info(server.channel());
}

fn records(
    read: impl FnOnce(&mut dyn FnMut(&[u8])) -> Result<PlainState, ChannelError>,
) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let state = read(&mut |record| records.push(record.to_vec()));
    assert_eq!(state, Ok(PlainState::Open));
    records
}

#[test]
fn both_sides_prove_themselves_by_certificate() {
    let world = World::new();
    let mut client = client(&world, |_| ());
    let mut server = Server::new(&world, Everybody, |_| ());
    established(&mut client, &mut server);
    let seen = info(server.channel());
    assert_eq!(seen.device.as_deref(), Some("core1"));
    assert_eq!((seen.method, seen.version), (Method::Certificate, "1.2"));
    assert_eq!(seen.identity.dns, ["core1.example.net"]);
    assert_eq!(seen.suite, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    assert_eq!(seen.group, "x25519");
    assert_eq!(seen.sni.as_deref(), Some("aaa1.example.net"));
    assert_eq!(client_info(&client).identity.dns, ["aaa1.example.net"]);
    assert!(server.channel().valid_until().is_some());

    // Each packet has its own record, and each record its own datagram, however long.
    for length in [20, 4096] {
        client.write_record(&vec![1; length]).unwrap();
        client.write_record(&vec![2; length]).unwrap();
        let mut sealed = Vec::new();
        client.drain(&mut sealed);
        let sent: Vec<&[u8]> = datagrams(&sealed).collect();
        assert_eq!(sent.len(), 2);
        sent.iter().for_each(|one| server.feed(one));
        let read = records(|each| server.channel().read_records(each));
        assert_eq!(read, [vec![1; length], vec![2; length]]);
        // The same datagram again is no record again.
        server.feed(sent[0]);
        assert!(records(|each| server.channel().read_records(each)).is_empty());
        server.channel().write_record(&vec![3; length]).unwrap();
        carry(&mut client, &mut server, &mut || false);
        assert_eq!(records(|each| client.read_records(each)), [vec![3; length]]);
    }
    assert!(client.confirmed());

    client.close();
    carry(&mut client, &mut server, &mut || false);
    let state = server.channel().read_records(&mut |_| panic!("data"));
    assert_eq!(state, Ok(PlainState::Closed));
}

#[test]
fn both_sides_prove_themselves_by_a_key() {
    let world = World::new();
    for methods in [PSK_ONLY, BOTH] {
        let keys = Keys::default().with("core2", KEY).taking(methods);
        let mut server = Server::new(&world, keys, |_| ());
        let mut client = by_key(&world, "core2", KEY);
        established(&mut client, &mut server);
        let seen = info(server.channel());
        assert_eq!(seen.device.as_deref(), Some("core2"));
        assert_eq!((seen.method, seen.version), (Method::Psk, "1.2"));
        assert_eq!(seen.psk_identity.as_deref(), Some(&b"core2"[..]));
        assert_eq!(seen.suite, "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256");
        assert!(server.channel().is_proved_by(&PskKey::new(KEY).unwrap()));
        assert!(
            !server
                .channel()
                .is_proved_by(&PskKey::new([1; 32]).unwrap())
        );
    }
    // Where keys are taken as well, certificates are.
    let keys = Keys::default().with("core2", KEY).taking(BOTH);
    let mut server = Server::new(&world, keys, |_| ());
    let mut client = client(&world, |_| ());
    established(&mut client, &mut server);
    assert_eq!(info(server.channel()).method, Method::Certificate);
}

/// A chain of four certificates on either side is longer than a datagram: its message is divided, and no datagram is longer than
/// every link carries. What is lost of it comes again.
#[test]
fn messages_longer_than_a_datagram_come_in_fragments() {
    let world = World::new();
    let one = world.ca.sub("One");
    let two = one.sub("Two");
    let three = two.sub("Three");
    let chain = |name: &str| {
        let leaf = three.leaf(name);
        let ders = [&leaf.der, &three.der, &two.der, &one.der];
        (ders.map(Clone::clone).to_vec(), leaf.private_key())
    };
    for lost in [None, Some(3), Some(5)] {
        let mut server = Server::new(&world, Everybody, |settings| {
            (settings.certificate_chain, settings.key) = chain("aaa1.example.net");
        });
        let mut client = client(&world, |settings| {
            settings.certificate = Some(chain("core1.example.net"));
        });
        let mut count = 0;
        for _ in 0..5 {
            loop {
                let (mut up, mut down) = (Vec::new(), Vec::new());
                client.drain(&mut up);
                for one in datagrams(&up) {
                    assert!(one.len() <= 1232, "{}", one.len());
                    count += 1;
                    if lost != Some(count) {
                        server.feed(one);
                    }
                }
                server.drain(&mut down);
                for one in datagrams(&down) {
                    assert!(one.len() <= 1232, "{}", one.len());
                    count += 1;
                    if lost != Some(count) {
                        client.feed(one);
                    }
                }
                if up.is_empty() && down.is_empty() {
                    break;
                }
            }
            if let Handshake::Done(_) = client.handshake() {
                break;
            }
            let waits = [
                client.timeout(),
                server.channel.as_ref().and_then(ServerChannel::timeout),
            ];
            let wait = waits.into_iter().flatten().min().unwrap();
            std::thread::sleep(wait + Duration::from_millis(5));
            client.handle_timeout();
            if let Some(channel) = &mut server.channel {
                channel.handle_timeout();
            }
        }
        // Hello, cookie, hello, two for the server's flight, two for the client's, one for the end.
        assert!(count >= 8, "{count}");
        client_info(&client);
        info(server.channel());
    }
}

/// The longest identity that fits, and the suite of a client that offers certificates as well is for this side to choose.
#[test]
fn an_identity_may_have_256_octets() {
    let world = World::new();
    let identity = "x".repeat(256);
    let keys = Keys::default().with(&*identity, KEY).taking(BOTH);
    let mut server = Server::new(&world, keys, |_| ());
    let mut client = by_key(&world, &identity, KEY);
    established(&mut client, &mut server);
    let named = info(server.channel()).psk_identity.clone();
    assert_eq!(named.as_deref(), Some(identity.as_bytes()));
}

/// RFC 6347 section 4.2.1: the first record of the answer has the number of the hello, also where hellos were lost before it.
#[test]
fn the_server_hello_has_the_number_of_its_hello() {
    let world = World::new();
    for lost in 0..2 {
        let mut server = Server::new(&world, Everybody, |_| ());
        let mut client = client(&world, |_| ());
        let mut hello = Vec::new();
        client.drain(&mut hello);
        for _ in 0..lost {
            let wait = client.timeout().unwrap();
            std::thread::sleep(wait + Duration::from_millis(5));
            client.handle_timeout();
            hello.clear();
            client.drain(&mut hello);
        }
        server.feed(&hello);
        let mut answer = Vec::new();
        server.drain(&mut answer);
        assert_eq!(answer[5..11], hello[5..11], "HelloVerifyRequest");
        client.feed(&answer);
        hello.clear();
        client.drain(&mut hello);
        server.feed(&hello);
        answer.clear();
        server.drain(&mut answer);
        assert_eq!((answer[0], answer[13]), (22, 2));
        assert_eq!(answer[5..11], hello[5..11], "ServerHello");
        datagrams(&answer).for_each(|one| client.feed(one));
        carry(&mut client, &mut server, &mut || false);
        client_info(&client);
        info(server.channel());
    }
}

/// Nobody is told which of the two it was, and both wait.
#[test]
fn an_unknown_identity_looks_like_a_wrong_key() {
    let world = World::new();
    let wrong: [(&str, &[u8], PskFailure); 2] = [
        ("nobody", KEY, PskFailure::UnknownIdentity),
        ("core2", &[1; 32], PskFailure::WrongKey),
    ];
    let mut told = Vec::new();
    for (identity, key, failure) in wrong {
        let mut server = Server::new(&world, Keys::default().with("core2", KEY), |_| ());
        let mut client = by_key(&world, identity, key);
        carry(&mut client, &mut server, &mut || false);
        assert!(matches!(client.handshake(), Handshake::WantRead));
        assert!(matches!(server.channel().handshake(), Handshake::WantRead));
        // A record that is lost, or not ours, is no sign of a wrong key; the same flight again is.
        let wait = client.timeout().unwrap();
        std::thread::sleep(wait + Duration::from_millis(5));
        client.handle_timeout();
        carry(&mut client, &mut server, &mut || false);
        assert_eq!(
            server.channel().stalled(),
            Some(HandshakeError::Psk(failure))
        );
        told.push(client.timeout().is_some());
    }
    assert_eq!(told, [true, true]);
}

/// Alert 49 is none that the library knows.
#[test]
fn refusals_are_told_by_the_alerts_of_the_other_engine() {
    let world = World::new();
    let stranger = World::new();
    let refused = |server: &mut Server, client: &mut ClientChannel| {
        carry(client, server, &mut || false);
        let error = server_failure(server.channel()).clone();
        (error, client_failure(client).clone())
    };
    let mut server = Server::new(&world, Nobody, |_| ());
    let (error, told) = refused(&mut server, &mut client(&world, |_| ()));
    let unknown = HandshakeError::Admission(AdmissionRefusal::UnknownDevice);
    assert_eq!((error, told), (unknown, HandshakeError::PeerAlert(49)));

    let mut server = Server::new(&world, Everybody, |_| ());
    let other = (
        vec![stranger.client.der.clone()],
        stranger.client.private_key(),
    );
    let mut by_another = client(&world, |settings| settings.certificate = Some(other));
    let (error, told) = refused(&mut server, &mut by_another);
    let forged = HandshakeError::Path(PathError::BadSignature);
    assert_eq!(
        (error, told),
        (forged.clone(), HandshakeError::PeerAlert(42))
    );

    let mut server = Server::new(&world, Everybody, |_| ());
    let mut by_none = client(&world, |settings| settings.certificate = None);
    let (error, told) = refused(&mut server, &mut by_none);
    assert_eq!(error, HandshakeError::NoCertificate);
    assert!(matches!(told, HandshakeError::PeerAlert(_)), "{told:?}");

    // The client judges as well.
    let mut server = Server::new(&stranger, Everybody, |_| ());
    let mut client = client(&world, |_| ());
    carry(&mut client, &mut server, &mut || false);
    assert_eq!(*client_failure(&client), forged);
    let told = server_failure(server.channel());
    assert_eq!(*told, HandshakeError::PeerAlert(42));
}

/// Each datagram of the handshake is lost once, one after another; the timers of both sides bring it again.
#[test]
fn a_handshake_survives_the_loss_of_any_datagram() {
    let world = World::new();
    for number in 0..6 {
        let mut server = Server::new(&world, Everybody, |_| ());
        let mut client = client(&world, |_| ());
        let mut sent = 0;
        let mut lost = || {
            sent += 1;
            sent - 1 == number
        };
        for _ in 0..10 {
            carry(&mut client, &mut server, &mut lost);
            let both = server.channel.as_ref().map(ServerChannel::handshake);
            if let (Handshake::Done(_), Some(Handshake::Done(_))) = (client.handshake(), both) {
                break;
            }
            // The clock of the library is the machine's.
            let waits = [
                client.timeout(),
                server.channel.as_ref().and_then(ServerChannel::timeout),
            ];
            let wait = waits.into_iter().flatten().min();
            let wait = wait.unwrap_or_else(|| panic!("nobody waits ({number} was lost)"));
            std::thread::sleep(wait + Duration::from_millis(5));
            client.handle_timeout();
            if let Some(channel) = &mut server.channel {
                channel.handle_timeout();
            }
        }
        assert!(sent > number, "{number} was never sent");
        info(server.channel());
        client_info(&client);
        client.write_record(b"request").unwrap();
        carry(&mut client, &mut server, &mut || false);
        let read = records(|each| server.channel().read_records(each));
        assert_eq!(read, [b"request"]);
    }
}

/// Neither harms an association: another hello, garbage, a record of other keys, an alert in clear.
#[test]
fn nobody_outside_can_disturb_an_association() {
    let world = World::new();
    let mut client = client(&world, |_| ());
    let mut server = Server::new(&world, Everybody, |_| ());
    let mut hello = Vec::new();
    client.drain(&mut hello);
    server.feed(&hello);
    established(&mut client, &mut server);
    let mut foreign = vec![23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0, 40];
    foreign.resize(13 + 40, 7);
    let alert = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    for datagram in [
        &hello[..],
        &[],
        &[0; 100],
        b"GET / HTTP/1.1",
        &foreign,
        &alert,
    ] {
        server.feed(datagram);
        let mut answer = Vec::new();
        server.drain(&mut answer);
        assert!(answer.is_empty(), "{datagram:?}");
        client.feed(datagram);
    }
    client.write_record(b"request").unwrap();
    carry(&mut client, &mut server, &mut || false);
    let read = records(|each| server.channel().read_records(each));
    assert_eq!(read, [b"request"]);
}

#[test]
fn what_dtls_1_2_lacks_is_refused_before_the_library_sees_it() {
    let world = World::new();
    let mut server = Server::new(&world, Everybody, |_| ());
    let bare = |cookie: &[u8], number| crate::hello::tests_of_datagrams::hello(cookie, number);
    server.feed(&bare(&[], 0));
    let cookie = server.verify.split_off(13 + 12 + 3);
    server.feed(&bare(&cookie, 1));
    // It has no extended master secret.
    let lacks = HandshakeError::Incompatible(Incompatibility::ExtendedMasterSecret);
    assert_eq!(*server_failure(server.channel()), lacks);
    server.verify.clear();
    let mut alert = Vec::new();
    server.drain(&mut alert);
    assert_eq!(alert, [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40]);
}
