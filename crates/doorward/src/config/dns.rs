//! `[dns]`: whom HASTLS and discovery ask, and whom they believe.

use std::net::{IpAddr, SocketAddr};

use doorward_client::dns::{Anchors, Settings};
use doorward_hastls::RecordType;

use super::file::Document;
use super::report::Report;
use super::secret::folder;
use super::section::Section;
use super::source::escape;
use super::tree::Node;
use super::value;

/// The port of name servers.
const PORT: u16 = 53;

/// `[dns]`.
#[derive(Clone, Debug)]
pub struct Dns {
    /// `servers` and `trust_anchor`.
    pub settings: Settings,
    /// `hastls_type`.
    pub hastls_type: RecordType,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            hastls_type: RecordType::DEFAULT,
        }
    }
}

/// Reads the table.
pub(super) fn dns(report: &mut Report, document: &Document<'_>) -> Dns {
    let mut dns = Dns::default();
    let Some(entry) = document.single(report, "dns") else {
        return dns;
    };
    let Some(mut section) = Section::new(report, "[dns]", &entry.value) else {
        return dns;
    };
    if let Some(node) = section.value("servers") {
        let texts = value::texts(report, "servers", node);
        let servers = texts
            .into_iter()
            .filter_map(|(text, node)| server(report, text, node));
        dns.settings.servers = servers.collect();
    }
    let anchor = section.value("trust_anchor");
    if let Some(node) = anchor.filter(|node| node.as_str() != Some(""))
        && let Some(anchors) = anchors(report, node)
    {
        dns.settings.anchors = anchors;
    }
    if let Some(node) = section.value("hastls_type") {
        let number = value::integer(report, "hastls_type", node, 0..=65535);
        match number.map(RecordType::new) {
            Some(Some(number)) => dns.hastls_type = number,
            Some(None) => {
                report
                    .error(
                        node.span,
                        "`hastls_type` is none of the types that records with data have, 256 to 65534",
                    )
                    .help("write 65400, or another one from 65280, which are for private use");
            }
            None => {}
        }
    }
    section.finish(report);
    dns
}

/// A name server as it is written: an address, maybe with a port.
pub fn name_server(text: &str) -> Option<SocketAddr> {
    let alone = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
    text.parse().or_else(|_| alone()).ok()
}

fn server(report: &mut Report, text: &str, node: &Node) -> Option<SocketAddr> {
    let server = name_server(text);
    if server.is_none() {
        let message = format!("`{}` of `servers` is no address", escape(text));
        report.error(node.span, message).help(
            "write \"192.0.2.53\", or with a port \"192.0.2.53:5353\" or \"[2001:db8::53]:5353\"",
        );
    }
    server
}

/// The file with the anchors. What it has is read now, so that a reload is what takes a new one.
fn anchors(report: &mut Report, node: &Node) -> Option<Anchors> {
    const HELP: &str = "put the DNSKEY or DS record of the zone's key-signing key there, or take it out for the root's";
    let named = value::text(report, "trust_anchor", node)?;
    let path = folder(report, node.span).join(named);
    report.places.read.insert(path.clone());
    let shown = escape(&path.to_string_lossy()).to_string();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("{shown} of `trust_anchor` cannot be read: {error}");
            report.error(node.span, message).help(HELP);
            return None;
        }
    };
    match Anchors::parse(&text) {
        Ok(anchors) => Some(anchors),
        Err(error) => {
            let message = format!("{shown} is no trust anchor: {error}");
            report.error(node.span, message).help(HELP);
            None
        }
    }
}
