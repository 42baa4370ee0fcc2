//! The first packet of a login, by what the user wants and shows (RFC 8907 section 5.4.2).

use doorward_tacacs::{Action, AuthenticationService, AuthenticationType, ChallengeMethod};
use zeroize::Zeroizing;

use crate::error::ClientError;
use crate::request::{Answers, Login, Who};

/// The first packet of a session of authentication.
pub(crate) struct Opening<'a> {
    pub(crate) action: Action,
    pub(crate) authen_type: AuthenticationType,
    pub(crate) authen_service: AuthenticationService,
    /// PAP in its older form.
    pub(crate) asks_for_password: bool,
    pub(crate) data: Zeroizing<Vec<u8>>,
    pub(crate) answers: Option<&'a mut dyn Answers>,
}

impl<'a> Opening<'a> {
    pub(crate) fn of(who: &Who, login: Login<'a>) -> Result<Self, ClientError> {
        let dialogue = |action, authen_service, answers| Self {
            action,
            authen_type: AuthenticationType::ASCII,
            authen_service,
            asks_for_password: false,
            data: Zeroizing::default(),
            answers: Some(answers),
        };
        let complete = |authen_type, data| Self {
            action: Action::LOGIN,
            authen_type,
            authen_service: AuthenticationService::LOGIN,
            asks_for_password: false,
            data: Zeroizing::new(data),
            answers: None,
        };
        let (login_for, enable) = (AuthenticationService::LOGIN, AuthenticationService::ENABLE);
        Ok(match login {
            Login::Pap { password } => complete(AuthenticationType::PAP, password.to_vec()),
            Login::Challenge { method, secret } => {
                let data = respond(method, who.user.as_bytes(), secret)?;
                complete(method.authen_type(), data)
            }
            Login::PapDialogue { answers } => Self {
                authen_type: AuthenticationType::PAP,
                asks_for_password: true,
                ..dialogue(Action::LOGIN, login_for, answers)
            },
            Login::Ascii { answers } => dialogue(Action::LOGIN, login_for, answers),
            Login::Enable { answers } => dialogue(Action::LOGIN, enable, answers),
            Login::ChangePassword { answers } => dialogue(Action::CHPASS, login_for, answers),
        })
    }
}

/// The `data` of a START with a challenge of our own.
fn respond(method: ChallengeMethod, user: &[u8], secret: &[u8]) -> Result<Vec<u8>, ClientError> {
    let (mut id, mut challenge, mut peer_challenge) = ([0], [0; 16], [0; 16]);
    for octets in [&mut id[..], &mut challenge, &mut peer_challenge] {
        getrandom::fill(octets).map_err(|_| ClientError::Random)?;
    }
    let length = method.challenge_length().unwrap_or(challenge.len());
    let challenge = challenge.get(..length).unwrap_or_default();
    let [id] = id;
    method
        .respond(id, challenge, &peer_challenge, user, secret)
        .map_err(ClientError::Challenge)
}
