//! An asynchronous TACACS+ client: over TLS 1.3 (RFC 9887) and over port 49 with obfuscation (RFC 8907).
//!
//! ```text
//! Client ── one request ──▶ server 1 ──ERROR, refused, silent, garbage──▶ server 2 ── … ──▶ Unavailable
//!              │                 │
//!              │            PASS or FAIL: the answer, no further server is asked
//!              ▼
//!        Connection = Transport (TCP, or TCP + TLS) + doorward_tacacs::ClientConnection
//! ```
//!
//! A denial is a value ([`Decision::Fail`]); that nobody answered is an error ([`ClientError::Unavailable`]). Neither
//! ever becomes the other. A server that is to be spoken to over TLS is never spoken to without, and
//! [`Transports::TlsOnly`] takes no other servers.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use doorward_client::{Client, Login, Secret, Server, ServerAddress, Transports, Who};
//!
//! let address = ServerAddress::parse("192.0.2.49", ServerAddress::PLAIN_PORT)?;
//! let server = Server::plain(address, Secret::new(*b"a secret of enough length"))?;
//! let client = Client::new(vec![server], Transports::Any)?;
//! let who = Who::new("alice").at_port("tty10").from_address("2001:db8::1".parse::<std::net::IpAddr>()?);
//! let answer = client.authenticate(&who, Login::Pap { password: b"correct horse" }).await?;
//! println!("{}", answer.decision.is_pass());
//! # Ok(())
//! # }
//! ```
//!
//! # What it sends in `port` and `rem_addr`
//!
//! Exactly what [`Who`] says, and nothing when it says nothing: the library invents no port. Addresses are written as
//! RFC 5952 wants them.
//!
//! # What stays with the caller
//!
//! Configuration files, name servers and the user's terminal. Dropping a future of [`Client`] drops the connection it used.

mod client;
mod connection;
pub mod dns;
mod effective;
mod error;
pub mod hastls;
mod login;
mod opening;
mod outcome;
pub mod radius;
mod request;
mod responder;
mod server;
mod tasks;
mod text;
mod transport;

pub use client::Client;
pub use doorward_tacacs::{
    AccountingRecord, AccountingStatus, ArgumentList, AuthenticationMethod, AuthenticationService,
    AuthenticationStatus, AuthenticationType, AuthorizationStatus, ChallengeMethod, Dialect,
    PrivilegeLevel, Secret, Separator,
};
pub use effective::{Handled, is_rfc_argument};
pub use error::{Attempt, AttemptError, ClientError, ServerStatus, TransportError};
pub use outcome::{Accounting, Authentication, Authorization, Decision, Denial, Facts, TlsFacts};
pub use request::{
    AccountingRequest, Answer, Answers, AuthorizationRequest, BoxedAnswer, Login, Question,
    QuestionKind, RemoteAddress, RemoteAddressError, Who, is_accounting_argument,
};
pub use responder::{AskError, Responders, is_responder_url};
pub use server::{AddressError, Mode, Server, ServerAddress, ServerError, Tls, Transports};
pub use tasks::task_id;
pub use text::for_display;
