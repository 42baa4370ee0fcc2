//! Definitions that cannot both be true.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use super::attribute::{Attribute, Hiding, Kind};
use super::show::numbered;

/// Why an attribute is not added.
#[derive(Debug)]
pub(super) enum Clash {
    /// Its name stands for another number.
    Name {
        name: String,
        known: String,
        new: String,
    },
    /// Its number has another type or other flags.
    Form {
        name: String,
        known: String,
        form: String,
        new: String,
    },
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name, known, new } => {
                write!(f, "{name} is {known} already, and cannot be {new} too")
            }
            Self::Form {
                name,
                known,
                form,
                new,
            } if name.eq_ignore_ascii_case(known) => {
                write!(f, "{name} is `{form}` already, and cannot be `{new}`")
            }
            Self::Form {
                name,
                known,
                form,
                new,
            } => write!(
                f,
                "the number of {name} is that of {known}, which is `{form}` and cannot be `{new}` too"
            ),
        }
    }
}

/// One name has one number.
pub(super) fn one_number(known: &Attribute, new: &Attribute) -> Result<(), Clash> {
    if (known.vendor, &known.path) == (new.vendor, &new.path) {
        return Ok(());
    }
    Err(Clash::Name {
        name: new.name.clone(),
        known: numbered(known.vendor, &known.path),
        new: numbered(new.vendor, &new.path),
    })
}

/// One number has one type, whatever it is called; text and octets are read alike.
pub(super) fn one_form(known: &Attribute, new: &Attribute) -> Result<(), Clash> {
    let text = |one: &Attribute| matches!(one.kind, Kind::Text | Kind::String);
    let same = (known.kind == new.kind || (text(known) && text(new)))
        && known.tagged == new.tagged
        && known.hidden == new.hidden;
    if same {
        return Ok(());
    }
    Err(Clash::Form {
        name: new.name.clone(),
        known: known.name.clone(),
        form: form(known),
        new: form(new),
    })
}

/// The type and flags as a file writes them.
fn form(attribute: &Attribute) -> String {
    let mut form = attribute.kind.word().to_string();
    if attribute.tagged {
        form.push_str(" has_tag");
    }
    let hidden = match attribute.hidden {
        Hiding::None => return form,
        Hiding::UserPassword => 1,
        Hiding::TunnelPassword => 2,
        Hiding::Ascend => 3,
    };
    form.push_str(&format!(" encrypt={hidden}"));
    form
}
