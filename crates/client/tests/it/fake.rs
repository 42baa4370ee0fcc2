//! A server that reads one packet at a time and does with it whatever a test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use doorward_client::{Secret, ServerAddress};
use doorward_tacacs::{
    AccountingStatus, AuthenticationStatus, AuthorizationStatus, Flags, Header, PacketType, SeqNo,
    SessionId, accounting, authentication, authorization, obfuscation,
};
use doorward_tls::{
    Admission, AdmissionRefusal, Handshake, PeerIdentity, PlainState, ServerChannel, ServerPolicy,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::SECRET;

/// A packet of the client, its body in clear.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The how many-th connection to this server, from 0.
    pub(crate) connection: usize,
    /// The how many-th packet on it, from 0.
    pub(crate) packet: usize,
    pub(crate) header: Header,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn start(&self) -> authentication::Start<'_> {
        authentication::Start::decode(&self.body).unwrap()
    }

    pub(crate) fn answer(&self) -> authentication::Continue<'_> {
        authentication::Continue::decode(&self.body).unwrap()
    }

    pub(crate) fn authorization(&self) -> authorization::Request<'_> {
        authorization::Request::decode(&self.body).unwrap()
    }

    pub(crate) fn accounting(&self) -> accounting::Request<'_> {
        accounting::Request::decode(&self.body).unwrap()
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        let list = match self.header.packet_type {
            PacketType::ACCOUNTING => self.accounting().arguments,
            _ => self.authorization().arguments,
        };
        list.raw()
            .map(|octets| String::from_utf8(octets.to_vec()).unwrap())
            .collect()
    }

    /// A reply to this packet, as the client expects it.
    pub(crate) fn reply(&self, body: Vec<u8>) -> Reply {
        let header = Header {
            seq_no: SeqNo(self.header.seq_no.0.wrapping_add(1)),
            length: u32::try_from(body.len()).unwrap(),
            ..self.header
        };
        Reply {
            header,
            body,
            secret: Some(Secret::new(SECRET)),
            close: false,
        }
    }

    /// A reply to an authentication packet.
    pub(crate) fn authenticated(&self, status: AuthenticationStatus) -> Reply {
        let mut body = Vec::new();
        authentication::Reply::new(status)
            .encode(&mut body)
            .unwrap();
        self.reply(body)
    }

    /// A question of an ASCII login.
    pub(crate) fn ask(&self, status: AuthenticationStatus, prompt: &str) -> Reply {
        let mut body = Vec::new();
        let no_echo = status == AuthenticationStatus::GETPASS;
        let reply = authentication::Reply {
            no_echo,
            server_msg: prompt.as_bytes(),
            ..authentication::Reply::new(status)
        };
        reply.encode(&mut body).unwrap();
        self.reply(body)
    }

    /// A reply to an authorization packet; the arguments need not be well-formed.
    pub(crate) fn authorized(&self, status: AuthorizationStatus, arguments: &[&str]) -> Reply {
        let mut body = vec![status.0, u8::try_from(arguments.len()).unwrap(), 0, 0, 0, 0];
        body.extend(
            arguments
                .iter()
                .map(|argument| u8::try_from(argument.len()).unwrap()),
        );
        body.extend(arguments.iter().flat_map(|argument| argument.bytes()));
        self.reply(body)
    }

    /// A reply to an accounting packet.
    pub(crate) fn accounted(&self, status: AccountingStatus) -> Reply {
        let mut body = Vec::new();
        accounting::Reply::new(status).encode(&mut body).unwrap();
        self.reply(body)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    header: Header,
    body: Vec<u8>,
    secret: Option<Secret>,
    close: bool,
}

impl Reply {
    pub(crate) fn flags(mut self, flags: Flags) -> Self {
        self.header.flags = flags;
        self
    }

    pub(crate) fn seq_no(mut self, number: u8) -> Self {
        self.header.seq_no = SeqNo(number);
        self
    }

    pub(crate) fn session(mut self, id: u32) -> Self {
        self.header.session_id = SessionId(id);
        self
    }

    pub(crate) fn packet_type(mut self, packet_type: PacketType) -> Self {
        self.header.packet_type = packet_type;
        self
    }

    pub(crate) fn secret(mut self, secret: &str) -> Self {
        self.secret = Some(Secret::new(secret));
        self
    }

    /// Not obfuscated, whatever the flag says.
    pub(crate) fn in_clear(mut self) -> Self {
        self.secret = None;
        self
    }

    pub(crate) fn then_close(mut self) -> Self {
        self.close = true;
        self
    }

    fn octets(&self) -> Vec<u8> {
        let mut body = self.body.clone();
        if let Some(secret) = &self.secret
            && !self.header.flags.contains(Flags::UNENCRYPTED)
        {
            obfuscation::apply(secret, &self.header, &mut body);
        }
        [self.header.encode().as_slice(), &body].concat()
    }
}

/// What the server does with a packet.
pub(crate) enum Act {
    Send(Reply),
    Raw(Vec<u8>),
    Close,
    Silence,
}

impl From<Reply> for Act {
    fn from(reply: Reply) -> Self {
        Self::Send(reply)
    }
}

type Script = dyn FnMut(&Request) -> Act + Send;

#[derive(Clone)]
struct Shared {
    script: Arc<Mutex<Script>>,
    requests: Arc<Mutex<Vec<Request>>>,
    ended: mpsc::UnboundedSender<usize>,
    tls: Option<Arc<ServerPolicy>>,
}

pub(crate) struct Fake {
    address: SocketAddr,
    shared: Shared,
    connections: Arc<Mutex<Vec<SocketAddr>>>,
    ended: mpsc::UnboundedReceiver<usize>,
    task: JoinHandle<()>,
}

impl Fake {
    pub(crate) async fn plain(script: impl FnMut(&Request) -> Act + Send + 'static) -> Self {
        Self::start(script, None).await
    }

    pub(crate) async fn tls(
        policy: ServerPolicy,
        script: impl FnMut(&Request) -> Act + Send + 'static,
    ) -> Self {
        Self::start(script, Some(Arc::new(policy))).await
    }

    async fn start(
        script: impl FnMut(&Request) -> Act + Send + 'static,
        tls: Option<Arc<ServerPolicy>>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, ended) = mpsc::unbounded_channel();
        let shared = Shared {
            script: Arc::new(Mutex::new(script)),
            requests: Arc::default(),
            ended: sender,
            tls,
        };
        let connections: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
        let task = tokio::spawn({
            let (shared, connections) = (shared.clone(), connections.clone());
            async move {
                while let Ok((stream, peer)) = listener.accept().await {
                    let number = {
                        let mut all = connections.lock().unwrap();
                        all.push(peer);
                        all.len() - 1
                    };
                    tokio::spawn(shared.clone().serve(stream, peer, number));
                }
            }
        });
        Self {
            address,
            shared,
            connections,
            ended,
            task,
        }
    }

    pub(crate) fn address(&self) -> ServerAddress {
        ServerAddress::from_ip(self.address.ip(), self.address.port())
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Whether nobody has ever connected. Connections are accepted in the order in which they came: one of our own shows that none is on its way.
    pub(crate) async fn was_left_alone(&self) -> bool {
        let ours = TcpStream::connect(self.address).await.unwrap();
        let ours = ours.local_addr().unwrap();
        let seen = async {
            while !self.connections.lock().unwrap().contains(&ours) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::PATIENCE, seen).await.unwrap();
        self.connections() == 1
    }

    /// How many connections were accepted.
    pub(crate) fn connections(&self) -> usize {
        self.connections.lock().unwrap().len()
    }

    /// Waits until a connection is over on both sides, and tells which.
    pub(crate) async fn ended(&mut self) -> usize {
        tokio::time::timeout(crate::PATIENCE, self.ended.recv())
            .await
            .unwrap()
            .unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn serve(self, stream: TcpStream, peer: SocketAddr, connection: usize) {
        let mut wire = Wire::new(stream, peer, self.tls.as_ref());
        let mut packet = 0;
        while let Some(request) = wire.packet(connection, packet).await {
            packet += 1;
            self.requests.lock().unwrap().push(request.clone());
            let act = (self.script.lock().unwrap())(&request);
            match act {
                Act::Send(reply) => {
                    wire.write(&reply.octets()).await;
                    if reply.close {
                        break;
                    }
                }
                Act::Raw(octets) => wire.write(&octets).await,
                Act::Close => break,
                Act::Silence => {}
            }
        }
        wire.end().await;
        _ = self.ended.send(connection);
    }
}

/// Who has a certificate that is believed.
pub(crate) struct Anybody;

impl Admission for Anybody {
    fn admit(&self, _: &PeerIdentity, _: SocketAddr) -> Result<Arc<str>, AdmissionRefusal> {
        Ok("anybody".into())
    }
}

/// One connection, with or without TLS.
pub(crate) struct Wire {
    stream: TcpStream,
    channel: Option<ServerChannel>,
    plain: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        tls: Option<&Arc<ServerPolicy>>,
    ) -> Self {
        let channel =
            |policy: &Arc<_>| ServerChannel::new(Arc::clone(policy), Arc::new(Anybody), peer);
        Self::over(stream, tls.map(channel))
    }

    /// With a channel of the test's own.
    pub(crate) fn over(stream: TcpStream, channel: Option<ServerChannel>) -> Self {
        Self {
            stream,
            channel,
            plain: Vec::new(),
        }
    }

    /// Ends TLS 1.3 by the fatal alert that a record deserves which nobody sealed.
    pub(crate) async fn alert(&mut self) {
        let channel = self.channel.as_mut().unwrap();
        channel.feed(&[&[23, 3, 3, 0, 40][..], &[7; 40]].concat());
        assert!(channel.read_plain(&mut self.plain).is_err());
        self.flush().await;
    }

    /// What has come, all of it plain data.
    pub(crate) fn take(&mut self, length: usize) -> Vec<u8> {
        self.plain.drain(..length).collect()
    }

    pub(crate) fn seen(&self) -> &[u8] {
        &self.plain
    }

    async fn packet(&mut self, connection: usize, packet: usize) -> Option<Request> {
        self.fill(Header::LENGTH).await?;
        let header = Header::peek(&self.plain).unwrap();
        let end = Header::LENGTH + usize::try_from(header.length).unwrap();
        self.fill(end).await?;
        let mut body: Vec<u8> = self.plain.drain(..end).skip(Header::LENGTH).collect();
        if !header.flags.contains(Flags::UNENCRYPTED) {
            obfuscation::apply(&Secret::new(SECRET), &header, &mut body);
        }
        Some(Request {
            connection,
            packet,
            header,
            body,
        })
    }

    pub(crate) async fn fill(&mut self, length: usize) -> Option<()> {
        while self.plain.len() < length {
            let mut chunk = [0; 4096];
            let count = self
                .stream
                .read(&mut chunk)
                .await
                .ok()
                .filter(|count| *count != 0)?;
            let Some(channel) = &mut self.channel else {
                self.plain.extend_from_slice(&chunk[..count]);
                continue;
            };
            channel.feed(&chunk[..count]);
            let failed = matches!(channel.handshake(), Handshake::Failed(_));
            let done = matches!(channel.handshake(), Handshake::Done(_));
            let open = !done || channel.read_plain(&mut self.plain) == Ok(PlainState::Open);
            self.flush().await;
            if failed || !open {
                return (self.plain.len() >= length).then_some(());
            }
        }
        Some(())
    }

    async fn flush(&mut self) {
        let mut out = Vec::new();
        if let Some(channel) = &mut self.channel {
            channel.drain(&mut out);
        }
        _ = self.stream.write_all(&out).await;
    }

    pub(crate) async fn write(&mut self, octets: &[u8]) {
        match &mut self.channel {
            None => _ = self.stream.write_all(octets).await,
            Some(channel) => {
                channel.write_plain(octets).unwrap();
                self.flush().await;
            }
        }
    }

    /// Tears the connection down: the client gets a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Closes our side, then waits for the client to close its own.
    pub(crate) async fn end(mut self) {
        if let Some(channel) = &mut self.channel {
            channel.close();
        }
        self.flush().await;
        _ = self.stream.shutdown().await;
        let mut rest = Vec::new();
        _ = self.stream.read_to_end(&mut rest).await;
    }
}
