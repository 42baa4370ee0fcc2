//! The name servers of the system, as resolv.conf(5) has them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port of the DNS.
pub(super) const PORT: u16 = 53;
const FILE: &str = "/etc/resolv.conf";

/// Those of the file; the own host where it has none or is not there.
pub(super) fn servers() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string(FILE).unwrap_or_default();
    let servers = parse(&text);
    if servers.is_empty() {
        vec![(Ipv4Addr::LOCALHOST, PORT).into()]
    } else {
        servers
    }
}

/// Addresses with a zone (`fe80::1%eth0`) are left out.
fn parse(text: &str) -> Vec<SocketAddr> {
    let mut servers = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() == Some("nameserver") {
            let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
            servers.extend(address.map(|address| SocketAddr::new(address, PORT)));
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_found() {
        let text = "# made by hand\nsearch example\nnameserver 192.0.2.53\nnameserver\t2001:db8::53 # second\nnameserver fe80::1%eth0\noptions edns0\n";
        let expected = ["192.0.2.53:53", "[2001:db8::53]:53"];
        assert_eq!(parse(text), expected.map(|text| text.parse().unwrap()));
    }
}
