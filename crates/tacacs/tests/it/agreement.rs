//! Our two machines agree, however their sessions interleave and however the network cuts their octets.
//!
//! A plan says what each session does and how it has to end. A schedule says what happens next: a session begins, some octets
//! arrive on one side or the other, the server answers one of the requests it has, the client answers one of the questions.
//! Whatever the schedule, every session ends as planned, neither side refuses anything, and both agree on what is left.

mod plan;

use std::collections::HashMap;
use std::sync::Arc;

use doorward_tacacs::client::{self, ContinueTicket, SendError};
use doorward_tacacs::server::{
    self, AccountingReply, AuthenticationReply, AuthorizationReply, SessionEnd, Ticket,
};
use doorward_tacacs::{
    AccountingStatus, AuthenticationStatus, AuthorizationStatus, ClientConnection, Dialect, Flags,
    Header, PacketType, Protection, ServerConnection, SessionId, accounting, authentication,
    authorization, obfuscation,
};
use proptest::prelude::*;

use crate::pair::{accounting as record, authorization as question, headers, login, pap, shell};
use crate::peers::now;
use plan::{Manner, Outcome, Script, manner, script};

/// A request that the server's application has not answered yet, with its answer.
enum Owed {
    Authentication(Ticket<AuthenticationReply>, AuthenticationStatus),
    Authorization(Ticket<AuthorizationReply>, AuthorizationStatus),
    Accounting(Ticket<AccountingReply>),
}

/// One connection, its wire and both applications.
struct World<'a> {
    plan: &'a [Script],
    client: ClientConnection,
    server: ServerConnection,
    /// On their way.
    requests: Vec<u8>,
    replies: Vec<u8>,
    /// All that was ever sent.
    sent: Vec<u8>,
    answered: Vec<u8>,
    owed: Vec<Owed>,
    names: HashMap<SessionId, Vec<u8>>,
    /// Questions that the client has not answered, with the position in the plan and the number of the question.
    questions: Vec<(ContinueTicket, usize, u8)>,
    /// What is under way: the position in the plan, and how many questions came.
    active: HashMap<SessionId, (usize, u8)>,
    outcomes: HashMap<usize, Outcome>,
    aborted: usize,
    /// Sessions begun, whether a reply came, and whether there may be several sessions.
    begun: usize,
    heard: bool,
    shared: bool,
}

impl<'a> World<'a> {
    fn new(manner: &Manner, plan: &'a [Script]) -> Self {
        let server = server::Config {
            single_connection: manner.granted,
            dialect: manner.dialect,
            ..server::Config::new(manner.protection())
        };
        let client = client::Config {
            single_connection: manner.asked,
            dialect: manner.dialect,
            ..client::Config::new(manner.protection())
        };
        Self {
            plan,
            client: ClientConnection::new(Arc::new(client), now(0)),
            server: ServerConnection::new(Arc::new(server), now(0)),
            requests: Vec::new(),
            replies: Vec::new(),
            sent: Vec::new(),
            answered: Vec::new(),
            owed: Vec::new(),
            names: HashMap::new(),
            questions: Vec::new(),
            active: HashMap::new(),
            outcomes: HashMap::new(),
            aborted: 0,
            begun: 0,
            heard: false,
            shared: manner.asked && manner.granted,
        }
    }

    /// Begins the session at this position of the plan; false when the connection does not take it now.
    fn begin(&mut self, position: usize) -> bool {
        // Few ids, so that one is used again as soon as its session is over.
        let session = SessionId(u32::try_from(position % 4).unwrap() + 1);
        let list = shell("show");
        let begun = match self.plan[position] {
            Script::Ascii { named, .. } => {
                let name: &[u8] = if named { b"alice" } else { b"" };
                self.client.start(session, &login(name))
            }
            Script::Pap { right } => {
                let password: &[u8] = if right { b"wonderland" } else { b"wrong" };
                self.client.start(session, &pap(password))
            }
            Script::Authorization { permitted } => {
                let user: &[u8] = if permitted { b"alice" } else { b"bob" };
                let request = authorization::Request {
                    user,
                    ..question(&list)
                };
                self.client.authorize(session, &request)
            }
            Script::Accounting => self.client.account(session, &record(&list)),
        };
        match begun {
            Ok(()) => {
                // Whether there may be a second session is known from the first reply.
                assert!(self.begun == 0 || (self.heard && self.shared));
                self.begun += 1;
                self.active.insert(session, (position, 0));
                true
            }
            Err(SendError::NotNow | SendError::SessionInUse) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// So many octets arrive at the server.
    fn carry_requests(&mut self, octets: usize) {
        let sent = self.sent.len();
        self.client.poll_transmit(&mut self.sent);
        self.requests.extend_from_slice(&self.sent[sent..]);
        let arrived: Vec<u8> = self
            .requests
            .drain(..octets.min(self.requests.len()))
            .collect();
        self.server.receive(&arrived, now(0));
        self.listen();
    }

    /// Takes what the server tells its application.
    fn listen(&mut self) {
        use server::Event;
        while let Some(event) = self.server.poll() {
            let owed = match event {
                Event::AuthenticationStart { ticket, start } => {
                    let status = if !start.data.is_empty() {
                        judge(start.user, start.data)
                    } else if start.user.is_empty() {
                        AuthenticationStatus::GETUSER
                    } else {
                        self.names.insert(ticket.session(), start.user.to_vec());
                        AuthenticationStatus::GETPASS
                    };
                    Owed::Authentication(ticket, status)
                }
                Event::AuthenticationContinue { ticket, answer } => {
                    let status = match self.names.remove(&ticket.session()) {
                        Some(name) => judge(&name, answer.user_msg),
                        None => {
                            self.names
                                .insert(ticket.session(), answer.user_msg.to_vec());
                            AuthenticationStatus::GETPASS
                        }
                    };
                    Owed::Authentication(ticket, status)
                }
                Event::Authorization { ticket, request } => {
                    let status = if request.user == b"alice" {
                        AuthorizationStatus::PASS_ADD
                    } else {
                        AuthorizationStatus::FAIL
                    };
                    Owed::Authorization(ticket, status)
                }
                Event::Accounting { ticket, .. } => Owed::Accounting(ticket),
                Event::SessionEnded {
                    session,
                    why: SessionEnd::Aborted(reason),
                } => {
                    assert_eq!(reason, b"bye");
                    self.names.remove(&session);
                    self.aborted += 1;
                    continue;
                }
                other @ (Event::SessionEnded { .. }
                | Event::WrongFlag { .. }
                | Event::Refused { .. }) => panic!("the server tells {other:?}"),
            };
            self.owed.push(owed);
        }
    }

    /// The server answers one of the requests it has.
    fn answer(&mut self, which: usize) {
        if self.owed.is_empty() {
            return;
        }
        let owed = self.owed.swap_remove(which % self.owed.len());
        let answer = match owed {
            Owed::Authentication(ticket, status) => ticket.with(authentication::Reply::new(status)),
            Owed::Authorization(ticket, status) => ticket.with(authorization::Reply::new(status)),
            Owed::Accounting(ticket) => {
                ticket.with(accounting::Reply::new(AccountingStatus::SUCCESS))
            }
        };
        self.server.answer(answer, now(0)).unwrap();
        self.listen();
    }

    /// So many octets arrive at the client.
    fn carry_replies(&mut self, octets: usize) {
        let answered = self.answered.len();
        self.server.poll_transmit(&mut self.answered);
        self.replies.extend_from_slice(&self.answered[answered..]);
        let arrived: Vec<u8> = self
            .replies
            .drain(..octets.min(self.replies.len()))
            .collect();
        self.client.receive(&arrived, now(0));
        self.read();
    }

    /// Takes what the client tells its application.
    fn read(&mut self) {
        use client::Event;
        while let Some(event) = self.client.poll() {
            let (session, outcome) = match event {
                Event::AuthenticationReply {
                    session,
                    ticket: Some(ticket),
                    ..
                } => {
                    self.heard = true;
                    let (position, questions) = self.active.get_mut(&session).unwrap();
                    self.questions.push((ticket, *position, *questions));
                    *questions += 1;
                    continue;
                }
                Event::AuthenticationReply { session, reply, .. } => {
                    (session, Outcome::Authentication(reply.status))
                }
                Event::AuthorizationReply { session, reply } => {
                    (session, Outcome::Authorization(reply.status))
                }
                Event::AccountingReply { session, reply } => {
                    (session, Outcome::Accounting(reply.status))
                }
                Event::Closed { reason } => {
                    assert_eq!(reason, client::CloseReason::SessionComplete);
                    continue;
                }
                other @ (Event::SessionFailed { .. } | Event::Ignored { .. }) => {
                    panic!("the client tells {other:?}")
                }
            };
            self.heard = true;
            let (position, _) = self.active.remove(&session).unwrap();
            self.outcomes.insert(position, outcome);
        }
    }

    /// The client answers one of the questions it has.
    fn reply(&mut self, which: usize) {
        if self.questions.is_empty() {
            return;
        }
        let (ticket, position, number) = self.questions.swap_remove(which % self.questions.len());
        let Script::Ascii {
            named,
            right,
            abort_at,
        } = self.plan[position]
        else {
            panic!("a question in {:?}", self.plan[position]);
        };
        if abort_at == Some(number) {
            self.active.remove(&ticket.session());
            self.client.abort(ticket, b"bye").unwrap();
            self.outcomes.insert(position, Outcome::Aborted);
            self.read();
            return;
        }
        let text: &[u8] = match (number, named) {
            (0, false) => b"alice",
            _ if right => b"wonderland",
            _ => b"wrong",
        };
        let answer = authentication::Continue::new(text);
        self.client.continue_with(ticket, &answer).unwrap();
    }

    /// Whether nothing is left to happen on this connection.
    fn is_quiet(&mut self) -> bool {
        self.carry_requests(0);
        self.carry_replies(0);
        self.requests.is_empty()
            && self.replies.is_empty()
            && self.owed.is_empty()
            && self.questions.is_empty()
    }
}

fn judge(user: &[u8], password: &[u8]) -> AuthenticationStatus {
    if user == b"alice" && password == b"wonderland" {
        AuthenticationStatus::PASS
    } else {
        AuthenticationStatus::FAIL
    }
}

/// Plays a plan by a schedule, on as many connections as it takes, and returns them.
fn play<'a>(manner: &Manner, plan: &'a [Script], schedule: &[(u8, u8)]) -> Vec<World<'a>> {
    let mut worlds = vec![World::new(manner, plan)];
    let mut next = 0;
    // When the schedule is over, everything goes on in turn until nothing is left.
    let rest = [0, 1, 2, 3, 4]
        .into_iter()
        .cycle()
        .map(|what| (what, 255))
        .take(20_000);
    for (what, how) in schedule.iter().copied().chain(rest) {
        let how = usize::from(how);
        let world = worlds.last_mut().unwrap();
        match what % 5 {
            0 if next < plan.len() => {
                if world.client.close_reason().is_some() {
                    // An ABORT may be on its way still.
                    world.carry_requests(usize::MAX);
                    worlds.push(World::new(manner, plan));
                } else if world.begin(next) {
                    next += 1;
                }
            }
            1 => world.carry_requests(how + 1),
            2 => world.answer(how),
            3 => world.carry_replies(how + 1),
            4 => world.reply(how),
            _ => {}
        }
        if next == plan.len() && worlds.iter_mut().all(World::is_quiet) {
            break;
        }
    }
    worlds
}

/// The packets of a stream, in clear.
fn packets(mut stream: &[u8], protection: &Protection) -> Vec<(Header, Vec<u8>)> {
    let mut packets = Vec::new();
    while let Some(header) = Header::peek(stream) {
        let end = Header::LENGTH + header.length as usize;
        let mut body = stream[Header::LENGTH..end].to_vec();
        if let Protection::Obfuscated(secrets) = protection {
            obfuscation::apply(&secrets[0], &header, &mut body);
        }
        packets.push((header, body));
        stream = &stream[end..];
    }
    assert!(stream.is_empty(), "a packet that is not whole");
    packets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    /// proves: TAC-5.2-6, TAC-4.1-15, D05-3.3-2, D05-3.3-4, D05-3.3-5, D05-4.4.1-5
    #[test]
    fn client_and_server_agree_under_any_interleaving_and_chunking(
        manner in manner(),
        plan in prop::collection::vec(script(), 1..10),
        schedule in prop::collection::vec((any::<u8>(), 0u8..60), 0..200),
    ) {
        let worlds = play(&manner, &plan, &schedule);
        let established = manner.asked && manner.granted;
        let mut outcomes = HashMap::new();
        let mut aborted = 0;
        for world in &worlds {
            prop_assert_eq!((world.client.sessions(), world.server.sessions()), (0, 0));
            prop_assert_eq!(world.client.is_reusable(), established);
            prop_assert_eq!(world.client.close_reason().is_none(), established);
            prop_assert_eq!(world.server.close_reason().is_none(), established);
            prop_assert!(established || world.outcomes.len() == 1);
            outcomes.extend(world.outcomes.iter().map(|(position, outcome)| (*position, *outcome)));
            aborted += world.aborted;
            agree_on_the_wire(&manner, world);
        }
        prop_assert!(!established || worlds.len() == 1);
        for (position, script) in plan.iter().enumerate() {
            prop_assert_eq!(outcomes.get(&position), Some(&script.outcome()), "{:?}", script);
        }
        let aborts = outcomes.values().filter(|outcome| **outcome == Outcome::Aborted);
        prop_assert_eq!(aborted, aborts.count());
    }
}

/// What is in the packets of both directions, whatever happened.
fn agree_on_the_wire(manner: &Manner, world: &World<'_>) {
    let protection = manner.protection();
    for header in headers(&world.sent).iter().chain(&headers(&world.answered)) {
        assert_eq!(header.flags.contains(Flags::UNENCRYPTED), manner.tls);
    }
    for (header, body) in packets(&world.sent, &protection) {
        assert!(header.seq_no.is_from_client());
        let is_pap = header.packet_type == PacketType::AUTHENTICATION
            && authentication::Start::decode(&body).is_ok_and(|start| start.data != b"");
        assert_eq!(
            header.version.minor(),
            u8::from(is_pap && header.seq_no.0 == 1)
        );
    }
    for (header, body) in packets(&world.answered, &protection) {
        assert!(!header.seq_no.is_from_client());
        match header.packet_type {
            PacketType::AUTHORIZATION => assert!(authorization::Reply::decode(&body).is_ok()),
            PacketType::ACCOUNTING => assert!(accounting::Reply::decode(&body).is_ok()),
            _ => assert!(authentication::Reply::decode(&body).is_ok()),
        }
    }
}

/// proves: TAC-4.1-14
#[test]
fn clear_text_is_not_sent_without_tls_and_not_taken() {
    for dialect in [Dialect::Rfc8907, Dialect::Draft05] {
        let manner = Manner {
            tls: false,
            dialect,
            asked: true,
            granted: true,
        };
        let plan = [
            Script::Ascii {
                named: false,
                right: true,
                abort_at: None,
            },
            Script::Pap { right: true },
            Script::Authorization { permitted: true },
            Script::Accounting,
        ];
        let mut worlds = play(&manner, &plan, &[]);
        let mut world = worlds.pop().unwrap();
        assert_eq!(world.outcomes.len(), plan.len());
        let sent = headers(&world.sent);
        assert_eq!(sent.len(), 6);
        for header in sent.iter().chain(&headers(&world.answered)) {
            assert!(!header.flags.contains(Flags::UNENCRYPTED));
        }
        // The same with the flag gets nothing and is the end.
        let mut octets = world.sent[..Header::LENGTH].to_vec();
        octets[3] |= Flags::UNENCRYPTED.0;
        world.server.receive(&octets, now(0));
        let refused = format!("{:?}", world.server.poll());
        assert!(refused.contains("FlagSet"), "{refused}");
        assert!(!world.server.poll_transmit(&mut Vec::new()));
        assert!(world.server.close_reason().is_some());
    }
}
