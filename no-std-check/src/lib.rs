//! A program without standard library that runs both TACACS+ machines against each other, and a RADIUS server, and obeys HASTLS.
#![no_std]

extern crate alloc;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::panic::PanicInfo;

use doorward_tacacs::server::{self, Event};
use doorward_tacacs::{
    Action, AuthenticationService, AuthenticationStatus, AuthenticationType, ClientConnection, Now,
    PrivilegeLevel, Protection, Secret, ServerConnection, SessionId, authentication, client,
    fuzzing,
};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Logs in and returns the status of the reply. Its argument comes from outside, so that nothing can be computed beforehand.
pub extern "C" fn doorward_tacacs_login(first: u8) -> u8 {
    let protection = Protection::Obfuscated(Vec::from([Secret::new([first; 32])]));
    let mut client = ClientConnection::new(
        Arc::new(client::Config::new(protection.clone())),
        Now::default(),
    );
    let mut server =
        ServerConnection::new(Arc::new(server::Config::new(protection)), Now::default());
    let start = authentication::Start {
        action: Action::LOGIN,
        priv_lvl: PrivilegeLevel::USER,
        authen_type: AuthenticationType::PAP,
        authen_service: AuthenticationService::LOGIN,
        user: &[first],
        port: b"",
        rem_addr: b"",
        data: b"",
    };
    if client.start(SessionId(1), &start).is_err() {
        return 0;
    }
    let mut octets = Vec::new();
    client.poll_transmit(&mut octets);
    server.receive(&octets, Now::default());
    if let Some(Event::AuthenticationStart { ticket, .. }) = server.poll() {
        let answer = ticket.with(authentication::Reply::new(AuthenticationStatus::PASS));
        if server.answer(answer, Now::default()).is_err() {
            return 0;
        }
    }
    octets.clear();
    server.poll_transmit(&mut octets);
    fuzzing::server_connection(&octets);
    fuzzing::client_connection(&octets);
    client.receive(&octets, Now::default());
    match client.poll() {
        Some(client::Event::AuthenticationReply { reply, .. }) => reply.status.0,
        _ => 0,
    }
}

/// Serves one RADIUS request and returns the code of the answer.
pub extern "C" fn doorward_radius_status(id: u8) -> u8 {
    use doorward_radius::server::{Config, Event, ServerConnection};
    use doorward_radius::{Code, Header, Now, Transport};
    let packet = |code, authenticator| {
        let mut octets = Vec::new();
        let header = Header {
            code,
            id,
            length: 20,
            authenticator,
        };
        header.encode(&mut octets);
        octets
    };
    let mut server = ServerConnection::new(Config::new(Transport::Tls), Now::default());
    server.receive(&packet(Code::STATUS_SERVER, [id; 16]), Now::default());
    if let Some(Event::Request { ticket, .. }) = server.poll() {
        let answer = packet(Code::ACCESS_ACCEPT, [0; 16]);
        if server.answer(ticket, answer, Now::default()).is_err() {
            return 0;
        }
    }
    server
        .poll_transmit()
        .map_or(0, |packet| packet.header().code.0)
}

/// Reads a HASTLS record of one pair and returns the port a client of TACACS+ goes to, 0 for none.
pub extern "C" fn doorward_hastls_port(pair: u32) -> u16 {
    use doorward_hastls::{Answer, Plan, Policy, Record, Service, Validation, decide, fuzzing};
    let rdata = pair.to_be_bytes();
    fuzzing::hastls_record(&rdata);
    fuzzing::hastls_text(&rdata);
    let written = Record::new([(0, u16::from(rdata[0]))]).and_then(|record| record.to_generic());
    let answer = Answer::read(Validation::Secure, [rdata]);
    match decide(&answer, Policy::SecureOnly, &Service::TACACS) {
        Plan::Connect(route) if written.is_ok() => route.first().port.get(),
        Plan::Connect(_) | Plan::Refuse(_) => 0,
    }
}
