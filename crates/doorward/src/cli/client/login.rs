//! `doorward client authenticate`: logins of every type, privilege levels, and changes of passwords.

use std::time::{Duration, Instant};

use doorward_client::{ChallengeMethod, Login, PrivilegeLevel, Who};

use super::report::Report;
use super::{Action, AuthenticateArgs, Problem, Type, prompt, secret, unavailable};
use crate::secret::Octets;

pub(super) fn authenticate(
    runtime: &tokio::runtime::Runtime,
    args: &AuthenticateArgs,
) -> Result<Report, Problem> {
    args.check()?;
    let common = &args.common;
    let read = |flag: &str, text: &Option<String>| {
        text.as_deref()
            .map(|text| secret::read(flag, text))
            .transpose()
    };
    let mut password = read("--password", &common.password)?;
    let new_password = read("--new-password", &args.new_password)?;
    let client = common.client()?;
    let mut who = if args.needs_name() {
        common.named()?
    } else {
        common.who()?
    };
    who.priv_lvl = args.level(&who);
    if args.needs_password() && password.is_none() {
        password = Some(prompt::hidden("Password: ")?);
    }
    let sent = password.clone().unwrap_or_default();
    let began = Instant::now();
    let (result, typing) = match args.action {
        Action::Login => {
            let mut user = prompt::User::new(common.user.clone(), password);
            let result = runtime.block_on(log_in(
                &client,
                &who,
                &common.authen_types,
                &sent,
                &mut user,
            ));
            user.fault()?;
            (result, user.typing())
        }
        Action::Enable => {
            let mut user = prompt::User::new(common.user.clone(), password);
            let login = Login::Enable { answers: &mut user };
            let result = runtime.block_on(client.authenticate(&who, login));
            user.fault()?;
            (result, user.typing())
        }
        Action::Chpass => {
            let name = common.user.clone();
            let mut user = prompt::User::new(name, password).changing_to(new_password);
            let login = Login::ChangePassword { answers: &mut user };
            let result = runtime.block_on(client.authenticate(&who, login));
            user.fault()?;
            (result, user.typing())
        }
    };
    let elapsed = began.elapsed().saturating_sub(typing);
    let user = common.user.as_deref().unwrap_or("the user");
    match result {
        Ok(answer) => Ok(Report::authentication(&answer, user, &args.wanted(&who))),
        Err(error) => unavailable(error, elapsed.max(Duration::ZERO)),
    }
}

/// By each type in turn, while the server wants another one.
async fn log_in(
    client: &doorward_client::Client,
    who: &Who,
    types: &[Type],
    password: &Octets,
    user: &mut prompt::User,
) -> Result<doorward_client::Authentication, doorward_client::ClientError> {
    let mut answers = Some(user);
    let mut logins = types.iter().filter_map(|authen_type| {
        Some(match authen_type {
            // A terminal has one user: `check` sees to it that one of the dialogues is given, and once.
            Type::Ascii => Login::Ascii {
                answers: answers.take()?,
            },
            Type::PapDialogue => Login::PapDialogue {
                answers: answers.take()?,
            },
            Type::Pap => Login::Pap { password },
            Type::Chap => challenge(ChallengeMethod::Chap, password),
            Type::Mschapv1 => challenge(ChallengeMethod::MsChapV1, password),
            Type::Mschapv2 => challenge(ChallengeMethod::MsChapV2, password),
        })
    });
    let Some(first) = logins.next() else {
        return Err(doorward_client::ClientError::Aborted);
    };
    client.authenticate_by_any(who, first, logins).await
}

fn challenge(method: ChallengeMethod, secret: &Octets) -> Login<'_> {
    Login::Challenge { method, secret }
}

impl AuthenticateArgs {
    /// Refuses what can never work.
    fn check(&self) -> Result<(), Problem> {
        let types = &self.common.authen_types;
        let repeated = types
            .iter()
            .enumerate()
            .any(|(index, one)| types.iter().take(index).any(|before| before == one));
        if repeated {
            return Err(Problem::usage("--type names one type twice"));
        }
        if types.contains(&Type::PapDialogue) {
            if !self.common.servers.is_old_dialect() {
                return Err(Problem::usage(
                    "--type pap-dialogue exists with --dialect draft-05 only",
                ));
            }
            if types.contains(&Type::Ascii) {
                return Err(Problem::usage(
                    "--type ascii and pap-dialogue are two dialogues: one will do",
                ));
            }
        }
        if self.action != Action::Login && types != &[Type::Ascii] {
            return Err(Problem::usage(
                "--action enable and chpass are dialogues: leave --type out",
            ));
        }
        if self.new_password.is_some() && self.action != Action::Chpass {
            return Err(Problem::usage("--new-password is for --action chpass"));
        }
        Ok(())
    }

    /// A login that has one reply needs all it has at once.
    fn needs_name(&self) -> bool {
        self.action == Action::Login && self.common.authen_types != [Type::Ascii]
    }

    fn needs_password(&self) -> bool {
        let types = &self.common.authen_types;
        let dialogue = |one: &Type| matches!(one, Type::Ascii | Type::PapDialogue);
        self.action == Action::Login && !types.iter().all(dialogue)
    }

    /// Whoever asks for privileges without a number wants all of them.
    fn level(&self, who: &Who) -> PrivilegeLevel {
        match (self.action, self.common.priv_lvl) {
            (Action::Enable, None) => PrivilegeLevel::ROOT,
            _ => who.priv_lvl,
        }
    }

    /// What is asked for, in words.
    fn wanted(&self, who: &Who) -> Wanted {
        match self.action {
            Action::Login => Wanted::Login,
            Action::Enable => Wanted::Level(who.priv_lvl.0),
            Action::Chpass => Wanted::Password,
        }
    }
}

/// What a session of authentication is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    Login,
    Level(u8),
    Password,
}
