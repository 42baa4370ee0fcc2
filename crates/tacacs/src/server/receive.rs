//! From octets to events: steps 1 to 7 of the drawing in the parent module, one method per step.

use core::ops::Range;

use crate::registry::{Dialect, PacketType};
use crate::{Flags, Header, Protection, SeqNo, authentication, obfuscation};

use super::event::Key;
use super::session::{Delivery, Ending, Life, Negotiation, Session, State, Step};
use super::{CloseReason, Refusal, ServerConnection, check};

impl ServerConnection {
    /// Deals with at most one packet.
    pub(super) fn step(&mut self) -> Step {
        self.inbox.release();
        if let Some(session) = self.ended.take() {
            return Step::Ended(session, Ending::Refused);
        }
        if let Some(session) = self.tolerated.take() {
            return Step::WrongFlag(session);
        }
        if self.is_closed() {
            return self.end_a_session(|_| true);
        }
        if matches!(self.negotiation, Negotiation::FirstReply { .. }) {
            return Step::Wait;
        }
        let Some(header) = self.inbox.peek() else {
            return self.end_of_stream();
        };
        if let Err(refusal) = self.trust(&header) {
            return self.distrust(&header, refusal);
        }
        let Some(body) = self.inbox.take(&header) else {
            return self.end_of_stream();
        };
        self.active = self.now;
        if header.packet_type == PacketType::AUTHENTICATION {
            self.inbox.wipe_later(&body);
        }
        if self.negotiation == Negotiation::FirstPacket {
            let asked = header.flags.contains(Flags::SINGLE_CONNECT);
            self.negotiation = Negotiation::FirstReply { asked };
        }
        self.route(&header, body)
            .unwrap_or_else(|refusal| self.refuse(&header, refusal))
    }

    /// What can be said before the body is here, and after which the stream cannot be trusted any more.
    fn trust(&self, header: &Header) -> Result<(), Refusal> {
        if !header.version.is_tacacs() {
            return Err(Refusal::NotTacacs(header.version));
        }
        let clear = header.flags.contains(Flags::UNENCRYPTED);
        let plain = matches!(self.config.protection, Protection::Obfuscated(_));
        if clear && plain && !self.config.tolerate_wrong_flag {
            return Err(Refusal::FlagSet);
        }
        if header.length > self.config.max_body {
            return Err(Refusal::Oversize {
                length: header.length,
            });
        }
        Ok(())
    }

    /// Whether the flag for clear text is not what the connection wants; that it is not, is never a reason to read a body otherwise.
    fn has_wrong_flag(&self, header: &Header) -> bool {
        let wanted = self.config.protection.flags();
        header.flags.contains(Flags::UNENCRYPTED) != wanted.contains(Flags::UNENCRYPTED)
    }

    fn distrust(&mut self, header: &Header, refusal: Refusal) -> Step {
        self.life = Life::Closed(CloseReason::Trouble);
        self.send_refusal(header, refusal);
        if matches!(refusal, Refusal::NotTacacs(_)) {
            return Step::Distrusted(refusal);
        }
        Step::Refused(header.session_id, refusal)
    }

    /// Finds the session of a packet and checks its number there (section 4.1).
    fn route(&mut self, header: &Header, body: Range<usize>) -> Result<Step, Refusal> {
        if self.has_wrong_flag(header) {
            if !self.config.tolerate_wrong_flag {
                return Err(Refusal::FlagClear);
            }
            self.tolerated = Some(header.session_id);
        }
        if !header.packet_type.is_listed() {
            return Err(Refusal::UnknownType(header.packet_type));
        }
        if !header.seq_no.is_from_client() {
            return Err(Refusal::Sequence(header.seq_no));
        }
        let first = header.seq_no == SeqNo::FIRST;
        match self.sessions.get(header.session_id) {
            None if first => self.open(header, body),
            None if header.packet_type == PacketType::AUTHENTICATION => {
                Err(Refusal::UnknownSession)
            }
            None => Err(Refusal::Sequence(header.seq_no)),
            Some(session) => {
                let awaited = session.state == State::AwaitingContinue(header.seq_no);
                if awaited && session.packet_type == header.packet_type {
                    self.proceed(header, body)
                } else if first {
                    Err(Refusal::SessionInUse)
                } else {
                    Err(Refusal::Sequence(header.seq_no))
                }
            }
        }
    }

    /// Opens a session, if the connection takes one and the packet may open it.
    fn open(&mut self, header: &Header, body: Range<usize>) -> Result<Step, Refusal> {
        if self.life != Life::Open {
            return Err(Refusal::NotAccepting);
        }
        if self.negotiation == Negotiation::SingleSession {
            return Err(Refusal::NotSingleConnection);
        }
        if self.sessions.len() >= self.config.max_sessions && !self.make_room() {
            return Err(Refusal::TooManySessions);
        }
        let one_reply = self.reveal_opening(header, &body)?;
        let delivery = match header.packet_type {
            PacketType::AUTHORIZATION => Delivery::Authorization,
            PacketType::ACCOUNTING => Delivery::Accounting,
            _ => Delivery::Start,
        };
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        let session = Session {
            serial,
            packet_type: header.packet_type,
            one_reply,
            state: State::ReplyOwed,
            active: self.now,
        };
        self.sessions.insert(header.session_id, session);
        Ok(self.deliver(Key::of(header, serial), delivery, body))
    }

    /// Ends a session whose question the peer has not answered for as long as a connection may be idle. Many devices say
    /// nothing when a user walks away from a prompt; on a connection that lives for weeks, such sessions would fill it.
    fn make_room(&mut self) -> bool {
        let (Some(span), now) = (self.config.idle_timeout, self.now) else {
            return false;
        };
        let forgotten = self.sessions.remove_one(|session| {
            session.state != State::ReplyOwed && session.active.after(span) <= now
        });
        self.ended = forgotten.map(|(session, _)| session);
        self.ended.is_some()
    }

    /// De-obfuscates a first packet and judges it. The first secret with which a packet makes sense is that of the
    /// connection from then on. A wrong secret may by chance yield lengths that add up, so the numbers count too.
    fn reveal_opening(&mut self, header: &Header, body: &Range<usize>) -> Result<bool, Refusal> {
        let (config, body) = (&*self.config, self.inbox.body_mut(body));
        let Protection::Obfuscated(secrets) = &config.protection else {
            return check::opening(header, body, config.dialect);
        };
        if let Some(secret) = self.secret.and_then(|chosen| secrets.get(chosen)) {
            obfuscation::apply(secret, header, body);
            return check::opening(header, body, config.dialect);
        }
        let mut best: Option<(usize, Refusal)> = None;
        for (index, secret) in secrets.iter().enumerate() {
            obfuscation::apply(secret, header, body);
            match check::opening(header, body, config.dialect) {
                Ok(one_reply) => {
                    self.secret = Some(index);
                    return Ok(one_reply);
                }
                Err(refusal) => {
                    let better = best.is_none_or(|(_, best)| best.is_body() && !refusal.is_body());
                    if better {
                        best = Some((index, refusal));
                    }
                }
            }
            obfuscation::apply(secret, header, body);
        }
        let Some((index, refusal)) = best else {
            return Err(Refusal::NotAccepting);
        };
        if !refusal.is_body() {
            self.secret = Some(index);
        }
        Err(refusal)
    }

    /// The CONTINUE of a session that waits for it.
    fn proceed(&mut self, header: &Header, body: Range<usize>) -> Result<Step, Refusal> {
        if let Protection::Obfuscated(secrets) = &self.config.protection
            && let Some(secret) = secrets.get(self.secret.unwrap_or(0))
        {
            obfuscation::apply(secret, header, self.inbox.body_mut(&body));
        }
        let answer =
            authentication::Continue::decode(self.inbox.body(&body)).map_err(Refusal::Body)?;
        if answer.abort {
            self.sessions.remove(header.session_id);
            self.settle();
            return Ok(Step::Aborted(header.session_id, body));
        }
        let Some(session) = self.sessions.get_mut(header.session_id) else {
            return Err(Refusal::UnknownSession);
        };
        session.state = State::ReplyOwed;
        session.active = self.now;
        let key = Key::of(header, session.serial);
        Ok(self.deliver(key, Delivery::Continue, body))
    }

    fn deliver(&mut self, key: Key, delivery: Delivery, body: Range<usize>) -> Step {
        self.owed += 1;
        Step::Deliver(key, delivery, body)
    }

    /// Answers a packet that is refused. A session that it names is over; the others are not touched.
    fn refuse(&mut self, header: &Header, refusal: Refusal) -> Step {
        if refusal.is_trouble() && !self.survives(refusal) {
            self.life = Life::Finishing(CloseReason::Trouble);
        }
        if let Some(session) = self.sessions.remove(header.session_id) {
            self.owed -= usize::from(session.state == State::ReplyOwed);
            self.ended = Some(header.session_id);
        }
        self.send_refusal(header, refusal);
        self.settle();
        Step::Refused(header.session_id, refusal)
    }

    /// draft-05 section 3.6 leaves open what becomes of the connection after a wrong secret: where single-connect is
    /// established, it goes on.
    fn survives(&self, refusal: Refusal) -> bool {
        self.config.dialect == Dialect::Draft05
            && self.negotiation == Negotiation::Established
            && refusal.is_body()
    }

    /// Nothing to do until more octets arrive. If none will, sessions that wait for the peer are over,
    /// and replies that are owed may still go out: the peer may have closed its sending side only.
    fn end_of_stream(&mut self) -> Step {
        if !self.peer_closed {
            return Step::Wait;
        }
        let step = self.end_a_session(|session| session.state != State::ReplyOwed);
        self.settle();
        step
    }

    fn end_a_session(&mut self, wanted: impl Fn(&Session) -> bool) -> Step {
        match self.sessions.remove_one(wanted) {
            Some((session, _)) => Step::Ended(session, Ending::ConnectionClosed),
            None => Step::Wait,
        }
    }
}
