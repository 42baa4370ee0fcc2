//! With TLS or without: what a configuration says of each listener and device (RFC 9887 section 5.2). Nothing is ever tried both ways.

use std::fmt::Write as _;

use crate::config::source::escape;
use crate::config::{Config, Device, Listener, ListenerProtocol};

/// A line for each listener, then one for each device.
pub(super) fn describe(config: &Config) -> String {
    let today = jiff::Zoned::now().date();
    let mut text = String::new();
    for one in &config.listeners {
        _ = writeln!(text, "{}", listener(one, today));
    }
    let open: Vec<&Listener> = config
        .listeners
        .iter()
        .filter(|listener| !listener.is_closed(today))
        .collect();
    for one in config.devices.iter() {
        _ = writeln!(text, "device {}: {}", escape(&one.name), ways(one, &open));
    }
    text.truncate(text.trim_end().len());
    text
}

fn listener(listener: &Listener, today: jiff::civil::Date) -> String {
    let mut text = format!(
        "listener {} {}: ",
        listener.protocol.name(),
        listener.address
    );
    match listener.protocol {
        ListenerProtocol::TacacsTls
        | ListenerProtocol::RadiusTls
        | ListenerProtocol::RadiusDtls => {
            let methods = &listener.methods;
            let taken = [
                (methods.certificate, "certificate"),
                (methods.raw_public_key, "raw-public-key"),
                (methods.psk, "psk"),
            ];
            let channel = match listener.protocol.is_udp() {
                true => "DTLS",
                false => "TLS",
            };
            _ = write!(text, "with {channel} ({})", chosen(&taken));
        }
        ListenerProtocol::Tacacs => text.push_str("WITHOUT TLS"),
        ListenerProtocol::RadiusUdp => {
            text.push_str("WITHOUT TLS");
            if !listener.message_authenticator {
                text.push_str(", Message-Authenticator not required");
            }
        }
    }
    if let Some(groups) = &listener.device_groups {
        let groups: Vec<String> = groups.iter().map(|group| escape(group)).collect();
        _ = write!(text, ", for {}", groups.join(", "));
    }
    match listener.until {
        Some(until) if listener.is_closed(today) => _ = write!(text, ", closed since {until}"),
        Some(until) => _ = write!(text, ", until {until}"),
        None => {}
    }
    text
}

fn ways(device: &Device, open: &[&Listener]) -> String {
    let served = |fits: &dyn Fn(ListenerProtocol) -> bool| {
        let mut listeners = open.iter().filter(|one| fits(one.protocol));
        if listeners.any(|one| one.serves(device)) {
            ""
        } else {
            ", but no listener takes it"
        }
    };
    let mut ways = Vec::new();
    if device.can_use_tls() {
        let proofs = [
            (device.certificate.is_some(), "certificate"),
            (!device.raw_public_key.is_empty(), "raw-public-key"),
            (device.psk.is_some(), "psk"),
        ];
        let served = served(&ListenerProtocol::is_tls);
        ways.push(format!("with TLS ({}{served})", chosen(&proofs)));
    }
    for (protocol, secret) in [
        (ListenerProtocol::Tacacs, "shared secret"),
        (ListenerProtocol::RadiusUdp, "shared secret of RADIUS/UDP"),
    ] {
        if device.can_use_plain(protocol) {
            let addresses: Vec<String> = device.address.iter().map(ToString::to_string).collect();
            let served = served(&|one| one == protocol);
            ways.push(format!(
                "WITHOUT TLS ({secret}, from {}{served})",
                addresses.join(", ")
            ));
        }
    }
    if ways.is_empty() {
        ways.push("no way to connect".to_owned());
    }
    let mut text = ways.join(" and ");
    if device.tls_required {
        text.push_str("; `transport = \"tls\"`: refused without");
    }
    text
}

fn chosen(words: &[(bool, &str)]) -> String {
    let chosen = words.iter().filter(|(chosen, _)| *chosen);
    let chosen: Vec<&str> = chosen.map(|(_, word)| *word).collect();
    chosen.join(", ")
}
