//! Our own ClientHello reader: looks before the engine does, then hands every octet on unchanged.
//!
//! It reassembles the hello over TCP segments and TLS records within hard bounds and refuses at the first octet what
//! cannot become one, such as a TACACS+ packet without TLS. It decides nothing that the engine decides as well:
//! versions, suites and shares are only shown.

mod datagram;
mod own;
mod parse;

use std::fmt;

use crate::error::alert;

pub use datagram::{Cookies, First};
pub use own::{OwnHello, OwnHellos};
pub use parse::ClientHello;

/// Octets of the handshake message at most.
const MAX_HANDSHAKE: usize = 16 * 1024;
/// TLS records a hello may be spread over.
const MAX_RECORDS: usize = 16;
/// TLSPlaintext.length at most (RFC 8446 section 5.1).
const MAX_FRAGMENT: usize = 1 << 14;
/// The shortest hello there can be: version, random, empty session id, one suite, one compression method.
const MIN_HELLO: usize = 2 + 32 + 1 + 4 + 2;
const RECORD_HEADER: usize = 5;
const HANDSHAKE_HEADER: usize = 4;
const CONTENT_HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// Why the first octets of a connection are not an acceptable ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloError {
    /// The first octets are no TLS handshake record; the peer may speak TACACS+ without TLS.
    NotTls,
    /// A record of another kind inside the hello.
    UnexpectedRecord,
    /// A handshake message other than ClientHello.
    NotAClientHello,
    /// Longer than we read.
    TooLong,
    /// Spread over more records than we read.
    TooManyRecords,
    /// A length does not fit, or something is left over.
    Malformed,
    /// An extension occurs twice (RFC 8446 section 4.2).
    DuplicateExtension(u16),
    /// The client wants to send early data, which RFC 9887 section 5.1.2 forbids.
    EarlyData,
    /// A client of this endpoint itself has sent it ([`OwnHellos`]).
    Own,
}

impl HelloError {
    /// A short name for counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotTls => "not-tls",
            Self::UnexpectedRecord => "hello-unexpected-record",
            Self::NotAClientHello => "hello-not-client-hello",
            Self::TooLong => "hello-too-long",
            Self::TooManyRecords => "hello-too-many-records",
            Self::Malformed => "hello-malformed",
            Self::DuplicateExtension(_) => "hello-duplicate-extension",
            Self::EarlyData => "early-data",
            Self::Own => "own-hello",
        }
    }

    /// The alert for the peer; `None` = the connection is cut without a word (no TLS there, or early data).
    pub fn alert(self) -> Option<u8> {
        match self {
            Self::NotTls | Self::EarlyData => None,
            Self::UnexpectedRecord | Self::NotAClientHello => Some(alert::UNEXPECTED_MESSAGE),
            Self::DuplicateExtension(_) => Some(alert::ILLEGAL_PARAMETER),
            Self::TooLong | Self::TooManyRecords | Self::Malformed => Some(alert::DECODE_ERROR),
            Self::Own => Some(alert::ACCESS_DENIED),
        }
    }
}

impl fmt::Display for HelloError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls => f.write_str("the peer does not speak TLS"),
            Self::UnexpectedRecord => f.write_str("the hello is interrupted by another record"),
            Self::NotAClientHello => f.write_str("the first message is no hello"),
            Self::TooLong => f.write_str("the hello is too long"),
            Self::TooManyRecords => f.write_str("the hello is spread over too many records"),
            Self::Malformed => f.write_str("the hello is malformed"),
            Self::DuplicateExtension(kind) => {
                write!(f, "extension {kind} occurs twice in the hello")
            }
            Self::EarlyData => f.write_str("the client wants to send early data"),
            Self::Own => f.write_str("the hello is our own: the connection leads back to us"),
        }
    }
}

impl std::error::Error for HelloError {}

/// How far the reader is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More octets are needed.
    WantRead,
    /// The hello is complete.
    Done(Box<ClientHello>),
}

/// Reassembles one ClientHello and keeps every octet it was given, for the engine.
#[derive(Clone, Debug, Default)]
pub struct ClientHelloReader {
    /// Everything as it came.
    octets: Vec<u8>,
    /// The handshake message without record headers.
    message: Vec<u8>,
    /// Octets of `octets` already taken apart.
    taken: usize,
    /// Octets of the current record's fragment still to come.
    fragment_left: usize,
    records: usize,
    failed: Option<HelloError>,
}

impl ClientHelloReader {
    /// A reader that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next octets of the stream. An error is final and will be repeated.
    pub fn push(&mut self, octets: &[u8]) -> Result<Progress, HelloError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.octets.extend_from_slice(octets);
        self.advance().inspect_err(|&error| {
            self.failed = Some(error);
            self.octets = Vec::new();
            self.message = Vec::new();
        })
    }

    /// Everything that was pushed, to be replayed into the engine.
    pub fn into_octets(self) -> Vec<u8> {
        self.octets
    }

    fn advance(&mut self) -> Result<Progress, HelloError> {
        loop {
            if let Some(length) = self.message_length()?
                && let Some(body) = self
                    .message
                    .get(HANDSHAKE_HEADER..HANDSHAKE_HEADER + length)
            {
                return parse::client_hello(body).map(|hello| Progress::Done(Box::new(hello)));
            }
            let rest = self.octets.get(self.taken..).unwrap_or_default();
            if self.fragment_left == 0 {
                let Some(length) = record_length(rest, self.records)? else {
                    return Ok(Progress::WantRead);
                };
                self.records += 1;
                if self.records > MAX_RECORDS {
                    return Err(HelloError::TooManyRecords);
                }
                self.fragment_left = length;
                self.taken += RECORD_HEADER;
            } else if rest.is_empty() {
                return Ok(Progress::WantRead);
            } else {
                let available = rest.len().min(self.fragment_left);
                self.message
                    .extend_from_slice(rest.get(..available).unwrap_or_default());
                self.taken += available;
                self.fragment_left -= available;
            }
        }
    }

    /// Judges the message header as soon as an octet of it is there; `None` = not all of the header yet.
    fn message_length(&self) -> Result<Option<usize>, HelloError> {
        if self
            .message
            .first()
            .is_some_and(|&kind| kind != CLIENT_HELLO)
        {
            return Err(HelloError::NotAClientHello);
        }
        let Some(&[_, high, middle, low]) = self.message.first_chunk::<HANDSHAKE_HEADER>() else {
            return Ok(None);
        };
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if length < MIN_HELLO {
            return Err(HelloError::Malformed);
        }
        if length > MAX_HANDSHAKE {
            return Err(HelloError::TooLong);
        }
        Ok(Some(length))
    }
}

/// Judges a record header octet by octet, so that whoever does not speak TLS is told apart at once.
fn record_length(header: &[u8], records_before: usize) -> Result<Option<usize>, HelloError> {
    let wrong = if records_before == 0 {
        HelloError::NotTls
    } else {
        HelloError::UnexpectedRecord
    };
    if header
        .first()
        .is_some_and(|&kind| kind != CONTENT_HANDSHAKE)
    {
        return Err(wrong);
    }
    // The minor version is to be ignored (RFC 8446 section 5.1); a major version other than 3 is not TLS.
    if header.get(1).is_some_and(|&major| major != 3) {
        return Err(wrong);
    }
    let Some(&[_, _, _, high, low]) = header.first_chunk::<RECORD_HEADER>() else {
        return Ok(None);
    };
    match usize::from(high) << 8 | usize::from(low) {
        0 => Err(HelloError::Malformed),
        length if length > MAX_FRAGMENT => Err(HelloError::TooLong),
        length => Ok(Some(length)),
    }
}

#[cfg(test)]
pub(crate) use datagram::tests as tests_of_datagrams;
#[cfg(test)]
mod tests;
