//! What an authorization reply lets a client do: which of its arguments the client can handle, and what applies in the
//! end (RFC 8907 sections 6.1, 6.2 and 8).

use std::collections::BTreeSet;

use doorward_tacacs::dictionary::{Definition, Place};
use doorward_tacacs::{Argument, ArgumentList, AuthorizationStatus, Dialect};

/// The arguments a client can act on. A mandatory argument outside this set makes an authorization fail.
#[derive(Clone, Debug, Default)]
pub struct Handled {
    everything: bool,
    names: BTreeSet<Vec<u8>>,
}

impl Handled {
    /// The arguments of section 8.2, with values of their types.
    pub fn rfc8907() -> Self {
        Self::default()
    }

    /// Every well-formed argument: for programs that show a reply instead of acting on it.
    pub fn everything() -> Self {
        Self {
            everything: true,
            names: BTreeSet::new(),
        }
    }

    /// These names too, with any value.
    #[must_use]
    pub fn and(mut self, names: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.names.extend(names.into_iter().map(Into::into));
        self
    }

    fn handles(&self, argument: &Argument<'_>) -> bool {
        match definition(argument.name) {
            // A value that does not fit its type counts as an argument that is not handled (section 8.1).
            Some(definition) => definition.check(argument.value).is_ok(),
            None => self.everything || self.names.contains(argument.name),
        }
    }
}

/// Whether section 8.2 lists the name.
pub fn is_rfc_argument(name: &[u8]) -> bool {
    definition(name).is_some()
}

/// The definition of an argument of authorization in RFC 8907.
fn definition(name: &[u8]) -> Option<&'static Definition> {
    Definition::of(name, Dialect::Rfc8907).filter(|one| one.place != Place::Accounting)
}

/// What applies: for PASS_ADD the arguments of the request and those of the reply, for PASS_REPL those of the reply
/// alone. Optional ones that are not handled are left out; the error is a mandatory one that is not.
pub(crate) fn effective(
    status: AuthorizationStatus,
    request: &ArgumentList,
    reply: &[Vec<u8>],
    handled: &Handled,
) -> Result<Vec<Vec<u8>>, Vec<u8>> {
    let mut effective: Vec<Vec<u8>> = Vec::new();
    if status == AuthorizationStatus::PASS_ADD {
        effective.extend(request.as_arguments().raw().map(<[u8]>::to_vec));
    }
    for octets in reply {
        match Argument::parse(octets) {
            Ok(argument) if handled.handles(&argument) => effective.push(octets.clone()),
            Ok(argument) if !argument.is_mandatory() => {}
            Ok(_) | Err(_) => return Err(octets.clone()),
        }
    }
    Ok(effective)
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_tacacs::Separator;

    fn request() -> ArgumentList {
        let mut list = ArgumentList::new();
        list.push("service", Separator::Mandatory, "shell").unwrap();
        list.push("cmd", Separator::Mandatory, "").unwrap();
        list
    }

    fn judge(
        status: AuthorizationStatus,
        reply: &[&str],
        handled: &Handled,
    ) -> Result<Vec<String>, String> {
        let reply: Vec<Vec<u8>> = reply.iter().map(|text| text.as_bytes().to_vec()).collect();
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        effective(status, &request(), &reply, handled)
            .map(|list| list.into_iter().map(text).collect())
            .map_err(text)
    }

    fn add(reply: &[&str]) -> Result<Vec<String>, String> {
        judge(AuthorizationStatus::PASS_ADD, reply, &Handled::rfc8907())
    }

    #[test]
    fn add_keeps_the_request_and_repl_drops_it() {
        let replace =
            |reply: &[&str]| judge(AuthorizationStatus::PASS_REPL, reply, &Handled::rfc8907());
        assert_eq!(
            add(&["priv-lvl=15"]).unwrap(),
            ["service=shell", "cmd=", "priv-lvl=15"]
        );
        assert_eq!(add(&[]).unwrap(), ["service=shell", "cmd="]);
        assert_eq!(replace(&["priv-lvl=15"]).unwrap(), ["priv-lvl=15"]);
        assert!(replace(&[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_handled_decides_by_its_separator() {
        assert_eq!(add(&["x-unknown=1"]), Err("x-unknown=1".to_owned()));
        assert_eq!(add(&["x-unknown*1"]).unwrap(), ["service=shell", "cmd="]);
        assert_eq!(add(&["shell"]), Err("shell".to_owned()));
        assert_eq!(add(&[""]), Err(String::new()));
        let more = Handled::rfc8907().and(["x-unknown"]);
        assert!(judge(AuthorizationStatus::PASS_ADD, &["x-unknown=1"], &more).is_ok());
        assert!(judge(AuthorizationStatus::PASS_ADD, &["x-other=1"], &more).is_err());
        assert!(
            judge(
                AuthorizationStatus::PASS_ADD,
                &["x-other=1"],
                &Handled::everything()
            )
            .is_ok()
        );
    }

    /// proves: TAC-8.1-3, TAC-8.1-4, TAC-8.1-5
    #[test]
    fn a_number_that_does_not_fit_is_not_handled() {
        assert!(add(&["timeout=99999999999999999999"]).is_err());
        assert_eq!(
            add(&["timeout*99999999999999999999"]).unwrap(),
            ["service=shell", "cmd="]
        );
        assert!(add(&[&format!("priv-lvl={}", "9".repeat(200))]).is_err());
        assert!(add(&["timeout=0"]).is_ok());
    }

    /// proves: TAC-8.1-2, TAC-8.1-6
    #[test]
    fn values_have_the_types_of_their_names() {
        for good in [
            "timeout=16",
            "idletime=30",
            "priv-lvl=0",
            "priv-lvl=15",
            "noescape=true",
            "addr=2001:db8::1",
            "acl=101",
        ] {
            assert!(add(&[good]).is_ok(), "{good}");
        }
        for bad in [
            "timeout=0x10",
            "idletime=-1",
            "timeout=+1",
            "priv-lvl=16",
            "priv-lvl=-1",
            "noescape=yes",
            "addr=notanip",
        ] {
            assert!(add(&[bad]).is_err(), "{bad}");
        }
    }
}
