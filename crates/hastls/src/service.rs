//! What a client looks for on a host, and what it was configured to do.

use core::fmt;
use core::num::NonZeroU16;
use core::str::FromStr;

use crate::PortPair;

/// What a client is configured to do (section 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// CIO: the insecure form only.
    InsecureOnly,
    /// CSO: the secure form only.
    #[default]
    SecureOnly,
    /// CFB: the secure form, and the insecure one if TLS cannot be set up.
    AllowFallback,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::InsecureOnly, Self::SecureOnly, Self::AllowFallback];

    /// Its word: `insecure-only`, `secure-only` or `allow-fallback`.
    pub fn name(self) -> &'static str {
        match self {
            Self::InsecureOnly => "insecure-only",
            Self::SecureOnly => "secure-only",
            Self::AllowFallback => "allow-fallback",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The words of [`Policy::name`].
impl FromStr for Policy {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|policy| policy.name() == word);
        found.ok_or(UnknownWord(
            "a policy is insecure-only, secure-only or allow-fallback",
        ))
    }
}

/// A word that is no [`Policy`] or no [`Mode`](crate::Mode): the sentence says which there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownWord(pub(crate) &'static str);

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for UnknownWord {}

/// Applications with rules of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Application {
    /// TACACS+. It never falls back (RFC 9887 section 5.1.1): [`Policy::AllowFallback`] is [`Policy::SecureOnly`]. No upgrade in band.
    Tacacs,
    /// RADIUS, over TLS and DTLS alike. It falls back only because [`Policy::AllowFallback`] was configured (draft-ietf-radext-radiusdtls-bis
    /// section 7.7), and then to the configured port: several insecure ports share one secure port, so that the record's may be
    /// another service's. No upgrade in band.
    Radius,
    /// Any other, by the rules of the draft alone.
    Other,
}

/// An application and its two ports, as configured or by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// Whose rules count.
    pub application: Application,
    /// The port without TLS.
    pub insecure: NonZeroU16,
    /// The port with TLS; the same as `insecure` for an upgrade in band.
    pub secure: NonZeroU16,
}

impl Service {
    /// TACACS+ on its ports, 49 and 300.
    pub const TACACS: Self = Self::new(Application::Tacacs, port(49), port(300));
    /// RADIUS logins on their ports, 1812 and 2083.
    pub const RADIUS: Self = Self::new(Application::Radius, port(1812), port(2083));
    /// RADIUS accounting on its ports, 1813 and 2083.
    pub const RADIUS_ACCOUNTING: Self = Self::new(Application::Radius, port(1813), port(2083));

    /// A service on these ports.
    pub const fn new(application: Application, insecure: NonZeroU16, secure: NonZeroU16) -> Self {
        Self {
            application,
            insecure,
            secure,
        }
    }

    /// Whether TLS can be set up in band.
    pub fn has_upgrade(&self) -> bool {
        match self.application {
            Application::Tacacs | Application::Radius => false,
            Application::Other => true,
        }
    }

    /// What the policy comes to for this application.
    pub fn policy(&self, configured: Policy) -> Policy {
        match (self.application, configured) {
            (Application::Tacacs, Policy::AllowFallback) => Policy::SecureOnly,
            (_, policy) => policy,
        }
    }

    /// How many of the two ports a pair has in common with it: an application is known by its ports alone (section 3). 0: the pair is
    /// about something else; 2: exactly this one.
    pub(crate) fn likeness(&self, pair: PortPair) -> u8 {
        if (pair.insecure(), pair.secure()) == (Some(self.insecure), Some(self.secure)) {
            return 2;
        }
        let mine = |port| port == self.insecure || port == self.secure;
        u8::from(pair.ports().any(mine))
    }
}

/// A port that is known not to be 0.
const fn port(number: u16) -> NonZeroU16 {
    match NonZeroU16::new(number) {
        Some(port) => port,
        None => NonZeroU16::MIN,
    }
}
