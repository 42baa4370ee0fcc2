//! The numbers of RFC 8907, as newtypes: a value that the document does not list survives decoding,
//! so that it can be answered with ERROR (section 3.6) and shown in a log.

/// Which description of the protocol a connection follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// RFC 8907.
    #[default]
    Rfc8907,
    /// draft-ietf-opsawg-tacacs-05, for old devices: PAP with `minor_version` 0 and the ARAP numbers
    /// are known, and a flow that is not offered is ERROR instead of FAIL.
    Draft05,
}

/// What a client makes of the status of a reply (sections 4.4, 5.4.3 and 10.5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The server said yes.
    Pass,
    /// The server said no. Redirection (FOLLOW) and RESTART count as no.
    Fail,
    /// The server did not decide: behave as if it could not be reached. Unlisted numbers are this too.
    Error,
    /// The server asks for more: authentication only.
    Continue,
}

macro_rules! registry {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u8);

        impl $name {
            $($(#[$value_doc])* pub const $value: Self = Self($number);)*

            /// The name of the number, if it has one.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$value => Some(stringify!($value)),)*
                    _ => None,
                }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, concat!(stringify!($name), "({:#04x})"), self.0),
                }
            }
        }

        impl From<u8> for $name {
            fn from(number: u8) -> Self {
                Self(number)
            }
        }

        impl From<$name> for u8 {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

registry! {
    /// The type of a packet (section 4.1).
    PacketType {
        /// Authentication.
        AUTHENTICATION = 0x01,
        /// Authorization.
        AUTHORIZATION = 0x02,
        /// Accounting.
        ACCOUNTING = 0x03,
    }
}

impl PacketType {
    /// Whether section 4.1 lists the number.
    pub fn is_listed(self) -> bool {
        self.name().is_some()
    }
}

registry! {
    /// What an authentication START asks for (section 5.1).
    Action {
        /// Log in.
        LOGIN = 0x01,
        /// Change the password.
        CHPASS = 0x02,
        /// Hand out authentication data; insecure and not offered.
        SENDAUTH = 0x04,
    }
}

impl Action {
    /// Whether section 5.1 lists the number.
    pub fn is_listed(self) -> bool {
        self.name().is_some()
    }
}

registry! {
    /// The `authen_type` (sections 5.1 and 6.1).
    AuthenticationType {
        /// Not set: authorization and accounting only.
        NOT_SET = 0x00,
        /// A dialogue of prompts.
        ASCII = 0x01,
        /// A password in the START.
        PAP = 0x02,
        /// CHAP.
        CHAP = 0x03,
        /// ARAP: a number of draft-05 only.
        ARAP = 0x04,
        /// MS-CHAP version 1.
        MSCHAP = 0x05,
        /// MS-CHAP version 2.
        MSCHAPV2 = 0x06,
    }
}

impl AuthenticationType {
    /// Whether the dialect lists the number for an authentication START.
    pub fn is_listed_in_start(self, dialect: Dialect) -> bool {
        self != Self::NOT_SET && self.is_listed(dialect)
    }

    /// Whether the dialect lists the number for authorization and accounting.
    pub fn is_listed(self, dialect: Dialect) -> bool {
        self.name().is_some() && (self != Self::ARAP || dialect == Dialect::Draft05)
    }
}

registry! {
    /// The `authen_service` (section 5.1).
    AuthenticationService {
        /// None of the others.
        NONE = 0x00,
        /// A regular login.
        LOGIN = 0x01,
        /// A change of privileges.
        ENABLE = 0x02,
        /// PPP.
        PPP = 0x03,
        /// ARAP: a number of draft-05 only.
        ARAP = 0x04,
        /// PT.
        PT = 0x05,
        /// RCMD.
        RCMD = 0x06,
        /// X.25.
        X25 = 0x07,
        /// NASI.
        NASI = 0x08,
        /// A firewall proxy.
        FWPROXY = 0x09,
    }
}

impl AuthenticationService {
    /// Whether the dialect lists the number.
    pub fn is_listed(self, dialect: Dialect) -> bool {
        self.name().is_some() && (self != Self::ARAP || dialect == Dialect::Draft05)
    }
}

registry! {
    /// The status of an authentication REPLY (section 5.2).
    AuthenticationStatus {
        /// Authenticated.
        PASS = 0x01,
        /// Not authenticated.
        FAIL = 0x02,
        /// More data is wanted.
        GETDATA = 0x03,
        /// The user name is wanted.
        GETUSER = 0x04,
        /// The password is wanted.
        GETPASS = 0x05,
        /// Start again with another type.
        RESTART = 0x06,
        /// The server could not decide.
        ERROR = 0x07,
        /// Redirection; deprecated and never sent.
        FOLLOW = 0x21,
    }
}

impl AuthenticationStatus {
    /// What a client makes of it.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::PASS => Verdict::Pass,
            Self::FAIL | Self::RESTART | Self::FOLLOW => Verdict::Fail,
            Self::GETDATA | Self::GETUSER | Self::GETPASS => Verdict::Continue,
            _ => Verdict::Error,
        }
    }
}

registry! {
    /// The `authen_method` (section 6.1): how the client says it authenticated the user. It takes no part in policy.
    AuthenticationMethod {
        /// Not said.
        NOT_SET = 0x00,
        /// Not authenticated.
        NONE = 0x01,
        /// Kerberos 5.
        KRB5 = 0x02,
        /// A fixed password of the line.
        LINE = 0x03,
        /// The enable password.
        ENABLE = 0x04,
        /// Users of the device.
        LOCAL = 0x05,
        /// TACACS+.
        TACACSPLUS = 0x06,
        /// A guest.
        GUEST = 0x08,
        /// RADIUS.
        RADIUS = 0x10,
        /// Kerberos 4.
        KRB4 = 0x11,
        /// R-commands.
        RCMD = 0x20,
    }
}

impl AuthenticationMethod {
    /// Whether section 6.1 lists the number.
    pub fn is_listed(self) -> bool {
        self.name().is_some()
    }
}

registry! {
    /// The status of an authorization REPLY (section 6.2).
    AuthorizationStatus {
        /// Permitted, with the arguments of the reply in addition.
        PASS_ADD = 0x01,
        /// Permitted, with the arguments of the reply instead.
        PASS_REPL = 0x02,
        /// Denied.
        FAIL = 0x10,
        /// The server could not decide.
        ERROR = 0x11,
        /// Redirection; deprecated and never sent.
        FOLLOW = 0x21,
    }
}

impl AuthorizationStatus {
    /// What a client makes of it.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::PASS_ADD | Self::PASS_REPL => Verdict::Pass,
            Self::FAIL | Self::FOLLOW => Verdict::Fail,
            _ => Verdict::Error,
        }
    }
}

registry! {
    /// The status of an accounting REPLY (section 7.2).
    AccountingStatus {
        /// Recorded.
        SUCCESS = 0x01,
        /// Not recorded.
        ERROR = 0x02,
        /// Redirection; deprecated and never sent.
        FOLLOW = 0x21,
    }
}

impl AccountingStatus {
    /// What a client makes of it.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::SUCCESS => Verdict::Pass,
            Self::FOLLOW => Verdict::Fail,
            _ => Verdict::Error,
        }
    }
}

registry! {
    /// A privilege level (section 9): 0 to 15, each including the lower ones.
    PrivilegeLevel {
        /// The least.
        MIN = 0x00,
        /// What a user has without asking.
        USER = 0x01,
        /// The most.
        ROOT = 0x0f,
    }
}

impl PrivilegeLevel {
    /// The most: the same number as [`PrivilegeLevel::ROOT`].
    pub const MAX: Self = Self::ROOT;

    /// Whether the number is one of the sixteen levels.
    pub fn is_listed(self) -> bool {
        self <= Self::MAX
    }
}

registry! {
    /// The flags of an accounting REQUEST (section 7.1).
    AccountingFlags {
        /// A task begins.
        START = 0x02,
        /// A task ended.
        STOP = 0x04,
        /// A task goes on.
        WATCHDOG = 0x08,
        /// A task goes on, with new or changed arguments: WATCHDOG and START together.
        UPDATE = 0x0a,
    }
}

/// What an accounting REQUEST records (the table of section 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountingRecord {
    /// A task begins.
    Start,
    /// A task ended.
    Stop,
    /// A task goes on; its arguments are to be ignored.
    Watchdog,
    /// A task goes on with new or changed arguments.
    Update,
}

impl AccountingFlags {
    const MEANINGFUL: u8 = 0x0e;

    /// What is recorded, or `None` for a combination that section 7.2 calls invalid. Other bits are masked off first.
    pub fn record(self) -> Option<AccountingRecord> {
        match Self(self.0 & Self::MEANINGFUL) {
            Self::START => Some(AccountingRecord::Start),
            Self::STOP => Some(AccountingRecord::Stop),
            Self::WATCHDOG => Some(AccountingRecord::Watchdog),
            Self::UPDATE => Some(AccountingRecord::Update),
            _ => None,
        }
    }

    /// Whether this octet may be sent: a valid combination and no other bit.
    pub fn may_be_sent(self) -> bool {
        self.name().is_some()
    }
}

impl From<AccountingRecord> for AccountingFlags {
    fn from(record: AccountingRecord) -> Self {
        match record {
            AccountingRecord::Start => Self::START,
            AccountingRecord::Stop => Self::STOP,
            AccountingRecord::Watchdog => Self::WATCHDOG,
            AccountingRecord::Update => Self::UPDATE,
        }
    }
}

#[cfg(test)]
mod tests;
