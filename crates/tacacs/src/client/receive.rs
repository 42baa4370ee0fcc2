//! From octets to events: steps 4 to 8 of the drawing in the parent module, one method per step.

use core::ops::Range;

use crate::registry::{PacketType, Verdict};
use crate::{
    Flags, Header, SeqNo, SessionId, accounting, authentication, authorization, obfuscation,
};

use super::{
    ClientConnection, CloseReason, ContinueTicket, Failure, Life, Negotiation, Session, Step,
};

impl ClientConnection {
    /// Deals with at most one packet.
    pub(super) fn step(&mut self) -> Step {
        self.inbox.release();
        if self.is_closed() {
            return self.finish();
        }
        let Some(header) = self.inbox.peek() else {
            return self.end_of_stream();
        };
        if let Err((reason, failure)) = self.trust(&header) {
            self.life = Life::Closed(reason);
            return match self.sessions.remove(header.session_id) {
                Some(_) => Step::Failed(header.session_id, failure),
                None => self.finish(),
            };
        }
        let Some(body) = self.inbox.take(&header) else {
            return self.end_of_stream();
        };
        if self.negotiation == Negotiation::FirstReply {
            // A flag that was not asked for is ignored (section 4.3).
            let granted =
                self.config.single_connection && header.flags.contains(Flags::SINGLE_CONNECT);
            self.negotiation = if granted {
                Negotiation::Established
            } else {
                Negotiation::SingleSession
            };
        }
        self.route(&header, body)
    }

    /// What can be said before the body is here, and after which the stream cannot be trusted any more.
    fn trust(&self, header: &Header) -> Result<(), (CloseReason, Failure)> {
        if !header.version.is_tacacs() {
            return Err((CloseReason::NotTacacs, Failure::ConnectionClosed));
        }
        let wanted = self.config.protection.flags().contains(Flags::UNENCRYPTED);
        if header.flags.contains(Flags::UNENCRYPTED) != wanted {
            let session = self.sessions.get(header.session_id);
            let packet_type = session.map_or(header.packet_type, |session| session.packet_type);
            return Err((CloseReason::Trouble, Failure::FlagMismatch(packet_type)));
        }
        if header.length > self.config.max_body {
            return Err((CloseReason::Oversize, Failure::ConnectionClosed));
        }
        Ok(())
    }

    fn route(&mut self, header: &Header, body: Range<usize>) -> Step {
        let id = header.session_id;
        let Some(session) = self.sessions.get(id).copied() else {
            if self.negotiation != Negotiation::Established {
                self.life = Life::Closed(CloseReason::UnknownSession);
            }
            return Step::Ignored(id);
        };
        if header.packet_type != session.packet_type {
            return self.fail(id, Failure::WrongType(header.packet_type));
        }
        if session.awaited != Some(header.seq_no) {
            return self.fail(id, Failure::Sequence(header.seq_no));
        }
        if header.length == 0 {
            return self.fail(id, Failure::EmptyReply);
        }
        if let Some(secret) = self.config.protection.first_secret() {
            obfuscation::apply(secret, header, self.inbox.body_mut(&body));
        }
        match session.packet_type {
            PacketType::AUTHORIZATION => self.authorization_reply(id, body),
            PacketType::ACCOUNTING => self.accounting_reply(id, body),
            _ => self.authentication_reply(header, session, body),
        }
    }

    fn authentication_reply(
        &mut self,
        header: &Header,
        mut session: Session,
        body: Range<usize>,
    ) -> Step {
        let id = header.session_id;
        let status = match authentication::Reply::decode(self.inbox.body(&body)) {
            Ok(reply) => reply.status,
            Err(error) => return self.fail(id, Failure::Garbage(error)),
        };
        if status.name().is_none() {
            return self.fail(id, Failure::UnlistedStatus(status.0));
        }
        if status.verdict() != Verdict::Continue {
            self.complete(id);
            return Step::Authentication(id, None, body);
        }
        // The reply has an even number, so there is a next one; 255 is the last, and no reply can follow it.
        let seq_no = header.seq_no.next().unwrap_or(SeqNo(u8::MAX));
        let ticket = ContinueTicket {
            session: id,
            serial: session.serial,
            seq_no,
            version: header.version.of_reply(),
        };
        if seq_no.next().is_none() {
            let abort = authentication::Continue {
                user_msg: &[],
                data: &[],
                abort: true,
            };
            // An empty CONTINUE always encodes.
            let _ = self.send_continue(&ticket, &abort);
            return self.fail(id, Failure::SequenceExhausted);
        }
        session.awaited = None;
        if let Some(kept) = self.sessions.get_mut(id) {
            *kept = session;
        }
        Step::Authentication(id, Some(ticket), body)
    }

    fn authorization_reply(&mut self, id: SessionId, body: Range<usize>) -> Step {
        match authorization::Reply::decode(self.inbox.body(&body)) {
            Err(error) => self.fail(id, Failure::Garbage(error)),
            Ok(reply) if reply.status.name().is_none() => {
                self.fail(id, Failure::UnlistedStatus(reply.status.0))
            }
            Ok(_) => {
                self.complete(id);
                Step::Authorization(id, body)
            }
        }
    }

    fn accounting_reply(&mut self, id: SessionId, body: Range<usize>) -> Step {
        match accounting::Reply::decode(self.inbox.body(&body)) {
            Err(error) => self.fail(id, Failure::Garbage(error)),
            Ok(reply) if reply.status.name().is_none() => {
                self.fail(id, Failure::UnlistedStatus(reply.status.0))
            }
            Ok(_) => {
                self.complete(id);
                Step::Accounting(id, body)
            }
        }
    }

    fn complete(&mut self, id: SessionId) {
        self.sessions.remove(id);
        self.settle();
    }

    fn fail(&mut self, id: SessionId, failure: Failure) -> Step {
        if matches!(failure, Failure::Garbage(_)) {
            self.life = Life::Finishing(CloseReason::Trouble);
        }
        self.complete(id);
        Step::Failed(id, failure)
    }

    /// Closes when nothing is left to be done (sections 4.3 and 4.4).
    pub(super) fn settle(&mut self) {
        if !self.sessions.is_empty() {
            return;
        }
        match self.life {
            Life::Finishing(reason) => self.life = Life::Closed(reason),
            Life::Open if self.negotiation == Negotiation::SingleSession => {
                self.life = Life::Closed(CloseReason::SessionComplete);
            }
            Life::Open | Life::Closed(_) | Life::Told(_) => {}
        }
    }

    fn end_of_stream(&mut self) -> Step {
        if !self.peer_closed {
            return Step::Wait;
        }
        self.life = Life::Closed(CloseReason::PeerClosed);
        self.finish()
    }

    /// Tells every session that is left, then the application.
    fn finish(&mut self) -> Step {
        if let Some((id, _)) = self.sessions.remove_one(|_| true) {
            return Step::Failed(id, Failure::ConnectionClosed);
        }
        match self.life {
            Life::Closed(reason) => {
                self.life = Life::Told(reason);
                Step::Closed(reason)
            }
            Life::Open | Life::Finishing(_) | Life::Told(_) => Step::Wait,
        }
    }
}
