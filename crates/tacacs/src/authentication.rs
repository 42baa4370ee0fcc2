//! Bodies of authentication packets (section 5).

use alloc::vec::Vec;
use core::fmt;

use crate::registry::{
    Action, AuthenticationService, AuthenticationStatus, AuthenticationType, PrivilegeLevel,
};
use crate::wire::{
    Cursor, DecodeError, EncodeError, Field, Quoted, append, length8, length16, printable,
    user_name,
};

/// What opens a session of authentication (section 5.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Start<'a> {
    /// What is asked for.
    pub action: Action,
    /// The level the user wants to have.
    pub priv_lvl: PrivilegeLevel,
    /// The kind of authentication.
    pub authen_type: AuthenticationType,
    /// Who asks.
    pub authen_service: AuthenticationService,
    /// The user name, in UTF-8; empty when there is none.
    pub user: &'a [u8],
    /// The port of the device.
    pub port: &'a [u8],
    /// Where the user comes from; may be empty.
    pub rem_addr: &'a [u8],
    /// What `action` and `authen_type` need; a password for PAP.
    pub data: &'a [u8],
}

impl<'a> Start<'a> {
    const FIXED: usize = 8;

    /// Reads a body.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let (
            &[
                action,
                priv_lvl,
                authen_type,
                service,
                user,
                port,
                rem_addr,
                data,
            ],
            mut rest,
        ) = Cursor::new(body)?;
        let [user, port, rem_addr, data] = [user, port, rem_addr, data].map(usize::from);
        rest.expect(Self::FIXED, &[user, port, rem_addr, data])?;
        Ok(Self {
            action: Action(action),
            priv_lvl: PrivilegeLevel(priv_lvl),
            authen_type: AuthenticationType(authen_type),
            authen_service: AuthenticationService(service),
            user: rest.take(user)?,
            port: rest.take(port)?,
            rem_addr: rest.take(rem_addr)?,
            data: rest.take(data)?,
        })
    }

    /// Appends the body; nothing is appended on error.
    pub fn encode(&self, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        user_name(self.user)?;
        printable(Field::Port, self.port)?;
        printable(Field::RemAddr, self.rem_addr)?;
        let fixed = [
            self.action.0,
            self.priv_lvl.0,
            self.authen_type.0,
            self.authen_service.0,
            length8(Field::User, self.user)?,
            length8(Field::Port, self.port)?,
            length8(Field::RemAddr, self.rem_addr)?,
            length8(Field::Data, self.data)?,
        ];
        append(
            into,
            &[
                fixed.as_slice(),
                self.user,
                self.port,
                self.rem_addr,
                self.data,
            ],
        );
        Ok(())
    }
}

impl fmt::Debug for Start<'_> {
    /// Leaves out `data`: it may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("action", &self.action)
            .field("priv_lvl", &self.priv_lvl)
            .field("authen_type", &self.authen_type)
            .field("authen_service", &self.authen_service)
            .field("user", &Quoted(self.user))
            .field("port", &Quoted(self.port))
            .field("rem_addr", &Quoted(self.rem_addr))
            .field("data", &format_args!("{} octets", self.data.len()))
            .finish()
    }
}

/// The server's answer to a START or CONTINUE (section 5.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reply<'a> {
    /// The answer.
    pub status: AuthenticationStatus,
    /// What the user types next must not be shown.
    pub no_echo: bool,
    /// Text for the user.
    pub server_msg: &'a [u8],
    /// Data for the client; not text for the user.
    pub data: &'a [u8],
}

impl<'a> Reply<'a> {
    const FIXED: usize = 6;
    const NO_ECHO: u8 = 0x01;

    /// A reply with a status and nothing else.
    pub fn new(status: AuthenticationStatus) -> Self {
        Self {
            status,
            no_echo: false,
            server_msg: &[],
            data: &[],
        }
    }

    /// Reads a body.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let (&[status, flags, m0, m1, d0, d1], mut rest) = Cursor::new(body)?;
        let message = usize::from(u16::from_be_bytes([m0, m1]));
        let data = usize::from(u16::from_be_bytes([d0, d1]));
        rest.expect(Self::FIXED, &[message, data])?;
        Ok(Self {
            status: AuthenticationStatus(status),
            no_echo: flags & Self::NO_ECHO != 0,
            server_msg: rest.take(message)?,
            data: rest.take(data)?,
        })
    }

    /// Appends the body; nothing is appended on error.
    pub fn encode(&self, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        printable(Field::ServerMsg, self.server_msg)?;
        let [m0, m1] = length16(Field::ServerMsg, self.server_msg)?;
        let [d0, d1] = length16(Field::Data, self.data)?;
        let flags = if self.no_echo { Self::NO_ECHO } else { 0 };
        let fixed = [self.status.0, flags, m0, m1, d0, d1];
        append(into, &[fixed.as_slice(), self.server_msg, self.data]);
        Ok(())
    }
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("no_echo", &self.no_echo)
            .field("server_msg", &Quoted(self.server_msg))
            .field("data", &Quoted(self.data))
            .finish()
    }
}

/// The client's answer to a question of the server (section 5.3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Continue<'a> {
    /// What the user answered; may be a password.
    pub user_msg: &'a [u8],
    /// With `abort`, the reason; otherwise unused by the flows of the RFC.
    pub data: &'a [u8],
    /// The session is over (section 5.4.3).
    pub abort: bool,
}

impl<'a> Continue<'a> {
    const FIXED: usize = 5;
    const ABORT: u8 = 0x01;

    /// An answer of the user.
    pub fn new(user_msg: &'a [u8]) -> Self {
        Self {
            user_msg,
            data: &[],
            abort: false,
        }
    }

    /// Reads a body.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let (&[m0, m1, d0, d1, flags], mut rest) = Cursor::new(body)?;
        let message = usize::from(u16::from_be_bytes([m0, m1]));
        let data = usize::from(u16::from_be_bytes([d0, d1]));
        rest.expect(Self::FIXED, &[message, data])?;
        Ok(Self {
            user_msg: rest.take(message)?,
            data: rest.take(data)?,
            abort: flags & Self::ABORT != 0,
        })
    }

    /// Appends the body; nothing is appended on error.
    pub fn encode(&self, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        let [m0, m1] = length16(Field::UserMsg, self.user_msg)?;
        let [d0, d1] = length16(Field::Data, self.data)?;
        let flags = if self.abort { Self::ABORT } else { 0 };
        let fixed = [m0, m1, d0, d1, flags];
        append(into, &[fixed.as_slice(), self.user_msg, self.data]);
        Ok(())
    }
}

impl fmt::Debug for Continue<'_> {
    /// Leaves out `user_msg`: it may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Continue")
            .field("user_msg", &format_args!("{} octets", self.user_msg.len()))
            .field("data", &format_args!("{} octets", self.data.len()))
            .field("abort", &self.abort)
            .finish()
    }
}
