//! Every argument that the documents define, with the type of its value (RFC 8907 sections 8.1 to 8.3, draft-05 sections 7.1
//! and 7.2): one table for servers, clients and whoever checks a configuration.
//!
//! Arguments that are not here are legal (section 8) and have values without a type.

use core::net::IpAddr;

use crate::{AuthenticationMethod, Dialect};

/// An argument that is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub value: ValueType,
    /// Where it belongs.
    pub place: Place,
    /// Which document defines it.
    pub since: Since,
}

/// What a value is (section 8.1). An empty value of any type stands for one that is not present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// Text.
    Text,
    /// A decimal number that fits 64 bits.
    Number,
    /// A number of minutes; zero stands for "no limit".
    Minutes,
    /// A number of seconds.
    Seconds,
    /// A privilege level, 0 to 15.
    Level,
    /// A decimal number of 32 bits with a sign. Draft-05 section 7.2 describes four octets in network order, where all other
    /// numbers are decimal text; octets that are no digits are not handled.
    Status,
    /// `true` or `false`.
    Boolean,
    /// An IPv4 or IPv6 address.
    Address,
    /// Seconds since 1970-01-01 00:00 UTC.
    Time,
    /// The abbreviation of a time zone, such as `EST`.
    Zone,
    /// One of [`EVENTS`].
    Event,
    /// Destination and mask, and maybe a router, as dotted IPv4 addresses.
    Route,
}

/// Where an argument belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Authorization (section 8.2).
    Authorization,
    /// Authorization of a session with a shell, for which `cmd` is empty.
    ShellSession,
    /// Accounting (section 8.3).
    Accounting,
}

/// Which document defines an argument or a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Both.
    Rfc8907,
    /// Draft-05 alone: in RFC 8907 it is a name like any other.
    Draft05,
}

/// Why a value is none of its type. Whoever acts on the argument regards it as not handled (section 8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueError {
    /// What it should have been.
    pub wanted: ValueType,
}

impl core::fmt::Display for ValueError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self.wanted {
            ValueType::Text => "a text",
            ValueType::Number => "a decimal number",
            ValueType::Minutes => "a number of minutes, 0 for no limit",
            ValueType::Seconds => "a number of seconds",
            ValueType::Level => "a privilege level, 0 to 15",
            ValueType::Status => "a decimal number with or without a sign",
            ValueType::Boolean => "true or false",
            ValueType::Address => "an IPv4 or IPv6 address",
            ValueType::Time => "seconds since 1970-01-01 00:00 UTC",
            ValueType::Zone => "the abbreviation of a time zone",
            ValueType::Event => {
                "one of net_acct, cmd_acct, conn_acct, shell_acct, sys_acct, clock_change"
            }
            ValueType::Route => "DESTINATION MASK or DESTINATION MASK ROUTER, in dotted form",
        })
    }
}

impl core::error::Error for ValueError {}

/// The values of `event` (section 8.3).
pub const EVENTS: [&str; 6] = [
    "net_acct",
    "cmd_acct",
    "conn_acct",
    "shell_acct",
    "sys_acct",
    "clock_change",
];

/// The services that the documents name; others are legal.
pub const SERVICES: [(&str, Since); 7] = [
    ("shell", Since::Rfc8907),
    ("tty-server", Since::Rfc8907),
    ("connection", Since::Rfc8907),
    ("system", Since::Rfc8907),
    ("firewall", Since::Rfc8907),
    ("slip", Since::Draft05),
    ("ppp", Since::Draft05),
];

/// The protocols that draft-05 section 7.1 names; RFC 8907 leaves them open.
pub const PROTOCOLS: [&str; 17] = [
    "atalk", "deccp", "ftp", "http", "ip", "ipx", "lat", "lcp", "osicp", "pad", "rlogin", "telnet",
    "tn3270", "unknown", "vines", "vpdn", "xremote",
];

const fn authorization(name: &'static str, value: ValueType) -> Definition {
    defined(name, value, Place::Authorization, Since::Rfc8907)
}

const fn session(name: &'static str, value: ValueType) -> Definition {
    defined(name, value, Place::ShellSession, Since::Rfc8907)
}

const fn accounting(name: &'static str, value: ValueType) -> Definition {
    defined(name, value, Place::Accounting, Since::Rfc8907)
}

const fn old(name: &'static str, value: ValueType) -> Definition {
    defined(name, value, Place::Authorization, Since::Draft05)
}

const fn defined(name: &'static str, value: ValueType, place: Place, since: Since) -> Definition {
    Definition {
        name,
        value,
        place,
        since,
    }
}

/// The table.
pub const ARGUMENTS: [Definition; 39] = [
    authorization("service", ValueType::Text),
    authorization("protocol", ValueType::Text),
    authorization("cmd", ValueType::Text),
    authorization("cmd-arg", ValueType::Text),
    session("acl", ValueType::Number),
    authorization("inacl", ValueType::Text),
    authorization("outacl", ValueType::Text),
    authorization("addr", ValueType::Address),
    authorization("addr-pool", ValueType::Text),
    authorization("timeout", ValueType::Minutes),
    authorization("idletime", ValueType::Minutes),
    session("autocmd", ValueType::Text),
    session("noescape", ValueType::Boolean),
    session("nohangup", ValueType::Boolean),
    authorization("priv-lvl", ValueType::Level),
    accounting("task_id", ValueType::Text),
    accounting("start_time", ValueType::Time),
    accounting("stop_time", ValueType::Time),
    accounting("elapsed_time", ValueType::Seconds),
    accounting("timezone", ValueType::Zone),
    accounting("event", ValueType::Event),
    accounting("reason", ValueType::Text),
    accounting("bytes", ValueType::Number),
    accounting("bytes_in", ValueType::Number),
    accounting("bytes_out", ValueType::Number),
    accounting("paks", ValueType::Number),
    accounting("paks_in", ValueType::Number),
    accounting("paks_out", ValueType::Number),
    accounting("err_msg", ValueType::Text),
    old("zonelist", ValueType::Number),
    old("routing", ValueType::Boolean),
    old("route", ValueType::Route),
    old("remote_user", ValueType::Text),
    old("remote_host", ValueType::Text),
    old("callback-dialstring", ValueType::Text),
    old("callback-line", ValueType::Text),
    old("callback-rotary", ValueType::Text),
    old("nocallback-verify", ValueType::Text),
    defined(
        "status",
        ValueType::Status,
        Place::Accounting,
        Since::Draft05,
    ),
];

impl Definition {
    /// The definition of a name in a dialect. Draft-05 has all of RFC 8907.
    pub fn of(name: &[u8], dialect: Dialect) -> Option<&'static Self> {
        ARGUMENTS
            .iter()
            .find(|one| one.name.as_bytes() == name)
            .filter(|one| one.since == Since::Rfc8907 || dialect == Dialect::Draft05)
    }

    /// Whether the value is of the type.
    ///
    /// # Errors
    /// It is not; also a number that is too long to be held (section 8.1).
    pub fn check(&self, value: &[u8]) -> Result<(), ValueError> {
        if value.is_empty() || self.value.holds(value) {
            Ok(())
        } else {
            Err(ValueError { wanted: self.value })
        }
    }

    /// Whether the argument makes sense beside the others of its packet: `event` is for `service=system` (section 8.3),
    /// `remote_user` and `remote_host` are for users whom RCMD authenticated (draft-05 section 7.1).
    pub fn fits(&self, service: &[u8], method: AuthenticationMethod) -> bool {
        match self.name {
            "event" => service == b"system",
            "remote_user" | "remote_host" => method == AuthenticationMethod::RCMD,
            _ => true,
        }
    }
}

impl ValueType {
    fn holds(self, value: &[u8]) -> bool {
        let Ok(text) = core::str::from_utf8(value) else {
            return false;
        };
        match self {
            Self::Text => true,
            Self::Number | Self::Minutes | Self::Seconds | Self::Time => number(text).is_some(),
            Self::Level => number(text).is_some_and(|level| level <= 15),
            Self::Status => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                number(digits).is_some() && text.parse::<i32>().is_ok()
            }
            Self::Boolean => matches!(text, "true" | "false"),
            Self::Address => text.parse::<IpAddr>().is_ok(),
            // Abbreviations are letters; some zones have none and show their offset.
            Self::Zone => {
                text.len() <= 32
                    && !text.bytes().all(|octet| octet.is_ascii_digit())
                    && text.bytes().all(|octet| {
                        octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'-' | b':')
                    })
            }
            Self::Event => EVENTS.contains(&text),
            Self::Route => {
                let count = text.split(' ').count();
                matches!(count, 2 | 3)
                    && text
                        .split(' ')
                        .all(|one| one.parse::<core::net::Ipv4Addr>().is_ok())
            }
        }
    }
}

/// A decimal number, if 64 bits can hold it.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> bool {
        let definition = Definition::of(name.as_bytes(), Dialect::Draft05).unwrap();
        definition.check(value.as_bytes()).is_ok()
    }

    /// proves: TAC-6.1-17, D05-7.1-2
    #[test]
    fn every_name_of_the_documents_is_known_where_it_is_defined() {
        for name in [
            "service",
            "protocol",
            "cmd",
            "cmd-arg",
            "acl",
            "inacl",
            "outacl",
            "addr",
            "addr-pool",
            "timeout",
            "idletime",
            "autocmd",
            "noescape",
            "nohangup",
            "priv-lvl",
            "task_id",
            "start_time",
            "stop_time",
            "elapsed_time",
            "timezone",
            "event",
            "reason",
            "bytes",
            "bytes_in",
            "bytes_out",
            "paks",
            "paks_in",
            "paks_out",
            "err_msg",
        ] {
            for dialect in [Dialect::Rfc8907, Dialect::Draft05] {
                assert_eq!(Definition::of(name.as_bytes(), dialect).unwrap().name, name);
            }
        }
        for (name, value) in [
            ("zonelist", ValueType::Number),
            ("routing", ValueType::Boolean),
            ("route", ValueType::Route),
            ("remote_user", ValueType::Text),
            ("remote_host", ValueType::Text),
            ("callback-dialstring", ValueType::Text),
            ("callback-line", ValueType::Text),
            ("callback-rotary", ValueType::Text),
            ("nocallback-verify", ValueType::Text),
            ("status", ValueType::Status),
        ] {
            assert_eq!(
                Definition::of(name.as_bytes(), Dialect::Rfc8907),
                None,
                "{name}"
            );
            let found = Definition::of(name.as_bytes(), Dialect::Draft05).unwrap();
            assert_eq!(found.value, value, "{name}");
        }
        assert_eq!(Definition::of(b"x-vendor", Dialect::Draft05), None);
        assert_eq!(Definition::of(b"Service", Dialect::Rfc8907), None);
    }

    /// proves: TAC-8.1-1, TAC-8.1-2, TAC-8.1-6, TAC-8.1-8, TAC-8.2-8, TAC-8.2-9, TAC-8.2-10, TAC-8.3-6, TAC-8.3-9
    #[test]
    fn values_have_the_form_of_their_type() {
        for (name, good, bad) in [
            (
                "acl",
                &["0", "150"][..],
                &["a", "-1", "0x10", "1.5", " 1"][..],
            ),
            ("timeout", &["0", "16"], &["0x10", "-1", "ten", "+5"]),
            ("idletime", &["0", "30"], &["-30", "30m"]),
            ("priv-lvl", &["0", "15"], &["16", "-1", "fifteen"]),
            ("noescape", &["true", "false"], &["yes", "TRUE", "1"]),
            ("nohangup", &["true"], &["no"]),
            (
                "addr",
                &["192.0.2.1", "2001:db8::1"],
                &["notanip", "010.0.0.1", "192.0.2", "192.0.2.1/24"],
            ),
            ("inacl", &["ACL-in", "101"], &[]),
            ("outacl", &["ACL-out"], &[]),
            ("addr-pool", &["pool1"], &[]),
            (
                "start_time",
                &["1700000000", "0"],
                &["2026-01-01", "now", "-1"],
            ),
            ("stop_time", &["1700000000"], &["12:00"]),
            ("elapsed_time", &["0", "86400"], &["1m", "1.5"]),
            (
                "timezone",
                &["EST", "CEST", "+0330"],
                &["330", "Europe/Paris!", "a b"],
            ),
            (
                "bytes",
                &["0", "18446744073709551615"],
                &["18446744073709551616", "many"],
            ),
            ("bytes_in", &["1"], &["x"]),
            ("bytes_out", &["1"], &["x"]),
            ("paks", &["1"], &["x"]),
            ("paks_in", &["1"], &["x"]),
            ("paks_out", &["1"], &["x"]),
            ("task_id", &["x y/z", "1"], &[]),
        ] {
            for value in good {
                assert!(check(name, value), "{name}={value}");
            }
            for value in bad {
                assert!(!check(name, value), "{name}={value}");
            }
            assert!(check(name, ""), "{name}: an empty value is none");
        }
    }

    /// proves: TAC-8.1-3, TAC-8.1-4
    #[test]
    fn a_number_of_any_length_is_judged_and_never_wraps() {
        for length in 1..=255 {
            let digits = std::vec![b'9'; length];
            for definition in &ARGUMENTS {
                let fits = definition.check(&digits).is_ok();
                match definition.value {
                    ValueType::Text => assert!(fits),
                    ValueType::Number
                    | ValueType::Minutes
                    | ValueType::Seconds
                    | ValueType::Time => {
                        assert_eq!(fits, length < 20, "{}", definition.name);
                    }
                    ValueType::Level => assert_eq!(fits, length < 2),
                    ValueType::Status => assert_eq!(fits, length < 10),
                    ValueType::Boolean
                    | ValueType::Address
                    | ValueType::Zone
                    | ValueType::Event
                    | ValueType::Route => assert!(!fits, "{}", definition.name),
                }
            }
        }
    }

    /// proves: D05-7.1-3, D05-7.1-5, D05-7.2-3
    #[test]
    fn values_of_the_old_dialect() {
        for route in [
            "192.0.2.0 255.255.255.0",
            "192.0.2.0 255.255.255.0 192.0.2.1",
        ] {
            assert!(check("route", route), "{route}");
        }
        for route in [
            "192.0.2.0",
            "192.0.2.0/24 x",
            "a b c",
            "192.0.2.0  255.255.255.0",
            "1.2.3.4 1.2.3.4 1.2.3.4 1.2.3.4",
        ] {
            assert!(!check("route", route), "{route}");
        }
        assert!(check("callback-dialstring", ""));
        for status in ["0", "-1", "2147483647", "-2147483648"] {
            assert!(check("status", status), "{status}");
        }
        for status in ["+1", "--1", "-", "2147483648", "\0\0\0\0", "x"] {
            assert!(!check("status", status), "{status:?}");
        }
        assert!(check("routing", "true") && !check("routing", "on"));
        assert!(check("zonelist", "5") && !check("zonelist", "five"));
    }

    /// proves: TAC-8.3-7, D05-7.1-4
    #[test]
    fn some_arguments_need_others_beside_them() {
        let fits = |name: &str, service: &str, method| {
            let definition = Definition::of(name.as_bytes(), Dialect::Draft05).unwrap();
            definition.fits(service.as_bytes(), method)
        };
        let (ours, rcmd) = (AuthenticationMethod::TACACSPLUS, AuthenticationMethod::RCMD);
        for event in EVENTS {
            assert!(check("event", event));
        }
        assert!(!check("event", "login") && !check("event", "SYS_ACCT"));
        assert!(fits("event", "system", ours) && !fits("event", "shell", ours));
        for name in ["remote_user", "remote_host"] {
            assert!(fits(name, "shell", rcmd) && !fits(name, "shell", ours));
        }
        assert!(fits("task_id", "shell", ours));
    }

    /// proves: D05-7.1-1
    #[test]
    fn the_old_dialect_names_services_and_protocols() {
        let of = |since| {
            SERVICES
                .iter()
                .filter(move |one| one.1 == since)
                .map(|one| one.0)
        };
        assert!(of(Since::Draft05).eq(["slip", "ppp"]));
        assert!(of(Since::Rfc8907).eq(["shell", "tty-server", "connection", "system", "firewall"]));
        for name in [
            "atalk", "deccp", "ftp", "http", "ip", "ipx", "lat", "lcp", "osicp", "pad", "rlogin",
            "telnet", "tn3270", "unknown", "vines", "vpdn", "xremote",
        ] {
            assert!(PROTOCOLS.contains(&name), "{name}");
        }
    }
}
