//! The rules of the server's side, one test each. Packets are put together by hand, so that they can be wrong.

mod answers;
mod dialects;
mod flags;
mod headers;
mod opening;
mod sequence;
mod single_connect;
mod time;
mod trouble;

use std::format;
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use core::time::Duration;

use super::*;
use crate::registry::{
    AccountingStatus, AuthenticationStatus, AuthorizationStatus, Dialect, PacketType,
};
use crate::{Flags, Protection, Secret, SeqNo, Version, obfuscation};

const SECRET: &[u8] = b"a secret of thirty-two characters";
const ASCII_ALICE: &[u8] = b"\x01\x01\x01\x01\x05\0\0\0alice";
const PAP_ALICE: &[u8] = b"\x01\x01\x02\x01\x05\0\0\x02alicepw";
const AUTHORIZATION: &[u8] = b"\x06\x01\x01\x01\x05\0\0\x02\x0d\x04aliceservice=shellcmd=";
const ACCOUNTING: &[u8] = b"\x02\x06\x01\x01\x01\x05\0\0\x01\x09alicetask_id=1";
const CONTINUE: &[u8] = b"\0\x02\0\0\0pw";
const ABORT: &[u8] = b"\0\0\0\x03\x01bye";

/// This module is compiled under two names, and every rule that is not about a dialect holds in the one that the name says.
fn dialect() -> Dialect {
    if module_path!().ends_with("draft_05") {
        Dialect::Draft05
    } else {
        Dialect::Rfc8907
    }
}

fn config_of(protection: Protection) -> Config {
    Config {
        dialect: dialect(),
        ..Config::new(protection)
    }
}

fn obfuscated() -> Protection {
    Protection::Obfuscated(Vec::from([Secret::new(SECRET)]))
}

fn at(milliseconds: u64) -> Now {
    Now(Duration::from_millis(milliseconds))
}

/// A connection and what a test has seen of it.
struct Peer {
    connection: ServerConnection,
    protection: Protection,
    seen: Vec<String>,
    /// How every packet of authentication is answered.
    status: AuthenticationStatus,
}

/// A request that can be wrong in every octet.
#[derive(Clone, Copy)]
struct Packet<'a> {
    version: u8,
    packet_type: u8,
    seq_no: u8,
    /// Exclusive-or with the flags that are right.
    flags: u8,
    session: u32,
    body: &'a [u8],
}

fn packet(packet_type: PacketType, session: u32, seq_no: u8, body: &[u8]) -> Packet<'_> {
    // Of the bodies above only the PAP login wants minor version 1.
    let version = if body == PAP_ALICE { 0xc1 } else { 0xc0 };
    Packet {
        version,
        packet_type: packet_type.0,
        seq_no,
        flags: 0,
        session,
        body,
    }
}

fn start(session: u32, body: &[u8]) -> Packet<'_> {
    packet(PacketType::AUTHENTICATION, session, 1, body)
}

fn answer_of(session: u32, seq_no: u8, body: &[u8]) -> Packet<'_> {
    packet(PacketType::AUTHENTICATION, session, seq_no, body)
}

fn authorization(session: u32) -> Packet<'static> {
    packet(PacketType::AUTHORIZATION, session, 1, AUTHORIZATION)
}

fn accounting(session: u32) -> Packet<'static> {
    packet(PacketType::ACCOUNTING, session, 1, ACCOUNTING)
}

impl Packet<'_> {
    fn single_connect(self) -> Self {
        Self {
            flags: self.flags | 0x04,
            ..self
        }
    }

    fn octets(&self, protection: &Protection) -> Vec<u8> {
        let header = Header {
            version: Version(self.version),
            packet_type: PacketType(self.packet_type),
            seq_no: SeqNo(self.seq_no),
            flags: Flags(self.flags ^ protection.flags().0),
            session_id: SessionId(self.session),
            length: u32::try_from(self.body.len()).unwrap(),
        };
        let mut body = self.body.to_vec();
        if let Some(secret) = protection.first_secret() {
            obfuscation::apply(secret, &header, &mut body);
        }
        [&header.encode()[..], &body].concat()
    }
}

impl Peer {
    fn new(protection: Protection) -> Self {
        Self::with(config_of(protection))
    }

    fn with(config: Config) -> Self {
        let protection = config.protection.clone();
        let connection = ServerConnection::new(Arc::new(config), at(0));
        Self {
            connection,
            protection,
            seen: Vec::new(),
            status: AuthenticationStatus::PASS,
        }
    }

    /// A connection on which single-connect is established.
    fn established(protection: Protection) -> Self {
        Self::established_with(config_of(protection))
    }

    /// The same where the dialect makes a difference: it is that of RFC 8907 under both names of this module.
    fn established_by_rfc8907(protection: Protection) -> Self {
        Self::established_with(Config::new(protection))
    }

    fn established_with(config: Config) -> Self {
        let mut peer = Self::with(config);
        let replies = peer.exchange(&[authorization(0xffff).single_connect()]);
        assert!(replies[0].0.flags.contains(Flags::SINGLE_CONNECT));
        peer.seen.clear();
        peer
    }

    fn send(&mut self, packets: &[Packet<'_>]) {
        let octets: Vec<u8> = packets
            .iter()
            .flat_map(|packet| packet.octets(&self.protection))
            .collect();
        self.connection.receive(&octets, at(0));
    }

    /// Sends packets, answers what they ask, and returns the replies.
    fn exchange(&mut self, packets: &[Packet<'_>]) -> Vec<(Header, Vec<u8>)> {
        self.send(packets);
        self.run();
        self.replies()
    }

    /// Answers everything.
    fn run(&mut self) {
        loop {
            let Some(event) = self.connection.poll() else {
                return;
            };
            self.seen.push(format!("{event:?}"));
            let answer = match event {
                Event::AuthenticationStart { ticket, .. }
                | Event::AuthenticationContinue { ticket, .. } => {
                    ticket.with(authentication::Reply::new(self.status))
                }
                Event::Authorization { ticket, .. } => {
                    ticket.with(authorization::Reply::new(AuthorizationStatus::PASS_ADD))
                }
                Event::Accounting { ticket, .. } => {
                    ticket.with(accounting::Reply::new(AccountingStatus::SUCCESS))
                }
                Event::SessionEnded { .. } | Event::WrongFlag { .. } | Event::Refused { .. } => {
                    continue;
                }
            };
            self.connection.answer(answer, at(0)).unwrap();
        }
    }

    /// What the connection sent, in clear.
    fn replies(&mut self) -> Vec<(Header, Vec<u8>)> {
        let mut stream = Vec::new();
        self.connection.poll_transmit(&mut stream);
        let mut rest = &stream[..];
        let mut replies = Vec::new();
        while let Some(header) = Header::peek(rest) {
            let end = Header::LENGTH + header.length as usize;
            let mut body = rest[Header::LENGTH..end].to_vec();
            if let Some(secret) = self.protection.first_secret() {
                obfuscation::apply(secret, &header, &mut body);
            }
            replies.push((header, body));
            rest = &rest[end..];
        }
        assert!(rest.is_empty());
        replies
    }

    /// Whether an event was told whose `Debug` contains the text.
    fn saw(&self, text: &str) -> bool {
        self.seen.iter().any(|event| event.contains(text))
    }

    fn authorization_ticket(&mut self) -> Ticket<AuthorizationReply> {
        match self.connection.poll() {
            Some(Event::Authorization { ticket, .. }) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn authentication_ticket(&mut self) -> Ticket<AuthenticationReply> {
        match self.connection.poll() {
            Some(
                Event::AuthenticationStart { ticket, .. }
                | Event::AuthenticationContinue { ticket, .. },
            ) => ticket,
            other => panic!("{other:?}"),
        }
    }
}

/// The body of a typed ERROR.
fn error_body(packet_type: u8) -> &'static [u8] {
    match packet_type {
        1 => b"\x07\0\0\0\0\0",
        2 => b"\x11\0\0\0\0\0",
        3 => b"\0\0\0\0\x02",
        _ => b"",
    }
}

fn is_error(reply: &(Header, Vec<u8>)) -> bool {
    reply.1 == error_body(reply.0.packet_type.0)
}

fn protections() -> [Protection; 2] {
    [Protection::Tls, obfuscated()]
}
