//! `doorward diff OLD NEW`: what another configuration would change for the people and commands that are really there.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::json;

use super::explain::rule_json;
use super::records::{help, since};
use super::{DENIED, FAULT, complain, counted, say};
use crate::accounting::{JournalError, Query, Reader, Wanted};
use crate::config::source::escape;
use crate::config::{self, Config, Failure, Loaded};
use crate::diff::{Comparison, Counts, Difference, Outcome, What};
use crate::policy::{Decision, Test};

/// Shows which results change between two configurations
///
/// Compared are the users and devices of both files, what their tests ask, and what is recorded in the journal of OLD (or, if
/// there is none, of NEW): every command, service and login, also those that were denied, judged by both at its time, from its address.
/// Exit: 0 = all the same, 2 = something differs, 1 = a file or the journal cannot be read.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file as it is
    old: PathBuf,
    /// The configuration file as it shall be
    new: PathBuf,
    /// Compare what was recorded since: 2026-11-20T10:00:00Z, 2026-11-20, or an age such as 12h, 7d, 12w
    #[arg(long, value_name = "T", value_parser = since, default_value = DEFAULT_SINCE)]
    since: Timestamp,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// A month, so that what is done every week, and most of what is done every month, is among the records.
const DEFAULT_SINCE: &str = "30d";

/// 0 = the same, 2 = differs, 1 = no answer.
pub(super) fn run(args: Args) -> ExitCode {
    let (old, new) = (config::load(&args.old), config::load(&args.new));
    let (old, new) = match (old, new) {
        (Ok(old), Ok(new)) => (old, new),
        (old, new) => return refused([(&args.old, old), (&args.new, new)]),
    };
    let mut comparison = Comparison::new(&old.config, &new.config, Timestamp::now());
    comparison.files();
    let journal = match recorded(&mut comparison, &[&old.config, &new.config], args.since) {
        Ok(journal) => journal,
        Err(failed) => {
            complain(&failed);
            return ExitCode::from(FAULT);
        }
    };
    if looks_at_connections(&old.config) || looks_at_connections(&new.config) {
        complain(
            &"note: rules that look at the address, the certificate or the key of a device (`address`, `policy_oid`, `issuer`, `subject`, `fingerprint`, `eku`, `san`, `psk_identity`) were taken to match nothing: tests and records do not hold it",
        );
    }
    let (found, counts) = comparison.finish();
    if counts.left_out > 0 {
        complain(&format!(
            "note: there are more differences than these {}: {} further results differ too",
            found.len(),
            counts.left_out
        ));
    }
    let compared = compared(&counts, journal.as_ref());
    if args.json {
        found.iter().for_each(|one| say(&as_json(one).to_string()));
        complain(&compared);
    } else {
        say(&as_text(&found));
        say(&compared);
    }
    let unreadable = journal.is_some_and(|journal| journal.unreadable > 0);
    match (found.is_empty(), unreadable) {
        (false, _) => ExitCode::from(DENIED),
        (true, false) => ExitCode::SUCCESS,
        // What is the same in the records that can be read proves nothing about the others.
        (true, true) => ExitCode::from(FAULT),
    }
}

fn refused(files: [(&PathBuf, Result<Loaded, Failure>); 2]) -> ExitCode {
    for (path, outcome) in files {
        if let Err(failure) = outcome {
            complain(&failure);
            complain(&format!(
                "\n{} cannot be compared: `doorward check` refuses it too\n",
                path.display()
            ));
        }
    }
    ExitCode::from(FAULT)
}

/// The journal that was read.
struct Journal {
    path: PathBuf,
    /// From when on there are records that were asked for.
    since: Timestamp,
    unreadable: u64,
}

/// Compares what is recorded; `None` = there is no journal.
fn recorded(
    comparison: &mut Comparison<'_>,
    configs: &[&Config],
    since: Timestamp,
) -> Result<Option<Journal>, String> {
    let paths = || configs.iter().map(|config| &*config.server.journal);
    let Some(path) = paths().find(|path| path.exists()) else {
        let mut places: Vec<String> = paths()
            .map(|path| format!("\n --> {}", path.display()))
            .collect();
        places.dedup();
        complain(&format!(
            "note: there is no journal, so that only the users, devices and tests of the files were compared{}\n = help: run this where the server runs, or point `journal` of [server] at a copy",
            places.concat()
        ));
        return Ok(None);
    };
    let mut journal = Journal {
        path: path.to_path_buf(),
        since,
        unreadable: 0,
    };
    let trouble = |error: &JournalError| {
        format!(
            "error: {error}\n  --> {}\n  help: {}",
            path.display(),
            help(error)
        )
    };
    let sound = |error| trouble(&error);
    let reader = Reader::open(path).map_err(sound)?;
    if let Some(begins) = reader.begins().map_err(sound)? {
        journal.since = since.max(begins);
    }
    let decisions = Wanted::Decisions {
        outcome: None,
        reason: None,
    };
    for wanted in [Wanted::default(), decisions] {
        let query = Query {
            since: Some(since),
            wanted,
            ..Query::default()
        };
        for stored in reader.search(query).map_err(sound)? {
            match stored {
                Ok(stored) => match stored.entry.view() {
                    Ok(view) => comparison.entry(&view),
                    Err(_) => journal.unreadable += 1,
                },
                Err(error @ JournalError::Malformed(_)) => {
                    if journal.unreadable == 0 {
                        complain(&trouble(&error));
                    }
                    journal.unreadable += 1;
                }
                Err(error) => return Err(trouble(&error)),
            }
        }
    }
    if journal.unreadable > 0 {
        let count = counted(journal.unreadable, "record");
        complain(&format!("note: {count} could not be read and compared"));
    }
    Ok(Some(journal))
}

/// At what only a connection has.
fn looks_at_connections(config: &Config) -> bool {
    let mut conditions = config.policy.rules.iter().flat_map(|rule| &rule.conditions);
    conditions.any(|condition| {
        matches!(
            condition.test,
            Test::Address(_)
                | Test::PolicyOid(_)
                | Test::Issuer(_)
                | Test::Subject(_)
                | Test::Fingerprint(_)
                | Test::Eku(_)
                | Test::San(_)
                | Test::PskIdentity(_)
        )
    })
}

/// What the answer rests on.
fn compared(counts: &Counts, journal: Option<&Journal>) -> String {
    let tests = counted(counts.tests, "test");
    match journal {
        None => format!("compared {tests}"),
        Some(journal) => format!(
            "compared {tests}, {} and {} since {} ({})",
            counted(counts.records, "record"),
            counted(counts.decisions, "decision"),
            seconds(journal.since),
            escape(&journal.path.to_string_lossy())
        ),
    }
}

fn seconds(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Devices on which the very same changes for a user.
struct Block<'d> {
    devices: Vec<&'d str>,
    rows: Vec<Row<'d>>,
}

struct Row<'d> {
    difference: &'d Difference,
    records: u64,
    last: Option<Timestamp>,
}

/// A user and everything that changes on one device.
type Signature<'d> = (&'d str, Vec<(&'d What, &'d Outcome, &'d Outcome)>);

fn as_text(found: &[Difference]) -> String {
    if found.is_empty() {
        return "no result changes".to_owned();
    }
    let is_member = |one: &&Difference| matches!(one.case.what, What::Device | What::User);
    let mut text = summary(found);
    let mut members = found.iter().filter(is_member).peekable();
    if members.peek().is_some() {
        text.push('\n');
    }
    for one in members {
        text.push_str(&member(one));
    }
    for (user, block) in blocks(found.iter().filter(|one| !is_member(one))) {
        text.push_str(&format!(
            "\n{} on {}\n",
            escape(user),
            shown(&block.devices)
        ));
        for row in &block.rows {
            text.push_str(&row_text(row));
        }
    }
    text
}

fn summary(found: &[Difference]) -> String {
    use Decision::{Deny, Permit};
    let asked = found
        .iter()
        .filter(|one| !matches!(one.case.what, What::Device | What::User));
    let changes = |old, new| {
        let wanted =
            |one: &&Difference| (one.case.old.decision, one.case.new.decision) == (old, new);
        u64::try_from(asked.clone().filter(wanted).count()).unwrap_or(u64::MAX)
    };
    let lost = changes(Permit, Deny);
    let won = changes(Deny, Permit);
    let granted = changes(Permit, Permit);
    format!(
        "{}: {lost} permit -> deny, {won} deny -> permit, {granted} with another grant\n",
        counted(lost + won + granted, "result")
            + if lost + won + granted == 1 {
                " changes"
            } else {
                " change"
            }
    )
}

fn member(one: &Difference) -> String {
    let case = &one.case;
    let (word, there) = match case.new.decision {
        Decision::Permit => ("new ", &case.new),
        Decision::Deny => ("gone", &case.old),
    };
    let (kind, name) = match case.what {
        What::Device => ("device", &case.device),
        What::User | What::Login | What::RadiusLogin | What::Service(_) | What::Command(_) => {
            ("user", &case.user)
        }
    };
    let place = there.rule.as_ref().map(|rule| rule.location.to_string());
    format!(
        "{word} {kind} {}  ({})\n",
        escape(name),
        place.unwrap_or_default()
    )
}

/// Groups by user and device, and joins the devices on which the same changes.
fn blocks<'d>(found: impl Iterator<Item = &'d Difference>) -> Vec<(&'d str, Block<'d>)> {
    let mut blocks: Vec<(&str, Block<'_>)> = Vec::new();
    let mut known: HashMap<Signature<'_>, usize> = HashMap::new();
    let found: Vec<&Difference> = found.collect();
    for group in found.chunk_by(|one, next| {
        (&one.case.user, &one.case.device) == (&next.case.user, &next.case.device)
    }) {
        let Some(first) = group.first() else {
            continue;
        };
        let user = &*first.case.user;
        let signature = group
            .iter()
            .map(|one| (&one.case.what, &one.case.old, &one.case.new));
        let at = *known.entry((user, signature.collect())).or_insert_with(|| {
            let block = Block {
                devices: Vec::new(),
                rows: group.iter().map(|one| Row::new(one)).collect(),
            };
            blocks.push((user, block));
            blocks.len() - 1
        });
        if let Some((_, block)) = blocks.get_mut(at) {
            block.devices.push(&first.case.device);
            for (row, one) in block.rows.iter_mut().zip(group) {
                row.records += one.records;
                row.last = row.last.max(one.last);
            }
        }
    }
    blocks
}

impl<'d> Row<'d> {
    fn new(difference: &'d Difference) -> Self {
        Self {
            difference,
            records: 0,
            last: None,
        }
    }
}

/// Devices that a heading names.
const NAMED: usize = 8;

fn shown(devices: &[&str]) -> String {
    let names: Vec<String> = devices
        .iter()
        .take(NAMED)
        .map(|name| escape(name))
        .collect();
    let more = devices.len().saturating_sub(NAMED);
    let names = names.join(", ");
    if more == 0 {
        names
    } else {
        format!("{names} and {more} more")
    }
}

fn row_text(row: &Row<'_>) -> String {
    let case = &row.difference.case;
    let (old, new) = (&case.old, &case.new);
    let change = format!("{} -> {}", old.decision.name(), new.decision.name());
    let what = match &case.what {
        What::Login | What::Device | What::User => "login".to_owned(),
        What::RadiusLogin => "RADIUS login".to_owned(),
        What::Service(name) => format!("service {}", escape(name)),
        What::Command(text) => format!("`{}`", escape(text)),
    };
    let mut text = format!("  {change:16}  {what}\n");
    for (word, side) in [("old", old), ("new", new)] {
        text.push_str(&format!("      {word}  {}\n", side_text(&case.what, side)));
    }
    text.push_str(&match (row.records, row.last) {
        (0, _) | (_, None) => "      asked by a [[test]]\n".to_owned(),
        (records, Some(last)) => {
            let times = counted(records, "time");
            format!("      recorded {times}, last {}\n", seconds(last))
        }
    });
    text
}

/// The line that decides, and what it grants or why it does not.
fn side_text(what: &What, side: &Outcome) -> String {
    let mut text = match &side.rule {
        Some(rule) => format!("{}  {}", rule.location, rule.text),
        None => String::new(),
    };
    let reason = side.reason.map_or("", |reason| reason.sentence());
    let more = match (side.decision, what, &side.grant) {
        (Decision::Permit, What::Command(_) | What::Device | What::User, _) => return text,
        (Decision::Permit, What::RadiusLogin, Some(grant)) if grant.is_empty() => {
            "gives no attributes".to_owned()
        }
        (Decision::Permit, What::RadiusLogin, Some(grant)) => {
            format!("gives {}", escape(&grant.join(" ")))
        }
        (Decision::Permit, What::Login | What::Service(_), Some(grant)) if grant.is_empty() => {
            "grants no arguments".to_owned()
        }
        (Decision::Permit, What::Login | What::Service(_), Some(grant)) => {
            format!("grants {}", escape(&grant.join(" ")))
        }
        (Decision::Permit, What::Login | What::RadiusLogin | What::Service(_), None) => {
            reason.to_owned()
        }
        (Decision::Deny, _, _) if side.reason == Some(crate::aaa::Reason::CommandRule) => {
            return text;
        }
        (Decision::Deny, _, _) => reason.to_owned(),
    };
    if !text.is_empty() {
        text.push_str(": ");
    }
    text + &more
}

fn as_json(one: &Difference) -> serde_json::Value {
    let case = &one.case;
    let (what, command) = match &case.what {
        What::Device => ("device", String::new()),
        What::User => ("user", String::new()),
        What::Login => ("login", String::new()),
        What::RadiusLogin => ("radius-login", String::new()),
        What::Service(name) => ("service", name.clone()),
        What::Command(text) => ("command", text.clone()),
    };
    let reason = |side: &Outcome| side.reason.map(|reason| reason.name());
    json!({
        "what": what,
        "user": &*case.user,
        "device": &*case.device,
        "command": command,
        "old": case.old.decision.name(),
        "new": case.new.decision.name(),
        "rule": case.new.rule.as_deref().map(rule_json),
        "old_rule": case.old.rule.as_deref().map(rule_json),
        "reason": reason(&case.new),
        "old_reason": reason(&case.old),
        "grant": case.new.grant,
        "old_grant": case.old.grant,
        "records": one.records,
        "last": one.last.map(|last| last.to_string()),
        "tested": one.tested,
    })
}

#[cfg(test)]
mod tests;
