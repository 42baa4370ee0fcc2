//! The command against a server in a thread: what it sends, says and exits with.

mod answers;
mod logins;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use clap::Parser;
use doorward_tacacs::server::{Answer, Config, Event};
use doorward_tacacs::{
    AccountingStatus, ArgumentList, AuthenticationStatus, AuthorizationStatus, Dialect, Now,
    Protection, Secret, ServerConnection, accounting, authentication, authorization,
};
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "squeamish ossifrage";

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    ask: Box<Ask>,
}

fn parse(words: &[&str]) -> Result<Ask, clap::Error> {
    Line::try_parse_from([&["client"], words].concat()).map(|line| *line.ask)
}

/// What the command reports, and what it would exit with.
fn ask(words: &[&str]) -> Result<(Value, String), Problem> {
    let report = prepare_and_ask(parse(words).unwrap())?;
    let value = serde_json::to_value(&report).unwrap();
    Ok((value, format!("{:?}", report.print(true))))
}

fn code(code: u8) -> String {
    format!("{:?}", ExitCode::from(code))
}

fn usage(words: &[&str]) -> String {
    match ask(words) {
        Err(Problem::Usage(why)) => why,
        other => panic!("{words:?}: {other:?}"),
    }
}

/// A server that knows one password and permits `show`; it keeps what it was sent.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<String>>>>,
}

/// What a server answers; the strings are what it keeps.
type Judge = for<'a> fn(Event<'_>, &mut Vec<String>, &'a mut ArgumentList) -> Option<Answer<'a>>;

impl Server {
    fn start() -> Self {
        Self::with(judge, SECRET, Dialect::Rfc8907)
    }

    fn with(judge: Judge, secret: &str, dialect: Dialect) -> Self {
        let config = Config {
            dialect,
            ..Config::new(Protection::Obfuscated(vec![Secret::new(secret)]))
        };
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
        let kept = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, config.clone(), judge, &kept);
            }
        });
        Self { address, seen }
    }

    /// The command with the flags for this server put after the verb.
    fn ask(&self, words: &[&str]) -> (Value, String) {
        let address = self.address.to_string();
        let reference = format!("plain:{SECRET}");
        let (verb, rest) = words.split_first().unwrap();
        let flags = ["--server", &address, "--plain", "--secret", &reference];
        ask(&[&[*verb], flags.as_slice(), rest].concat()).unwrap()
    }

    fn seen(&self) -> Vec<Vec<String>> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, config: Arc<Config>, judge: Judge, seen: &Mutex<Vec<Vec<String>>>) {
    let mut connection = ServerConnection::new(config, Now::default());
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        connection.receive(&chunk[..count], Now::default());
        let mut arguments = ArgumentList::new();
        while let Some(event) = connection.poll() {
            let mut fields = Vec::new();
            let answer = judge(event, &mut fields, &mut arguments);
            seen.lock().unwrap().push(fields);
            if let Some(answer) = answer {
                connection.answer(answer, Now::default()).unwrap();
            }
        }
        let mut out = Vec::new();
        connection.poll_transmit(&mut out);
        stream.write_all(&out).unwrap();
        if connection.close_reason().is_some() {
            return;
        }
    }
}

fn judge<'a>(
    event: Event<'_>,
    seen: &mut Vec<String>,
    arguments: &'a mut ArgumentList,
) -> Option<Answer<'a>> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let verdict = |password: &[u8]| match password {
        b"correct horse" => AuthenticationStatus::PASS,
        b"" => AuthenticationStatus::GETPASS,
        b"broken" => AuthenticationStatus::ERROR,
        b"another" => AuthenticationStatus::RESTART,
        _ => AuthenticationStatus::FAIL,
    };
    Some(match event {
        Event::AuthenticationStart { ticket, start } => {
            seen.extend([start.user, start.port, start.rem_addr].map(text));
            seen.push(start.priv_lvl.0.to_string());
            let mut reply = authentication::Reply::new(verdict(start.data));
            reply.server_msg = b"hello";
            ticket.with(reply)
        }
        Event::AuthenticationContinue { ticket, answer } => {
            seen.push(text(answer.user_msg));
            ticket.with(authentication::Reply::new(verdict(answer.user_msg)))
        }
        Event::Authorization { ticket, request } => {
            seen.extend(request.arguments.raw().map(text));
            let mut reply = authorization::Reply::new(AuthorizationStatus::PASS_ADD);
            if seen.contains(&"cmd=".to_owned()) {
                arguments.push_raw("priv-lvl=15").unwrap();
            } else if seen.contains(&"cmd=vendor".to_owned())
                || seen.contains(&"service=junos-exec".to_owned())
            {
                arguments.push_raw("local-user-name=NOC").unwrap();
            } else if !seen.contains(&"cmd=show".to_owned()) {
                reply.status = AuthorizationStatus::FAIL;
            }
            reply.arguments = arguments.as_arguments();
            ticket.with(reply)
        }
        Event::Accounting { ticket, request } => {
            seen.push(request.flags.0.to_string());
            seen.extend(request.arguments.raw().map(text));
            ticket.with(accounting::Reply::new(AccountingStatus::SUCCESS))
        }
        Event::SessionEnded { .. } | Event::WrongFlag { .. } | Event::Refused { .. } => {
            return None;
        }
    })
}

#[test]
fn a_login_passes_or_fails() {
    let server = Server::start();
    for kind in ["pap", "ascii"] {
        let login = [
            "authenticate",
            "--user",
            "alice",
            "--type",
            kind,
            "--port-name",
            "tty10",
            "--rem-addr",
        ];
        let login = [
            login.as_slice(),
            &["2001:DB8::1", "--priv-lvl", "15", "--password"],
        ]
        .concat();
        let (report, exit) = server.ask(&[login.as_slice(), &["plain:correct horse"]].concat());
        assert_eq!(
            (&report["result"], &report["status"]),
            (&json!("pass"), &json!("PASS")),
            "{kind}"
        );
        assert_eq!(exit, code(0));
        assert!(report["ms"].as_f64().unwrap() > 0.0);
        assert!(
            report.get("tls").is_none()
                && report.get("args").is_none()
                && report.get("why").is_none()
        );
        assert_eq!(server.seen()[0], ["alice", "tty10", "2001:db8::1", "15"]);
        let (report, exit) = server.ask(&[login.as_slice(), &["plain:wrong"]].concat());
        assert_eq!(
            (&report["result"], &report["status"]),
            (&json!("fail"), &json!("FAIL")),
            "{kind}"
        );
        assert_eq!(exit, code(2));
    }
}

/// proves: TAC-5.4.3-7, D05-4.4.3-14
#[test]
fn restart_is_a_denial() {
    let server = Server::start();
    let login = [
        "authenticate",
        "--user",
        "alice",
        "--password",
        "plain:another",
    ];
    let (report, exit) = server.ask(&login);
    assert_eq!(
        (&report["result"], &report["status"]),
        (&json!("fail"), &json!("RESTART"))
    );
    assert_eq!(exit, code(2));
}

/// proves: TAC-4.4-4
#[test]
fn no_decision_is_an_error_and_not_a_denial() {
    let server = Server::start();
    let login = [
        "authenticate",
        "--user",
        "alice",
        "--type",
        "pap",
        "--password",
        "plain:broken",
    ];
    let (report, exit) = server.ask(&login);
    assert_eq!(
        (&report["result"], &report["status"]),
        (&json!("error"), &json!("ERROR"))
    );
    assert_eq!(exit, code(3));
    assert!(
        report["why"]
            .as_str()
            .unwrap()
            .contains(&server.address.to_string())
    );
}

/// proves: TAC-5.2-5, TAC-3.7-4
#[test]
fn the_message_is_escaped_and_data_is_not_for_people() {
    let answer = doorward_client::Authentication {
        decision: doorward_client::Decision::Pass,
        status: Some(AuthenticationStatus::PASS),
        server_msg: b"hello\x1b[2J".to_vec(),
        data: b"\x1bdata\xff".to_vec(),
        facts: doorward_client::Facts {
            server: "aaa1:49".to_owned(),
            tls: None,
            elapsed: Duration::from_micros(1900),
        },
    };
    let report = Report::authentication(&answer, "alice\n", &super::login::Wanted::Login);
    let text = report.text();
    assert!(
        text.contains("hello\\u{1b}[2J") && !text.contains('\u{1b}') && !text.contains("data"),
        "{text}"
    );
    assert!(
        text.starts_with("pass: alice\\n is logged in (PASS from aaa1:49, without TLS, 1.9 ms)"),
        "{text}"
    );
    let value = serde_json::to_value(&report).unwrap();
    assert_eq!(value["data"], json!("\\x1bdata\\xff"));
    assert_eq!(value["server_msg"], json!("hello\\u{1b}[2J"));
    assert_eq!(value["ms"], json!(1.9));
}

/// proves: TAC-6.2-6, TAC-8-1
#[test]
fn authorization_asks_for_a_command_or_a_session() {
    let server = Server::start();
    let (report, exit) = server.ask(&["authorize", "--user", "alice", "show", "running-config"]);
    assert_eq!(
        (&report["status"], &report["args"], exit),
        (&json!("PASS_ADD"), &json!([]), code(0))
    );
    let (report, exit) = server.ask(&["authorize", "--user", "alice", "reload in 5"]);
    assert_eq!(
        (&report["status"], report.get("args"), exit),
        (&json!("FAIL"), None, code(2))
    );
    let (report, _) = server.ask(&["authorize", "--user", "alice"]);
    assert_eq!(report["args"], json!(["priv-lvl=15"]));
    let (report, _) = server.ask(&[
        "authorize",
        "--user",
        "alice",
        "--arg",
        "service=junos-exec",
    ]);
    assert_eq!(
        (&report["result"], &report["args"]),
        (&json!("pass"), &json!(["local-user-name=NOC"]))
    );
    assert_eq!(
        server.seen(),
        [
            vec!["service=shell", "cmd=show", "cmd-arg=running-config"],
            vec!["service=shell", "cmd=reload", "cmd-arg=in", "cmd-arg=5"],
            vec!["service=shell", "cmd="],
            vec!["service=junos-exec"],
        ]
    );
}

#[test]
fn an_attribute_it_cannot_handle_means_no() {
    let server = Server::start();
    let (report, exit) = server.ask(&["authorize", "--user", "alice", "vendor"]);
    assert_eq!(
        (&report["result"], &report["status"], exit),
        (&json!("fail"), &json!("PASS_ADD"), code(2))
    );
    assert!(
        report["why"]
            .as_str()
            .unwrap()
            .contains("local-user-name=NOC")
    );
    let (report, exit) = server.ask(&[
        "authorize",
        "--user",
        "alice",
        "--handle",
        "local-user-name",
        "vendor",
    ]);
    assert_eq!((&report["result"], exit), (&json!("pass"), code(0)));
}

/// proves: TAC-8.1-8, TAC-7.2-6, TAC-8.3-2, D05-7-1
#[test]
fn accounting_records_commands_and_sessions() {
    let server = Server::start();
    let account = |rest: &[&str]| server.ask(&[&["account", "--user", "alice"], rest].concat());
    assert_eq!(account(&["show", "ip", "route"]).1, code(0));
    assert_eq!(
        account(&["--start", "--task-id", "7", "--arg", "protocol=ssh"]).0["status"],
        json!("SUCCESS")
    );
    assert_eq!(
        account(&["--stop", "--task-id", "7", "--arg", "elapsed_time=60"]).1,
        code(0)
    );
    let seen = server.seen();
    let time = |text: &String, name: &str| {
        text.strip_prefix(name).unwrap().parse::<u64>().unwrap() > 1_700_000_000
    };
    assert_eq!(seen[0][0], "4");
    assert!(seen[0][1].starts_with("task_id=") && time(&seen[0][2], "stop_time="));
    assert_eq!(
        seen[0][3..],
        ["service=shell", "cmd=show", "cmd-arg=ip", "cmd-arg=route"]
    );
    assert_eq!(
        (seen[1][0].as_str(), seen[1][1].as_str()),
        ("2", "task_id=7")
    );
    assert!(time(&seen[1][2], "start_time="));
    assert_eq!(seen[1][3..], ["service=shell", "protocol=ssh"]);
    assert_eq!(
        (
            seen[2][0].as_str(),
            seen[2][1].as_str(),
            seen[2][2].as_str()
        ),
        ("4", "task_id=7", "elapsed_time=60")
    );
}

/// proves: TAC-8.3-8
#[test]
fn an_event_and_a_continuation_say_what_they_are() {
    let server = [
        "--server",
        "127.0.0.1",
        "--plain",
        "--secret",
        "plain:squeamish ossifrage",
        "--user",
        "alice",
    ];
    let account = |rest: &[&str]| usage(&[&["account"], server.as_slice(), rest].concat());
    assert!(
        account(&["--arg", "service=system", "--arg", "event=sys_acct"])
            .contains("--start or --stop")
    );
    assert!(account(&["--stop"]).contains("--task-id"));
    assert!(account(&["--watchdog"]).contains("--task-id"));
}

#[test]
fn flags_of_hastls_go_together() {
    let tls = ["authenticate", "--user", "alice", "--server"];
    let say = |rest: &[&str]| usage(&[tls.as_slice(), rest].concat());
    for flag in [
        ["--resolver", "127.0.0.1:53"],
        ["--trust-anchor", "x"],
        ["--hastls-type", "65400"],
    ] {
        let why = say(&[&["host.example"], flag.as_slice()].concat());
        assert!(
            why.starts_with(flag[0]) && why.contains("--hastls use"),
            "{why}"
        );
    }
    for server in ["127.0.0.1", "127.0.0.1:300", "[::1]", "[::1]:300"] {
        let why = say(&[server, "--hastls", "require"]);
        assert!(why.contains("an IP address has no HASTLS record"), "{why}");
    }
    let rest = ["host.example", "--hastls", "use"];
    let plain = [
        "--plain",
        "--secret",
        "plain:squeamish ossifrage",
        "--password",
        "plain:x",
    ];
    let number = [rest.as_slice(), &plain, &["--hastls-type", "1"]].concat();
    assert!(say(&number).contains("--hastls-type is a number"));
    let resolver = [rest.as_slice(), &plain, &["--resolver", "host"]].concat();
    assert!(say(&resolver).contains("--resolver is an address"));
    let unknown = parse(&[tls.as_slice(), &["host.example", "--hastls", "maybe"]].concat());
    assert!(
        unknown
            .unwrap_err()
            .to_string()
            .contains("off, use or require")
    );
}

#[test]
fn wrong_usage_is_named() {
    let start = ["authenticate", "--server", "127.0.0.1", "--user", "alice"];
    let say = |rest: &[&str]| usage(&[start.as_slice(), rest].concat());
    assert!(say(&[]).contains("--ca"));
    assert!(say(&["--ca", "x"]).contains("--cert and --key"));
    assert!(say(&["--ca", "x", "--cert", "x"]).contains("--key"));
    assert!(say(&["--plain"]).contains("--secret"));
    let plain = ["--plain", "--secret"];
    let plainly = |rest: &[&str]| say(&[plain.as_slice(), rest].concat());
    assert!(plainly(&["squeamish ossifrage"]).contains("no secret reference"));
    assert!(!plainly(&["squeamish ossifrage"]).contains("ossifrage"));
    assert!(plainly(&["plain:short", "--password", "plain:x"]).contains("--allow-short-secret"));
    assert!(plainly(&["plain:squeamish ossifrage", "--timeout", "0"]).contains("--timeout"));
    let known = |rest: &[&str]| plainly(&[&["plain:squeamish ossifrage"], rest].concat());
    assert!(known(&["--type", "pap-dialogue"]).contains("--dialect draft-05"));
    let old = ["--dialect", "draft-05", "--type", "ascii,pap-dialogue"];
    assert!(known(&old).contains("one will do"));
    assert!(
        known(&["--secret", "plain:x", "--secret", "plain:y"]).contains("as often as --server")
    );
    assert!(
        plainly(&[
            "plain:squeamish ossifrage",
            "--rem-addr",
            "010.0.0.1",
            "--password",
            "plain:x"
        ])
        .contains("--rem-addr")
    );
    assert!(
        usage(&[
            "authorize",
            "--server",
            "x",
            "--plain",
            "--secret",
            "plain:squeamish ossifrage"
        ])
        .contains("--user")
    );
    let bad = [
        "authorize",
        "--user",
        "a",
        "--plain",
        "--secret",
        "plain:squeamish ossifrage",
        "--server",
    ];
    assert!(usage(&[bad.as_slice(), &["::1"]].concat()).contains("brackets"));
    assert!(
        usage(&[bad.as_slice(), &["127.0.0.1", "--arg", "nonsense"]].concat()).contains("nonsense")
    );
}

#[test]
fn flags_of_the_other_mode_are_refused() {
    for words in [
        ["authenticate", "--server", "x", "--plain", "--tls"].as_slice(),
        &["authenticate", "--server", "x", "--plain", "--ca", "x"],
        &["authenticate", "--server", "x", "--secret", "plain:x"],
        &["authenticate", "--user", "alice"],
        &["authenticate", "--server", "x", "--type", "krb5"],
        &["authorize", "--server", "x", "--priv-lvl", "16"],
        &["account", "--server", "x", "--start", "--stop"],
    ] {
        assert!(parse(words).unwrap_err().use_stderr(), "{words:?}");
    }
}

#[test]
fn files_that_are_missing_are_a_fault_here() {
    let words = [
        "authenticate",
        "--server",
        "127.0.0.1",
        "--user",
        "alice",
        "--password",
        "plain:x",
    ];
    let tls = [
        "--ca",
        "/nonexistent/ca.pem",
        "--cert",
        "/nonexistent/c.pem",
        "--key",
        "/nonexistent/c.key",
    ];
    let result = ask(&[words.as_slice(), &tls].concat());
    assert!(
        matches!(&result, Err(Problem::Fault(why)) if why.contains("/nonexistent/ca.pem")),
        "{result:?}"
    );
    let result = ask(&[
        "authenticate",
        "--server",
        "x",
        "--plain",
        "--secret",
        "file:/nonexistent/secret",
    ]);
    assert!(
        matches!(&result, Err(Problem::Fault(why)) if why.contains("/nonexistent/secret")),
        "{result:?}"
    );
}

#[test]
fn a_reference_that_leads_nowhere_says_which_flag_and_why() {
    for (reference, why) in [
        (
            "env:DOORWARD_NOT_SET",
            "the environment variable DOORWARD_NOT_SET is not set",
        ),
        ("exec:", "there is no program"),
        ("exec:sh -c 'exit 3'", "sh ended with exit status: 3"),
        ("plain:", "it is empty"),
    ] {
        let result = secret::read("--secret", reference);
        let expected = format!("the secret of --secret cannot be read: {why}");
        assert!(
            matches!(&result, Err(Problem::Fault(why)) if *why == expected),
            "{reference}: {result:?}"
        );
    }
    let quoted = secret::read("--secret", "exec:echo 'two  words'").unwrap();
    assert_eq!(quoted.as_slice(), b"two  words");
}
