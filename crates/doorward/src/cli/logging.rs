//! The log: fields on stderr, as text for people or JSON for programs.

use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, reload};

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// Starts logging to stderr, and returns what changes the level later. The level comes from `DOORWARD_LOG` (as `info`, `debug`
/// or `doorward=debug`), or else is `level`.
pub(super) fn start(format: Option<LogFormat>, level: &str) -> impl Fn(&str) + use<> {
    let terminal = std::io::stderr().is_terminal();
    let filter = |level: &str| {
        EnvFilter::builder()
            .with_default_directive(level.parse().unwrap_or_else(|_| LevelFilter::INFO.into()))
            .with_env_var("DOORWARD_LOG")
            .from_env_lossy()
    };
    let (filtering, handle) = reload::Layer::new(filter(level));
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false);
    let text = terminal && std::env::var_os("NO_COLOR").is_none();
    let layer = match format.unwrap_or(if terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    }) {
        LogFormat::Text => layer.with_ansi(text).boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    // A second start (a test, the demo inside another program) keeps the first one's logger.
    _ = tracing_subscriber::registry()
        .with(layer.with_filter(filtering))
        .try_init();
    move |level| _ = handle.reload(filter(level))
}
