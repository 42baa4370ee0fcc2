//! Commits and searches of the journal: `cargo bench -p doorward --bench journal`.
//!
//! `DOORWARD_BENCH_RECORDS` says how many records are searched: 200,000 if it does not, 10,000,000 for the figures of
//! `docs/performance.md` (3 GB in the folder for temporary files).

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::path::Path;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use doorward::accounting::{CommandGlob, Journal, JournalOptions, Query, Reader, Record};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::runtime::Runtime;

mod site;

use site::Site;

/// Records searched unless the environment says how many.
const RECORDS: u64 = 200_000;

/// Records in one segment of the index and in half a table: few enough that most of [`RECORDS`] are indexed.
const SEGMENT: u32 = 50_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    commits(&mut criterion, &runtime);
    searches(&mut criterion, &runtime);
    criterion.final_summary();
}

/// From the hand-over of a batch to the answer that it is on the disk. Nearly all of it is the disk's.
fn commits(criterion: &mut Criterion, runtime: &Runtime) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, JournalOptions::default()).unwrap();
    let mut site = Site::new(2);
    let mut group = criterion.benchmark_group("journal/commit");
    for batch in [1, 16, 256] {
        group.throughput(Throughput::Elements(batch));
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            bencher.iter_batched(
                || records(&mut site, batch),
                |records| runtime.block_on(journal.submit(records)).unwrap(),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn records(site: &mut Site, count: u64) -> Vec<Record> {
    let now = Timestamp::now();
    (0..count).map(|_| site.record(now)).collect()
}

/// From the opening of the file to the last record found.
fn searches(criterion: &mut Criterion, runtime: &Runtime) {
    let records = match std::env::var("DOORWARD_BENCH_RECORDS") {
        Ok(records) => records.parse().unwrap(),
        Err(_) => RECORDS,
    };
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.db");
    runtime.block_on(fill(&path, records));
    let mut group = criterion.benchmark_group("journal/search");
    let some = |device: Option<&str>, user: Option<&str>, command: Option<&str>| Query {
        device: device.map(str::to_owned),
        user: user.map(|user| user.as_bytes().to_vec()),
        command: command.map(CommandGlob::new),
        ..Query::default()
    };
    let (device, user) = (Some("core100.ams.example.net"), Some("user150"));
    for (name, query) in [
        ("device", some(device, None, None)),
        ("user", some(None, user, None)),
        ("command reload*", some(None, None, Some("reload*"))),
        ("command *vlan*", some(None, None, Some("*vlan*"))),
        ("device and user", some(device, user, None)),
        ("user and command", some(None, user, Some("*vlan*"))),
        ("nothing", some(None, None, Some("no such command"))),
    ] {
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                let reader = Reader::open(&path).unwrap();
                reader.search(query.clone()).unwrap().count()
            });
        });
    }
    group.finish();
}

/// Makes a journal with its index.
async fn fill(path: &Path, records: u64) {
    let options = JournalOptions {
        period_records: 2 * SEGMENT,
        index_records: Some(SEGMENT),
        ..JournalOptions::default()
    };
    let options = match records > RECORDS {
        true => JournalOptions::default(),
        false => options,
    };
    let segment = u64::from(options.index_records.unwrap());
    let journal = Journal::open(path, options).unwrap();
    let mut site = Site::new(1);
    let mut left = records;
    while left > 0 {
        let batch = left.min(1000);
        journal
            .submit(self::records(&mut site, batch))
            .await
            .unwrap();
        left -= batch;
    }
    let last = *journal.watch().borrow();
    let mut indexed = journal.indexed();
    let enough = indexed.wait_for(|upto| last.records_since(*upto) < segment);
    let _ = enough.await.unwrap();
}
