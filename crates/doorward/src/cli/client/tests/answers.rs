//! What the command makes of replies to authorizations, and what its records say.

use super::*;

/// `cmd=replaced`: PASS_REPL with an argument; `cmd=foo`: a mandatory argument that nobody knows; anything else: ERROR
/// with an argument.
fn grants<'a>(
    event: Event<'_>,
    _: &mut Vec<String>,
    arguments: &'a mut ArgumentList,
) -> Option<Answer<'a>> {
    let Event::Authorization { ticket, request } = event else {
        return None;
    };
    let asked = |text: &str| request.arguments.raw().any(|one| one == text.as_bytes());
    let (status, argument) = if asked("cmd=replaced") {
        (AuthorizationStatus::PASS_REPL, "priv-lvl=7")
    } else if asked("cmd=foo") {
        (AuthorizationStatus::PASS_ADD, "foo=1")
    } else {
        (AuthorizationStatus::ERROR, "priv-lvl=15")
    };
    arguments.push_raw(argument).unwrap();
    let mut reply = authorization::Reply::new(status);
    reply.arguments = arguments.as_arguments();
    Some(ticket.with(reply))
}

fn authorize(command: &str) -> (String, Value, String) {
    let server = Server::with(grants, SECRET, Dialect::Draft05);
    let address = server.address.to_string();
    let reference = format!("plain:{SECRET}");
    let words = [
        &["authorize", "--user", "alice", "--dialect", "draft-05"][..],
        &["--server", &address, "--plain", "--secret", &reference],
        &[command],
    ];
    let report = prepare_and_ask(parse(&words.concat()).unwrap()).unwrap();
    let value = serde_json::to_value(&report).unwrap();
    (report.text(), value, format!("{:?}", report.print(true)))
}

/// proves: D05-5.2-1
#[test]
fn arguments_that_replace_are_the_only_ones_printed() {
    let (text, report, exit) = authorize("replaced");
    assert_eq!((&report["status"], exit), (&json!("PASS_REPL"), code(0)));
    let arguments: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
    assert_eq!(arguments, ["priv-lvl=7"], "{text}");
}

/// proves: D05-5.1-4, D05-5-1
#[test]
fn a_mandatory_argument_that_nobody_knows_means_no() {
    let (text, report, exit) = authorize("foo");
    assert_eq!(
        (&report["result"], &report["status"], exit),
        (&json!("fail"), &json!("PASS_ADD"), code(2))
    );
    assert!(
        text.starts_with("fail:") && text.contains("foo=1"),
        "{text}"
    );
    assert!(report.get("args").is_none());
}

/// proves: D05-5.2-4
#[test]
fn the_arguments_of_an_error_are_nobodys() {
    let (text, report, exit) = authorize("show");
    assert_eq!(
        (&report["result"], &report["status"], exit),
        (&json!("error"), &json!("ERROR"), code(3))
    );
    assert!(report.get("args").is_none());
    assert!(!format!("{text}{report}").contains("priv-lvl"), "{text}");
}

/// proves: D05-7-1, D05-7.2-2, D05-7.2-4
#[test]
fn records_say_which_task_they_belong_to_and_which_event() {
    let server = Server::with(judge, SECRET, Dialect::Draft05);
    let account = |words: &[&str]| {
        let flags = ["account", "--user", "alice", "--dialect", "draft-05"];
        let words = [flags.as_slice(), words].concat();
        assert_eq!(server.ask(&words).1, code(0), "{words:?}");
        server.seen().pop().unwrap()
    };
    let command = account(&["show", "ip", "route"]);
    assert!(command[1].starts_with("task_id="));
    assert_eq!(
        command[3..],
        ["service=shell", "cmd=show", "cmd-arg=ip", "cmd-arg=route"]
    );
    // Two tasks side by side, and the stops of both.
    let (first, second) = (account(&["--start"]), account(&["--start"]));
    assert_ne!(first[1], second[1]);
    for start in [&first, &second] {
        assert_eq!(start[0], "2");
        let id = start[1].strip_prefix("task_id=").unwrap();
        let stop = account(&["--stop", "--task-id", id]);
        assert_eq!((stop[0].as_str(), &stop[1]), ("4", &start[1]));
    }
    let event = ["--arg", "service=system", "--arg", "event=sys_acct"];
    for (kind, flags) in [("--start", "2"), ("--stop", "4")] {
        let record = account(&[&[kind, "--task-id", "9"], event.as_slice()].concat());
        assert_eq!(record[0], flags);
        assert!(record.contains(&"event=sys_acct".to_owned()), "{record:?}");
    }
}

/// Only a login goes through several types; elsewhere the field has one value.
#[test]
fn several_types_are_for_logins() {
    let server = Server::start();
    let address = server.address.to_string();
    let reference = format!("plain:{SECRET}");
    for verb in ["authorize", "account"] {
        let words = [
            &[verb, "--user", "alice", "--type", "pap,chap"][..],
            &["--server", &address, "--plain", "--secret", &reference],
        ];
        let why = usage(&words.concat());
        assert!(
            why.contains("--type") && why.contains("authenticate"),
            "{why}"
        );
    }
    assert!(server.seen().is_empty());
}
