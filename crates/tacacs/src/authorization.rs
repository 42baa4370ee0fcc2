//! Bodies of authorization packets (section 6).

use alloc::vec::Vec;
use core::fmt;

use crate::Arguments;
use crate::registry::{
    AuthenticationMethod, AuthenticationService, AuthenticationType, AuthorizationStatus,
    PrivilegeLevel,
};
use crate::wire::{
    Cursor, DecodeError, EncodeError, Field, Quoted, append, length8, length16, printable,
    user_name,
};

/// A question: may this user do that (section 6.1)?
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// How the client says it authenticated the user; no part of policy.
    pub authen_method: AuthenticationMethod,
    /// The level the user has.
    pub priv_lvl: PrivilegeLevel,
    /// The kind of authentication.
    pub authen_type: AuthenticationType,
    /// The service that authenticated.
    pub authen_service: AuthenticationService,
    /// The user name, in UTF-8.
    pub user: &'a [u8],
    /// The port of the device.
    pub port: &'a [u8],
    /// Where the user comes from; may be empty.
    pub rem_addr: &'a [u8],
    /// What is asked for.
    pub arguments: Arguments<'a>,
}

impl<'a> Request<'a> {
    const FIXED: usize = 8;

    /// Reads a body.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let (
            &[
                method,
                priv_lvl,
                authen_type,
                service,
                user,
                port,
                rem_addr,
                count,
            ],
            mut rest,
        ) = Cursor::new(body)?;
        let count = usize::from(count);
        if rest.remaining() < count {
            return Err(DecodeError::Truncated { length: body.len() });
        }
        let lengths = rest.take(count)?;
        let [user, port, rem_addr] = [user, port, rem_addr].map(usize::from);
        rest.expect(
            Self::FIXED + count,
            &[user, port, rem_addr, Arguments::sum(lengths)],
        )?;
        Ok(Self {
            authen_method: AuthenticationMethod(method),
            priv_lvl: PrivilegeLevel(priv_lvl),
            authen_type: AuthenticationType(authen_type),
            authen_service: AuthenticationService(service),
            user: rest.take(user)?,
            port: rest.take(port)?,
            rem_addr: rest.take(rem_addr)?,
            arguments: Arguments::take(lengths, &mut rest)?,
        })
    }

    /// Appends the body; nothing is appended on error.
    pub fn encode(&self, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        user_name(self.user)?;
        printable(Field::Port, self.port)?;
        printable(Field::RemAddr, self.rem_addr)?;
        self.arguments.check()?;
        let fixed = [
            self.authen_method.0,
            self.priv_lvl.0,
            self.authen_type.0,
            self.authen_service.0,
            length8(Field::User, self.user)?,
            length8(Field::Port, self.port)?,
            length8(Field::RemAddr, self.rem_addr)?,
            self.arguments.count()?,
        ];
        let (lengths, octets) = self.arguments.parts();
        append(
            into,
            &[
                fixed.as_slice(),
                lengths,
                self.user,
                self.port,
                self.rem_addr,
                octets,
            ],
        );
        Ok(())
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("authen_method", &self.authen_method)
            .field("priv_lvl", &self.priv_lvl)
            .field("authen_type", &self.authen_type)
            .field("authen_service", &self.authen_service)
            .field("user", &Quoted(self.user))
            .field("port", &Quoted(self.port))
            .field("rem_addr", &Quoted(self.rem_addr))
            .field("arguments", &self.arguments)
            .finish()
    }
}

/// The answer (section 6.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reply<'a> {
    /// The answer.
    pub status: AuthorizationStatus,
    /// Text for the user.
    pub server_msg: &'a [u8],
    /// Text for the administrator of the device.
    pub data: &'a [u8],
    /// What the device is to apply.
    pub arguments: Arguments<'a>,
}

impl<'a> Reply<'a> {
    const FIXED: usize = 6;

    /// A reply with a status and nothing else.
    pub fn new(status: AuthorizationStatus) -> Self {
        Self {
            status,
            server_msg: &[],
            data: &[],
            arguments: Arguments::EMPTY,
        }
    }

    /// Reads a body.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let (&[status, count, m0, m1, d0, d1], mut rest) = Cursor::new(body)?;
        let count = usize::from(count);
        if rest.remaining() < count {
            return Err(DecodeError::Truncated { length: body.len() });
        }
        let lengths = rest.take(count)?;
        let message = usize::from(u16::from_be_bytes([m0, m1]));
        let data = usize::from(u16::from_be_bytes([d0, d1]));
        rest.expect(
            Self::FIXED + count,
            &[message, data, Arguments::sum(lengths)],
        )?;
        Ok(Self {
            status: AuthorizationStatus(status),
            server_msg: rest.take(message)?,
            data: rest.take(data)?,
            arguments: Arguments::take(lengths, &mut rest)?,
        })
    }

    /// Appends the body; nothing is appended on error.
    pub fn encode(&self, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        printable(Field::ServerMsg, self.server_msg)?;
        printable(Field::Data, self.data)?;
        self.arguments.check()?;
        let count = self.arguments.count()?;
        let [m0, m1] = length16(Field::ServerMsg, self.server_msg)?;
        let [d0, d1] = length16(Field::Data, self.data)?;
        let fixed = [self.status.0, count, m0, m1, d0, d1];
        let (lengths, octets) = self.arguments.parts();
        append(
            into,
            &[
                fixed.as_slice(),
                lengths,
                self.server_msg,
                self.data,
                octets,
            ],
        );
        Ok(())
    }
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("server_msg", &Quoted(self.server_msg))
            .field("data", &Quoted(self.data))
            .field("arguments", &self.arguments)
            .finish()
    }
}
