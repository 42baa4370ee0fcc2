//! What the servers answered: a line for people, or an object for programs.

use std::time::Duration;

use super::login::Wanted;
use doorward_client::{
    Accounting, AccountingRequest, AccountingStatus, Authentication, AuthenticationStatus,
    Authorization, AuthorizationStatus, ClientError, Decision, Denial, Facts, for_display,
};

pub(super) use crate::cli::asking::report::Report;
use crate::cli::asking::report::{Outcome, TlsReport};

/// Why FOLLOW is a denial.
const REDIRECTED: &str =
    "the server points to another one, which is never followed (RFC 8907 section 10.5.5)";

impl Report {
    pub(super) fn authentication(answer: &Authentication, user: &str, wanted: &Wanted) -> Self {
        let user = user.escape_debug();
        let sentence = match (&answer.decision, wanted) {
            (Decision::Pass, Wanted::Login) => format!("{user} is logged in"),
            (Decision::Fail(_), Wanted::Login) => format!("{user} is not logged in"),
            (Decision::Pass, Wanted::Level(level)) => format!("{user} has privilege level {level}"),
            (Decision::Fail(_), Wanted::Level(level)) => {
                format!("{user} does not get privilege level {level}")
            }
            (Decision::Pass, Wanted::Password) => format!("the password of {user} is changed"),
            (Decision::Fail(_), Wanted::Password) => {
                format!("the password of {user} is not changed")
            }
        };
        let mut report = Self::decided(&answer.decision, &answer.facts, sentence);
        if let Some(status) = answer.status {
            report.reply(status.name(), &answer.server_msg, &answer.data);
        }
        report.why = match answer.status {
            Some(AuthenticationStatus::RESTART) => Some(
                "the server wants another authentication type (--type takes several, separated by commas)"
                    .to_owned(),
            ),
            Some(AuthenticationStatus::FOLLOW) => Some(REDIRECTED.to_owned()),
            _ => report.why,
        };
        report
    }

    pub(super) fn authorization(answer: &Authorization, user: &str, what: &str) -> Self {
        let user = user.escape_debug();
        let sentence = match answer.decision {
            Decision::Pass => format!("{user} may use {what}"),
            Decision::Fail(_) => format!("{user} may not use {what}"),
        };
        let mut report = Self::decided(&answer.decision, &answer.facts, sentence);
        if let Some(status) = answer.status {
            report.reply(status.name(), &answer.server_msg, &answer.data);
        }
        if answer.decision.is_pass() {
            report.args = Some(texts(&answer.arguments));
            report.effective = texts(&answer.effective);
        }
        if answer.status == Some(AuthorizationStatus::FOLLOW) {
            report.why = Some(REDIRECTED.to_owned());
        }
        report.accounted = answer.accounted.as_ref().map(|accounted| match accounted {
            Ok(answer) if answer.decision.is_pass() => "recorded".to_owned(),
            Ok(_) => "not recorded: the server says no".to_owned(),
            Err(error) => format!("not recorded: {error}"),
        });
        report
    }

    pub(super) fn accounting(answer: &Accounting, request: &AccountingRequest) -> Self {
        let task = request.task_id.escape_debug();
        let sentence = match answer.decision {
            Decision::Pass => format!("recorded with task_id {task}"),
            Decision::Fail(_) => format!("not recorded with task_id {task}"),
        };
        let mut report = Self::decided(&answer.decision, &answer.facts, sentence);
        if let Some(status) = answer.status {
            report.reply(status.name(), &answer.server_msg, &answer.data);
        }
        if answer.status == Some(AccountingStatus::FOLLOW) {
            report.why = Some(REDIRECTED.to_owned());
        }
        report
    }

    pub(super) fn error(error: &ClientError, elapsed: Duration) -> Self {
        let mut report = Self::new(Outcome::Error, elapsed, error.to_string());
        report.why = Some(error.to_string());
        if let Some((status, server_msg)) = error.server_error() {
            report.status = status.name().map(str::to_owned);
            report.server_msg = Some(for_display(server_msg));
        }
        report
    }

    fn decided(decision: &Decision, facts: &Facts, sentence: String) -> Self {
        let outcome = match decision {
            Decision::Pass => Outcome::Pass,
            Decision::Fail(_) => Outcome::Fail,
        };
        let mut report = Self::new(outcome, facts.elapsed, sentence);
        report.why = match decision {
            Decision::Pass | Decision::Fail(Denial::Status) => None,
            Decision::Fail(denial @ (Denial::Flag | Denial::Argument(_))) => {
                Some(denial.to_string())
            }
        };
        report.server = Some(facts.server.clone());
        report.tls = facts.tls.as_ref().map(TlsReport::new);
        report
    }

    fn reply(&mut self, status: Option<&str>, server_msg: &[u8], data: &[u8]) {
        self.status = status.map(str::to_owned);
        self.server_msg = Some(for_display(server_msg));
        self.data = Some(data.escape_ascii().to_string());
    }
}

fn texts(arguments: &[Vec<u8>]) -> Vec<String> {
    arguments.iter().map(|octets| for_display(octets)).collect()
}
