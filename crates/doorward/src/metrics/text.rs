//! The two text forms that scrapers read, and which of them a scraper wants.

use std::fmt::Write as _;

/// A text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The older form of Prometheus, 0.0.4.
    Plain,
}

impl Form {
    /// Its `Content-Type`.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The form that an `Accept` header prefers; people with `curl` get the older one, as from every exporter.
    pub(super) fn accepted(header: &str) -> Self {
        let mut open_metrics = 0.0_f32;
        let mut plain = 0.0_f32;
        for range in header.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let mut quality = 1.0_f32;
            let mut version = None;
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = value.trim().parse().unwrap_or(0.0),
                    "version" => version = Some(value.trim().trim_matches('"')),
                    _ => {}
                }
            }
            match (kind.as_str(), version) {
                // 0.0.1 is what Prometheus calls the draft; what is written here fits both.
                ("application/openmetrics-text", None | Some("1.0.0" | "0.0.1")) => {
                    open_metrics = open_metrics.max(quality);
                }
                ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", None) => {
                    plain = plain.max(quality);
                }
                _ => {}
            }
        }
        if open_metrics > plain {
            Self::OpenMetrics
        } else {
            Self::Plain
        }
    }
}

/// Turns OpenMetrics as prometheus-client writes it into the older form: counters and infos are named with their suffix in
/// HELP and TYPE, units and the end mark are left out.
pub(super) fn plain(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut family = Vec::new();
    for line in open_metrics.lines() {
        // HELP stands before TYPE, which decides how both are named.
        if line.starts_with("# HELP ") {
            family.push(line);
            continue;
        }
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.rsplit_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                _ => ("", kind),
            };
            for help in family.drain(..) {
                if let Some((_, sentence)) = help
                    .strip_prefix("# HELP ")
                    .and_then(|rest| rest.split_once(' '))
                {
                    _ = writeln!(out, "# HELP {name}{suffix} {sentence}");
                }
            }
            _ = writeln!(out, "# TYPE {name}{suffix} {kind}");
            continue;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}
