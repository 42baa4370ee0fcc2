//! Answers: what they owe to their request, and what goes into them.

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::build::{BuildError, PacketBuilder};
use doorward_radius::dictionary::Hiding;
use doorward_radius::hidden::{hide_password, hide_salted};
use doorward_radius::hop::Backward;
use doorward_radius::{Code, Header, RawPacket, Secret};

use crate::policy::ReplySecret;

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

    /// A secret as this answer has it: hidden with the authenticator of its request, after its tag.
    ///
    /// # Errors
    /// It is too long, or of a kind that the configuration does not take.
    pub(super) fn hide(&self, secret: &ReplySecret, salt: u16) -> Result<Vec<u8>, BuildError> {
        let (value, authenticator) = (secret.octets(), &self.request.authenticator);
        let hidden = match secret.hiding {
            Hiding::TunnelPassword => hide_salted(value, salt, authenticator, &self.secret),
            Hiding::UserPassword => hide_password(value, authenticator, &self.secret),
            Hiding::None | Hiding::Ascend => return Err(BuildError::Kind),
        };
        let hidden = hidden.map_err(|_| BuildError::TooLong)?;
        Ok(secret.tag.into_iter().chain(hidden).collect())
    }

    /// Somebody else's answer to the request, whose hidden values begin with this salt.
    pub(super) fn pass(&self, back: &Backward, salt: u16) -> Result<Vec<u8>, BuildError> {
        back.build(
            &self.request,
            self.proxies.iter().map(Vec::as_slice),
            salt,
            &self.secret,
        )
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

/// A salt that nobody can foresee; its highest bit is set (RFC 2868 section 3.5).
pub(super) fn salt() -> Result<u16, getrandom::Error> {
    let mut octets = [0; 2];
    getrandom::fill(&mut octets)?;
    Ok(u16::from_be_bytes(octets) | 0x8000)
}

/// So many of them, none twice: each is for one secret of one packet.
pub(super) fn salts(count: usize) -> Result<Vec<u16>, getrandom::Error> {
    let mut salts = Vec::with_capacity(count);
    while salts.len() < count {
        let salt = salt()?;
        if !salts.contains(&salt) {
            salts.push(salt);
        }
    }
    Ok(salts)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// More than a packet has room for, so that a salt drawn twice would be seen.
    #[test]
    fn no_salt_comes_twice_and_none_is_without_its_bit() {
        let drawn = salts(1000).unwrap();
        let distinct: BTreeSet<u16> = drawn.iter().copied().collect();
        assert_eq!((drawn.len(), distinct.len()), (1000, 1000));
        assert!(distinct.iter().all(|salt| salt & 0x8000 != 0));
        assert_ne!(salts(8).unwrap(), salts(8).unwrap());
    }
}
