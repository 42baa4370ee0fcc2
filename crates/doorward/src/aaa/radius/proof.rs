//! What proves a request: its authenticators, made with the secret of the device.

use std::fmt;

use doorward_radius::attribute::{AttributeError, Attributes};
use doorward_radius::authenticator::{self, MessageAuthenticator, is_digest};
use doorward_radius::server::Refusal;
use doorward_radius::{Code, RawPacket, Secret};

use crate::aaa::Refused;

/// A request over UDP that whoever has the secret made.
#[derive(Debug)]
pub struct Proved {
    /// The one of the device's secrets that it was made with.
    pub(super) secret: Secret,
    pub(super) signed: MessageAuthenticator,
}

/// Why a request over UDP is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproved {
    /// The attributes do not fill the packet.
    Malformed(AttributeError),
    /// Nothing in it depends on the secret, so that anybody can have made or changed it.
    Unsigned,
    /// No secret of the device makes it so.
    Wrong(Refusal),
}

impl Unproved {
    /// How it is counted.
    pub fn reason(self) -> Refused {
        match self {
            Self::Malformed(_) => Refused::RadiusAttributes,
            Self::Unsigned => Refused::RadiusUnsigned,
            Self::Wrong(_) => Refused::RadiusAuthenticator,
        }
    }
}

impl fmt::Display for Unproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::Unsigned => f.write_str("no Message-Authenticator"),
            Self::Wrong(refusal) => f.write_str(called(*refusal)),
        }
    }
}

/// Finds the secret that a request over UDP was made with. While a device changes from one to another, several are valid.
///
/// Without a Message-Authenticator only the requests are proved whose authenticator is a digest (Accounting-Request); an
/// Access-Request is taken for one of the first secret where `required` says so (BlastRADIUS), any other never is.
///
/// # Errors
/// It is not served.
pub fn prove(packet: &RawPacket, secrets: &[Secret], required: bool) -> Result<Proved, Unproved> {
    let attributes = Attributes::new(packet.attributes()).map_err(Unproved::Malformed)?;
    let code = packet.header().code;
    let tolerated = code == Code::ACCESS_REQUEST && !required;
    let mut wrong = Unproved::Unsigned;
    for secret in secrets {
        match judge(packet, &attributes, secret) {
            Ok(MessageAuthenticator::Absent) if !is_digest(code) && !tolerated => {
                return Err(Unproved::Unsigned);
            }
            Ok(signed) => {
                return Ok(Proved {
                    secret: secret.clone(),
                    signed,
                });
            }
            Err(refusal) => wrong = Unproved::Wrong(refusal),
        }
    }
    Err(wrong)
}

/// What the Message-Authenticator of a request is whose authenticators are not wrong.
pub(super) fn judge(
    packet: &RawPacket,
    attributes: &Attributes<'_>,
    secret: &Secret,
) -> Result<MessageAuthenticator, Refusal> {
    if !authenticator::request_is_right(packet, secret) {
        return Err(Refusal::Authenticator);
    }
    match authenticator::message_authenticator(packet, attributes, None, secret) {
        MessageAuthenticator::Wrong => Err(Refusal::MessageAuthenticator),
        signed @ (MessageAuthenticator::Absent | MessageAuthenticator::Right) => Ok(signed),
    }
}

/// What is wrong, in words.
pub(super) fn called(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Malformed => "attributes",
        Refusal::Authenticator => "Request Authenticator",
        Refusal::MessageAuthenticator => "Message-Authenticator",
    }
}

#[cfg(test)]
mod tests {
    use doorward_radius::attribute::kind;
    use doorward_radius::build::PacketBuilder;

    use super::*;

    fn packet(code: Code, signed: bool, secret: &Secret) -> RawPacket {
        let mut builder = PacketBuilder::request(code, 7, [9; 16]);
        if signed {
            builder.message_authenticator().unwrap();
        }
        builder.push(kind::USER_NAME, b"alice").unwrap();
        RawPacket::new(builder.finish(secret)).unwrap()
    }

    #[test]
    fn the_secret_is_found_that_a_request_was_made_with() {
        let secrets = [Secret::new(b"the old one"), Secret::new(b"the new one")];
        for code in [
            Code::ACCESS_REQUEST,
            Code::ACCOUNTING_REQUEST,
            Code::STATUS_SERVER,
        ] {
            for secret in &secrets {
                let proved = prove(&packet(code, true, secret), &secrets, true).unwrap();
                assert_eq!(proved.secret.octets(), secret.octets());
            }
            let other = packet(code, true, &Secret::new(b"a wrong one"));
            let found = prove(&other, &secrets, false).unwrap_err();
            assert_eq!(found.reason(), Refused::RadiusAuthenticator, "{code}");
        }
    }

    #[test]
    fn only_digests_and_what_is_tolerated_need_no_message_authenticator() {
        let secrets = [Secret::new(b"the old one"), Secret::new(b"the new one")];
        let asked = |code, required| {
            let found = prove(&packet(code, false, &secrets[1]), &secrets, required);
            found.map(|proved| proved.secret.octets().to_vec())
        };
        let of = |index: usize| Ok(secrets[index].octets().to_vec());
        for required in [true, false] {
            assert_eq!(asked(Code::ACCOUNTING_REQUEST, required), of(1));
            assert_eq!(
                asked(Code::STATUS_SERVER, required),
                Err(Unproved::Unsigned)
            );
            assert_eq!(asked(Code(50), required), Err(Unproved::Unsigned));
        }
        assert_eq!(asked(Code::ACCESS_REQUEST, true), Err(Unproved::Unsigned));
        assert_eq!(asked(Code::ACCESS_REQUEST, false), of(0));
    }

    #[test]
    fn what_no_secret_is_valid_for_is_not_proved() {
        let request = packet(Code::ACCESS_REQUEST, true, &Secret::new(b"x"));
        assert!(prove(&request, &[], false).is_err());
    }
}
