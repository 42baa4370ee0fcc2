//! What is derived of one role for devices of one profile, and what of the role would be lost on the way.
//!
//! Over TACACS+ a role holds by `commands` and by the arguments of its shell, too. What of that no attribute says is lost over
//! RADIUS, so that the rights that are derived are then the least that the vendor has: nobody may be more there than here.

use super::{Derived, Entry, Form, From, Profile};
use crate::policy::role::{GrantedArgument, ReplyAttribute, ReplyValue, Role, ShellGrant};

/// The highest privilege level (RFC 8907 section 9); vendors without levels give it to their administrators alone.
const ROOT: u8 = 15;
/// What a role that loses something is held to: the level of somebody who may look.
const READER: u8 = 1;

/// What a profile wants said of a role, before it is looked up in the dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    /// The attribute's name in the built-in dictionary.
    pub attribute: &'static str,
    /// Its value in words, numbers as digits.
    pub value: String,
    /// Which part of the role it is made of, for people.
    pub from: &'static str,
    /// It says what somebody may do.
    pub rights: bool,
    /// It takes something away, beside whatever else does.
    pub adds_up: bool,
}

/// What is said of a role to devices of a profile when it lets somebody in to a shell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derivation {
    /// What is said.
    pub sayings: Vec<Saying>,
    /// What would be said if nothing were lost.
    pub whole: Vec<Saying>,
    /// Parts of the role that hold over TACACS+ and that no attribute says, in words of the file. Rights are the least then.
    pub lost: Vec<String>,
    /// Restrictions that cannot be said, and beside which there is nothing less to fall back to: of a user that the device knows by
    /// name, of a shell whose roles may be fewer than the vendor's own, or one that ends after a command.
    pub unsaid: Vec<String>,
    /// The role's shell has level 0, which is less than the least word of many vendors.
    pub level_zero: bool,
}

impl Profile {
    /// What is said of a role to these devices when it lets somebody in to a shell; nothing for a role without one.
    pub fn derive(self, role: &Role) -> Derivation {
        let (Some(entry), Some(shell)) = (self.entry(), role.shell.as_deref()) else {
            return Derivation::default();
        };
        let lost = entry.lost(role, shell);
        let told = |least| {
            let teller = Teller { role, shell, least };
            teller.tell(entry.derived)
        };
        Derivation {
            sayings: told(!lost.is_empty()),
            whole: told(false),
            unsaid: entry.unsaid(role, shell, &lost),
            level_zero: level(shell) == 0,
            lost,
        }
    }
}

/// `priv_lvl`, or what `attributes` has of it. Without either devices give over TACACS+ the level of somebody who may look.
fn level(shell: &ShellGrant) -> u8 {
    let written = shell.arguments_named("priv-lvl");
    shell
        .priv_lvl
        .or_else(|| written.filter_map(|one| one.value.parse().ok()).min())
        .unwrap_or(READER)
}

/// Arguments of a shell that are told by other means, or take nothing away.
const TOLD: [&str; 4] = ["priv-lvl", "idletime", "timeout", "nohangup"];

/// Who gets a shell for this alone gets no shell where it is lost.
const AUTOCMD: &str = "autocmd";
/// Those that a device may ignore by RFC 8907 section 6.1 where they end in `*`, and that no careful one does.
const RESTRICTING: [&str; 5] = ["acl", "inacl", "outacl", "autocmd", "noescape"];

impl Entry {
    fn lost(&self, role: &Role, shell: &ShellGrant) -> Vec<String> {
        let mut lost = Vec::new();
        let named = self.derived.iter().find_map(Derived::service);
        if named.is_some_and(|service| self.has_name(role, service)) {
            // Such a device asks for its service and for nothing else, over TACACS+, too.
            return lost;
        }
        if role.commands.restrict() {
            lost.push("`commands`".to_owned());
        }
        for argument in &shell.arguments {
            let name = argument.name.to_ascii_lowercase();
            let granting = self.derived.iter().filter_map(Derived::granting);
            let matters = argument.mandatory
                || RESTRICTING.contains(&&*name)
                || granting.into_iter().any(|one| *one == *argument.name);
            if matters && !TOLD.contains(&&*argument.name) && !self.carries(argument) {
                lost.push(format!("`{}` of its shell", argument.name));
            }
        }
        for service in &role.services {
            if self.asks.contains(&&*service.name) {
                lost.push(format!("`services.{}`", service.name));
            }
        }
        lost.dedup();
        lost
    }

    /// Whether the role names the user of the device whose rights somebody has there.
    fn has_name(&self, role: &Role, service: &str) -> bool {
        let is_name = |one: &&Derived| {
            let form = matches!(
                one.from,
                From::Argument {
                    form: Form::Name,
                    ..
                }
            );
            form && arguments(role, service).any(|given| one.is_made_of(given))
        };
        self.derived.iter().any(|one| is_name(&one))
    }

    fn carries(&self, given: &GrantedArgument) -> bool {
        self.derived.iter().any(|one| match one.from {
            From::Shell { argument, text, .. } => {
                *given.name == *argument && is_sayable(&pair(text, given))
            }
            From::Level { .. } | From::Word { .. } | From::Name | From::Argument { .. } => false,
        })
    }

    fn unsaid(&self, role: &Role, shell: &ShellGrant, lost: &[String]) -> Vec<String> {
        if let Some(service) = self.derived.iter().find_map(Derived::service) {
            return self.unsaid_of_service(role, service);
        }
        let mut granted = self.derived.iter().filter_map(Derived::granting);
        if granted.any(|argument| shell.arguments_named(argument).next().is_some()) {
            return lost.to_vec();
        }
        let ends =
            |one: &&GrantedArgument| one.name.eq_ignore_ascii_case(AUTOCMD) && !self.carries(one);
        let ending = shell.arguments.iter().find(ends);
        let ending = ending.map(|one| format!("`{}` of its shell", one.name));
        ending.into_iter().collect()
    }

    /// Arguments of the service that the device asks for, of which no attribute says what they hold somebody to.
    fn unsaid_of_service(&self, role: &Role, service: &str) -> Vec<String> {
        let mut unsaid = Vec::new();
        let mut lacks = |name: &str| unsaid.push(format!("`{name}` of `services.{service}`"));
        for granted in arguments(role, service) {
            // An allowance that does not arrive takes nothing away from anybody's restrictions.
            let name = granted.name.to_ascii_lowercase();
            let matters =
                !name.starts_with("allow-") && (granted.mandatory || name.starts_with("deny-"));
            if matters && !self.derived.iter().any(|one| one.is_made_of(granted)) {
                lacks(&granted.name);
            }
        }
        for one in self.derived {
            let From::Argument { name, form, .. } = one.from else {
                continue;
            };
            let found = arguments(role, service).filter(|granted| one.is_made_of(granted));
            let values: Vec<&str> = found.map(|granted| &*granted.value).collect();
            let said = match form {
                // Of two names either may be the lesser.
                Form::Name => values.len() < 2 && values.iter().all(|one| is_sayable(one)),
                Form::Each => {
                    name.starts_with("allow-") || values.iter().all(|one| is_sayable(one))
                }
                Form::Joined => values.is_empty() || is_sayable(&values.join(" ")),
            };
            if !said {
                lacks(name);
            }
        }
        unsaid.dedup();
        unsaid
    }
}

fn arguments<'r>(role: &'r Role, service: &str) -> impl Iterator<Item = &'r GrantedArgument> {
    let granted = role.service(service, None);
    granted.into_iter().flat_map(|one| &one.grant.arguments)
}

/// Longer texts fit into no attribute of a vendor, and are no name on any device.
const LONGEST: usize = 247;

fn is_sayable(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control)
}

/// `shell:acl=5`, or `shell:acl*5` where a device may ignore it; the value alone in an attribute of its own.
fn pair(text: &str, given: &GrantedArgument) -> String {
    if text.is_empty() {
        return given.value.to_string();
    }
    let separator = if given.mandatory { '=' } else { '*' };
    format!("{text}{separator}{}", given.value)
}

impl Derived {
    /// The service whose arguments it is made of.
    fn service(&self) -> Option<&'static str> {
        match self.from {
            From::Argument { service, .. } => Some(service),
            From::Level { .. } | From::Word { .. } | From::Shell { .. } | From::Name => None,
        }
    }

    /// The argument of a shell that it is made of, if that gives rights.
    fn granting(&self) -> Option<&'static str> {
        match self.from {
            From::Shell {
                argument,
                grants: true,
                ..
            } => Some(argument),
            From::Level { .. }
            | From::Word { .. }
            | From::Shell { .. }
            | From::Name
            | From::Argument { .. } => None,
        }
    }

    fn is_made_of(&self, granted: &GrantedArgument) -> bool {
        match self.from {
            From::Argument { name, form, .. } => {
                let rest = granted.name.strip_prefix(name);
                rest.is_some_and(|rest| {
                    let numbered =
                        form == Form::Each && rest.bytes().all(|one| one.is_ascii_digit());
                    rest.is_empty() || numbered
                })
            }
            From::Level { .. } | From::Word { .. } | From::Shell { .. } | From::Name => false,
        }
    }
}

/// One role on its way to one profile.
struct Teller<'r> {
    role: &'r Role,
    shell: &'r ShellGrant,
    /// The rights are to be the least there are.
    least: bool,
}

impl Teller<'_> {
    fn tell(&self, derived: &[Derived]) -> Vec<Saying> {
        let mut sayings: Vec<Saying> = Vec::new();
        for one in derived {
            // Words that the shell has of its own are said in the place of the one that the level would be.
            let is_word = matches!(one.from, From::Word { .. });
            let said = |made: &Saying| made.attribute == one.attribute && made.from == ARGUMENTS;
            if !(is_word && sayings.iter().any(|made| said(made) && made.rights)) {
                sayings.extend(self.sayings(one));
            }
        }
        sayings.extend(self.times());
        sayings.retain(|one| is_sayable(&one.value));
        sayings
    }

    /// The level that is said, if it is not below the least that the device knows.
    fn level(&self, least: u8) -> Option<u8> {
        let level = level(self.shell);
        let level = if self.least { level.min(READER) } else { level };
        (level >= least).then_some(level)
    }

    fn sayings(&self, one: &Derived) -> Vec<Saying> {
        let say = |value: String, from, rights| Saying {
            attribute: one.attribute,
            value,
            from,
            rights,
            adds_up: matches!(one.from, From::Argument { name, .. } if name.starts_with("deny-")),
        };
        let from_level = if self.least { CAPPED } else { LEVEL };
        match one.from {
            From::Level {
                least,
                text,
                coarse,
            } => {
                let level = self.level(least);
                let between = |level: u8| coarse && level > READER && level < ROOT;
                let level = level.map(|level| if between(level) { READER } else { level });
                let said = level.map(|level| say(format!("{text}{level}"), from_level, true));
                said.into_iter().collect()
            }
            From::Word { root, rest, least } => {
                let word = self
                    .level(least)
                    .map(|level| if level == ROOT { root } else { rest });
                let said = word.map(|word| say(word.to_owned(), from_level, true));
                said.into_iter().collect()
            }
            From::Shell {
                argument,
                text,
                grants,
            } if !(grants && self.least) => {
                let given = self.shell.arguments_named(argument);
                given
                    .map(|given| say(pair(text, given), ARGUMENTS, grants))
                    .collect()
            }
            From::Shell { .. } => Vec::new(),
            From::Name => vec![say(self.role.name.to_string(), NAME, false)],
            From::Argument { service, form, .. } => {
                let granted = arguments(self.role, service).filter(|given| one.is_made_of(given));
                let values: Vec<&str> = granted.map(|given| &*given.value).collect();
                match form {
                    // What the role's name stands for is only known on the device.
                    Form::Name if values.is_empty() && self.least => Vec::new(),
                    Form::Name if values.is_empty() => {
                        vec![say(self.role.name.to_string(), NAME, true)]
                    }
                    Form::Name | Form::Each => {
                        let said = values.into_iter();
                        said.map(|value| say(value.to_owned(), SERVICE, form == Form::Name))
                            .collect()
                    }
                    Form::Joined => vec![say(values.join(" "), SERVICE, false)],
                }
            }
        }
    }

    /// TACACS+ counts minutes, RADIUS seconds; zero is no end in TACACS+, and in RADIUS nothing that devices agree about.
    fn times(&self) -> impl Iterator<Item = Saying> {
        let times = [
            ("timeout", "Session-Timeout", "timeout"),
            ("idletime", "Idle-Timeout", "idle_time"),
        ];
        times.into_iter().filter_map(|(argument, attribute, from)| {
            let given = self.shell.arguments_named(argument).next()?;
            let minutes: u32 = given.value.parse().ok()?;
            let seconds = minutes.saturating_mul(60);
            (seconds > 0).then(|| Saying {
                attribute,
                value: seconds.to_string(),
                from,
                rights: false,
                adds_up: false,
            })
        })
    }
}

/// Parts of a role.
const LEVEL: &str = "priv_lvl";
const CAPPED: &str = "priv_lvl, held to the least";
const ARGUMENTS: &str = "attributes of shell";
const NAME: &str = "the role's name";
const SERVICE: &str = "services.junos-exec";

/// Attributes that hold pairs: `shell:priv-lvl=15`.
const PAIRS: [&str; 2] = ["Cisco-AVPair", "Arista-AVPair"];

/// One of them. Devices look neither at the case of its words nor at blanks around them.
#[derive(Clone, Copy)]
struct Pair<'v> {
    protocol: &'v [u8],
    name: &'v [u8],
    /// Behind `=` or `*`.
    value: &'v [u8],
}

impl<'v> Pair<'v> {
    fn read(text: &'v [u8]) -> Option<Self> {
        let colon = text.iter().position(|octet| *octet == b':')?;
        let (protocol, rest) = (text.get(..colon)?, text.get(colon + 1..)?);
        let end = rest.iter().position(|octet| matches!(octet, b'=' | b'*'));
        let end = end.unwrap_or(rest.len());
        let pair = Self {
            protocol: protocol.trim_ascii(),
            name: rest.get(..end)?.trim_ascii(),
            value: rest.get(end + 1..).unwrap_or_default(),
        };
        let word = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-';
        (!pair.protocol.is_empty() && pair.protocol.iter().all(word)).then_some(pair)
    }

    fn has_name_of(&self, other: &Pair<'_>) -> bool {
        self.protocol.eq_ignore_ascii_case(other.protocol)
            && self.name.eq_ignore_ascii_case(other.name)
    }
}

impl Profile {
    /// Whether an attribute of a role, one of [`Profile::rights`] by its name, says what somebody may do by its value, too.
    pub fn states_rights(self, attribute: &str, value: &ReplyValue) -> bool {
        let ReplyValue::Plain(value) = value else {
            return false;
        };
        match attribute {
            "Service-Type" => super::PROMPTS.iter().any(|one| one == &value[..]),
            _ if PAIRS.contains(&attribute) => Pair::read(value).is_some_and(|own| {
                let derived = self.entry().map_or(&[][..], |entry| entry.derived);
                let mut texts = derived.iter().filter_map(|one| one.from.rights_text());
                texts.any(|text| {
                    Pair::read(text.as_bytes()).is_some_and(|one| own.has_name_of(&one))
                }) && !own.value.trim_ascii().is_empty()
            }),
            _ => true,
        }
    }

    /// Whether the role's own attribute stands in the place of one that the profile would add: the same attribute, of those that hold pairs
    /// one of the same name, or of rights both. Denials add up.
    pub fn takes_the_place_of(
        self,
        own: &ReplyAttribute,
        saying: &Saying,
        derived: &ReplyAttribute,
    ) -> bool {
        if !own.is_alike(derived) || saying.adds_up {
            return false;
        }
        if !PAIRS.contains(&saying.attribute) {
            return true;
        }
        let (ReplyValue::Plain(ours), ReplyValue::Plain(theirs)) = (&own.value, &derived.value)
        else {
            return false;
        };
        let same = match (Pair::read(ours), Pair::read(theirs)) {
            (Some(ours), Some(theirs)) => ours.has_name_of(&theirs),
            _ => false,
        };
        same || (saying.rights && self.states_rights(saying.attribute, &own.value))
    }
}

impl From {
    /// The beginning of a pair that gives rights.
    fn rights_text(&self) -> Option<&'static str> {
        match self {
            Self::Level { text, .. } => Some(text),
            Self::Word { root, .. } => Some(root),
            Self::Shell { text, grants, .. } => grants.then_some(text),
            Self::Name | Self::Argument { .. } => None,
        }
    }
}
