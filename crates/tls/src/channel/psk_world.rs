//! What tests of connections by pre-shared keys begin with.

use std::collections::HashMap;

use super::*;
use crate::testing::{World, carry, peer};
use crate::{ClientSettings, Methods, PskIdentity, ServerPolicy, ServerSettings};

/// Devices by the identity of their key; whoever has a certificate is `core1`.
pub(super) struct Keys {
    pub(super) known: HashMap<Vec<u8>, Result<PskDevice, AdmissionRefusal>>,
    pub(super) methods: Methods,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            methods: PSK_ONLY,
        }
    }
}

impl Keys {
    pub(super) fn taking(mut self, methods: Methods) -> Self {
        self.methods = methods;
        self
    }

    pub(super) fn with(mut self, identity: impl Into<Vec<u8>>, key: &[u8]) -> Self {
        let found = PskDevice {
            device: "core2".into(),
            key: Arc::new(PskKey::new(key).unwrap()),
        };
        self.known.insert(identity.into(), Ok(found));
        self
    }
}

impl Admission for Keys {
    fn admit(&self, _: &PeerIdentity, _: SocketAddr) -> Result<Arc<str>, AdmissionRefusal> {
        Ok("core1".into())
    }

    fn psk(&self, identity: &[u8], _: SocketAddr) -> Result<PskDevice, AdmissionRefusal> {
        let found = self.known.get(identity).cloned();
        found.unwrap_or(Err(AdmissionRefusal::UnknownKey))
    }

    fn methods(&self) -> Methods {
        self.methods
    }
}

pub(super) const KEY: &[u8] = &[0xa5; 32];
pub(super) const PSK_ONLY: Methods = Methods {
    certificate: false,
    psk: true,
    raw_public_key: false,
};
pub(super) const BOTH: Methods = Methods {
    certificate: true,
    psk: true,
    raw_public_key: false,
};

pub(super) fn server(
    world: &World,
    keys: Keys,
    change: impl FnOnce(&mut ServerSettings),
) -> ServerChannel {
    let mut settings = world.server_settings();
    change(&mut settings);
    let policy = Arc::new(ServerPolicy::new(settings).unwrap());
    ServerChannel::new(policy, Arc::new(keys), peer())
}

pub(super) fn client_with(
    world: &World,
    identity: impl Into<Vec<u8>>,
    key: &[u8],
    change: impl FnOnce(&mut ClientSettings),
) -> ClientChannel {
    let identity = PskIdentity::new(identity).unwrap();
    world.client(|settings| {
        settings.certificate = None;
        settings.psk = Some((identity, PskKey::new(key).unwrap()));
        change(settings);
    })
}

pub(super) fn client(world: &World, identity: impl Into<Vec<u8>>, key: &[u8]) -> ClientChannel {
    client_with(world, identity, key, |_| ())
}

/// Both sides, before a word.
pub(super) fn beginning(world: &World) -> (ClientChannel, ServerChannel) {
    let server = server(world, Keys::default().with("core2", KEY), |_| ());
    (client(world, "core2", KEY), server)
}

pub(super) fn established(chunk: usize) -> (ClientChannel, ServerChannel) {
    let (mut client, mut server) = beginning(&World::new());
    carry(&mut client, &mut server, chunk);
    (client, server)
}
