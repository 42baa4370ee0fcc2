//! `[secrets]`: what shared secrets have to be like (RFC 8907 section 10.5.1).

use std::collections::HashMap;
use std::time::Duration;

use zeroize::Zeroizing;

use super::Lint;
use crate::config::Surroundings;
use crate::config::device::ReadDevice;
use crate::config::file::Document;
use crate::config::report::{Fold, Report};
use crate::config::secret::folder;
use crate::config::section::Section;
use crate::config::shared_secret::Of;
use crate::config::source::{Span, escape};
use crate::config::tree::Node;
use crate::config::value;
use crate::secret::Reference;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// `[secrets]`, or what counts without it.
#[derive(Clone, Debug)]
pub(in crate::config) struct Secrets {
    /// Characters.
    min_length: usize,
    /// Of small letters, capital letters, digits and everything else.
    classes: usize,
    /// What breaks a rule that the file writes itself is refused; what breaks one that counts without it is told of.
    strict: bool,
    max_age: Duration,
    shared: Shared,
}

/// One secret on several devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shared {
    Warn,
    Refuse,
}

impl Secrets {
    pub(in crate::config) fn read(report: &mut Report, document: &Document<'_>) -> Self {
        let mut secrets = Self {
            min_length: 16,
            classes: 0,
            strict: false,
            max_age: 365 * DAY,
            shared: Shared::Warn,
        };
        let Some(entry) = document.single(report, "secrets") else {
            return secrets;
        };
        let Some(mut section) = Section::new(report, "[secrets]", &entry.value) else {
            return secrets;
        };
        if let Some(node) = section.value("min_length") {
            let read = value::integer(report, "min_length", node, 1..=1024);
            secrets.min_length = read.unwrap_or(secrets.min_length);
            secrets.strict = true;
        }
        if let Some(node) = section.value("classes") {
            let read = value::integer(report, "classes", node, 0..=4);
            secrets.classes = read.unwrap_or(secrets.classes);
            secrets.strict = true;
        }
        if let Some(node) = section.value("max_age") {
            let read = value::duration_from(report, "max_age", node, DAY);
            secrets.max_age = read.unwrap_or(secrets.max_age);
        }
        if let Some(node) = section.value("shared") {
            let words = [("warn", Shared::Warn), ("refuse", Shared::Refuse)];
            let read = value::choice(report, "shared", node, &words);
            secrets.shared = read.unwrap_or(secrets.shared);
        }
        section.finish(report);
        secrets
    }

    /// Is one secret for several an error?
    pub(in crate::config) fn refuse_shared(&self) -> bool {
        self.shared == Shared::Refuse
    }

    /// Looks at a shared secret of a device.
    pub(in crate::config) fn judge(
        &self,
        report: &mut Report,
        of: Of<'_>,
        node: &Node,
        secret: &[u8],
    ) {
        if let Some(weakness) = self.weakness(of.device, secret) {
            let key = of.key;
            let refused = self.strict && !matches!(weakness, Weakness::Guessable);
            let message = match weakness {
                Weakness::Short => {
                    let least = self.min_length;
                    format!("this `{key}` has fewer than {least} characters")
                }
                Weakness::Simple => format!(
                    "this `{key}` has characters of fewer than {} kinds (small letters, capital letters, digits, others)",
                    self.classes
                ),
                Weakness::Guessable => format!(
                    "this `{key}` is easily guessed: a well-known word, the device's name, a row or a repetition"
                ),
            };
            let found = if refused {
                report.error(node.span, format!("{message}, which [secrets] refuses"))
            } else {
                report.warning(Lint::WeakSecret, node.span, message)
            };
            found.help("take a random one of 24 characters or more (`openssl rand -base64 24`); better still, let the device use TLS");
        }
    }

    /// Since when a secret is in use: `from`, where it has one, and else the time of its file.
    pub(in crate::config) fn age(
        &self,
        report: &mut Report,
        surroundings: &Surroundings,
        of: Of<'_>,
        node: &Node,
        from: Option<jiff::civil::Date>,
    ) -> Option<jiff::Timestamp> {
        let zone = jiff::tz::TimeZone::system();
        let since = match from {
            Some(day) => day.to_zoned(zone.clone()).ok()?.timestamp(),
            None => file_time(report, node)?,
        };
        let age = surroundings.now.duration_since(since);
        if age > jiff::SignedDuration::try_from(self.max_age).unwrap_or(jiff::SignedDuration::MAX) {
            let day = since.to_zoned(zone).date();
            let days = self.max_age.as_secs() / DAY.as_secs();
            report
                .warning(
                    Lint::OldSecret,
                    node.span,
                    format!("this `{}` is in use since {day}, for longer than {days} days (`max_age` of [secrets])", of.key),
                )
                .help("give the device a new one; a list with `from` and `until` has both valid while you do (docs/guide/security.md)");
        }
        Some(since)
    }

    fn weakness(&self, device: &str, secret: &[u8]) -> Option<Weakness> {
        let text = std::str::from_utf8(secret).ok();
        let length = text.map_or(secret.len(), |text| text.chars().count());
        if length < self.min_length {
            return Some(Weakness::Short);
        }
        if classes(secret) < self.classes {
            return Some(Weakness::Simple);
        }
        guessable(device, secret).then_some(Weakness::Guessable)
    }
}

fn file_time(report: &Report, node: &Node) -> Option<jiff::Timestamp> {
    let Some(Reference::File(path)) = node.as_str().and_then(Reference::parse) else {
        return None;
    };
    let path = folder(report, node.span).join(path);
    let changed = std::fs::metadata(&path).and_then(|data| data.modified());
    jiff::Timestamp::try_from(changed.ok()?).ok()
}

enum Weakness {
    Short,
    Simple,
    Guessable,
}

fn classes(secret: &[u8]) -> usize {
    let kinds: [fn(&u8) -> bool; 4] = [
        u8::is_ascii_lowercase,
        u8::is_ascii_uppercase,
        u8::is_ascii_digit,
        |octet| !octet.is_ascii_alphanumeric(),
    ];
    kinds
        .iter()
        .filter(|kind| secret.iter().any(**kind))
        .count()
}

/// Words that are tried first. The longer ones stand before those they contain.
const WORDS: [&str; 36] = [
    "sharedsecret",
    "password",
    "changeme",
    "tacacsplus",
    "passw0rd",
    "cleartext",
    "administrator",
    "default",
    "example",
    "testing",
    "network",
    "juniper",
    "welcome",
    "letmein",
    "company",
    "tacacs",
    "radius",
    "router",
    "switch",
    "secret",
    "qwerty",
    "arista",
    "nokia",
    "huawei",
    "passwd",
    "shared",
    "device",
    "server",
    "cisco",
    "admin",
    "login",
    "asdf",
    "test",
    "pass",
    "key",
    "lab",
];

/// Letters and digits that may be left over beside well-known words.
const LEFT: usize = 3;

fn guessable(device: &str, secret: &[u8]) -> bool {
    repeats(secret) || is_row(secret) || is_words(device, secret)
}

/// The same piece again and again.
fn repeats(secret: &[u8]) -> bool {
    (1..=secret.len() / 2).any(|length| {
        let again = secret.iter().skip(length);
        secret.iter().zip(again).all(|(one, other)| one == other)
    })
}

/// 1234..., abcd...: nearly every octet follows from the one before.
fn is_row(secret: &[u8]) -> bool {
    let pairs = secret.iter().zip(secret.iter().skip(1));
    let near = pairs
        .filter(|(one, next)| one.abs_diff(**next) <= 1)
        .count();
    secret.len() >= 4 && near * 5 >= (secret.len() - 1) * 4
}

/// Well-known words or the device's own name, and hardly anything besides digits.
fn is_words(device: &str, secret: &[u8]) -> bool {
    let mut rest = Zeroizing::new(letters(secret));
    let before = rest.len();
    let own = letters(device.as_bytes());
    let own = (own.len() > LEFT).then_some(own.as_slice());
    for word in own
        .into_iter()
        .chain(WORDS.iter().map(|word| word.as_bytes()))
    {
        remove(&mut rest, word);
    }
    let letters_left = rest.iter().filter(|octet| !octet.is_ascii_digit());
    rest.len() < before && letters_left.count() <= LEFT
}

/// Small letters and digits of a text.
fn letters(text: &[u8]) -> Vec<u8> {
    let known = text
        .iter()
        .filter(|octet| octet.is_ascii_alphanumeric() || !octet.is_ascii());
    known.map(u8::to_ascii_lowercase).collect()
}

fn remove(text: &mut Vec<u8>, word: &[u8]) {
    while let Some(at) = text.windows(word.len()).position(|window| window == word) {
        text.drain(at..at + word.len());
    }
}

/// Secrets that several devices have.
pub(in crate::config) fn shared(report: &mut Report, secrets: &Secrets, devices: &[ReadDevice]) {
    let mut users: HashMap<&[u8], Vec<User<'_>>> = HashMap::new();
    for read in devices {
        for (key, secret, span) in read.shared_secrets() {
            let users = users.entry(secret.key.octets()).or_default();
            // Twice on one device is another mistake, told where the list is read.
            if users
                .last()
                .is_none_or(|(last, ..)| !std::ptr::eq(*last, read))
            {
                users.push((read, key, span));
            }
        }
    }
    let mut shared: Vec<_> = users
        .into_values()
        .filter(|users| users.len() > 1)
        .collect();
    shared.sort_unstable_by_key(|users| users.first().map(|(.., span)| *span));
    for users in shared {
        let count = users.len();
        if secrets.shared == Shared::Refuse {
            refuse(report, &users);
            continue;
        }
        report.fold(Fold {
            lint: Lint::SharedSecret,
            sections: users
                .iter()
                .map(|(read, _, span)| (format!("device.{}", read.device.name), *span))
                .collect(),
            message: &|names, named| {
                let list = if named == count { ":" } else { ", among them" };
                format!("one {} is used by {count} devices{list} {names}", called(&users))
            },
            help: "give each device its own: whoever learns it on one of them can read and forge what the others say",
        });
    }
}

/// A device that has a secret, by which key, and where.
type User<'a> = (&'a ReadDevice, &'static str, Span);

/// How a message calls a secret of several devices.
fn called(users: &[User<'_>]) -> String {
    let first = users.first().map_or("tacacs_secret", |(_, key, _)| *key);
    if users.iter().all(|(_, key, _)| *key == first) {
        format!("`{first}`")
    } else {
        "secret (`tacacs_secret` and `radius_secret`)".to_owned()
    }
}

fn refuse(report: &mut Report, users: &[User<'_>]) {
    let [(first, _, span), (second, _, other), rest @ ..] = users else {
        return;
    };
    let more = match rest.len() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    let message = format!(
        "one {} is used by {} devices, and [secrets] refuses that: [device.{}], [device.{}]{more}",
        called(users),
        users.len(),
        escape(&first.device.name),
        escape(&second.device.name)
    );
    report
        .error(*other, message)
        .see(*span, "the other one")
        .help("give each device its own, or set `shared = \"warn\"` in [secrets]");
}
