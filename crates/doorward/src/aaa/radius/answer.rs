//! Answers: what they owe to their request, and what goes into them.

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::build::{BuildError, PacketBuilder};
use doorward_radius::{Code, Header, RawPacket, Secret};

/// What has to be known of a request to answer it.
pub(super) struct Answer {
    request: Header,
    /// In the order of the request: a proxy on the way gets back what it added (RFC 2865 section 5.33).
    proxies: Vec<Vec<u8>>,
    /// The one that proved the request: while two are valid, an answer needs the same.
    secret: Secret,
}

impl Answer {
    pub(super) fn to(packet: &RawPacket, attributes: &Attributes<'_>, secret: &Secret) -> Self {
        let proxies = attributes.all(kind::PROXY_STATE);
        Self {
            request: *packet.header(),
            proxies: proxies.map(<[u8]>::to_vec).collect(),
            secret: secret.clone(),
        }
    }

    /// The whole packet, signed.
    pub(super) fn build(
        &self,
        code: Code,
        fill: impl FnOnce(&mut PacketBuilder) -> Result<(), BuildError>,
    ) -> Result<Vec<u8>, BuildError> {
        let mut builder = PacketBuilder::answer(code, &self.request);
        // No RFC says how that of an Accounting-Response is made, and peers in the field disagree.
        if code != Code::ACCOUNTING_RESPONSE {
            builder.message_authenticator()?;
        }
        fill(&mut builder)?;
        for state in &self.proxies {
            builder.push(kind::PROXY_STATE, state)?;
        }
        Ok(builder.finish(&self.secret))
    }
}
