//! What comes as the identity of a pre-shared key is either a ticket or an external identity, never both, and which of an
//! unknown identity and a wrong key it was shows neither in the octets nor in the time of an answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::psk_world::{BOTH, KEY, PSK_ONLY};
use super::tests::{drained, info};
use super::ticket::{MAGIC, Tickets};
use super::*;
use crate::psk::is_ticket;
use crate::testing::{World, carry, peer, server_failure};
use crate::{ClientPolicy, PskFailure, PskIdentity, ReferenceIdentity, ServerPolicy};

/// Knows every identity there is under one key, and remembers what it was asked.
struct Everybody {
    methods: Methods,
    asked: Mutex<Vec<Vec<u8>>>,
}

impl Everybody {
    fn taking(methods: Methods) -> Arc<Self> {
        Arc::new(Self {
            methods,
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> Vec<Vec<u8>> {
        self.asked.lock().unwrap().clone()
    }
}

impl Admission for Everybody {
    fn admit(&self, _: &PeerIdentity, _: SocketAddr) -> Result<Arc<str>, AdmissionRefusal> {
        Ok("core1".into())
    }

    fn psk(&self, identity: &[u8], _: SocketAddr) -> Result<PskDevice, AdmissionRefusal> {
        self.asked.lock().unwrap().push(identity.to_vec());
        Ok(PskDevice {
            device: "core2".into(),
            key: Arc::new(PskKey::new(KEY).unwrap()),
        })
    }

    fn methods(&self) -> Methods {
        self.methods
    }
}

/// Policies of both sides; making them costs more than a handshake.
struct Sides {
    world: World,
    server: Arc<ServerPolicy>,
}

impl Sides {
    fn new() -> Self {
        let world = World::new();
        let server = Arc::new(ServerPolicy::new(world.server_settings()).unwrap());
        Self { world, server }
    }

    fn accepting(&self, admission: &Arc<Everybody>) -> ServerChannel {
        ServerChannel::new(self.server.clone(), admission.clone(), peer())
    }

    fn client(&self, identity: &[u8]) -> ClientChannel {
        let identity = PskIdentity::new(identity).unwrap();
        self.world.client(|settings| {
            settings.certificate = None;
            settings.psk = Some((identity, PskKey::new(KEY).unwrap()));
        })
    }

    /// The hello of a client with this identity, whatever an identity may be; the binder is wrong.
    fn hello(&self, identity: &[u8]) -> Vec<u8> {
        let stand_in = vec![b'x'; identity.len()];
        let mut hello = drained(|out| self.client(&stand_in).drain(out));
        let mut places = hello.windows(identity.len());
        let place = places.rposition(|part| part == stand_in).unwrap();
        hello[place..place + identity.len()].copy_from_slice(identity);
        hello
    }
}

/// Tickets of ours, what is left of them after a change, and octets of any other kind, such as tickets of other servers:
/// those of OpenSSL begin with a random name of 16 octets.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let ticket = prop::collection::vec(any::<u8>(), 0..300)
        .prop_map(|state| Tickets::new(100).sealed(&[7; 32], 0, &state));
    let changed = (ticket.clone(), any::<prop::sample::Index>(), 1..=255_u8).prop_map(
        |(mut ticket, place, change)| {
            let place = place.index(ticket.len());
            ticket[place] ^= change;
            ticket
        },
    );
    let magic =
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|rest| [&MAGIC[..], &rest].concat());
    // The first octets alone decide.
    let near = (ticket.clone(), 0..4_usize, 1..=255_u8).prop_map(|(mut ticket, place, change)| {
        ticket[place] ^= change;
        ticket
    });
    let other = prop::collection::vec(any::<u8>(), 16..300);
    prop_oneof![ticket, changed, magic, near, other]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Ours opens as a ticket and is no identity; whatever may be an identity opens as no ticket.
    #[test]
    fn nothing_is_both_a_ticket_and_an_identity(octets in octets(), state in prop::collection::vec(any::<u8>(), 0..300)) {
        let tickets = Tickets::new(100);
        let ours = tickets.sealed(&[7; 32], 0, &state);
        prop_assert!(tickets.opens(&ours, 0));
        prop_assert!(PskIdentity::new(ours).is_err());
        prop_assert_eq!(is_ticket(&octets), octets.starts_with(b"DWT1"));
        prop_assert_eq!(PskIdentity::new(octets.clone()).is_ok(), !is_ticket(&octets));
        prop_assert!(!tickets.opens(&octets, 0));
    }

    /// A server whose every identity is somebody's asks for the owner of those that are no tickets, and of no others.
    #[test]
    fn a_listener_for_keys_looks_no_ticket_up(octets in octets(), mixed: bool) {
        let sides = Sides::new();
        let everybody = Everybody::taking(if mixed { BOTH } else { PSK_ONLY });
        let mut server = sides.accepting(&everybody);
        server.feed(&sides.hello(&octets));
        if is_ticket(&octets) {
            prop_assert!(everybody.asked().is_empty());
            if mixed {
                // A full handshake has begun: the ticket is no reason to refuse anybody.
                prop_assert!(matches!(server.handshake(), Handshake::WantRead));
                prop_assert_eq!(drained(|out| server.drain(out))[0], 22);
            } else {
                let expected = HandshakeError::Psk(PskFailure::NotOffered);
                prop_assert_eq!(server_failure(&server), &expected);
            }
        } else {
            prop_assert_eq!(everybody.asked(), [octets]);
            let expected = HandshakeError::Psk(PskFailure::WrongKey);
            prop_assert_eq!(server_failure(&server), &expected);
        }
    }

    /// A ticket with one of its first four octets changed is an identity like any other.
    #[test]
    fn what_nearly_is_a_ticket_works_as_an_identity(state in prop::collection::vec(any::<u8>(), 0..200), place in 0..4_usize, change in 1..=255_u8) {
        let sides = Sides::new();
        let mut identity = Tickets::new(100).sealed(&[7; 32], 0, &state);
        identity[place] ^= change;
        let everybody = Everybody::taking(BOTH);
        let (mut client, mut server) = (sides.client(&identity), sides.accepting(&everybody));
        carry(&mut client, &mut server, 1000);
        let info = info(&server);
        prop_assert_eq!((info.method, info.resumed), (Method::Psk, false));
        prop_assert_eq!(info.psk_identity.as_ref(), Some(&identity));
    }
}

/// A ticket resumes the session of a certificate even where every identity of a key is known.
#[test]
fn a_ticket_is_never_taken_for_an_external_identity() {
    let sides = Sides::new();
    let everybody = Everybody::taking(BOTH);
    let policy = Arc::new(ClientPolicy::new(sides.world.client_settings()).unwrap());
    for resumed in [false, true, true] {
        let reference = ReferenceIdentity::parse("aaa1.example.net").unwrap();
        let name = Some("aaa1.example.net");
        let mut client = ClientChannel::new(policy.clone(), reference, name, peer());
        let mut server = sides.accepting(&everybody);
        carry(&mut client, &mut server, 1000);
        server.write_plain(b"reply").unwrap();
        carry(&mut client, &mut server, 1000);
        client.read_plain(&mut Vec::new()).unwrap();
        let info = info(&server);
        assert_eq!((info.method, info.resumed), (Method::Certificate, resumed));
        assert_eq!(info.device.as_deref(), Some("core1"));
        assert_eq!(everybody.asked(), [[]; 0]);
    }
}

/// Knows `core2` alone.
struct OneKey;

impl Admission for OneKey {
    fn admit(&self, _: &PeerIdentity, _: SocketAddr) -> Result<Arc<str>, AdmissionRefusal> {
        Err(AdmissionRefusal::UnknownDevice)
    }

    fn psk(&self, identity: &[u8], _: SocketAddr) -> Result<PskDevice, AdmissionRefusal> {
        let found = PskDevice {
            device: "core2".into(),
            key: Arc::new(PskKey::new([1; 32]).unwrap()),
        };
        let known = identity == b"core2";
        known.then_some(found).ok_or(AdmissionRefusal::UnknownKey)
    }

    fn methods(&self) -> Methods {
        PSK_ONLY
    }
}

/// How long a listener for keys alone takes to answer the hello, and the answer.
fn answered(sides: &Sides, hello: &[u8]) -> (Duration, Vec<u8>) {
    let mut server = ServerChannel::new(sides.server.clone(), Arc::new(OneKey), peer());
    let began = Instant::now();
    server.feed(hello);
    let answer = drained(|out| server.drain(out));
    (began.elapsed(), answer)
}

/// By how much the second kind of hello takes longer than the first, as a part of the first: the medians of many turns in which
/// both have theirs, now one first and now the other.
fn longer(sides: &Sides, first: &[u8], second: &[u8]) -> f64 {
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..1000 {
        for place in [turn % 2, 1 - turn % 2] {
            let (time, _) = answered(sides, [first, second][place]);
            times[place].push(time);
        }
    }
    let [first, second] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64()
    });
    (second - first) / first
}

/// A server that gave unknown identities up without a look at the binder would be quicker by far more than the noise of a
/// busy machine: that is what happens with a ticket, and the same measure shows it.
#[test]
fn neither_answer_nor_time_tells_an_unknown_identity_from_a_wrong_key() {
    let sides = Sides::new();
    let wrong = drained(|out| sides.client(b"core2").drain(out));
    let unknown = drained(|out| sides.client(b"core9").drain(out));
    let skipped = sides.hello(b"DWT1x");
    assert_eq!((wrong.len(), wrong.len()), (unknown.len(), skipped.len()));
    let (_, alert) = answered(&sides, &wrong);
    assert_eq!((alert.len(), alert[0]), (7, 21));
    for _ in 0..100 {
        assert_eq!(answered(&sides, &unknown).1, alert);
        assert_eq!(answered(&sides, &wrong).1, alert);
    }
    // A machine that is busy with other things may spoil a measurement, but not all of them.
    let measured: Vec<f64> = (0..5).map(|_| longer(&sides, &wrong, &unknown)).collect();
    let leak = longer(&sides, &wrong, &skipped);
    let least = measured.iter().map(|part| part.abs()).fold(1.0, f64::min);
    assert!(least < 0.04, "{measured:?}");
    assert!(leak.abs() > 0.10, "the measure shows nothing: {leak}");
}
