//! The codec and the server's machine: `cargo bench -p doorward-tacacs`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench that cannot go on has failed"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput};
use doorward_tacacs::server::{Config, Event};
use doorward_tacacs::{
    AccountingFlags, AccountingStatus, Action, ArgumentList, AuthenticationMethod,
    AuthenticationService, AuthenticationStatus, AuthenticationType, AuthorizationStatus,
    ClientConnection, Flags, Header, Now, PacketType, PrivilegeLevel, Protection, Secret, SeqNo,
    ServerConnection, SessionId, Version, accounting, authentication, authorization, client,
    obfuscation,
};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bodies(&mut criterion);
    headers(&mut criterion);
    pads(&mut criterion);
    turns(&mut criterion);
    criterion.final_summary();
}

fn arguments(texts: &[&str]) -> ArgumentList {
    let mut list = ArgumentList::new();
    for text in texts {
        list.push_raw(text).unwrap();
    }
    list
}

fn show_interface() -> ArgumentList {
    arguments(&[
        "service=shell",
        "cmd=show",
        "cmd-arg=interface",
        "cmd-arg=Te0/0/1",
        "cmd-arg=<cr>",
    ])
}

fn stopped() -> ArgumentList {
    arguments(&[
        "task_id=4711",
        "start_time=1767700000",
        "service=shell",
        "priv-lvl=15",
        "cmd=show interface Te0/0/1 <cr>",
    ])
}

fn login() -> authentication::Start<'static> {
    authentication::Start {
        action: Action::LOGIN,
        priv_lvl: PrivilegeLevel::USER,
        authen_type: AuthenticationType::PAP,
        authen_service: AuthenticationService::LOGIN,
        user: b"alice",
        port: b"tty10",
        rem_addr: b"192.0.2.1",
        data: b"correct horse battery staple",
    }
}

fn permission(arguments: &ArgumentList) -> authorization::Request<'_> {
    authorization::Request {
        authen_method: AuthenticationMethod::TACACSPLUS,
        priv_lvl: PrivilegeLevel::USER,
        authen_type: AuthenticationType::ASCII,
        authen_service: AuthenticationService::LOGIN,
        user: b"alice",
        port: b"tty10",
        rem_addr: b"192.0.2.1",
        arguments: arguments.as_arguments(),
    }
}

fn report(arguments: &ArgumentList) -> accounting::Request<'_> {
    accounting::Request {
        flags: AccountingFlags::STOP,
        authen_method: AuthenticationMethod::TACACSPLUS,
        priv_lvl: PrivilegeLevel::USER,
        authen_type: AuthenticationType::ASCII,
        authen_service: AuthenticationService::LOGIN,
        user: b"alice",
        port: b"tty10",
        rem_addr: b"192.0.2.1",
        arguments: arguments.as_arguments(),
    }
}

/// Every body of RFC 8907, written into a buffer that is used again, and read back.
fn bodies(criterion: &mut Criterion) {
    let (shell, stopped) = (show_interface(), stopped());
    let granted = arguments(&["priv-lvl=15", "idletime=15"]);
    macro_rules! body {
        ($name:literal, $packet:path, $value:expr) => {{
            let value = $value;
            let mut octets = Vec::new();
            value.encode(&mut octets).unwrap();
            let mut group = criterion.benchmark_group($name);
            group.bench_function("encode", |bench| {
                let mut into = Vec::with_capacity(octets.len());
                bench.iter(|| {
                    into.clear();
                    black_box(&value).encode(&mut into).unwrap();
                    into.len()
                });
            });
            group.bench_function("decode", |bench| {
                type Packet<'a> = $packet;
                bench.iter(|| Packet::decode(black_box(&octets)).unwrap());
            });
            group.finish();
        }};
    }
    body!("authentication start", authentication::Start<'a>, login());
    body!(
        "authentication reply",
        authentication::Reply<'a>,
        authentication::Reply {
            no_echo: true,
            server_msg: b"Password: ",
            ..authentication::Reply::new(AuthenticationStatus::GETPASS)
        }
    );
    body!(
        "authentication continue",
        authentication::Continue<'a>,
        authentication::Continue::new(b"correct horse battery staple")
    );
    body!(
        "authorization request",
        authorization::Request<'a>,
        permission(&shell)
    );
    body!(
        "authorization reply",
        authorization::Reply<'a>,
        authorization::Reply {
            arguments: granted.as_arguments(),
            ..authorization::Reply::new(AuthorizationStatus::PASS_ADD)
        }
    );
    body!(
        "accounting request",
        accounting::Request<'a>,
        report(&stopped)
    );
    body!(
        "accounting reply",
        accounting::Reply<'a>,
        accounting::Reply::new(AccountingStatus::SUCCESS)
    );
}

fn header(length: usize) -> Header {
    Header {
        version: Version::DEFAULT,
        packet_type: PacketType::AUTHORIZATION,
        seq_no: SeqNo(1),
        flags: Flags::SINGLE_CONNECT,
        session_id: SessionId(0x0102_0304),
        length: u32::try_from(length).unwrap(),
    }
}

fn headers(criterion: &mut Criterion) {
    let one = header(78);
    let octets = one.encode();
    let mut group = criterion.benchmark_group("header");
    group.bench_function("encode", |bench| bench.iter(|| black_box(&one).encode()));
    group.bench_function("decode", |bench| {
        bench.iter(|| Header::decode(black_box(&octets)));
    });
    group.finish();
}

/// The pad of section 4.5, over bodies of usual and of the greatest length.
fn pads(criterion: &mut Criterion) {
    let secret = Secret::new(*b"a-secret-of-some-length");
    let mut group = criterion.benchmark_group("obfuscation");
    for length in [16, 78, 1024, 65_536] {
        let header = header(length);
        let mut body = vec![0; length];
        group.throughput(Throughput::Bytes(u64::try_from(length).unwrap()));
        group.bench_with_input(BenchmarkId::from_parameter(length), &length, |bench, _| {
            bench.iter(|| obfuscation::apply(&secret, &header, black_box(&mut body)));
        });
    }
    group.finish();
}

/// What a turn of the connection holds on a busy device.
const OUTSTANDING: u32 = 16;

/// A single-connect connection whose first session, which asks for it, is over: octets in, 16 answers out.
fn turns(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("16 requests in one turn");
    group.throughput(Throughput::Elements(u64::from(OUTSTANDING)));
    let obfuscated = Protection::Obfuscated(vec![Secret::new(*b"a-secret-of-some-length")]);
    for (name, protection) in [("tls", Protection::Tls), ("obfuscated", obfuscated)] {
        let (first, turn) = (
            stream(&protection, 0..1),
            stream(&protection, 1..1 + OUTSTANDING),
        );
        let config = Arc::new(Config::new(protection));
        let mut server = ServerConnection::new(config, Now::default());
        let mut out = Vec::new();
        assert_eq!(exchange(&mut server, &first, &mut out), 1);
        group.bench_function(name, |bench| {
            bench.iter(|| {
                out.clear();
                let answered = exchange(&mut server, black_box(&turn), &mut out);
                assert_eq!(answered, OUTSTANDING);
                out.len()
            });
        });
        assert_eq!(server.close_reason(), None);
    }
    group.finish();
}

/// What a client sends for these sessions.
fn stream(protection: &Protection, sessions: std::ops::Range<u32>) -> Vec<u8> {
    let config = client::Config::new(protection.clone());
    let mut client = ClientConnection::new(Arc::new(config), Now::default());
    let mut octets = Vec::new();
    let shell = show_interface();
    // Until the first reply a client sends one request only, so that the later ones come from clients of their own.
    for session in sessions {
        client
            .authorize(SessionId(session), &permission(&shell))
            .unwrap();
        client.poll_transmit(&mut octets);
        client = ClientConnection::new(
            Arc::new(client::Config::new(protection.clone())),
            Now::default(),
        );
    }
    octets
}

/// One turn; how many requests were answered.
fn exchange(server: &mut ServerConnection, octets: &[u8], out: &mut Vec<u8>) -> u32 {
    let now = Now::default();
    server.receive(octets, now);
    let mut answered = 0;
    let mut tickets = Vec::with_capacity(16);
    while let Some(event) = server.poll() {
        let Event::Authorization { ticket, request } = event else {
            panic!("{event:?}")
        };
        black_box(request);
        tickets.push(ticket);
    }
    for ticket in tickets {
        let reply = authorization::Reply::new(AuthorizationStatus::PASS_ADD);
        server.answer(ticket.with(reply), now).unwrap();
        answered += 1;
    }
    server.poll_transmit(out);
    answered
}
