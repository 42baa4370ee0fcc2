//! Vendor profiles: what an Access-Accept says of a role in the words of one vendor's devices.
//!
//! [`TABLE`] is all there is to know of them. `docs/guide/profiles.md` has the same for people, with the source of each fact.

use super::role::{ReplyAttribute, ReplyValue, Role};

/// The highest privilege level (RFC 8907 section 9); vendors without levels give it to their administrators alone.
const ROOT: u8 = 15;

/// `Service-Type` of a prompt with all rights, and of one without (RFC 2865 section 5.6): numbers, which no dictionary renames.
const ADMINISTRATIVE_USER: &str = "6";
const NAS_PROMPT_USER: &str = "7";

/// Of Microsoft, and meant for devices of all vendors (RFC 2548).
const MICROSOFT: u32 = 311;

macro_rules! profiles {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// `profile` of a device: how a role is rendered for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Profile { $($(#[$doc])* $variant,)* }

        impl Profile {
            /// Every profile, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
            /// Their names.
            pub const NAMES: &[&str] = &[$($name,)*];

            /// The name in the file.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

profiles! {
    /// Arista EOS.
    AristaEos = "arista-eos";
    /// Aruba controllers and access points.
    ArubaAos = "aruba-aos";
    /// Aruba switches with AOS-CX.
    ArubaAosCx = "aruba-aos-cx";
    /// Cisco IOS.
    CiscoIos = "cisco-ios";
    /// Cisco IOS-XE.
    CiscoIosXe = "cisco-ios-xe";
    /// Cisco IOS-XR.
    CiscoIosXr = "cisco-ios-xr";
    /// Cisco NX-OS.
    CiscoNxOs = "cisco-nx-os";
    /// Fortinet FortiOS.
    FortinetFortios = "fortinet-fortios";
    /// HPE ProCurve, later ArubaOS-Switch.
    HpeProcurve = "hpe-procurve";
    /// Huawei VRP.
    HuaweiVrp = "huawei-vrp";
    /// Juniper Junos.
    JuniperJunos = "juniper-junos";
    /// MikroTik RouterOS.
    MikrotikRouteros = "mikrotik-routeros";
    /// Palo Alto Networks Panorama.
    PaloaltoPanorama = "paloalto-panorama";
    /// Palo Alto Networks PAN-OS.
    PaloaltoPanos = "paloalto-panos";
    /// Any device with the attributes of the IETF.
    Rfc5607 = "rfc5607";
}

/// An attribute of a profile, by its name in the dictionary, and where its value comes from.
struct Derived {
    attribute: &'static str,
    from: From,
}

/// What of a role makes a value.
enum From {
    /// `priv_lvl` of its shell, if it is not below the least that the device knows, after this text.
    Level { least: u8, text: &'static str },
    /// One word for level 15, another for every level below it: the vendor has no numbers.
    Word {
        root: &'static str,
        rest: &'static str,
    },
    /// The role's own name, if it has a shell.
    Name,
    /// This argument of this service, which says the same over TACACS+; else the role's own name where that is a name there, too.
    Argument {
        service: &'static str,
        name: &'static str,
        or_name: bool,
    },
}

/// One vendor's devices.
struct Entry {
    profile: Profile,
    /// The enterprise numbers whose attributes these devices know.
    vendors: &'static [u32],
    derived: &'static [Derived],
}

const fn level(attribute: &'static str, least: u8, text: &'static str) -> Derived {
    Derived {
        attribute,
        from: From::Level { least, text },
    }
}

const fn word(attribute: &'static str, root: &'static str, rest: &'static str) -> Derived {
    Derived {
        attribute,
        from: From::Word { root, rest },
    }
}

const fn junos(attribute: &'static str, name: &'static str, or_name: bool) -> Derived {
    Derived {
        attribute,
        from: From::Argument {
            service: "junos-exec",
            name,
            or_name,
        },
    }
}

/// Cisco, its ASA (3076) and its wireless controllers (Airespace, 14179), of which IOS-XE has the heritage.
const CISCO: &[u32] = &[9, 3076, 14179];
/// Hewlett Packard and Aruba are one house; newer switches of either take some of the other's.
const HPE: &[u32] = &[11, 14823];
const PALO_ALTO: &[u32] = &[25461];

const SERVICE_TYPE: Derived = word("Service-Type", ADMINISTRATIVE_USER, NAS_PROMPT_USER);
const IOS: &[Derived] = &[level("Cisco-AVPair", 0, "shell:priv-lvl=")];

/// Every profile, in the order of [`Profile::ALL`], which a test compares.
const TABLE: &[Entry] = &[
    Entry {
        profile: Profile::AristaEos,
        vendors: &[30065],
        derived: &[
            level("Arista-AVPair", 0, "shell:priv-lvl="),
            word(
                "Arista-AVPair",
                "shell:roles=network-admin",
                "shell:roles=network-operator",
            ),
        ],
    },
    Entry {
        profile: Profile::ArubaAos,
        vendors: HPE,
        derived: &[word("Aruba-Admin-Role", "root", "read-only")],
    },
    Entry {
        profile: Profile::ArubaAosCx,
        vendors: HPE,
        // 1 is an operator; a device that hears of no level it knows lets nobody in. Aruba-Admin-Role would beat this one.
        derived: &[level("Aruba-Priv-Admin-User", 1, "")],
    },
    Entry {
        profile: Profile::CiscoIos,
        vendors: CISCO,
        derived: IOS,
    },
    Entry {
        profile: Profile::CiscoIosXe,
        vendors: CISCO,
        derived: IOS,
    },
    Entry {
        profile: Profile::CiscoIosXr,
        vendors: CISCO,
        // User groups that every system has.
        derived: &[word(
            "Cisco-AVPair",
            "shell:tasks=#root-system",
            "shell:tasks=#operator",
        )],
    },
    Entry {
        profile: Profile::CiscoNxOs,
        vendors: CISCO,
        derived: &[word(
            "Cisco-AVPair",
            "shell:roles=\"network-admin\"",
            "shell:roles=\"network-operator\"",
        )],
    },
    Entry {
        profile: Profile::FortinetFortios,
        vendors: &[12356],
        derived: &[
            word(
                "Fortinet-Access-Profile",
                "super_admin",
                "super_admin_readonly",
            ),
            Derived {
                attribute: "Fortinet-Group-Name",
                from: From::Name,
            },
        ],
    },
    Entry {
        profile: Profile::HpeProcurve,
        vendors: HPE,
        derived: &[SERVICE_TYPE, level("HP-Privilege-Level", 1, "")],
    },
    Entry {
        profile: Profile::HuaweiVrp,
        vendors: &[2011],
        derived: &[level("Huawei-Exec-Privilege", 0, "")],
    },
    Entry {
        profile: Profile::JuniperJunos,
        // Juniper, and Unisphere (4874), whose attributes Junos knows for subscribers.
        vendors: &[2636, 4874],
        derived: &[
            junos("Juniper-Local-User-Name", "local-user-name", true),
            junos("Juniper-Allow-Commands", "allow-commands", false),
            junos("Juniper-Deny-Commands", "deny-commands", false),
            junos("Juniper-Allow-Configuration", "allow-configuration", false),
            junos("Juniper-Deny-Configuration", "deny-configuration", false),
            junos("Juniper-User-Permissions", "user-permissions", false),
        ],
    },
    Entry {
        profile: Profile::MikrotikRouteros,
        // MikroTik, Ascend (529) and WISPr (14122), of which RouterOS takes rates and redirections.
        vendors: &[14988, 529, 14122],
        derived: &[word("Mikrotik-Group", "full", "read")],
    },
    Entry {
        profile: Profile::PaloaltoPanorama,
        vendors: PALO_ALTO,
        derived: &[word(
            "PaloAlto-Panorama-Admin-Role",
            "superuser",
            "superreader",
        )],
    },
    Entry {
        profile: Profile::PaloaltoPanos,
        vendors: PALO_ALTO,
        derived: &[word("PaloAlto-Admin-Role", "superuser", "superreader")],
    },
    Entry {
        profile: Profile::Rfc5607,
        vendors: &[],
        derived: &[SERVICE_TYPE, level("Management-Privilege-Level", 0, "")],
    },
];

/// What a profile wants said of a role, before it is looked up in the dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    /// The attribute's name in the built-in dictionary.
    pub attribute: &'static str,
    /// Its value in words, numbers as digits.
    pub value: String,
    /// Which part of the role it is made of, for people.
    pub from: &'static str,
}

impl Profile {
    /// The profile with this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }

    fn entry(self) -> Option<&'static Entry> {
        TABLE.iter().find(|entry| entry.profile == self)
    }

    /// Whether these devices are sent this attribute of a role: what has no vendor, or theirs.
    pub fn knows(self, attribute: &ReplyAttribute) -> bool {
        let Some(vendor) = attribute.vendor else {
            return true;
        };
        let vendors = self.entry().map_or(&[][..], |entry| entry.vendors);
        vendor == MICROSOFT || vendors.contains(&vendor)
    }

    /// What is said of a role to these devices when it lets somebody in to a shell; nothing for a role without one.
    pub fn sayings(self, role: &Role) -> Vec<Saying> {
        let derived = self.entry().map_or(&[][..], |entry| entry.derived);
        let said = derived.iter().filter_map(|one| one.saying(role));
        said.filter(Saying::is_sayable).collect()
    }
}

impl Saying {
    /// Longer texts fit into no attribute of a vendor, and are no name on any device.
    const LONGEST: usize = 247;

    fn is_sayable(&self) -> bool {
        let text = &self.value;
        !text.is_empty() && text.len() <= Self::LONGEST && !text.chars().any(char::is_control)
    }
}

impl Derived {
    fn saying(&self, role: &Role) -> Option<Saying> {
        let shell = role.shell.as_deref()?;
        let said = |value: String, from| Saying {
            attribute: self.attribute,
            value,
            from,
        };
        match self.from {
            From::Level { least, text } => {
                let level = shell.priv_lvl.filter(|level| *level >= least)?;
                Some(said(format!("{text}{level}"), "priv_lvl"))
            }
            From::Word { root, rest } => {
                let word = if shell.priv_lvl? == ROOT { root } else { rest };
                Some(said(word.to_owned(), "priv_lvl"))
            }
            From::Name => Some(said(role.name.to_string(), "the role's name")),
            From::Argument {
                service,
                name,
                or_name,
            } => {
                let granted = role.service(service, None);
                let mut arguments = granted.iter().flat_map(|one| &one.grant.arguments);
                match arguments.find(|one| *one.name == *name) {
                    Some(argument) => Some(said(argument.value.to_string(), "services.junos-exec")),
                    None => or_name.then(|| said(role.name.to_string(), "the role's name")),
                }
            }
        }
    }
}

/// Whether the role's own attribute stands in the place of one that a profile would add: the same attribute, and of those that
/// hold pairs (`shell:priv-lvl=15`) one of the same protocol. Who writes one pair of `shell` has said what the shell is.
pub fn takes_the_place_of(own: &ReplyAttribute, derived: &ReplyAttribute) -> bool {
    if !own.is_alike(derived) {
        return false;
    }
    match (&own.value, &derived.value) {
        (ReplyValue::Plain(own), ReplyValue::Plain(derived)) => match pair_protocol(derived) {
            Some(protocol) => pair_protocol(own) == Some(protocol),
            None => true,
        },
        (ReplyValue::Plain(_) | ReplyValue::Secret(_), _) => true,
    }
}

/// `shell` of `shell:priv-lvl=15`.
fn pair_protocol(value: &[u8]) -> Option<&[u8]> {
    let colon = value.iter().position(|octet| *octet == b':')?;
    let (protocol, _) = value.split_at(colon);
    let word = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-';
    (!protocol.is_empty() && protocol.iter().all(word)).then_some(protocol)
}
