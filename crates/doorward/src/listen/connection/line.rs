//! The line of a connection that was admitted: who came from where, and all else that a rule may ask of it.

use doorward_tls::{PeerIdentity, PeerInfo};

use crate::aaa::{Peer, shortened};

/// Writes it. What the peer has chosen is bounded in length and escaped.
pub(super) fn admitted(peer: &Peer, info: &PeerInfo) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let identity = peer.identity.as_deref();
    let text = |of: fn(&PeerIdentity) -> String| {
        let text = identity.map(of).filter(|text| !text.is_empty());
        text.map(|text| shortened(&text).into_owned())
    };
    tracing::debug!(
        listener = &*peer.listener,
        source = %peer.address,
        device = &*peer.device,
        auth = info.method.name(),
        tls = info.version,
        resumed = info.resumed,
        fingerprint = text(fingerprint),
        issuer = text(|identity| identity.issuer.clone()),
        subject = text(|identity| identity.subject.clone()),
        eku = text(|identity| identity.usages.to_string()),
        san = text(|identity| identity.names().collect::<Vec<_>>().join(", ")),
        policy_oid = text(|identity| identity.policy_oids.join(", ")),
        psk_identity = peer.psk_identity.as_deref().map(|one| shortened(one).into_owned()),
        "a device is connected"
    );
}

fn fingerprint(identity: &PeerIdentity) -> String {
    let octets = identity.fingerprint.iter();
    octets.map(|octet| format!("{octet:02x}")).collect()
}
