//! The configuration as an administrator meets it: files in, messages or a policy out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod commands;
mod context;
mod contract;
mod devices;
mod dictionaries;
mod examples;
mod lint_cost;
mod lints;
mod messages;
mod performance;
mod profiles;
mod proxy;
mod radius;
mod radius_udp;
mod shadows;
mod sinks;
mod validity;
mod ways;
