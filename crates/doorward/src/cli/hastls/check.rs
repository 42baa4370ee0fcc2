//! `doorward hastls check`: what the zone says of our listeners, against those of the file and of the running server.

use std::process::ExitCode;

use doorward_client::dns::{Data, Hastls, Lookup, Resolver};
use doorward_hastls::{Answer, Record};
use jiff::civil::Date;
use serde::Serialize;

use super::super::asking::{ResolverArgs, record_type};
use super::{Pair, ending, load, name, print, validation, why};
use crate::announce::{Fault, Listening, Note, Offer, compare};
use crate::cli::asking::{self, Problem};
use crate::cli::{ConfigArg, complain, counted, say};
use crate::config::{Config, ListenerProtocol};
use crate::control::{AskError, Request, Response, ask};
use crate::runtime::ListenerStatus;

/// Compare what the zone says with what listens; 2 if it lies
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The host, by its whole name
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The number of the record type, which was never assigned; that of [dns] when absent
    #[arg(long = "type", value_name = "N")]
    number: Option<u16>,
    #[command(flatten)]
    resolver: ResolverArgs,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Problem> {
    let host = name(&args.name, "--name")?;
    let asked = args
        .number
        .map(|number| record_type("--type", number))
        .transpose()?;
    let config = load(&args.config)?;
    let settings = args.resolver.settings(config.dns.settings.clone())?;
    let number = asked.unwrap_or(config.dns.hastls_type);
    let today = jiff::Zoned::now().date();
    let listening = Compared::gather(&config, today)?;
    let resolver = Resolver::new(settings);
    let found = asking::runtime()?.block_on(resolver.hastls(&host, number));
    let report = Report::new(&found, &listening, today);
    if args.json {
        let code = print(&report.object(&args.name, &found, &listening));
        return Ok(code.unwrap_or_else(|| ending(report.faults.is_empty())));
    }
    report.tell(&args.name, &found, &listening);
    Ok(ending(report.faults.is_empty()))
}

/// Whose listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    File,
    Server,
}

impl Source {
    fn title(self) -> &'static str {
        match self {
            Self::File => "the file",
            Self::Server => "the running server",
        }
    }
}

/// What the record is compared with.
struct Compared {
    offers: Vec<(Source, Offer)>,
    /// What there is to say of that.
    remarks: Vec<String>,
}

impl Compared {
    fn gather(config: &Config, today: Date) -> Result<Self, Problem> {
        let file = Offer::new(config.listeners.iter().map(Listening::from), today);
        let (mut offers, mut remarks) = (Vec::new(), Vec::new());
        match running(config, today) {
            Ok(server) => {
                if file.unknown.is_empty() && !same(&file, &server) {
                    remarks.push("the running server does not have the listeners of the file: `doorward reload`, or the file is another one".to_owned());
                }
                offers.push((Source::Server, server));
            }
            Err(NotAsked::NotRunning(error)) => remarks.push(format!(
                "compared with the file alone: no server answers on {}: {error}",
                config.server.control.display()
            )),
            Err(NotAsked::Fault(text)) => return Err(Problem::Fault(text)),
        }
        if file.unknown.is_empty() {
            offers.push((Source::File, file));
        } else if offers.is_empty() {
            return Err(Problem::Fault(
                "error: a [[listen]] has port 0, which is any free port, and no server is running that would know which\n  help: start \
                 the server, or give the listener a port of its own: a record is of no use for one that changes"
                    .to_owned(),
            ));
        }
        Ok(Self { offers, remarks })
    }
}

enum NotAsked {
    NotRunning(std::io::Error),
    Fault(String),
}

/// The listeners that are open.
fn running(config: &Config, today: Date) -> Result<Offer, NotAsked> {
    let status = match ask(&config.server.control, &Request::Status { devices: false }) {
        Ok(Response::Status(status)) => status,
        Ok(
            Response::Reloaded(_)
            | Response::Refused { .. }
            | Response::Ordered(_)
            | Response::Invalid { .. },
        ) => {
            return Err(NotAsked::Fault(
                "error: the server answered something else than was asked\n  help: are the running server and this program of the same version?"
                    .to_owned(),
            ));
        }
        Err(AskError::NotRunning(_, error)) => return Err(NotAsked::NotRunning(error)),
        Err(error @ (AskError::Broken(..) | AskError::Answer(_))) => {
            return Err(NotAsked::Fault(error.to_string()));
        }
    };
    let open: Option<Vec<Listening>> = status.listeners.iter().map(listening).collect();
    let open = open.ok_or_else(|| {
        NotAsked::Fault(
            "error: the running server has a listener that this program does not know\n  help: are they of the same version?".to_owned(),
        )
    })?;
    Ok(Offer::new(open, today))
}

fn listening(status: &ListenerStatus) -> Option<Listening> {
    let until = status.until.as_deref().map(str::parse);
    Some(Listening {
        protocol: ListenerProtocol::named(&status.protocol)?,
        address: status.address.parse().ok()?,
        until: until.transpose().ok()?,
    })
}

/// The same listeners in any order.
fn same(one: &Offer, other: &Offer) -> bool {
    let within = |a: &Offer, b: &Offer| a.listening.iter().all(|each| b.listening.contains(each));
    within(one, other) && within(other, one)
}

/// What came of it.
struct Report {
    /// Each with those of whose listeners it is so; none where the record itself is at fault.
    faults: Vec<(Fault, Vec<Source>)>,
    notes: Vec<Note>,
}

impl Report {
    fn new(found: &Hastls, compared: &Compared, today: Date) -> Self {
        let (mut faults, mut notes) = (Vec::<(Fault, Vec<Source>)>::new(), Vec::new());
        if let Answer::Unusable(why) = &found.answer {
            faults.push((Fault::Void(*why), Vec::new()));
        }
        let Some(record) = record(found) else {
            return Self { faults, notes };
        };
        for (source, offer) in &compared.offers {
            let (found, noted) = compare(&record, offer, today);
            for fault in found {
                match faults.iter_mut().find(|(known, _)| *known == fault) {
                    Some((_, of)) => of.push(*source),
                    None => faults.push((fault, vec![*source])),
                }
            }
            let fresh: Vec<Note> = noted
                .into_iter()
                .filter(|one| !notes.contains(one))
                .collect();
            notes.extend(fresh);
        }
        Self { faults, notes }
    }

    fn tell(&self, host: &str, found: &Hastls, compared: &Compared) {
        let notes = self.notes.iter().map(ToString::to_string);
        let notes: Vec<String> = notes
            .chain(compared.remarks.iter().cloned())
            .map(|note| format!("note: {note}"))
            .collect();
        if self.faults.is_empty() {
            say(&format!(
                "{host}: the zone says what listens: {}",
                zone(found)
            ));
            notes.iter().for_each(|note| say(note));
            return;
        }
        let mut text = format!(
            "{host}: {}\n  zone:    {}",
            counted(
                u64::try_from(self.faults.len()).unwrap_or(u64::MAX),
                "fault"
            ),
            zone(found)
        );
        for (source, offer) in &compared.offers {
            let listeners: Vec<String> = offer.listening.iter().map(Listening::to_string).collect();
            text.push_str(&format!(
                "\n  listens: {} ({})",
                listeners.join("; "),
                source.title()
            ));
        }
        for (fault, of) in &self.faults {
            let message = message(fault, found);
            let whose = match of.as_slice() {
                [one] if compared.offers.len() > 1 => format!(" (so says {} alone)", one.title()),
                _ => String::new(),
            };
            text.push_str(&format!(
                "\nerror[{}]: {message}{whose}\n  help: {}",
                fault.name(),
                fault.help()
            ));
        }
        for note in notes {
            text.push_str(&format!("\n{note}"));
        }
        complain(&text);
    }

    fn object<'a>(&self, host: &'a str, found: &Hastls, compared: &Compared) -> Checked<'a> {
        let (validation, pairs) = match &found.answer {
            Answer::Secure(record) => ("secure", record.pairs()),
            Answer::Unusable(why) => (validation(*why), [].as_slice()),
        };
        let listeners = compared.offers.iter().flat_map(|(source, offer)| {
            offer.listening.iter().map(|one| Listens {
                of: *source,
                protocol: one.protocol.name(),
                address: one.address.to_string(),
                until: one.until.map(|day| day.to_string()),
            })
        });
        let faults = self.faults.iter().map(|(fault, of)| Told {
            name: fault.name(),
            of: of.clone(),
            message: message(fault, found),
            help: Some(fault.help()),
        });
        let notes = self.notes.iter().map(|note| Told {
            name: note.name(),
            of: Vec::new(),
            message: note.to_string(),
            help: None,
        });
        Checked {
            name: host,
            good: self.faults.is_empty(),
            validation,
            ttl: found.lookup.ttl().map(|ttl| ttl.as_secs()),
            pairs: pairs.iter().map(Pair::from).collect(),
            listeners: listeners.collect(),
            faults: faults.collect(),
            notes: notes.collect(),
            remarks: compared.remarks.clone(),
        }
    }
}

/// The exact reason where the look-up has one.
fn message(fault: &Fault, found: &Hastls) -> String {
    match fault {
        Fault::Void(_) => format!("no record counts: {}", why(found)),
        Fault::PlainOpen(..)
        | Fault::NobodyListens { .. }
        | Fault::NotAnnounced(_)
        | Fault::Upgrade(..)
        | Fault::Contradicting(..) => fault.to_string(),
    }
}

/// What the record says, even if it is void: whoever signs the zone wants to know what is wrong besides.
fn record(found: &Hastls) -> Option<Record> {
    match (&found.answer, &found.lookup) {
        (Answer::Secure(record), _) => Some((**record).clone()),
        (Answer::Unusable(_), Lookup::Found(records)) => {
            let rdatas = records.records.iter().filter_map(|data| {
                let Data::Other(rdata) = data else {
                    return None;
                };
                Some(rdata)
            });
            Record::decode(rdatas).ok()
        }
        (Answer::Unusable(_), Lookup::Absent(_) | Lookup::Bogus(_) | Lookup::Unreachable(_)) => {
            None
        }
    }
}

/// What the zone says, and what that is worth.
fn zone(found: &Hastls) -> String {
    match (&found.answer, &found.lookup) {
        (Answer::Secure(record), lookup) => {
            let ttl = lookup.ttl().unwrap_or_default().as_secs();
            format!("{}, proved, for {ttl} s more", **record)
        }
        (Answer::Unusable(why), Lookup::Found(_)) => match record(found) {
            Some(record) => format!("{record}, void: {why}"),
            None => format!("void: {why}"),
        },
        (Answer::Unusable(_), Lookup::Absent(_)) => "nothing".to_owned(),
        (Answer::Unusable(_), Lookup::Bogus(_) | Lookup::Unreachable(_)) => {
            "nothing that could be learnt".to_owned()
        }
    }
}

/// `hastls check --json`.
#[derive(Serialize)]
struct Checked<'a> {
    name: &'a str,
    good: bool,
    validation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
    pairs: Vec<Pair>,
    listeners: Vec<Listens>,
    faults: Vec<Told>,
    notes: Vec<Told>,
    remarks: Vec<String>,
}

#[derive(Serialize)]
struct Listens {
    of: Source,
    protocol: &'static str,
    address: String,
    until: Option<String>,
}

#[derive(Serialize)]
struct Told {
    name: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    of: Vec<Source>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}
