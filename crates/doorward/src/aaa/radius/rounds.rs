//! Logins that need more than one round: a question goes out as Access-Challenge, and its answer comes as another
//! Access-Request with the State of it (RFC 2865 sections 4.4 and 5.24).
//!
//! The questions are those of an ASCII login over TACACS+, by the same [`Conversation`]. Nothing of them is kept here: State holds the
//! conversation, sealed.

use std::time::Instant;

use doorward_radius::Code;
use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::build::PacketBuilder;
use doorward_radius::server::{ServerConnection, Ticket};
use doorward_radius::{Now, RawPacket};

use super::login::{Built, Pending};
use super::{Service, text};
use crate::aaa::conversation::{Conversation, Flow, Question, Step};
use crate::aaa::sealed::{LIFETIME, Whose};
use crate::aaa::{Decided, Login, Outcome, Proof, Reason};
use crate::config::AuthenticationType;
use crate::policy::SHELL;

/// Values of Prompt (RFC 2869 section 5.10).
const NO_ECHO: u32 = 0;
const ECHO: u32 = 1;

impl Service {
    /// What an Access-Request leads to: a question, a login to be judged, or a denial.
    pub(super) fn step(
        &self,
        pending: &mut Pending,
        packet: &RawPacket,
        attributes: &Attributes<'_>,
        valid_name: bool,
    ) -> Step {
        match self.next_step(pending, packet, attributes, valid_name) {
            Ok(step) => step,
            Err(reason) => Step::Fail(pending.who.clone(), reason),
        }
    }

    fn next_step(
        &self,
        pending: &mut Pending,
        packet: &RawPacket,
        attributes: &Attributes<'_>,
        valid_name: bool,
    ) -> Result<Step, Reason> {
        let proof = self.proof(pending, packet, attributes)?;
        let mut states = attributes.all(kind::STATE);
        let state = states.next();
        // RFC 2865 section 5.24: one at most.
        if states.next().is_some() {
            return Err(Reason::RadiusInvalid);
        }
        if let Some(state) = state {
            let answer = match &proof {
                None => &[][..],
                Some(Proof::Password(password)) => &password.0,
                // A question is answered in User-Password (RFC 2865 section 4.4).
                Some(_) => return Err(Reason::RadiusInvalid),
            };
            if !valid_name {
                return Err(Reason::UserNameInvalid);
            }
            self.accepts(pending, AuthenticationType::Pap)?;
            let conversation = self.conversation_of(pending, state)?;
            return Ok(conversation.answer(answer, |_| None));
        }
        let unsaid = match &proof {
            None => true,
            Some(Proof::Password(password)) => password.0.is_empty(),
            Some(_) => false,
        };
        // Only a person at a prompt can be asked: not a machine that is let into a network.
        if unsaid && valid_name && pending.who.service == Some(SHELL) {
            self.accepts(pending, AuthenticationType::Pap)?;
            let attempts = self.snapshot.config.authentication.attempts;
            let who = pending.who.clone();
            return Ok(Conversation::begin(who, Flow::Login, attempts));
        }
        let proof = proof.ok_or(Reason::FlowNotOffered)?;
        if !valid_name {
            return Err(Reason::UserNameInvalid);
        }
        Ok(Step::Judge(Login {
            user: pending.who.user.clone(),
            proof,
            who: pending.who.clone(),
        }))
    }

    /// The conversation that a State holds.
    fn conversation_of(&self, pending: &Pending, state: &[u8]) -> Result<Conversation, Reason> {
        let said = self
            .aaa
            .sealer
            .open(self.whose(pending), state, Instant::now())?;
        let attempts = self.snapshot.config.authentication.attempts;
        let who = pending.who.clone();
        Conversation::thaw(who, Flow::Login, attempts, &said).ok_or(Reason::StateInvalid)
    }

    fn whose<'a>(&'a self, pending: &'a Pending) -> Whose<'a> {
        Whose {
            device: &self.peer.device,
            user: &pending.who.user,
        }
    }

    /// Asks: the only answer that decides nothing, and has no line for everyone and no row.
    pub(super) fn challenge(
        &mut self,
        ticket: Ticket,
        pending: &Pending,
        question: &Question,
        conversation: &Conversation,
        machine: &mut ServerConnection,
        now: Now,
    ) {
        let said = conversation.freeze();
        let sealer = &self.aaa.sealer;
        let state = sealer.seal(self.whose(pending), &said, Instant::now());
        let built = state.map(|state| pending.ask(question, &state));
        match built {
            Ok(Ok(octets)) => {
                let (device, user) = (&*self.peer.device, &*pending.who.user);
                tracing::debug!(device, user, "a login is asked for more (Access-Challenge)");
                self.send(machine.answer(ticket, octets, now));
            }
            // It does not fit beside the Proxy-State of the request.
            Ok(Err(_)) => self.no_question(ticket, pending, Reason::AnswerTooLong, machine),
            Err(reason) => self.no_question(ticket, pending, reason, machine),
        }
    }

    fn no_question(
        &mut self,
        ticket: Ticket,
        pending: &Pending,
        reason: Reason,
        machine: &mut ServerConnection,
    ) {
        self.note_login(&pending.who, Outcome::Error, &Decided::deny(reason));
        machine.discard(ticket);
    }
}

impl Pending {
    /// The Access-Challenge. Session-Timeout is how long the user may take (RFC 2865 section 5.27).
    fn ask(&self, question: &Question, state: &[u8]) -> Built {
        let seconds = u32::try_from(LIFETIME.as_secs()).unwrap_or(u32::MAX);
        let prompt = question.prompt();
        let echo = if question.is_secret() { NO_ECHO } else { ECHO };
        self.answer
            .build(Code::ACCESS_CHALLENGE, |packet: &mut PacketBuilder| {
                for part in text::parts(&prompt, doorward_radius::attribute::MAX_VALUE) {
                    packet.push(kind::REPLY_MESSAGE, part.as_bytes())?;
                }
                packet.push(kind::STATE, state)?;
                packet.push_integer(kind::SESSION_TIMEOUT, seconds)?;
                packet.push_integer(kind::PROMPT, echo)?;
                Ok(())
            })
    }
}
