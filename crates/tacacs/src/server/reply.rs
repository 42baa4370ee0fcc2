//! What goes back to the peer: answers of the application, and errors of the machine.

use crate::registry::{
    AccountingStatus, AuthenticationStatus, AuthorizationStatus, Dialect, PacketType, Verdict,
};
use crate::wire::EncodeError;
use crate::{Flags, Header, Now, Protection, Secret, SeqNo, SessionId, Version};
use crate::{accounting, authentication, authorization};

use super::event::{Body, Key};
use super::session::{Life, Negotiation, Session, State};
use super::{Answer, AnswerError, Refusal, ServerConnection};

impl ServerConnection {
    /// Takes the reply to a packet.
    ///
    /// On every error but [`AnswerError::Stale`] the peer got ERROR in its place, and the session is over.
    pub fn answer(&mut self, answer: Answer<'_>, now: Now) -> Result<(), AnswerError> {
        let Answer { key, body } = answer;
        if self.is_closed() {
            return Err(AnswerError::Stale);
        }
        let Some(session) = self.sessions.get(key.session).copied() else {
            return Err(AnswerError::Stale);
        };
        if session.serial != key.serial || session.state != State::ReplyOwed {
            return Err(AnswerError::Stale);
        }
        self.now = self.now.max(now);
        self.active = self.now;
        self.owed = self.owed.saturating_sub(1);

        let sent = self.send_answer(&key, &session, &body);
        match (sent, self.sessions.get_mut(key.session)) {
            (Ok(Some(awaited)), Some(session)) => session.state = State::AwaitingContinue(awaited),
            (Ok(Some(_)), None) => {}
            (Ok(None) | Err(_), _) => {
                self.sessions.remove(key.session);
            }
        }
        self.settle();
        sent.map(|_| ())
    }

    /// Sends the answer, or ERROR in its place, and says which number the peer's next packet has, if there is one.
    fn send_answer(
        &mut self,
        key: &Key,
        session: &Session,
        body: &Body<'_>,
    ) -> Result<Option<SeqNo>, AnswerError> {
        let sent = judge(key, session, body).and_then(|awaited| {
            self.send(key, body).map_err(AnswerError::Encode)?;
            Ok(awaited)
        });
        if sent.is_err() {
            self.send_error(key, session.packet_type);
        }
        sent
    }

    /// The reply to a packet that the machine refuses, if it has one.
    pub(super) fn send_refusal(&mut self, header: &Header, refusal: Refusal) {
        // A packet with an even number, or with the last one, leaves no number that a server may send (section 4.1).
        let answerable = header.seq_no.is_from_client() && header.seq_no.next().is_some();
        let silent = matches!(
            refusal,
            Refusal::NotTacacs(_) | Refusal::FlagSet | Refusal::NotSingleConnection
        );
        if silent || !answerable {
            if matches!(self.negotiation, Negotiation::FirstReply { .. }) {
                self.negotiation = Negotiation::SingleSession;
            }
            return;
        }
        if !header.packet_type.is_listed() {
            return self.send_header_only(header);
        }
        let key = Key {
            session: header.session_id,
            serial: 0,
            seq_no: header.seq_no,
            version: header.version.of_reply(),
        };
        // Section 5.4.2 wants FAIL for a flow that is not offered, where draft-05 had ERROR.
        if matches!(refusal, Refusal::Pair(..)) && self.config.dialect == Dialect::Rfc8907 {
            let fail = Body::Authentication(authentication::Reply::new(AuthenticationStatus::FAIL));
            let _ = self.send(&key, &fail);
        } else {
            self.send_error(&key, header.packet_type);
        }
    }

    /// The header of the request without body, for what has no type of its own (section 3.6).
    fn send_header_only(&mut self, header: &Header) {
        let Some(seq_no) = header.seq_no.next() else {
            return;
        };
        let first = matches!(
            self.negotiation,
            Negotiation::FirstPacket | Negotiation::FirstReply { .. }
        );
        let mut flags = header
            .flags
            .without(Flags::UNENCRYPTED)
            .with(self.config.protection.flags());
        if first && !self.reply_flags().contains(Flags::SINGLE_CONNECT) {
            // An identical header would establish what we do not grant.
            flags = flags.without(Flags::SINGLE_CONNECT);
        }
        let reply = Header {
            seq_no,
            flags,
            length: 0,
            ..*header
        };
        // Without a body nothing can fail to encode, and there is nothing to obfuscate.
        let _ = self.outbox.write(reply, None, |_| Ok(()));
    }

    /// A typed ERROR; its body has no text, so it always encodes.
    fn send_error(&mut self, key: &Key, packet_type: PacketType) {
        let body = match packet_type {
            PacketType::AUTHORIZATION => {
                Body::Authorization(authorization::Reply::new(AuthorizationStatus::ERROR))
            }
            PacketType::ACCOUNTING => {
                Body::Accounting(accounting::Reply::new(AccountingStatus::ERROR))
            }
            _ => Body::Authentication(authentication::Reply::new(AuthenticationStatus::ERROR)),
        };
        let _ = self.send(key, &body);
    }

    fn send(&mut self, key: &Key, body: &Body<'_>) -> Result<(), EncodeError> {
        let Some(seq_no) = key.seq_no.next() else {
            return Ok(());
        };
        let flags = self.reply_flags();
        let (packet_type, secret) = (
            body.packet_type(),
            reply_secret(&self.config.protection, self.secret),
        );
        let header = Header {
            version: key.version,
            packet_type,
            seq_no,
            flags,
            session_id: key.session,
            length: 0,
        };
        self.outbox.write(header, secret, |into| match body {
            Body::Authentication(reply) => reply.encode(into),
            Body::Authorization(reply) => reply.encode(into),
            Body::Accounting(reply) => reply.encode(into),
        })
    }

    /// The flags of a reply. The first reply of the connection decides about single-connect (section 4.3).
    fn reply_flags(&mut self) -> Flags {
        if let Negotiation::FirstReply { asked } = self.negotiation {
            let granted = asked && self.config.single_connection && self.life == Life::Open;
            self.negotiation = if granted {
                Negotiation::Established
            } else {
                Negotiation::SingleSession
            };
        }
        let flags = self.config.protection.flags();
        if self.negotiation == Negotiation::Established {
            flags.with(Flags::SINGLE_CONNECT)
        } else {
            flags
        }
    }
}

impl Body<'_> {
    fn packet_type(&self) -> PacketType {
        match self {
            Self::Authentication(_) => PacketType::AUTHENTICATION,
            Self::Authorization(_) => PacketType::AUTHORIZATION,
            Self::Accounting(_) => PacketType::ACCOUNTING,
        }
    }
}

impl Key {
    pub(super) fn of(header: &Header, serial: u32) -> Self {
        let (session, version): (SessionId, Version) =
            (header.session_id, header.version.of_reply());
        Self {
            session,
            serial,
            seq_no: header.seq_no,
            version,
        }
    }
}

/// Whether the machine lets a reply out, and which number the peer's next packet has, if the reply is a question.
fn judge(key: &Key, session: &Session, body: &Body<'_>) -> Result<Option<SeqNo>, AnswerError> {
    let (status, name, question) = match body {
        Body::Authentication(reply) => (
            reply.status.0,
            reply.status.name(),
            reply.status.verdict() == Verdict::Continue,
        ),
        Body::Authorization(reply) => (reply.status.0, reply.status.name(), false),
        Body::Accounting(reply) => (reply.status.0, reply.status.name(), false),
    };
    if name.is_none() || status == FOLLOW {
        return Err(AnswerError::Status(status));
    }
    if !question {
        return Ok(None);
    }
    if session.one_reply {
        return Err(AnswerError::OneReplyOnly);
    }
    // Our reply would be number 254 and the answer 255, to which there is no reply (section 4.1).
    match key.seq_no.next().and_then(SeqNo::next) {
        Some(awaited) if awaited < SeqNo::LAST_OF_SERVER => Ok(Some(awaited)),
        Some(_) | None => Err(AnswerError::SequenceExhausted),
    }
}

/// Redirection has the same number in all three kinds of reply; it is never sent (section 10.5.5).
const FOLLOW: u8 = AuthenticationStatus::FOLLOW.0;

/// The secret of the connection; before one was found out, the first.
fn reply_secret(protection: &Protection, chosen: Option<usize>) -> Option<&Secret> {
    match protection {
        Protection::Tls => None,
        Protection::Obfuscated(secrets) => secrets.get(chosen.unwrap_or(0)),
    }
}
