//! Everything that is turned away before it becomes a request: a closed list, counted always and logged with a bound.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $why:literal;)*) => {
        /// Why a connection, a handshake or a packet was turned away.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Refused { $($(#[$doc])* $variant,)* }

        impl Refused {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name used in logs, counters and JSON.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One sentence for people, with what to look at.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $why,)* }
            }
        }
    };
}

refusals! {
    /// The listener is full.
    TooManyConnections = "too-many-connections", "the listener has max_connections open, or over UDP as many sources with requests under way";
    /// Too many handshakes at once.
    TooManyHandshakes = "too-many-handshakes", "the listener has max_handshakes half-open";
    /// Too many handshakes a second.
    HandshakeRate = "handshake-rate", "the listener's handshake_rate is used up";
    /// The source is not permitted.
    SourceAddress = "source-address", "the address is in no permitted range of the listener";
    /// No device has that address.
    DeviceUnknown = "device-unknown", "no device with a tacacs_secret (RADIUS/UDP: radius_secret) has this address";
    /// None of the device's secrets is valid today.
    SecretNotValid = "secret-not-valid", "no shared secret of this device is valid today: see `from` and `until` of them";
    /// The device has to use TLS.
    TlsRequired = "tls-required", "the device has transport = \"tls\" and came without TLS";
    /// The device has to use DTLS.
    DtlsRequired = "dtls-required", "the device has dtls_required = true and came with RADIUS over something else";
    /// The device may not use this listener.
    ListenerNotForDevice = "listener-not-for-device", "the device is in none of the listener's device_groups";
    /// No device matches the certificate.
    CertificateMatchesNoDevice = "certificate-matches-no-device", "the certificate is valid and names no configured device";
    /// Several devices match the certificate.
    CertificateAmbiguous = "certificate-ambiguous", "the certificate names more than one configured device";
    /// No device has the raw public key.
    KeyMatchesNoDevice = "key-matches-no-device", "the raw public key is pinned for no configured device";
    /// No device has the identity of the pre-shared key.
    PskIdentity = "psk-identity", "the pre-shared key identity is configured for no device";
    /// The pre-shared key is another one.
    PskKey = "psk-key", "device and server have different pre-shared keys under one identity";
    /// The device came from an address it may not have.
    DeviceAddress = "device-address", "the certificate names a device that may not come from this address";
    /// Removed from the configuration while connected.
    DeviceRemoved = "device-removed", "the device is no longer in the configuration";
    /// The first octets were no ClientHello.
    NotTls = "not-tls", "the peer did not begin with a TLS ClientHello; a device configured without TLS talks to the TLS port?";
    /// early_data in the ClientHello.
    EarlyData = "early-data", "the ClientHello offers 0-RTT data, which RFC 9887 forbids";
    /// The ClientHello was not acceptable.
    ClientHello = "client-hello", "the ClientHello is malformed or larger than a ClientHello may be";
    /// A route of ours leads back to us.
    Loop = "loop", "the connection comes from this server itself: a route leads back to it";
    /// TLS 1.2 or older.
    TlsVersion = "tls-version", "the peer offers no version of TLS that the listener takes: 1.3, and 1.2 for RADIUS alone";
    /// No certificate was shown.
    CertificateMissing = "certificate-missing", "the device showed no certificate";
    /// The certification path is not valid.
    CertificatePath = "certificate-path", "the device's certificate does not lead to a trusted CA by the rules of RFC 5280";
    /// Expired or not yet valid.
    CertificateDate = "certificate-date", "a certificate of the device's path is expired or not yet valid";
    /// Revoked.
    CertificateRevoked = "certificate-revoked", "a certificate of the device's path is revoked";
    /// No current CRL.
    RevocationUnknown = "revocation-unknown", "there is no current CRL for a certificate of the device's path, and revocation = \"require\"";
    /// No OCSP answer.
    StatusUnknown = "status-unknown", "no OCSP responder says that a certificate of the device's path is good, and ocsp = \"require\"";
    /// Any other TLS failure.
    Handshake = "handshake", "the TLS handshake failed";
    /// The handshake or the first packet took too long.
    HandshakeTimeout = "handshake-timeout", "handshake_timeout passed before the first packet";
    /// The peer does not read what it asked for.
    NotReading = "not-reading", "idle_timeout passed without the peer taking its replies";
    /// Idle for too long.
    Idle = "idle", "idle_timeout passed without traffic";
    /// Closed for a new connection.
    MadeRoom = "made-room", "the listener was full, and of its idle connections this one was idle for longest (make_room)";
    /// The body does not add up: most likely the secret.
    SecretMismatch = "secret-mismatch", "the packet does not decode: device and server very likely have different secrets";
    /// The unencrypted flag was set on a plain connection.
    UnencryptedFlagSet = "unencrypted-flag-set", "the packet has the unencrypted flag set on a connection without TLS";
    /// The unencrypted flag was clear on a TLS connection.
    UnencryptedFlagClear = "unencrypted-flag-clear", "the packet has the unencrypted flag clear on a TLS connection";
    /// Larger than max_body.
    BodyTooLarge = "body-too-large", "the packet announces a body larger than max_body";
    /// Not TACACS+.
    NotTacacs = "not-tacacs", "the packet has another major version or an unknown type";
    /// A value the protocol does not list.
    UnlistedValue = "unlisted-value", "the packet has a value that RFC 8907 does not list";
    /// A user name in another encoding.
    NameEncoding = "name-encoding", "a user name is not UTF-8, so that it is nobody's: set the device or the user's terminal to UTF-8";
    /// A packet out of order.
    Sequence = "sequence", "the packet's seq_no or session does not fit";
    /// The body is malformed.
    Malformed = "malformed", "the packet's body breaks a rule of RFC 8907";
    /// A RADIUS length.
    RadiusLength = "radius-length", "the packet says a length below 20 or above 4096, or more than has come: over TLS the connection is closed, over UDP it is discarded";
    /// RADIUS attributes that are none.
    RadiusAttributes = "radius-attributes", "the attributes do not fill the packet: over TLS the connection is closed, over UDP it is discarded";
    /// A wrong Request Authenticator or Message-Authenticator.
    RadiusAuthenticator = "radius-authenticator", "an authenticator of the packet is wrong: over TLS the connection is closed, over UDP it is discarded; does the device have our secret (over TLS: \"radsec\")?";
    /// No Message-Authenticator where there has to be one.
    RadiusUnsigned = "radius-unsigned", "a Status-Server, or an Access-Request over UDP, without Message-Authenticator is not answered; message_authenticator = \"off\" of the listener is for old devices";
    /// A code that is not served.
    RadiusCode = "radius-code", "the packet is of a kind that is not served here, and was answered with Protocol-Error";
    /// An accounting request that cannot be recorded.
    RadiusRecord = "radius-record", "an Accounting-Request without a known Acct-Status-Type or with a name that is none was not answered";
    /// An answer that does not fit.
    RadiusAnswer = "radius-answer", "the answer does not fit into a packet and was not sent";
    /// A request for another server that nobody answered, or that cannot be passed on.
    NotPassedOn = "not-passed-on", "a request that a route takes was not answered by any server of its pool, or could not be passed on; the device is told so over TLS and DTLS, and asks elsewhere";
    /// A request that has been here before.
    ProxyCircle = "proxy-circle", "a request that a route takes has been here before, or has passed 16 proxies: the routes lead in a circle";
    /// Too many requests are under way.
    ProxyBusy = "proxy-busy", "as many requests as can be are under way at the servers of the route's pool, or of this device as many as it leaves to the others: it sends this one again";
    /// No new session on this connection.
    NotAccepting = "not-accepting", "a new session on a connection that takes none: no single-connect, a wrong secret before, or a stop";
    /// Too many sessions at once.
    TooManySessions = "too-many-sessions", "the connection has as many sessions open as it may have";
    /// The journal did not take records.
    JournalFailed = "journal-failed", "accounting records could not be written to the journal";
    /// The journal did not take decisions.
    DecisionNotKept = "decision-not-kept", "decisions were answered and are missing from `doorward audit search`, because the journal did not take them";
    /// A line of statistics that nobody will get.
    TickDropped = "tick-dropped", "lines of [fticks] were dropped, because its receiver is down or slower than the logins: `doorward status` says why";
    /// Logins were answered with ERROR because the password workers are behind.
    PasswordWorkersBusy = "password-workers-busy", "the password workers are busy for longer than a device waits";
    /// The operating system did not hand out a connection.
    AcceptFailed = "accept-failed", "the operating system refused a connection, most likely because the limit of open files is reached (LimitNOFILE, ulimit -n)";
    /// The connection broke.
    ConnectionLost = "connection-lost", "the connection ended in the middle of an exchange";
}

impl Refused {
    /// Whether a TLS handshake that has begun can end so.
    pub fn ends_handshakes(self) -> bool {
        match self {
            Self::ListenerNotForDevice
            | Self::CertificateMatchesNoDevice
            | Self::CertificateAmbiguous
            | Self::KeyMatchesNoDevice
            | Self::PskIdentity
            | Self::PskKey
            | Self::DeviceAddress
            | Self::DeviceRemoved
            | Self::NotTls
            | Self::EarlyData
            | Self::ClientHello
            | Self::Loop
            | Self::TlsVersion
            | Self::CertificateMissing
            | Self::CertificatePath
            | Self::CertificateDate
            | Self::CertificateRevoked
            | Self::RevocationUnknown
            | Self::StatusUnknown
            | Self::Handshake
            | Self::HandshakeTimeout => true,
            Self::TooManyConnections
            | Self::TooManyHandshakes
            | Self::HandshakeRate
            | Self::SourceAddress
            | Self::DeviceUnknown
            | Self::SecretNotValid
            | Self::TlsRequired
            | Self::DtlsRequired
            | Self::NotReading
            | Self::Idle
            | Self::MadeRoom
            | Self::SecretMismatch
            | Self::UnencryptedFlagSet
            | Self::UnencryptedFlagClear
            | Self::BodyTooLarge
            | Self::NotTacacs
            | Self::UnlistedValue
            | Self::NameEncoding
            | Self::Sequence
            | Self::Malformed
            | Self::RadiusLength
            | Self::RadiusAttributes
            | Self::RadiusAuthenticator
            | Self::RadiusUnsigned
            | Self::RadiusCode
            | Self::RadiusRecord
            | Self::RadiusAnswer
            | Self::NotPassedOn
            | Self::ProxyCircle
            | Self::ProxyBusy
            | Self::NotAccepting
            | Self::TooManySessions
            | Self::JournalFailed
            | Self::DecisionNotKept
            | Self::TickDropped
            | Self::PasswordWorkersBusy
            | Self::AcceptFailed
            | Self::ConnectionLost => false,
        }
    }
}

impl crate::metrics::Label for Refused {
    const ALL: &'static [Self] = Refused::ALL;

    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        Refused::name(self)
    }
}

/// Length of one window of the log bound.
const WINDOW: Duration = Duration::from_secs(10);
/// Lines of one reason in one window.
const LINES: u32 = 5;

/// Bounds what refusals write to the log: five lines of each reason in ten seconds, the rest as a number on the
/// next line of that reason, so that a flood costs counters and not a disk.
#[derive(Debug, Default)]
pub struct RefusalLog {
    windows: Mutex<HashMap<Refused, Window>>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    lines: u32,
    suppressed: u64,
}

impl RefusalLog {
    /// Whether to log this one, and how many of its reason were held back since the last line.
    pub fn admit(&self, reason: Refused, now: Instant) -> Option<u64> {
        let Ok(mut windows) = self.windows.lock() else {
            return Some(0);
        };
        let window = windows.entry(reason).or_insert(Window {
            began: now,
            lines: 0,
            suppressed: 0,
        });
        if now.saturating_duration_since(window.began) >= WINDOW {
            let suppressed = window.suppressed;
            *window = Window {
                began: now,
                lines: 1,
                suppressed: 0,
            };
            return Some(suppressed);
        }
        if window.lines < LINES {
            window.lines += 1;
            return Some(0);
        }
        window.suppressed += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_reason_is_five_lines_and_a_number() {
        let log = RefusalLog::default();
        let start = Instant::now();
        let lines = (0..1000)
            .filter(|_| log.admit(Refused::NotTls, start).is_some())
            .count();
        assert_eq!(lines, 5);
        assert_eq!(
            log.admit(Refused::EarlyData, start),
            Some(0),
            "another reason has its own lines"
        );
        assert_eq!(log.admit(Refused::NotTls, start + WINDOW), Some(995));
    }
}
