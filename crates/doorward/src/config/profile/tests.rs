//! Each profile against roles of each kind, as a file has them.

use std::fmt::Write as _;
use std::path::Path;

use super::super::Config;
use super::*;
use crate::policy::SHELL;

mod held;

/// A file with a device of each profile, and a role for each user of the same name.
fn load(folder: &Path, roles: &[(&str, &str)]) -> std::sync::Arc<Config> {
    let mut text = String::from("version = 1\n[device.none]\ncertificate = { dns = [\"none\"] }\n");
    for profile in Profile::ALL {
        let name = profile.name();
        _ = write!(
            text,
            "[device.{name}]\ncertificate = {{ dns = [\"{name}\"] }}\nprofile = \"{name}\"\n"
        );
    }
    for (name, role) in roles {
        _ = write!(
            text,
            "[role.{name}]\n{role}\n[[rule]]\nwhen = {{ group = \"{name}\" }}\nrole = \"{name}\"\n"
        );
    }
    let path = folder.join("main.toml");
    std::fs::write(&path, text).unwrap();
    match super::super::load(&path) {
        Ok(loaded) => loaded.config,
        Err(failure) => panic!("{failure}"),
    }
}

fn given(config: &Config, role: &str, device: &str, service: Option<&str>) -> Vec<String> {
    let rule = config
        .policy
        .rules
        .iter()
        .find(|rule| *rule.role.name == *role);
    let device = config.devices.by_name(device).unwrap();
    let attributes = rule.unwrap().role.access_accept(device, service);
    attributes
        .iter()
        .map(|one| format!("{}={}", one.name, one.text))
        .collect()
}

#[test]
fn the_names_of_every_profile_are_in_the_dictionary() {
    let dictionary = Dictionary::standard();
    let folder = tempfile::tempdir().unwrap();
    let config = load(folder.path(), &[("noc", "shell = { priv_lvl = 15 }")]);
    let role = &config.policy.rules.iter().next().unwrap().role;
    for profile in Profile::ALL {
        assert_eq!(Profile::by_name(profile.name()), Some(*profile));
        let sayings = profile.derive(role).sayings;
        assert!(!sayings.is_empty(), "{profile:?}");
        for saying in sayings {
            let attribute = look_up(&dictionary, &saying);
            let attribute = attribute.unwrap_or_else(|| panic!("{saying:?}"));
            assert!(profile.knows(&attribute), "{saying:?}");
        }
    }
}

#[test]
fn each_profile_says_the_level_in_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let roles = [15, 7, 1, 0].map(|level| {
        let name = format!("at{level}");
        (name, format!("shell = {{ priv_lvl = {level} }}"))
    });
    let named: Vec<(&str, &str)> = roles
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    let config = load(folder.path(), &named);
    // At level 15, 7, 1 and 0; `~` stands for what the level before it has.
    let table: [(&str, [&[&str]; 4]); 15] = [
        (
            "arista-eos",
            [
                &[
                    "Arista-AVPair=shell:priv-lvl=15",
                    "Arista-AVPair=shell:roles=network-admin",
                ],
                &[
                    "Arista-AVPair=shell:priv-lvl=7",
                    "Arista-AVPair=shell:roles=network-operator",
                ],
                &[
                    "Arista-AVPair=shell:priv-lvl=1",
                    "Arista-AVPair=shell:roles=network-operator",
                ],
                &["Arista-AVPair=shell:priv-lvl=0"],
            ],
        ),
        (
            "aruba-aos",
            [
                &["Aruba-Admin-Role=root"],
                &["Aruba-Admin-Role=read-only"],
                &["~"],
                &[],
            ],
        ),
        (
            "aruba-aos-cx",
            [
                &["Aruba-Priv-Admin-User=15"],
                &["Aruba-Priv-Admin-User=7"],
                &["Aruba-Priv-Admin-User=1"],
                &[],
            ],
        ),
        (
            "cisco-ios",
            [
                &["Cisco-AVPair=shell:priv-lvl=15"],
                &["Cisco-AVPair=shell:priv-lvl=7"],
                &["Cisco-AVPair=shell:priv-lvl=1"],
                &["Cisco-AVPair=shell:priv-lvl=0"],
            ],
        ),
        (
            "cisco-ios-xe",
            [
                &["Cisco-AVPair=shell:priv-lvl=15"],
                &["Cisco-AVPair=shell:priv-lvl=7"],
                &["Cisco-AVPair=shell:priv-lvl=1"],
                &["Cisco-AVPair=shell:priv-lvl=0"],
            ],
        ),
        (
            "cisco-ios-xr",
            [
                &["Cisco-AVPair=shell:tasks=#root-system"],
                &["Cisco-AVPair=shell:tasks=#operator"],
                &["~"],
                &[],
            ],
        ),
        (
            "cisco-nx-os",
            [
                &["Cisco-AVPair=shell:roles=\"network-admin\""],
                &["Cisco-AVPair=shell:roles=\"network-operator\""],
                &["~"],
                &[],
            ],
        ),
        (
            "fortinet-fortios",
            [
                &[
                    "Fortinet-Access-Profile=super_admin",
                    "Fortinet-Group-Name=at15",
                ],
                &[
                    "Fortinet-Access-Profile=super_admin_readonly",
                    "Fortinet-Group-Name=at7",
                ],
                &[
                    "Fortinet-Access-Profile=super_admin_readonly",
                    "Fortinet-Group-Name=at1",
                ],
                &["Fortinet-Group-Name=at0"],
            ],
        ),
        (
            "hpe-procurve",
            [
                &["Service-Type=Administrative-User", "HP-Privilege-Level=15"],
                &["Service-Type=NAS-Prompt-User", "HP-Privilege-Level=1"],
                &["~"],
                &[],
            ],
        ),
        (
            "huawei-vrp",
            [
                &["Huawei-Exec-Privilege=15"],
                &["Huawei-Exec-Privilege=1"],
                &["Huawei-Exec-Privilege=1"],
                &["Huawei-Exec-Privilege=0"],
            ],
        ),
        (
            "juniper-junos",
            [
                &["Juniper-Local-User-Name=at15"],
                &["Juniper-Local-User-Name=at7"],
                &["Juniper-Local-User-Name=at1"],
                &["Juniper-Local-User-Name=at0"],
            ],
        ),
        (
            "mikrotik-routeros",
            [
                &["Mikrotik-Group=full"],
                &["Mikrotik-Group=read"],
                &["~"],
                &[],
            ],
        ),
        (
            "paloalto-panorama",
            [
                &["PaloAlto-Panorama-Admin-Role=superuser"],
                &["PaloAlto-Panorama-Admin-Role=superreader"],
                &["~"],
                &[],
            ],
        ),
        (
            "paloalto-panos",
            [
                &["PaloAlto-Admin-Role=superuser"],
                &["PaloAlto-Admin-Role=superreader"],
                &["~"],
                &[],
            ],
        ),
        (
            "rfc5607",
            [
                &[
                    "Service-Type=Administrative-User",
                    "Management-Privilege-Level=15",
                ],
                &[
                    "Service-Type=NAS-Prompt-User",
                    "Management-Privilege-Level=7",
                ],
                &[
                    "Service-Type=NAS-Prompt-User",
                    "Management-Privilege-Level=1",
                ],
                &[
                    "Service-Type=NAS-Prompt-User",
                    "Management-Privilege-Level=0",
                ],
            ],
        ),
    ];
    assert_eq!(table.map(|(name, _)| name), Profile::NAMES);
    for (device, levels) in table {
        let mut before: &[&str] = &[];
        for (role, wanted) in ["at15", "at7", "at1", "at0"].into_iter().zip(levels) {
            let wanted = if wanted == ["~"] { before } else { wanted };
            before = wanted;
            assert_eq!(
                given(&config, role, device, Some(SHELL)),
                wanted,
                "{device} {role}"
            );
            // Nobody becomes an administrator by way of PPP.
            assert_eq!(
                given(&config, role, device, Some("ppp")),
                [""; 0],
                "{device} {role}"
            );
            assert_eq!(
                given(&config, role, device, None),
                [""; 0],
                "{device} {role}"
            );
        }
    }
    assert_eq!(given(&config, "at15", "none", Some(SHELL)), [""; 0]);
}

#[test]
fn what_the_role_says_itself_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let radius = "radius = { Cisco-AVPair = [\"shell:priv-lvl=3\", \"ip:inacl#1=permit ip any any\"], \
                  Juniper-Local-User-Name = \"NOC\", Service-Type = \"Login-User\", Acct-Interim-Interval = 300, \
                  MS-MPPE-Send-Key = \"plain:0123456789abcdef\" }";
    let junos = "shell = { priv_lvl = 15 }\nservices.junos-exec = { local-user-name = \"SU\", allow-commands = \"show .*\", \
                 user-permissions = [\"view\", \"more\"] }";
    let config = load(
        folder.path(),
        &[
            ("noc", &format!("shell = {{ priv_lvl = 15 }}\n{radius}")),
            (
                "acl",
                "shell = { priv_lvl = 15 }\nradius = { Cisco-AVPair = \"ip:inacl#1=permit ip any any\" }",
            ),
            ("level", "shell = { idle_time = \"15m\" }"),
            ("bare", radius),
            ("junos", junos),
        ],
    );
    let at = |role: &str, device: &str| given(&config, role, device, Some(SHELL));
    let [level, acl, noc, service, interim, key] = [
        "Cisco-AVPair=shell:priv-lvl=3",
        "Cisco-AVPair=ip:inacl#1=permit ip any any",
        "Juniper-Local-User-Name=NOC",
        "Service-Type=Login-User",
        "Acct-Interim-Interval=300",
        "MS-MPPE-Send-Key=(hidden)",
    ];
    // Without a profile all of it, and nothing more.
    assert_eq!(at("noc", "none"), [level, acl, noc, service, interim, key]);
    // A pair by which the device knows rights stands for the level; a pair of something else, or for another system, does not.
    assert_eq!(
        at("noc", "cisco-ios-xe"),
        [level, acl, service, interim, key]
    );
    assert_eq!(
        at("noc", "cisco-nx-os"),
        [
            level,
            acl,
            service,
            interim,
            key,
            "Cisco-AVPair=shell:roles=\"network-admin\""
        ]
    );
    assert_eq!(
        at("acl", "cisco-ios-xe"),
        [acl, "Cisco-AVPair=shell:priv-lvl=15"]
    );
    // Other vendors' attributes stay away, and the one that is there is not given twice.
    assert_eq!(at("noc", "juniper-junos"), [noc, service, interim, key]);
    assert_eq!(
        at("noc", "hpe-procurve"),
        [service, interim, key, "HP-Privilege-Level=15"]
    );
    assert_eq!(
        at("noc", "rfc5607"),
        [service, interim, key, "Management-Privilege-Level=15"]
    );
    // A role without a shell makes nobody an administrator, a shell without a level has the one of a plain user.
    assert_eq!(at("bare", "juniper-junos"), [noc, service, interim, key]);
    assert_eq!(
        at("level", "cisco-ios"),
        ["Cisco-AVPair=shell:priv-lvl=1", "Idle-Timeout=900"]
    );
    assert_eq!(
        at("level", "mikrotik-routeros"),
        ["Mikrotik-Group=read", "Idle-Timeout=900"]
    );
    assert_eq!(
        at("level", "juniper-junos"),
        ["Juniper-Local-User-Name=level", "Idle-Timeout=900"]
    );
    assert_eq!(
        at("junos", "juniper-junos"),
        [
            "Juniper-Local-User-Name=SU",
            "Juniper-Allow-Commands=show .*",
            "Juniper-User-Permissions=view more"
        ]
    );
}
