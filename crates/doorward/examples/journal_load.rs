//! Fills a journal with records like those of a real site, and measures its commits: for `docs/performance.md` only.
//!
//! ```text
//! journal_load fill PATH RECORDS DAYS        records spread evenly over the last DAYS days, then waits for the index
//! journal_load commit PATH SECONDS BATCH     commits one batch after another; medians and CPU of the writer's thread
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a tool for measurements"
)]

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use doorward::accounting::{Journal, JournalOptions};
use jiff::{SignedDuration, Timestamp};

#[path = "../benches/site/mod.rs"]
mod site;

use site::Site;

/// The clock of the journal that is filled, ns.
static NOW: AtomicI64 = AtomicI64::new(0);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    match arguments.as_slice() {
        ["fill", path, records, days] => runtime.block_on(fill(
            Path::new(path),
            records.parse().unwrap(),
            days.parse().unwrap(),
        )),
        ["commit", path, seconds, batch] => runtime.block_on(commit(
            Path::new(path),
            Duration::from_secs_f64(seconds.parse().unwrap()),
            batch.parse().unwrap(),
        )),
        _ => println!("journal_load fill PATH RECORDS DAYS | commit PATH SECONDS BATCH"),
    }
}

async fn fill(path: &Path, records: u64, days: i64) {
    let end = Timestamp::now().as_nanosecond() as i64;
    let start = end - SignedDuration::from_hours(24 * days).as_nanos() as i64;
    let step = (end - start) / i64::try_from(records).unwrap();
    NOW.store(start, Ordering::SeqCst);
    let options = JournalOptions {
        now: || Timestamp::from_nanosecond(NOW.load(Ordering::SeqCst).into()).unwrap(),
        ..JournalOptions::default()
    };
    let journal = Journal::open(path, options).unwrap();
    let mut site = Site::new(1);
    let began = Instant::now();
    let mut waiting = std::collections::VecDeque::new();
    let mut done = 0;
    while done < records {
        let some = (records - done).min(1000);
        let mut batch = Vec::new();
        for _ in 0..some {
            let received = NOW.fetch_add(step, Ordering::SeqCst);
            batch.push(site.record(Timestamp::from_nanosecond(received.into()).unwrap()));
        }
        done += some;
        waiting.push_back(journal.submit(batch));
        if waiting.len() > 16 {
            waiting.pop_front().unwrap().await.expect("a commit");
        }
    }
    for commit in waiting {
        commit.await.expect("a commit");
    }
    println!("filled in {:.1} s", began.elapsed().as_secs_f64());
    let last = *journal.watch().borrow();
    let mut indexed = journal.indexed();
    let segment = u64::from(JournalOptions::default().index_records.unwrap());
    let enough = indexed.wait_for(|upto| last.records_since(*upto) < segment);
    let _ = enough.await.unwrap();
    println!("indexed after {:.1} s", began.elapsed().as_secs_f64());
    println!("threads: {}", threads());
}

async fn commit(path: &Path, time: Duration, batch: usize) {
    let journal = Journal::open(path, JournalOptions::default()).unwrap();
    let mut site = Site::new(2);
    let began = Instant::now();
    let before = journal.stats().records;
    let cpu = cpu("journal");
    let mut took = Vec::new();
    while began.elapsed() < time {
        let records = (0..batch).map(|_| site.record(Timestamp::now())).collect();
        let submitted = Instant::now();
        journal.submit(records).await.expect("a commit");
        took.push(submitted.elapsed());
    }
    let records = journal.stats().records - before;
    let cpu = self::cpu("journal") - cpu;
    took.sort();
    let at = |part: f64| {
        took.get((took.len() as f64 * part) as usize)
            .unwrap()
            .as_secs_f64()
            * 1e6
    };
    println!(
        "batch {batch}: {records} records, {} commits, p50 {:.0} us, p90 {:.0} us, p99 {:.0} us, {:.2} us of the writer's CPU a record",
        took.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        cpu * 1e6 / records as f64
    );
    println!("threads: {}", threads());
}

/// CPU seconds of the threads of a name.
fn cpu(name: &str) -> f64 {
    tasks()
        .into_iter()
        .filter(|(task, _)| task == name)
        .map(|(_, cpu)| cpu)
        .sum()
}

fn threads() -> String {
    let all = tasks()
        .into_iter()
        .map(|(name, cpu)| format!("{name} {cpu:.3} s"));
    all.collect::<Vec<_>>().join(", ")
}

/// The threads of this process and their CPU seconds, from the scheduler's own count (ns).
fn tasks() -> Vec<(String, f64)> {
    let mut found = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        let name = std::fs::read_to_string(task.join("comm")).unwrap();
        let schedule = std::fs::read_to_string(task.join("schedstat")).unwrap();
        let nanoseconds: f64 = schedule.split(' ').next().unwrap().parse().unwrap();
        found.push((name.trim().to_owned(), nanoseconds / 1e9));
    }
    found
}
