//! Pools and routes.

use std::collections::HashSet;

use jiff::civil::Date;

use super::profiles::{can_be_radius, served};
use super::reach::Atlas;
use super::{Lint, Whole};
use crate::config::ListenerProtocol;
use crate::config::pools::ReadPool;
use crate::config::proxied::literal;
use crate::config::report::{Fold, Report};
use crate::config::routes::ReadRoute;
use crate::config::source::escape;
use crate::policy::{Protocol, RealmPattern, Test, Transport};

/// Earlier routes that each route is compared with.
const COMPARED: usize = 64;

/// Pools that no route names.
pub(super) fn unused(report: &mut Report, whole: &Whole<'_>) {
    let routes = whole.routes.iter();
    let named: HashSet<&str> = routes.map(|read| &*read.route.pool).collect();
    let unused = whole.pools.iter();
    for read in unused.filter(|read| !named.contains(&*read.pool.name)) {
        let name = escape(&read.pool.name);
        report
            .warning(
                Lint::UnusedPool,
                read.name,
                format!("no route sends anything to the pool `{name}`"),
            )
            .on(format!("pool.{}", read.pool.name))
            .help("add a [[route]] with it, or take it out");
    }
}

/// Routes that nothing comes to.
pub(super) fn shadowed(report: &mut Report, routes: &[ReadRoute]) {
    for (at, read) in routes.iter().enumerate() {
        let earlier = routes.get(at.saturating_sub(COMPARED)..at);
        let mut earlier = earlier.unwrap_or_default().iter();
        let Some(first) = earlier.find(|one| one.route.covers(&read.route)) else {
            continue;
        };
        report
            .warning(
                Lint::ShadowedRoute,
                read.place,
                "this route never decides: an earlier one takes all that it would",
            )
            .on(read.section.clone())
            .see(first.place, "the earlier one")
            .help("the first that fits decides: put the narrower route before the wider one, or take it out");
    }
}

/// Requests that come by RadSec and go on without it (RFC 6614bis section 7.2: it protects one hop).
pub(super) fn unprotected(report: &mut Report, whole: &Whole<'_>) {
    let secure = |protocol| {
        matches!(
            protocol,
            ListenerProtocol::RadiusTls | ListenerProtocol::RadiusDtls
        )
    };
    if !whole.listeners.iter().any(|(one, _)| secure(one.protocol)) {
        return;
    }
    let leaves = |pool: &ReadPool| {
        let far = |address| literal(address).is_none_or(|ip| !ip.is_loopback());
        pool.protocol == ListenerProtocol::RadiusUdp
            && pool.pool.servers.iter().any(|server| far(&server.address))
    };
    let takes = |read: &ReadRoute| {
        let mut conditions = read.route.conditions.iter();
        conditions.all(|condition| {
            if let Test::Transport(transports) = &condition.test {
                transports.contains(&Transport::Tls)
            } else if let Test::Protocol(protocols) = &condition.test {
                protocols.contains(&Protocol::Radius)
            } else {
                true
            }
        })
    };
    let open = whole.routes.iter().filter(|read| {
        let named = whole.pools.iter();
        let mut named = named.filter(|pool| pool.pool.name == read.route.pool);
        takes(read) && named.any(leaves)
    });
    report.fold(Fold {
        lint: Lint::RadsecToUdp,
        sections: open
            .map(|read| (read.section.clone(), read.place))
            .collect(),
        message: &|names, _| {
            format!("what comes by RadSec leaves this machine by RADIUS/UDP, where all but passwords can be read, by {names}")
        },
        help: "RadSec protects one hop only: let the servers of the pool speak `radius-tls` or `radius-dtls`, or reach them by a tunnel to a loopback address",
    });
}

/// Routes by which anybody's server can give its users rights on our devices: a shell of the highest level is one attribute of an
/// answer. A profile says that a device is administered by such attributes.
pub(super) fn unfiltered(report: &mut Report, whole: &Whole<'_>, today: Date) {
    // Whoever has a zone of their own is a realm where the DNS names the servers.
    let finds = |read: &ReadRoute| {
        let mut pools = whole.pools.iter();
        let exact = matches!(read.route.realm, Some(RealmPattern::Exact(_)));
        !exact
            && pools.any(|pool| pool.pool.name == read.route.pool && pool.pool.discover.is_some())
    };
    let open = |read: &&ReadRoute| {
        let any = read.route.realm == Some(RealmPattern::Any);
        (any || finds(read)) && read.route.answer.allow.is_none()
    };
    let mut open = whole.routes.iter().filter(open).peekable();
    if open.peek().is_none() {
        return;
    }
    let (atlas, served) = (Atlas::new(whole.devices), served(whole, today));
    for read in open {
        let conditions = &read.route.conditions;
        let reach = atlas.reach(conditions);
        let found = served.iter().find_map(|one| {
            let fits = can_be_radius(conditions, one.transport);
            let device = reach.first_of(&one.devices).filter(|_| fits)?;
            Some((whole.devices.get(device)?, one.profile))
        });
        let Some((device, profile)) = found else {
            continue;
        };
        let message = format!(
            "whoever answers for any realm can make its users administrators of [device.{}], which has profile {}: this route lets everything in an answer pass",
            escape(&device.device.name),
            profile.name()
        );
        report
            .warning(Lint::UnfilteredAnswer, read.place, message)
            .on(read.section.clone())
            .help("name what these users need, as `rewrite_answer = { allow = [\"User-Name\", \"Session-Timeout\"] }`, or keep such devices out with `when`: docs/guide/proxy.md");
    }
}
