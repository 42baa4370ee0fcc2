//! Whether an answer can be believed (RFC 6614bis section 3.11).

use doorward_radius::attribute::Attributes;
use doorward_radius::authenticator::{self, MessageAuthenticator};
use doorward_radius::server::Refusal;
use doorward_radius::{Code, RawPacket, Secret};

/// What is wrong with an answer ; `unsigned`: logins may be answered without a
/// Message-Authenticator.
pub(super) fn verify(
    request: &RawPacket,
    answer: &RawPacket,
    secret: &Secret,
    unsigned: bool,
) -> Result<(), Refusal> {
    let attributes = Attributes::new(answer.attributes()).map_err(|_| Refusal::Malformed)?;
    let asked = &request.header().authenticator;
    if !authenticator::answer_is_right(answer, asked, secret) {
        return Err(Refusal::Authenticator);
    }
    let signed =
        |asked| authenticator::message_authenticator(answer, &attributes, Some(asked), secret);
    match signed(asked) {
        MessageAuthenticator::Right => Ok(()),
        // No RFC says how that of an Accounting-Response is made: some take zeros in place of the request's authenticator.
        MessageAuthenticator::Wrong
            if answer.header().code == Code::ACCOUNTING_RESPONSE
                && signed(&[0; 16]) == MessageAuthenticator::Right =>
        {
            Ok(())
        }
        MessageAuthenticator::Absent
            if unsigned || request.header().code != Code::ACCESS_REQUEST =>
        {
            Ok(())
        }
        MessageAuthenticator::Absent | MessageAuthenticator::Wrong => {
            Err(Refusal::MessageAuthenticator)
        }
    }
}

/// In words.
pub(super) fn wrong(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Malformed => "the answer is malformed: its attributes do not fill it",
        Refusal::Authenticator => {
            "the answer is not authentic: its Response Authenticator is wrong; is the shared secret the same on both sides?"
        }
        Refusal::MessageAuthenticator => {
            "the answer is not authentic: its Message-Authenticator is wrong, or missing over UDP, where somebody on the way could have made it"
        }
    }
}
