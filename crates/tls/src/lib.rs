//! The secure channel of Doorward. Skeleton.

/// What a TLS listener needs.
#[derive(Debug)]
pub struct ServerPolicy {}

/// What a client certificate has to say to belong to a device.
#[derive(Clone, Debug, Default)]
pub struct CertificateMatch {}

/// Who the peer proved to be.
#[derive(Clone, Debug)]
pub struct PeerIdentity {}
