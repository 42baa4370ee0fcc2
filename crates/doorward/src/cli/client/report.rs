//! What the servers answered: a line for people, or an object for programs.

use std::process::ExitCode;
use std::time::Duration;

use doorward_client::{
    Accounting, AccountingRequest, AccountingStatus, Authentication, AuthenticationStatus,
    Authorization, AuthorizationStatus, ClientError, Decision, Denial, Facts, TlsFacts,
    for_display,
};
use serde::Serialize;

use super::login::Wanted;

use crate::cli::{DENIED, FAULT, UNAVAILABLE, complain, say};

/// Why FOLLOW is a denial.
const REDIRECTED: &str =
    "the server points to another one, which is never followed (RFC 8907 section 10.5.5)";

/// One answer, in the order of the fields that programs read.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    result: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_msg: Option<String>,
    /// Escaped: it is no text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsReport>,
    ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What became of the record of a command that was to be accounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    accounted: Option<String>,
    #[serde(skip)]
    sentence: String,
    #[serde(skip)]
    effective: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Pass,
    Fail,
    Error,
}

#[derive(Debug, Serialize)]
struct TlsReport {
    version: &'static str,
    suite: &'static str,
    group: &'static str,
    resumed: bool,
    auth: &'static str,
}

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

    fn new(result: Outcome, elapsed: Duration, sentence: String) -> Self {
        let micros = u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX);
        Self {
            result,
            status: None,
            server_msg: None,
            data: None,
            args: None,
            tls: None,
            ms: f64::from(micros) / 1000.0,
            server: None,
            why: None,
            accounted: None,
            sentence,
            effective: Vec::new(),
        }
    }

    fn reply(&mut self, status: Option<&str>, server_msg: &[u8], data: &[u8]) {
        self.status = status.map(str::to_owned);
        self.server_msg = Some(for_display(server_msg));
        self.data = Some(data.escape_ascii().to_string());
    }

    /// Prints it, and says how the program ends.
    pub(super) fn print(&self, json: bool) -> ExitCode {
        if json {
            match serde_json::to_string(self) {
                Ok(line) => say(&line),
                Err(error) => {
                    complain(&format_args!(
                        "the answer cannot be written as JSON: {error}"
                    ));
                    return ExitCode::from(FAULT);
                }
            }
        }
        match (self.result, json) {
            (Outcome::Pass | Outcome::Fail, true) => {}
            (Outcome::Pass | Outcome::Fail, false) => say(&self.text()),
            (Outcome::Error, _) => complain(&self.text()),
        }
        match self.result {
            Outcome::Pass => ExitCode::SUCCESS,
            Outcome::Fail => ExitCode::from(DENIED),
            Outcome::Error => ExitCode::from(UNAVAILABLE),
        }
    }

    /// The lines for people. `data` is not for them.
    pub(super) fn text(&self) -> String {
        let mut text = match self.result {
            Outcome::Pass => format!("pass: {}", self.sentence),
            Outcome::Fail => format!("fail: {}", self.sentence),
            Outcome::Error => return format!("error: {}", self.sentence),
        };
        if let Some(why) = &self.why {
            text.push_str(&format!(", because {why}"));
        }
        let status = self.status.as_deref().unwrap_or("no usable reply");
        let server = self.server.as_deref().unwrap_or_default();
        let over = self.tls.as_ref().map_or("without TLS".to_owned(), |tls| {
            format!("TLS {}", tls.version)
        });
        text.push_str(&format!(
            " ({status} from {server}, {over}, {:.1} ms)",
            self.ms
        ));
        if let Some(message) = self
            .server_msg
            .as_deref()
            .filter(|message| !message.is_empty())
        {
            text.push_str(&format!("\n  the server says: {message}"));
        }
        if let Some(accounted) = &self.accounted {
            text.push_str(&format!("\n  accounting: {accounted}"));
        }
        for argument in &self.effective {
            text.push_str(&format!("\n  {argument}"));
        }
        text
    }
}

impl TlsReport {
    fn new(facts: &TlsFacts) -> Self {
        Self {
            version: facts.version,
            suite: facts.suite,
            group: facts.group,
            resumed: facts.resumed,
            auth: facts.auth,
        }
    }
}

fn texts(arguments: &[Vec<u8>]) -> Vec<String> {
    arguments.iter().map(|octets| for_display(octets)).collect()
}
