//! Connections of an endpoint to itself.

use super::psk_world::{KEY, Keys, client, server};
use super::tests::drained;
use super::*;
use crate::hello::{HelloError, OwnHellos};
use crate::testing::{World, alert_at, carry, server_failure};

/// By a certificate and by a key alike; who comes when that handshake is over is somebody else.
#[test]
fn a_hello_of_our_own_is_refused() {
    let world = World::new();
    let by_certificate = || (world.client(|_| ()), world.server(|_| ()));
    let by_key = || {
        let keys = Keys::default().with("core2", KEY);
        (client(&world, "core2", KEY), server(&world, keys, |_| ()))
    };
    for ends in [&by_certificate as &dyn Fn() -> _, &by_key] {
        let own = Arc::new(OwnHellos::default());
        let (mut client, server) = ends();
        let mut server = server.with_own_hellos(Arc::clone(&own));
        let hello = drained(|out| client.drain(out));
        let held = own.hold(&hello);
        server.feed(&hello);
        assert_eq!(
            *server_failure(&server),
            HandshakeError::Hello(HelloError::Own)
        );
        assert!(!server.wants_abrupt_close());
        client.feed(&drained(|out| server.drain(out)));
        assert_eq!(alert_at(&mut client), 49);
        drop(held);

        let (mut client, server) = ends();
        let mut server = server.with_own_hellos(Arc::clone(&own));
        carry(&mut client, &mut server, 1000);
        assert!(matches!(server.handshake(), Handshake::Done(_)));
    }
}
