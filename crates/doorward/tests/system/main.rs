//! The real binary against real clients: ours, the PyPI `tacacs_plus` client, `openssl s_client`, and hand-made octets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod exposition;
mod harness;
mod wire;
#[path = "../../../client/tests/dns/zones.rs"]
mod zones;

mod accounting;
mod activation;
mod arguments;
mod audit;
mod capture;
mod challenge;
mod client_flows;
mod commands;
mod confined;
mod dialects;
mod dictionaries;
mod diff;
mod discovery;
mod disk;
mod dtls;
mod dtls_device;
mod dtls_held;
mod dtls_limits;
mod dtls_lossy;
mod durability;
mod enable;
mod foreign;
mod freeradius;
mod fticks;
mod hastls;
mod hastls_guide;
mod hastls_published;
mod hellos;
mod hostile;
mod hostile2;
mod hostile3;
mod hostile_home;
mod keylog;
mod lints;
mod loops;
mod make_room;
mod metrics;
mod monitoring;
mod names;
mod ocsp;
mod orders;
mod passwords;
mod profiles;
mod proxy;
mod proxy_chain;
mod proxy_hostile;
mod proxy_lossy;
mod proxy_peers;
mod proxy_pools;
mod psk;
mod psk_stream;
mod radius;
mod radius_client;
mod radius_closing;
mod radius_dtls_client;
mod radius_hidden;
mod radius_limits;
mod radius_refusals;
mod radius_resumption;
mod radius_rounds;
mod radius_udp;
mod radius_wire;
mod radsec_begun;
mod radsec_both;
mod radsec_identity;
mod radsec_peers;
mod radsec_psk;
mod radsec_records;
mod radsecproxy;
mod raw_keys;
mod reload;
mod remember;
mod revocation;
mod rules;
mod scenarios;
mod secrets;
mod server_names;
mod servers_apart;
mod service;
mod sessions;
mod sinks;
mod tls_peers;
mod tls_rules;
mod tolerances;
mod transports;
mod variables;
