//! The receive buffer of a connection, and the writing of packets into its transmit buffer.

use alloc::vec::Vec;
use core::ops::Range;

use zeroize::{Zeroize, Zeroizing};

use crate::wire::EncodeError;
use crate::{Header, Secret, obfuscation};

/// An empty buffer above this size is given back, so that an idle connection costs little.
const KEEP: usize = 1024;

/// What the peer sent and nobody looked at yet. Packets are handed out as ranges, which stay valid until
/// [`Inbox::release`]: no packet is copied or moved while somebody reads it.
#[derive(Default)]
pub(crate) struct Inbox {
    octets: Zeroizing<Vec<u8>>,
    head: usize,
    wipe: Range<usize>,
}

impl Inbox {
    pub(crate) fn push(&mut self, octets: &[u8]) {
        self.release();
        // Moving what is left only when at least as much is in front of it keeps the cost per octet constant.
        if self.head > 0 && self.head >= self.unread() {
            let head = self.head;
            self.octets.drain(..head);
            self.head = 0;
        }
        self.octets.extend_from_slice(octets);
    }

    pub(crate) fn unread(&self) -> usize {
        self.octets.len().saturating_sub(self.head)
    }

    /// The next header, if all of it is there.
    pub(crate) fn peek(&self) -> Option<Header> {
        self.octets.get(self.head..).and_then(Header::peek)
    }

    /// Takes the packet whose header is `header`, if all of it is there, and says where its body is.
    pub(crate) fn take(&mut self, header: &Header) -> Option<Range<usize>> {
        let body = self.head.checked_add(Header::LENGTH)?;
        let end = body.checked_add(usize::try_from(header.length).ok()?)?;
        if end > self.octets.len() {
            return None;
        }
        self.head = end;
        Some(body..end)
    }

    pub(crate) fn has_packet(&self) -> bool {
        self.peek().is_some_and(|header| {
            let length = usize::try_from(header.length).unwrap_or(usize::MAX);
            self.unread().saturating_sub(Header::LENGTH) >= length
        })
    }

    pub(crate) fn body(&self, range: &Range<usize>) -> &[u8] {
        self.octets.get(range.clone()).unwrap_or_default()
    }

    pub(crate) fn body_mut(&mut self, range: &Range<usize>) -> &mut [u8] {
        self.octets.get_mut(range.clone()).unwrap_or_default()
    }

    /// Has a body wiped as soon as nobody reads it any more.
    pub(crate) fn wipe_later(&mut self, range: &Range<usize>) {
        self.wipe = range.clone();
    }

    /// Forgets the packet that was taken last.
    pub(crate) fn release(&mut self) {
        let wipe = core::mem::take(&mut self.wipe);
        if !wipe.is_empty() {
            self.body_mut(&wipe).zeroize();
        }
        if self.head == self.octets.len() {
            self.head = 0;
            self.octets.clear();
            if self.octets.capacity() > KEEP {
                self.octets = Zeroizing::default();
            }
        }
    }
}

impl core::fmt::Debug for Inbox {
    /// Leaves out the octets: there may be passwords among them.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Inbox({} octets)", self.unread())
    }
}

/// What is to be sent to the peer.
#[derive(Default)]
pub(crate) struct Outbox(Zeroizing<Vec<u8>>);

impl Outbox {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes a packet; `header.length` is filled in. Nothing is written on error.
    pub(crate) fn write(
        &mut self,
        mut header: Header,
        secret: Option<&Secret>,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let start = self.0.len();
        self.0.extend_from_slice(&header.encode());
        if let Err(error) = encode(&mut self.0) {
            self.0.truncate(start);
            return Err(error);
        }
        let packet = self.0.get_mut(start..).unwrap_or_default();
        if let Some((head, body)) = packet.split_first_chunk_mut() {
            header.length = u32::try_from(body.len()).unwrap_or(u32::MAX);
            *head = header.encode();
            if let Some(secret) = secret {
                obfuscation::apply(secret, &header, body);
            }
        }
        Ok(())
    }

    /// Moves everything to the end of `out`.
    pub(crate) fn transmit(&mut self, out: &mut Vec<u8>) -> bool {
        if self.0.is_empty() {
            return false;
        }
        out.extend_from_slice(&self.0);
        self.0.clear();
        if self.0.capacity() > KEEP {
            self.0 = Zeroizing::default();
        }
        true
    }
}

impl core::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Outbox({} octets)", self.len())
    }
}
