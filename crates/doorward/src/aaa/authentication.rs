//! The first verb: who is it, and may they come in here.
//!
//! Passwords are judged by a worker of the hashing pool, answers to challenges at once (MD5 or DES cost next to nothing).
//! Whatever judges, a right proof is not enough: a rule has to let the user in on this device.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward_tacacs::{ChallengeMethod, ChallengeResponse};

use super::request::{self, Login, Password, Peer, Proof, Who};
use super::{Aaa, Decided, Reason, Snapshot, Unavailable};
use crate::config::{Config, EnableCredential, User};
use crate::identity::{PasswordHash, PasswordStore, Verification};
use crate::policy::{Context, Decision};

/// How long a login may wait for its password: whoever waits five seconds, as routers do, has time for another server then.
const PATIENCE: Duration = Duration::from_millis(1_800);

/// The judgement of a login.
#[must_use]
pub enum Judgement {
    /// Known at once.
    Known(Decided),
    /// Once a worker is done.
    Later(Judging),
}

/// A judgement to come.
pub type Judging = Pin<Box<dyn Future<Output = Result<Decided, Unavailable>> + Send>>;

/// What a request is judged in.
struct Case {
    snapshot: Arc<Snapshot>,
    peer: Arc<Peer>,
    who: Who,
    user: Option<Arc<User>>,
}

impl Aaa {
    /// Judges what a user shows, then whether a rule lets the user in on this device. Known at once when a password is
    /// remembered (`[authentication] remember`) or the answer to a challenge is judged, and a future otherwise.
    ///
    /// A name that nobody has costs what a wrong password of the default cost does, so that names cannot be told apart by time
    /// where the passwords are of that kind (imported hashes of another cost differ).
    ///
    /// The future gives [`Unavailable`] when the password workers are busy for longer than a device waits, when the stored
    /// hash cannot be evaluated, or when a new password cannot be stored.
    pub fn authenticate(
        &self,
        snapshot: &Arc<Snapshot>,
        peer: &Arc<Peer>,
        login: Login,
    ) -> Judgement {
        let user = snapshot.config.users.get(login.user.as_str()).cloned();
        let case = Case {
            snapshot: Arc::clone(snapshot),
            peer: Arc::clone(peer),
            who: login.who,
            user,
        };
        match login.proof {
            Proof::Password(password) => self.judge_password(case, password),
            Proof::Enable {
                password,
                anonymous,
            } => self.judge_enable(case, password, anonymous),
            Proof::Response { method, data, name } => {
                Judgement::Known(case.judge_response(method, &data, &name))
            }
            Proof::Change { old, new } => self.judge_change(case, old, new),
        }
    }

    fn judge_password(&self, case: Case, password: Password) -> Judgement {
        let hash = case
            .user
            .as_ref()
            .and_then(|user| self.passwords.current(user));
        let lifetime = case.snapshot.config.authentication.remember;
        let mut digest = None;
        if let (Some(user), Some(hash), false) = (&case.user, &hash, lifetime.is_zero()) {
            digest = self.remembered.digest(user, hash, &password.0);
            let known = digest
                .as_ref()
                .is_some_and(|digest| self.remembered.knows(user, digest, Instant::now()));
            if known {
                return Judgement::Known(case.admit(user, Reason::PasswordRight));
            }
        }
        let verification = match (&case.user, &hash, &digest) {
            (Some(user), Some(hash), Some(digest)) => {
                let (remembered, digest) = (Arc::clone(&self.remembered), digest.clone());
                let user = Arc::clone(user);
                let known = Box::new(move || remembered.knows(&user, &digest, Instant::now()));
                self.hashing
                    .verify_unless(known, hash, password.0, PATIENCE)
            }
            _ => self.verify(hash.as_ref(), password),
        };
        let can_log_in = hash.is_some();
        let remembered = Arc::clone(&self.remembered);
        Judgement::Later(Box::pin(async move {
            let right = verification.await?;
            let Some(user) = &case.user else {
                return Ok(Decided::deny(Reason::UserUnknown));
            };
            if !can_log_in {
                return Ok(Decided::deny(Reason::UserWithoutPassword));
            }
            if !right {
                return Ok(Decided::deny(Reason::PasswordWrong));
            }
            if let Some(digest) = digest {
                remembered.keep(user, digest, lifetime, Instant::now());
            }
            Ok(case.admit(user, Reason::PasswordRight))
        }))
    }

    /// A request for a privilege level (section 5.4.2.6).
    fn judge_enable(&self, mut case: Case, password: Password, anonymous: bool) -> Judgement {
        if anonymous {
            case.user = None;
        }
        let credential = case.enable_credential();
        let hash = match (credential, &case.user) {
            (Some(EnableCredential::Hash(hash)), _) => Some(hash.clone()),
            (Some(EnableCredential::OwnPassword), Some(user)) => self.passwords.current(user),
            (Some(EnableCredential::OwnPassword) | None, _) => None,
        };
        let known = credential.is_some();
        let verification = self.verify(hash.as_ref(), password);
        Judgement::Later(Box::pin(async move {
            let right = verification.await?;
            if case.user.is_none() && !anonymous {
                return Ok(Decided::deny(Reason::UserUnknown));
            }
            if !known {
                return Ok(Decided::deny(Reason::NoEnablePassword));
            }
            if hash.is_none() {
                return Ok(Decided::deny(Reason::UserWithoutPassword));
            }
            if !right {
                return Ok(Decided::deny(Reason::PasswordWrong));
            }
            Ok(case.admit_to_level())
        }))
    }

    /// Another password (section 5.4.2.7): judged by the old one, and in force once it is on the disk.
    fn judge_change(&self, case: Case, old: Password, new: Password) -> Judgement {
        let hash = case
            .user
            .as_ref()
            .and_then(|user| self.passwords.current(user));
        // Before the password is judged, so that one worker can do the rest in one go; not told before.
        let admitted = case.user.as_ref().map(|user| match &user.chap_secret {
            Some(secret) if secret.octets() == &**new.0 => Decided::deny(Reason::NewPasswordIsChap),
            Some(_) | None => case.admit(user, Reason::PasswordChanged),
        });
        let verification = match (&case.user, &hash, &admitted) {
            (Some(user), Some(hash), Some(admitted)) if admitted.decision == Decision::Permit => {
                let (store, user) = (Arc::clone(&self.passwords), Arc::clone(user));
                let keep = move |hash: &str| keep(&store, &user, hash);
                self.hashing.change(hash, old.0, new.0, keep, PATIENCE)
            }
            _ => self.verify(hash.as_ref(), old),
        };
        let can_log_in = hash.is_some();
        Judgement::Later(Box::pin(async move {
            let right = verification.await?;
            let Some(admitted) = admitted else {
                return Ok(Decided::deny(Reason::UserUnknown));
            };
            if !can_log_in {
                return Ok(Decided::deny(Reason::UserWithoutPassword));
            }
            if !right {
                return Ok(Decided::deny(Reason::PasswordWrong));
            }
            Ok(admitted)
        }))
    }

    fn verify(&self, hash: Option<&PasswordHash>, password: Password) -> Verification {
        match hash {
            Some(hash) => self.hashing.verify(hash, password.0, PATIENCE),
            None => self.hashing.verify_decoy(password.0, PATIENCE),
        }
    }

    /// Whether a login that came now would be refused because the password workers are busy.
    pub fn hashing_is_saturated(&self) -> bool {
        self.hashing.is_saturated(PATIENCE)
    }
}

/// Stores the hash of a new password.
fn keep(store: &PasswordStore, user: &User, hash: &str) -> Result<(), Unavailable> {
    store
        .change(user, hash, jiff::Timestamp::now())
        .map_err(|error| {
            tracing::error!(user = &*user.name, %error, "a new password could not be stored: the old one stays in force, and the device gets ERROR");
            Unavailable(Reason::ChangeNotStored)
        })
}

impl Case {
    /// The answer to a challenge (sections 5.4.2.3 to 5.4.2.5).
    fn judge_response(&self, method: ChallengeMethod, data: &[u8], name: &[u8]) -> Decided {
        let Ok(response) = ChallengeResponse::decode(method, data) else {
            return Decided::deny(Reason::ChallengeInvalid);
        };
        if response.challenge.len() < self.config().authentication.min_challenge
            && method == ChallengeMethod::Chap
        {
            return Decided::deny(Reason::ChallengeShort);
        }
        let secret = self
            .user
            .as_ref()
            .and_then(|user| user.chap_secret.as_ref());
        // A name that nobody has takes as long as one that somebody has.
        let judged = response.verify(name, secret.map_or(b"nobody's secret", |one| one.octets()));
        let Some(user) = &self.user else {
            return Decided::deny(Reason::UserUnknown);
        };
        if secret.is_none() {
            return Decided::deny(Reason::UserWithoutChapSecret);
        }
        match judged {
            Ok(true) => self.admit(user, Reason::ResponseRight),
            Ok(false) => Decided::deny(Reason::ResponseWrong),
            Err(_) => Decided::deny(Reason::ChallengeInvalid),
        }
    }

    fn config(&self) -> &Config {
        &self.snapshot.config
    }

    /// What a request for the level is judged by: the user's own entry before that of everybody.
    fn enable_credential(&self) -> Option<&EnableCredential> {
        let level = self.who.privilege_level;
        let own = self.user.as_ref().and_then(|user| user.enable.get(&level));
        own.or_else(|| self.config().enable.get(&level))
    }

    /// Whether a user may log in here whose proof was right, which is the reason then.
    fn admit(&self, user: &User, right: Reason) -> Decided {
        match self.context(user) {
            Ok(context) => self.select(&context, right),
            Err(reason) => Decided::deny(reason),
        }
    }

    /// Whether somebody who has shown the password of a privilege level may have it here.
    fn admit_to_level(&self) -> Decided {
        let level = self.who.privilege_level;
        let own = self
            .user
            .as_ref()
            .is_some_and(|user| user.enable.contains_key(&level));
        let context = match &self.user {
            Some(user) => self.context(user),
            None => self.context_of(&self.who.user, &[]),
        };
        let context = match context {
            Ok(context) => context,
            Err(reason) => return Decided::deny(reason),
        };
        let decided = self.select(&context, Reason::PasswordRight);
        if decided.decision == Decision::Deny || own {
            return decided;
        }
        let shell = self.config().policy.shell(&context);
        let reason = match &shell.grant {
            Some(shell) if level <= shell.highest_level() => return decided,
            Some(_) => Reason::LevelTooHigh,
            None => shell.reason,
        };
        Decided {
            decision: Decision::Deny,
            reason,
            rule: shell.rule,
            attributes: None,
        }
    }

    fn context<'a>(&'a self, user: &'a User) -> Result<Context<'a>, Reason> {
        if !user.may_come_from(request::address(&self.who.remote_address)) {
            return Err(Reason::UserAddress);
        }
        self.context_of(&user.name, &user.groups)
    }

    fn context_of<'a>(
        &'a self,
        name: &'a str,
        groups: &'a [Arc<str>],
    ) -> Result<Context<'a>, Reason> {
        let device = self.config().devices.by_name(&self.peer.device);
        Ok(Context {
            user: name,
            groups,
            device: device.ok_or(Reason::DeviceGone)?,
            remote_address: request::address(&self.who.remote_address),
            remote: &self.who.remote_address,
            port: &self.who.port,
            now: jiff::Timestamp::now(),
            protocol: self.peer.protocol,
            transport: self.peer.transport,
            service: self.who.service,
            auth: Some(self.who.auth),
            address: Some(self.peer.address.ip()),
            peer: self.peer.identity.as_deref(),
            psk_identity: self.peer.psk_identity.as_deref(),
        })
    }

    fn select(&self, context: &Context<'_>, right: Reason) -> Decided {
        let verdict = self.config().policy.select(context);
        let reason = match verdict.decision {
            Decision::Permit => right,
            Decision::Deny => verdict.reason,
        };
        Decided {
            decision: verdict.decision,
            reason,
            rule: verdict.rule,
            attributes: verdict
                .grant
                .map(|role| role.access_accept(context.device, context.service)),
        }
    }
}
