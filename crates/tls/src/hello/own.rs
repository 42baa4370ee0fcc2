//! The hellos that this process has sent and waits for an answer to: a listener that gets one of them is spoken to by its own
//! server, and a route leads back to it.
//!
//! The random of a hello tells: it is the same in the hello that follows a HelloRetryRequest (RFC 8446 section 4.1.2) or a
//! HelloVerifyRequest (RFC 6347 section 4.2.1), and nobody else makes the same.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::{ClientHelloReader, Progress, datagram};

/// The randoms of our own hellos. Listeners and clients that are one endpoint share it; others in the same process have their
/// own or none.
#[derive(Debug, Default)]
pub struct OwnHellos(Mutex<HashSet<[u8; 32]>>);

impl OwnHellos {
    /// Knows the hello of a handshake until what is returned is dropped. `flight` is the first that the client has to send, over
    /// TLS or DTLS; `None`: there is no hello in it.
    #[must_use = "the hello is forgotten when this is dropped"]
    pub fn hold(self: &Arc<Self>, flight: &[u8]) -> Option<OwnHello> {
        let random = datagram::random(flight).or_else(|| stream_random(flight))?;
        self.lock().insert(random);
        Some(OwnHello {
            hellos: Arc::clone(self),
            random,
        })
    }

    /// Whether a hello with this random is our own.
    pub fn contains(&self, random: &[u8; 32]) -> bool {
        self.lock().contains(random)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hello that is known for as long as this lives.
#[derive(Debug)]
pub struct OwnHello {
    hellos: Arc<OwnHellos>,
    random: [u8; 32],
}

impl Drop for OwnHello {
    fn drop(&mut self) {
        self.hellos.lock().remove(&self.random);
    }
}

fn stream_random(flight: &[u8]) -> Option<[u8; 32]> {
    match ClientHelloReader::new().push(flight) {
        Ok(Progress::Done(hello)) => Some(hello.random),
        Ok(Progress::WantRead) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hello::tests_of_datagrams::hello;
    use crate::testing::World;

    #[test]
    fn a_hello_is_known_while_its_handshake_lasts() {
        let own = Arc::new(OwnHellos::default());
        let mut flight = Vec::new();
        World::new().client(|_| ()).drain(&mut flight);
        let random = stream_random(&flight).unwrap();
        assert!(!own.contains(&random));
        let held = own.hold(&flight);
        assert!(own.contains(&random));
        assert!(!Arc::new(OwnHellos::default()).contains(&random));
        drop(held);
        assert!(!own.contains(&random));
    }

    #[test]
    fn so_is_one_in_a_datagram() {
        let own = Arc::new(OwnHellos::default());
        let held = own.hold(&hello(&[], 0));
        assert!(own.contains(&[7; 32]));
        drop(held);
        assert!(!own.contains(&[7; 32]));
    }

    #[test]
    fn what_is_no_hello_is_not_held() {
        let own = Arc::new(OwnHellos::default());
        for flight in [&[][..], &[22, 3, 1], &[22, 254, 253, 0], &[0; 100]] {
            assert!(own.hold(flight).is_none(), "{flight:?}");
        }
    }
}
