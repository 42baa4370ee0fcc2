//! What a client owes its server before it sends a request.

use crate::dictionary::{Definition, Place};
use crate::registry::{Action, AuthenticationService, AuthenticationType, Dialect};
use crate::{Arguments, Version, accounting, authentication, authorization};

use super::SendError;

/// Finds the version of a START (table 1 of section 5.4.1).
pub(super) fn start_version(start: &authentication::Start<'_>) -> Result<Version, SendError> {
    let enable = start.authen_service == AuthenticationService::ENABLE;
    let version = match (start.action, start.authen_type) {
        (Action::LOGIN, AuthenticationType::ASCII) => Version::DEFAULT,
        // Section 5.4.2.6 gives the type of an enable request no meaning; ours are dialogues.
        (Action::LOGIN, _) if enable => return Err(SendError::Pair),
        (Action::CHPASS, AuthenticationType::ASCII) if !enable => Version::DEFAULT,
        (
            Action::LOGIN,
            AuthenticationType::PAP
            | AuthenticationType::CHAP
            | AuthenticationType::MSCHAP
            | AuthenticationType::MSCHAPV2,
        ) => Version::ONE,
        _ => return Err(SendError::Pair),
    };
    if version == Version::ONE && start.user.is_empty() {
        return Err(SendError::NoUser);
    }
    Ok(version)
}

/// The older form of PAP, which draft-05 has: the name is in the START, and the server asks for the password.
pub(super) fn pap_dialogue(
    start: &authentication::Start<'_>,
    dialect: Dialect,
) -> Result<Version, SendError> {
    if dialect != Dialect::Draft05 {
        return Err(SendError::Dialect);
    }
    let kind = (start.action, start.authen_type, start.authen_service);
    let (Action::LOGIN, AuthenticationType::PAP, service) = kind else {
        return Err(SendError::Pair);
    };
    if service == AuthenticationService::ENABLE || !start.data.is_empty() {
        return Err(SendError::Pair);
    }
    if start.user.is_empty() {
        return Err(SendError::NoUser);
    }
    Ok(Version::DEFAULT)
}

/// An authorization names its service, and a shell its command (section 8.2).
pub(super) fn authorization(request: &authorization::Request<'_>) -> Result<(), SendError> {
    not_enable(request.authen_service)?;
    let service = value_of(&request.arguments, b"service").ok_or(SendError::NoService)?;
    if service == b"shell" && value_of(&request.arguments, b"cmd").is_none() {
        return Err(SendError::NoCommand);
    }
    Ok(())
}

/// Arguments that only accounting has stand first (section 8.3).
pub(super) fn accounting(request: &accounting::Request<'_>) -> Result<(), SendError> {
    not_enable(request.authen_service)?;
    let mut accounting = request
        .arguments
        .iter()
        .flatten()
        .map(|argument| is_of_accounting(argument.name));
    if accounting.by_ref().any(|first| !first) && accounting.any(|later| later) {
        return Err(SendError::ArgumentOrder);
    }
    Ok(())
}

/// ENABLE is the service of a request for more privileges, and of no other (section 5.4.2.6).
fn not_enable(service: AuthenticationService) -> Result<(), SendError> {
    if service == AuthenticationService::ENABLE {
        Err(SendError::EnableService)
    } else {
        Ok(())
    }
}

fn is_of_accounting(name: &[u8]) -> bool {
    Definition::of(name, Dialect::Draft05).is_some_and(|one| one.place == Place::Accounting)
}

fn value_of<'a>(arguments: &Arguments<'a>, name: &[u8]) -> Option<&'a [u8]> {
    arguments
        .iter()
        .flatten()
        .find(|argument| argument.name == name)
        .map(|argument| argument.value)
}
