//! Pre-shared keys of TLS 1.2 and DTLS 1.2, where the client names its key in the middle of the handshake (RFC 4279).
//!
//! A connection carries its [`NamedKey`] in its own ex_data. A server that does not know the identity goes on with a key
//! that nobody holds, so that the client cannot tell an unknown identity from a wrong key.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{Ssl, SslContextBuilder, SslRef};

use crate::channel::{Admission, AdmissionRefusal};
use crate::psk::PskKey;
use crate::{HandshakeError, PskFailure};

/// How a connection finds its key.
pub(super) enum NamedKey {
    /// By the identity that the client names.
    Server {
        admission: Arc<dyn Admission>,
        peer: SocketAddr,
        found: OnceLock<Result<Found, HandshakeError>>,
    },
    /// It names this one.
    Client { identity: Vec<u8>, key: Arc<PskKey> },
}

/// The key of a device.
pub(super) struct Found {
    pub(super) device: Arc<str>,
    pub(super) identity: Vec<u8>,
    pub(super) key: Arc<PskKey>,
}

/// What a connection by a key is told of it.
pub(super) struct Proved<'a> {
    /// A client has none.
    pub(super) device: Option<&'a Arc<str>>,
    pub(super) identity: &'a [u8],
    pub(super) key: &'a PskKey,
}

impl NamedKey {
    pub(super) fn server(admission: Arc<dyn Admission>, peer: SocketAddr) -> Self {
        Self::Server {
            admission,
            peer,
            found: OnceLock::new(),
        }
    }

    /// Why the server goes on with a key that nobody holds.
    pub(super) fn refusal(&self) -> Option<&HandshakeError> {
        match self {
            Self::Server { found, .. } => found.get()?.as_ref().err(),
            Self::Client { .. } => None,
        }
    }

    /// The key that the handshake proves once it is over.
    pub(super) fn proved(&self) -> Option<Proved<'_>> {
        match self {
            Self::Server { found, .. } => {
                let found = found.get()?.as_ref().ok()?;
                Some(Proved {
                    device: Some(&found.device),
                    identity: &found.identity,
                    key: &found.key,
                })
            }
            Self::Client { identity, key } => Some(Proved {
                device: None,
                identity,
                key,
            }),
        }
    }

    /// The octets for an identity, put into `room`.
    fn answer(&self, identity: &[u8], room: &mut [u8]) -> Option<usize> {
        let Self::Server {
            admission,
            peer,
            found,
        } = self
        else {
            return None;
        };
        // Also where it is not needed: who measures the time would see when it is.
        let nobodys = PskKey::random()?;
        let found = found.get_or_init(|| match admission.psk(identity, *peer) {
            Ok(known) => Ok(Found {
                device: known.device,
                identity: identity.to_vec(),
                key: known.key,
            }),
            Err(AdmissionRefusal::UnknownKey) => {
                Err(HandshakeError::Psk(PskFailure::UnknownIdentity))
            }
            Err(refusal) => Err(HandshakeError::Admission(refusal)),
        });
        let key = match found {
            // One handshake names one key.
            Ok(found) if found.identity == identity => &*found.key,
            Ok(_) | Err(_) => &nobodys,
        };
        put(key.octets(), room)
    }
}

/// `None`: there is not room enough.
fn put(octets: &[u8], room: &mut [u8]) -> Option<usize> {
    room.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(octets.len())
}

fn index() -> Option<Index<Ssl, NamedKey>> {
    static INDEX: OnceLock<Option<Index<Ssl, NamedKey>>> = OnceLock::new();
    *INDEX.get_or_init(|| Ssl::new_ex_index().ok())
}

/// Gives a connection its key, before the handshake.
pub(super) fn attach(ssl: &mut SslRef, key: NamedKey) -> Result<(), ErrorStack> {
    ssl.set_ex_data(index().ok_or_else(ErrorStack::get)?, key);
    Ok(())
}

/// The key a connection was given.
pub(super) fn named(ssl: &SslRef) -> Option<&NamedKey> {
    ssl.ex_data(index()?)
}

/// Servers of this context ask the connection for the key of an identity.
pub(super) fn serve(context: &mut SslContextBuilder) {
    context.set_psk_server_callback(|ssl, identity, room| {
        let identity = identity.unwrap_or_default();
        let key = named(ssl).and_then(|key| key.answer(identity, room));
        key.ok_or_else(ErrorStack::get)
    });
}

/// Clients of this context name the key of the connection.
pub(super) fn use_named(context: &mut SslContextBuilder) {
    context.set_psk_client_callback(|ssl, _hint, name, room| {
        let Some(NamedKey::Client { identity, key }) = named(ssl) else {
            return Ok(0);
        };
        // The library takes it for a string, behind which it has put a zero octet.
        let named = put(identity, name);
        let put = named.and_then(|_| put(key.octets(), room));
        Ok(put.unwrap_or(0))
    });
}
