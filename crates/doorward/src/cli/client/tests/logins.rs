//! Dialogues, and what the command makes of FOLLOW and ERROR, against servers that ours is not.

use doorward_tacacs::server::SessionEnd;
use doorward_tacacs::{AuthenticationType, Header, SeqNo, obfuscation};

use super::*;

const TOO_SHORT: &[u8] = b"Too short. New password: ";

/// Knows alice, whose password is `correct horse`, gives her every level and changes her password.
fn every_flow<'a>(
    event: Event<'_>,
    seen: &mut Vec<String>,
    _: &'a mut ArgumentList,
) -> Option<Answer<'a>> {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    let (ticket, reply) = match event {
        Event::AuthenticationStart { ticket, start } => {
            let name = |name: Option<&str>| name.unwrap_or("?").to_owned();
            seen.extend([name(start.action.name()), name(start.authen_type.name())]);
            seen.push(name(start.authen_service.name()));
            seen.extend([start.priv_lvl.0.to_string(), text(start.user)]);
            (ticket, authentication::Reply::new(judge_start(&start)))
        }
        Event::AuthenticationContinue { ticket, answer } => {
            seen.push(text(answer.user_msg));
            let (status, server_msg) = match answer.user_msg {
                b"old one" => (AuthenticationStatus::GETPASS, &b""[..]),
                b"short" => (AuthenticationStatus::GETPASS, TOO_SHORT),
                b"correct horse" | b"new one" => (AuthenticationStatus::PASS, &b""[..]),
                _ => (AuthenticationStatus::FAIL, &b""[..]),
            };
            let mut reply = authentication::Reply::new(status);
            reply.server_msg = server_msg;
            (ticket, reply)
        }
        Event::SessionEnded {
            why: SessionEnd::Aborted(reason),
            ..
        } => {
            seen.push(format!("aborted: {}", text(reason)));
            return None;
        }
        Event::Authorization { .. }
        | Event::Accounting { .. }
        | Event::SessionEnded { .. }
        | Event::WrongFlag { .. }
        | Event::Refused { .. } => return None,
    };
    Some(ticket.with(reply))
}

fn judge_start(start: &authentication::Start<'_>) -> AuthenticationStatus {
    match (start.action.name(), start.authen_type, start.data) {
        (Some("CHPASS"), ..) => AuthenticationStatus::GETDATA,
        (_, AuthenticationType::PAP, b"correct horse") => AuthenticationStatus::PASS,
        (_, AuthenticationType::PAP, [_, ..]) => AuthenticationStatus::FAIL,
        _ => AuthenticationStatus::GETPASS,
    }
}

fn flows() -> Server {
    Server::with(every_flow, SECRET, Dialect::Rfc8907)
}

const ALICE: [&str; 3] = ["authenticate", "--user", "alice"];

#[test]
fn a_password_is_changed() {
    let server = flows();
    let change = |new| {
        let flags = ["--action", "chpass", "--password", "plain:old one"];
        [ALICE.as_slice(), &flags, &["--new-password", new]].concat()
    };
    let (report, exit) = server.ask(&change("plain:new one"));
    assert_eq!((&report["status"], exit), (&json!("PASS"), code(0)));
    let seen = server.seen();
    assert_eq!(seen[0], ["CHPASS", "ASCII", "LOGIN", "1", "alice"]);
    assert_eq!(seen[1..], [["old one"], ["new one"]]);
    // A password that the server does not take is not sent for ever, and the server's reason is shown.
    let address = server.address.to_string();
    let reference = format!("plain:{SECRET}");
    let flags = ["--server", &address, "--plain", "--secret", &reference];
    let result = ask(&[change("plain:short").as_slice(), &flags].concat());
    let Err(Problem::Fault(why)) = result else {
        panic!("{result:?}")
    };
    assert!(
        why.contains("Too short") && why.contains("nothing was changed"),
        "{why}"
    );
    // The server may read the last words after the command has gone.
    let end = Instant::now() + Duration::from_secs(20);
    while server.seen().last().unwrap()[0] == "short" {
        assert!(Instant::now() < end, "no last words");
        std::thread::yield_now();
    }
    let seen = server.seen();
    let short = seen.iter().filter(|fields| fields[0] == "short");
    assert_eq!(short.count(), 3);
    assert_eq!(
        seen.last().unwrap()[0],
        "aborted: there is no other new password"
    );
}

/// Whoever asks for a level without a number asks for the highest, and `--user ''` leaves the name to the server.
#[test]
fn the_level_that_is_asked_for_is_the_highest_without_a_number() {
    let server = flows();
    let enable = ["--action", "enable", "--password", "plain:correct horse"];
    for user in ["alice", ""] {
        let words = [&["authenticate", "--user", user], enable.as_slice()].concat();
        assert_eq!(server.ask(&words).1, code(0));
        let start = server.seen().into_iter().rev().nth(1).unwrap();
        assert_eq!(start, ["LOGIN", "ASCII", "ENABLE", "15", user]);
    }
    let words = [ALICE.as_slice(), &enable, &["--priv-lvl", "7"]].concat();
    assert_eq!(server.ask(&words).1, code(0));
    assert_eq!(server.seen()[4][3], "7");
}

/// proves: D05-4.4.2-2
#[test]
fn the_old_dialect_has_pap_as_a_dialogue() {
    let server = Server::with(every_flow, SECRET, Dialect::Draft05);
    let words = ["--dialect", "draft-05", "--type", "pap-dialogue"];
    let password = ["--password", "plain:correct horse"];
    let (report, exit) = server.ask(&[ALICE.as_slice(), &words, &password].concat());
    assert_eq!((&report["status"], exit), (&json!("PASS"), code(0)));
    assert_eq!(server.seen()[1], ["correct horse"]);
}

fn error<'a>(
    event: Event<'_>,
    seen: &mut Vec<String>,
    _: &'a mut ArgumentList,
) -> Option<Answer<'a>> {
    let Event::AuthenticationStart { ticket, start } = event else {
        return None;
    };
    seen.push(String::from_utf8(start.user.to_vec()).unwrap());
    let reply = authentication::Reply::new(AuthenticationStatus::ERROR);
    Some(ticket.with(reply))
}

/// A server by hand, because ours never redirects: it answers one START with FOLLOW, a host and a key.
fn redirecting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut header = [0; Header::LENGTH];
        stream.read_exact(&mut header).unwrap();
        let header = Header::peek(&header).unwrap();
        let mut body = vec![0; usize::try_from(header.length).unwrap()];
        stream.read_exact(&mut body).unwrap();
        let mut body = Vec::new();
        let mut reply = authentication::Reply::new(AuthenticationStatus::FOLLOW);
        reply.data = b"127.0.0.9@a key to use there";
        reply.encode(&mut body).unwrap();
        let header = Header {
            seq_no: SeqNo(2),
            length: u32::try_from(body.len()).unwrap(),
            ..header
        };
        obfuscation::apply(&Secret::new(SECRET), &header, &mut body);
        let packet = [header.encode().as_slice(), &body].concat();
        stream.write_all(&packet).unwrap();
    });
    address
}

/// proves: TAC-5.4.3-4, TAC-10.5.5-4, D05-4.4.3-10
#[test]
fn a_redirection_is_a_denial_and_its_key_is_not_shown() {
    let (first, second) = (redirecting().to_string(), flows());
    let next = second.address.to_string();
    let reference = format!("plain:{SECRET}");
    let flags = ["--server", &first, "--server", &next, "--plain"];
    let login = ["--type", "pap,chap", "--password", "plain:correct horse"];
    let rest = ["--secret", &reference, "--dialect", "draft-05"];
    let (report, exit) = ask(&[ALICE.as_slice(), &flags, &login, &rest].concat()).unwrap();
    assert_eq!((&report["status"], exit), (&json!("FOLLOW"), code(2)));
    let why = report["why"].as_str().unwrap();
    assert!(why.contains("never followed"), "{why}");
    assert!(!report.to_string().contains("a key"), "{report}");
    assert!(second.seen().is_empty());
}

/// Two servers with a secret each; the first says ERROR.
///
/// proves: TAC-4.4-4, D05-4.4.3-12, D05-3.6-1
#[test]
fn error_moves_on_to_the_next_server_and_alone_is_no_denial() {
    let other = "another secret of length";
    let first = Server::with(error, SECRET, Dialect::Rfc8907);
    let second = Server::with(every_flow, other, Dialect::Rfc8907);
    let addresses = [first.address.to_string(), second.address.to_string()];
    let references = [format!("plain:{SECRET}"), format!("plain:{other}")];
    let login = [
        ALICE.as_slice(),
        &["--type", "pap", "--password", "plain:correct horse"],
        &["--server", &addresses[0], "--plain"],
        &["--secret", &references[0]],
    ]
    .concat();
    let both = [
        login.as_slice(),
        &["--server", &addresses[1], "--secret", &references[1]],
    ];
    let (report, exit) = ask(&both.concat()).unwrap();
    assert_eq!((&report["status"], exit), (&json!("PASS"), code(0)));
    assert_eq!(report["server"], json!(addresses[1]));
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));
    let (report, exit) = ask(&login).unwrap();
    assert_eq!(
        (&report["result"], &report["status"], exit),
        (&json!("error"), &json!("ERROR"), code(3))
    );
}

/// proves: TAC-10.5.1-1
#[test]
fn a_secret_may_stand_in_a_file_of_its_owner_and_is_not_shown() {
    use std::os::unix::fs::OpenOptionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&path);
    file.unwrap().write_all(SECRET.as_bytes()).unwrap();
    let server = flows();
    let address = server.address.to_string();
    let reference = format!("file:{}", path.display());
    let flags = ["--server", &address, "--plain", "--secret", &reference];
    let login = ["--type", "pap", "--password", "plain:correct horse"];
    let words = [ALICE.as_slice(), &flags, &login].concat();
    assert_eq!(ask(&words).unwrap().1, code(0));
    let mut ask = parse(&words).unwrap();
    ask.common_mut().servers.check().unwrap();
    let client = ask.common().client().unwrap();
    let shown = format!("{client:?} {:?}", ask.common().servers);
    assert!(!shown.contains("ossifrage"), "{shown}");
}
