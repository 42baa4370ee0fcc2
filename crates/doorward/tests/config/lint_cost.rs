//! What the lints cost where they have the most to say.

use std::fmt::Write as _;
use std::time::Duration;

use doorward::config::{Lint, Loaded};

use crate::context::TestContext;

/// What a load may take of a core in a test build, which is some ten times slower than a release; far below what any pairwise
/// comparison takes.
const LOAD: Duration = Duration::from_secs(10);

/// What this thread has had of a core so far: a busy machine makes nothing slower by this clock.
fn used() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn devices(text: &mut String, count: usize, secret: bool) {
    for at in 0..count {
        let _ = writeln!(
            text,
            "[device.d{at}]\naddress = [\"10.{}.{}.1\"]\ntags = [\"site:{}\"]\ncertificate = {{ dns = [\"d{at}.example.net\"] }}",
            at / 250,
            at % 250,
            at % 40
        );
        if secret {
            let _ = writeln!(text, "tacacs_secret = \"plain:short\"");
        }
    }
}

fn timed(context: &TestContext, text: &str) -> (Loaded, Duration) {
    let begun = used();
    let loaded = context
        .load(text)
        .unwrap_or_else(|failure| panic!("{failure}"));
    let took = used() - begun;
    assert!(took < LOAD, "{took:?}");
    (loaded, took)
}

/// The worst that the lints can be given: everything is wrong with everything.
#[test]
fn findings_everywhere_cost_little() {
    let context = TestContext::new();
    let mut text = String::from("version = 1\n[role.r]\ncommands = '''\n");
    for at in 0..2_000 {
        let _ = writeln!(text, "permit show interface Gi{at}");
    }
    let _ = writeln!(text, "permit show interface Gi7\n'''");
    devices(&mut text, 10_000, true);
    for at in 0..2_000 {
        // One group for all, a pattern of its own for each, and every one a little different.
        let _ = writeln!(
            text,
            "[user.u{at}]\ngroups = [\"g{at}\"]\n[[rule]]\nwhen = {{ group = \"noc\", device = \"d*{at}\", tag = \"site:{}\", port = \"tty{at}\" }}\nrole = \"r\"\n[[test]]\nas = {{ user = \"u{at}\" }}\non = \"d{at}\"\ndeny = [\"reload\"]",
            at % 40
        );
    }
    let (loaded, took) = timed(&context, &text);
    eprintln!("loaded in {took:?}, {} messages", loaded.diagnostics.len());
    let count = |lint| loaded.config.findings.count(lint);
    assert_eq!(count(Lint::PlainSecret), 10_000);
    assert_eq!(count(Lint::WeakSecret), 10_000);
    assert_eq!(count(Lint::SharedSecret), 10_000);
    assert_eq!(count(Lint::UserWithoutRule), 2_000);
    assert_eq!(count(Lint::ShadowedRule), 1, "the repeated command");
}
