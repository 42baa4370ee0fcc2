use super::*;
use crate::config::AuthenticationType;

const POLICY: PasswordPolicy = PasswordPolicy {
    min_length: 8,
    classes: 3,
    change: true,
};

fn who(user: &str) -> Who {
    Who {
        user: user.into(),
        port: "tty1".into(),
        remote_address: "192.0.2.1".into(),
        auth: AuthenticationType::Ascii,
        privilege_level: 1,
        service: Some(crate::policy::SHELL),
        request: "login".into(),
    }
}

fn begin(user: &str, flow: Flow) -> (Question, Conversation) {
    asked(Conversation::begin(who(user), flow, 3))
}

fn utf8(octets: &[u8]) -> Option<String> {
    String::from_utf8(octets.to_vec()).ok()
}

fn asked(step: Step) -> (Question, Conversation) {
    match step {
        Step::Ask(question, conversation) => (question, conversation),
        other @ (Step::Judge(_) | Step::Fail(..)) => {
            panic!("a question was expected, not {other:?}")
        }
    }
}

fn answer(conversation: Conversation, octets: &[u8]) -> (Question, Conversation) {
    asked(conversation.answer(octets, utf8))
}

#[test]
fn name_then_password_then_judgement() {
    let (question, conversation) = begin("", Flow::Login);
    assert_eq!(question, Question::Name);
    let (question, conversation) = answer(conversation, b"alice");
    assert_eq!(question, Question::Password);
    let Step::Judge(login) = conversation.answer(b"secret", utf8) else {
        panic!("then judgement")
    };
    assert_eq!(login.user, "alice");
    assert!(matches!(login.proof, Proof::Password(password) if **password.0 == *b"secret"));
}

/// proves: TAC-5.4.2.1-4, D05-4.4.2-3
#[test]
fn empty_names_are_asked_for_three_times() {
    let (_, first) = begin("", Flow::Login);
    let (_, second) = answer(first, b"");
    let (question, third) = answer(second, b"");
    assert_eq!(question, Question::Name);
    assert!(matches!(
        third.answer(b"", utf8),
        Step::Fail(_, Reason::TooManyAttempts)
    ));
}

#[test]
fn a_name_that_is_no_name_fails() {
    let (_, conversation) = begin("", Flow::Login);
    assert!(matches!(
        conversation.answer(&[0xff], utf8),
        Step::Fail(_, Reason::UserNameInvalid)
    ));
}

#[test]
fn a_password_without_a_name_fails() {
    assert!(matches!(
        Conversation::complete(who(""), Flow::Login, b"x"),
        Step::Fail(_, Reason::UserNameInvalid)
    ));
}

#[test]
fn an_enable_request_is_judged_as_one() {
    let (question, conversation) = begin("alice", Flow::Enable { anonymous: false });
    assert_eq!(question, Question::Password);
    let Step::Judge(login) = conversation.answer(b"secret", utf8) else {
        panic!("then judgement")
    };
    assert!(matches!(
        login.proof,
        Proof::Enable {
            anonymous: false,
            ..
        }
    ));
}

/// proves: TAC-5.4.2.7-2, TAC-5.4.2.7-3
#[test]
fn a_change_asks_for_the_old_password_then_twice_for_the_new_one() {
    let (question, conversation) = begin("", Flow::Change(POLICY));
    assert_eq!(question, Question::Name);
    let (question, conversation) = answer(conversation, b"alice");
    assert_eq!(question, Question::OldPassword);
    let (question, conversation) = answer(conversation, b"old");
    assert_eq!(question, Question::NewPassword(None));
    let (question, conversation) = answer(conversation, b"New-pass1");
    assert_eq!(question, Question::Repetition);
    let Step::Judge(login) = conversation.answer(b"New-pass1", utf8) else {
        panic!("then judgement")
    };
    let Proof::Change { old, new } = login.proof else {
        panic!("of a change")
    };
    assert_eq!((&**old.0, &**new.0), (&b"old"[..], &b"New-pass1"[..]));
}

/// proves: TAC-5.4.2.7-3
#[test]
fn new_passwords_that_differ_are_asked_for_again_but_not_for_ever() {
    let (_, conversation) = begin("alice", Flow::Change(POLICY));
    let (_, mut conversation) = answer(conversation, b"old");
    for _ in 0..2 {
        let (question, next) = answer(conversation, b"New-pass1");
        assert_eq!(question, Question::Repetition);
        let (question, next) = answer(next, b"New-pass2");
        assert!(matches!(question, Question::NewPassword(Some(_))));
        conversation = next;
    }
    let (_, conversation) = answer(conversation, b"New-pass1");
    assert!(matches!(
        conversation.answer(b"New-pass2", utf8),
        Step::Fail(_, Reason::TooManyAttempts)
    ));
}

#[test]
fn new_passwords_have_to_be_as_the_policy_wants_them() {
    let objection = |new: &str| POLICY.objection(new.as_bytes(), b"Old-pass1", "alice");
    for bad in [
        "Old-pass1",
        "Short-1",
        "onlysmalletters",
        "TwoClassesOnly",
        "1234567890",
        "xALICE-123x",
        &"Long-1".repeat(200),
    ] {
        assert!(objection(bad).is_some(), "{bad}");
    }
    for good in ["New-pass1", "Größe-über9", "with SPACE1"] {
        assert_eq!(objection(good), None, "{good}");
    }
    // What is no text counts, too.
    let octets = [0xff, 0xfe, b'A', b'a', 0xff, 0xfe, b'1', 0xff];
    assert_eq!(POLICY.objection(&octets, b"old", "alice"), None);
}

#[test]
fn what_was_typed_is_never_shown() {
    let (_, conversation) = begin("alice", Flow::Change(POLICY));
    let (_, conversation) = answer(conversation, b"hunter2-old");
    let (_, conversation) = answer(conversation, b"Hunter2-new");
    let shown = format!("{conversation:?}");
    assert!(!shown.to_lowercase().contains("hunter2"), "{shown}");
}

/// Frozen after every question and thawed for every answer, a conversation goes as one that is kept.
#[test]
fn a_conversation_survives_being_frozen() {
    let thawed = |conversation: &Conversation, flow| {
        let octets = conversation.freeze();
        for length in 0..octets.len() {
            let cut = Conversation::thaw(who("alice"), flow, 3, octets.get(..length).unwrap());
            assert!(cut.is_none(), "{length}");
        }
        let longer = [&octets[..], b"x"].concat();
        assert!(Conversation::thaw(who("alice"), flow, 3, &longer).is_none());
        Conversation::thaw(who("alice"), flow, 3, &octets).unwrap()
    };
    let change = Flow::Change(POLICY);
    let (mut question, mut conversation) = begin("alice", change);
    for (asked, reply) in [
        (Question::OldPassword, &b"old"[..]),
        (Question::NewPassword(None), b"New-pass-9"),
    ] {
        assert_eq!(question, asked);
        (question, conversation) = answer(thawed(&conversation, change), reply);
    }
    assert_eq!(question, Question::Repetition);
    let last = thawed(&conversation, change).answer(b"New-pass-9", utf8);
    let Step::Judge(login) = last else {
        panic!("{last:?}");
    };
    let Proof::Change { old, new } = login.proof else {
        panic!("{:?}", login.proof);
    };
    assert_eq!((&**old.0, &**new.0), (&b"old"[..], &b"New-pass-9"[..]));

    // The count of attempts goes along, and a stage of another flow is none.
    let (_, mut conversation) = begin("alice", Flow::Login);
    let frozen = conversation.freeze();
    assert!(Conversation::thaw(who("alice"), change, 3, &frozen).is_none());
    for _ in 0..2 {
        (_, conversation) = answer(thawed(&conversation, Flow::Login), b"");
    }
    let last = thawed(&conversation, Flow::Login).answer(b"", utf8);
    assert!(
        matches!(last, Step::Fail(_, Reason::TooManyAttempts)),
        "{last:?}"
    );
}
