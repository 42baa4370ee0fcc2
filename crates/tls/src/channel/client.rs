//! The connecting role.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{Resumption, Tls12Resumption, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, SupportedProtocolVersion, version};

use super::engine::Engine;
use super::openssl::OpenSsl;
use super::resumption::{Place, Store};
use super::session::Session;
use super::verifier::{Judge, Subject};
use super::{Handshake, PlainState};
use crate::{
    ChannelError, ClientPolicy, HandshakeError, PathError, ReferenceIdentity, StatusQuery, Trust,
};

/// One connection to a server.
///
/// A TLS 1.3 client sees the handshake as complete before the server has judged its certificate: the refusal comes as
/// an alert to the first read. Only [`Self::confirmed`] says that the server lets us in.
pub struct ClientChannel {
    session: Session,
    /// A ticket went out with the hello.
    offered: bool,
    confirmed: bool,
    policy: Arc<ClientPolicy>,
    place: Place,
}

impl ClientChannel {
    /// Begins a handshake with the server at `peer`: `reference` is what its certificate has to carry, `sni` the name
    /// sent in clear, if any. An address is never sent as a name (RFC 6066 section 3).
    pub fn new(
        policy: Arc<ClientPolicy>,
        reference: ReferenceIdentity,
        sni: Option<&str>,
        peer: SocketAddr,
    ) -> Self {
        let place = Place::new(peer, reference, sni);
        let session = begin(&policy, &place);
        Self::begun(policy, place, session)
    }

    /// Begins a handshake of DTLS 1.2 in the same way; what [`Self::drain`] gives is one record after another, each to be sent
    /// whole, and [`Self::feed`] takes one datagram at a time. The policy has to be for datagrams.
    pub fn datagrams(
        policy: Arc<ClientPolicy>,
        reference: ReferenceIdentity,
        sni: Option<&str>,
        peer: SocketAddr,
    ) -> Self {
        let place = Place::new(peer, reference, sni);
        let session = begin_datagrams(&policy, &place);
        Self::begun(policy, place, session.map(|session| (session, false)))
    }

    /// `begun`: the session, and whether it offers a ticket; `None` where our own engine refused.
    fn begun(policy: Arc<ClientPolicy>, place: Place, begun: Option<(Session, bool)>) -> Self {
        let (session, offered) =
            begun.unwrap_or_else(|| (Session::failed(HandshakeError::Internal, None), false));
        Self {
            session,
            offered,
            confirmed: false,
            policy,
            place,
        }
    }

    /// When a handshake of DTLS is to be woken by [`Self::handle_timeout`], from now; `None` = it waits for nothing.
    pub fn timeout(&self) -> Option<Duration> {
        self.session.timeout()
    }

    /// Repeats the last flight of a handshake of DTLS, if its time has come; drain afterwards.
    pub fn handle_timeout(&mut self) {
        self.session.handle_timeout();
    }

    /// Shows what came over DTLS, one record after another. What the peer sent before an error or its end is shown too.
    pub fn read_records(
        &mut self,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<PlainState, ChannelError> {
        let confirmed = &mut self.confirmed;
        self.session.read_records(&mut |record| {
            *confirmed = true;
            each(record);
        })
    }

    /// Whether the keys are worn and cannot be changed: what is under way should be waited for, and the next request go over
    /// another connection. Over TLS 1.3 keys are changed without anybody's help.
    pub fn wants_renewal(&self) -> bool {
        self.session.worn() >= self.policy.tls12_records
    }

    /// Takes octets from the socket. Trouble shows in [`Self::handshake`] or [`Self::read_plain`].
    pub fn feed(&mut self, octets: &[u8]) {
        self.session.feed(octets);
    }

    /// Appends what has to go to the socket.
    pub fn drain(&mut self, out: &mut Vec<u8>) {
        self.session.drain(out);
    }

    /// How far the handshake is, as the client sees it.
    pub fn handshake(&self) -> Handshake<'_> {
        self.session.handshake()
    }

    /// The hello offered a ticket. If the server ends such a connection before [`Self::confirmed`], in the handshake or after it,
    /// then the next one to it begins with a full handshake, and may begin at once.
    pub fn offered_resumption(&self) -> bool {
        self.offered
    }

    /// By what the server is judged.
    pub fn trust(&self) -> &Arc<Trust> {
        &self.policy.basis.trust
    }

    /// Which OCSP responders have to be asked before the server is told anything: it stapled no answer about its path
    /// that would do, and there is no current one from before. Hand what they send to [`Trust::take_answer`] of
    /// [`Self::trust`], then ask [`Self::settle_status`]. Empty before the handshake is over, and where OCSP is off.
    pub fn open_questions(&self) -> Vec<StatusQuery> {
        let basis = &self.policy.basis;
        self.session.open_questions(&basis.trust, basis.clock.now())
    }

    /// Judges the server once the responders were asked, whatever they said.
    ///
    /// # Errors
    /// Why it is not to be told anything.
    pub fn settle_status(&self) -> Result<(), PathError> {
        let basis = &self.policy.basis;
        self.session.settle_status(&basis.trust, basis.clock.now())
    }

    /// Plain data of the server has been read, so it accepted our certificate.
    pub fn confirmed(&self) -> bool {
        self.confirmed
    }

    /// Appends what the peer said. An error is final; what came in good order before it is appended all the same.
    pub fn read_plain(&mut self, out: &mut Vec<u8>) -> Result<PlainState, ChannelError> {
        let before = out.len();
        let state = self.session.read_plain(out);
        self.confirmed |= out.len() > before;
        state
    }

    /// Takes plain data for the peer; what one turn writes is sealed together by [`Self::drain`].
    pub fn write_plain(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        self.session.write_plain(plain)
    }

    /// The same in a record of its own (several if it is longer than one holds): RADIUS wants one for each packet (RFC 6614bis
    /// section 4.1). All of one turn still leave [`Self::drain`] together.
    pub fn write_record(&mut self, plain: &[u8]) -> Result<(), ChannelError> {
        self.session.write_record(plain)
    }

    /// Says close_notify after what was written; nothing can be written any more.
    pub fn close(&mut self) {
        self.session.close();
    }

    /// Changes our sending keys and asks the peer to change its own (RFC 8446 section 4.6.3). rustls does so by itself
    /// before a key wears out; this is for tools and tests that play a peer which wants it earlier.
    pub fn key_update(&mut self) -> Result<(), ChannelError> {
        self.session.key_update()
    }
}

impl Drop for ClientChannel {
    /// A server that was offered a ticket and then says nothing is asked for a full handshake next time, wherever it stopped.
    fn drop(&mut self) {
        if self.offered && !self.confirmed {
            self.policy.sessions.forget(&self.place);
        }
    }
}

/// What the server is called, and the name that is sent in clear: an address is none (RFC 6066 section 3), and in place of a
/// name it makes rustls send none.
fn names(place: &Place) -> Option<(ServerName<'static>, Option<String>)> {
    let name = match &place.sni {
        Some(name) => ServerName::try_from(name.clone()).ok()?,
        None => ServerName::IpAddress(place.peer.ip().into()),
    };
    let named = matches!(name, ServerName::DnsName(_));
    let sent = place.sni.clone().filter(|_| named);
    Some((name, sent))
}

fn judge(policy: &Arc<ClientPolicy>, place: &Place) -> Arc<Judge> {
    Judge::new(Subject::Server {
        policy: policy.clone(),
        reference: place.reference.clone(),
    })
}

/// The session of an association, which offers no ticket.
fn begin_datagrams(policy: &Arc<ClientPolicy>, place: &Place) -> Option<Session> {
    // A name that cannot be sent is left out: what the certificate has to carry is the reference's.
    let sent = names(place).and_then(|(_, sent)| sent);
    let judge = judge(policy, place);
    let psk = policy.psk.as_ref().map(|psk| (&psk.identity, &psk.key));
    let context = policy.datagrams.as_ref()?;
    let engine = OpenSsl::datagram_client(context, &judge, psk, sent.as_deref())?;
    let engine = Engine::OpenSsl(Box::new(engine));
    Some(Session::settle(engine, judge, sent))
}

/// The session, and whether it offers a ticket.
fn begin(policy: &Arc<ClientPolicy>, place: &Place) -> Option<(Session, bool)> {
    let (name, sent) = names(place)?;
    let judge = judge(policy, place);
    if let Some(psk) = &policy.psk {
        let engine = OpenSsl::client(&psk.context, &psk.identity, &psk.key, sent.as_deref())?;
        let engine = Engine::OpenSsl(Box::new(engine));
        return Some((Session::settle(engine, judge, sent), false));
    }
    let versions: &[&SupportedProtocolVersion] = match policy.tls12 {
        true => &[&version::TLS13, &version::TLS12],
        false => &[&version::TLS13],
    };
    let builder = ClientConfig::builder_with_provider(policy.basis.provider.clone())
        .with_protocol_versions(versions)
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(policy.verifier.clone());
    let mut config = builder.with_client_cert_resolver(policy.credentials.clone());
    let store = Store::new(policy.clone(), place.clone(), judge.clone());
    config.resumption =
        Resumption::store(Arc::new(store)).tls12_resumption(Tls12Resumption::Disabled);
    config.enable_early_data = false;
    let connection = UnbufferedClientConnection::new(Arc::new(config), name).ok()?;
    // The hello is made here, with the ticket that the store gives out.
    let engine = Engine::client(connection);
    let offered = judge.resumption().is_some();
    Some((Session::settle(engine, judge, sent), offered))
}
