//! Requests of users who are at home elsewhere: passed on by the first `[[route]]` that takes them, answered by what comes back.
//!
//! ```text
//! request ─ local user? ─ route ─ circle? ─ room ─▶ Upstream ─▶ answer ─ rewritten, hidden anew ─▶ client
//!                                                        └─ none ─▶ Protocol-Error 502, over UDP nothing
//! ```
//!
//! A hop that takes responsibility (RFC 6614bis section 6.2.2): what the client sends again is known by its connection and never
//! passed on twice; what goes to UDP or DTLS is sent again from here. When the client's connection closes, or the client
//! uses the identifier for another request, nothing more is sent for the old one, and its answer is dropped.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as Waker, Poll};
use std::time::Duration;

use doorward_client::radius::{Ask, AttemptError, Error, Passed};
use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::authenticator::MessageAuthenticator;
use doorward_radius::build::{error_cause, protocol_error};
use doorward_radius::challenge::{MICROSOFT, microsoft};
use doorward_radius::dictionary::{Dictionary, Hiding, VendorFormat};
use doorward_radius::hop::{Backward, Forward};
use doorward_radius::server::{ServerConnection, Ticket};
use doorward_radius::{Code, Now, RawPacket, Secret, realm};
use doorward_tacacs::Dialect;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::answer::{Answer, salt};
use super::{Report, Service, login};
use crate::aaa::{Decided, Kind, Outcome, Reason, Refused, Snapshot, Who, request};
use crate::config::AuthenticationType;
use crate::identity::user_name;
use crate::metrics::Turn;
use crate::policy::{Context, Decision, Route, Transport};
use crate::proxy::{Astray, Destination, Purpose, Upstream, Whose};

/// One request that was passed on, and what its answer will need.
struct Way {
    ticket: Ticket,
    packet: RawPacket,
    answer: Answer,
    who: Who,
    purpose: Purpose,
    route: Arc<Route>,
    upstream: Arc<Upstream>,
    /// The one it was routed in.
    snapshot: Arc<Snapshot>,
    arrival: Duration,
}

/// An answer, and of whose servers it is.
type Answered = (Passed, Arc<Destination>);

/// Why there is none.
enum Unanswered {
    /// No server answered.
    Nobody(Error),
    /// The realm of the user leads to no server.
    Astray(Astray),
}

/// Tells the number of the ticket.
type Underway = Pin<Box<dyn Future<Output = (u64, Result<Answered, Unanswered>)> + Send>>;

/// The requests of one connection that were passed on.
#[derive(Default)]
pub(super) struct Forwards {
    underway: FuturesUnordered<Abortable<Underway>>,
    /// By the numbers of their tickets.
    ways: HashMap<u64, (Way, AbortHandle)>,
    /// How many wait for room.
    pressing: Arc<AtomicUsize>,
}

impl Forwards {
    pub(super) fn is_empty(&self) -> bool {
        self.ways.is_empty()
    }

    /// Whether some wait for room, so that no more should be read.
    pub(super) fn is_pressed(&self) -> bool {
        self.pressing.load(Ordering::Relaxed) > 0
    }

    /// Ends this one, for whose answer nobody waits any more.
    fn give_up(&mut self, number: u64) -> Option<Way> {
        let (way, handle) = self.ways.remove(&number)?;
        handle.abort();
        Some(way)
    }

    /// Ends all of them.
    fn clear(&mut self) -> Vec<Way> {
        self.underway.clear();
        self.ways.drain().map(|(_, (way, _))| way).collect()
    }
}

/// Counts one that waits for room, until it is dropped.
struct Pressing(Arc<AtomicUsize>);

impl Pressing {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Pressing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request as every server of a pool can have it.
struct Onward {
    forward: Forward,
    mark: Vec<u8>,
}

impl Ask for Onward {
    fn build(&self, id: u8, secret: &Secret) -> Result<Vec<u8>, Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| Error::Random)?;
        let salt = salt().map_err(|_| Error::Random)?;
        let built = self.forward.build(id, random, salt, &self.mark, secret);
        built.map_err(Error::Request)
    }
}

/// How the value of an attribute is hidden. Those of vendors with a form of their own are passed on as they are.
fn hiding(dictionary: &Dictionary) -> impl Fn(Option<u32>, &[u8]) -> Hiding + '_ {
    |vendor, path| {
        if vendor.is_some_and(|vendor| dictionary.format(vendor) != VendorFormat::default()) {
            return Hiding::None;
        }
        let path: Vec<u32> = path.iter().map(|octet| u32::from(*octet)).collect();
        let known = dictionary.by_number(vendor, &path);
        known.map_or(Hiding::None, |attribute| attribute.hidden)
    }
}

/// How the user proves who it is, for the rules; nothing is judged here.
fn auth(attributes: &Attributes<'_>) -> Option<AuthenticationType> {
    if attributes.first(kind::USER_PASSWORD).is_some() {
        return Some(AuthenticationType::Pap);
    }
    if attributes.first(kind::CHAP_PASSWORD).is_some() {
        return Some(AuthenticationType::Chap);
    }
    let mut mschap = attributes.of_vendor(MICROSOFT, microsoft::CHAP2_RESPONSE);
    mschap.next().map(|_| AuthenticationType::MsChapV2)
}

/// The realm of the user, in which the servers are looked for; empty without one.
fn realm_of(attributes: &Attributes<'_>) -> String {
    let name = attributes.first(kind::USER_NAME).unwrap_or_default();
    realm::of(name).unwrap_or_default().to_owned()
}

/// What it came to, by the server that was nearest to an answer.
fn why_unanswered(error: &Error) -> Reason {
    let Error::Unavailable(attempts) = error else {
        return Reason::UpstreamUnavailable;
    };
    let any = |fits: fn(&AttemptError) -> bool| attempts.iter().any(|one| fits(&one.reason));
    if any(|reason| matches!(reason, AttemptError::Ignored(_))) {
        Reason::UpstreamNotBelieved
    } else if any(|reason| matches!(reason, AttemptError::ReplyTimeout)) {
        Reason::UpstreamSilent
    } else {
        Reason::UpstreamUnavailable
    }
}

impl Service {
    /// Passes a request on if its user is not ours and a route takes it; gives the ticket back otherwise.
    pub(super) fn forward(
        &mut self,
        ticket: Ticket,
        packet: &RawPacket,
        attributes: &Attributes<'_>,
        signed: MessageAuthenticator,
        machine: &mut ServerConnection,
        now: Now,
    ) -> Option<Ticket> {
        let purpose = match packet.header().code {
            Code::ACCESS_REQUEST => Purpose::Login,
            Code::ACCOUNTING_REQUEST => Purpose::Accounting,
            _ => return Some(ticket),
        };
        let Some((who, route)) = self.route(attributes) else {
            return Some(ticket);
        };
        // RFC 3579 section 3.2: EAP without it is discarded.
        if attributes.eap().is_some() && signed == MessageAuthenticator::Absent {
            self.refused(Refused::RadiusUnsigned, packet, "EAP");
            machine.discard(ticket);
            return None;
        }
        let states = attributes.all(kind::PROXY_STATE);
        if self.aaa.proxy.goes_in_circles(states) {
            self.refused(Refused::ProxyCircle, packet, route.reference.text.as_ref());
            self.unroutable(ticket, packet, machine, now);
            return None;
        }
        let made = self.onward(packet, &route);
        let upstream = self.aaa.proxy.upstream(&route.pool);
        let (onward, upstream) = match (made, upstream) {
            (Ok(onward), Some(upstream)) => (onward, upstream),
            (Err(what), _) => {
                self.refused(Refused::NotPassedOn, packet, &what);
                self.unroutable(ticket, packet, machine, now);
                return None;
            }
            (Ok(_), None) => {
                self.refused(Refused::NotPassedOn, packet, &route.pool);
                self.unroutable(ticket, packet, machine, now);
                return None;
            }
        };
        let device = &self.peer.device;
        let room = upstream.try_room(device);
        // What may be lost is sent again by the client; of what may not, no more is read until there is room.
        if room.is_none() && self.is_lossy() {
            self.refused(Refused::ProxyBusy, packet, &route.pool);
            machine.discard(ticket);
            return None;
        }
        let device = Arc::clone(device);
        // Servers of a realm are found first.
        let towards = match upstream.servers() {
            Some(servers) => Ok((Arc::clone(servers), servers.aim_of(&device, attributes))),
            None => Err((realm_of(attributes), packet.clone())),
        };
        let pressing = room
            .is_none()
            .then(|| Pressing::new(&self.forwards.pressing));
        let number = ticket.number();
        let way = Way {
            ticket,
            packet: packet.clone(),
            answer: Answer::to(packet, attributes, &self.secret),
            who,
            purpose,
            route,
            upstream: Arc::clone(&upstream),
            snapshot: Arc::clone(&self.snapshot),
            arrival: now.0,
        };
        let underway: Underway = Box::pin(async move {
            let room = match room {
                Some(room) => Some(room),
                None => upstream.room(&device).await,
            };
            drop(pressing);
            // Nobody was asked.
            let nobody = Err(Unanswered::Nobody(Error::Unavailable(Vec::new())));
            let Some(_room) = room else {
                return (number, nobody);
            };
            let (servers, aim) = match towards {
                Ok(known) => known,
                Err((realm, packet)) => match upstream.servers_of(&realm, purpose).await {
                    Ok(servers) => {
                        let attributes = Attributes::new(packet.attributes()).unwrap_or_default();
                        let aim = servers.aim_of(&device, &attributes);
                        (servers, aim)
                    }
                    Err(astray) => return (number, Err(Unanswered::Astray(astray))),
                },
            };
            let passed = servers.pass(purpose, onward, aim).await;
            let passed = passed.map(|passed| (passed, servers));
            (number, passed.map_err(Unanswered::Nobody))
        });
        let (handle, registration) = AbortHandle::new_pair();
        self.forwards.ways.insert(number, (way, handle));
        let underway = Abortable::new(underway, registration);
        self.forwards.underway.push(underway);
        None
    }

    /// Who asks, and the first route that takes the request, unless its user is one of ours.
    fn route(&self, attributes: &Attributes<'_>) -> Option<(Who, Arc<Route>)> {
        let config = &self.snapshot.config;
        if config.routes.is_empty() {
            return None;
        }
        // Without a name it is about the device itself, which is ours.
        let octets = attributes.first(kind::USER_NAME)?;
        let name = user_name(octets, Dialect::Rfc8907).ok();
        if name.is_some_and(|name| config.users.contains_key(&*name)) {
            return None;
        }
        let who = login::who(attributes);
        let context = Context {
            user: &who.user,
            groups: &[],
            device: self.device()?,
            remote_address: request::address(&who.remote_address),
            remote: &who.remote_address,
            port: &who.port,
            now: jiff::Timestamp::now(),
            protocol: self.peer.protocol,
            transport: self.peer.transport,
            service: who.service,
            auth: auth(attributes),
            address: Some(self.peer.address.ip()),
            peer: self.peer.identity.as_deref(),
            psk_identity: self.peer.psk_identity.as_deref(),
        };
        let found = config.routes.find(realm::of(octets), &context);
        let route = found.map(Arc::clone)?;
        Some((who, route))
    }

    /// The request as the servers of the route's pool will have it.
    fn onward(&self, packet: &RawPacket, route: &Route) -> Result<Arc<dyn Ask>, String> {
        let dictionary = &self.snapshot.config.dictionary;
        let forward = Forward::new(packet, &self.secret, hiding(dictionary));
        let mut forward = forward.map_err(|error| error.to_string())?;
        if route.strip_realm
            && let Some(name) = forward.user_name()
        {
            let name = realm::strip(name).to_vec();
            forward.set_user_name(&name);
        }
        forward.rewrite(&route.request);
        let mark = self.aaa.proxy.mark().to_vec();
        let onward = Onward { forward, mark };
        // Whether it fits does not depend on who is asked.
        let fits = onward.build(1, &Secret::RADSEC);
        fits.map_err(|error| error.to_string())?;
        Ok(Arc::new(onward))
    }

    /// Whether what is not answered is sent again by the client.
    fn is_lossy(&self) -> bool {
        self.lossy || self.peer.transport == Transport::Plain
    }

    /// Says that there is no way for the request (RFC 7930): where there is a connection. A device of RADIUS/UDP hears nothing
    /// and asks another server.
    fn unroutable(
        &self,
        ticket: Ticket,
        packet: &RawPacket,
        machine: &mut ServerConnection,
        now: Now,
    ) {
        if self.peer.transport == Transport::Plain {
            return machine.discard(ticket);
        }
        let cause = error_cause::REQUEST_NOT_ROUTABLE;
        let answer = protocol_error(packet.header(), cause, &self.secret);
        self.send(machine.answer(ticket, answer, now));
    }

    /// Answers what has come back; true when there was something.
    pub(super) fn poll_forwards(
        &mut self,
        cx: &mut Waker<'_>,
        machine: &mut ServerConnection,
        now: Now,
        turn: &mut Turn,
    ) -> bool {
        let mut any = false;
        while let Poll::Ready(Some(done)) = self.forwards.underway.poll_next_unpin(cx) {
            // One that was given up has no answer.
            let Ok((number, passed)) = done else {
                continue;
            };
            let Some((way, _)) = self.forwards.ways.remove(&number) else {
                continue;
            };
            any = true;
            let kind = match way.purpose {
                Purpose::Login => Kind::Authentication,
                Purpose::Accounting => Kind::Accounting,
            };
            turn.answered_late(kind, way.arrival, 1);
            match passed {
                Ok((passed, servers)) => self.passed(way, &passed, &servers, machine, now),
                Err(Unanswered::Nobody(error)) => {
                    let reason = why_unanswered(&error);
                    self.unanswered(way, &error.to_string(), reason, machine, now);
                }
                Err(Unanswered::Astray(astray)) => self.astray(way, &astray, machine, now),
            }
        }
        any
    }

    /// The client uses the identifier for another request: it no longer waits for this one.
    pub(super) fn give_up(&mut self, number: u64) {
        if let Some(way) = self.forwards.give_up(number) {
            self.gave_up(way);
        }
    }

    /// The client is gone.
    pub(super) fn give_up_all(&mut self) {
        for way in self.forwards.clear() {
            self.gave_up(way);
        }
    }

    /// No answer is sent; the decision says what became of the login.
    fn gave_up(&mut self, mut way: Way) {
        let code = way.packet.header().code;
        let (device, pool) = (&self.peer.device, Arc::clone(way.upstream.name()));
        tracing::debug!(%device, %code, %pool, "the device no longer waits for what was passed on");
        self.note_passed(&mut way, &pool, Outcome::Error, Reason::GivenUp);
    }

    fn unanswered(
        &mut self,
        mut way: Way,
        why: &str,
        reason: Reason,
        machine: &mut ServerConnection,
        now: Now,
    ) {
        let pool = way.upstream.name();
        let detail = format!("pool {pool}: {why}");
        self.refused(Refused::NotPassedOn, &way.packet, &detail);
        let pool = Arc::clone(way.upstream.name());
        self.note_passed(&mut way, &pool, Outcome::Error, reason);
        let packet = way.packet;
        self.unroutable(way.ticket, &packet, machine, now);
    }

    /// A realm that has no servers has no users either; where they only cannot be found, nothing is known of its users.
    fn astray(&mut self, mut way: Way, astray: &Astray, machine: &mut ServerConnection, now: Now) {
        let attributes = Attributes::new(way.packet.attributes()).unwrap_or_default();
        let realm = realm_of(&attributes).escape_debug().to_string();
        let why = match astray {
            Astray::Fault(why) => {
                let why = format!("realm {realm}: {why}");
                return self.unanswered(way, &why, Reason::RealmUnresolved, machine, now);
            }
            Astray::NoServers(why) => format!("realm {realm}: {why}"),
        };
        let reject = match way.purpose {
            Purpose::Login => way.answer.build(Code::ACCESS_REJECT, |_| Ok(())).ok(),
            // There is no word for a record that nobody wants.
            Purpose::Accounting => None,
        };
        let Some(reject) = reject else {
            return self.unanswered(way, &why, Reason::RealmUnknown, machine, now);
        };
        let pool = Arc::clone(way.upstream.name());
        self.note_passed(&mut way, &pool, Outcome::Fail, Reason::RealmUnknown);
        self.send(machine.answer(way.ticket, reject, now));
    }

    fn passed(
        &mut self,
        mut way: Way,
        passed: &Passed,
        servers: &Destination,
        machine: &mut ServerConnection,
        now: Now,
    ) {
        let server = servers.server_name(way.purpose, passed.server);
        let server = server.to_owned();
        let octets = match self.back(&way, passed) {
            Ok(octets) => octets,
            Err(what) => {
                let detail = format!("{server}: {what}");
                self.refused(Refused::NotPassedOn, &way.packet, &detail);
                self.note_passed(&mut way, &server, Outcome::Error, Reason::UpstreamAnswer);
                return self.unroutable(way.ticket, &way.packet, machine, now);
            }
        };
        let (outcome, reason) = match passed.answer.header().code {
            Code::ACCESS_ACCEPT => (Outcome::Pass, Reason::UpstreamAccepted),
            Code::ACCESS_REJECT => (Outcome::Fail, Reason::UpstreamRejected),
            Code::ACCESS_CHALLENGE => {
                let asked = Attributes::new(way.packet.attributes()).unwrap_or_default();
                let answer = Attributes::new(passed.answer.attributes()).unwrap_or_default();
                servers.asked_by(
                    passed.server,
                    Whose::of(&self.peer.device, &asked),
                    answer.first(kind::STATE),
                    asked.first(kind::CALLING_STATION_ID),
                );
                return self.send(machine.answer(way.ticket, octets, now));
            }
            _ => return self.acknowledged(way, &server, octets, machine, now),
        };
        self.tick(&way.snapshot, &way.packet, &passed.request, outcome);
        self.note_passed(&mut way, &server, outcome, reason);
        self.send(machine.answer(way.ticket, octets, now));
    }

    /// The home server has the record; it is kept here as well, and only then is the device told.
    fn acknowledged(
        &mut self,
        way: Way,
        server: &str,
        octets: Vec<u8>,
        machine: &mut ServerConnection,
        now: Now,
    ) {
        let attributes = Attributes::new(way.packet.attributes()).unwrap_or_default();
        match self.record(&attributes, Some(server)) {
            Ok(record) => {
                self.records.push(record);
                self.reporters.push((way.ticket, Report::Theirs(octets)));
            }
            // What is no record here may be one there.
            Err(_) => self.send(machine.answer(way.ticket, octets, now)),
        }
    }

    /// The answer as the client will have it.
    fn back(&self, way: &Way, passed: &Passed) -> Result<Vec<u8>, String> {
        let dictionary = &way.snapshot.config.dictionary;
        let back = Backward::new(
            &passed.answer,
            passed.request.header(),
            &passed.secret,
            hiding(dictionary),
        );
        let mut back = back.map_err(|error| error.to_string())?;
        back.rewrite(&way.route.answer);
        let salt = salt().map_err(|error| error.to_string())?;
        let built = way.answer.pass(&back, salt);
        built.map_err(|error| error.to_string())
    }

    /// The decision of a login that was passed on names the route and whoever decided.
    fn note_passed(&mut self, way: &mut Way, server: &str, outcome: Outcome, reason: Reason) {
        if way.purpose == Purpose::Accounting {
            return;
        }
        way.who.request = format!("login through {server}").into();
        let decision = if outcome == Outcome::Pass {
            Decision::Permit
        } else {
            Decision::Deny
        };
        let decided = Decided {
            decision,
            reason,
            rule: Some(Arc::clone(&way.route.reference)),
            attributes: None,
        };
        self.note_login(&way.who, outcome, &decided);
    }
}
