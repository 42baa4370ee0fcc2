//! What a client owes its server before it sends a request.

use crate::registry::{Action, AuthenticationService, AuthenticationType};
use crate::{Arguments, Version, accounting, authentication, authorization};

use super::SendError;

/// Finds the version of a START (table 1 of section 5.4.1).
pub(super) fn start_version(start: &authentication::Start<'_>) -> Result<Version, SendError> {
    let enable = start.authen_service == AuthenticationService::ENABLE;
    let version = match (start.action, start.authen_type) {
        (Action::LOGIN, AuthenticationType::ASCII) => Version::DEFAULT,
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

/// An authorization names its service, and a shell its command (section 8.2).
pub(super) fn authorization(request: &authorization::Request<'_>) -> Result<(), SendError> {
    let service = value_of(&request.arguments, b"service").ok_or(SendError::NoService)?;
    if service == b"shell" && value_of(&request.arguments, b"cmd").is_none() {
        return Err(SendError::NoCommand);
    }
    Ok(())
}

/// Arguments that only accounting has stand first (section 8.3).
pub(super) fn accounting(request: &accounting::Request<'_>) -> Result<(), SendError> {
    let mut accounting = request
        .arguments
        .iter()
        .flatten()
        .map(|argument| OF_ACCOUNTING.contains(&argument.name));
    if accounting.by_ref().any(|first| !first) && accounting.any(|later| later) {
        return Err(SendError::ArgumentOrder);
    }
    Ok(())
}

const OF_ACCOUNTING: [&[u8]; 14] = [
    b"task_id",
    b"start_time",
    b"stop_time",
    b"elapsed_time",
    b"timezone",
    b"event",
    b"reason",
    b"bytes",
    b"bytes_in",
    b"bytes_out",
    b"paks",
    b"paks_in",
    b"paks_out",
    b"err_msg",
];

fn value_of<'a>(arguments: &Arguments<'a>, name: &[u8]) -> Option<&'a [u8]> {
    arguments
        .iter()
        .flatten()
        .find(|argument| argument.name == name)
        .map(|argument| argument.value)
}
