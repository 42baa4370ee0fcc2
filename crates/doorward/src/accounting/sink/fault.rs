//! What keeps a sink from delivering.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use doorward_tls::{ChannelError, HandshakeError};

use crate::accounting::JournalError;

/// Why a sink does not deliver now. Every fault passes by itself once its cause is gone; until then it is tried again.
#[derive(Debug)]
pub(super) enum Fault {
    /// The journal cannot be read, or does not take the new place of the cursor.
    Journal(JournalError),
    /// The file cannot be written.
    File(&'static str, PathBuf, io::Error),
    /// There is something else than a file.
    NoFile(PathBuf),
    /// The name of the host cannot be resolved.
    Resolve(String, io::Error),
    /// The host has no address.
    NoAddress(String),
    /// Nobody accepts there.
    Connect(SocketAddr, io::Error),
    /// There was no answer within this time.
    ConnectTimeout(SocketAddr, Duration),
    /// The local socket cannot be used.
    Unix(PathBuf, io::Error),
    /// The TLS handshake failed.
    Handshake(HandshakeError),
    /// The TLS channel broke, or the receiver refused our certificate.
    Channel(ChannelError),
    /// The connection broke.
    Broken(io::Error),
    /// The receiver closed the connection while we sent.
    Closed,
    /// The receiver took nothing for this long.
    Stalled(Duration),
    /// The receiver did not close its side.
    NotClosed(Duration),
    /// A datagram could not be sent.
    Datagram(io::Error),
}

impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(error) => error.fmt(f),
            Self::File(what, path, error) => {
                write!(f, "{} cannot be {what}: {error}", path.display())
            }
            Self::NoFile(path) => write!(f, "{} is no regular file", path.display()),
            Self::Resolve(host, error) => write!(f, "the name {host} cannot be resolved: {error}"),
            Self::NoAddress(host) => write!(f, "the name {host} has no address"),
            Self::Connect(address, error) => write!(f, "{address} cannot be reached: {error}"),
            Self::ConnectTimeout(address, patience) => {
                write!(f, "{address} did not answer within {patience:?}")
            }
            Self::Unix(path, error) => {
                write!(f, "the socket {} cannot be used: {error}", path.display())
            }
            Self::Handshake(error) => write!(f, "the TLS handshake failed: {error}"),
            Self::Channel(error) => write!(f, "the TLS connection failed: {error}"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Closed => f.write_str("the receiver closed the connection"),
            Self::Stalled(patience) => {
                write!(f, "the receiver took nothing for {patience:?}")
            }
            Self::NotClosed(patience) => write!(
                f,
                "the receiver did not close the connection within {patience:?} after we closed our side, so that nothing proves that it \
                 read what was sent"
            ),
            Self::Datagram(error) => write!(f, "a datagram could not be sent: {error}"),
        }
    }
}

impl std::error::Error for Fault {}
