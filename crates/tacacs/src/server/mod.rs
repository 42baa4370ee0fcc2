//! The server's side of a connection.

mod config;
mod event;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::{Now, SessionId};

pub use config::Config;
pub use event::{
    AccountingReply, Answer, AnswerError, AuthenticationReply, AuthorizationReply, CloseReason,
    Event, Refusal, SessionEnd, Ticket,
};

/// The server's side of one connection: octets in, events out, answers in, octets out.
#[derive(Debug)]
pub struct ServerConnection {
    config: Arc<Config>,
    now: Now,
    tx: Vec<u8>,
}

impl ServerConnection {
    /// A connection that was just accepted (and, over TLS, whose handshake is done).
    pub fn new(config: Arc<Config>, now: Now) -> Self {
        Self {
            config,
            now,
            tx: Vec::new(),
        }
    }

    /// Whether the caller should read from the peer. While it is `false`, reading on would let the peer fill our memory.
    pub fn wants_read(&self) -> bool {
        true
    }

    /// Takes octets of the peer. Call [`ServerConnection::poll`] until it has no more events, then
    /// [`ServerConnection::poll_transmit`], then look at [`ServerConnection::close_reason`].
    pub fn receive(&mut self, octets: &[u8], now: Now) {
        let _ = octets;
        self.now = now;
    }

    /// The next event. To be called also after [`ServerConnection::answer`]: an answer may release a packet that was held.
    pub fn poll(&mut self) -> Option<Event<'_>> {
        None
    }

    /// Takes the reply to a packet.
    pub fn answer(&mut self, answer: Answer<'_>, now: Now) -> Result<(), AnswerError> {
        let _ = answer;
        self.now = now;
        Err(AnswerError::Stale)
    }

    /// Appends what is to be sent, and says whether there was anything.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        out.append(&mut self.tx);
        false
    }

    /// When [`ServerConnection::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Now> {
        self.config.idle_timeout.map(|span| self.now.after(span))
    }

    /// Tells that time has passed. Harmless when called early.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
    }

    /// Some when the connection is over: poll the events that are left, send what is left, then close our side.
    pub fn close_reason(&self) -> Option<CloseReason> {
        None
    }

    /// Tells that the peer will send no more.
    pub fn peer_closed(&mut self) {}

    /// The number of active sessions.
    pub fn sessions(&self) -> usize {
        0
    }

    /// The active sessions.
    pub fn session_ids(&self) -> impl Iterator<Item = SessionId> + '_ {
        core::iter::empty()
    }

    /// Lets the sessions that run finish, refuses new ones, then closes.
    pub fn refuse_new_sessions(&mut self) {}
}
