//! Figures of the process itself, under the names that every exporter has for them.

use std::fmt;

use crate::metrics::{About, Page};

const CPU: About = About::seconds(
    "process_cpu",
    "Processor time used, user and system together.",
);
const RESIDENT: About = About::bytes("process_resident_memory", "Resident memory.");
const VIRTUAL: About = About::bytes("process_virtual_memory", "Virtual memory.");
const OPEN_FILES: About = About::number("process_open_fds", "File descriptors open now.");
const MAX_FILES: About = About::number("process_max_fds", "File descriptors that may be open.");
const THREADS: About = About::number("process_threads", "Threads.");
const START: About = About::seconds("process_start_time", "Unix time of the start.");

/// Writes them; what the system does not tell is left out.
#[expect(
    clippy::cast_precision_loss,
    reason = "seconds as a floating-point number are the form of this figure"
)]
pub(super) fn figures(page: &mut Page<'_>, started: jiff::Timestamp) -> fmt::Result {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    page.sum(&CPU, time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)?;
    if let Some((all, resident)) = memory() {
        page.gauge(&RESIDENT, resident)?;
        page.gauge(&VIRTUAL, all)?;
    }
    if let Some(open) = entries("/proc/self/fd") {
        // The one that reads the folder is not counted.
        page.gauge(&OPEN_FILES, open.saturating_sub(1))?;
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if let Some(limit) = limit.current {
        page.gauge(&MAX_FILES, limit)?;
    }
    if let Some(threads) = entries("/proc/self/task") {
        page.gauge(&THREADS, threads)?;
    }
    page.gauge(&START, started.as_millisecond() as f64 / 1e3)
}

/// Octets: all that is mapped, and what is resident.
fn memory() -> Option<(u64, u64)> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = statm
        .split_whitespace()
        .map_while(|field| field.parse().ok());
    let page_size = u64::try_from(rustix::param::page_size()).ok()?;
    let (all, resident): (u64, u64) = (pages.next()?, pages.next()?);
    Some((all * page_size, resident * page_size))
}

fn entries(folder: &str) -> Option<usize> {
    Some(std::fs::read_dir(folder).ok()?.count())
}
