use super::*;
use std::vec;

fn parse(octets: &[u8]) -> Result<(&[u8], Separator, &[u8]), ArgumentError> {
    Argument::parse(octets).map(|argument| (argument.name, argument.separator, argument.value))
}

/// proves: TAC-6.1-8, TAC-6.1-10, D05-5.1-1
#[test]
fn the_first_separator_counts() {
    use Separator::{Mandatory, Optional};
    assert_eq!(parse(b"a=b"), Ok((&b"a"[..], Mandatory, &b"b"[..])));
    assert_eq!(parse(b"a*b"), Ok((&b"a"[..], Optional, &b"b"[..])));
    assert_eq!(parse(b"a="), Ok((&b"a"[..], Mandatory, &b""[..])));
    assert_eq!(parse(b"a*"), Ok((&b"a"[..], Optional, &b""[..])));
    assert_eq!(
        parse(b"cmd-arg=a*b=c"),
        Ok((&b"cmd-arg"[..], Mandatory, &b"a*b=c"[..]))
    );
    assert_eq!(parse(b"a*b=c"), Ok((&b"a"[..], Optional, &b"b=c"[..])));
}

/// proves: TAC-6.1-11, TAC-6.1-15, TAC-6.1-16, TAC-4.1-5, D05-5.1-3
#[test]
fn what_is_no_argument_says_why() {
    assert_eq!(parse(b""), Err(ArgumentError::TooShort));
    assert_eq!(parse(b"a"), Err(ArgumentError::TooShort));
    assert_eq!(parse(b"=a"), Err(ArgumentError::NoName));
    assert_eq!(parse(b"shell"), Err(ArgumentError::NoSeparator));
    assert_eq!(parse(b"cmd=sh\n"), Err(ArgumentError::NotPrintable));
    assert_eq!(parse(b"cmd=sh\0"), Err(ArgumentError::NotPrintable));
    assert_eq!(parse(b"cmd=sh\x7f"), Err(ArgumentError::NotPrintable));
    assert_eq!(parse(b"cmd=\xc3\xa4"), Err(ArgumentError::NotPrintable));
    let mut longest = vec![b'v'; 255];
    longest[1] = b'=';
    assert!(parse(&longest).is_ok());
    longest.push(b'v');
    assert_eq!(parse(&longest), Err(ArgumentError::TooLong));
}

/// proves: TAC-6.1-9, TAC-6.1-15, TAC-3.7-6, TAC-8.1-10
#[test]
fn a_list_takes_arguments_only() {
    let mut list = ArgumentList::new();
    let mandatory = Separator::Mandatory;
    assert_eq!(
        list.push("a=b", mandatory, "c"),
        Err(ArgumentError::SeparatorInName.into())
    );
    assert_eq!(
        list.push("a*b", mandatory, "c"),
        Err(ArgumentError::SeparatorInName.into())
    );
    assert_eq!(
        list.push("", mandatory, "c"),
        Err(ArgumentError::NoName.into())
    );
    assert_eq!(
        list.push("cmd", mandatory, "sh\n"),
        Err(ArgumentError::NotPrintable.into())
    );
    assert_eq!(
        list.push("c", mandatory, vec![b'v'; 254]),
        Err(ArgumentError::TooLong.into())
    );
    assert_eq!(
        list.push_raw("shell"),
        Err(ArgumentError::NoSeparator.into())
    );
    assert!(list.is_empty());
    list.push("cmd", mandatory, "").unwrap();
    assert_eq!(list.as_arguments().raw().next(), Some(&b"cmd="[..]));
    list.push("c", mandatory, vec![b'v'; 253]).unwrap();
    assert_eq!(list.as_arguments().raw().nth(1).map(<[u8]>::len), Some(255));
}

#[test]
fn order_and_duplicates_are_kept() {
    let mut list = ArgumentList::new();
    for argument in ["cmd-arg=b", "cmd-arg=a", "cmd-arg=b"] {
        list.push_raw(argument).unwrap();
    }
    let values: Vec<&[u8]> = list
        .as_arguments()
        .iter()
        .flatten()
        .map(|argument| argument.value)
        .collect();
    assert_eq!(values, [b"b", b"a", b"b"]);
}

#[test]
fn a_list_has_at_most_255_arguments() {
    let mut list = ArgumentList::new();
    for _ in 0..255 {
        list.push_raw("a=").unwrap();
    }
    assert_eq!(list.push_raw("a="), Err(EncodeError::TooManyArguments));
    assert_eq!(list.len(), 255);
}
