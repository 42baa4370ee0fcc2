//! `doorward radius disconnect` and `coa`: the running server tells a device to end or change a session (RFC 5176).

use std::time::Duration;

use crate::cli::asking::Problem;
use crate::cli::asking::report::{Outcome, Report};
use crate::cli::{ConfigArg, control};
use crate::control::{OrderRequest, Request, Response};
use crate::runtime::{MAX_SECONDS, Ordered};

/// Which device, and what it is told
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct OrderArgs {
    /// The device, by its name in the configuration. It has to have a RadSec connection open: the order goes down that one
    #[arg(value_name = "DEVICE")]
    device: String,
    /// Which session it is about, and what it is to become: User-Name=alice, Acct-Session-Id=0a1b, Session-Timeout=60
    #[arg(long = "attr", value_name = "NAME=VALUE", required = true)]
    attributes: Vec<String>,
    /// How long the device's answer is waited for; over DTLS it is asked again meanwhile
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SECONDS)))]
    timeout: u32,
    /// One JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// Has the running server give the order.
pub(super) fn give(args: &OrderArgs, disconnect: bool) -> Result<Report, Problem> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Problem::Usage(format!("--attr {}: write NAME=VALUE", text.escape_debug()))
        })?;
        Ok((name.trim_end().to_owned(), value.trim_start().to_owned()))
    };
    let attributes: Vec<_> = args
        .attributes
        .iter()
        .map(pair)
        .collect::<Result<_, Problem>>()?;
    let request = Request::Order(OrderRequest {
        device: args.device.clone(),
        disconnect,
        attributes,
        seconds: args.timeout,
    });
    match control::question(&args.config, &request) {
        Ok(Response::Ordered(done)) => Ok(report(args, disconnect, done)),
        Ok(Response::Refused { error }) => Err(Problem::Usage(error)),
        Ok(Response::Reloaded(_) | Response::Status(_) | Response::Invalid { .. }) => {
            Err(Problem::Fault(
                "the server answered something else; are both of the same version?".into(),
            ))
        }
        Err(text) => Err(Problem::Fault(
            text.trim_start_matches("error: ").to_owned(),
        )),
    }
}

fn report(args: &OrderArgs, disconnect: bool, done: Ordered) -> Report {
    let device = args.device.escape_debug();
    let name = if disconnect { "Disconnect" } else { "CoA" };
    let elapsed = Duration::from_secs_f64((done.ms / 1000.0).max(0.0));
    let (outcome, status, sentence) = match done.acknowledged {
        Some(true) => (
            Outcome::Pass,
            Some(format!("{name}-ACK")),
            format!("{device} obeys ({name}-ACK, {:.1} ms)", done.ms),
        ),
        Some(false) => (
            Outcome::Fail,
            Some(format!("{name}-NAK")),
            format!("{device} refuses ({name}-NAK, {:.1} ms)", done.ms),
        ),
        None => {
            let why = done.unanswered.as_deref().unwrap_or("no answer");
            (
                Outcome::Error,
                None,
                format!("{name}-Request for {device}: {why}"),
            )
        }
    };
    let mut report = Report::new(outcome, elapsed, sentence);
    report.status = status;
    report.why = match done.cause {
        Some((number, Some(name))) => Some(format!("{name} (Error-Cause {number})")),
        Some((number, None)) => Some(format!("Error-Cause {number}")),
        None => done.unanswered,
    };
    let shown = done.attributes.iter();
    report.effective = shown
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    report.attributes = done.acknowledged.map(|_| done.attributes);
    report.bare = true;
    report
}
