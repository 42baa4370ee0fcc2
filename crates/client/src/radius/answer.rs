//! What a server answered.

use std::sync::Arc;

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::challenge::{MICROSOFT, microsoft};
use doorward_radius::{Code, RawPacket};

use super::Request;
use crate::outcome::Facts;

/// A verified answer: its authenticators fit the request, and its attributes fill it exactly.
#[derive(Clone, Debug)]
#[must_use = "an answer that is not looked at lets everybody in"]
pub struct Answer {
    packet: Arc<RawPacket>,
    /// MS-CHAPv2 was not asked for, or the server has proved that it knows the secret.
    proven: bool,
    /// Which of the client's servers gave it.
    place: usize,
    /// How it came about.
    pub facts: Facts,
}

impl Answer {
    pub(super) fn new(
        packet: RawPacket,
        request: Option<&Request>,
        facts: Facts,
        place: usize,
    ) -> Self {
        let attributes = Attributes::new(packet.attributes()).unwrap_or_default();
        let success = attributes.of_vendor(MICROSOFT, microsoft::CHAP2_SUCCESS);
        let proven = request.is_none_or(|request| request.is_proven({ success }.next()));
        Self {
            packet: Arc::new(packet),
            proven,
            place,
            facts,
        }
    }

    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// Its code: Access-Accept, Access-Reject, Access-Challenge, Accounting-Response.
    pub fn code(&self) -> Code {
        self.packet.header().code
    }

    /// Whether it is an Access-Accept to be believed. For Status-Server it grants nothing.
    pub fn is_accept(&self) -> bool {
        self.code() == Code::ACCESS_ACCEPT && self.proven
    }

    /// Whether the server accepts a user without the proof that MS-CHAPv2 asks of it (RFC 2759 section 5): it does not know
    /// the secret.
    pub fn is_unproven(&self) -> bool {
        self.code() == Code::ACCESS_ACCEPT && !self.proven
    }

    /// Its attributes; hidden ones as they came.
    pub fn attributes(&self) -> Attributes<'_> {
        // They were read when it came.
        Attributes::new(self.packet.attributes()).unwrap_or_default()
    }

    /// What it says to the user; to be escaped.
    pub fn reply_message(&self) -> Vec<u8> {
        self.attributes()
            .all(kind::REPLY_MESSAGE)
            .flatten()
            .copied()
            .collect()
    }

    /// Error-Cause (RFC 5176 section 3.6).
    pub fn error_cause(&self) -> Option<u32> {
        self.attributes().integer(kind::ERROR_CAUSE)
    }

    /// The packet as it came.
    pub fn octets(&self) -> &[u8] {
        self.packet.octets()
    }
}
