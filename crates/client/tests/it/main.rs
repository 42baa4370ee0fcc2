//! The client against servers made for it, on loopback: well-behaved ones and hostile ones.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests"
)]

mod accounting;
mod authentication;
mod authorization;
mod certificates;
mod connections;
mod fail_over;
mod fake;
mod goodbye;
mod hastls;
mod hastls_radius;
mod hastls_time;
mod log;
mod logins;
mod own_hellos;
mod radius;
mod radius_dtls;
mod radius_dtls_loss;
mod radius_orphans;
mod radius_pass;
mod radius_psk;
mod radius_rounds;
mod radius_udp;
mod radius_watchdog;
mod restart;
mod session_ids;
mod tls;
#[path = "../dns/zones.rs"]
#[expect(dead_code, reason = "the zones of the tests of the resolver")]
mod zones;

use std::time::Duration;

use doorward_client::{Client, Secret, Server, Transports, Who};
use fake::Fake;

/// Long enough for any machine, and never waited for by a test that passes.
const PATIENCE: Duration = Duration::from_secs(20);
/// For servers that never answer: waited for in full.
const SHORT: Duration = Duration::from_millis(150);

const SECRET: &str = "squeamish ossifrage";

fn plain(fake: &Fake) -> Server {
    let mut server = Server::plain(fake.address(), Secret::new(SECRET)).unwrap();
    server.connect_timeout = PATIENCE;
    server.reply_timeout = PATIENCE;
    server
}

fn client(servers: impl IntoIterator<Item = Server>) -> Client {
    Client::new(servers.into_iter().collect(), Transports::Any).unwrap()
}

fn alice() -> Who {
    Who::new("alice")
        .at_port("tty10")
        .from_address(std::net::IpAddr::from([192, 0, 2, 7]))
}
