//! Devices and their groups.

use super::super::Kind::{
    AnyWords, Day, Flag, OneOrMore, Secret, SecretOrList, SomeWords, Table, Text, Texts, Words,
};
use super::super::{Key, key};
use super::policy::AUTHENTICATION_TYPES;
use crate::policy::Profile;

pub(super) const DEVICE_GROUP: &[Key] = &[
    key(
        "match",
        Table(MATCH),
        "",
        "Which devices are in it: every key given must fit, any value of it.",
    )
    .required(),
    key(
        "transport",
        Words(&["tls", "any"]),
        "\"any\"",
        "`tls`: its devices are refused without TLS.",
    )
    .default("\"any\""),
    key(
        "accept",
        SomeWords(AUTHENTICATION_TYPES),
        "[\"pap\"]",
        "Narrows `accept` of [authentication] for its devices.",
    ),
    key(
        "dialect",
        Words(DIALECTS),
        "\"draft-05\"",
        "How its devices are answered without TLS; as their listener says without it.",
    ),
    key(
        "profile",
        Words(Profile::NAMES),
        "\"cisco-ios-xe\"",
        "Whose devices they are: which attributes an Access-Accept has for a role. A device's own `profile` goes before it.",
    ),
];

pub(super) const DIALECTS: &[&str] = &["rfc8907", "draft-05"];

const TOLERANCES: &[&str] = &[
    "flag-set-on-plain",
    "flag-clear-on-tls",
    "password-in-start",
    "bare-cr",
    "empty-argument",
    "enable-names",
];

const MATCH: &[Key] = &[
    key(
        "name",
        OneOrMore,
        "\"core*\"",
        "Names of devices; `*` stands for any characters.",
    ),
    key(
        "address",
        OneOrMore,
        "[\"10.0.0.0/16\"]",
        "Networks that hold an address of the device.",
    ),
    key("tag", OneOrMore, "[\"role:core\"]", "Tags of devices."),
];

pub(super) const DEVICE: &[Key] = &[
    key(
        "address",
        Texts,
        "[\"192.0.2.1/32\"]",
        "Addresses or networks it comes from. Without TLS they say who it is, with `tacacs_secret` or `radius_secret`; with TLS they are enforced beside the certificate.",
    ),
    key(
        "certificate",
        Table(CERTIFICATE),
        "",
        "What its certificate has to say. Of the names (dns, ip, uri, directory, realm) one that fits is enough; the other keys must all fit.",
    ),
    key(
        "tacacs_secret",
        SecretOrList(SHARED_SECRET),
        "\"file:secret\"",
        "The shared secret of TACACS+ without TLS, 16 characters or more; or a list of them with the days on which each is valid, for a changeover.",
    ),
    key(
        "radius_secret",
        SecretOrList(SHARED_SECRET),
        "\"file:secret2\"",
        "The shared secret of RADIUS/UDP, 16 characters or more; or a list of them with the days on which each is valid, for a changeover.",
    ),
    key(
        "psk",
        Table(PSK),
        "",
        "Its pre-shared key, for listeners with `auth = [\"psk\"]`.",
    ),
    key(
        "tags",
        Texts,
        "[\"role:core\", \"site:ams\"]",
        "Words for device groups and rules.",
    )
    .default("[]"),
    key(
        "profile",
        Words(Profile::NAMES),
        "\"cisco-ios-xe\"",
        "Whose device it is: which attributes an Access-Accept has for a role, beside those of the role; as its groups say without it. See docs/guide/profiles.md.",
    ),
    key(
        "single_connection",
        Flag,
        "true",
        "Whether it may have several sessions on one connection; as its listener says without it.",
    ),
    key(
        "transport",
        Words(&["tls", "any"]),
        "\"any\"",
        "`tls`: refused without TLS.",
    )
    .default("\"any\""),
    key(
        "accept",
        SomeWords(AUTHENTICATION_TYPES),
        "[\"pap\"]",
        "Narrows `accept` of [authentication] for this device.",
    ),
    key(
        "dialect",
        Words(DIALECTS),
        "\"draft-05\"",
        "How it is answered without TLS; as its groups, or else its listener, say without it.",
    ),
    key(
        "raw_public_key",
        Texts,
        "[\"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"]",
        "Pins of the raw public keys (RFC 7250) it may show; SHA-256 of the SubjectPublicKeyInfo. Taking one out revokes it.",
    )
    .default("[]"),
    key(
        "tolerate",
        AnyWords(TOLERANCES),
        "[\"bare-cr\"]",
        "What it may get wrong without being refused for it; each use is counted.",
    )
    .default("[]"),
    key(
        "dtls_required",
        Flag,
        "true",
        "RADIUS from it by anything but DTLS is discarded in silence (over TLS its handshake is refused).",
    )
    .default("false"),
];

const CERTIFICATE: &[Key] = &[
    key(
        "dns",
        OneOrMore,
        "[\"core1.example.net\"]",
        "dNSName of the subjectAltName; `peer` is the name of the device's own address.",
    ),
    key(
        "ip",
        OneOrMore,
        "[\"10.0.0.1\"]",
        "iPAddress of the subjectAltName.",
    ),
    key(
        "uri",
        OneOrMore,
        "[\"urn:example:core1\"]",
        "uniformResourceIdentifier of the subjectAltName.",
    ),
    key(
        "directory",
        OneOrMore,
        "[\"CN=core1\"]",
        "The subject, or a directoryName of the subjectAltName (RFC 4514).",
    ),
    key(
        "realm",
        OneOrMore,
        "[\"example.org\"]",
        "NAIRealm of the subjectAltName (RFC 7585), as RADIUS proxies have it.",
    ),
    key("issuer", Text, "\"CN=ca\"", "The issuer (RFC 4514)."),
    key(
        "serial",
        Text,
        "\"01\"",
        "The serial number, hexadecimal; with `issuer`.",
    ),
    key(
        "policy_oid",
        OneOrMore,
        "[\"1.2.3\"]",
        "A certificate policy, dotted.",
    ),
    key(
        "fingerprint",
        OneOrMore,
        "[\"0000000000000000000000000000000000000000000000000000000000000000\"]",
        "SHA-256 of the whole certificate, hexadecimal.",
    ),
    key(
        "wildcard",
        Flag,
        "false",
        "A wildcard in the certificate's name may fit.",
    )
    .default("false"),
];

pub(super) const PSK: &[Key] = &[
    key(
        "identity",
        Text,
        "\"lab-pe1.example.net\"",
        "How the device calls the key in the handshake: 1 to 512 octets, compared one by one. It travels in clear.",
    ),
    key(
        "identity_hex",
        Text,
        "\"6c61622d7065312e6578616d706c652e6e6574\"",
        "The same as pairs of hexadecimal digits, for octets that are no text.",
    ),
    key(
        "key",
        Secret,
        "\"file:psk\"",
        "The key, 16 to 256 octets: hexadecimal digits or base64.",
    )
    .required(),
];

const SHARED_SECRET: &[Key] = &[
    key("key", Secret, "\"file:secret\"", "The secret.").required(),
    key(
        "from",
        Day,
        "2026-01-01",
        "The first day on which it is valid.",
    ),
    key(
        "until",
        Day,
        "2099-12-31",
        "The last day on which it is valid.",
    ),
];
