use super::*;

fn claims(text: &str) -> Vec<(String, bool, Vec<String>)> {
    let source = scan(text);
    assert_eq!(source.faults, [], "{text}");
    let name = |claim: &Claim| {
        let mut path = claim.modules.clone();
        path.push(claim.function.clone());
        path.join("::")
    };
    let ids = |claim: &Claim| claim.ids.iter().map(|(_, id)| id.clone()).collect();
    source
        .claims
        .iter()
        .map(|claim| (name(claim), claim.is_test, ids(claim)))
        .collect()
}

fn claim(name: &str, is_test: bool, ids: &[&str]) -> (String, bool, Vec<String>) {
    (
        name.to_owned(),
        is_test,
        ids.iter().map(|id| (*id).to_owned()).collect(),
    )
}

fn faults(text: &str) -> Vec<(usize, String)> {
    scan(text).faults
}

#[test]
fn a_test_is_found_with_its_modules() {
    let text = "mod a { #[cfg(test)] mod tests { /// proves: TAC-4.5-9\n #[test]\n fn x() {} } }
        /// proves: TLS-4-4, TLS-4-5
        #[test] fn y() {}";
    assert_eq!(
        claims(text),
        [
            claim("a::tests::x", true, &["TAC-4.5-9"]),
            claim("y", true, &["TLS-4-4", "TLS-4-5"])
        ]
    );
}

#[test]
fn lists_span_lines_and_repeat() {
    let text = "
        /// What it is about.
        /// proves: TAC-1-1, TAC-1-2,
        ///   TAC-1-3
        ///   TAC-1-4 TAC-1-5
        /// proves: TLS-2-1
        ///
        /// More words, TAC-9-9 among them.
        #[test]
        fn x() {}";
    let ids = [
        "TAC-1-1", "TAC-1-2", "TAC-1-3", "TAC-1-4", "TAC-1-5", "TLS-2-1",
    ];
    assert_eq!(claims(text), [claim("x", true, &ids)]);
}

#[test]
fn attributes_and_modifiers_may_stand_between() {
    let text = "
        /// proves: TAC-1-1
        #[tokio::test(flavor = \"multi_thread\")]
        #[ignore = \"{ fn\"]
        pub(crate) async fn x() {}
        #[test]
        #[should_panic(expected = \"]\")]
        /// proves: TAC-1-2
        // an ordinary remark
        const unsafe extern \"C\" fn y() {}";
    assert_eq!(
        claims(text),
        [
            claim("x", true, &["TAC-1-1"]),
            claim("y", true, &["TAC-1-2"])
        ]
    );
}

#[test]
fn properties_inside_proptest_are_found() {
    let text = "mod p { proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// proves: TAC-1-1
        #[test]
        fn x(a in 0_u8..9, b in any::<u8>()) { let c = '{'; }
        /// proves: TAC-1-2
        #[test]
        fn y(a in \"}\") {}
    } }
    /// proves: TAC-1-3
    #[test] fn z() {}";
    assert_eq!(
        claims(text),
        [
            claim("p::x", true, &["TAC-1-1"]),
            claim("p::y", true, &["TAC-1-2"]),
            claim("z", true, &["TAC-1-3"])
        ]
    );
}

#[test]
fn a_function_without_a_test_attribute_is_told_apart() {
    let text = "/// proves: TAC-1-1\n#[cfg(test)]\nfn x() {}\n#[test] fn y() {}\n/// proves: TAC-1-2\nfn z() {}";
    assert_eq!(
        claims(text),
        [
            claim("x", false, &["TAC-1-1"]),
            claim("z", false, &["TAC-1-2"])
        ]
    );
}

#[test]
fn text_in_strings_proves_nothing() {
    assert_eq!(claims("#[test] fn x() { f(\"/// proves: TAC-1-1\"); }"), []);
    assert_eq!(
        claims("/// It proves: that is, it tries to.\n#[test] fn x() {}"),
        []
    );
}

#[test]
fn proves_above_something_else_is_a_fault() {
    for text in [
        "/// proves: TAC-1-1\nstruct X;",
        "/// proves: TAC-1-1\nmod x { }",
        "/// proves: TAC-1-1\nuse x;",
        "/// proves: TAC-1-1",
        "/// proves: TAC-1-1\n#[test]\n{ }",
        "mod x { /// proves: TAC-1-1\n }",
        "macro_rules! m { ($n:ident) => { /// proves: TAC-1-1\n #[test] fn $n() {} } }",
    ] {
        let faults = faults(text);
        assert_eq!(faults.len(), 1, "{text}");
        assert_eq!(faults[0].1, "`proves:` stands above no function", "{text}");
    }
}

#[test]
fn proves_in_a_plain_comment_is_a_fault() {
    for text in [
        "// proves: TAC-1-1\n#[test] fn x() {}",
        "//! proves: TAC-1-1",
        "/* proves: TAC-1-1 */",
    ] {
        assert_eq!(faults(text).len(), 1, "{text}");
    }
}

#[test]
fn words_that_are_no_ids_are_faults() {
    assert_eq!(
        faults("/// proves: TAC-1-1 and more\n#[test] fn x() {}"),
        [
            (1, "`and` after `proves:` is no id".to_owned()),
            (1, "`more` after `proves:` is no id".to_owned())
        ]
    );
    assert_eq!(
        faults("/// proves: TAC-1-1,\n/// nothing\n#[test] fn x() {}").len(),
        2
    );
    assert_eq!(
        faults("/// proves:\n#[test] fn x() {}"),
        [(1, "`proves:` names nothing".to_owned())]
    );
}

#[test]
fn ids_have_a_shape() {
    for id in [
        "TAC-4.5-9",
        "D05-4.4.3-4",
        "RAD-3.8.1-2",
        "HAS-1-1",
        "TLS-A.1-12",
    ] {
        assert!(is_id(id), "{id}");
    }
    for word in [
        "",
        "TAC",
        "TAC-1",
        "tac-1-1",
        "TAC-1-",
        "TAC--1",
        "TAC-1-x",
        "TAC-1-1.",
        "-1-1",
        "TAC-1 2-3",
    ] {
        assert!(!is_id(word), "{word}");
    }
}

#[test]
fn file_modules_are_listed() {
    let source =
        scan("pub mod a;\nmod b { #[cfg(test)] mod c; }\n#[path = \"x/y.rs\"]\nmod d;\nmod e {}");
    let module = |inside: &[&str], name: &str, path: Option<&str>, line| FileModule {
        inside: inside.iter().map(|name| (*name).to_owned()).collect(),
        name: name.to_owned(),
        path: path.map(str::to_owned),
        line,
    };
    assert_eq!(
        source.modules,
        [
            module(&[], "a", None, 1),
            module(&["b"], "c", None, 2),
            module(&[], "d", Some("x/y.rs"), 4)
        ]
    );
}
