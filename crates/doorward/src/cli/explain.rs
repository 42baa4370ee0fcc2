//! `doorward explain USER DEVICE COMMAND`, or `--protocol radius USER DEVICE`: the decision, the line that made it, and the rules that came close.

use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

use doorward_radius::realm;
use doorward_tacacs::Dialect;
use serde_json::json;

use super::{ConfigArg, DENIED, FAULT, USAGE, complain, say};
use crate::aaa::Reason;
use crate::config::source::escape;
use crate::config::suggest::nearest;
use crate::config::tests::{Asked, context};
use crate::config::{self, AuthenticationType};
use crate::identity::user_name;
use crate::policy::{
    CommandLine, Context, Decision, Explanation, Miss, Profile, Protocol, ReplyAttribute, Route,
    RuleReference, Verdict, explain, explain_login,
};

/// Explains what a user may do on a device, and which line says so
///
/// With `--protocol radius` it is the RADIUS login that is explained, and no command is given: also where a user who is not in
/// the file is forwarded to.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The user name
    user: String,
    /// The device name
    device: String,
    /// The command; empty = a shell. A RADIUS login has none
    #[arg(required_unless_present = "protocol")]
    command: Option<String>,
    /// What the device speaks; for `radius`, what is explained is the login, with the attributes of the Access-Accept
    #[arg(long, value_name = "WORD", value_parser = protocol)]
    protocol: Option<Protocol>,
    /// The moment, as 2027-01-04T10:00:00Z
    #[arg(long, value_name = "T")]
    at: Option<jiff::Timestamp>,
    /// The user's remote address
    #[arg(long, value_name = "IP")]
    from: Option<IpAddr>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// 0 = permit or forwarded, 2 = deny, 1 = no answer.
pub(super) fn run(args: Args) -> ExitCode {
    let radius = args.protocol == Some(Protocol::Radius);
    if radius && args.command.as_ref().is_some_and(|one| !one.is_empty()) {
        complain(
            &"RADIUS asks for no commands\n = help: leave the command out, or `--protocol radius`",
        );
        return ExitCode::from(USAGE);
    }
    let loaded = match config::load(&args.config.config) {
        Ok(loaded) => loaded,
        Err(failure) => {
            complain(&failure);
            return ExitCode::from(FAULT);
        }
    };
    let config = &loaded.config;
    let Some(device) = config.devices.by_name(&args.device) else {
        let names = config.devices.iter().map(|device| &*device.name);
        return unknown_device(
            &args.device,
            nearest(&args.device, names),
            &args.config.config,
        );
    };
    // However it is typed, it is the name that a login would have.
    let name = user_name(args.user.as_bytes(), Dialect::Rfc8907);
    let name = name.as_deref().unwrap_or(&args.user);
    let user = config.users.get(name);
    let context = context(&Asked {
        user: name,
        groups: user.map_or(&[], |user| user.groups.as_slice()),
        device,
        from: args.from,
        now: args.at.unwrap_or_else(jiff::Timestamp::now),
        protocol: args.protocol.unwrap_or(Protocol::Tacacs),
        auth: if radius {
            AuthenticationType::Pap
        } else {
            AuthenticationType::Ascii
        },
    });
    if user.is_none()
        && radius
        && let Some(forward) = Forward::of(config, &args.user, &context)
    {
        say(&if args.json {
            forward.as_json().to_string()
        } else {
            forward.as_text()
        });
        return ExitCode::SUCCESS;
    }
    let command = CommandLine::from_text(args.command.as_deref().unwrap_or_default());
    let asked = Some(&command).filter(|command| command.words().next().is_some());
    let mut why = if radius {
        explain_login(&config.policy, &context)
    } else {
        explain(&config.policy, &context, asked)
    };
    match user {
        None => {
            let names = config.users.keys().map(|name| &**name);
            why = stranger(why, &args.user, nearest(&args.user, names));
        }
        Some(user) if args.from.is_some() && !user.may_come_from(args.from) => {
            why = barred(why, user);
        }
        Some(_) => {}
    }
    say(&if args.json {
        as_json(&why, device.profile).to_string()
    } else {
        as_text(&why, device.profile)
    });
    match why.verdict.decision {
        Decision::Permit => ExitCode::SUCCESS,
        Decision::Deny => ExitCode::from(DENIED),
    }
}

/// A login that others judge.
struct Forward<'a> {
    user: &'a str,
    route: &'a Route,
    /// As the file writes them.
    servers: &'a [Arc<str>],
}

impl<'a> Forward<'a> {
    /// Names go as they are sent, and their users are in no group here.
    fn of(config: &'a config::Config, user: &'a str, context: &Context<'_>) -> Option<Self> {
        let context = Context {
            user,
            groups: &[],
            ..context.clone()
        };
        let route = config.routes.find(realm::of(user.as_bytes()), &context)?;
        let pool = config.pools.get(&route.pool);
        Some(Self {
            user,
            route,
            servers: pool.map_or(&[], |pool| pool.names.as_slice()),
        })
    }

    fn why(&self) -> String {
        format!(
            "{} is forwarded to the pool {} ({})",
            self.user,
            self.route.pool,
            self.servers.join(", ")
        )
    }

    fn as_text(&self) -> String {
        let reference = &self.route.reference;
        format!(
            "forward: {}\n --> {}\n  | {}",
            escape(&self.why()),
            reference.location,
            reference.text
        )
    }

    fn as_json(&self) -> serde_json::Value {
        let servers: Vec<&str> = self.servers.iter().map(|name| &**name).collect();
        json!({
            "decision": "forward",
            "pool": &*self.route.pool,
            "servers": servers,
            "route": rule_json(&self.route.reference),
            "why": self.why(),
            "nearest": [],
        })
    }
}

fn unknown_device(name: &str, near: Option<&str>, file: &std::path::Path) -> ExitCode {
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "name a device of the file".to_owned(),
    };
    complain(&format!(
        "there is no device `{}`\n --> {}\n = help: {help}",
        escape(name),
        file.display()
    ));
    ExitCode::from(FAULT)
}

/// Nobody of that name could log in, whatever the rules say.
fn stranger(why: Explanation, name: &str, near: Option<&str>) -> Explanation {
    let mut why = why;
    why.verdict = Verdict {
        decision: Decision::Deny,
        reason: Reason::UserUnknown,
        rule: None,
        grant: (),
    };
    let help = near.map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
    why.why = format!("there is no user `{name}`{help}");
    why.nearest.clear();
    why.chosen_by = None;
    why.role = None;
    why.attributes = None;
    why.held_to_least = None;
    why.left_out.clear();
    why
}

/// `from` of the user stands before every rule, as at the login.
fn barred(why: Explanation, user: &config::User) -> Explanation {
    let mut why = why;
    why.verdict.decision = Decision::Deny;
    why.verdict.reason = Reason::UserAddress;
    why.verdict.rule = Some(Arc::new(RuleReference {
        location: user.location.clone(),
        text: format!("[user.{}]", user.name).into(),
    }));
    why.why = format!(
        "{} may not come from that address (`from` of the user)",
        user.name
    );
    why.nearest.clear();
    why.attributes = None;
    why.held_to_least = None;
    why.left_out.clear();
    why
}

fn protocol(word: &str) -> Result<Protocol, String> {
    match word {
        "tacacs" => Ok(Protocol::Tacacs),
        "radius" => Ok(Protocol::Radius),
        _ => Err("it is `tacacs` or `radius`".to_owned()),
    }
}

/// Where an attribute comes from; nothing is said where there is only the role.
fn origin(profile: Option<Profile>, attribute: &ReplyAttribute) -> Option<String> {
    let profile = profile?;
    Some(match attribute.derived {
        Some(from) => format!("profile {}, from {from}", profile.name()),
        None => "role".to_owned(),
    })
}

fn as_text(why: &Explanation, profile: Option<Profile>) -> String {
    let mut lines = vec![format!(
        "{}: {}",
        why.verdict.decision.name(),
        escape(&why.why)
    )];
    if let Some(rule) = &why.verdict.rule {
        lines.push(format!(" --> {}", rule.location));
        lines.push(format!("  | {}", rule.text));
    }
    if let Some(chosen) = &why.chosen_by {
        let role = why.role.as_deref().unwrap_or("");
        lines.push(format!(
            " = role {} by {} ({})",
            escape(role),
            chosen.text,
            chosen.location
        ));
    }
    if let Some(attributes) = &why.attributes {
        lines.push(if attributes.is_empty() {
            "the Access-Accept has no attributes of the role".to_owned()
        } else {
            "attributes of the Access-Accept:".to_owned()
        });
        for one in attributes.iter() {
            let from = origin(profile, one).map_or_else(String::new, |from| format!("   ({from})"));
            lines.push(format!("  {} = {}{from}", one.name, escape(&one.text)));
        }
    }
    if let (Some(profile), Some(parts)) = (profile, &why.held_to_least) {
        let profile = profile.name();
        lines.push(format!(
            "held to the least rights of profile {profile}, because over RADIUS nothing holds the user to {}",
            escape(parts)
        ));
    }
    if let (Some(profile), false) = (profile, why.left_out.is_empty()) {
        let (names, profile) = (why.left_out.join(", "), profile.name());
        lines.push(format!(
            "left out, because profile {profile} is not for them: {names}"
        ));
    }
    if !why.nearest.is_empty() {
        lines.push("nearest rules that did not match:".into());
        for miss in &why.nearest {
            lines.push(format!("  {}: {}", miss.rule.location, miss.rule.text));
            lines.push(format!("    {}", escape(&miss.failed)));
        }
    }
    lines.join("\n")
}

fn as_json(why: &Explanation, profile: Option<Profile>) -> serde_json::Value {
    let rule = why.verdict.rule.as_deref().map(rule_json);
    let nearest: Vec<serde_json::Value> = why.nearest.iter().map(miss_json).collect();
    let mut object = json!({
        "decision": why.verdict.decision.name(),
        "reason": why.verdict.reason.name(),
        "rule": rule,
        "role": why.role.as_deref(),
        "why": why.why,
        "nearest": nearest,
    });
    if let (Some(attributes), Some(object)) = (&why.attributes, object.as_object_mut()) {
        let pairs = attributes.iter();
        let pairs = pairs.map(|one| json!([one.name, one.text])).collect();
        object.insert("attributes".into(), pairs);
        if let Some(named) = profile {
            let origins = attributes.iter().map(|one| origin(profile, one));
            object.insert("profile".into(), named.name().into());
            object.insert("origins".into(), origins.collect());
            object.insert("held_to_least".into(), json!(why.held_to_least.as_deref()));
            object.insert("left_out".into(), json!(why.left_out));
        }
    }
    object
}

pub(super) fn rule_json(rule: &RuleReference) -> serde_json::Value {
    json!({
        "file": rule.location.file.to_string_lossy(),
        "line": rule.location.line,
        "text": &*rule.text,
    })
}

fn miss_json(miss: &Miss) -> serde_json::Value {
    json!({
        "file": miss.rule.location.file.to_string_lossy(),
        "line": miss.rule.location.line,
        "text": &*miss.rule.text,
        "failed": miss.failed,
    })
}
