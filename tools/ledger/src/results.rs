//! Reads what `cargo test` printed: which test of which test binary ended how.

/// The tests of one binary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// The binary's root file, from its package: `src/lib.rs`, `tests/wire.rs`.
    pub root: String,
    /// The binary's name without the hash: `doorward_tacacs`, `wire`.
    pub binary: String,
    /// Its tests.
    pub tests: Vec<(String, Outcome)>,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It was not run.
    Ignored,
}

/// Reads the output. Documentation tests are left out: nothing is proved by them.
pub fn parse(output: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut reading = false;
    let mut unfinished: Option<String> = None;
    for line in output.lines() {
        let line = without_colour(line);
        let line = line.trim();
        if let Some(run) = running(line) {
            runs.push(run);
            reading = true;
        } else if line.starts_with("Doc-tests ") {
            reading = false;
        }
        let Some(run) = runs.last_mut().filter(|_| reading) else {
            continue;
        };
        if let Some(rest) = line.strip_prefix("test ") {
            let Some((name, rest)) = rest.split_once(" ... ") else {
                // A test whose thread printed between name and result comes in two lines.
                unfinished = rest.strip_suffix(" ...").map(test_name);
                continue;
            };
            match outcome(rest) {
                Some(outcome) => run.tests.push((test_name(name), outcome)),
                None => unfinished = Some(test_name(name)),
            }
        } else if let Some(outcome) = outcome(line) {
            run.tests
                .extend(unfinished.take().map(|name| (name, outcome)));
        }
    }
    runs
}

/// `Running unittests src/lib.rs (target/debug/deps/name-0123456789abcdef)`.
fn running(line: &str) -> Option<Run> {
    let rest = line.strip_prefix("Running ")?;
    let rest = rest.strip_prefix("unittests ").unwrap_or(rest);
    let (root, executable) = rest.strip_suffix(')')?.split_once(" (")?;
    let file = executable.rsplit(['/', '\\']).next()?;
    let file = file.strip_suffix(".exe").unwrap_or(file);
    let (binary, _hash) = file.rsplit_once('-')?;
    Some(Run {
        root: root.replace('\\', "/"),
        binary: binary.to_owned(),
        tests: Vec::new(),
    })
}

fn test_name(name: &str) -> String {
    name.strip_suffix(" - should panic")
        .unwrap_or(name)
        .to_owned()
}

fn outcome(text: &str) -> Option<Outcome> {
    let word = text.split([' ', ',']).next()?;
    match word {
        "ok" if text == "ok" || text.starts_with("ok <") => Some(Outcome::Passed),
        "FAILED" => Some(Outcome::Failed),
        "ignored" => Some(Outcome::Ignored),
        _ => None,
    }
}

/// Takes terminal colours out (`CARGO_TERM_COLOR=always`).
fn without_colour(line: &str) -> String {
    let mut out = String::new();
    let mut parts = line.split('\u{1b}');
    out.extend(parts.next());
    for part in parts {
        let end = part
            .find(|c: char| c.is_ascii_alphabetic())
            .map_or(part.len(), |at| at + 1);
        out.push_str(part.get(end..).unwrap_or_default());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
   Compiling doorward-tacacs v0.1.0 (/somewhere/crates/tacacs)
    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.52s
     Running unittests src/lib.rs (target/debug/deps/doorward_tacacs-0123456789abcdef)

running 4 tests
test header::tests::reads ... ok
test header::tests::stops - should panic ... ok
test header::tests::fails ... FAILED
test header::tests::slow ... ignored, takes an hour
test header::tests::slow has been running for over 60 seconds

failures:

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/wire/main.rs (/somewhere/target/debug/deps/wire-0123456789abcdef)
test a::b ... ok
   Doc-tests doorward_tacacs
test crates/tacacs/src/lib.rs - Secret (line 3) ... ok
";

    #[test]
    fn binaries_and_tests_are_read() {
        let runs = parse(OUTPUT);
        assert_eq!(runs.len(), 2);
        assert_eq!(
            (runs[0].root.as_str(), runs[0].binary.as_str()),
            ("src/lib.rs", "doorward_tacacs")
        );
        let names: Vec<_> = runs[0]
            .tests
            .iter()
            .map(|(name, how)| (name.as_str(), *how))
            .collect();
        assert_eq!(
            names,
            [
                ("header::tests::reads", Outcome::Passed),
                ("header::tests::stops", Outcome::Passed),
                ("header::tests::fails", Outcome::Failed),
                ("header::tests::slow", Outcome::Ignored),
            ]
        );
        assert_eq!(
            (runs[1].root.as_str(), runs[1].binary.as_str()),
            ("tests/wire/main.rs", "wire")
        );
        assert_eq!(runs[1].tests, [("a::b".to_owned(), Outcome::Passed)]);
    }

    #[test]
    fn a_result_on_a_line_of_its_own_belongs_to_the_test_before() {
        let text =
            "Running tests/a.rs (a-0)\ntest x ... printed\nmore\nok\ntest y ...\nFAILED\nok\n";
        assert_eq!(
            parse(text)[0].tests,
            [
                ("x".to_owned(), Outcome::Passed),
                ("y".to_owned(), Outcome::Failed)
            ]
        );
    }

    #[test]
    fn colours_are_taken_out() {
        let text = "\u{1b}[1m\u{1b}[92m     Running\u{1b}[0m tests/a.rs (a-0)\ntest x ... \u{1b}[32mok\u{1b}[0m\n";
        assert_eq!(parse(text)[0].tests, [("x".to_owned(), Outcome::Passed)]);
    }

    #[test]
    fn lines_before_the_first_binary_are_no_results() {
        assert_eq!(parse("test x ... ok\n"), []);
    }
}
