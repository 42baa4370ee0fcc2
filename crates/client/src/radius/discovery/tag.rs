//! The service tags of NAPTR records.

use std::fmt;

/// What carries the packets to a server that is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// RADIUS/TLS.
    Tls,
    /// RADIUS/DTLS.
    Dtls,
}

/// An application service and protocol tag (RFC 3958 section 6.5), such as `aaa+auth:radius.tls.tcp` (RFC 7585 section 2.1.1) or
/// `x-eduroam:radius.tls`. Case does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    text: String,
    carrier: Carrier,
}

/// The text is no tag that leads to servers of RADIUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagError {
    /// It does not have the form `service:protocol`, of letters, digits, `+`, `-` and `.`, 32 at most each.
    Form,
    /// Its protocol is neither `radius.tls.tcp` nor `radius.dtls.udp`, nor the older `radius.tls` or `radius.dtls`.
    Protocol,
}

impl fmt::Display for TagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => {
                "a tag is `service:protocol`, each of at most 32 letters, digits, `+`, `-` and `.`"
            }
            Self::Protocol => {
                "behind its colon a tag has radius.tls.tcp, radius.dtls.udp, radius.tls or radius.dtls"
            }
        })
    }
}

impl std::error::Error for TagError {}

const LOGINS: &str = "aaa+auth:";
const ACCOUNTING: &str = "aaa+acct:";
/// The longest service or protocol.
const LONGEST: usize = 32;

impl Tag {
    /// Reads a tag.
    ///
    /// # Errors
    /// It is none, or none of RADIUS over TLS or DTLS.
    pub fn parse(text: &str) -> Result<Self, TagError> {
        let text = text.to_ascii_lowercase();
        let (service, protocol) = text.split_once(':').ok_or(TagError::Form)?;
        let part = |part: &str| {
            let mut octets = part.bytes();
            let known = |octet: u8| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet);
            (1..=LONGEST).contains(&part.len()) && octets.all(known)
        };
        if !part(service) || !part(protocol) {
            return Err(TagError::Form);
        }
        let carrier = match protocol {
            "radius.tls" | "radius.tls.tcp" => Carrier::Tls,
            "radius.dtls" | "radius.dtls.udp" => Carrier::Dtls,
            _ => return Err(TagError::Protocol),
        };
        Ok(Self { text, carrier })
    }

    /// In lower case.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What carries the packets.
    pub fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// The tag for accounting where this one is for logins, as RFC 7585 has it; one of somebody else's stands for everything.
    #[must_use]
    pub fn for_accounting(&self) -> Self {
        let text = match self.text.strip_prefix(LOGINS) {
            Some(protocol) => format!("{ACCOUNTING}{protocol}"),
            None => self.text.clone(),
        };
        Self {
            text,
            carrier: self.carrier,
        }
    }

    /// The label under which a realm without NAPTR records has its servers, for the tags of RFC 7585.
    pub(super) fn label(&self) -> Option<&'static str> {
        if !self.text.starts_with("aaa+") {
            return None;
        }
        Some(match self.carrier {
            Carrier::Tls => "_radiustls._tcp",
            Carrier::Dtls => "_radiusdtls._udp",
        })
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
