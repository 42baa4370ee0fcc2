//! The HTTP side: `/metrics`, `/healthz` and `/readyz` for whoever may reach the address, and nothing else.
//!
//! It has a thread of its own with a lower priority, so that neither a page of thirty thousand lines nor a scraper that
//! asks without end takes time from a login. Whoever connects can hold one of sixteen places for ten seconds at most, the
//! oldest goes when a new one comes, and making pages takes a tenth of that thread at most: asked more often, the last
//! page is sent again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::text::{Form, plain};

/// Pause after the operating system refused another descriptor, before the next accept.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// How long the workers may take to run a task that does nothing before they count as stuck.
const ALIVE: Duration = Duration::from_secs(2);
/// How much of the thread making pages may take: one part of so many.
const SHARE: u32 = 10;
/// The longest a page is sent again, whatever it took to make.
const STALE: Duration = Duration::from_secs(1);
/// Lower than everything that serves devices.
const NICE: i32 = 10;
const TEXT: &str = "text/plain; charset=utf-8";

/// What is told to whoever asks.
pub trait Source: Send + Sync {
    /// Writes the page in the form of OpenMetrics.
    ///
    /// # Errors
    /// When there is nothing to tell any more.
    fn write(&self, page: &mut String) -> fmt::Result;

    /// Why a login would not be served now; `None` = it would.
    fn not_ready(&self) -> Option<&'static str>;
}

/// What one peer may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections open at once.
    pub(super) connections: usize,
    /// From accept to the end of the request's head.
    pub(super) head: Duration,
    /// From accept to the end of the reply.
    pub(super) lifetime: Duration,
    /// Octets of the request's head.
    pub(super) octets: usize,
    /// Header lines.
    pub(super) lines: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16,
            head: Duration::from_secs(5),
            lifetime: Duration::from_secs(10),
            octets: 8 * 1024,
            lines: 64,
        }
    }
}

/// An open endpoint; it is closed on drop.
#[derive(Debug)]
pub struct Endpoint {
    /// The bound address.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Takes the address.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn bind(address: SocketAddr) -> std::io::Result<StdListener> {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Answers on a bound address from now on. `/healthz` asks the runtime this is called in.
    ///
    /// # Errors
    /// What the operating system says about the thread.
    pub fn serve(listener: StdListener, source: Arc<dyn Source>) -> std::io::Result<Self> {
        Self::serve_within(listener, source, Limits::default())
    }

    pub(super) fn serve_within(
        listener: StdListener,
        source: Arc<dyn Source>,
        limits: Limits,
    ) -> std::io::Result<Self> {
        let site = Arc::new(Site {
            source,
            workers: tokio::runtime::Handle::current(),
            pages: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _context = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || {
                // On Linux a priority belongs to the thread. Without it the endpoint works as well.
                _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(listener, site, limits) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Endpoint {
    /// The address is free afterwards; replies under way are broken off.
    fn drop(&mut self) {
        drop(self.stop.take());
        // Its own thread can be the last that knows the server this belongs to, and cannot wait for itself.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // A panic of the thread has closed everything as well.
            _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, site: Arc<Site>, limits: Limits) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                open.retain(|task| !task.is_finished());
                if open.len() >= limits.connections
                    && let Some(oldest) = open.pop_front()
                {
                    // Idle ones grow old: a scraper that asks at once is never the one that goes.
                    oldest.abort();
                    tracing::debug!(%peer, "the oldest connection to the metrics gave way to a new one");
                }
                let task = tokio::spawn(converse(socket, Arc::clone(&site), limits));
                open.push_back(task.abort_handle());
            }
            Err(error) => {
                tracing::error!(%error, "a connection to the metrics could not be accepted");
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
}

/// One request and its reply.
async fn converse(socket: TcpStream, site: Arc<Site>, limits: Limits) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .max_headers(limits.lines)
        .max_header_size(limits.octets)
        .max_buf_size(2 * limits.octets)
        .header_read_timeout(limits.head)
        .serve_connection(TokioIo::new(socket), service);
    match tokio::time::timeout(limits.lifetime, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection to the metrics broke off"),
        Err(_) => tracing::debug!("a connection to the metrics took too long and was closed"),
    }
}

/// What is behind the paths.
struct Site {
    source: Arc<dyn Source>,
    workers: tokio::runtime::Handle,
    pages: Mutex<[Kept; 2]>,
}

impl Site {
    async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = reply(
                StatusCode::METHOD_NOT_ALLOWED,
                TEXT,
                "only GET and HEAD are answered here\n".into(),
            );
            let allow = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(header::ALLOW, allow);
            return response;
        }
        match request.uri().path() {
            "/metrics" => self.metrics(request),
            "/healthz" => self.healthz().await,
            "/readyz" => match self.source.not_ready() {
                None => reply(StatusCode::OK, TEXT, "ready\n".into()),
                Some(why) => {
                    let text = format!("not ready: {why}\n");
                    reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, text.into())
                }
            },
            _ => reply(
                StatusCode::NOT_FOUND,
                TEXT,
                "there are /metrics, /healthz and /readyz\n".into(),
            ),
        }
    }

    /// Alive is a process whose workers still run tasks.
    async fn healthz(&self) -> Response<Full<Bytes>> {
        match tokio::time::timeout(ALIVE, self.workers.spawn(async {})).await {
            Ok(Ok(())) => reply(StatusCode::OK, TEXT, "serving\n".into()),
            Ok(Err(_)) | Err(_) => reply(
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT,
                "not serving: the workers do not answer\n".into(),
            ),
        }
    }

    fn metrics<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let accept = request.headers().get_all(header::ACCEPT);
        let accept: Vec<&str> = accept
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        let form = Form::accepted(&accept.join(","));
        match self.page(form) {
            Ok(page) => {
                let mut response = reply(StatusCode::OK, form.content_type(), page);
                let vary = HeaderValue::from_static("Accept");
                response.headers_mut().insert(header::VARY, vary);
                response
            }
            Err(fmt::Error) => reply(
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT,
                "the server is stopping\n".into(),
            ),
        }
    }

    fn page(&self, form: Form) -> Result<Bytes, fmt::Error> {
        // Nobody else makes a page meanwhile: there is one thread.
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let [open_metrics, older] = &mut *pages;
        let kept = match form {
            Form::OpenMetrics => open_metrics,
            Form::Plain => older,
        };
        if let Some(page) = kept.still_good(Instant::now()) {
            return Ok(page);
        }
        let began = processor_time();
        let mut text = String::new();
        self.source.write(&mut text)?;
        let text = match form {
            Form::OpenMetrics => text,
            Form::Plain => plain(&text),
        };
        let cost = processor_time().saturating_sub(began);
        Ok(kept.keep(text.into(), cost, Instant::now()))
    }
}

/// What this thread has used: on a busy machine the time on the wall says little about the cost of a page.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// The last page of a form.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<(Bytes, Instant)>);

impl Kept {
    /// The page, if it is too early for another one.
    pub(super) fn still_good(&self, now: Instant) -> Option<Bytes> {
        self.0
            .as_ref()
            .filter(|(_, until)| now < *until)
            .map(|(page, _)| page.clone())
    }

    /// Keeps a page for nine times the processor time it took to make.
    pub(super) fn keep(&mut self, page: Bytes, cost: Duration, now: Instant) -> Bytes {
        let until = now + cost.saturating_mul(SHARE - 1).min(STALE);
        self.0 = Some((page.clone(), until));
        page
    }
}

fn reply(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
