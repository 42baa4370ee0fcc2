//! The figures of the servers that requests are passed on to, by pool and server.

use std::fmt;

use doorward_client::radius::{ServerState, Standing};

use crate::metrics::{About, Page};
use crate::proxy::Proxy;

const UNDERWAY: About = About::number(
    "doorward_pool_requests_underway",
    "Requests that were passed on to a pool and have no answer yet.",
);
const LIMIT: About = About::number(
    "doorward_pool_requests_limit",
    "Requests that may be under way at a pool; beyond it no more is read, and datagrams are discarded.",
);
const REALMS: About = About::number(
    "doorward_pool_realms",
    "Realms whose servers a pool has found in the DNS.",
);
const STANDING: About = About::number(
    "doorward_upstream_up",
    "1 while a server of a pool answers as far as is known, 0.5 while something is overdue or it has to prove itself, 0 while there is no connection.",
);
const CONNECTIONS: About = About::number(
    "doorward_upstream_connections",
    "Open connections to a server of a pool.",
);
const IDENTIFIERS: About = About::number(
    "doorward_upstream_identifiers",
    "Identifiers in use on the connections to a server, of 255 each.",
);
const OUTSTANDING: About = About::number(
    "doorward_upstream_outstanding",
    "Requests that a server has not answered yet, those that wait for a connection included.",
);
const REQUESTS: About = About::number(
    "doorward_upstream_requests",
    "Requests that were passed on to a server.",
);
const ANSWERS: About = About::number(
    "doorward_upstream_answers",
    "Requests that a server answered, with Protocol-Error too.",
);
const TIMEOUTS: About = About::number(
    "doorward_upstream_timeouts",
    "Requests that a server did not answer in time, or later than another one that was asked beside it.",
);
const FAILURES: About = About::number(
    "doorward_upstream_failures",
    "Requests that had no connection to a server, or lost it.",
);
const GIVEN_UP: About = About::number(
    "doorward_upstream_given_up",
    "Requests that the device no longer waited for before a server had answered.",
);
const ANSWERING: About = About::seconds(
    "doorward_upstream_answering",
    "Time that the answers of a server took, all together.",
);

type Gauge = (&'static About, fn(&ServerState) -> usize);
type Counter = (&'static About, fn(&ServerState) -> u64);

struct Row {
    pool: String,
    server: String,
    purpose: &'static str,
    state: ServerState,
}

impl Row {
    fn labels(&self) -> [(&'static str, &str); 3] {
        [
            ("pool", &self.pool),
            ("server", &self.server),
            ("for", self.purpose),
        ]
    }
}

pub(super) fn figures(page: &mut Page<'_>, proxy: &Proxy) -> fmt::Result {
    let upstreams = proxy.upstreams();
    let pools = || upstreams.iter().map(|one| ([("pool", &**one.name())], one));
    page.gauges(&UNDERWAY, pools().map(|(pool, one)| (pool, one.load().0)))?;
    page.gauges(&LIMIT, pools().map(|(pool, one)| (pool, one.load().1)))?;
    let finding = pools().filter(|(_, one)| one.servers().is_none());
    page.gauges(
        &REALMS,
        finding.map(|(pool, one)| (pool, one.destinations().len())),
    )?;
    let rows: Vec<Row> = upstreams
        .iter()
        .flat_map(|one| {
            let pool = one.name().to_string();
            // What a realm leads to is up to others, and not bounded by the file.
            let states = one.servers().into_iter().flat_map(|one| one.states());
            states.map(move |(server, purpose, state)| Row {
                pool: pool.clone(),
                server: server.to_owned(),
                purpose: purpose.name(),
                state,
            })
        })
        .collect();
    let up = |state: &ServerState| match state.standing {
        Standing::Well => 1.0,
        Standing::Doubtful => 0.5,
        Standing::Down => 0.0,
    };
    page.gauges(
        &STANDING,
        rows.iter().map(|row| (row.labels(), up(&row.state))),
    )?;
    let gauges: [Gauge; 3] = [
        (&CONNECTIONS, |state| state.connections),
        (&IDENTIFIERS, |state| state.identifiers),
        (&OUTSTANDING, |state| state.outstanding),
    ];
    for (about, value) in gauges {
        page.gauges(
            about,
            rows.iter().map(|row| (row.labels(), value(&row.state))),
        )?;
    }
    let counters: [Counter; 5] = [
        (&REQUESTS, |state| state.requests),
        (&ANSWERS, |state| state.answers),
        (&TIMEOUTS, |state| state.timeouts),
        (&FAILURES, |state| state.failures),
        (&GIVEN_UP, |state| state.given_up),
    ];
    for (about, value) in counters {
        page.counters(
            about,
            rows.iter().map(|row| (row.labels(), value(&row.state))),
        )?;
    }
    let answering = |row: &Row| row.state.answering.as_secs_f64();
    page.counters(
        &ANSWERING,
        rows.iter().map(|row| (row.labels(), answering(row))),
    )
}
