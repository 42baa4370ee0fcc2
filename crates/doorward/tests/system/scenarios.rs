//! Scenario scripts: conversations with the real server, each step under the rule that it shows.
//!
//! ```text
//! config "OLD" => "NEW"            before the start: text of the demo's configuration, in JSON strings
//! > ID requirement                 a rule; its text is that of the ledger, word for word
//! connect plain | tls              a new connection; the one before is left
//! connect plain only               the same, about something that TLS does not have: obfuscation, or the wrong flag
//! send KIND key=value ... [: ARGUMENT ...]
//! expect STATUS key=value ... [: ARGUMENT ...]     the next reply; after `:` all of its arguments, in order
//! expect header key=value ...      a reply without a body
//! expect closed                    the server has closed, without another octet
//! ```
//!
//! Kinds are `ascii`, `pap`, `chap`, `enable`, `chpass`, `start`, `continue`, `abort`, `author`, `acct`, `garbled` and `raw`. A value that begins with `$` is
//! a password of the demo. Every step has a rule above it, so that a script is read like the document.

use std::collections::HashMap;
use std::path::Path;

use doorward_tacacs::ChallengeMethod;

use crate::harness::{Place, Server};
use crate::sessions::author_arguments;
use crate::wire::{
    ACCOUNTING, AUTHENTICATION, AUTHORIZATION, Packet, Peer, acct, answer, author, start,
};

const AUTHENTICATION_STATUS: [(&str, u8); 7] = [
    ("PASS", 1),
    ("FAIL", 2),
    ("GETDATA", 3),
    ("GETUSER", 4),
    ("GETPASS", 5),
    ("RESTART", 6),
    ("ERROR", 7),
];
const AUTHORIZATION_STATUS: [(&str, u8); 4] = [
    ("PASS_ADD", 0x01),
    ("PASS_REPL", 0x02),
    ("FAIL", 0x10),
    ("ERROR", 0x11),
];
const ACCOUNTING_STATUS: [(&str, u8); 2] = [("SUCCESS", 1), ("ERROR", 2)];

/// A line of a script without its verb.
struct Line<'a> {
    word: &'a str,
    keys: HashMap<&'a str, String>,
    arguments: Option<Vec<&'a str>>,
}

impl<'a> Line<'a> {
    fn read(text: &'a str, place: &Place) -> Self {
        let (head, arguments) = match text.split_once(" :") {
            Some((head, rest)) => (head, Some(rest.split_whitespace().collect())),
            None => (text, None),
        };
        let mut words = head.split_whitespace();
        let word = words.next().unwrap_or_default();
        let keys = words.map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = match value.strip_prefix('$') {
                Some(user) => place.text(&format!("{user}.password")),
                None => value.to_owned(),
            };
            (key, value)
        });
        Self {
            word,
            keys: keys.collect(),
            arguments,
        }
    }

    fn text(&self, key: &str) -> &str {
        self.keys.get(key).map_or("", String::as_str)
    }

    fn number(&self, key: &str) -> Option<u32> {
        let text = self.keys.get(key)?;
        Some(match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).unwrap(),
            None => text.parse().unwrap(),
        })
    }

    fn octet(&self, key: &str, default: u8) -> u8 {
        self.number(key)
            .map_or(default, |number| number.try_into().unwrap())
    }

    /// The packet that `send` sends.
    fn packet(&self) -> Packet {
        let session = self.number("session").unwrap_or(1);
        let (user, level) = (self.text("user"), self.octet("level", 1));
        let kind = self.octet("type", 1);
        let opening = |numbers: [u8; 4]| {
            start(
                numbers,
                session,
                user.as_bytes(),
                self.text("data").as_bytes(),
            )
        };
        let arguments = self.arguments.as_deref().unwrap_or_default();
        let mut packet = match self.word {
            "ascii" => opening([1, level, 1, 1]),
            "enable" => opening([1, level, kind, 2]),
            "chpass" => opening([2, level, 1, 1]),
            "start" => opening([
                self.octet("action", 1),
                level,
                kind,
                self.octet("service", 1),
            ]),
            "pap" => {
                let password = self.text("password").as_bytes();
                start([1, level, 2, 1], session, user.as_bytes(), password).version(0xc1)
            }
            "chap" => {
                let challenge = vec![7; usize::from(self.octet("challenge", 16))];
                let secret = self.text("secret").as_bytes();
                let data = ChallengeMethod::Chap.respond(1, &challenge, &[0; 16], b"", secret);
                start([1, level, 3, 1], session, user.as_bytes(), &data.unwrap()).version(0xc1)
            }
            "continue" => answer(session, 3, self.text("text")),
            "abort" => Packet::new(AUTHENTICATION, session, vec![0, 0, 0, 0, 1]).seq(3),
            "author" => author(session, user, arguments),
            "acct" => acct(session, self.octet("record", 2), user, arguments),
            // A body whose lengths do not add up, which is what a wrong secret looks like.
            "garbled" => Packet::new(
                AUTHENTICATION,
                session,
                vec![1, 1, 1, 1, 200, 200, 200, 200],
            ),
            "raw" => Packet::new(self.octet("kind", 1), session, vec![0; 8]),
            other => panic!("there is no kind {other:?}"),
        };
        packet.version = self.octet("version", packet.version);
        packet.seq = self.octet("seq", packet.seq);
        let flags = self.octet("flags", 0);
        packet.flags(flags)
    }

    /// Compares a reply with what `expect` says.
    /// `set`: bits of the flags that the transport adds.
    fn compare(&self, reply: &Packet, step: &str, set: u32) {
        for (key, found) in [
            ("seq", u32::from(reply.seq)),
            ("flags", u32::from(reply.flags)),
            ("session", reply.session),
            ("version", u32::from(reply.version)),
            ("kind", u32::from(reply.kind)),
        ] {
            let added = if key == "flags" { set } else { 0 };
            if let Some(wanted) = self.number(key) {
                assert_eq!(found, wanted | added, "{step}: {key}");
            }
        }
        if self.word == "header" {
            assert!(reply.body.is_empty(), "{step}: {reply:?}");
            return;
        }
        let (names, at): (&[(&str, u8)], _) = match reply.kind {
            AUTHENTICATION => (&AUTHENTICATION_STATUS, 0),
            AUTHORIZATION => (&AUTHORIZATION_STATUS, 0),
            ACCOUNTING => (&ACCOUNTING_STATUS, 4),
            other => panic!("{step}: a reply of type {other}"),
        };
        let status = reply.body[at];
        let found = names.iter().find(|(_, number)| *number == status);
        assert_eq!(found.map(|(name, _)| *name), Some(self.word), "{step}");
        if reply.kind == AUTHENTICATION {
            let no_echo = self.keys.contains_key("noecho");
            let question = matches!(status, 3..=5);
            assert!(
                !question || (reply.body[1] == 1) == no_echo,
                "{step}: noecho"
            );
        }
        if let Some(wanted) = &self.arguments {
            assert_eq!(&author_arguments(reply), wanted, "{step}");
        }
    }
}

/// The requirements of the ledger by their ids.
fn rules() -> HashMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance");
    let mut rules = HashMap::new();
    for document in ["rfc8907.csv", "tacacs-draft05.csv"] {
        let text = std::fs::read_to_string(folder.join(document)).unwrap();
        for line in text.lines().skip(1) {
            let fields = fields(line);
            rules.insert(fields[0].clone(), fields[4].clone());
        }
    }
    rules
}

/// The fields of a line of CSV, in which quotes may stand around one that has commas.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    for char in line.chars() {
        match char {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

struct Stage {
    place: Place,
    server: Server,
    peer: Option<Peer>,
    /// Every connection is made with TLS.
    all_tls: bool,
    /// Until the next connection.
    skipping: bool,
}

impl Stage {
    fn peer(&mut self, step: &str) -> &mut Peer {
        let peer = self.peer.as_mut();
        peer.unwrap_or_else(|| panic!("{step}: nothing is connected"))
    }

    fn act(&mut self, line: &str, step: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "connect" => {
                self.skipping = self.all_tls && rest == "plain only";
                self.peer = Some(match rest {
                    "plain" if self.all_tls => {
                        Peer::tls(self.server.tls(), &self.place, "core1").unwrap()
                    }
                    "plain only" => Peer::plain(self.server.plain(), &self.place),
                    "plain" => Peer::plain(self.server.plain(), &self.place),
                    "tls" => Peer::tls(self.server.tls(), &self.place, "core1").unwrap(),
                    other => panic!("{step}: no connection is {other:?}"),
                });
            }
            _ if self.skipping => {}
            "send" => {
                let packet = Line::read(rest, &self.place).packet();
                self.peer(step).send(packet);
            }
            "expect" if rest == "closed" => {
                assert_eq!(self.peer(step).rest(), [0; 0], "{step}");
            }
            "expect" => {
                let reply = self.peer(step).receive();
                let reply = reply.unwrap_or_else(|error| panic!("{step}: {error}"));
                let set = u32::from(self.all_tls);
                Line::read(rest, &self.place).compare(&reply, step, set);
            }
            other => panic!("{step}: there is no verb {other:?}"),
        }
    }
}

fn play(name: &str) {
    play_over(name, false);
}

fn play_over(name: &str, all_tls: bool) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/scenarios")
        .join(name);
    let script = std::fs::read_to_string(&file).unwrap();
    let rules = rules();
    let mut changes: Vec<(String, String)> = Vec::new();
    for line in script
        .lines()
        .filter_map(|line| line.strip_prefix("config "))
    {
        let (old, new) = line.split_once(" => ").unwrap();
        changes.push((
            serde_json::from_str(old).unwrap(),
            serde_json::from_str(new).unwrap(),
        ));
    }
    let changes: Vec<(&str, &str)> = changes.iter().map(|(old, new)| (&**old, &**new)).collect();
    let place = Place::with(&changes);
    let server = place.start();
    let mut stage = Stage {
        place,
        server,
        peer: None,
        all_tls,
        skipping: false,
    };
    let (mut rule, mut steps) = (None, 0);
    for (number, line) in script.lines().enumerate() {
        let step = format!("{name}:{}: {line}", number + 1);
        match line.split_once(' ') {
            None if line.is_empty() => rule = None,
            Some(("#" | "config", _)) => {}
            Some((">", quoted)) => {
                let (id, text) = quoted.split_once(' ').unwrap();
                assert_eq!(rules.get(id).map(String::as_str), Some(text), "{step}");
                rule = Some(id);
            }
            _ => {
                assert!(rule.is_some(), "{step}: no rule stands above it");
                stage.act(line, &step);
                steps += 1;
            }
        }
    }
    assert!(steps > 5, "{name} has {steps} steps");
}

/// proves: TAC-5.4.2.1-3, TAC-5.4.2.1-4, TAC-5.4.2.1-5, TAC-5.4.2.1-7, TAC-5.4.2.2-3, TAC-5.4.2.3-6, TAC-5.4.2.6-1, TAC-5.4.2.6-5, TAC-5.4.2.7-4
#[test]
fn logins() {
    play("logins.txt");
}

/// proves: TAC-4.3-1, TAC-4.4-8, TAC-4.5-10, TAC-3.6-3, TAC-4.1-8
#[test]
fn connections() {
    play("connections.txt");
}

/// proves: TAC-6.1-10, TAC-6.1-11, TAC-6.1-12, TAC-6.1-14, TAC-8.2-4, TAC-8.2-5, TAC-8.2-7
#[test]
fn authorization() {
    play("authorization.txt");
}

/// proves: TAC-7.2-12, TAC-7.2-13, D05-6.2-4
#[test]
fn accounting() {
    play("accounting.txt");
}

/// proves: D05-4.4.1-1, D05-4.4.1-2, D05-4.4.2-1, D05-3.3-3
#[test]
fn draft_05() {
    play("draft-05.txt");
}

/// Every conversation of the document once more, over TLS: only the flag differs.
///
/// proves: TLS-3.2-4
#[test]
fn the_same_over_tls() {
    for name in [
        "logins.txt",
        "authorization.txt",
        "accounting.txt",
        "connections.txt",
    ] {
        play_over(name, true);
    }
}
