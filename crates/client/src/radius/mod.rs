//! An asynchronous RADIUS client: RADIUS/TLS and RADIUS/DTLS (RadSec), and RADIUS/UDP.
//!
//! ```text
//! Client ── request ──▶ Keeper of server 1 ──no connection, Protocol-Error──▶ Keeper of server 2 ── … ──▶ Unavailable
//!                           │ one task: connects, waits after failures, opens more connections when one is full
//!                           ▼
//!                         Link = TLS, DTLS or UDP + doorward_radius::client::ClientConnection
//! ```
//!
//! What a server answers is a value, Access-Reject included; that none answered is an error. Over TLS nothing is sent
//! twice on a connection, and a request that is merely not answered is not sent elsewhere while its connection lives
//! (RFC 6614bis section 4.2): it ends with [`AttemptError::ReplyTimeout`]. When the connection is lost, it is tried once
//! more as a new packet, and then with the next server; connections that end together count as one.
//!
//! Whoever answers an Access-Challenge asks on at the server that sent it: [`Client::ask_on`].
//!
//! Over DTLS and UDP a request is sent again as it was, in DTLS as a new record, until it is given up.
//!
//! Whoever stands between clients and servers passes their requests on with [`Client::pass`], which goes by what is known of the
//! servers, and over DTLS and UDP asks another one beside one that is silent.
//!
//! A client has servers of one kind, and there is no way from TLS to UDP (section 7.7) but the one of [`Server::with_fallback`]. HASTLS records are
//! obeyed where [`Server::hastls`] says so.
//!
//! ```no_run
//! # async fn example(tls: doorward_client::Tls) -> Result<(), Box<dyn std::error::Error>> {
//! use doorward_client::ServerAddress;
//! use doorward_client::radius::{Client, Proof, Request, Server};
//!
//! let address = ServerAddress::parse("home.example.net", Server::TLS_PORT)?;
//! let client = Client::new(vec![Server::tls(address, tls)?])?;
//! let request = Request::access("alice", Proof::Pap(b"correct horse"))?.from_nas("core1");
//! let answer = client.ask(request).await?;
//! println!("{}", answer.is_accept());
//! client.close().await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod backoff;
mod client;
pub mod discovery;
mod doubt;
mod dtls;
mod error;
mod keeper;
mod link;
mod order;
mod pass;
mod request;
mod server;
mod state;
mod verdict;
mod way;
mod wire;

pub use answer::Answer;
pub use backoff::Reconnect;
pub use client::Client;
pub use doorward_radius::attribute::Attributes;
pub use doorward_radius::{Code, Secret};
pub use error::{Attempt, AttemptError, Error, Lost};
pub use pass::{Aim, Ask, Passed, Strategy};
pub use request::{Proof, Request, status_type};
pub use server::{Carriage, Server, ServerError};
pub use state::{ServerState, Standing};
