//! `tacacs_secret` and `radius_secret`: one shared secret, or several with the days on which they are valid, for a changeover without an outage.

use jiff::Timestamp;
use jiff::civil::Date;

use super::lint::Lint;
use super::lint::secrets::Secrets;
use super::report::Report;
use super::section::{Section, hide};
use super::source::Span;
use super::tree::Node;
use super::{Device, ListenerProtocol, Surroundings, secret, value};

/// A shared secret and the days on which it is valid, in the time zone of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedSecret {
    /// The secret.
    pub key: doorward_tacacs::Secret,
    /// The first day; `None` = valid since ever.
    pub from: Option<Date>,
    /// The last day; `None` = for ever.
    pub until: Option<Date>,
    /// Since when it is in use: `from`, or else the time of its file; `None` = not known.
    pub since: Option<Timestamp>,
}

impl SharedSecret {
    /// Is it valid on that day?
    pub fn is_valid_on(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day <= until)
    }
}

impl Device {
    /// The secrets for a protocol without TLS that are valid on that day, in the order of the file. A server tries them
    /// in turn.
    pub fn secrets_on(
        &self,
        protocol: ListenerProtocol,
        day: impl FnOnce() -> Date,
    ) -> Vec<doorward_tacacs::Secret> {
        let secrets = self.secrets(protocol);
        // The day is not asked for where it does not matter, which is nearly everywhere.
        if let [one] = secrets
            && one.from.is_none()
            && one.until.is_none()
        {
            return vec![one.key.clone()];
        }
        let day = day();
        let valid = secrets.iter().filter(|one| one.is_valid_on(day));
        valid.map(|one| one.key.clone()).collect()
    }
}

/// Whose secret is read, a device's or a pool's, and from which key.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) key: &'static str,
    pub(super) device: &'a str,
}

/// Reads a secret that is for ever, of a pool.
pub(super) fn one(
    report: &mut Report,
    surroundings: &Surroundings,
    secrets: &Secrets,
    of: Of<'_>,
    node: &Node,
) -> Option<doorward_tacacs::Secret> {
    key(report, surroundings, secrets, of, node, None).map(|(key, _)| key)
}

/// The secrets that RadSec has by its RFCs, and everybody knows.
const OF_RADSEC: [&[u8]; 2] = [b"radsec", b"radius/dtls"];

/// Reads the secret of a device; each one with the place of its reference.
pub(super) fn read(
    report: &mut Report,
    surroundings: &Surroundings,
    secrets: &Secrets,
    of: Of<'_>,
    node: &Node,
) -> Vec<(SharedSecret, Span)> {
    let Some(list) = node.as_list() else {
        let key = key(report, surroundings, secrets, of, node, None);
        return key
            .map(|(key, since)| {
                let one = SharedSecret {
                    key,
                    from: None,
                    until: None,
                    since,
                };
                (one, node.span)
            })
            .into_iter()
            .collect();
    };
    if list.is_empty() {
        report
            .error(node.span, format!("`{}` is an empty list", of.key))
            .help("write a reference, or take the key out");
    }
    let read: Vec<(SharedSecret, Span)> = list
        .iter()
        .filter_map(|node| dated(report, surroundings, secrets, of, node))
        .collect();
    for (index, (one, span)) in read.iter().enumerate() {
        let before = read.iter().take(index);
        if let Some((_, first)) = before.into_iter().find(|(other, _)| other.key == one.key) {
            report
                .error(
                    *span,
                    "this is the same secret as another one of the device",
                )
                .see(*first, "the other one")
                .help("a changeover is from one secret to another; give the new one here");
        }
    }
    if !list.is_empty() && read.len() == list.len() {
        changeover(report, surroundings, of, node, &read);
    }
    read
}

/// `{ key = REF, from = DAY, until = DAY }`.
fn dated(
    report: &mut Report,
    surroundings: &Surroundings,
    secrets: &Secrets,
    of: Of<'_>,
    node: &Node,
) -> Option<(SharedSecret, Span)> {
    if node.as_table().is_none() {
        hide(report, node);
        report
            .error(
                node.span,
                format!("an element of `{}` must be a table", of.key),
            )
            .help("write { key = \"file:PATH\", from = 2027-01-01, until = 2027-01-31 }; both days may be left out");
        return None;
    }
    let mut section = Section::new(report, format!("`{}` of a device", of.key), node)?;
    let reference = section.required(report, "key");
    let from = section
        .value("from")
        .map(|node| (value::date(report, "from", node), node.span));
    let until = section
        .value("until")
        .map(|node| (value::date(report, "until", node), node.span));
    section.finish(report);
    let reference = reference?;
    let (first, last) = (from.and_then(|one| one.0), until.and_then(|one| one.0));
    if let (Some(first), Some(last), Some((_, span))) = (first, last, until)
        && last < first
    {
        report
            .error(
                span,
                "`until` is before `from`, so that this secret is never valid",
            )
            .help("`from` is the first day of it, `until` the last");
    }
    let (key, since) = key(report, surroundings, secrets, of, reference, first)?;
    let one = SharedSecret {
        key,
        from: first,
        until: last,
        since,
    };
    Some((one, reference.span))
}

/// The secret of a reference, judged by `[secrets]`, and since when it is in use.
fn key(
    report: &mut Report,
    surroundings: &Surroundings,
    secrets: &Secrets,
    of: Of<'_>,
    node: &Node,
    from: Option<Date>,
) -> Option<(doorward_tacacs::Secret, Option<Timestamp>)> {
    let octets = secret::resolve(report, surroundings, of.key, node)?;
    if of.key != "tacacs_secret" && OF_RADSEC.contains(&octets.as_slice()) {
        report
            .error(
                node.span,
                format!("this `{}` is one that RadSec has by its RFC, so that everybody knows it", of.key),
            )
            .help("RADIUS/UDP is protected by this secret alone: take a random one (`openssl rand -base64 24`)");
        return None;
    }
    secrets.judge(report, of, node, &octets);
    let since = secrets.age(report, surroundings, of, node, from);
    Some((doorward_tacacs::Secret::new(octets.to_vec()), since))
}

/// Days before the last one of the last secret from which on it is spoken of.
const NOTICE: i32 = 30;

/// Whether there is a day, from now on, on which the device would have no secret.
fn changeover(
    report: &mut Report,
    surroundings: &Surroundings,
    of: Of<'_>,
    node: &Node,
    read: &[(SharedSecret, Span)],
) {
    let today = surroundings.today();
    let valid = |day: Date| read.iter().any(|(one, _)| one.is_valid_on(day));
    // The first day without one is today, or follows the last day of one of them.
    let ends = read
        .iter()
        .filter_map(|(one, _)| one.until?.tomorrow().ok());
    let gap = std::iter::once(today)
        .chain(ends.filter(|day| *day >= today))
        .filter(|day| !valid(*day))
        .min();
    let Some(gap) = gap else {
        return;
    };
    let later = read.iter().filter_map(|(one, _)| one.from);
    let next = later.filter(|from| *from > gap).min();
    let secret = of.key;
    let message = match next {
        _ if gap > today && next.is_none() && (gap - today).get_days() > NOTICE => return,
        Some(next) if gap == today => {
            format!("no `{secret}` of this device is valid today: it is refused until {next}")
        }
        None if gap == today => {
            format!("no `{secret}` of this device is valid any more: it is refused")
        }
        Some(next) => format!(
            "no `{secret}` of this device is valid from {gap} until {next}: it will be refused then"
        ),
        None => {
            format!("no `{secret}` of this device is valid from {gap} on: it will be refused then")
        }
    };
    report
        .warning(Lint::SecretGap, node.span, message)
        .on(format!("device.{}", of.device))
        .help("let the days of the old and the new secret overlap, and leave `until` of the new one out");
}
