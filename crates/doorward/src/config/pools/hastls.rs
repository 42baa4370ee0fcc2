//! `hastls` of a pool: whether the records of its servers' hosts are obeyed.

use std::net::IpAddr;

use doorward_client::ServerAddress;
use doorward_client::hastls::Mode;

use crate::config::report::Report;
use crate::config::section::Section;
use crate::config::source::Span;
use crate::config::tree::Node;
use crate::config::value;

/// The mode, and the place of the word.
pub(super) fn read<'t>(report: &mut Report, section: &mut Section<'t>) -> (Mode, Option<&'t Node>) {
    let node = section.value("hastls");
    let words = Mode::ALL.map(|mode| (mode.name(), mode));
    let mode = node.and_then(|node| value::choice(report, "hastls", node, &words));
    (mode.unwrap_or_default(), node)
}

/// Reports where the mode cannot work with the servers.
pub(super) fn check(
    report: &mut Report,
    (mode, node): (Mode, Option<&Node>),
    found_by_dns: bool,
    servers: &[(ServerAddress, Span)],
) {
    let Some(node) = node.filter(|_| mode != Mode::Off) else {
        return;
    };
    if found_by_dns {
        report
            .error(
                node.span,
                "`hastls` and `discover` do not go together: the DNS has said already which ports the servers have, and that they speak TLS",
            )
            .help("take one of them out");
    }
    let address = |server: &&(ServerAddress, Span)| server.0.host().parse::<IpAddr>().is_ok();
    if let Some((_, span)) = servers
        .iter()
        .find(address)
        .filter(|_| mode == Mode::Require)
    {
        report
            .error(
                *span,
                "this server is an IP address, which has no HASTLS record, and `hastls = \"require\"` connects to none without",
            )
            .see(node.span, "required here")
            .help("write the host's name, or `hastls = \"use\"`");
    }
}
