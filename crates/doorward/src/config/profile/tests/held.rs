//! What of a role holds on devices of each profile, and what is made of it otherwise.

use super::*;

fn held(config: &Config, role: &str, device: &str) -> Held {
    let mut rules = config.policy.rules.iter();
    let rule = rules.find(|rule| *rule.role.name == *role).unwrap();
    let device = config.devices.by_name(device).unwrap();
    rule.role.held(device).unwrap().clone()
}

/// What RADIUS cannot hold somebody to makes the rights the least there are, on the devices of every vendor.
#[test]
fn a_role_that_restricts_commands_has_the_least_rights() {
    let folder = tempfile::tempdir().unwrap();
    let restricted = "shell = { priv_lvl = 15 }\ncommands = \"permit show **\"";
    let denying = "shell = { priv_lvl = 15 }\ncommands = \"deny reload **\\npermit **\"";
    let open = "shell = { priv_lvl = 15 }\ncommands = \"permit show **\\npermit **\\ndeny reload\"";
    let unsaid = "shell = {}\ncommands = \"permit show **\"";
    let own = format!(
        "{restricted}\nradius = {{ PaloAlto-Admin-Role = \"superuser\", Cisco-AVPair = \" Shell :priv-lvl=9\" }}"
    );
    let config = load(
        folder.path(),
        &[
            ("restricted", restricted),
            ("denying", denying),
            ("open", open),
            ("unsaid", unsaid),
            ("own", &own),
            (
                "mute",
                "shell = { priv_lvl = 15 }\ncommands = \"# none yet\"",
            ),
            (
                "reader",
                "shell = { priv_lvl = 1 }\ncommands = \"permit show version\"",
            ),
            ("bare", "shell = {}"),
            ("one", "shell = { priv_lvl = 1 }"),
            ("all", "shell = { priv_lvl = 15 }"),
        ],
    );
    let without_name = |role: &str, profile: &str| {
        let mut attributes = given(&config, role, profile, Some(SHELL));
        attributes.retain(|one| !one.starts_with("Fortinet-Group-Name"));
        attributes
    };
    for name in Profile::NAMES {
        if *name == "juniper-junos" {
            continue;
        }
        let least = without_name("one", name);
        for role in ["restricted", "denying", "unsaid", "mute", "reader"] {
            assert_eq!(without_name(role, name), least, "{role} {name}");
            let Held::Least(why) = held(&config, role, name) else {
                panic!("{role} {name}: {:?}", held(&config, role, name));
            };
            assert_eq!(&*why, "`commands`");
        }
        assert_eq!(without_name("open", name), without_name("all", name));
        assert_eq!(held(&config, "open", name), Held::Whole, "{name}");
        assert_eq!(held(&config, "one", name), Held::Whole, "{name}");
        // Without a level, it is the one that devices give over TACACS+ then.
        assert_eq!(without_name("bare", name), least, "{name}");
        assert_eq!(held(&config, "bare", name), Held::Whole, "{name}");
    }
    // What the role says itself stands, and nothing has been held to less.
    for (name, own) in [
        ("paloalto-panos", "PaloAlto-Admin-Role=superuser"),
        ("cisco-ios", "Cisco-AVPair= Shell :priv-lvl=9"),
    ] {
        assert_eq!(given(&config, "own", name, Some(SHELL)), [own]);
        assert_eq!(held(&config, "own", name), Held::Whole, "{name}");
    }
    // A word for another system of the vendor's says nothing to this one.
    assert_eq!(
        given(&config, "own", "cisco-nx-os", Some(SHELL)),
        [
            "Cisco-AVPair= Shell :priv-lvl=9",
            "Cisco-AVPair=shell:roles=\"network-operator\""
        ]
    );
    let lost = Held::Least("`commands`".into());
    assert_eq!(held(&config, "own", "cisco-nx-os"), lost);
    // Junos knows no least word, and what the name of the role stands for is known on the device alone.
    let refused = Held::Refused("`commands`".into());
    assert_eq!(held(&config, "restricted", "juniper-junos"), refused);
    assert_eq!(held(&config, "open", "juniper-junos"), Held::Whole);
}

/// Arguments of a shell go along where the vendor takes them, and hold the role to the least where not.
#[test]
fn arguments_of_a_shell_are_carried_or_count_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let config = load(
        folder.path(),
        &[
            (
                "acl",
                "shell = { priv_lvl = 15, timeout = \"60m\", attributes = { acl = 5, \"autocmd*\" = \"show users\" } }",
            ),
            (
                "roles",
                "shell = { priv_lvl = 15, attributes = { \"shell:roles\" = \"vdc-operator\", \"foreign*\" = 1 } }",
            ),
            (
                "both",
                "shell = { priv_lvl = 15, attributes = { \"shell:roles*\" = \"network-admin\" } }\ncommands = \"permit show **\"",
            ),
            (
                "zero",
                "shell = { idle_time = \"0m\", attributes = { priv-lvl = 15 } }",
            ),
            (
                "own-time",
                "shell = { timeout = \"60m\" }\nradius = { Session-Timeout = 30 }",
            ),
            (
                "users",
                "shell = { priv_lvl = 1, attributes = { \"autocmd*\" = \"show users\" } }",
            ),
            (
                "limits",
                "shell = { priv_lvl = 15, attributes = { inacl = 7 } }",
            ),
            (
                "tasks",
                "shell = { priv_lvl = 15, attributes = { task = \"r:bgp\", acl = 5 } }",
            ),
            (
                "forti",
                "shell = { priv_lvl = 15 }\nservices.fortigate = { admin_prof = \"noc\" }",
            ),
        ],
    );
    let at = |role: &str, device: &str| given(&config, role, device, Some(SHELL));
    assert_eq!(
        at("acl", "cisco-ios"),
        [
            "Cisco-AVPair=shell:priv-lvl=15",
            "Cisco-AVPair=shell:acl=5",
            "Cisco-AVPair=shell:autocmd*show users",
            "Session-Timeout=3600",
        ]
    );
    assert_eq!(held(&config, "acl", "cisco-ios"), Held::Whole);
    assert_eq!(
        at("acl", "mikrotik-routeros"),
        ["Mikrotik-Group=read", "Session-Timeout=3600"]
    );
    // Who is to see one command and be sent off is given no prompt in its place.
    let refused = Held::Refused("`autocmd` of its shell".into());
    assert_eq!(held(&config, "acl", "mikrotik-routeros"), refused);
    assert_eq!(held(&config, "users", "mikrotik-routeros"), refused);
    assert_eq!(held(&config, "users", "cisco-ios"), Held::Whole);
    let lost = Held::Least("`inacl` of its shell".into());
    assert_eq!(held(&config, "limits", "cisco-ios"), lost);
    // Roles of the shell stand for the word of the level. They may be fewer than those of that word, so that nothing else is given
    // where something is lost.
    let roles = "Cisco-AVPair=shell:roles=vdc-operator";
    assert_eq!(at("roles", "cisco-nx-os"), [roles]);
    assert_eq!(
        at("roles", "cisco-ios-xr"),
        ["Cisco-AVPair=shell:tasks=#operator"]
    );
    let refused = Held::Refused("`commands`".into());
    assert_eq!(held(&config, "both", "cisco-nx-os"), refused);
    assert_eq!(held(&config, "both", "arista-eos"), refused);
    let refused = Held::Refused("`acl` of its shell".into());
    assert_eq!(held(&config, "tasks", "cisco-ios-xr"), refused);
    assert_eq!(
        at("own-time", "rfc5607"),
        [
            "Session-Timeout=30",
            "Service-Type=NAS-Prompt-User",
            "Management-Privilege-Level=1"
        ]
    );
    assert_eq!(at("zero", "cisco-ios"), ["Cisco-AVPair=shell:priv-lvl=15"]);
    // What Fortinet's devices ask TACACS+ for holds there, and has no attribute made of it.
    let lost = Held::Least("`services.fortigate`".into());
    assert_eq!(held(&config, "forti", "fortinet-fortios"), lost);
    assert_eq!(held(&config, "forti", "paloalto-panos"), Held::Whole);
}

/// Who would be let in with nothing said, and so with what the device gives by default, is not let in.
#[test]
fn a_role_without_a_shell_or_with_too_little_of_it_is_not_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let config = load(
        folder.path(),
        &[
            (
                "bare",
                "radius = { Session-Timeout = 60, MS-MPPE-Send-Key = \"plain:0123456789abcdef\" }",
            ),
            ("zero", "shell = { priv_lvl = 0 }"),
            (
                "own",
                "radius = { Service-Type = \"NAS-Prompt-User\", Mikrotik-Group = \"noc\", Cisco-AVPair = \"ip:inacl#1=permit ip any any\" }",
            ),
            (
                "zero-own",
                "shell = { priv_lvl = 0 }\nradius = { Mikrotik-Group = \"noc\" }",
            ),
            (
                "guest",
                "radius = { Service-Type = \"Framed-User\", Aruba-User-Role = \"guest\", Mikrotik-Rate-Limit = \"1M/1M\", Fortinet-Group-Name = \"vpn\", Cisco-AVPair = \"url-redirect=x\", Juniper-Deny-Commands = \"x\" }",
            ),
            (
                "command",
                "radius = { Cisco-AVPair = \"shell:autocmd=show users\", Arista-AVPair = \"shell: priv-lvl = 5\", Aruba-Admin-Role = \"root\", Management-Policy-Id = \"noc\" }",
            ),
            (
                "empty",
                "radius = { Cisco-AVPair = \"shell:priv-lvl\", Arista-AVPair = \"shell:roles= \" }",
            ),
            (
                "roles",
                "radius = { Cisco-AVPair = 'shell:roles*\"network-operator\"' }",
            ),
        ],
    );
    for profile in Profile::NAMES {
        assert_eq!(held(&config, "bare", profile), Held::NoShell, "{profile}");
        let has_zero = [
            "arista-eos",
            "cisco-ios",
            "cisco-ios-xe",
            "huawei-vrp",
            "rfc5607",
            "juniper-junos",
        ];
        let wanted = if has_zero.contains(profile) {
            Held::Whole
        } else {
            Held::Refused("`priv_lvl` 0".into())
        };
        assert_eq!(held(&config, "zero", profile), wanted, "{profile}");
    }
    // A pair of something else than the shell says nothing of it, and Service-Type counts where the profile derives it.
    for (profile, wanted) in [
        ("cisco-ios", Held::NoShell),
        ("mikrotik-routeros", Held::Whole),
        ("rfc5607", Held::Whole),
        ("paloalto-panos", Held::NoShell),
    ] {
        assert_eq!(held(&config, "own", profile), wanted, "{profile}");
    }
    assert_eq!(held(&config, "zero-own", "mikrotik-routeros"), Held::Whole);
    for profile in Profile::NAMES {
        // What a vendor has for somebody else than its administrators is no right to a shell.
        assert_eq!(held(&config, "guest", profile), Held::NoShell, "{profile}");
        let states = ["arista-eos", "aruba-aos", "aruba-aos-cx", "rfc5607"];
        let wanted = if states.contains(profile) {
            Held::Whole
        } else {
            Held::NoShell
        };
        assert_eq!(held(&config, "command", profile), wanted, "{profile}");
    }
    for (role, profile, wanted) in [
        ("empty", "cisco-ios", Held::NoShell),
        ("empty", "arista-eos", Held::NoShell),
        ("roles", "cisco-nx-os", Held::Whole),
        ("roles", "cisco-ios", Held::NoShell),
        ("roles", "cisco-ios-xr", Held::NoShell),
    ] {
        assert_eq!(held(&config, role, profile), wanted, "{role} {profile}");
    }
}

/// Every occurrence of what Junos is told goes along; what no attribute says lets nobody in.
#[test]
fn nothing_that_junos_holds_a_user_to_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let name = "local-user-name = \"NOC\"";
    let role = |more: &str| {
        format!("shell = {{ priv_lvl = 15 }}\nservices.junos-exec = {{ {name}, {more} }}")
    };
    let several = role(
        "deny-commands = [\"request .*\", \"clear .*\"], deny-commands1 = \"start .*\", \"allow-configuration-regexps\" = \"x\"",
    );
    let rules = "shell = { priv_lvl = 15 }\ncommands = \"permit show **\"\nradius = { Juniper-Deny-Commands = \"request .*\" }";
    let regexps = role("\"Deny-commands-regexps*\" = \"request .*\"");
    let unknown = role("idle-timeout = 5");
    let optional = role("\"colour*\" = \"blue\"");
    let stated = format!("{regexps}\nradius = {{ Juniper-Local-User-Name = \"RO\" }}");
    let twice = "shell = {}\nservices.junos-exec = { local-user-name = [\"RO\", \"SU\"] }";
    let config = load(
        folder.path(),
        &[
            ("several", &several),
            ("regexps", &regexps),
            ("unknown", &unknown),
            ("optional", &optional),
            ("stated", &stated),
            ("twice", twice),
            ("rules", rules),
        ],
    );
    let junos = "juniper-junos";
    assert_eq!(
        given(&config, "several", junos, Some(SHELL)),
        [
            "Juniper-Local-User-Name=NOC",
            "Juniper-Deny-Commands=request .*",
            "Juniper-Deny-Commands=clear .*",
            "Juniper-Deny-Commands=start .*",
        ]
    );
    assert_eq!(held(&config, "several", junos), Held::Whole);
    let refused = |name: &str| Held::Refused(format!("`{name}` of `services.junos-exec`").into());
    assert_eq!(
        held(&config, "regexps", junos),
        refused("Deny-commands-regexps")
    );
    assert_eq!(held(&config, "unknown", junos), refused("idle-timeout"));
    assert_eq!(held(&config, "twice", junos), refused("local-user-name"));
    // Without a name the device falls back to a user of its own, whatever else is said.
    assert_eq!(
        held(&config, "rules", junos),
        Held::Refused("`commands`".into())
    );
    assert_eq!(held(&config, "optional", junos), Held::Whole);
    assert_eq!(held(&config, "stated", junos), Held::Whole);
    // Other devices never hear of it.
    assert_eq!(held(&config, "regexps", "cisco-ios"), Held::Whole);
}

/// What the role says itself takes the place of the same thing alone, so that no restriction goes with it.
#[test]
fn own_attributes_displace_no_restriction() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!(
        "shell = {{ priv_lvl = 15, attributes = {{ \"shell:roles*\" = \"{}\" }} }}",
        "r".repeat(240)
    );
    let config = load(
        folder.path(),
        &[
            (
                "users",
                "shell = { priv_lvl = 1, attributes = { autocmd = \"show users\", acl = 5 } }\nradius = { Cisco-AVPair = [\"shell:priv-lvl=2\", \"Shell: ACL =6\"] }",
            ),
            (
                "denying",
                "shell = {}\nservices.junos-exec = { local-user-name = \"SU\", deny-commands = \"request .*\", allow-commands = \"x\" }\nradius = { Juniper-Deny-Commands = \"clear .*\", Juniper-Allow-Commands = \"y\" }",
            ),
            (
                "named",
                "shell = { priv_lvl = 15, attributes = { autocmd = \"x\" } }\ncommands = \"permit show **\"\nservices.junos-exec = { local-user-name = \"RO\" }",
            ),
            (
                "local",
                "shell = { priv_lvl = 15, attributes = { \"Aruba-Admin-Role*\" = \"auditors\", \"cli-view-name*\" = \"NOC\" } }",
            ),
            (
                "local-lost",
                "shell = { priv_lvl = 15, attributes = { \"Aruba-Admin-Role*\" = \"auditors\" } }\ncommands = \"\"",
            ),
            ("long", &long),
        ],
    );
    let at = |role: &str, device: &str| given(&config, role, device, Some(SHELL));
    assert_eq!(
        at("users", "cisco-ios"),
        [
            "Cisco-AVPair=shell:priv-lvl=2",
            "Cisco-AVPair=Shell: ACL =6",
            "Cisco-AVPair=shell:autocmd=show users",
        ]
    );
    assert_eq!(
        at("denying", "juniper-junos"),
        [
            "Juniper-Deny-Commands=clear .*",
            "Juniper-Allow-Commands=y",
            "Juniper-Local-User-Name=SU",
            "Juniper-Deny-Commands=request .*",
        ]
    );
    // Junos asks for its own service and for no command, over TACACS+ too.
    assert_eq!(held(&config, "named", "juniper-junos"), Held::Whole);
    assert_eq!(
        at("local", "aruba-aos-cx"),
        ["Aruba-Priv-Admin-User=15", "Aruba-Admin-Role=auditors"]
    );
    assert_eq!(at("local", "aruba-aos"), ["Aruba-Admin-Role=auditors"]);
    assert_eq!(
        at("local", "cisco-ios"),
        [
            "Cisco-AVPair=shell:priv-lvl=15",
            "Cisco-AVPair=shell:cli-view-name*NOC"
        ]
    );
    // An argument of one vendor's devices is none to the others, over TACACS+ too.
    assert_eq!(held(&config, "local", "aruba-aos-cx"), Held::Whole);
    let refused = Held::Refused("`commands`".into());
    assert_eq!(held(&config, "local-lost", "aruba-aos-cx"), refused);
    // A role of the device that is too long to be said leaves no smaller one.
    let refused = Held::Refused("`shell:roles` of its shell".into());
    assert_eq!(held(&config, "long", "cisco-nx-os"), refused);
    assert_eq!(held(&config, "long", "cisco-ios"), Held::Whole);
}
