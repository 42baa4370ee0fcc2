//! Access-Requests, one round of each: PAP, CHAP and MS-CHAPv2 against the same users and rules as TACACS+.

use std::sync::Arc;

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::build::{BuildError, PacketBuilder};
use doorward_radius::challenge::{Chap, MICROSOFT, MsChap2, microsoft};
use doorward_radius::hidden::reveal_password;
use doorward_radius::server::{ServerConnection, Ticket};
use doorward_radius::{Code, Now, RawPacket};
use doorward_tacacs::{ChallengeMethod, Dialect};

use super::answer::{Answer, salts};
use super::{Service, Waiting, text};
use crate::aaa::conversation::Step;
use crate::aaa::{
    Decided, Judgement, Kind, Outcome, Password, Proof, Reason, Snapshot, Unavailable, Who,
};
use crate::config::AuthenticationType;
use crate::identity::user_name;
use crate::metrics::Turn;
use crate::policy::{Decision, ReplyAttribute, ReplyValue, SHELL};

/// A login that is being judged: who it is, and what its answer will hold.
pub(super) struct Pending {
    pub(super) who: Who,
    /// The one it is judged in.
    snapshot: Arc<Snapshot>,
    pub(super) answer: Answer,
    /// An MS-CHAPv2 answer, and the name as it was sent, which it covers.
    mschap: Option<(MsChap2, Vec<u8>)>,
    /// The identifier of an EAP packet that is refused.
    eap: Option<u8>,
}

/// The code of an EAP packet that says: failed (RFC 3748 section 4.2).
const EAP_FAILURE: u8 = 4;

/// Framed-Protocol (RFC 2865 section 5.7).
const FRAMED_PROTOCOL: u8 = 7;

/// NAS-Port-Type (RFC 2865 section 5.41), and what comes by radio: Wireless - Other, and IEEE 802.11.
const NAS_PORT_TYPE: u8 = 61;
const RADIO: [u32; 2] = [18, 19];
/// Tunnel-Type and Tunnel-Client-Endpoint (RFC 2868 sections 3.1 and 3.3), which a device says of the tunnel somebody comes by.
const TUNNEL: [u8; 2] = [64, 66];
/// Connect-Info (RFC 2869 section 5.11). Firewalls write `vpn-ssl` and the like there.
const CONNECT_INFO: u8 = 77;

/// Whether somebody comes for a network, by what only a device says of such.
fn is_for_network(attributes: &Attributes<'_>) -> bool {
    let has = |kind: u8| attributes.first(kind).is_some();
    let by_radio = attributes
        .integer(NAS_PORT_TYPE)
        .is_some_and(|port| RADIO.contains(&port));
    let info = attributes
        .first(CONNECT_INFO)
        .and_then(|info| info.get(..3));
    has(FRAMED_PROTOCOL)
        || has(kind::EAP_MESSAGE)
        || TUNNEL.into_iter().any(has)
        || by_radio
        || info.is_some_and(|start| start.eq_ignore_ascii_case(b"vpn"))
}

/// What a login is for, by the name of the `service` that a rule has for it. `network`: see [`is_for_network`].
fn service_of(service_type: Option<u32>, network: bool) -> Option<&'static str> {
    match service_type {
        // Framed, and called back.
        Some(2 | 4) => Some("ppp"),
        // Login, Authenticate Only: portals and tunnels say no more, nor do some devices of themselves.
        None | Some(1 | 8) if network => Some("ppp"),
        // The same without a network; Administrative, NAS Prompt, all of these called back, and what manages by protocol (RFC 5607).
        // A device that does not say logs people in.
        None | Some(1 | 3 | 6 | 7 | 8 | 9 | 11 | 18) => Some(SHELL),
        Some(_) => None,
    }
}

/// Who wants to come in, as the device says.
pub(super) fn who(attributes: &Attributes<'_>) -> Who {
    let octets = attributes.first(kind::USER_NAME).unwrap_or_default();
    let name = user_name(octets, Dialect::Rfc8907);
    Who {
        user: name
            .unwrap_or_else(|_| String::from_utf8_lossy(octets))
            .into_owned(),
        port: text::port(attributes),
        remote_address: text::of(attributes.first(kind::CALLING_STATION_ID)),
        auth: AuthenticationType::Pap,
        privilege_level: 1,
        service: service_of(
            attributes.integer(kind::SERVICE_TYPE),
            is_for_network(attributes),
        ),
        request: "login".into(),
    }
}

impl Service {
    pub(super) fn log_in(
        &mut self,
        ticket: Ticket,
        packet: &RawPacket,
        attributes: &Attributes<'_>,
        machine: &mut ServerConnection,
        now: Now,
        turn: &mut Turn,
    ) {
        let octets = attributes.first(kind::USER_NAME).unwrap_or_default();
        let valid = user_name(octets, Dialect::Rfc8907).is_ok();
        let who = who(attributes);
        let mut pending = Pending {
            who,
            snapshot: Arc::clone(&self.snapshot),
            answer: Answer::to(packet, attributes, &self.secret),
            mschap: None,
            eap: None,
        };
        let judgement = match self.step(&mut pending, packet, attributes, valid) {
            Step::Ask(question, conversation) => {
                return self.challenge(ticket, &pending, &question, &conversation, machine, now);
            }
            Step::Fail(_, reason) => Judgement::Known(Decided::deny(reason)),
            Step::Judge(login) => self.aaa.authenticate(&self.snapshot, &self.peer, login),
        };
        match judgement {
            Judgement::Known(decided) => {
                turn.answered(Kind::Authentication);
                self.judged(ticket, pending, Ok(decided), machine, now);
            }
            Judgement::Later(judging) => self.waiting.push(Waiting {
                ticket,
                pending,
                judging,
                arrival: turn.began(),
            }),
        }
    }

    /// How the user proves who it is, `None` = not at all; what is neither offered nor accepted is a denial.
    pub(super) fn proof(
        &self,
        pending: &mut Pending,
        packet: &RawPacket,
        attributes: &Attributes<'_>,
    ) -> Result<Option<Proof>, Reason> {
        if let Some(eap) = attributes.eap() {
            // Code, identifier, length: a packet too short to have an identifier is answered as if it had one.
            pending.eap = Some(eap.get(1).copied().unwrap_or_default());
            return Err(Reason::EapNotOffered);
        }
        let password = attributes.first(kind::USER_PASSWORD);
        let chap = attributes.first(kind::CHAP_PASSWORD);
        let mut mschap = attributes.of_vendor(MICROSOFT, microsoft::CHAP2_RESPONSE);
        let name = || {
            let name = attributes.first(kind::USER_NAME);
            name.unwrap_or_default().to_vec()
        };
        let proof = match (password, chap, mschap.next()) {
            (Some(hidden), None, None) => {
                self.accepts(pending, AuthenticationType::Pap)?;
                let authenticator = &packet.header().authenticator;
                let password = reveal_password(hidden, authenticator, &self.secret);
                let password = password.map_err(|_| Reason::RadiusInvalid)?;
                Proof::Password(Password(password))
            }
            (None, Some(_), None) => {
                self.accepts(pending, AuthenticationType::Chap)?;
                let chap = Chap::of(attributes, &packet.header().authenticator);
                let chap = chap.ok_or(Reason::RadiusInvalid)?;
                let data = [&[chap.id][..], chap.challenge, chap.response].concat();
                Proof::Response {
                    method: ChallengeMethod::Chap,
                    data,
                    name: name(),
                }
            }
            (None, None, Some(_)) => {
                self.accepts(pending, AuthenticationType::MsChapV2)?;
                let response = MsChap2::of(attributes).ok_or(Reason::RadiusInvalid)?;
                let data = [
                    &[response.id][..],
                    &response.challenge,
                    &response.peer_challenge,
                    &response.reserved,
                    &response.response,
                    &[response.flags],
                ];
                let data = data.concat();
                pending.mschap = Some((response, name()));
                Proof::Response {
                    method: ChallengeMethod::MsChapV2,
                    data,
                    name: name(),
                }
            }
            (None, None, None) => return Ok(None),
            // RFC 2865 section 4.1: one of them.
            _ => return Err(Reason::RadiusInvalid),
        };
        Ok(Some(proof))
    }

    pub(super) fn accepts(
        &self,
        pending: &mut Pending,
        wanted: AuthenticationType,
    ) -> Result<(), Reason> {
        pending.who.auth = wanted;
        let own = self.device().and_then(|device| device.accept.as_ref());
        let accepted = own.unwrap_or(&self.snapshot.config.authentication.accept);
        if accepted.contains(&wanted) {
            Ok(())
        } else {
            Err(Reason::TypeNotAccepted)
        }
    }

    pub(super) fn judged(
        &mut self,
        ticket: Ticket,
        pending: Pending,
        result: Result<Decided, Unavailable>,
        machine: &mut ServerConnection,
        now: Now,
    ) {
        let who = &pending.who;
        let decided = match result {
            Ok(decided) => decided,
            // RADIUS has no word for it: the client hears nothing and asks another server.
            Err(Unavailable(reason)) => {
                self.note_login(who, Outcome::Error, &Decided::deny(reason));
                return machine.discard(ticket);
            }
        };
        if decided.decision != Decision::Permit {
            // Whatever becomes of the answer: who guesses must not be able to keep it from being seen.
            self.note_login(who, Outcome::Fail, &decided);
            return match pending.reject(self) {
                Ok(octets) => self.send(machine.answer(ticket, octets, now)),
                Err(error) => {
                    self.unsent(&error);
                    machine.discard(ticket);
                }
            };
        }
        let octets = match pending.accept(&decided) {
            Ok(octets) => octets,
            Err(reason) => {
                self.note_login(who, Outcome::Error, &Decided::deny(reason));
                return machine.discard(ticket);
            }
        };
        self.note_login(who, Outcome::Pass, &decided);
        if let Some(user) = self.snapshot.config.users.get(who.user.as_str()) {
            let (person, kind) = (who.person(), Kind::Authentication);
            self.aaa.alert(user, &self.peer, person, kind, &who.request);
        }
        self.send(machine.answer(ticket, octets, now));
    }
}

pub(super) type Built = Result<Vec<u8>, BuildError>;

/// One attribute of a role.
fn push(
    packet: &mut PacketBuilder,
    attribute: &ReplyAttribute,
    value: &[u8],
) -> Result<(), BuildError> {
    match (attribute.vendor, &*attribute.path) {
        (Some(vendor), [kind]) => packet.push_vendor(vendor, *kind, value)?,
        (None, [kind]) => packet.push(*kind, value)?,
        (None, [kind, extended]) => packet.push_extended(*kind, *extended, value)?,
        // The configuration takes no other.
        _ => return Err(BuildError::Kind),
    };
    Ok(())
}

impl Pending {
    fn accept(&self, decided: &Decided) -> Result<Vec<u8>, Reason> {
        let attributes = decided.attributes.as_deref().unwrap_or_default();
        let secret = |one: &&ReplyAttribute| matches!(one.value, ReplyValue::Secret(_));
        let salts = salts(attributes.iter().filter(secret).count());
        let mut salts = salts.map_err(|_| Reason::NoRandom)?.into_iter();
        let build = |packet: &mut PacketBuilder| {
            for attribute in attributes {
                match &attribute.value {
                    ReplyValue::Plain(value) => push(packet, attribute, value)?,
                    ReplyValue::Secret(secret) => {
                        let salt = salts.next().ok_or(BuildError::Kind)?;
                        push(packet, attribute, &self.answer.hide(secret, salt)?)?;
                    }
                }
            }
            if let Some((response, name)) = &self.mschap {
                let user = self.snapshot.config.users.get(self.who.user.as_str());
                let secret = user.and_then(|user| user.chap_secret.as_ref());
                let success = secret.and_then(|secret| response.success(name, secret.octets()));
                if let Some(success) = success {
                    let value = [&[response.id][..], success.as_bytes()].concat();
                    packet.push_vendor(MICROSOFT, microsoft::CHAP2_SUCCESS, &value)?;
                }
            }
            Ok(())
        };
        let built = self.answer.build(Code::ACCESS_ACCEPT, build);
        built.map_err(|_| Reason::AnswerTooLong)
    }

    /// What the user reads never says why: whoever is guessing must not learn how near they are. Nothing is said where that
    /// does not fit beside the Proxy-State of the request.
    fn reject(&self, service: &Service) -> Built {
        let message = &service.snapshot.config.authentication.fail_message;
        self.reject_with(message).or_else(|_| self.reject_with(""))
    }

    fn reject_with(&self, message: &str) -> Built {
        let build = |packet: &mut PacketBuilder| {
            for part in text::parts(message, doorward_radius::attribute::MAX_VALUE) {
                packet.push(kind::REPLY_MESSAGE, part.as_bytes())?;
            }
            if let Some((response, _)) = &self.mschap {
                // ERROR_AUTHENTICATION_FAILURE, no retry (RFC 2759 section 6).
                let value = [&[response.id][..], b"E=691 R=0 V=3"].concat();
                packet.push_vendor(MICROSOFT, microsoft::CHAP_ERROR, &value)?;
            }
            if let Some(id) = self.eap {
                packet.push_eap(&[EAP_FAILURE, id, 0, 4])?;
            }
            Ok(())
        };
        self.answer.build(Code::ACCESS_REJECT, build)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What tells a network, where the device leaves the Service-Type out: and a telnet line (NAS-Port-Type 5) is none.
    #[test]
    fn a_network_is_told_by_what_devices_say_of_it_alone() {
        for (octets, wanted) in [
            (&[7, 6, 0, 0, 0, 1][..], true),
            (&[61, 6, 0, 0, 0, 5], false),
            (&[61, 6, 0, 0, 0, 15], false),
            (&[61, 6, 0, 0, 0, 19], true),
            (&[64, 6, 0, 0, 0, 3], true),
            (&[66, 4, b'1', b'0'], true),
            (&[77, 9, b'V', b'P', b'N', b'-', b's', b's', b'l'], true),
            (&[77, 8, b'a', b'd', b'm', b'i', b'n', b'-'], false),
            (&[77, 4, b'v', b'p'], false),
            (&[79, 7, 2, 1, 0, 5, 1], true),
            (&[5, 6, 0, 0, 0, 1], false),
        ] {
            let attributes = Attributes::new(octets).unwrap();
            assert_eq!(is_for_network(&attributes), wanted, "{octets:?}");
        }
    }

    /// Only who comes to a prompt comes to a shell.
    #[test]
    fn what_a_login_is_for_is_told_by_its_service_type_first() {
        for (service_type, network, wanted) in [
            (None, false, Some(SHELL)),
            (None, true, Some("ppp")),
            (Some(1), false, Some(SHELL)),
            (Some(1), true, Some("ppp")),
            (Some(3), false, Some(SHELL)),
            (Some(4), false, Some("ppp")),
            (Some(8), false, Some(SHELL)),
            (Some(8), true, Some("ppp")),
            (Some(9), true, Some(SHELL)),
            (Some(11), false, Some(SHELL)),
            (Some(18), true, Some(SHELL)),
            (Some(6), true, Some(SHELL)),
            (Some(7), false, Some(SHELL)),
            (Some(2), true, Some("ppp")),
            (Some(2), false, Some("ppp")),
            (Some(10), true, None),
        ] {
            let found = service_of(service_type, network);
            assert_eq!(found, wanted, "{service_type:?} {network}");
        }
    }
}
