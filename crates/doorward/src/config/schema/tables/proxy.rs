//! Pools and routes: where a proxy sends what.

use super::super::Kind::{
    Attributes, Duration, DurationOrOff, Flag, Form, Name, OneOrMoreWords, Secret, SomeTexts,
    Table, Text, Texts, Whole, Words,
};
use super::super::{Key, key};
use super::devices::PSK;
use super::policy::WHEN;

pub(super) const POOL: &[Key] = &[
    key("name", Name, "\"home\"", "What routes call it.").required(),
    key(
        "servers",
        SomeTexts,
        "[\"radius-tls://home.example.net:2083\"]",
        "Where requests are sent: `radius-tls://HOST`, `radius-dtls://HOST` or `radius-udp://HOST`, all of one kind, with a port that is not 2083, or over UDP not 1812. Accounting over UDP goes to 1813 where the port is 1812, and to the same port where it is another. A pool has either these or `discover`.",
    ),
    key(
        "strategy",
        Words(&["failover", "balance"]),
        "\"balance\"",
        "`failover`: the first server that is well. `balance`: of those that are well, the one with the fewest requests under way.",
    )
    .default("\"failover\""),
    key(
        "tls",
        Text,
        "\"default\"",
        "Which [tls.NAME] is shown and trusted; not over UDP.",
    )
    .default("\"default\""),
    key(
        "psk",
        Table(PSK),
        "",
        "A pre-shared key in place of certificates; not over UDP. No device has it.",
    ),
    key(
        "server_name",
        Text,
        "\"home.example.net\"",
        "What the servers' certificates have to carry: a DNS name, an address, or an SRV-ID; the host of each without it.",
    ),
    key(
        "realm",
        Text,
        "\"example.org\"",
        "The NAIRealm that the servers' certificates have to carry, in place of a name (RFC 7585).",
    ),
    key(
        "sni",
        Flag,
        "true",
        "The name of the server is sent in clear, so that it can choose its certificate.",
    )
    .default("true"),
    key(
        "secret",
        Secret,
        "\"file:secret\"",
        "The shared secret of RADIUS/UDP, which needs one: `file:`, `env:`, `cred:` or `exec:`.",
    ),
    key(
        "timeout",
        Duration,
        "\"30s\"",
        "How long an answer is waited for, a second at least; over DTLS and UDP all transmissions of a request together.",
    )
    .default("\"30s\""),
    key(
        "max_connections",
        Whole(1, 1024),
        "8",
        "Connections to each server; more than one is opened when 255 requests wait on one.",
    )
    .default("8"),
    key(
        "idle_timeout",
        DurationOrOff,
        "\"15m\"",
        "A connection that carried no request for this long is closed, a second at least. `off`: one is kept open, so that it is known who is there.",
    )
    .default("\"off\""),
    key(
        "reconnect",
        Table(RECONNECT),
        "",
        "The time between two attempts to connect, which doubles from the one to the other.",
    ),
    key(
        "watchdog",
        Form(r"^(auto|off|(([0-9]+\.?[0-9]*|\.[0-9]+)(ms|s|m|h|d|w))+)$"),
        "\"auto\"",
        "How often Status-Server asks a silent server whether it is there, 6 s at least; `auto`: every 30 seconds. `off`: never.",
    )
    .default("\"auto\""),
    key(
        "hastls",
        Words(&["off", "use", "require"]),
        "\"use\"",
        "Obey the HASTLS records of the servers' hosts, proved by DNSSEC as [dns] says. `require`: connect to no server without one.",
    )
    .default("\"off\""),
    key(
        "accounting",
        Words(&["forward"]),
        "\"forward\"",
        "A record is accepted when the server has accepted it; only `forward` is built in this version.",
    )
    .default("\"forward\""),
    key(
        "discover",
        Table(DISCOVER),
        "",
        "In the place of `servers`: those of each realm are found in the DNS (RFC 7585).",
    ),
];

const DISCOVER: &[Key] = &[
    key(
        "tag",
        Text,
        "\"x-eduroam:radius.tls\"",
        "The service of NAPTR records; what stands behind its colon says whether it is TLS or DTLS. Accounting asks for `aaa+acct` in the place of `aaa+auth`.",
    )
    .default("\"aaa+auth:radius.tls.tcp\""),
    key(
        "dnssec",
        Words(&["require", "if-signed"]),
        "\"require\"",
        "Whether answers count that DNSSEC does not prove. With `if-signed` servers that were found by such have to show the realm in their certificate.",
    )
    .default("\"require\""),
    key(
        "max_ttl",
        Duration,
        "\"1d\"",
        "How long what was found is used at most, whatever its time to live.",
    )
    .default("\"1d\""),
];

const RECONNECT: &[Key] = &[
    key(
        "floor",
        Duration,
        "\"1s\"",
        "After the first failure; half a second at least (RFC 6614bis section 3.8.1).",
    )
    .default("\"0.5s\""),
    key("ceiling", Duration, "\"60s\"", "The most.").default("\"60s\""),
];

pub(super) const ROUTE: &[Key] = &[
    key(
        "realm",
        Text,
        "\"example.org\"",
        "What follows the `@` of the names: `example.org`, `*.example.org` for what is below it, `*` for any, or an empty string for names without. Without the key: every name.",
    ),
    key(
        "when",
        Table(&ROUTE_WHEN),
        "",
        "Conditions, as in a rule: every key given must hold, by any of its values.",
    ),
    key("pool", Text, "\"home\"", "The [[pool]] it sends to.").required(),
    key(
        "rewrite",
        Table(REWRITE),
        "",
        "What is changed in requests, in the order `allow`, `remove`, `set`, `add`.",
    ),
    key("rewrite_answer", Table(REWRITE), "", "The same in answers."),
    key(
        "strip_realm",
        Flag,
        "false",
        "The User-Name goes on without its realm.",
    )
    .default("false"),
];

const REWRITE: &[Key] = &[
    key(
        "allow",
        Texts,
        "[\"User-Name\", \"Cisco\"]",
        "Nothing but these attributes passes, and what a packet cannot do without; a vendor stands for all of its own. Empty: everything passes.",
    )
    .default("[]"),
    key(
        "remove",
        Texts,
        "[\"Filter-Id\"]",
        "These do not pass; a vendor stands for all of its own.",
    )
    .default("[]"),
    key(
        "set",
        Attributes,
        "{ Operator-Name = \"1example.net\" }",
        "Attributes with the values that take the place of what came.",
    ),
    key(
        "add",
        Attributes,
        "{ Class = \"proxied\" }",
        "Attributes that are put in beside what came.",
    ),
];

/// The conditions of rules without `group`, the first of them: users from elsewhere have none. TACACS+ is not forwarded yet.
const ROUTE_WHEN: [Key; WHEN.len() - 1] = route_when();

/// Where `protocol` stands among the conditions of rules.
const PROTOCOL: usize = 6;

#[expect(
    clippy::indexing_slicing,
    reason = "computed by the compiler, which refuses an index out of range"
)]
const fn route_when() -> [Key; WHEN.len() - 1] {
    let mut keys = [WHEN[0]; WHEN.len() - 1];
    let mut at = 1;
    while at < WHEN.len() {
        keys[at - 1] = WHEN[at];
        at += 1;
    }
    keys[PROTOCOL - 1] = key(
        "protocol",
        OneOrMoreWords(&["radius"]),
        "\"radius\"",
        "Only `radius` is built in this version.",
    );
    keys
}

pub(super) const DNS: &[Key] = &[
    key(
        "servers",
        Texts,
        "[\"192.0.2.53\"]",
        "Name servers, with a port that is not 53. None: those of the system. What they say is validated here.",
    )
    .default("[]"),
    key(
        "trust_anchor",
        Text,
        "\"\"",
        "A file with the DNSKEY or DS records that DNSSEC starts from. Empty: the keys of the root.",
    )
    .default("\"\""),
    key(
        "hastls_type",
        Whole(256, 65534),
        "65400",
        "The number of the HASTLS record, which was never assigned one.",
    )
    .default("65400"),
];
