//! Accounting requests: from packet to record, and the answer once it is on the disk.

use std::borrow::Cow;

use doorward_tacacs::server::{AccountingReply, Ticket};
use doorward_tacacs::{AccountingRecord, AccountingStatus, Dialect, accounting};

use super::text::{argument, displayed, printable, tolerated};
use super::{Response, Service};
use crate::aaa::{Asked, Decided, Kind, Outcome, Person, Reason};
use crate::accounting::{self as journal, Fields, Record};
use crate::config::Tolerances;

impl Service {
    pub(super) fn account(
        &mut self,
        ticket: Ticket<AccountingReply>,
        request: &accounting::Request<'_>,
    ) -> Option<Response> {
        let kind = match request.flags.record() {
            Some(AccountingRecord::Start) => journal::Kind::Start,
            Some(AccountingRecord::Stop) => journal::Kind::Stop,
            Some(AccountingRecord::Watchdog) => journal::Kind::Watchdog,
            Some(AccountingRecord::Update) => journal::Kind::Update,
            None => return Some(self.unacceptable(ticket, request)),
        };
        let well_formed = printable(request.port)
            && printable(request.rem_addr)
            && self.has_arguments_only(request);
        let name = match request.user {
            b"" => Some(Cow::default()),
            octets => self.name(octets),
        };
        let Some(name) = name.filter(|_| well_formed) else {
            return Some(self.unacceptable(ticket, request));
        };
        // A WATCHDOG without START says that the task lives; its arguments are to be ignored (section 7.2). Which task it is
        // stays. The older dialect has no such rule. What is no argument got here because it is tolerated.
        let every = kind != journal::Kind::Watchdog || self.dialect == Dialect::Draft05;
        let kept = |raw: &&[u8]| {
            every && argument(raw).is_some()
                || raw.starts_with(b"task_id=")
                || raw.starts_with(b"task_id*")
        };
        let arguments = request.arguments.raw().filter(kept);
        let command = journal::command_line(arguments.clone());
        let fields = Fields {
            received: jiff::Timestamp::now(),
            kind,
            protocol: journal::Protocol::Tacacs,
            transport: self.peer.transport,
            listener: &self.peer.listener,
            device: &self.peer.device,
            session: ticket.session().0,
            privilege_level: request.priv_lvl.0,
            authentication_method: request.authen_method.0,
            authentication_type: request.authen_type.0,
            authentication_service: request.authen_service.0,
            user: name.as_bytes(),
            port: request.port,
            remote: request.rem_addr,
            service: journal::service_argument(arguments.clone()),
            command: &command,
        };
        self.records.push(Record::new(&fields, arguments));
        self.reporters.push(ticket);
        None
    }

    /// Whether all arguments are such, or are tolerated.
    fn has_arguments_only(&self, request: &accounting::Request<'_>) -> bool {
        let is_argument = |raw: &&[u8]| argument(raw).is_some();
        if request.arguments.raw().all(|raw| is_argument(&raw)) {
            return true;
        }
        let Some(device) = self.device() else {
            return false;
        };
        let mut used = Tolerances::NONE;
        for raw in request.arguments.raw().filter(|raw| !is_argument(raw)) {
            match tolerated(raw, device.tolerate) {
                Some(tolerance) => used.insert(tolerance),
                None => return false,
            }
        }
        for tolerance in used.iter() {
            self.aaa.tolerated(&self.peer, tolerance);
        }
        true
    }

    /// Accounting knows no FAIL: what cannot be recorded as it stands is an ERROR (section 7.2).
    fn unacceptable(
        &mut self,
        ticket: Ticket<AccountingReply>,
        request: &accounting::Request<'_>,
    ) -> Response {
        let (user, port, remote) = (
            displayed(request.user),
            displayed(request.port),
            displayed(request.rem_addr),
        );
        let person = Person {
            user: &user,
            port: &port,
            remote_address: &remote,
        };
        let raw = journal::command_line(request.arguments.raw());
        let decided = Decided::deny(Reason::RequestInvalid);
        let asked = Asked {
            kind: Kind::Accounting,
            protocol: journal::Protocol::Tacacs,
            person,
            privilege_level: request.priv_lvl.0,
            service: None,
            request: &displayed(&raw),
            arguments: request.arguments.raw(),
        };
        self.note(&asked, Outcome::Error, &decided);
        Response::Accounting(
            ticket,
            AccountingStatus::ERROR,
            b"the record breaks a rule of RFC 8907 and was not kept",
        )
    }

    pub(super) fn committed(
        &self,
        result: Result<(), journal::JournalError>,
        records: usize,
    ) -> AccountingStatus {
        match result {
            Ok(()) => {
                self.aaa
                    .note_records(Outcome::Recorded, Reason::Journalled, records);
                AccountingStatus::SUCCESS
            }
            Err(error) => {
                self.aaa
                    .note_records(Outcome::Error, Reason::JournalFailed, records);
                self.aaa.journal_failed(&self.peer, records, &error);
                AccountingStatus::ERROR
            }
        }
    }
}
