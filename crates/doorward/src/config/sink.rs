//! The types of the sinks of `[[accounting]]`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use doorward_client::Responders;
use doorward_tls::{ClientPolicy, ReferenceIdentity};

use super::source::Location;

/// One `[[accounting]]` that hands every record on.
#[derive(Clone, Debug)]
pub struct Sink {
    /// Names its place in the journal: what keeps its name goes on where it was.
    pub name: Arc<str>,
    /// Hands on the decisions that `[audit]` keeps, too.
    pub decisions: bool,
    /// Where to.
    pub kind: SinkKind,
    /// Where it is defined.
    pub location: Location,
}

/// Where a sink hands records to.
#[derive(Clone, Debug)]
pub enum SinkKind {
    /// A file with one JSON object a line.
    Jsonl {
        /// The file.
        path: PathBuf,
    },
    /// A syslog receiver (RFC 5424).
    Syslog(Box<Syslog>),
}

/// A syslog receiver and what messages to it say.
#[derive(Clone, Debug)]
pub struct Syslog {
    /// `to`.
    pub target: SyslogTarget,
    /// `facility`.
    pub facility: Facility,
    /// Octets of one message; what is longer is sent without some of its arguments, and says so.
    pub max_message: usize,
    /// HOSTNAME: `name` of [server].
    pub host_name: Arc<str>,
}

/// `to` of a syslog sink. Its text is the URL as the file writes it.
#[derive(Clone, Debug)]
pub enum SyslogTarget {
    /// RFC 5425.
    Tls(HostPort, SyslogTls),
    /// RFC 6587, octets counted.
    Tcp(HostPort),
    /// RFC 5426.
    Udp(HostPort),
    /// A local socket, of datagrams or a stream.
    Unix(PathBuf),
}

impl fmt::Display for SyslogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(place, _) => write!(f, "tls://{place}"),
            Self::Tcp(place) => write!(f, "tcp://{place}"),
            Self::Udp(place) => write!(f, "udp://{place}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// A host by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name, resolved at each connect, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// How the receiver is known, and what it is shown.
#[derive(Clone, Debug)]
pub struct SyslogTls {
    /// `tls`: the profile we show and trust.
    pub policy: Arc<ClientPolicy>,
    /// `server_name`, or the host of `to`: what the receiver's certificate has to carry.
    pub reference: ReferenceIdentity,
    /// The name sent in clear.
    pub sni: Option<String>,
    /// Through whom the OCSP responders of the receiver's certificate are asked.
    pub responders: Arc<Responders>,
}

/// A facility of RFC 5424 section 6.2.1, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(pub u8);

impl Facility {
    /// The names in the file: those of syslog.conf.
    pub const NAMES: [(&'static str, Self); 20] = [
        ("kern", Self(0)),
        ("user", Self(1)),
        ("mail", Self(2)),
        ("daemon", Self(3)),
        ("auth", Self(4)),
        ("syslog", Self(5)),
        ("lpr", Self(6)),
        ("news", Self(7)),
        ("uucp", Self(8)),
        ("cron", Self(9)),
        ("authpriv", Self(10)),
        ("ftp", Self(11)),
        ("local0", Self(16)),
        ("local1", Self(17)),
        ("local2", Self(18)),
        ("local3", Self(19)),
        ("local4", Self(20)),
        ("local5", Self(21)),
        ("local6", Self(22)),
        ("local7", Self(23)),
    ];
}

impl Default for Facility {
    fn default() -> Self {
        Self(10)
    }
}
