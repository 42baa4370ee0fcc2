//! A home server that stalls, drops, repeats, forges, answers late, dies and refuses, each request by its number, and keeps a book of
//! what it was asked and what it acknowledged.

use std::collections::{BTreeMap, HashMap};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::build::{PacketBuilder, error_cause, protocol_error};
use doorward_radius::{Code, RawPacket, Secret};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::harness::{PATIENCE, Place};

/// Requests of a round.
pub(crate) const ALL: usize = 1024;

pub(crate) const HOME_SECRET: &str = "the-secret-of-the-home-server";

/// What becomes of a request, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    /// The same answer comes twice, while its identifier is not used again.
    Twice,
    /// After all the others, in the opposite order.
    Last,
    /// Nothing at first: over UDP until it is sent again, over TLS until its connection has died.
    Again,
    /// Nothing.
    Never,
    /// Only once the client has been refused.
    Late,
    /// A Protocol-Error, which is for its hop alone.
    Refused,
    /// Over UDP an answer with a wrong authenticator comes first, and nothing is wrong over TLS.
    Forged,
}

impl Fate {
    pub(crate) fn of(number: usize) -> Self {
        match number % 8 {
            0 => Self::Answered,
            1 => Self::Twice,
            2 => Self::Last,
            3 => Self::Again,
            4 => Self::Never,
            5 => Self::Late,
            6 => Self::Refused,
            _ => Self::Forged,
        }
    }

    pub(crate) fn is_accepted(self) -> bool {
        match self {
            Self::Answered | Self::Twice | Self::Last | Self::Again | Self::Forged => true,
            Self::Never | Self::Late | Self::Refused => false,
        }
    }
}

/// Acct-Session-Id: the round and the number of a request.
pub(crate) fn session(round: usize, number: usize) -> String {
    format!("r{round}-{number:04}")
}

pub(crate) fn number(session: &str) -> (usize, usize) {
    let (round, number) = session[1..].split_once('-').unwrap();
    (round.parse().unwrap(), number.parse().unwrap())
}

pub(crate) fn attribute(packet: &RawPacket, kind: u8) -> Option<String> {
    let attributes = Attributes::new(packet.attributes()).unwrap();
    let value = attributes.first(kind)?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

/// A request as it came: on which connection or from where.
#[derive(Clone)]
pub(crate) struct Received {
    connection: usize,
    from: SocketAddr,
    packet: RawPacket,
}

/// Identifier and authenticator: what is the same is the same request, sent again.
type Sent = (u8, [u8; 16]);

pub(crate) fn sent(packet: &RawPacket) -> Sent {
    let header = packet.header();
    (header.id, header.authenticator)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing is answered.
    Gathering,
    /// By the fates.
    Answering,
    /// What is late goes out.
    Released,
}

/// What the home server has received and done.
pub(crate) struct Book {
    pub(crate) over_tls: bool,
    secret: Secret,
    pub(crate) stage: Stage,
    /// The last of each session.
    received: BTreeMap<String, Received>,
    /// How often each session came, whatever its packet was.
    pub(crate) times: HashMap<String, usize>,
    pub(crate) acknowledged: HashMap<String, Sent>,
    /// Sessions that were acknowledged and came again as other requests.
    pub(crate) doubled: Vec<String>,
    /// By connection.
    outgoing: HashMap<usize, Vec<(Vec<u8>, SocketAddr)>>,
    pub(crate) connections: usize,
    /// Connections that end one after the other, the last first.
    pub(crate) dying: Vec<usize>,
}

impl Book {
    fn send(&mut self, to: &Received, octets: Vec<u8>) {
        let outgoing = self.outgoing.entry(to.connection).or_default();
        outgoing.push((octets, to.from));
    }

    /// Says whose answer it is, and gives the Proxy-States back.
    fn answer(&self, session: &str, packet: &RawPacket) -> Vec<u8> {
        let mut answer = PacketBuilder::answer(Code::ACCOUNTING_RESPONSE, packet.header());
        answer
            .push(kind::REPLY_MESSAGE, session.as_bytes())
            .unwrap();
        let attributes = Attributes::new(packet.attributes()).unwrap();
        for state in attributes.all(kind::PROXY_STATE) {
            answer.push(kind::PROXY_STATE, state).unwrap();
        }
        answer.finish(&self.secret)
    }

    fn acknowledge(&mut self, session: &str, times: usize) {
        let to = self.received[session].clone();
        let octets = self.answer(session, &to.packet);
        for _ in 0..times {
            self.send(&to, octets.clone());
        }
        self.acknowledged
            .insert(session.to_owned(), sent(&to.packet));
    }

    fn receive(&mut self, received: Received) {
        let session = attribute(&received.packet, kind::ACCT_SESSION_ID).unwrap();
        *self.times.entry(session.clone()).or_default() += 1;
        self.received.insert(session.clone(), received.clone());
        if let Some(before) = self.acknowledged.get(&session) {
            if *before == sent(&received.packet) {
                let octets = self.answer(&session, &received.packet);
                self.send(&received, octets);
            } else {
                self.doubled.push(session);
            }
            return;
        }
        let (round, number) = number(&session);
        if round > 0 {
            return self.acknowledge(&session, 1);
        }
        match self.stage {
            Stage::Gathering if self.received.len() == ALL => self.begin(),
            Stage::Gathering => {}
            // What had no answer the first time.
            Stage::Answering | Stage::Released => match Fate::of(number) {
                Fate::Refused => self.refuse(&session),
                Fate::Never | Fate::Late => {}
                Fate::Answered | Fate::Twice | Fate::Last | Fate::Again | Fate::Forged => {
                    self.acknowledge(&session, 1);
                }
            },
        }
    }

    fn refuse(&mut self, session: &str) {
        let to = self.received[session].clone();
        let cause = error_cause::UNSUPPORTED_EXTENSION;
        let octets = protocol_error(to.packet.header(), cause, &self.secret);
        self.send(&to, octets);
    }

    fn begin(&mut self) {
        self.stage = Stage::Answering;
        let sessions: Vec<String> = self.received.keys().cloned().collect();
        for session in &sessions {
            match Fate::of(number(session).1) {
                Fate::Answered => self.acknowledge(session, 1),
                Fate::Twice => self.acknowledge(session, 2),
                Fate::Refused => self.refuse(session),
                Fate::Forged => {
                    if !self.over_tls {
                        let to = self.received[session].clone();
                        let mut octets = self.answer("somebody else's", &to.packet);
                        octets[10] ^= 1;
                        self.send(&to, octets);
                    }
                    self.acknowledge(session, 1);
                }
                Fate::Last | Fate::Again | Fate::Never | Fate::Late => {}
            }
        }
        for session in sessions.iter().rev() {
            if Fate::of(number(session).1) == Fate::Last {
                self.acknowledge(session, 1);
            }
        }
    }

    /// Whether this connection ends now. The next one does at once, whether or not the client has noticed.
    fn dies(&mut self, connection: usize) -> bool {
        let dies = self.dying.last() == Some(&connection);
        self.dying.pop_if(|_| dies);
        dies
    }

    /// Answers what is late: by now nobody waits for it.
    pub(crate) fn release(&mut self) {
        self.stage = Stage::Released;
        let sessions: Vec<String> = self.received.keys().cloned().collect();
        for session in sessions {
            if Fate::of(number(&session).1) == Fate::Late {
                let to = self.received[&session].clone();
                let octets = self.answer(&session, &to.packet);
                self.send(&to, octets);
            }
        }
    }
}

/// The home server, which ends with the test's process.
pub(crate) struct Home {
    book: Arc<Mutex<Book>>,
    pub(crate) port: u16,
}

impl Home {
    pub(crate) fn start(place: &Place, over_tls: bool) -> Self {
        let secret = match over_tls {
            true => Secret::RADSEC,
            false => Secret::new(HOME_SECRET.as_bytes()),
        };
        let book = Arc::new(Mutex::new(Book {
            over_tls,
            secret,
            stage: Stage::Gathering,
            received: BTreeMap::new(),
            times: HashMap::new(),
            acknowledged: HashMap::new(),
            doubled: Vec::new(),
            outgoing: HashMap::new(),
            connections: 0,
            dying: Vec::new(),
        }));
        let port = match over_tls {
            true => listen_tls(place, &book),
            false => listen_udp(&book),
        };
        Self { book, port }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }
}

/// How long a connection waits for a packet before it looks whether there is something to send.
const LOOK: Duration = Duration::from_millis(2);

fn listen_udp(book: &Arc<Mutex<Book>>) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LOOK)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let book = Arc::clone(book);
    std::thread::spawn(move || {
        let mut buffer = [0; 4097];
        loop {
            let received = socket.recv_from(&mut buffer);
            let mut book = book.lock().unwrap();
            if let Ok((length, from)) = received {
                let packet = RawPacket::new(buffer[..length].to_vec()).unwrap();
                let connection = 0;
                book.receive(Received {
                    connection,
                    from,
                    packet,
                });
            }
            for (octets, to) in book.outgoing.remove(&0).unwrap_or_default() {
                // The proxy may have gone at the end of the test.
                _ = socket.send_to(&octets, to);
            }
        }
    });
    port
}

fn listen_tls(place: &Place, book: &Arc<Mutex<Book>>) -> u16 {
    let chain = CertificateDer::pem_file_iter(place.path("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(place.path("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let book = Arc::clone(book);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (config, book) = (Arc::clone(&config), Arc::clone(&book));
            let connection = book.lock().unwrap().connections;
            book.lock().unwrap().connections += 1;
            std::thread::spawn(move || serve_tls(socket.unwrap(), config, &book, connection));
        }
    });
    port
}

fn serve_tls(
    mut socket: TcpStream,
    config: Arc<rustls::ServerConfig>,
    book: &Mutex<Book>,
    connection: usize,
) {
    let from = socket.peer_addr().unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(LOOK)).unwrap();
    let mut tls = rustls::ServerConnection::new(config).unwrap();
    let mut plain = Vec::new();
    loop {
        match tls.read_tls(&mut socket) {
            Ok(0) => return,
            Ok(_) => {
                // A client that has gone may have left half a record.
                let Ok(state) = tls.process_new_packets() else {
                    return;
                };
                let mut octets = vec![0; state.plaintext_bytes_to_read()];
                tls.reader().read_exact(&mut octets).unwrap();
                plain.extend(octets);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
        let mut now = book.lock().unwrap();
        while let Some(length) = plain.get(2..4) {
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            if plain.len() < length {
                break;
            }
            let packet = RawPacket::new(plain.drain(..length).collect::<Vec<u8>>()).unwrap();
            now.receive(Received {
                connection,
                from,
                packet,
            });
        }
        for (octets, _) in now.outgoing.remove(&connection).unwrap_or_default() {
            tls.writer().write_all(&octets).unwrap();
        }
        let dies = now.dies(connection);
        drop(now);
        if dies {
            tls.send_close_notify();
        }
        while tls.wants_write() {
            if tls.write_tls(&mut socket).is_err() {
                return;
            }
        }
        if dies {
            // What is not read any more is not acknowledged either; a reset would take answers with it.
            _ = socket.shutdown(Shutdown::Write);
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            _ = socket.read_to_end(&mut Vec::new());
            return;
        }
    }
}
