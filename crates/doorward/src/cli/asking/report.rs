//! What was answered: a line for people, or an object for programs.

use std::process::ExitCode;
use std::time::Duration;

use doorward_client::TlsFacts;
use serde::Serialize;

use crate::cli::{DENIED, FAULT, UNAVAILABLE, complain, say};

/// One answer, in the order of the fields that programs read.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Report {
    pub(in crate::cli) result: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) server_msg: Option<String>,
    /// Escaped: it is no text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) args: Option<Vec<String>>,
    /// Names and values of a RADIUS answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) attributes: Option<Vec<(String, String)>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) tls: Option<TlsReport>,
    pub(in crate::cli) ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) why: Option<String>,
    /// What became of the record of a command that was to be accounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) accounted: Option<String>,
    #[serde(skip)]
    pub(in crate::cli) sentence: String,
    #[serde(skip)]
    pub(in crate::cli) effective: Vec<String>,
    /// The sentence says who answered, and how: there was no connection of ours.
    #[serde(skip)]
    pub(in crate::cli) bare: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Outcome {
    Pass,
    Fail,
    Error,
}

#[derive(Debug, Serialize)]
pub(in crate::cli) struct TlsReport {
    #[serde(skip)]
    datagrams: bool,
    version: &'static str,
    suite: &'static str,
    group: &'static str,
    resumed: bool,
    auth: &'static str,
}

impl Report {
    pub(in crate::cli) fn new(result: Outcome, elapsed: Duration, sentence: String) -> Self {
        let micros = u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX);
        Self {
            result,
            status: None,
            server_msg: None,
            data: None,
            args: None,
            attributes: None,
            tls: None,
            ms: f64::from(micros) / 1000.0,
            server: None,
            why: None,
            accounted: None,
            sentence,
            effective: Vec::new(),
            bare: false,
        }
    }

    /// Prints it, and says how the program ends.
    pub(in crate::cli) fn print(&self, json: bool) -> ExitCode {
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
    pub(in crate::cli) fn text(&self) -> String {
        let mut text = match self.result {
            Outcome::Pass => format!("pass: {}", self.sentence),
            Outcome::Fail => format!("fail: {}", self.sentence),
            Outcome::Error => return format!("error: {}", self.sentence),
        };
        if let Some(why) = &self.why {
            text.push_str(&format!(", because {why}"));
        }
        if self.bare {
            for attribute in &self.effective {
                text.push_str(&format!("\n  {attribute}"));
            }
            return text;
        }
        let status = self.status.as_deref().unwrap_or("no usable reply");
        let server = self.server.as_deref().unwrap_or_default();
        let over = self.tls.as_ref().map_or("without TLS".to_owned(), |tls| {
            let kind = if tls.datagrams { "DTLS" } else { "TLS" };
            format!("{kind} {}", tls.version)
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
    pub(in crate::cli) fn new(facts: &TlsFacts) -> Self {
        Self {
            datagrams: facts.datagrams,
            version: facts.version,
            suite: facts.suite,
            group: facts.group,
            resumed: facts.resumed,
            auth: facts.auth,
        }
    }
}
