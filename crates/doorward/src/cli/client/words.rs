//! The arguments of requests and records, out of the words of the command line (RFC 8907 section 8).

use std::time::{SystemTime, UNIX_EPOCH};

use doorward_client::{
    AccountingRecord, ArgumentList, AuthenticationMethod, Separator, for_display,
};
use doorward_tacacs::Dialect;
use doorward_tacacs::dictionary::{Definition, SERVICES};

use super::Problem;

/// The words of a command; one word with blanks in it is a whole line in quotes.
pub(super) fn split(command: &[String]) -> Vec<String> {
    match command {
        [line] => line.split_whitespace().map(str::to_owned).collect(),
        words => words.to_vec(),
    }
}

/// What to ask for: always a service, and for a shell a command, which is empty for the session itself.
pub(super) fn request(words: &[String], extra: &[String]) -> Result<ArgumentList, Problem> {
    let (mut list, shell) = begin(words, extra)?;
    if shell && words.is_empty() && !has(extra, "cmd") {
        push(&mut list, "cmd=")?;
    }
    finish(list, extra)
}

/// What to record.
pub(super) fn record(words: &[String], extra: &[String]) -> Result<ArgumentList, Problem> {
    finish(begin(words, extra)?.0, extra)
}

/// The service and the command, and whether the service is a shell.
fn begin(words: &[String], extra: &[String]) -> Result<(ArgumentList, bool), Problem> {
    let mut list = ArgumentList::new();
    let given: Vec<&String> = extra
        .iter()
        .filter(|argument| is_named(argument, "service"))
        .collect();
    for service in &given {
        push(&mut list, service)?;
    }
    if given.is_empty() {
        push(&mut list, "service=shell")?;
    }
    let shell = given.is_empty()
        || given
            .iter()
            .any(|argument| argument.get(8..) == Some("shell"));
    if let Some((command, rest)) = words.split_first() {
        push(&mut list, &format!("cmd={command}"))?;
        for word in rest {
            push(&mut list, &format!("cmd-arg={word}"))?;
        }
    }
    Ok((list, shell))
}

fn finish(mut list: ArgumentList, extra: &[String]) -> Result<ArgumentList, Problem> {
    for argument in extra
        .iter()
        .filter(|argument| !is_named(argument, "service"))
    {
        push(&mut list, argument)?;
    }
    Ok(list)
}

fn push(list: &mut ArgumentList, argument: &str) -> Result<(), Problem> {
    list.push_raw(argument)
        .map_err(|error| Problem::Usage(format!("\"{}\": {error}", argument.escape_debug())))
}

fn has(extra: &[String], name: &str) -> bool {
    extra.iter().any(|argument| is_named(argument, name))
}

fn is_named(argument: &str, name: &str) -> bool {
    argument
        .strip_prefix(name)
        .is_some_and(|rest| rest.starts_with(['=', '*']))
}

/// The time of a start or stop, in seconds of UTC, unless an argument says it already.
pub(super) fn add_time(list: &mut ArgumentList, record: AccountingRecord) -> Result<(), Problem> {
    let name = match record {
        AccountingRecord::Start => "start_time",
        AccountingRecord::Stop => "stop_time",
        AccountingRecord::Watchdog | AccountingRecord::Update => return Ok(()),
    };
    let known = list
        .as_arguments()
        .iter()
        .flatten()
        .any(|argument| argument.name == name.as_bytes());
    if known {
        return Ok(());
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    list.push(name, Separator::Mandatory, now.as_secs().to_string())
        .map_err(Problem::usage)
}

/// Whether the service is a vendor's own, so that nobody but the device knows which arguments it can handle.
pub(super) fn is_foreign(list: &ArgumentList) -> bool {
    let arguments = list.as_arguments();
    let mut services = arguments
        .iter()
        .flatten()
        .filter(|argument| argument.name == b"service");
    services.all(|argument| {
        SERVICES
            .iter()
            .all(|(name, _)| name.as_bytes() != argument.value)
    })
}

/// What a server may not like about arguments, which are sent all the same: whoever types them may want to see just that.
pub(super) fn doubts(list: &ArgumentList, method: AuthenticationMethod) -> Vec<String> {
    let arguments = || list.as_arguments().iter().flatten();
    let service = arguments()
        .find(|argument| argument.name == b"service")
        .map_or(&b""[..], |argument| argument.value);
    let mut doubts = Vec::new();
    for argument in arguments() {
        let Some(defined) = Definition::of(argument.name, Dialect::Rfc8907) else {
            continue;
        };
        if let Err(error) = defined.check(argument.value) {
            doubts.push(format!(
                "note: {} should be {error}, not `{}`: the other side may regard it as not handled",
                defined.name,
                for_display(argument.value)
            ));
        }
        if !defined.fits(service, method) {
            doubts.push(format!(
                "note: {} is for service=system, not for service={}",
                defined.name,
                for_display(service)
            ));
        }
    }
    doubts
}

/// The request in a few words.
pub(super) fn describe(list: &ArgumentList) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut service = String::new();
    for argument in list.as_arguments().iter().flatten() {
        match argument.name {
            b"cmd" | b"cmd-arg" if !argument.value.is_empty() => {
                words.push(for_display(argument.value))
            }
            b"service" => service = for_display(argument.value),
            _ => {}
        }
    }
    if words.is_empty() {
        format!("service {service}")
    } else {
        format!("\"{}\"", words.join(" "))
    }
}
