//! Asks OCSP responders (RFC 6960 appendix A): one HTTP request each, outside every handshake, with a deadline.
//!
//! A responder that was silent is left alone for a while, so that one that is down costs one wait and not one for each
//! connection.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorward_tls::{
    CertificateStatus, ClientChannel, Clock, PathError, StatusError, StatusQuery, Trust,
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::http::uri::Authority;
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// Octets an answer may have; real ones have two thousand.
const MAX_ANSWER: usize = 64 * 1024;
/// Questions under way at once; more wait their turn.
const AT_ONCE: usize = 32;
/// How long a responder that did not answer is left alone.
const SILENCE: Duration = Duration::from_secs(10);
/// A wait that was shorter says nothing about the responder: others have used up the time.
const FAIR: Duration = Duration::from_millis(500);
/// Silent responders remembered. Who they are is said by certificates of those we trust.
const MAX_SILENT: usize = 1024;

/// Why the status of a certificate is not known.
#[derive(Debug)]
#[non_exhaustive]
pub enum AskError {
    /// The URL of the responder is not one of plain HTTP.
    Url,
    /// Its name has no address.
    Resolve(io::Error),
    /// The connection was refused, or no way leads there.
    Connect(io::Error),
    /// No answer in time.
    Timeout,
    /// It was not asked: too many others are being asked.
    NoTurn,
    /// It broke off, or what it says is not HTTP.
    Http(hyper::Error),
    /// An answer that HTTP says is none.
    Status(StatusCode),
    /// An answer longer than any can be.
    TooLong,
    /// It did not answer a moment ago, and is left alone for now: why.
    Silent(Arc<str>),
    /// It answered, and the answer tells nothing.
    Answer(StatusError),
}

impl AskError {
    /// Whether the responder itself is the trouble, and not the one certificate.
    fn is_silence(&self) -> bool {
        !matches!(self, Self::Silent(_) | Self::NoTurn | Self::Answer(_))
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("its URL is not one of plain HTTP"),
            Self::Resolve(error) => write!(f, "its name has no address ({error})"),
            Self::Connect(error) => write!(f, "no connection ({error})"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::NoTurn => f.write_str("it was not asked in time, because too many others are"),
            Self::Http(error) => write!(f, "it does not speak HTTP, or broke off ({error})"),
            Self::Status(status) => write!(f, "it answers {status}"),
            Self::TooLong => f.write_str("its answer is longer than any can be"),
            Self::Silent(why) => write!(f, "it is left alone after it did not answer: {why}"),
            Self::Answer(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AskError {}

/// Since when a responder is silent, and why it seems so.
type Silent = (Instant, Arc<str>);

/// Everybody who asks through the same one shares its patience with silent responders.
#[derive(Debug)]
pub struct Responders {
    turns: Semaphore,
    silent: Mutex<HashMap<Arc<str>, Silent>>,
}

impl Default for Responders {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(AT_ONCE),
            silent: Mutex::default(),
        }
    }
}

impl Responders {
    /// Has the certificate of a server judged by its OCSP responders once the handshake is over, where the trust of the
    /// channel's policy wants that. Takes no longer than `patience`; nothing is sent to the server before.
    ///
    /// # Errors
    /// Why the server is not to be told anything.
    pub async fn judge(
        &self,
        channel: &mut ClientChannel,
        patience: Duration,
    ) -> Result<(), PathError> {
        let trust = Arc::clone(channel.trust());
        let told = |question: &StatusQuery, answer: &Result<CertificateStatus, AskError>| {
            if let Err(error) = answer {
                let responder = &**question.responder();
                tracing::warn!(
                    responder,
                    "the status of the server's certificate is not known: {error}"
                );
            }
        };
        self.ask_all(&trust, channel.open_questions(), patience, told)
            .await;
        channel.settle_status()
    }

    /// Asks one responder after the other, and takes no longer than `patience` for all of them: each may take its part of
    /// what is left, so that one that hangs leaves time for the others. `told` hears of each answer.
    pub async fn ask_all(
        &self,
        trust: &Trust,
        questions: Vec<StatusQuery>,
        patience: Duration,
        mut told: impl FnMut(&StatusQuery, &Result<CertificateStatus, AskError>),
    ) {
        let end = Instant::now() + patience;
        for (asked, question) in questions.iter().enumerate() {
            let rest = u32::try_from(questions.len() - asked).unwrap_or(u32::MAX);
            let share = end.saturating_duration_since(Instant::now()) / rest;
            told(question, &self.ask(trust, question, share).await);
        }
    }

    /// Asks one responder and hands its answer to `trust`, which keeps it until it lapses. Takes no longer than `patience`.
    ///
    /// # Errors
    /// Why the status is not known.
    pub async fn ask(
        &self,
        trust: &Trust,
        query: &StatusQuery,
        patience: Duration,
    ) -> Result<CertificateStatus, AskError> {
        let deadline = Instant::now() + patience;
        let _turn = self.turn(deadline).await?;
        // Somebody else may have asked meanwhile.
        if let Some(status) = trust.status(query, Clock::system().now()) {
            return Ok(status);
        }
        let octets = self.hear(query, deadline).await?;
        trust
            .take_answer(query, &octets, Clock::system().now())
            .map_err(AskError::Answer)
    }

    /// What the responder sends, which nobody has looked at yet. Takes no longer than `patience`.
    ///
    /// # Errors
    /// Why there is no answer; never [`AskError::Answer`] but for a certificate that cannot be asked about.
    pub async fn answer(
        &self,
        query: &StatusQuery,
        patience: Duration,
    ) -> Result<Vec<u8>, AskError> {
        let deadline = Instant::now() + patience;
        let _turn = self.turn(deadline).await?;
        self.hear(query, deadline).await
    }

    async fn turn(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, AskError> {
        match timeout_at(deadline, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(AskError::NoTurn),
        }
    }

    async fn hear(&self, query: &StatusQuery, deadline: Instant) -> Result<Vec<u8>, AskError> {
        let request = query.request().map_err(AskError::Answer)?;
        self.fetched(query.responder(), request, deadline).await
    }

    async fn fetched(
        &self,
        responder: &Arc<str>,
        request: Vec<u8>,
        deadline: Instant,
    ) -> Result<Vec<u8>, AskError> {
        if let Some(why) = self.silence(responder) {
            return Err(AskError::Silent(why));
        }
        let begun = Instant::now();
        let answer = timeout_at(deadline, fetch(responder, request)).await;
        let answer = answer.unwrap_or(Err(AskError::Timeout));
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        match &answer {
            Err(AskError::Timeout) if begun.elapsed() < FAIR => {}
            Err(error) if error.is_silence() => {
                if silent.len() >= MAX_SILENT {
                    silent.clear();
                }
                let why = error.to_string().into();
                silent.insert(Arc::clone(responder), (Instant::now(), why));
            }
            Ok(_) | Err(_) => _ = silent.remove(responder),
        }
        answer
    }

    fn silence(&self, responder: &str) -> Option<Arc<str>> {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, why) = silent.get(responder)?;
        (since.elapsed() < SILENCE).then(|| Arc::clone(why))
    }
}

/// Whether a text is a URL that a responder can be asked by: plain HTTP, with a host.
pub fn is_responder_url(text: &str) -> bool {
    asked_by(text).is_some()
}

/// What such a URL says, and its authority.
fn asked_by(text: &str) -> Option<(Uri, Authority)> {
    let url: Uri = text.parse().ok()?;
    let authority = url
        .authority()
        .filter(|_| url.scheme_str() == Some("http"))?;
    let authority = authority.clone();
    (!authority.host().is_empty()).then_some((url, authority))
}

/// One POST, on a connection of its own.
async fn fetch(responder: &str, request: Vec<u8>) -> Result<Vec<u8>, AskError> {
    let (url, authority) = asked_by(responder).ok_or(AskError::Url)?;
    let host = authority.host();
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let stream = connect(bare.unwrap_or(host), authority.port_u16().unwrap_or(80)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(AskError::Http)?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, authority.as_str())
        .header(header::CONTENT_TYPE, "application/ocsp-request")
        .header(header::ACCEPT, "application/ocsp-response")
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(request)))
        .map_err(|_| AskError::Url)?;
    let asked = async {
        let response = sender.send_request(request).await.map_err(AskError::Http)?;
        if response.status() != StatusCode::OK {
            return Err(AskError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await;
        match body {
            Ok(body) => Ok(body.to_bytes().to_vec()),
            Err(error) => Err(match error.downcast::<hyper::Error>() {
                Ok(error) => AskError::Http(*error),
                Err(_) => AskError::TooLong,
            }),
        }
    };
    // The answer and the connection that carries it go on together, and end together when this is dropped.
    tokio::pin!(asked, connection);
    tokio::select! {
        biased;
        answer = &mut asked => answer,
        ended = &mut connection => match ended {
            Ok(()) => asked.await,
            Err(error) => Err(AskError::Http(error)),
        }
    }
}

/// Takes the first address that accepts.
async fn connect(host: &str, port: u16) -> Result<TcpStream, AskError> {
    let found = lookup_host((host, port)).await.map_err(AskError::Resolve)?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(AskError::Resolve(io::ErrorKind::NotFound.into()));
    }
    TcpStream::connect(&addresses[..])
        .await
        .map_err(AskError::Connect)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else one that hangs would take along those that are asked after it.
    #[test]
    fn a_responder_that_had_no_time_to_answer_is_not_silent() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        // Connections wait in the backlog for ever.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Arc<str> = format!("http://{}/", listener.local_addr().unwrap()).into();
        let responders = Responders::default();
        for (patience, silent) in [(Duration::ZERO, false), (FAIR, true)] {
            let asked = async {
                let deadline = Instant::now() + patience;
                responders.fetched(&url, Vec::new(), deadline).await
            };
            let answer = runtime.block_on(asked);
            assert!(matches!(answer, Err(AskError::Timeout)), "{answer:?}");
            assert_eq!(responders.silence(&url).is_some(), silent, "{patience:?}");
        }
    }

    #[test]
    fn a_responder_is_asked_by_plain_http() {
        for url in [
            "http://ocsp.example.net",
            "http://ocsp.example.net:8080/a/b?c=d",
            "http://[2001:db8::1]/",
        ] {
            assert!(is_responder_url(url), "{url}");
        }
        for url in [
            "",
            "ocsp.example.net",
            "https://ocsp.example.net/",
            "ldap://ocsp.example.net/",
            "http://",
            "http:///path",
            "/ocsp",
        ] {
            assert!(!is_responder_url(url), "{url}");
        }
    }
}
