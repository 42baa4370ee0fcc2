//! What the sessions of a connection do, and how both ends are set up.

use doorward_tacacs::{
    AccountingStatus, AuthenticationStatus, AuthorizationStatus, Dialect, Protection,
};
use proptest::prelude::*;

use crate::peers::obfuscated;

/// What a session does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Script {
    Ascii {
        named: bool,
        right: bool,
        /// The question that is answered by ABORT.
        abort_at: Option<u8>,
    },
    Pap {
        right: bool,
    },
    Authorization {
        permitted: bool,
    },
    Accounting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Authentication(AuthenticationStatus),
    Authorization(AuthorizationStatus),
    Accounting(AccountingStatus),
    Aborted,
}

impl Script {
    pub(super) fn outcome(self) -> Outcome {
        let login = |right| {
            Outcome::Authentication(if right {
                AuthenticationStatus::PASS
            } else {
                AuthenticationStatus::FAIL
            })
        };
        match self {
            Self::Ascii {
                named,
                abort_at: Some(at),
                ..
            } if at < if named { 1 } else { 2 } => Outcome::Aborted,
            Self::Ascii { right, .. } | Self::Pap { right } => login(right),
            Self::Authorization { permitted: true } => {
                Outcome::Authorization(AuthorizationStatus::PASS_ADD)
            }
            Self::Authorization { permitted: false } => {
                Outcome::Authorization(AuthorizationStatus::FAIL)
            }
            Self::Accounting => Outcome::Accounting(AccountingStatus::SUCCESS),
        }
    }
}

pub(super) fn script() -> impl Strategy<Value = Script> {
    let abort_at = prop_oneof![3 => Just(None), 1 => (0u8..3).prop_map(Some)];
    prop_oneof![
        4 => (any::<bool>(), any::<bool>(), abort_at).prop_map(|(named, right, abort_at)| {
            Script::Ascii { named, right, abort_at }
        }),
        1 => any::<bool>().prop_map(|right| Script::Pap { right }),
        2 => any::<bool>().prop_map(|permitted| Script::Authorization { permitted }),
        1 => Just(Script::Accounting),
    ]
}

/// What both ends of one connection were told to do with single-connect, and how they talk.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub(super) tls: bool,
    pub(super) dialect: Dialect,
    pub(super) asked: bool,
    pub(super) granted: bool,
}

pub(super) fn manner() -> impl Strategy<Value = Manner> {
    let often = || prop::bool::weighted(0.75);
    let dialect = prop::sample::select(vec![Dialect::Rfc8907, Dialect::Draft05]);
    (any::<bool>(), dialect, often(), often()).prop_map(|(tls, dialect, asked, granted)| Manner {
        tls,
        dialect,
        asked,
        granted,
    })
}

impl Manner {
    pub(super) fn protection(&self) -> Protection {
        if self.tls {
            Protection::Tls
        } else {
            obfuscated()
        }
    }
}
