//! Users, roles, rules and tests.

use super::super::Kind::{
    Arguments, Attributes, Duration, False, Flag, Form, Levels, Moment, Name, OneOrMore,
    OneOrMoreForms, OneOrMoreWords, Secret, Services, SomeWords, Table, Text, Texts, Whole, Words,
};
use super::super::{Key, key};

pub(super) const AUTHENTICATION_TYPES: &[&str] = &["ascii", "pap", "chap", "mschapv1", "mschapv2"];

pub(super) const USER: &[Key] = &[
    key(
        "password",
        Secret,
        "\"file:hash\"",
        "Where the hash of the password is, never the password: argon2id from `doorward hash-password`, or imported ($6$, $5$, $y$, $2b$, $1$). Without it: no login.",
    ),
    key(
        "chap_secret",
        Secret,
        "\"file:chap\"",
        "The secret itself (not a hash) that CHAP and MS-CHAP are judged by; never the password.",
    ),
    key(
        "enable",
        Levels,
        "{ 15 = \"file:hash\" }",
        "What this user's requests for a privilege level are judged by, before [enable]: where the hash is, or `user` for the own password.",
    ),
    key("groups", Texts, "[\"noc\"]", "Groups that rules speak of.").default("[]"),
    key(
        "from",
        Texts,
        "[\"192.0.2.0/24\"]",
        "Networks this user may come from; empty = any.",
    )
    .default("[]"),
    key(
        "alert",
        Flag,
        "false",
        "Every use is a warning in the log: for the account behind the glass.",
    )
    .default("false"),
    key(
        "quiet",
        Flag,
        "false",
        "Left out of searches unless asked for by name: for scripts.",
    )
    .default("false"),
    key("mfa", False, "false", "Not built yet in this version.").default("false"),
];

pub(super) const AUTHENTICATION: &[Key] = &[
    key(
        "order",
        SomeWords(&["local"]),
        "[\"local\"]",
        "Where users are looked for.",
    )
    .default("[\"local\"]"),
    key(
        "accept",
        SomeWords(AUTHENTICATION_TYPES),
        "[\"ascii\", \"pap\"]",
        "The ways of logging in that are accepted.",
    )
    .default("[\"ascii\", \"pap\", \"chap\", \"mschapv2\"]"),
    key(
        "attempts",
        Whole(1, 10),
        "3",
        "Names or passwords asked for in one session.",
    )
    .default("3"),
    key(
        "remember",
        Duration,
        "\"5m\"",
        "How long a right password is remembered, so that a run over many devices costs one hash; at most a day, `0s` = not at all.",
    )
    .default("\"0s\""),
    key(
        "min_challenge",
        Whole(1, 238),
        "8",
        "Octets of the shortest CHAP challenge that counts.",
    )
    .default("8"),
    key(
        "fail_message",
        Form("^[ -~]{0,200}$"),
        "\"Denied. NOC: +31 20 555 0100\"",
        "What a user reads whose login fails, whatever the reason; one line of printable ASCII.",
    )
    .default("\"\""),
];

pub(super) const PASSWORD_POLICY: &[Key] = &[
    key("min_length", Whole(1, 128), "12", "Characters, at least.").default("12"),
    key(
        "classes",
        Whole(1, 4),
        "3",
        "How many of lower-case letters, upper-case letters, digits and others it has, at least.",
    )
    .default("3"),
    key(
        "change",
        Flag,
        "true",
        "Users may change their passwords through a device.",
    )
    .default("true"),
];

pub(super) const ROLE: &[Key] = &[
    key(
        "shell",
        Table(SHELL),
        "",
        "What a login to the device's command line gets; without it there is none.",
    ),
    key(
        "commands",
        Text,
        "\"permit show **\"",
        "One rule a line: `permit|deny WORDS`, the first that fits decides, none denies. `*` is one word, `**` the rest, `a|b` a choice, `/re/` a regular expression of a whole word.",
    ),
    key(
        "services",
        Services,
        "{ junos-exec = { local-user-name = \"NOC\" } }",
        "Other services, each with the arguments it gets; `NAME/PROTOCOL` where the device names one.",
    ),
    key(
        "radius",
        Attributes,
        "{ Service-Type = \"NAS-Prompt-User\" }",
        "Attributes of the Access-Accept of RADIUS, by their names; a list gives one attribute each. What is hidden on the wire (Tunnel-Password) is a reference to a secret.",
    ),
];

const SHELL: &[Key] = &[
    key("priv_lvl", Whole(0, 15), "15", "The privilege level."),
    key(
        "max_priv_lvl",
        Whole(0, 15),
        "15",
        "The highest level that [enable] may raise the user to; `priv_lvl` without it. What `enable` of a user names is not bound by it.",
    ),
    key(
        "idle_time",
        Duration,
        "\"15m\"",
        "Idle sessions end after this time; whole minutes.",
    ),
    key(
        "timeout",
        Duration,
        "\"60m\"",
        "Sessions end after this time; whole minutes.",
    ),
    key(
        "attributes",
        Arguments,
        "{ acl = 5, \"autocmd*\" = \"x\" }",
        "More arguments; a list = one for each element, a name ending in `*` = optional.",
    ),
];

pub(super) const RULE: &[Key] = &[
    key(
        "name",
        Name,
        "\"noc\"",
        "What logs and explanations call it.",
    ),
    key(
        "when",
        Table(WHEN),
        "",
        "Conditions: every key given must hold, by any of its values. Without it the rule fits everybody.",
    ),
    key("role", Text, "\"noc\"", "The `[role.NAME]` it gives.").required(),
];

pub(super) const WHEN: &[Key] = &[
    key("group", OneOrMore, "\"noc\"", "A group of the user."),
    key(
        "user",
        OneOrMore,
        "\"alice\"",
        "The user's name; `*` stands for any characters.",
    ),
    key(
        "device_group",
        OneOrMore,
        "\"core\"",
        "A group of the device.",
    ),
    key(
        "device",
        OneOrMore,
        "\"core*\"",
        "The device's name; `*` stands for any characters.",
    ),
    key("tag", OneOrMore, "\"role:*\"", "A tag of the device."),
    key(
        "transport",
        OneOrMoreWords(&["tls", "plain"]),
        "\"tls\"",
        "How the device is connected.",
    ),
    key(
        "protocol",
        OneOrMoreWords(&["tacacs", "radius"]),
        "\"tacacs\"",
        "What it speaks.",
    ),
    key(
        "auth",
        OneOrMoreWords(AUTHENTICATION_TYPES),
        "\"ascii\"",
        "How the user logs in.",
    ),
    key("service", OneOrMore, "\"shell\"", "The service asked for."),
    key(
        "port",
        OneOrMore,
        "\"tty*\"",
        "The line or interface of the device.",
    ),
    key(
        "remote",
        OneOrMore,
        "\"192.0.2.*\"",
        "The user's address as the device writes it.",
    ),
    key(
        "from",
        OneOrMore,
        "[\"192.0.2.0/24\"]",
        "Networks that hold the user's address.",
    ),
    key(
        "address",
        OneOrMore,
        "[\"192.0.2.0/24\"]",
        "Networks that hold the address that the device connects from.",
    ),
    key(
        "policy_oid",
        OneOrMore,
        "\"1.2.3\"",
        "A policy of the device's certificate.",
    ),
    key(
        "issuer",
        OneOrMore,
        "\"CN=ca\"",
        "The issuer of the device's certificate.",
    ),
    key(
        "subject",
        OneOrMore,
        "\"CN=core1\"",
        "The subject of the device's certificate. It never says which device it is.",
    ),
    key(
        "fingerprint",
        OneOrMore,
        "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"",
        "SHA-256 of the device's certificate.",
    ),
    key(
        "eku",
        OneOrMoreForms(
            "^(anyExtendedKeyUsage|serverAuth|clientAuth|codeSigning|emailProtection|timeStamping|OCSPSigning|[0-9]+(\\.[0-9]+)+)$",
        ),
        "\"clientAuth\"",
        "An extended key usage that the device's certificate lists, by its name in RFC 5280 or its dotted number.",
    ),
    key(
        "san",
        OneOrMoreForms("^(dns|ip|uri|realm|srv|directory):."),
        "\"dns:core*.example.net\"",
        "A name in subjectAltName of the device's certificate: `dns:`, `ip:`, `uri:`, `realm:`, `srv:` or `directory:` and the name; `*` stands for any characters.",
    ),
    key(
        "psk_identity",
        OneOrMore,
        "\"core*\"",
        "The identity of the device's pre-shared key, as logs show it (`\\x00` for what is not printable); `*` stands for any characters.",
    ),
    key(
        "time",
        OneOrMore,
        "\"Mon-Fri 07:00-20:00 Europe/Amsterdam\"",
        "Days, hours and a time zone.",
    ),
];

pub(super) const TEST: &[Key] = &[
    key("as", Table(AS), "", "Who.").required(),
    key("on", Name, "\"core1\"", "On which device.").required(),
    key(
        "at",
        Moment,
        "2027-01-04T10:00:00Z",
        "When, for rules with a time; now without it.",
    ),
    key("from", Text, "\"192.0.2.1\"", "The user's address."),
    key(
        "auth",
        Words(AUTHENTICATION_TYPES),
        "\"pap\"",
        "How the user logs in: `ascii` by default, and `pap` by RADIUS.",
    ),
    key(
        "protocol",
        Words(&["tacacs", "radius"]),
        "\"tacacs\"",
        "What the device speaks; a RADIUS login asks for no commands.",
    )
    .default("\"tacacs\""),
    key(
        "permit",
        Texts,
        "[\"show version\"]",
        "Commands that have to be permitted.",
    )
    .default("[]"),
    key(
        "deny",
        Texts,
        "[\"reload\"]",
        "Commands that have to be denied.",
    )
    .default("[]"),
    key("expect", Table(EXPECT), "", "What the login has to get."),
];

const AS: &[Key] = &[
    key("user", Name, "\"alice\"", "The user's name.").required(),
    key(
        "groups",
        Texts,
        "[\"noc\"]",
        "Groups; those of the configured user without it.",
    ),
];

const EXPECT: &[Key] = &[
    key("priv_lvl", Whole(0, 15), "15", "The privilege level."),
    key(
        "login",
        Words(&["permit", "deny"]),
        "\"permit\"",
        "What the rules say to the login itself.",
    ),
    key(
        "radius",
        Attributes,
        "{ Service-Type = \"NAS-Prompt-User\" }",
        "Attributes that the Access-Accept has to hold, among others.",
    ),
];
