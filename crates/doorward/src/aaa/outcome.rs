//! What was answered, and why: two enums from which the log, the counters and the audit trail derive.

use std::fmt;

/// Which of the three verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Who is it.
    Authentication,
    /// May they.
    Authorization,
    /// What happened.
    Accounting,
}

impl Kind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::Authentication, Self::Authorization, Self::Accounting];

    /// The name used in logs, counters and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
            Self::Accounting => "accounting",
        }
    }
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Authentication succeeded.
    Pass,
    /// Authentication failed.
    Fail,
    /// Authorization permitted.
    Permit,
    /// Authorization denied.
    Deny,
    /// Accounting recorded.
    Recorded,
    /// No decision: a fault, which lets the device try its next server.
    Error,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 6] = [
        Self::Pass,
        Self::Fail,
        Self::Permit,
        Self::Deny,
        Self::Recorded,
        Self::Error,
    ];

    /// The name used in logs, counters and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Permit => "permit",
            Self::Deny => "deny",
            Self::Recorded => "recorded",
            Self::Error => "error",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $why:literal;)*) => {
        /// Why it was answered so: a closed list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name used in logs, counters and JSON.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One sentence for people.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $why,)* }
            }
        }
    };
}

reasons! {
    /// The password was right.
    PasswordRight = "password-right", "the password is right";
    /// The password was wrong.
    PasswordWrong = "password-wrong", "the password is wrong";
    /// No such user.
    UserUnknown = "user-unknown", "no user of that name is configured";
    /// The user has no password.
    UserWithoutPassword = "user-without-password", "the user has no password to log in with";
    /// The answer to the challenge was right.
    ResponseRight = "response-right", "the answer to the challenge is right";
    /// The answer to the challenge was wrong.
    ResponseWrong = "response-wrong", "the answer to the challenge is wrong";
    /// Challenge or answer have a length that the method does not have.
    ChallengeInvalid = "challenge-invalid", "the challenge and its answer are not as this authentication type wants them";
    /// The challenge is too short to be safe.
    ChallengeShort = "challenge-short", "the challenge is shorter than min_challenge of [authentication]";
    /// The user has nothing that a challenge could be judged by.
    UserWithoutChapSecret = "user-without-chap-secret", "the user has no chap_secret, which CHAP and MS-CHAP are judged by";
    /// Nothing to judge an enable request by.
    NoEnablePassword = "no-enable-password", "neither the user nor [enable] has a password for that privilege level";
    /// The role does not reach the level.
    LevelTooHigh = "level-too-high", "the role does not reach that privilege level: see max_priv_lvl of its shell";
    /// The password was changed.
    PasswordChanged = "password-changed", "the old password is right and the new one is stored";
    /// The new password is the user's `chap_secret`.
    NewPasswordIsChap = "new-password-is-chap", "the new password is the user's chap_secret, which must differ";
    /// The new password could not be stored.
    ChangeNotStored = "change-not-stored", "the new password could not be stored, so the old one stays in force";
    /// The device left the configuration while the request was under way.
    DeviceGone = "device-gone", "the device is no longer in the configuration";
    /// The user may not come from that remote address.
    UserAddress = "user-address", "the user may not come from that remote address";
    /// The name is not acceptable.
    UserNameInvalid = "user-name-invalid", "the user name is empty or has characters that no name may have";
    /// The session was aborted by the device.
    Aborted = "aborted", "the device aborted the session";
    /// Too many attempts in one session.
    TooManyAttempts = "too-many-attempts", "the session used up its attempts";
    /// The authentication type is not accepted.
    TypeNotAccepted = "type-not-accepted", "this authentication type is not accepted from this device";
    /// The flow is known and not offered.
    FlowNotOffered = "flow-not-offered", "this server does not offer that kind of authentication";
    /// A command rule of the role permitted or denied.
    CommandRule = "command-rule", "a command rule of the role decided";
    /// No command rule of the role matched.
    NoCommandRule = "no-command-rule", "no command rule of the role matched, and no match denies";
    /// No `[[rule]]` matched.
    NoRule = "no-rule", "no rule matched this user on this device, and no match denies";
    /// A `[[rule]]` matched and chose the role.
    RuleMatched = "rule-matched", "a rule matched this user on this device";
    /// The role has a shell.
    ShellGranted = "shell-granted", "the role grants a shell";
    /// The role has no shell.
    NoShell = "no-shell", "the role grants no shell";
    /// The role has the service.
    ServiceGranted = "service-granted", "the role grants the service";
    /// The role does not have the service.
    NoService = "no-service", "the role does not grant the service";
    /// The request is not one that RFC 8907 allows.
    RequestInvalid = "request-invalid", "the request breaks a rule of RFC 8907";
    /// The request is not one that RADIUS allows.
    RadiusInvalid = "radius-invalid", "the request breaks a rule of RFC 2865 or RFC 2866";
    /// A State that was not sealed here.
    StateInvalid = "state-invalid", "the State of the request was not made by this server since it started, or it was changed on its way";
    /// A State that is too old.
    StateExpired = "state-expired", "the State of the request is older than 30 seconds: the user took too long to answer";
    /// A State of somebody else.
    StateForeign = "state-foreign", "the State of the request was made for another device or another user";
    /// EAP, which nobody takes.
    EapNotOffered = "eap-not-offered", "the device sent EAP, which this server does not offer and no route takes";
    /// A mandatory argument that this server cannot act on.
    MandatoryArgument = "mandatory-argument", "the request has a mandatory argument that cannot be honoured";
    /// The answer does not fit a packet.
    AnswerTooLong = "answer-too-long", "what the role grants does not fit into one reply";
    /// A secret of the answer cannot be hidden.
    NoRandom = "no-random", "the operating system gave no random octets, which the secrets or the State of the answer are hidden with";
    /// The home server let the user in.
    UpstreamAccepted = "upstream-accepted", "the home server of the user's realm let the user in";
    /// The home server rejected the user.
    UpstreamRejected = "upstream-rejected", "the home server of the user's realm rejected the login";
    /// No server of the pool can be reached.
    UpstreamUnavailable = "upstream-unavailable", "no server of the route's pool can be reached";
    /// A server of the pool did not answer.
    UpstreamSilent = "upstream-silent", "no server of the route's pool answered in time";
    /// The answer of a server of the pool is not authentic.
    UpstreamNotBelieved = "upstream-not-believed", "a server of the route's pool answered, and nothing shows that the answer is its own: the secret is another one, or over UDP it has no Message-Authenticator";
    /// The realm has no servers.
    RealmUnknown = "realm-unknown", "the DNS names no server for the user's realm";
    /// Its servers cannot be found.
    RealmUnresolved = "realm-unresolved", "the servers of the user's realm could not be found: the DNS does not answer, or its answer is not proved";
    /// What the home server answered does not fit, or cannot be read.
    UpstreamAnswer = "upstream-answer", "the answer of the home server could not be passed back";
    /// The device no longer waited for a server of the pool.
    GivenUp = "given-up", "the device closed its connection, or asked something else under the same identifier, before a server of the route's pool had answered";
    /// Committed to the journal.
    Journalled = "journalled", "the record is on the disk";
    /// The journal did not take the record.
    JournalFailed = "journal-failed", "the record could not be written to the journal";
    /// The password workers are busy.
    HashingBusy = "hashing-busy", "the password workers are busy for longer than the device would wait";
    /// A stored password could not be evaluated.
    PasswordStoreFault = "password-store-fault", "the stored password could not be evaluated";
    /// The server is stopping.
    Stopping = "stopping", "the server is stopping";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

/// No decision could be made: never a denial, never a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable(pub Reason);
