//! The types of the checked configuration.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use doorward_radius::dictionary::Dictionary;
use ipnet::IpNet;

use super::Devices;
use super::protocol::ListenerProtocol;
use super::source::Location;
use crate::policy::{Decision, Policy, Profile, Protocol, ReplyAttribute, Routes};

/// Everything one configuration file (with its includes) says.
#[derive(Debug)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[metrics] listen`: where figures are served; `None` = nowhere.
    pub metrics: Option<SocketAddr>,
    /// `[[listen]]`, in the order of the file.
    pub listeners: Vec<Listener>,
    /// `[tls.NAME]`, secrets and certificates already read.
    pub tls: BTreeMap<Arc<str>, Arc<TlsProfile>>,
    /// `[device.NAME]`, indexed by name, identity and address.
    pub devices: Devices,
    /// `[user.NAME]`.
    pub users: HashMap<Arc<str>, Arc<User>>,
    /// `[authentication]`.
    pub authentication: Authentication,
    /// `[enable]`, by privilege level.
    pub enable: BTreeMap<u8, EnableCredential>,
    /// `[password_policy]`.
    pub password_policy: PasswordPolicy,
    /// `[role.NAME]` and `[[rule]]`.
    pub policy: Policy,
    /// `[[route]]`.
    pub routes: Routes,
    /// `[[pool]]`, by name.
    pub pools: BTreeMap<Arc<str>, Arc<super::Pool>>,
    /// The names of RADIUS attributes: those that are built in, and the `dictionaries` of `[radius]`.
    pub dictionary: Arc<Dictionary>,
    /// `[audit]`.
    pub audit: Audit,
    /// `[[accounting]]` of type `database`: how long records are kept; `None` = for ever.
    pub keep: Option<Duration>,
    /// `[[accounting]]` of the other types, in the order of the file.
    pub sinks: Vec<super::Sink>,
    /// `[fticks]`.
    pub fticks: Option<super::FTicks>,
    /// `[dns]`.
    pub dns: super::Dns,
    /// `[[test]]`.
    pub tests: Vec<PolicyTest>,
    /// What of the file system it names.
    pub places: Places,
    /// What the lints found in it, to be counted and compared.
    pub findings: super::Findings,
}

/// Paths that a configuration names, for who confines the process to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Files and folders that are read: configuration, includes, secrets, certificates, revocation lists.
    pub read: BTreeSet<PathBuf>,
    /// Files that are written: journal, store, control socket, sinks.
    pub write: BTreeSet<PathBuf>,
    /// Programs that are run for secrets.
    pub programs: BTreeSet<PathBuf>,
}

/// `[server]`.
#[derive(Clone, Debug)]
pub struct Server {
    /// The name of this server in records and in the ready line.
    pub name: Arc<str>,
    /// The SQLite file of `storage`.
    pub storage: PathBuf,
    /// The SQLite file of the accounting journal.
    pub journal: PathBuf,
    /// The control socket.
    pub control: PathBuf,
    /// Worker threads; 0 = one per core.
    pub workers: usize,
    /// No plain listener or device is accepted anywhere.
    pub tls_only: bool,
    /// Whom a server started as root becomes.
    pub user: Option<String>,
    /// The group with it; the user's own without.
    pub group: Option<String>,
    /// Whether the process is confined to what the configuration names.
    pub sandbox: SandboxMode,
}

/// `[server] sandbox`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SandboxMode {
    /// As far as the kernel can.
    #[default]
    Auto,
    /// No start without it.
    Require,
    /// Not at all.
    Off,
}

/// `[[listen]]`.
#[derive(Clone, Debug)]
pub struct Listener {
    /// `protocol`.
    pub protocol: ListenerProtocol,
    /// `address`; port 0 = any free port.
    pub address: SocketAddr,
    /// The `[tls.NAME]`s used, the first one where no server name chooses another; none on plain listeners.
    pub tls: Vec<Arc<str>>,
    /// Source ranges judged before anything is read: `from` and the devices' own ranges. Empty = anyone.
    pub from: Vec<IpNet>,
    /// Single-connection mode may be negotiated (RFC 8907 section 4.3).
    pub single_connection: bool,
    /// A connection without traffic for this long is closed; `None` never is, which only RADIUS may have.
    pub idle_timeout: Option<Duration>,
    /// A handshake, or on plain listeners the first whole packet, has to be complete within this time.
    pub handshake_timeout: Duration,
    /// Connections open at once; over UDP, source addresses and ports remembered at once.
    pub max_connections: usize,
    /// `make_room`: where that many are open, the one that is idle for longest is closed for a new one.
    pub make_room: bool,
    /// Handshakes open at once.
    pub max_handshakes: usize,
    /// New handshakes a second; 0 = no limit.
    pub handshake_rate: u32,
    /// Octets of one packet body.
    pub max_body: u32,
    /// `dialect`, for devices that have none of their own.
    pub dialect: doorward_tacacs::Dialect,
    /// `auth`: how devices prove who they are; without effect on plain listeners.
    pub methods: doorward_tls::Methods,
    /// `message_authenticator`: over UDP, an Access-Request without Message-Authenticator is discarded.
    pub message_authenticator: bool,
    /// The last day this listener serves (local to the host's time zone); later it is closed.
    pub until: Option<jiff::civil::Date>,
    /// Device groups that may use it; `None` = every device that has what the protocol needs.
    pub device_groups: Option<Vec<Arc<str>>>,
    /// Where it is defined.
    pub location: Location,
}

impl Listener {
    /// Is it for this device?
    pub fn admits(&self, device: &Device) -> bool {
        let groups = self.device_groups.as_ref();
        groups.is_none_or(|groups| groups.iter().any(|group| device.groups.contains(group)))
    }

    /// Is the device one that may come here, with something to prove it by?
    pub fn serves(&self, device: &Device) -> bool {
        let proof = if self.protocol.is_tls() {
            (self.methods.certificate && device.certificate.is_some())
                || (self.methods.raw_public_key && !device.raw_public_key.is_empty())
                || (self.methods.psk && device.psk.is_some())
        } else {
            device.can_use_plain(self.protocol)
        };
        self.admits(device) && proof
    }

    /// Is its last day over?
    pub fn is_closed(&self, today: jiff::civil::Date) -> bool {
        self.until.is_some_and(|until| until < today)
    }
}

/// `[tls.NAME]`, everything loaded and checked to fit together.
#[derive(Debug)]
pub struct TlsProfile {
    /// NAME.
    pub name: Arc<str>,
    /// What a listener needs.
    pub server: Arc<doorward_tls::ServerPolicy>,
    /// What connections of ours need that are not TACACS+: `min_version` decides about TLS 1.2.
    pub client: Arc<doorward_tls::ClientPolicy>,
    /// notAfter of our own leaf certificate, Unix seconds.
    pub certificate_expires: i64,
    /// Its revocation lists.
    pub crls: super::CrlFiles,
    /// `keylog`: the file for the secrets of its connections.
    pub key_log: Option<Arc<super::KeyLogFile>>,
    /// Where it is defined.
    pub location: Location,
}

/// A revocation list that counts.
#[derive(Clone, Debug)]
pub struct CrlFile {
    /// The file it came from.
    pub file: PathBuf,
    /// Its issuer in the form of RFC 4514.
    pub issuer: String,
    /// thisUpdate in Unix seconds.
    pub this_update: i64,
    /// nextUpdate in Unix seconds; without one it is never current.
    pub next_update: Option<i64>,
}

/// One device (a TACACS+ client).
#[derive(Debug)]
pub struct Device {
    /// NAME.
    pub name: Arc<str>,
    /// `address`: with TLS enforced if not empty; without TLS it is what identifies the device.
    pub address: Vec<IpNet>,
    /// `certificate`: what a client certificate has to say to be this device.
    pub certificate: Option<doorward_tls::CertificateMatch>,
    /// `raw_public_key`: the keys (RFC 7250) it may show in place of a certificate.
    pub raw_public_key: Vec<doorward_tls::KeyPin>,
    /// `psk`.
    pub psk: Option<super::DevicePsk>,
    /// `tacacs_secret`, for connections without TLS; empty = none of them.
    pub tacacs_secret: Vec<super::SharedSecret>,
    /// `radius_secret`, for RADIUS/UDP; empty = not for it.
    pub radius_secret: Vec<super::SharedSecret>,
    /// `tags`.
    pub tags: Vec<Arc<str>>,
    /// `profile`.
    pub profile: Option<Profile>,
    /// Device groups whose `match` fits, computed at load.
    pub groups: Vec<Arc<str>>,
    /// `transport = "tls"`, its own or of a group: plain connections are refused.
    pub tls_required: bool,
    /// `dtls_required`: over RADIUS nothing but DTLS is taken from it.
    pub dtls_required: bool,
    /// `single_connection`; `None` = as the listener says.
    pub single_connection: Option<bool>,
    /// `accept`: narrows `[authentication] accept`.
    pub accept: Option<Vec<AuthenticationType>>,
    /// `dialect`, its own or of a group; `None` = as the listener says. It counts without TLS only.
    pub dialect: Option<doorward_tacacs::Dialect>,
    /// `tolerate`.
    pub tolerate: super::Tolerances,
    /// Where it is defined.
    pub location: Location,
}

impl Device {
    /// Is there a way for it to prove itself over TLS?
    pub fn can_use_tls(&self) -> bool {
        self.certificate.is_some() || !self.raw_public_key.is_empty() || self.psk.is_some()
    }

    /// Its secrets for a protocol without TLS; none for one with it.
    pub fn secrets(&self, protocol: ListenerProtocol) -> &[super::SharedSecret] {
        match protocol {
            ListenerProtocol::Tacacs => &self.tacacs_secret,
            ListenerProtocol::RadiusUdp => &self.radius_secret,
            ListenerProtocol::TacacsTls
            | ListenerProtocol::RadiusTls
            | ListenerProtocol::RadiusDtls => &[],
        }
    }

    /// Is it known, and taken, by this protocol without TLS?
    pub fn can_use_plain(&self, protocol: ListenerProtocol) -> bool {
        let shut =
            self.tls_required || (self.dtls_required && protocol == ListenerProtocol::RadiusUdp);
        !self.secrets(protocol).is_empty() && !self.address.is_empty() && !shut
    }
}

/// `[user.NAME]`.
#[derive(Debug)]
pub struct User {
    /// NAME.
    pub name: Arc<str>,
    /// The stored password hash; `None` = no login.
    pub password: Option<crate::identity::PasswordHash>,
    /// `chap_secret`: what CHAP and MS-CHAP are judged by; `None` = none of them.
    pub chap_secret: Option<crate::identity::ChapSecret>,
    /// `enable`: what enable requests of this user are judged by, before `[enable]`.
    pub enable: BTreeMap<u8, EnableCredential>,
    /// `groups`.
    pub groups: Vec<Arc<str>>,
    /// `from`: the remote addresses this user may come from; empty = any.
    pub from: Vec<IpNet>,
    /// `alert`: every use is a warning in the log and counted by name.
    pub alert: bool,
    /// `quiet`: left out of searches unless asked for by name.
    pub quiet: bool,
    /// Where it is defined.
    pub location: Location,
}

impl User {
    /// May this user come from that remote address? With `from` set, an unknown address may not.
    pub fn may_come_from(&self, remote: Option<IpAddr>) -> bool {
        self.from.is_empty() || remote.is_some_and(|address| contains(&self.from, address))
    }
}

/// Is the address in one of the networks? An IPv4 address in IPv6 clothes counts as IPv4.
pub fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// The authentication types of RFC 8907 section 5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthenticationType {
    /// Interactive login.
    Ascii,
    /// Password in the first packet.
    Pap,
    /// CHAP (RFC 1994).
    Chap,
    /// MS-CHAP version 1 (RFC 2433).
    MsChapV1,
    /// MS-CHAP version 2 (RFC 2759).
    MsChapV2,
}

impl AuthenticationType {
    /// Every type.
    pub const ALL: [Self; 5] = [
        Self::Ascii,
        Self::Pap,
        Self::Chap,
        Self::MsChapV1,
        Self::MsChapV2,
    ];

    /// The type that a number on the wire stands for, if it is one a user can log in by.
    pub fn of_wire(number: doorward_tacacs::AuthenticationType) -> Option<Self> {
        use doorward_tacacs::AuthenticationType as Wire;
        match number {
            Wire::ASCII => Some(Self::Ascii),
            Wire::PAP => Some(Self::Pap),
            Wire::CHAP => Some(Self::Chap),
            Wire::MSCHAP => Some(Self::MsChapV1),
            Wire::MSCHAPV2 => Some(Self::MsChapV2),
            _ => None,
        }
    }

    /// The name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Pap => "pap",
            Self::Chap => "chap",
            Self::MsChapV1 => "mschapv1",
            Self::MsChapV2 => "mschapv2",
        }
    }

    /// Does the password itself travel? If not, the answer to a challenge does, which is judged by `chap_secret`.
    pub fn sends_password(self) -> bool {
        match self {
            Self::Ascii | Self::Pap => true,
            Self::Chap | Self::MsChapV1 | Self::MsChapV2 => false,
        }
    }
}

/// `[authentication]`.
#[derive(Clone, Debug)]
pub struct Authentication {
    /// `accept`.
    pub accept: Vec<AuthenticationType>,
    /// `attempts`: names or passwords asked for in one ASCII session.
    pub attempts: u8,
    /// `remember`: how long a right password is remembered; zero = not at all.
    pub remember: Duration,
    /// `min_challenge`: the shortest CHAP challenge that counts, in octets (RFC 8907 section 5.4.2.3 recommends 8).
    pub min_challenge: usize,
    /// `fail_message`: what a user reads whose login fails, whatever the reason; empty = nothing.
    pub fail_message: Arc<str>,
}

/// What an enable request (RFC 8907 section 5.4.2.6) is judged by.
#[derive(Clone, Debug)]
pub enum EnableCredential {
    /// A password of its own.
    Hash(crate::identity::PasswordHash),
    /// The password the user logs in with.
    OwnPassword,
}

/// `[password_policy]`: what a password has to be like that a user chooses through a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// `min_length`, in characters.
    pub min_length: usize,
    /// `classes`: how many of lower-case letters, upper-case letters, digits and others it has to have.
    pub classes: usize,
    /// `change`: may users change their passwords through a device at all?
    pub change: bool,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            min_length: 12,
            classes: 3,
            change: true,
        }
    }
}

/// `[audit] decisions`: which logins and authorizations are kept beside accounting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Audit {
    /// Those that were denied or failed, and those that no decision was made on.
    #[default]
    Denied,
    /// All of them.
    All,
    /// None.
    Off,
}

impl Audit {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Denied, Self::All, Self::Off];

    /// The name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::All => "all",
            Self::Off => "off",
        }
    }
}

/// One `[[test]]`.
#[derive(Clone, Debug)]
pub struct PolicyTest {
    /// `as.user`.
    pub user: Arc<str>,
    /// `as.groups`; `None` = the groups of the configured user.
    pub groups: Option<Vec<Arc<str>>>,
    /// `on`: a device name.
    pub device: Arc<str>,
    /// `at`; `None` = now.
    pub at: Option<jiff::Timestamp>,
    /// `from`: the user's remote address.
    pub from: Option<IpAddr>,
    /// `protocol`: what the device speaks; TACACS+ unless it says so.
    pub protocol: Protocol,
    /// `auth`: how the user authenticates; unless it says so ASCII, which RADIUS does not have, and there PAP.
    pub auth: AuthenticationType,
    /// Command lines that have to be permitted, each with its place.
    pub permit: Vec<(String, Location)>,
    /// Command lines that have to be denied, each with its place.
    pub deny: Vec<(String, Location)>,
    /// `expect.priv_lvl`.
    pub priv_lvl: Option<u8>,
    /// `expect.login`: what the rules have to say to the login itself.
    pub login: Option<Decision>,
    /// `expect.radius`: attributes that the Access-Accept has to hold, among others.
    pub radius: Vec<ReplyAttribute>,
    /// Where it is defined.
    pub location: Location,
}
