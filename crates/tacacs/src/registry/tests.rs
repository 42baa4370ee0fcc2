use super::*;
use std::format;
use std::vec::Vec;

/// The numbers that have a name.
fn named<T: From<u8> + Copy>(name: impl Fn(T) -> Option<&'static str>) -> Vec<(u8, &'static str)> {
    (0..=u8::MAX)
        .filter_map(|number| name(T::from(number)).map(|name| (number, name)))
        .collect()
}

/// proves: TAC-4.1-4, TAC-5.1-2
#[test]
fn types_and_actions_are_those_of_the_rfc() {
    let types = [
        (1, "AUTHENTICATION"),
        (2, "AUTHORIZATION"),
        (3, "ACCOUNTING"),
    ];
    assert_eq!(named(PacketType::name), types);
    assert_eq!(
        named(Action::name),
        [(1, "LOGIN"), (2, "CHPASS"), (4, "SENDAUTH")]
    );
}

/// proves: TAC-5.1-3, TAC-5.1-4, TAC-5.1-5, D05-1-3, D05-4.1-2
#[test]
fn authentication_types_and_services_depend_on_the_dialect() {
    let listed = |dialect| -> Vec<u8> {
        (0..=255)
            .filter(|number| AuthenticationType(*number).is_listed_in_start(dialect))
            .collect()
    };
    assert_eq!(listed(Dialect::Rfc8907), [1, 2, 3, 5, 6]);
    assert_eq!(listed(Dialect::Draft05), [1, 2, 3, 4, 5, 6]);
    assert!(AuthenticationType::NOT_SET.is_listed(Dialect::Rfc8907));
    let listed = |dialect| -> Vec<u8> {
        (0..=255)
            .filter(|number| AuthenticationService(*number).is_listed(dialect))
            .collect()
    };
    assert_eq!(listed(Dialect::Rfc8907), [0, 1, 2, 3, 5, 6, 7, 8, 9]);
    assert_eq!(listed(Dialect::Draft05), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let names = [
        (0, "NONE"),
        (1, "LOGIN"),
        (2, "ENABLE"),
        (3, "PPP"),
        (4, "ARAP"),
        (5, "PT"),
        (6, "RCMD"),
        (7, "X25"),
        (8, "NASI"),
        (9, "FWPROXY"),
    ];
    assert_eq!(named(AuthenticationService::name), names);
    assert_eq!(format!("{:?}", AuthenticationType(4)), "ARAP");
}

/// proves: TAC-6.1-2
#[test]
fn methods_are_those_of_the_rfc() {
    let names = [
        (0x00, "NOT_SET"),
        (0x01, "NONE"),
        (0x02, "KRB5"),
        (0x03, "LINE"),
        (0x04, "ENABLE"),
        (0x05, "LOCAL"),
        (0x06, "TACACSPLUS"),
        (0x08, "GUEST"),
        (0x10, "RADIUS"),
        (0x11, "KRB4"),
        (0x20, "RCMD"),
    ];
    assert_eq!(named(AuthenticationMethod::name), names);
}

/// proves: TAC-5.2-2, TAC-6.2-2, TAC-7.2-4
#[test]
fn statuses_are_those_of_the_rfc_and_only_listed_ones_pass() {
    use Verdict::{Continue, Error, Fail, Pass};
    for number in 0..=255 {
        let authentication = match number {
            0x01 => Pass,
            0x02 | 0x06 | 0x21 => Fail,
            0x03..=0x05 => Continue,
            _ => Error,
        };
        assert_eq!(AuthenticationStatus(number).verdict(), authentication);
        let authorization = match number {
            0x01 | 0x02 => Pass,
            0x10 | 0x21 => Fail,
            _ => Error,
        };
        assert_eq!(AuthorizationStatus(number).verdict(), authorization);
        let accounting = match number {
            0x01 => Pass,
            0x21 => Fail,
            _ => Error,
        };
        assert_eq!(AccountingStatus(number).verdict(), accounting);
    }
    assert_eq!(named(AuthenticationStatus::name).len(), 8);
    assert_eq!(named(AuthorizationStatus::name).len(), 5);
    assert_eq!(named(AccountingStatus::name).len(), 3);
}

/// proves: TAC-7.1-2, TAC-7.2-8, TAC-7.2-11, D05-6.2-5
#[test]
fn accounting_flags_make_four_records_and_nothing_else_is_sent() {
    use AccountingRecord::{Start, Stop, Update, Watchdog};
    for number in 0..=255 {
        let record = match number & 0x0e {
            0x02 => Some(Start),
            0x04 => Some(Stop),
            0x08 => Some(Watchdog),
            0x0a => Some(Update),
            _ => None,
        };
        assert_eq!(AccountingFlags(number).record(), record);
        assert_eq!(
            AccountingFlags(number).may_be_sent(),
            [2, 4, 8, 10].contains(&number)
        );
    }
    for (record, number) in [(Start, 2), (Stop, 4), (Watchdog, 8), (Update, 10)] {
        assert_eq!(AccountingFlags::from(record).0, number);
    }
}

/// proves: TAC-9-1
#[test]
fn privilege_levels_are_ordered() {
    assert_eq!((PrivilegeLevel::MIN.0, PrivilegeLevel::USER.0), (0, 1));
    assert_eq!((PrivilegeLevel::ROOT.0, PrivilegeLevel::MAX.0), (15, 15));
    assert!(PrivilegeLevel(7) > PrivilegeLevel(6));
    assert!(PrivilegeLevel(15).is_listed() && !PrivilegeLevel(16).is_listed());
}

#[test]
fn an_unlisted_number_prints_as_number() {
    assert_eq!(format!("{:?}", Action(9)), "Action(0x09)");
    assert_eq!(format!("{:?}", Action::LOGIN), "LOGIN");
}
