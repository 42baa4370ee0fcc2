//! What a reply means for its session.

use core::ops::Range;

use crate::registry::Verdict;
use crate::{Header, SeqNo, SessionId, accounting, authentication, authorization};

use super::{ClientConnection, ContinueTicket, Failure, Session, Step};

impl ClientConnection {
    pub(super) fn authentication_reply(
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

    pub(super) fn authorization_reply(&mut self, id: SessionId, body: Range<usize>) -> Step {
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

    pub(super) fn accounting_reply(&mut self, id: SessionId, body: Range<usize>) -> Step {
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
}
