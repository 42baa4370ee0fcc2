//! Authorization of RFC 8907 section 6 and 8: which arguments a request has, what the policy says, which arguments go back.
//!
//! ```text
//! arguments → Requested (session shell | command | other service) → policy → Answer (permit with additions or a replacement | deny)
//! ```
//!
//! A mandatory argument that the role does not know is refused: a permit would promise something this server cannot keep.
//! An optional one is left out of the answer, which then has to be PASS_REPL, since PASS_ADD would approve it.

use std::fmt;
use std::sync::Arc;

use super::{Decided, Reason};
use crate::policy::{CommandLine, Context, Decision, GrantedArgument, Policy, SHELL};

/// One argument of a request, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument<'a> {
    /// Before the separator.
    pub name: &'a str,
    /// `=` rather than `*`.
    pub mandatory: bool,
    /// After the separator.
    pub value: &'a str,
}

/// What the arguments ask for; shown in the log and the records, where somebody looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested<'a> {
    /// A session with a shell.
    Shell,
    /// A command in it.
    Command(CommandLine),
    /// Another service.
    Service {
        /// `service`.
        service: &'a str,
        /// `protocol`.
        protocol: Option<&'a str>,
    },
    /// Nothing that any rule could grant: what is wrong with it.
    Unfit(String),
}

impl fmt::Display for Requested<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell => f.write_str("service=shell"),
            Self::Command(line) => f.write_str(line.raw()),
            Self::Service {
                service,
                protocol: None,
            } => write!(f, "service={service}"),
            Self::Service {
                service,
                protocol: Some(protocol),
            } => write!(f, "service={service} protocol={protocol}"),
            Self::Unfit(why) => f.write_str(why),
        }
    }
}

/// How to answer.
#[must_use]
#[derive(Debug)]
pub struct Answer<'a> {
    /// Permit or deny, why, by which line.
    pub decided: Decided,
    /// What goes back with a permit.
    pub arguments: Arguments,
    /// What was asked.
    pub request: Requested<'a>,
}

/// The arguments of a permit.
#[derive(Debug, PartialEq, Eq)]
pub enum Arguments {
    /// PASS_ADD: the request's own and these.
    Add(Vec<GrantedArgument>),
    /// PASS_REPL: these and no others.
    Replace(Vec<GrantedArgument>),
}

/// Judges a request; `context.service` is filled in here.
pub fn judge<'a>(policy: &Policy, context: &Context<'_>, arguments: &[Argument<'a>]) -> Answer<'a> {
    let request = asked(arguments).unwrap_or_else(Requested::Unfit);
    let context = Context {
        service: Some(match request {
            Requested::Service { service, .. } => service,
            Requested::Shell | Requested::Command(_) | Requested::Unfit(_) => SHELL,
        }),
        ..context.clone()
    };
    match &request {
        Requested::Unfit(_) => refuse(Reason::RequestInvalid, request),
        Requested::Command(line) => {
            if let Some(unknown) = rest(arguments).find(|argument| argument.mandatory) {
                let why = format!("{request} [{}]", unknown.name);
                return refuse(Reason::MandatoryArgument, Requested::Unfit(why));
            }
            let verdict = policy.command(&context, line);
            let decided = Decided {
                decision: verdict.decision,
                reason: verdict.reason,
                rule: verdict.rule,
                attributes: None,
            };
            let arguments = if rest(arguments).next().is_none() {
                Arguments::Add(Vec::new())
            } else {
                keep_structure(arguments)
            };
            Answer {
                decided,
                arguments,
                request,
            }
        }
        Requested::Shell => {
            let verdict = policy.shell(&context);
            let granted = verdict
                .grant
                .as_ref()
                .map_or(&[][..], |grant| &grant.arguments);
            let decided = Decided {
                decision: verdict.decision,
                reason: verdict.reason,
                rule: verdict.rule,
                attributes: None,
            };
            grant(decided, arguments, granted, request)
        }
        Requested::Service { service, protocol } => {
            let verdict = policy.service(&context, service, *protocol);
            let granted = verdict
                .grant
                .as_ref()
                .map_or(&[][..], |grant| &grant.arguments);
            let decided = Decided {
                decision: verdict.decision,
                reason: verdict.reason,
                rule: verdict.rule,
                attributes: None,
            };
            grant(decided, arguments, granted, request)
        }
    }
}

/// The command or service of a request, or the text of one that asks for nothing sensible (section 8.2: `service` always,
/// `cmd` with `service=shell`, each once).
fn asked<'a>(arguments: &[Argument<'a>]) -> Result<Requested<'a>, String> {
    let one = |name: &str| -> Result<Option<&'a str>, String> {
        let mut found = arguments
            .iter()
            .filter(|argument| argument.name == name)
            .map(|argument| argument.value);
        let first = found.next();
        if found.next().is_some() {
            Err(format!("two `{name}` arguments"))
        } else {
            Ok(first)
        }
    };
    let service = one("service")?
        .filter(|service| !service.is_empty())
        .ok_or("no `service` argument")?;
    let protocol = one("protocol")?;
    let cmd = one("cmd")?;
    if service != SHELL {
        return Ok(Requested::Service { service, protocol });
    }
    let cmd = cmd.ok_or("service=shell without a `cmd` argument")?;
    let cmd_args = arguments
        .iter()
        .filter(|argument| argument.name == "cmd-arg")
        .map(|argument| argument.value);
    if cmd.is_empty() {
        if cmd_args.clone().next().is_some() {
            return Err("`cmd-arg` arguments with an empty `cmd`".to_owned());
        }
        return Ok(Requested::Shell);
    }
    let line = CommandLine::from_arguments(cmd, cmd_args);
    if line.words().next().is_none() {
        return Err("a `cmd` argument without a word".to_owned());
    }
    Ok(Requested::Command(line))
}

/// Arguments that say what is asked, rather than how it should be.
fn is_structure(argument: &Argument<'_>) -> bool {
    matches!(argument.name, "service" | "protocol" | "cmd" | "cmd-arg")
}

fn rest<'a, 'b>(arguments: &'b [Argument<'a>]) -> impl Iterator<Item = &'b Argument<'a>> {
    arguments.iter().filter(|argument| !is_structure(argument))
}

/// A permit that leaves every other argument out.
fn keep_structure(arguments: &[Argument<'_>]) -> Arguments {
    Arguments::Replace(
        arguments
            .iter()
            .filter(|argument| is_structure(argument))
            .map(owned)
            .collect(),
    )
}

fn owned(argument: &Argument<'_>) -> GrantedArgument {
    GrantedArgument {
        name: Arc::from(argument.name),
        mandatory: argument.mandatory,
        value: Arc::from(argument.value),
    }
}

fn refuse(reason: Reason, request: Requested<'_>) -> Answer<'_> {
    Answer {
        decided: Decided::deny(reason),
        arguments: Arguments::Add(Vec::new()),
        request,
    }
}

/// Fits what the role grants to what the request has.
fn grant<'a>(
    decided: Decided,
    arguments: &[Argument<'_>],
    granted: &[GrantedArgument],
    request: Requested<'a>,
) -> Answer<'a> {
    if decided.decision == Decision::Deny {
        return Answer {
            decided,
            arguments: Arguments::Add(Vec::new()),
            request,
        };
    }
    let mut changed = false;
    let mut kept: Vec<GrantedArgument> = Vec::new();
    for argument in arguments {
        if is_structure(argument) {
            kept.push(owned(argument));
            continue;
        }
        let mut ours = granted
            .iter()
            .filter(|ours| *ours.name == *argument.name)
            .peekable();
        let known = ours.peek().is_some();
        if ours.any(|ours| *ours.value == *argument.value) {
            kept.push(owned(argument));
        } else if argument.mandatory {
            let what = if known {
                "with another value"
            } else {
                "unknown to the role"
            };
            let why = format!("{request} [{} {what}]", argument.name);
            return refuse(Reason::MandatoryArgument, Requested::Unfit(why));
        } else {
            changed = true;
        }
    }
    let additions = granted
        .iter()
        .filter(|ours| {
            !kept
                .iter()
                .any(|kept| kept.name == ours.name && kept.value == ours.value)
        })
        .cloned();
    let arguments = if changed {
        let additions: Vec<_> = additions.collect();
        kept.extend(additions);
        Arguments::Replace(kept)
    } else {
        Arguments::Add(additions.collect())
    };
    Answer {
        decided,
        arguments,
        request,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(text: &str) -> Argument<'_> {
        let at = text.find(['=', '*']).unwrap();
        Argument {
            name: &text[..at],
            mandatory: text.as_bytes()[at] == b'=',
            value: &text[at + 1..],
        }
    }

    fn arguments<'a>(texts: &[&'a str]) -> Vec<Argument<'a>> {
        texts.iter().map(|text| argument(text)).collect()
    }

    fn granted(texts: &[&str]) -> Vec<GrantedArgument> {
        texts.iter().map(|text| owned(&argument(text))).collect()
    }

    fn permit() -> Decided {
        Decided {
            decision: Decision::Permit,
            reason: Reason::ShellGranted,
            rule: None,
            attributes: None,
        }
    }

    fn session(request: &[&str], role: &[&str]) -> Answer<'static> {
        grant(
            permit(),
            &arguments(request),
            &granted(role),
            Requested::Shell,
        )
    }

    #[test]
    fn what_the_request_lacks_is_added() {
        let answer = session(&["service=shell", "cmd="], &["priv-lvl=15", "idletime=15"]);
        assert_eq!(
            answer.arguments,
            Arguments::Add(granted(&["priv-lvl=15", "idletime=15"]))
        );
    }

    #[test]
    fn an_argument_both_have_is_not_sent_twice() {
        let answer = session(&["service=shell", "cmd=", "priv-lvl=15"], &["priv-lvl=15"]);
        assert_eq!(answer.arguments, Arguments::Add(vec![]));
    }

    #[test]
    fn an_optional_argument_with_another_value_is_replaced() {
        let answer = session(&["service=shell", "cmd*", "priv-lvl*1"], &["priv-lvl=15"]);
        assert_eq!(
            answer.arguments,
            Arguments::Replace(granted(&["service=shell", "cmd*", "priv-lvl=15"]))
        );
    }

    #[test]
    fn an_unknown_optional_argument_is_left_out_of_a_replacement() {
        let answer = session(&["service=shell", "cmd=", "shell:roles*"], &["priv-lvl=1"]);
        assert_eq!(
            answer.arguments,
            Arguments::Replace(granted(&["service=shell", "cmd=", "priv-lvl=1"]))
        );
    }

    #[test]
    fn a_mandatory_argument_that_cannot_be_kept_is_refused() {
        for request in [
            ["service=shell", "cmd=", "x-new=1"],
            ["service=shell", "cmd=", "priv-lvl=1"],
        ] {
            let answer = session(&request, &["priv-lvl=15"]);
            assert_eq!(answer.decided, Decided::deny(Reason::MandatoryArgument));
        }
    }

    #[test]
    fn requests_that_ask_for_nothing_sensible_are_refused() {
        for request in [
            &["cmd=show"][..],
            &["service=", "cmd=show"],
            &["service=shell"],
            &["service=shell", "cmd=show", "cmd=reload"],
            &["service=shell", "cmd=show", "cmd*reload"],
            &["service=shell", "service=shell", "cmd="],
            &["service=shell", "cmd=", "cmd-arg=reload"],
            &["service=shell", "cmd= "],
        ] {
            assert!(asked(&arguments(request)).is_err(), "{request:?}");
        }
    }

    #[test]
    fn an_optional_cmd_is_a_command_too() {
        let request = arguments(&["service=shell", "cmd*reload"]);
        let Ok(Requested::Command(line)) = asked(&request) else {
            panic!("judged as strictly as cmd=")
        };
        assert_eq!(line.text(), "reload");
    }
}
