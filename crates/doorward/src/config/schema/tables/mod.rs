//! Every table and key of the file.

mod devices;
mod lints;
mod policy;
mod proxy;

use devices::{DEVICE, DEVICE_GROUP, DIALECTS};
use lints::{ALLOW, SECRETS};
use policy::{AUTHENTICATION, PASSWORD_POLICY, ROLE, RULE, TEST, USER};
use proxy::{DNS, POOL, ROUTE};

use super::Kind::{
    Day, Duration, DurationOrOff, Files, Flag, Form, Levels, List, Name, Named, OneOrMore,
    PathOrFalse, Secret, SecretOrNone, SomeTexts, SomeWords, Table, Text, Texts, Variants, Whole,
    Words,
};
use super::{Key, key};

pub(super) const FILE: &[Key] = &[
    key(
        "version",
        Whole(1, 1),
        "1",
        "The version of the file's format.",
    )
    .required(),
    key(
        "include",
        Texts,
        "[]",
        "Files that belong to this one, relative to it; `*` and `?` stand within one component. TOML, or JSON of the same keys.",
    ),
    key(
        "server",
        Table(SERVER),
        "",
        "This process: where it keeps its records, how it is asked.",
    ),
    key(
        "metrics",
        Table(METRICS),
        "",
        "Figures for Prometheus, /healthz and /readyz.",
    ),
    key("listen", List(LISTEN), "", "Where devices connect."),
    key(
        "tls",
        Named(TLS),
        "",
        "What we show and trust on listeners with TLS; `default` is used where a listener names none.",
    ),
    key(
        "device_group",
        Named(DEVICE_GROUP),
        "",
        "Devices by what they have in common, for rules and listeners.",
    ),
    key(
        "device",
        Named(DEVICE),
        "",
        "Who connects: a router, a switch, a firewall.",
    ),
    key("user", Named(USER), "", "Who logs in."),
    key(
        "authentication",
        Table(AUTHENTICATION),
        "",
        "How users log in.",
    ),
    key(
        "enable",
        Levels,
        "{ 15 = \"file:hash\" }",
        "What requests for a privilege level are judged by: where the hash is, or `user` for the user's own password. A level needs a role that reaches it.",
    ),
    key(
        "password_policy",
        Table(PASSWORD_POLICY),
        "",
        "What a password has to be like that a user chooses through a device.",
    ),
    key(
        "radius",
        Table(RADIUS),
        "",
        "What is known of RADIUS beside what is built in.",
    ),
    key("role", Named(ROLE), "", "What a rule grants."),
    key(
        "rule",
        List(RULE),
        "",
        "Who gets which role where. The first that fits decides; no rule, no login.",
    ),
    key(
        "pool",
        List(POOL),
        "",
        "Servers that RADIUS requests are forwarded to; all of a pool speak one transport.",
    ),
    key(
        "route",
        List(ROUTE),
        "",
        "Which requests of users that are not in this file go to which pool. The first that fits decides.",
    ),
    key(
        "fticks",
        Table(FTICKS),
        "",
        "Statistics of a federation: a line of syslog for each login that was passed on.",
    ),
    key(
        "dns",
        Table(DNS),
        "",
        "Whom HASTLS and discovery ask, and whom they believe.",
    ),
    key(
        "test",
        List(TEST),
        "",
        "What has to be permitted and denied: run by `check`, `test` and every reload.",
    ),
    key(
        "secrets",
        Table(SECRETS),
        "",
        "What shared secrets have to be like; the defaults count without it, too.",
    ),
    key(
        "allow",
        List(ALLOW),
        "",
        "Findings of `doorward check` that are known and accepted, each with a reason.",
    ),
    key(
        "accounting",
        Variants("type", ACCOUNTING),
        "",
        "Where accounting records go: what is searched, and sinks that hand them on.",
    ),
    key(
        "audit",
        Table(AUDIT),
        "",
        "Decisions kept beside accounting.",
    ),
];

const RADIUS: &[Key] = &[key(
    "dictionaries",
    Texts,
    "[\"dictionary.acme\"]",
    "Files with the names of more attributes, in the format of FreeRADIUS; relative to this file, read anew by a reload. What one of them includes has to be below its folder.",
)
.default("[]")];

const SERVER: &[Key] = &[
    key(
        "name",
        Name,
        "\"aaa1\"",
        "The name of this server in records; the host's name without it.",
    ),
    key(
        "storage",
        Form("^sqlite:."),
        "\"sqlite:doorward.db\"",
        "Where administrators' changes are kept: `sqlite:PATH`.",
    )
    .default("\"sqlite:/var/lib/doorward/doorward.db\""),
    key(
        "journal",
        Name,
        "\"journal.db\"",
        "The file of the accounting journal. A record is on this disk before SUCCESS is sent.",
    )
    .default("\"/var/lib/doorward/journal.db\""),
    key(
        "control",
        Name,
        "\"control.sock\"",
        "The socket for `doorward reload` and `doorward status`, mode 0600.",
    )
    .default("\"/run/doorward/control.sock\""),
    key(
        "workers",
        Whole(0, 1024),
        "2",
        "Threads that serve; 0 = one per core.",
    )
    .default("0"),
    key(
        "user",
        Name,
        "\"doorward\"",
        "Whom a server that is started as root becomes, from /etc/passwd; it keeps CAP_NET_BIND_SERVICE. No effect otherwise.",
    ),
    key(
        "group",
        Name,
        "\"doorward\"",
        "The group with it, from /etc/group; the user's own without.",
    ),
    key(
        "sandbox",
        Words(&["auto", "require", "off"]),
        "\"auto\"",
        "Whether the process sees only what the configuration names (Landlock). `auto`: as far as the kernel can; `require`: no start without it; `off`.",
    )
    .default("\"auto\""),
    key(
        "tls_only",
        Flag,
        "false",
        "No plain listener or device is accepted anywhere.",
    )
    .default("false"),
];

const METRICS: &[Key] = &[key(
    "listen",
    Text,
    "\"127.0.0.1:9300\"",
    "Address and port; port 0 = any free one, which the ready line tells. Without it: nowhere.",
)];

const LISTEN: &[Key] = &[
    key("protocol", Words(&["tacacs-tls", "tacacs", "radius-tls", "radius-dtls", "radius-udp"]), "\"tacacs-tls\"", "`tacacs-tls`: TACACS+ over TLS 1.3 (RFC 9887). `tacacs`: TACACS+ with obfuscation (RFC 8907). `radius-tls`: RadSec, RADIUS over TLS 1.2 and 1.3. `radius-dtls`: RadSec over DTLS 1.2. `radius-udp`: RADIUS with shared secrets, for this machine itself and for moving.")
        .required(),
    key("address", Text, "\"[::]:300\"", "Address and port; port 0 = any free one, which the ready line tells. `[::]` is every address. Without it: every address, port 300 for `tacacs-tls`, 49 for `tacacs`, 2083 for `radius-tls` and `radius-dtls`; 127.0.0.1:1812 for `radius-udp`."),
    key("tls", OneOrMore, "[\"default\", \"second\"]", "Which `[tls.NAME]`; only with TLS or DTLS. Of several the one is taken whose `sni` has the name that the device asks for, else the first.").default("\"default\""),
    key("auth", SomeWords(&["certificate", "psk", "raw-public-key"]), "[\"certificate\"]", "How devices prove who they are; only with TLS or DTLS, and `raw-public-key` for TACACS+ alone.").default("[\"certificate\"]"),
    key("from", Texts, "[\"192.0.2.0/24\"]", "Networks that may connect, judged before anything is read; the devices' own addresses are added. Empty: anyone.")
        .default("[]"),
    key("single_connection", Flag, "true", "Devices may have several sessions on one connection.").default("true"),
    key("idle_timeout", DurationOrOff, "\"5m\"", "A connection without traffic for this long is closed; Status-Server does not count as such. `off` for `radius-tls` only; 15 minutes is the default with RADIUS.").default("\"5m\""),
    key("handshake_timeout", Duration, "\"5s\"", "The TLS handshake, or on plain listeners the first packet, has to be complete within this time.")
        .default("\"5s\""),
    key("max_connections", Whole(1, 1_000_000), "10000", "Connections open at once; over DTLS associations; over UDP, source addresses and ports remembered at once.").default("10000"),
    key("make_room", Flag, "true", "Where max_connections are open, the one without a request under way that has been idle for longest is closed for a new one; nobody is closed for a new one that is refused for something else. Not over UDP, where it is always so.").default("false"),
    key("max_handshakes", Whole(1, 1_000_000), "512", "Handshakes under way at once.").default("512"),
    key("handshake_rate", Whole(0, 1_000_000), "0", "New handshakes a second; 0 = no limit.").default("0"),
    key("max_body", Whole(256, 196_356), "65536", "Octets of a packet's body, at most.").default("65536"),
    key("message_authenticator", Words(&["require", "off"]), "\"require\"", "For `radius-udp` alone. `require`: an Access-Request without Message-Authenticator is discarded. `off`: it is judged, for an old device that sends none.").default("\"require\""),
    key("until", Day, "2099-06-30", "The last day of this listener: closed after it, and warned of from 30 days before."),
    key("dialect", Words(DIALECTS), "\"rfc8907\"", "How devices are answered that say nothing else; `draft-05` not over TLS.").default("\"rfc8907\""),
    key("device_groups", Texts, "[\"core\"]", "Which `[device_group.NAME]` may use it. Without it: every device that has what the protocol needs."),
];

const TLS: &[Key] = &[
    key("certificate", OneOrMore, "\"tls/server.pem\"", "Our certificate and its chain, leaf first; PEM or DER.").required(),
    key("key", Secret, "\"file:tls/server.key\"", "Its private key: `file:`, `env:`, `cred:` (systemd) or `exec:`.").required(),
    key("client_ca", Files, "[\"tls/ca.pem\"]", "Who issues the devices' certificates. Nothing is trusted until it is named here.").default("[]"),
    key("intermediates", Files, "[]", "Parts of the devices' chains that they do not send.").default("[]"),
    key("crl", Files, "[]", "Revocation lists of those CAs; PEM or DER, read again at every reload and within seconds when a file changes.").default("[]"),
    key("revocation", Words(&["require", "if-available", "off"]), "\"if-available\"", "`require`: no current list, no login. `if-available`: judged by the list there is. `off`: revoked certificates are accepted.")
        .default("\"require\""),
    key("ocsp", Words(&["off", "if-available", "require"]), "\"require\"", "Asks the OCSP responder that a certificate names. `require`: no good answer, no login. `if-available`: refused only when it says revoked.").default("\"off\""),
    key("ocsp_responder", Text, "\"http://ocsp.example.net/\"", "Asks this responder about every certificate of a device, whatever the certificates name."),
    key("ocsp_staple", Flag, "true", "Fetches the status of our own certificate and staples it.").default("false"),
    key("raw_public_key", SecretOrNone, "\"file:tls/server.key\"", "The key shown to devices that want a raw public key (RFC 7250): `file:`, `env:`, `cred:` or `exec:`; empty, it is that of the certificate.")
        .default("\"\""),
    key("tickets", Table(TICKETS), "", "Resumption of sessions by tickets, each for one use."),
    key("cipher_suites", SomeTexts, "[\"TLS_AES_128_GCM_SHA256\"]", "Cipher suites, the preferred one first.")
        .default("[\"TLS_AES_128_GCM_SHA256\", \"TLS_AES_256_GCM_SHA384\", \"TLS_CHACHA20_POLY1305_SHA256\"]"),
    key("groups", SomeTexts, "[\"x25519\"]", "Groups of the key exchange, the preferred one first.")
        .default("[\"X25519MLKEM768\", \"x25519\", \"secp256r1\"]"),
    key("min_version", Words(&["1.2", "1.3"]), "\"1.3\"", "For RADIUS; TACACS+ is TLS 1.3 whatever this says."),
    key("sni", Table(SNI), "", "The server names that devices may ask for."),
    key("keylog", PathOrFalse, "false", "A file that gets the TLS secrets of all connections, for Wireshark: who has it reads passwords. `false`: none is kept.")
        .default("false"),
];

const TICKETS: &[Key] = &[key(
    "lifetime",
    Duration,
    "\"8h\"",
    "How long a ticket is good, at most `7d`; `0s`: no resumption.",
)
.default("\"1h\"")];

const SNI: &[Key] = &[
    key(
        "required",
        Flag,
        "false",
        "A device that asks for no name of ours is refused.",
    )
    .default("false"),
    key("names", Texts, "[\"aaa1.example.net\"]", "Our names.").default("[]"),
];

const ACCOUNTING: &[(&str, &[Key])] =
    &[("database", DATABASE), ("jsonl", JSONL), ("syslog", SYSLOG)];

const DATABASE: &[Key] = &[
    key(
        "type",
        Text,
        "\"database\"",
        "What `doorward acct search` reads.",
    )
    .required(),
    key(
        "keep",
        Duration,
        "\"400d\"",
        "How long records are kept, an hour or more; for ever without it.",
    ),
];

const SINK_NAME: Key = key(
    "name",
    Name,
    "\"siem\"",
    "Names the sink's place in the journal, so that it stays when the target changes; made of type and target without it.",
);
const SINK_DECISIONS: Key = key(
    "decisions",
    Flag,
    "true",
    "Hands on the decisions that [audit] keeps, too.",
)
.default("false");

const JSONL: &[Key] = &[
    key(
        "type",
        Text,
        "\"jsonl\"",
        "A file with one JSON object a line, as `doorward acct search --json` prints it.",
    )
    .required(),
    key(
        "path",
        Name,
        "\"/var/log/doorward/accounting.jsonl\"",
        "The file; its folder has to exist. Renamed by rotation, it is begun anew.",
    )
    .required(),
    SINK_NAME,
    SINK_DECISIONS,
];

const SYSLOG: &[Key] = &[
    key("type", Text, "\"syslog\"", "A syslog receiver (RFC 5424).").required(),
    SYSLOG_TO,
    SYSLOG_TLS,
    SYSLOG_NAME,
    FACILITY,
    key(
        "max_message",
        Whole(1024, 65_000),
        "4096",
        "Octets of one message; a longer one loses arguments and says so. 8192 without it, 2048 over UDP.",
    ),
    SINK_NAME,
    SINK_DECISIONS,
];

const SYSLOG_TO: Key = key(
    "to",
    Form("^((tls|tcp|udp)://.+:[0-9]+|unix:///.*)$"),
    "\"tls://siem.example.net:6514\"",
    "Where to: `tls://HOST:PORT`, `tcp://HOST:PORT`, `udp://HOST:PORT` or `unix:///dev/log`.",
)
.required();
const SYSLOG_TLS: Key = key(
    "tls",
    Text,
    "\"default\"",
    "With tls://: which [tls.NAME] is shown and trusted.",
)
.default("\"default\"");
const SYSLOG_NAME: Key = key(
    "server_name",
    Text,
    "\"siem.example.net\"",
    "With tls://: what the receiver's certificate has to carry; the host of `to` without it.",
);
const FACILITY: Key = key(
    "facility",
    Words(&[
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron",
        "authpriv", "ftp", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
        "local7",
    ]),
    "\"local0\"",
    "The facility of every message.",
)
.default("\"authpriv\"");

const FTICKS: &[Key] = &[
    SYSLOG_TO,
    SYSLOG_TLS,
    SYSLOG_NAME,
    FACILITY,
    key(
        "realm",
        Form(r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"),
        "\"example.org\"",
        "The institution that the devices belong to: VISINST of a login without Operator-Name. Without the key it is the name of the device.",
    ),
    key(
        "country",
        Form("^[A-Z]{2}$"),
        "\"NL\"",
        "Where the devices are: VISCOUNTRY, two capital letters of ISO 3166.",
    )
    .required(),
    key(
        "mac",
        Words(&["off", "keyed-hash", "vendor-keyed-hash", "full"]),
        "\"keyed-hash\"",
        "CSI, what is said of the user's station: its address hashed with `key`, the same behind the vendor's part of it, all of it, or nothing. `keyed-hash` with a `key`, `off` without.",
    ),
    key(
        "key",
        Secret,
        "\"file:secret\"",
        "What the station's address is hashed with, 16 octets at least: `file:`, `env:`, `cred:` or `exec:`.",
    ),
];

const AUDIT: &[Key] = &[
    key(
        "decisions",
        Words(&["denied", "all", "off"]),
        "\"all\"",
        "Which logins and authorizations are kept for `doorward audit search`: those denied or failed, all, or none.",
    )
    .default("\"denied\""),
];
