//! The move to TLS of `docs/guide/hastls.md`, typed through, with a zone that Knot DNS signs itself.

use std::process::{Command, Output};

use serde_json::json;

use crate::harness::{Place, all_said, code, doorward};
use crate::hastls_published::{check, names, with_listeners};
use crate::zones::{NameServer, free};

/// The commands of the guide's move to TLS, in its order, with how each ends and what it says.
const STORY: [(&str, i32, &[&str]); 9] = [
    (
        "kdig @192.0.2.53 +noall +answer example.net DNSKEY > example.net.anchor",
        0,
        &[],
    ),
    (PUBLISH, 0, &[]),
    (CHECK, 0, &["the zone says what listens: (49 300), proved"]),
    ("doorward reload", 0, &["reloaded"]),
    (
        CHECK,
        0,
        &[
            "the zone says what listens: (49 300), proved",
            "note: TACACS+ on port 49 without TLS closes after 2027-06-30",
        ],
    ),
    (
        "(echo server 192.0.2.53; doorward hastls publish --name aaa1.example.net --on 2027-07-01 --nsupdate) | nsupdate",
        0,
        &[],
    ),
    (
        CHECK,
        0,
        &[
            "(0 300), proved",
            "note: the move to TLS ends today: the zone says (0 300) already, and TACACS+ on port 49 without TLS closes after 2027-06-30",
        ],
    ),
    ("doorward reload", 0, &["reloaded"]),
    (CHECK, 0, &["the zone says what listens: (0 300), proved"]),
];
const PUBLISH: &str = "(echo server 192.0.2.53; doorward hastls publish --name aaa1.example.net --nsupdate) | nsupdate";
const CHECK: &str = "doorward hastls check --name aaa1.example.net";

const GUIDE: &str = include_str!("../../../../docs/guide/hastls.md");

/// The code blocks of a kind, in their order.
fn blocks(kind: &str) -> Vec<&'static str> {
    let parts = GUIDE.split("```").skip(1).step_by(2);
    parts
        .filter_map(|part| part.strip_prefix(kind))
        .map(str::trim)
        .collect()
}

/// The guide's zone, signed by Knot DNS itself, and its server, on ports of the test.
struct Site {
    place: Place,
    server: NameServer,
    /// The guide's words, and those of this test.
    words: Vec<(String, String)>,
    last: String,
}

impl Site {
    fn new() -> Self {
        let (dns, plain, tls) = (free(), free(), free());
        let place = with_listeners(&[
            ("tacacs-tls", &format!("address = \"{tls}\"")),
            ("tacacs", &format!("address = \"{plain}\"")),
        ]);
        let zone = "$TTL 300\n@ SOA ns1 hostmaster 1 3600 900 86400 300\n@ NS ns1\nns1 A 192.0.2.53\naaa1 A 192.0.2.49\n";
        std::fs::write(place.path("example.net.zone"), zone).unwrap();
        let [yaml] = blocks("yaml")[..] else { panic!() };
        let folder = place.path("").display().to_string();
        let at = format!("{}@{}", dns.ip(), dns.port());
        let yaml = yaml
            .replace("192.0.2.53@53", &at)
            .replace("192.0.2.53", "127.0.0.1");
        let own = format!("server:\n    rundir: \"{folder}\"\n");
        let yaml = yaml.replacen("server:\n", &own, 1);
        let rest = format!(
            "database:\n  storage: \"{folder}/db\"\ntemplate:\n  - id: default\n    storage: \"{folder}\"\nlog:\n  - target: stderr\n    any: warning\n"
        );
        std::fs::create_dir(place.path("db")).unwrap();
        let file = place.path("knot.conf");
        std::fs::write(&file, format!("{rest}{yaml}\n")).unwrap();
        let server = NameServer::knot(&file, dns, "example.net");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_doorward"), place.path("doorward")).unwrap();
        let today = jiff::Zoned::now().date();
        let port = |one: std::net::SocketAddr| one.port().to_string();
        let words = [
            (
                "echo server 192.0.2.53",
                format!("echo server 127.0.0.1 {}", dns.port()),
            ),
            (
                "kdig @192.0.2.53",
                format!("kdig -p {} @127.0.0.1", dns.port()),
            ),
            ("\"192.0.2.53\"", format!("\"{dns}\"")),
            ("(49 300)", format!("({} {})", port(plain), port(tls))),
            ("(0 300)", format!("(0 {})", port(tls))),
            ("port 49 ", format!("port {} ", port(plain))),
            ("2027-06-30", today.to_string()),
            ("2027-07-01", today.tomorrow().unwrap().to_string()),
        ];
        let words = words.map(|(one, other)| (one.to_owned(), other)).to_vec();
        Self {
            last: format!("address = \"{plain}\""),
            place,
            server,
            words,
        }
    }

    fn ours(&self, text: &str) -> String {
        let swap = |text: String, (one, other): &(String, String)| text.replace(one, other);
        self.words.iter().fold(text.to_owned(), swap)
    }

    fn type_in(&self, line: &str) -> Output {
        let path = format!(
            "{}:{}",
            self.place.path("").display(),
            std::env::var("PATH").unwrap()
        );
        Command::new("sh")
            .args(["-c", &self.ours(line)])
            .current_dir(self.place.path(""))
            .env("PATH", path)
            .env("DOORWARD_CONFIG", self.place.config())
            .output()
            .unwrap()
    }
}

/// Every command of the guide's story, typed through: from both to TLS alone, without a lie on any day.
#[test]
fn the_story_of_the_guide_is_true() {
    let lines: Vec<&str> = blocks("sh")
        .iter()
        .flat_map(|block| block.lines())
        .collect();
    let story: Vec<&str> = STORY.iter().map(|(line, ..)| *line).collect();
    assert_eq!(lines, story);
    let mut today = jiff::Zoned::now().date();
    // Who begins a minute before midnight sees the listener close too early.
    while !the_story() {
        let now = jiff::Zoned::now().date();
        assert_ne!(now, today, "it failed, and not for the change of the day");
        today = now;
    }
}

/// False if the day changed meanwhile.
fn the_story() -> bool {
    let today = jiff::Zoned::now().date();
    let site = Site::new();
    assert!(site.server.address.ip().is_loopback());
    let server = site.place.start();
    for (at, (line, ends, says)) in STORY.iter().enumerate() {
        let until = format!("{}\nuntil = {today}", site.last);
        match at {
            // The anchor is there: the file may name it.
            1 => {
                let [dns] = blocks("toml")[..] else { panic!() };
                let dns = format!("{}\n\n[tls.default]", site.ours(dns));
                site.place.edit(&[("[tls.default]", &dns)]);
            }
            3 => site.place.edit(&[(&site.last, &until)]),
            7 => {
                let table = format!("[[listen]]\nprotocol = \"tacacs\"\n{until}\n");
                site.place.edit(&[(&table, "")]);
            }
            _ => {}
        }
        let output = site.type_in(line);
        if jiff::Zoned::now().date() != today {
            return false;
        }
        assert_eq!(code(&output), *ends, "{line}: {}", all_said(&output));
        for text in *says {
            let text = site.ours(text);
            assert!(
                all_said(&output).contains(&text),
                "{line}: {text}: {}",
                all_said(&output)
            );
        }
    }
    drop(server);
    true
}

/// A running server counts beside the file: what it has open is what clients meet.
///
/// proves: HAS-2-8
#[test]
fn the_running_server_is_compared_as_well() {
    let site = Site::new();
    let server = site.place.start();
    for line in [STORY[0].0, PUBLISH] {
        let output = site.type_in(line);
        assert_eq!(code(&output), 0, "{}", all_said(&output));
    }
    let anchor = site.place.path("example.net.anchor");
    let host = "aaa1.example.net";
    let (ends, said) = check(&site.place, host, &site.server, &anchor);
    assert_eq!((ends, &said["faults"]), (0, &json!([])), "{said}");
    // The listener is taken out of the file, and the zone is changed, but nobody reloads.
    let table = format!("[[listen]]\nprotocol = \"tacacs\"\n{}\n", site.last);
    site.place.edit(&[(&table, "")]);
    let output = site.type_in(PUBLISH);
    assert_eq!(code(&output), 0, "{}", all_said(&output));
    let (ends, said) = check(&site.place, host, &site.server, &anchor);
    assert_eq!(
        (ends, names(&said, "faults")),
        (2, vec!["plain-open".to_owned()]),
        "{said}"
    );
    assert_eq!(said["faults"][0]["of"], json!(["server"]));
    assert!(
        said["remarks"].to_string().contains("doorward reload"),
        "{said}"
    );
    assert_eq!(code(&site.place.ask(&["reload"])), 0);
    let (ends, said) = check(&site.place, host, &site.server, &anchor);
    assert_eq!((ends, &said["faults"]), (0, &json!([])), "{said}");
    drop(server);
    // Without a server there is only the file.
    let (ends, said) = check(&site.place, host, &site.server, &anchor);
    assert_eq!(ends, 0, "{said}");
    assert!(
        said["remarks"].to_string().contains("the file alone"),
        "{said}"
    );
    let output = doorward()
        .args(["hastls", "check", "--name", host, "--config", "absent.toml"])
        .output();
    assert_eq!(code(&output.unwrap()), 1);
}
