//! Accounting-Requests: from packet to record, and the answer once it is on the disk.

use std::borrow::Cow;

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::server::{ServerConnection, Ticket};
use doorward_radius::{Code, Now, RawPacket};
use doorward_tacacs::Dialect;
use jiff::{SignedDuration, Timestamp};

use super::answer::Answer;
use super::{Report, Reporters, Service, text};
use crate::aaa::{Outcome, Reason, Refused};
use crate::accounting::{self as journal, Fields, Record};
use crate::identity::user_name;

/// Acct-Status-Type (RFC 2866 section 5.1).
fn kind_of(status: u32) -> Option<journal::Kind> {
    Some(match status {
        1 => journal::Kind::Start,
        2 => journal::Kind::Stop,
        3 => journal::Kind::Update,
        7 => journal::Kind::On,
        8 => journal::Kind::Off,
        _ => return None,
    })
}

/// When it happened: Event-Timestamp as it stands, else the arrival less Acct-Delay-Time (RFC 6614bis section 6.2.3).
fn event_time(attributes: &Attributes<'_>, received: Timestamp) -> Timestamp {
    if let Some(seconds) = attributes.integer(kind::EVENT_TIMESTAMP) {
        return Timestamp::from_second(seconds.into()).unwrap_or(received);
    }
    let delay = attributes.integer(kind::ACCT_DELAY_TIME).unwrap_or(0);
    received
        .checked_sub(SignedDuration::from_secs(delay.into()))
        .unwrap_or(received)
}

impl Service {
    pub(super) fn account(
        &mut self,
        ticket: Ticket,
        packet: &RawPacket,
        attributes: &Attributes<'_>,
        machine: &mut ServerConnection,
    ) {
        match self.record(attributes, None) {
            Ok(record) => {
                self.records.push(record);
                let answer = Answer::to(packet, attributes, &self.secret);
                self.reporters.push((ticket, Report::Ours(answer)));
            }
            Err(detail) => {
                // Another server may know what to do with it: no answer says it was kept.
                self.refused(Refused::RadiusRecord, packet, &detail);
                machine.discard(ticket);
            }
        }
    }

    /// The record of an Accounting-Request; `upstream` has it already, under whatever name: one that is none here is kept with
    /// escapes in place of what a terminal would obey.
    ///
    /// # Errors
    /// What keeps it from being one.
    pub(super) fn record(
        &self,
        attributes: &Attributes<'_>,
        upstream: Option<&str>,
    ) -> Result<Record, String> {
        let octets = attributes.first(kind::USER_NAME).unwrap_or_default();
        let mut user = Cow::Borrowed(octets);
        // A device that has just started reports for nobody.
        if !octets.is_empty() && user_name(octets, Dialect::Rfc8907).is_err() {
            // With escapes in place of what a terminal would obey.
            let name = format!("{:?}", String::from_utf8_lossy(octets));
            if upstream.is_none() {
                return Err(format!("User-Name {name} is no valid name"));
            }
            user = Cow::Owned(name.into_bytes());
        }
        let status = attributes.integer(kind::ACCT_STATUS_TYPE);
        let status = status.ok_or("no Acct-Status-Type")?;
        let kind = kind_of(status).ok_or_else(|| format!("Acct-Status-Type {status}"))?;
        let received = Timestamp::now();
        let mut arguments = vec![format!("event_time={}", event_time(attributes, received))];
        arguments.extend(upstream.map(|server| format!("{}{server}", journal::UPSTREAM)));
        let dictionary = &self.snapshot.config.dictionary;
        let shown = |one| text::argument(dictionary, &one);
        arguments.extend(attributes.iter().filter_map(shown));
        let port = text::port(attributes);
        let remote = text::of(attributes.first(kind::CALLING_STATION_ID));
        let fields = Fields {
            received,
            kind,
            protocol: journal::Protocol::Radius,
            transport: self.peer.transport,
            listener: &self.peer.listener,
            device: &self.peer.device,
            session: 0,
            privilege_level: 0,
            authentication_method: 0,
            authentication_type: 0,
            authentication_service: 0,
            user: &user,
            port: port.as_bytes(),
            remote: remote.as_bytes(),
            service: b"",
            command: b"",
        };
        let raw = arguments.iter().map(String::as_bytes);
        Ok(Record::new(&fields, raw))
    }

    pub(super) fn committed(
        &mut self,
        result: Result<(), journal::JournalError>,
        reporters: Reporters,
        machine: &mut ServerConnection,
        now: Now,
    ) {
        let records = reporters.len();
        if let Err(error) = result {
            self.aaa
                .note_records(Outcome::Error, Reason::JournalFailed, records);
            self.aaa.journal_failed(&self.peer, records, &error);
            for (ticket, report) in reporters {
                match report {
                    Report::Ours(_) => machine.discard(ticket),
                    // The home server keeps it: what is not answered comes again, and would be there twice.
                    Report::Theirs(octets) => self.send(machine.answer(ticket, octets, now)),
                }
            }
            return;
        }
        self.aaa
            .note_records(Outcome::Recorded, Reason::Journalled, records);
        for (ticket, report) in reporters {
            let code = Code::ACCOUNTING_RESPONSE;
            let built = match report {
                // With nothing but what the request brought: it cannot be too long.
                Report::Ours(answer) => answer.build(code, |_| Ok(())),
                Report::Theirs(octets) => Ok(octets),
            };
            match built {
                Ok(octets) => self.send(machine.answer(ticket, octets, now)),
                Err(_) => machine.discard(ticket),
            }
        }
    }
}
