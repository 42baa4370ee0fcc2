//! Vendor profiles: what an Access-Accept says of a role in the words of one vendor's devices.
//!
//! [`TABLE`] is all there is to know of them. `docs/guide/profiles.md` has the same for people, with the source of each fact.

mod derive;

pub use derive::{Derivation, Saying};

use super::role::ReplyAttribute;

/// `Service-Type` of a prompt with all rights, and of one without (RFC 2865 section 5.6): numbers, which no dictionary renames.
const ADMINISTRATIVE_USER: &str = "6";
const NAS_PROMPT_USER: &str = "7";

/// `Service-Type` of what lets people in to a device: Login, Administrative and NAS Prompt, as octets.
const PROMPTS: [[u8; 4]; 3] = [[0, 0, 0, 1], [0, 0, 0, 6], [0, 0, 0, 7]];

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
    Level {
        least: u8,
        text: &'static str,
        /// These devices have rights of administrators below 15, or none that they share with TACACS+: what is between is 1.
        coarse: bool,
    },
    /// One word for level 15, another for every level below it down to `least`: the vendor has no numbers.
    Word {
        root: &'static str,
        rest: &'static str,
        least: u8,
    },
    /// This argument of its shell, after this text, as TACACS+ has it.
    Shell {
        argument: &'static str,
        text: &'static str,
        /// It gives rights, in the place of the word that the level would be.
        grants: bool,
    },
    /// The role's own name, if it has a shell.
    Name,
    /// This argument of this service, which says the same over TACACS+; else the role's own name where that is a name there, too.
    Argument {
        service: &'static str,
        name: &'static str,
        form: Form,
    },
}

/// How an argument that may be there several times is said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A name, which is there once; without one it is the role's.
    Name,
    /// One attribute for each. TACACS+ has them numbered, too: `deny-commands1`.
    Each,
    /// Words of one attribute.
    Joined,
}

/// One vendor's devices.
struct Entry {
    profile: Profile,
    /// The enterprise numbers whose attributes these devices know.
    vendors: &'static [u32],
    /// The services that they ask for over TACACS+ in the place of `shell`, where what those say is not carried over.
    asks: &'static [&'static str],
    /// Attributes that say what somebody may do there, too, beside those of `derived` that do.
    rights: &'static [&'static str],
    derived: &'static [Derived],
}

const fn level(attribute: &'static str, least: u8, text: &'static str) -> Derived {
    Derived {
        attribute,
        from: From::Level {
            least,
            text,
            coarse: false,
        },
    }
}

const fn coarse_level(attribute: &'static str, least: u8) -> Derived {
    Derived {
        attribute,
        from: From::Level {
            least,
            text: "",
            coarse: true,
        },
    }
}

/// Words of devices whose least one lets people read: level 0 has none.
const fn word(attribute: &'static str, root: &'static str, rest: &'static str) -> Derived {
    Derived {
        attribute,
        from: From::Word {
            root,
            rest,
            least: 1,
        },
    }
}

const fn shell(
    attribute: &'static str,
    argument: &'static str,
    text: &'static str,
    grants: bool,
) -> Derived {
    Derived {
        attribute,
        from: From::Shell {
            argument,
            text,
            grants,
        },
    }
}

const fn junos(attribute: &'static str, name: &'static str, form: Form) -> Derived {
    Derived {
        attribute,
        from: From::Argument {
            service: "junos-exec",
            name,
            form,
        },
    }
}

/// Cisco, its ASA (3076) and its wireless controllers (Airespace, 14179), of which IOS-XE has the heritage.
const CISCO: &[u32] = &[9, 3076, 14179];
/// Hewlett Packard and Aruba are one house; newer switches of either take some of the other's.
const HPE: &[u32] = &[11, 14823];
const PALO_ALTO: &[u32] = &[25461];

/// IOS takes every argument of TACACS+ in such a pair; these are the ones of a shell that it knows.
const IOS: &[Derived] = &[
    level("Cisco-AVPair", 0, "shell:priv-lvl="),
    shell("Cisco-AVPair", "acl", "shell:acl", false),
    shell("Cisco-AVPair", "autocmd", "shell:autocmd", false),
    shell("Cisco-AVPair", "noescape", "shell:noescape", false),
    shell("Cisco-AVPair", "nohangup", "shell:nohangup", false),
    shell(
        "Cisco-AVPair",
        "cli-view-name",
        "shell:cli-view-name",
        false,
    ),
];

/// Every profile, in the order of [`Profile::ALL`], which a test compares.
const TABLE: &[Entry] = &[
    Entry {
        profile: Profile::AristaEos,
        vendors: &[30065],
        asks: &[],
        rights: &[],
        derived: &[
            level("Arista-AVPair", 0, "shell:priv-lvl="),
            shell("Arista-AVPair", "shell:roles", "shell:roles", true),
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
        asks: &[],
        rights: &[],
        derived: &[
            shell("Aruba-Admin-Role", "Aruba-Admin-Role", "", true),
            word("Aruba-Admin-Role", "root", "read-only"),
        ],
    },
    Entry {
        profile: Profile::ArubaAosCx,
        vendors: HPE,
        asks: &[],
        rights: &[],
        // 1 is an operator; a device that hears of no level it knows lets nobody in. A role of the device beats the level, over
        // TACACS+, too.
        derived: &[
            level("Aruba-Priv-Admin-User", 1, ""),
            shell("Aruba-Admin-Role", "Aruba-Admin-Role", "", true),
        ],
    },
    Entry {
        profile: Profile::CiscoIos,
        vendors: CISCO,
        asks: &[],
        rights: &[],
        derived: IOS,
    },
    Entry {
        profile: Profile::CiscoIosXe,
        vendors: CISCO,
        asks: &[],
        rights: &[],
        derived: IOS,
    },
    Entry {
        profile: Profile::CiscoIosXr,
        vendors: CISCO,
        asks: &[],
        rights: &[],
        // User groups that every system has.
        derived: &[
            shell("Cisco-AVPair", "task", "shell:tasks", true),
            word(
                "Cisco-AVPair",
                "shell:tasks=#root-system",
                "shell:tasks=#operator",
            ),
        ],
    },
    Entry {
        profile: Profile::CiscoNxOs,
        vendors: CISCO,
        asks: &[],
        rights: &[],
        derived: &[
            shell("Cisco-AVPair", "shell:roles", "shell:roles", true),
            word(
                "Cisco-AVPair",
                "shell:roles=\"network-admin\"",
                "shell:roles=\"network-operator\"",
            ),
        ],
    },
    Entry {
        profile: Profile::FortinetFortios,
        vendors: &[12356],
        asks: &["fortigate"],
        rights: &[],
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
        asks: &[],
        rights: &[],
        // Over TACACS+, too, 15 is a manager and everything else an operator; groups of commands have the numbers between.
        derived: &[
            word("Service-Type", ADMINISTRATIVE_USER, NAS_PROMPT_USER),
            coarse_level("HP-Privilege-Level", 1),
        ],
    },
    Entry {
        profile: Profile::HuaweiVrp,
        vendors: &[2011],
        asks: &[],
        rights: &[],
        // 3 and more is management there.
        derived: &[coarse_level("Huawei-Exec-Privilege", 0)],
    },
    Entry {
        profile: Profile::JuniperJunos,
        // Juniper, and Unisphere (4874), whose attributes Junos knows for subscribers.
        vendors: &[2636, 4874],
        asks: &[],
        rights: &[],
        derived: &[
            junos("Juniper-Local-User-Name", "local-user-name", Form::Name),
            junos("Juniper-Allow-Commands", "allow-commands", Form::Each),
            junos("Juniper-Deny-Commands", "deny-commands", Form::Each),
            junos(
                "Juniper-Allow-Configuration",
                "allow-configuration",
                Form::Each,
            ),
            junos(
                "Juniper-Deny-Configuration",
                "deny-configuration",
                Form::Each,
            ),
            junos("Juniper-User-Permissions", "user-permissions", Form::Joined),
        ],
    },
    Entry {
        profile: Profile::MikrotikRouteros,
        // MikroTik, Ascend (529) and WISPr (14122), of which RouterOS takes rates and redirections.
        vendors: &[14988, 529, 14122],
        asks: &[],
        rights: &[],
        derived: &[word("Mikrotik-Group", "full", "read")],
    },
    Entry {
        profile: Profile::PaloaltoPanorama,
        vendors: PALO_ALTO,
        asks: &["PaloAlto"],
        rights: &[],
        derived: &[word(
            "PaloAlto-Panorama-Admin-Role",
            "superuser",
            "superreader",
        )],
    },
    Entry {
        profile: Profile::PaloaltoPanos,
        vendors: PALO_ALTO,
        asks: &["PaloAlto"],
        rights: &[],
        derived: &[word("PaloAlto-Admin-Role", "superuser", "superreader")],
    },
    Entry {
        profile: Profile::Rfc5607,
        vendors: &[],
        asks: &[],
        rights: &["Management-Policy-Id"],
        derived: &[
            // A prompt without rights is no more than level 0, which is said besides.
            Derived {
                attribute: "Service-Type",
                from: From::Word {
                    root: ADMINISTRATIVE_USER,
                    rest: NAS_PROMPT_USER,
                    least: 0,
                },
            },
            level("Management-Privilege-Level", 0, ""),
        ],
    },
];

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

    /// The name of the first attribute that is derived for these devices, for people who write it into a role.
    pub fn attribute(self) -> Option<&'static str> {
        let first = self.entry()?.derived.first()?;
        Some(first.attribute)
    }

    /// The names of the attributes that can say what somebody may do on these devices.
    pub fn rights(self) -> impl Iterator<Item = &'static str> {
        let entry = self.entry();
        let derived = entry.map_or(&[][..], |entry| entry.derived).iter();
        let derived = derived.filter(|one| one.from.is_rights());
        let others = entry.map_or(&[][..], |entry| entry.rights).iter();
        derived.map(|one| one.attribute).chain(others.copied())
    }
}

impl From {
    fn is_rights(&self) -> bool {
        match self {
            Self::Level { .. } | Self::Word { .. } => true,
            Self::Shell { grants, .. } => *grants,
            Self::Name => false,
            Self::Argument { form, .. } => *form == Form::Name,
        }
    }
}
