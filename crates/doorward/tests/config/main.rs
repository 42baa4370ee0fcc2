//! The configuration as an administrator meets it: files in, messages or a policy out.

mod commands;
mod context;
mod contract;
mod devices;
mod examples;
mod messages;
mod performance;
