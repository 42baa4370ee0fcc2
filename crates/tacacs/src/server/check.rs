//! What a first packet of a session may hold: listed numbers (section 3.6), the table of versions (section 5.4.1),
//! valid accounting flags (section 7.2).

use crate::registry::{
    Action, AuthenticationMethod, AuthenticationService, AuthenticationType, Dialect, PacketType,
    PrivilegeLevel,
};
use crate::wire::Field;
use crate::{Header, Version, accounting, authentication, authorization};

use super::Refusal;

/// Judges the de-obfuscated body of a first packet of a listed type, and says whether its flow has one reply only.
pub(super) fn opening(header: &Header, body: &[u8], dialect: Dialect) -> Result<bool, Refusal> {
    match header.packet_type {
        PacketType::AUTHENTICATION => {
            let start = authentication::Start::decode(body).map_err(Refusal::Body)?;
            authentication_start(&start, header.version, dialect)
        }
        PacketType::AUTHORIZATION => {
            let request = authorization::Request::decode(body).map_err(Refusal::Body)?;
            minor_zero(header.version)?;
            method(request.authen_method)?;
            identity(
                request.priv_lvl,
                request.authen_type,
                request.authen_service,
                dialect,
            )?;
            Ok(true)
        }
        PacketType::ACCOUNTING => {
            let request = accounting::Request::decode(body).map_err(Refusal::Body)?;
            minor_zero(header.version)?;
            method(request.authen_method)?;
            identity(
                request.priv_lvl,
                request.authen_type,
                request.authen_service,
                dialect,
            )?;
            match request.flags.record() {
                Some(_) => Ok(true),
                None => Err(Refusal::AccountingFlags(request.flags.0)),
            }
        }
        unknown => Err(Refusal::UnknownType(unknown)),
    }
}

fn authentication_start(
    start: &authentication::Start<'_>,
    version: Version,
    dialect: Dialect,
) -> Result<bool, Refusal> {
    if !start.action.is_listed() {
        return Err(unlisted(Field::Action, start.action.0));
    }
    if !start.authen_type.is_listed_in_start(dialect) {
        return Err(unlisted(Field::AuthenType, start.authen_type.0));
    }
    identity(
        start.priv_lvl,
        start.authen_type,
        start.authen_service,
        dialect,
    )?;
    if version.minor() > 1 {
        return Err(Refusal::MinorVersion(version));
    }
    // Section 5.4.2.6 gives `authen_type` of ENABLE no meaning, and clients in the field send any, with either version.
    if start.authen_service == AuthenticationService::ENABLE && start.action == Action::LOGIN {
        return Ok(false);
    }
    one_reply(start, version, dialect)
}

/// Table 1 of section 5.4.1.
fn one_reply(
    start: &authentication::Start<'_>,
    version: Version,
    dialect: Dialect,
) -> Result<bool, Refusal> {
    let minor = match (start.action, start.authen_type) {
        (Action::LOGIN | Action::CHPASS, AuthenticationType::ASCII) => 0,
        (Action::LOGIN, AuthenticationType::PAP) if dialect == Dialect::Draft05 => version.minor(),
        (
            Action::LOGIN | Action::SENDAUTH,
            AuthenticationType::PAP
            | AuthenticationType::CHAP
            | AuthenticationType::MSCHAP
            | AuthenticationType::MSCHAPV2,
        ) => 1,
        (action, authen_type) => return Err(Refusal::Pair(action, authen_type)),
    };
    if version.minor() == minor {
        Ok(minor == 1)
    } else {
        Err(Refusal::MinorVersion(version))
    }
}

fn minor_zero(version: Version) -> Result<(), Refusal> {
    if version == Version::DEFAULT {
        Ok(())
    } else {
        Err(Refusal::MinorVersion(version))
    }
}

fn method(method: AuthenticationMethod) -> Result<(), Refusal> {
    if method.is_listed() {
        Ok(())
    } else {
        Err(unlisted(Field::AuthenMethod, method.0))
    }
}

fn identity(
    priv_lvl: PrivilegeLevel,
    authen_type: AuthenticationType,
    authen_service: AuthenticationService,
    dialect: Dialect,
) -> Result<(), Refusal> {
    if !priv_lvl.is_listed() {
        return Err(unlisted(Field::PrivLvl, priv_lvl.0));
    }
    if !authen_type.is_listed(dialect) {
        return Err(unlisted(Field::AuthenType, authen_type.0));
    }
    if !authen_service.is_listed(dialect) {
        return Err(unlisted(Field::AuthenService, authen_service.0));
    }
    Ok(())
}

fn unlisted(field: Field, value: u8) -> Refusal {
    Refusal::Unlisted { field, value }
}
