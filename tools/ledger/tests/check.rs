//! The whole check over small trees written for each test, through the library and the binary.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use doorward_ledger::check::{Report, check};
use doorward_ledger::page::{PAGE, page, table};
use doorward_ledger::rows::Level;

const ROWS: &str = "id,section,level,role,requirement,how_to_observe\r
TAC-1-1,1,MUST,server,\"Does one thing, then another.\",Look at it.\r
TAC-1-2,1,MUST NOT,server,Never does a third.,Look at it.\r
TAC-1-3,1,SHOULD,server,Should do a fourth.,Look at it.\r
TAC-1-4,1,FACT,server,Is so.,review: read the code.\r
TAC-1-5,1,MAY,server,May do a fifth.,Look at it.\r
TAC-1-6,1,MUST,operator-tooling,Warns.,Look at the guide.\r
TAC-1-7,1,MUST,server,WITHDRAWN: was wrong.,Nothing.\r
";

const CODE: &str = "#[cfg(test)]
mod tests {
    /// proves: TAC-1-1
    #[test]
    fn one() {}
}
";

const PASSED: &str =
    "     Running unittests src/lib.rs (target/debug/deps/doorward_a-0123456789abcdef)
test tests::one ... ok
";

/// A tree on disk, removed when the test ends well.
struct Tree {
    root: PathBuf,
}

impl Tree {
    /// One document, one package `doorward-a` whose one test proves one row, and empty lists.
    fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&root);
        let tree = Self { root };
        tree.write("conformance/rfc.csv", ROWS)
            .write("conformance/finished.toml", "finished = []\n")
            .write("docs/deviations.md", "")
            .write("docs/reviews.md", "")
            .write("crates/a/Cargo.toml", "[package]\nname = \"doorward-a\"\n")
            .write("crates/a/src/lib.rs", CODE);
        tree
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn check(&self) -> Report {
        check(&self.root, PASSED)
    }

    fn errors(&self) -> Vec<String> {
        self.check().errors
    }

    fn command(&self, output: &str, arguments: &[&str]) -> Output {
        self.write("output", output);
        let program = env!("CARGO_BIN_EXE_doorward-ledger");
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .args(["--results", "output"])
            .args(arguments);
        command.output().unwrap()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

#[test]
fn a_passed_test_answers_for_its_row() {
    let tree = Tree::new("passed");
    let report = tree.check();
    assert_eq!((&report.errors, &report.warnings), (&vec![], &vec![]));
    let document = &report.documents[0];
    assert_eq!(report.count(document, Level::Must), (1, 2));
    assert_eq!(report.count(document, Level::Fact), (0, 1));
    assert!(
        report.evidence["TAC-1-1"]
            .tests
            .contains("doorward-a: tests::one")
    );
}

#[test]
fn tests_are_found_in_every_kind_of_file() {
    let tree = Tree::new("kinds");
    let proving = "/// proves: TAC-1-1\n#[test]\nfn f() {}\n";
    tree.write(
        "crates/a/src/lib.rs",
        "mod b;\nmod c { mod d; }\n#[path = \"odd.rs\"]\nmod e;\n",
    )
    .write("crates/a/src/b/mod.rs", &format!("mod deep;\n{proving}"))
    .write("crates/a/src/b/deep.rs", "#[cfg(test)]\nmod tests;\n")
    .write("crates/a/src/b/deep/tests.rs", proving)
    .write("crates/a/src/c/d.rs", proving)
    .write("crates/a/src/odd.rs", proving)
    .write("crates/a/src/main.rs", proving)
    .write("crates/a/src/bin/x.rs", proving)
    .write(
        "crates/a/tests/flat.rs",
        "mod common;\nmod inner { proptest! {\n/// proves: TAC-1-2\n#[test] fn f(a in 0..1) {} } }",
    )
    .write("crates/a/tests/common/mod.rs", proving)
    .write("crates/a/tests/tall/main.rs", "mod part;\n")
    .write("crates/a/tests/tall/part.rs", proving);
    let output = "
        Running unittests src/lib.rs (x/doorward_a-0)\ntest b::f ... ok\ntest b::deep::tests::f ... ok
        test c::d::f ... ok\ntest e::f ... ok
        Running unittests src/main.rs (x/doorward_a-1)\ntest f ... ok
        Running unittests src/bin/x.rs (x/x-2)\ntest f ... ok
        Running tests/flat.rs (x/flat-3)\ntest common::f ... ok\ntest inner::f ... ok
        Running tests/tall/main.rs (x/tall-4)\ntest part::f ... ok\n";
    let report = check(&tree.root, output);
    assert_eq!(report.errors, Vec::<String>::new());
    let names: Vec<&str> = report.evidence["TAC-1-1"]
        .tests
        .iter()
        .map(String::as_str)
        .collect();
    assert_eq!(
        names,
        [
            "doorward-a src/bin/x.rs: f",
            "doorward-a src/main.rs: f",
            "doorward-a tests/flat.rs: common::f",
            "doorward-a tests/tall/main.rs: part::f",
            "doorward-a: b::deep::tests::f",
            "doorward-a: b::f",
            "doorward-a: c::d::f",
            "doorward-a: e::f",
        ]
    );
}

#[test]
fn test_files_of_one_name_belong_to_the_package_that_runs() {
    let tree = Tree::new("same-name");
    let wire = "/// proves: TAC-1-2\n#[test]\nfn f() {}\n";
    tree.write("crates/b/Cargo.toml", "[package]\nname = \"doorward-b\"\n")
        .write("crates/b/src/lib.rs", "")
        .write("crates/b/tests/wire.rs", wire)
        .write("crates/a/tests/wire.rs", "");
    let first_only = format!(
        "{PASSED}Running tests/wire.rs (x/wire-1)\ntest f ... ok\nRunning unittests src/lib.rs (x/doorward_b-0)\n"
    );
    let errors = check(&tree.root, &first_only).errors;
    let expected =
        "crates/b/tests/wire.rs:3: `doorward-b tests/wire.rs: f` is not among the tests that ran";
    assert_eq!(errors, [expected]);
    let both = format!("{first_only}Running tests/wire.rs (x/wire-2)\ntest f ... ok\n");
    assert_eq!(check(&tree.root, &both).errors, Vec::<String>::new());
}

#[test]
fn unknown_ids_are_errors_everywhere() {
    let tree = Tree::new("unknown");
    tree.write(
        "crates/a/src/lib.rs",
        &CODE.replace("TAC-1-1", "TAC-1-1, TAC-9-1"),
    )
    .write("docs/deviations.md", "deviates: TAC-9-2 because\n")
    .write(
        "docs/reviews.md",
        "reviewed: TAC-9-3 crates/a/src/lib.rs:1 kim 2026-11-20 fine\n",
    );
    assert_eq!(
        tree.errors(),
        [
            "crates/a/src/lib.rs:5: TAC-9-1 is in no document",
            "docs/deviations.md:1: TAC-9-2 is in no document",
            "docs/reviews.md:1: TAC-9-3 is in no document",
        ]
    );
}

#[test]
fn proves_above_an_ordinary_function_is_an_error() {
    let tree = Tree::new("no-test");
    tree.write("crates/a/src/lib.rs", "/// proves: TAC-1-1\nfn one() {}\n");
    assert_eq!(
        tree.errors(),
        ["crates/a/src/lib.rs:2: `doorward-a: one` says `proves:` but is no test"]
    );
    assert!(!tree.check().evidence["TAC-1-1"].covers());
}

#[test]
fn proves_above_no_function_is_an_error_once() {
    let tree = Tree::new("no-function");
    tree.write("crates/a/tests/x.rs", "mod common;\n")
        .write(
            "crates/a/tests/y.rs",
            "#[path = \"../tests/common/mod.rs\"]\nmod other;\n",
        )
        .write(
            "crates/a/tests/common/mod.rs",
            "/// proves: TAC-1-1\nstruct X;\n",
        );
    assert_eq!(
        tree.errors(),
        ["crates/a/tests/common/mod.rs:1: `proves:` stands above no function"]
    );
}

#[test]
fn a_test_that_failed_was_ignored_or_did_not_run_is_an_error() {
    let tree = Tree::new("not-passed");
    for (result, error) in [
        (
            "test tests::one ... FAILED",
            "`doorward-a: tests::one` failed",
        ),
        (
            "test tests::one ... ignored",
            "`doorward-a: tests::one` was ignored",
        ),
        (
            "test one ... ok",
            "`doorward-a: tests::one` is not among the tests that ran",
        ),
        (
            "test tests::one ... ok\ntest tests::one ... FAILED",
            "`doorward-a: tests::one` failed",
        ),
    ] {
        let report = check(
            &tree.root,
            &PASSED.replace("test tests::one ... ok", result),
        );
        assert_eq!(
            report.errors,
            [format!("crates/a/src/lib.rs:5: {error}")],
            "{result}"
        );
        assert!(!report.evidence["TAC-1-1"].covers(), "{result}");
    }
}

#[test]
fn output_without_a_test_binary_is_an_error() {
    let tree = Tree::new("no-output");
    let errors = check(&tree.root, "test tests::one ... ok\n").errors;
    assert_eq!(errors, ["the test output names no test binary"]);
}

#[test]
fn a_file_no_module_leads_to_is_an_error() {
    let tree = Tree::new("orphan");
    tree.write("crates/a/src/lost.rs", CODE)
        .write("crates/a/src/quiet.rs", "fn x() {}");
    let expected = "crates/a/src/lost.rs: no `mod` leads here, so its tests never run";
    assert_eq!(tree.errors(), [expected]);
}

#[test]
fn a_module_without_a_file_is_an_error() {
    let tree = Tree::new("no-file");
    tree.write("crates/a/src/lib.rs", &format!("{CODE}mod gone;\n"));
    assert_eq!(
        tree.errors(),
        ["crates/a/src/lib.rs:7: no file found for `mod gone;`"]
    );
}

#[test]
fn a_finished_document_needs_every_must() {
    let tree = Tree::new("finished");
    tree.write("conformance/finished.toml", "finished = [\"rfc\"]\n");
    let report = tree.check();
    assert_eq!(
        report.errors,
        [
            "TAC-1-2 (MUST NOT) is shown by nothing",
            "TAC-1-6 (MUST) is shown by nothing"
        ]
    );
    assert_eq!(
        report.warnings,
        [
            "TAC-1-3 (SHOULD) is shown by nothing",
            "TAC-1-4 (FACT) is shown by nothing"
        ]
    );

    tree.write(
        "docs/deviations.md",
        "deviates: TAC-1-2, TAC-1-3 no library has it\n",
    )
    .write(
        "docs/reviews.md",
        "reviewed: TAC-1-4, TAC-1-6 crates/a/src/lib.rs:5 kim 2026-11-20 as it says\n",
    );
    let report = tree.check();
    assert_eq!((report.errors, report.warnings), (vec![], vec![]));
}

#[test]
fn finished_names_documents_only() {
    let tree = Tree::new("finished-unknown");
    tree.write("conformance/finished.toml", "finished = [\"rfd\"]\n");
    assert_eq!(
        tree.errors(),
        ["conformance/finished.toml: there is no document `rfd`"]
    );
    tree.write("conformance/finished.toml", "done = []\n");
    assert!(tree.errors()[0].starts_with("conformance/finished.toml: "));
    fs::remove_file(tree.root.join("conformance/finished.toml")).unwrap();
    assert!(tree.errors()[0].starts_with("conformance/finished.toml: "));
}

#[test]
fn a_review_counts_only_where_a_review_is_asked_for() {
    let tree = Tree::new("review");
    let line = "reviewed: TAC-1-2 crates/a/src/lib.rs:5 kim 2026-11-20 fine\n";
    tree.write("docs/reviews.md", line);
    let report = tree.check();
    assert_eq!(report.errors, Vec::<String>::new());
    assert_eq!(
        report.warnings,
        ["docs/reviews.md:1: TAC-1-2 asks for a test; the review does not count"]
    );
    assert!(!report.evidence.contains_key("TAC-1-2"));
}

#[test]
fn a_deviation_from_what_a_test_proves_is_a_warning() {
    let tree = Tree::new("both");
    tree.write("docs/deviations.md", "deviates: TAC-1-1 not everywhere\n");
    assert_eq!(
        tree.check().warnings,
        ["docs/deviations.md:1: TAC-1-1 is also proved by a test"]
    );
}

#[test]
fn broken_documents_are_errors() {
    for (name, text, error) in [
        (
            "columns",
            "id,level\r\n",
            "conformance/bad.csv: the columns are not",
        ),
        (
            "short",
            &format!("{}TAC-2-1,2,MUST\r\n", &ROWS[..57]),
            "conformance/bad.csv: ",
        ),
        (
            "long",
            &ROWS.replace("TAC-1", "TAC-2").replace("Warns.", "a,b"),
            "conformance/bad.csv: ",
        ),
        (
            "level",
            "id,section,level,role,requirement,how_to_observe\r\nTAC-2-1,2,WILL,server,a,b\r\n",
            "`WILL` is no requirement level",
        ),
        (
            "id",
            "id,section,level,role,requirement,how_to_observe\r\nTAC2,2,MUST,server,a,b\r\n",
            "`TAC2` is no id",
        ),
        (
            "repeated",
            ROWS,
            "conformance/rfc.csv: the id TAC-1-1 is already in bad.csv",
        ),
    ] {
        let tree = Tree::new(&format!("broken-{name}"));
        tree.write("conformance/bad.csv", text);
        let errors = tree.errors();
        assert!(
            errors.iter().any(|found| found.contains(error)),
            "{name}: {errors:?}"
        );
    }
}

#[test]
fn table_and_page_show_the_numbers_and_the_names() {
    let tree = Tree::new("page");
    tree.write("docs/deviations.md", "deviates: TAC-1-3 a | b\n");
    let report = tree.check();
    let table = table(&report);
    let line = table.lines().nth(1).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(
        words,
        ["rfc", "1/2", "0/1", "1/1", "-", "0/1", "0/1", "in", "work"]
    );
    let page = page(&report);
    for line in [
        "| rfc | 1/2 | 0/1 | 1/1 | - | 0/1 | 0/1 | in work |",
        "| TAC-1-1 | MUST | Does one thing, then another. | `doorward-a: tests::one` |",
        "| TAC-1-3 | SHOULD | Should do a fourth. | deviation: a \\| b |",
        "Not shown yet (4): TAC-1-2, TAC-1-4, TAC-1-5, TAC-1-6",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
}

#[test]
fn the_page_is_written_and_checked() {
    let tree = Tree::new("write");
    let first = tree.command(PASSED, &["--check"]);
    assert_eq!(first.status.code(), Some(1));
    let text = String::from_utf8(first.stdout).unwrap();
    assert!(
        text.contains("error: docs/conformance.md is out of date"),
        "{text}"
    );

    assert_eq!(tree.command(PASSED, &["--write"]).status.code(), Some(0));
    let written = fs::read_to_string(tree.root.join(PAGE)).unwrap();
    assert_eq!(written, page(&tree.check()));
    assert_eq!(tree.command(PASSED, &["--check"]).status.code(), Some(0));

    // Another directory, other hashes, other timing: the same page.
    let elsewhere = PASSED
        .replace("target/debug/deps", "/elsewhere")
        .replace("0123", "4567");
    assert_eq!(
        tree.command(&elsewhere, &["--check"]).status.code(),
        Some(0)
    );
}

#[test]
fn nothing_is_written_while_there_are_errors() {
    let tree = Tree::new("write-errors");
    let output = tree.command(&PASSED.replace("ok", "FAILED"), &["--write"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!tree.root.join(PAGE).exists());
}

#[test]
fn warnings_are_listed_when_asked_for() {
    let tree = Tree::new("verbose");
    tree.write("docs/deviations.md", "deviates: TAC-1-1 not everywhere\n");
    let text =
        |arguments: &[&str]| String::from_utf8(tree.command(PASSED, arguments).stdout).unwrap();
    assert!(text(&[]).ends_with("ledger: 0 errors, 1 warnings (-v lists them)\n"));
    let warning = "warning: docs/deviations.md:1: TAC-1-1 is also proved by a test\n";
    assert!(text(&["-v"]).contains(warning));
}

#[test]
fn a_senseless_command_line_is_refused() {
    let tree = Tree::new("usage");
    for arguments in [&["--nonsense"][..], &["--root"], &["--write", "--check"]] {
        assert_eq!(
            tree.command(PASSED, arguments).status.code(),
            Some(64),
            "{arguments:?}"
        );
    }
    let alone = Command::new(env!("CARGO_BIN_EXE_doorward-ledger"))
        .output()
        .unwrap();
    assert_eq!(alone.status.code(), Some(64));
    assert_eq!(tree.command(PASSED, &["--help"]).status.code(), Some(0));
}
