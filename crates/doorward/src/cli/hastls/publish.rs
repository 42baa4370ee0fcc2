//! `doorward hastls publish`: what the zone should say of the listeners of a configuration. Asks nobody.

use std::process::ExitCode;

use doorward_client::dns::Name;
use doorward_hastls::{RecordType, Server, ZoneLine};
use jiff::civil::Date;

use super::super::asking::record_type;
use super::{load, name};
use crate::announce::{Listening, Offer, title};
use crate::cli::asking::Problem;
use crate::cli::{ConfigArg, complain, say};
use crate::config::{Config, ListenerProtocol};
use crate::policy::Protocol;

/// Print what the zone should say of our own listeners: HASTLS, and TLSA and NAPTR that go with it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The host, by its whole name
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The number of the record type, which was never assigned; that of [dns] when absent
    #[arg(long = "type", value_name = "N")]
    number: Option<u16>,
    /// The time to live of the records, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u32).range(1..=604_800))]
    ttl: u32,
    /// A realm whose RADIUS requests are answered here: NAPTR and SRV records for it (RFC 7585)
    #[arg(long, value_name = "REALM")]
    realm: Option<String>,
    /// The listeners as they are on that day, YYYY-MM-DD: those whose `until` is over by then are left out. Today when absent
    #[arg(long, value_name = "DATE")]
    on: Option<Date>,
    /// Input for nsupdate(1) instead of lines for a zone file
    #[arg(long)]
    nsupdate: bool,
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Problem> {
    let host = name(&args.name, "--name")?;
    let realm = args.realm.as_deref().map(|realm| name(realm, "--realm"));
    let realm = realm.transpose()?;
    let asked = args
        .number
        .map(|number| record_type("--type", number))
        .transpose()?;
    let config = load(&args.config)?;
    let day = args.on.unwrap_or_else(|| jiff::Zoned::now().date());
    let offer = Offer::new(config.listeners.iter().map(Listening::from), day);
    let number = asked.unwrap_or(config.dns.hastls_type);
    let mut text = comments(&offer);
    let line = hastls(&host, args.ttl, &offer)?;
    text.push(format!("; {line}"));
    let mut records = vec![Record::replacing(&host.to_string(), number, &line)?];
    records.extend(tlsa(&host, &config, &offer));
    if let Some(realm) = &realm {
        records.extend(discovery(realm, &host, &offer));
    }
    for record in &records {
        match args.nsupdate {
            true => text.extend(record.updates(args.ttl)),
            false => text.extend(record.lines(args.ttl)),
        }
    }
    if args.nsupdate {
        text.push("send".to_owned());
    }
    say(&text.join("\n"));
    complain(&format_args!(
        "the zone has to be signed with DNSSEC: in one that is not, clients ignore the HASTLS record, and TLSA too\n\
         once it is published, see what clients see: doorward hastls check --name {host}"
    ));
    Ok(ExitCode::SUCCESS)
}

/// The line of the record, whose type and RDATA every name server takes.
fn hastls(host: &Name, ttl: u32, offer: &Offer) -> Result<ZoneLine, Problem> {
    let record = offer.record().map_err(|why| {
        let mut text = format!(
            "error: the listeners cannot be announced: {why}\n  help: {}",
            why.help()
        );
        for one in &offer.unknown {
            text.push_str(&format!(
                "\n  help: {} {} has any free port: give it one",
                one.protocol.name(),
                one.address
            ));
        }
        Problem::Fault(text)
    })?;
    ZoneLine::new(&format!("{host}."), Some(ttl), record)
        .map_err(|error| Problem::Fault(format!("error: --name: {error}")))
}

/// What a person wants to know beside the records.
fn comments(offer: &Offer) -> Vec<String> {
    let mut text = Vec::new();
    for protocol in [Protocol::Tacacs, Protocol::Radius] {
        let (plain, tls) = (offer.ports(protocol, false), offer.ports(protocol, true));
        let server = match (plain.is_empty(), tls.is_empty()) {
            (true, true) => continue,
            (true, false) => Server::SecureOnly,
            (false, true) => Server::InsecureOnly,
            (false, false) => Server::Both,
        };
        text.push(format!("; {}: {server}", title(protocol)));
        if plain.len().max(tls.len()) > 1 && !plain.is_empty() && !tls.is_empty() {
            text.push("; every port without TLS is paired with every port with TLS".to_owned());
        }
    }
    for one in &offer.local {
        text.push(format!("; left out, for this machine alone: {one}"));
    }
    for one in &offer.unknown {
        text.push(format!("; left out, since 0 is any free port: {one}"));
    }
    for day in offer.ends() {
        let closing = offer.listening.iter().filter(|one| one.until == Some(day));
        text.extend(closing.map(|one| format!("; announced as it is now: {one}")));
        text.push(match (offer.after(day).record(), day.tomorrow()) {
            (Ok(record), Ok(next)) => format!(
                "; on that day, one time to live before it is over, publish {record} instead: --on {next}"
            ),
            (Ok(_), Err(_)) => "; there is no day after that".to_owned(),
            (Err(why), _) => format!("; after that, {why}"),
        });
    }
    text
}

/// Records of one owner and type.
struct Record {
    owner: String,
    kind: String,
    rdata: Vec<String>,
    /// No other host has records there: an update takes away what was there before.
    replaces: bool,
}

impl Record {
    fn replacing(host: &str, number: RecordType, line: &ZoneLine) -> Result<Self, Problem> {
        let rdata = line.record().to_generic();
        let rdata = rdata.map_err(|error| Problem::Fault(format!("error: {error}")))?;
        Ok(Self {
            owner: format!("{host}."),
            kind: number.to_string(),
            rdata: vec![rdata],
            replaces: true,
        })
    }

    fn lines(&self, ttl: u32) -> impl Iterator<Item = String> {
        let (owner, kind) = (&self.owner, &self.kind);
        let line = move |rdata| format!("{owner} {ttl} IN {kind} {rdata}");
        self.rdata.iter().map(line)
    }

    fn updates(&self, ttl: u32) -> impl Iterator<Item = String> {
        let (owner, kind) = (&self.owner, &self.kind);
        let delete = self
            .replaces
            .then(|| format!("update delete {owner} IN {kind}"));
        let add = self.lines(ttl).map(|line| format!("update add {line}"));
        delete.into_iter().chain(add)
    }
}

/// TLSA records (RFC 6698) for the keys that the listeners show: 3 1 1, the key itself, whoever signed it.
fn tlsa(host: &Name, config: &Config, offer: &Offer) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for listener in &config.listeners {
        let open = offer.listening.contains(&Listening::from(listener));
        if !open || !listener.protocol.is_tls() {
            continue;
        }
        let transport = if listener.protocol.is_udp() {
            "udp"
        } else {
            "tcp"
        };
        let owner = format!("_{}._{transport}.{host}.", listener.address.port());
        let methods = &listener.methods;
        let policies = listener.tls.iter().filter_map(|name| config.tls.get(name));
        let pins = policies.flat_map(|profile| {
            let raw = profile.server.raw_public_key_pin();
            [
                methods
                    .certificate
                    .then(|| profile.server.certificate_pin()),
                raw.filter(|_| methods.raw_public_key),
            ]
        });
        for pin in pins.flatten() {
            let hex: String = pin.0.iter().map(|octet| format!("{octet:02x}")).collect();
            let rdata = format!("3 1 1 {hex}");
            match records.iter_mut().find(|record| record.owner == owner) {
                Some(record) if record.rdata.contains(&rdata) => {}
                Some(record) => record.rdata.push(rdata),
                None => records.push(Record {
                    owner: owner.clone(),
                    kind: "TLSA".to_owned(),
                    rdata: vec![rdata],
                    replaces: true,
                }),
            }
        }
    }
    records
}

/// How the home servers of a realm are found (RFC 7585). Other hosts may serve the realm as well, so that theirs stay.
fn discovery(realm: &Name, host: &Name, offer: &Offer) -> Vec<Record> {
    let ways = [
        (
            ListenerProtocol::RadiusTls,
            "radius.tls.tcp",
            "_radiustls._tcp",
        ),
        (
            ListenerProtocol::RadiusDtls,
            "radius.dtls.udp",
            "_radiusdtls._udp",
        ),
    ];
    let mut records = Vec::new();
    for (protocol, tag, label) in ways {
        let of = offer
            .listening
            .iter()
            .filter(|one| one.protocol == protocol);
        let mut ports: Vec<u16> = of.map(Listening::port).collect();
        ports.sort_unstable();
        ports.dedup();
        if ports.is_empty() {
            continue;
        }
        records.push(Record {
            owner: format!("{realm}."),
            kind: "NAPTR".to_owned(),
            rdata: vec![format!(
                "50 50 \"s\" \"aaa+auth:{tag}\" \"\" {label}.{realm}."
            )],
            replaces: false,
        });
        let target = |port| format!("0 10 {port} {host}.");
        records.push(Record {
            owner: format!("{label}.{realm}."),
            kind: "SRV".to_owned(),
            rdata: ports.into_iter().map(target).collect(),
            replaces: false,
        });
    }
    records
}
