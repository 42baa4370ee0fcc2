//! `[[pool]]` and `[[route]]`.

use std::time::Duration;

use doorward::config::{Lint, Strategy, Watchdog};
use doorward::policy::RealmPattern;
use doorward_client::radius::Carriage;
use doorward_client::radius::discovery::Proof;

use crate::context::{TestContext, certificates};

const BASE: &str = "version = 1
[[listen]]
protocol = \"radius-tls\"
address = \"[::1]:2083\"
[[listen]]
protocol = \"tacacs-tls\"
address = \"[::1]:0\"
[tls.default]
certificate = \"tls/server.pem\"
key = \"file:tls/server.key\"
client_ca = [\"tls/ca.pem\"]
revocation = \"off\"
[device.core1]
certificate = { dns = [\"core1.example.net\"] }
psk = { identity = \"core1\", key = \"plain:00112233445566778899aabbccddeeff\" }
[device.old]
address = [\"192.0.2.7\"]
radius_secret = \"file:secret\"
[role.all]
[[rule]]
role = \"all\"
";

fn context() -> TestContext {
    let context = TestContext::new();
    certificates(&context);
    context
}

/// What is said of the text behind the base, without what is said of the base.
fn messages(text: &str) -> String {
    let context = context();
    let before = context.messages(BASE);
    let messages = context.messages(&format!("{BASE}{text}"));
    let new = messages.split("\n\n").filter(|one| !before.contains(one));
    new.collect::<Vec<_>>().join("\n\n")
}

const HOME: &str = "[[pool]]
name = \"home\"
servers = [\"radius-tls://home.example.net\"]
";

#[test]
fn mistakes_in_pools_are_shown_with_what_to_do() {
    insta::assert_snapshot!(messages(
        r#"[[pool]]
name = "a"
servers = ["radius-tls://home.example.net", "radius-udp://192.0.2.1", "radius://x.example.net", "radius-tls://2001:db8::1"]
strategy = "failovr"
[[pool]]
name = "a"
servers = ["radius-tls://home.example.net", "radius-tls://HOME.example.net:2083", "radius-tls://192.0.2.1:1812"]
max_connection = 1
[[pool]]
name = "b"
servers = ["radius-udp://192.0.2.1:2083"]
secret = "file:secret2"
tls = "default"
[[pool]]
name = "c"
servers = ["radius-udp://192.0.2.1"]
[[pool]]
name = "d"
servers = ["radius-tls://home.example.net"]
secret = "file:secret2"
server_name = "*.example.net"
realm = "example.org"
tls = "defualt"
reconnect = { floor = "0.4s", ceiling = "0.3s" }
watchdog = "5s"
[[pool]]
name = "e"
servers = []
[[pool]]
name = "f"
servers = ["radius-udp://192.0.2.1"]
secret = "plain:radsec"
"#
    ));
}

#[test]
fn a_key_is_for_one_pair_and_one_way() {
    insta::assert_snapshot!(messages(
        r#"[[pool]]
name = "a"
servers = ["radius-tls://home.example.net"]
psk = { identity = "aaa1", key = "plain:00112233445566778899aabbccddeeff" }
[[pool]]
name = "b"
servers = ["radius-tls://home.example.net"]
psk = { identity = "core1", key = "plain:ffeeddccbbaa99887766554433221100" }
[[pool]]
name = "c"
servers = ["radius-dtls://home.example.net"]
psk = { identity = "aaa2", key = "plain:ffeeddccbbaa99887766554433221100" }
[[pool]]
name = "d"
servers = ["radius-udp://192.0.2.9"]
secret = "plain:00112233445566778899aabbccddeeff"
[[pool]]
name = "e"
servers = ["radius-udp://192.0.2.9"]
secret = "file:secret"
"#
    ));
}

/// Also where the servers are others: whoever looks for the fault of a handshake has only the identity to go by.
#[test]
fn an_identity_names_one_key() {
    let pools = |identity: &str| {
        messages(&format!(
            "[[pool]]\nname = \"a\"\nservers = [\"radius-tls://one.example.net\"]\n\
             psk = {{ identity = \"aaa1\", key = \"plain:ffeeddccbbaa99887766554433221100\" }}\n\
             [[pool]]\nname = \"b\"\nservers = [\"radius-tls://other.example.net\"]\n\
             psk = {{ identity = \"{identity}\", key = \"plain:0f1e2d3c4b5a69788796a5b4c3d2e1f0\" }}\n"
        ))
    };
    let refused = "error: the identity of the key of the pool `b` is also that of the pool `a`, with another key";
    let found = pools("aaa1");
    assert!(found.contains(refused), "{found}");
    assert!(found.contains("changes with it (RFC 9813)"), "{found}");
    assert!(!pools("aaa2").contains("error"), "{}", pools("aaa2"));
}

/// Only where all of it is certain: every realm, no list of what may pass, and a device of which a profile says that attributes
/// give rights on it, by a way that is open.
#[test]
fn answers_that_may_give_rights_are_warned_of() {
    let with = |profile: &str, route: &str| {
        let device = format!("[device.core1]\n{profile}");
        let text = BASE.replace("[device.core1]\n", &device);
        let text = format!("{text}{HOME}[[route]]\npool = \"home\"\n{route}\n");
        context().findings(Lint::UnfilteredAnswer, &text)
    };
    let (cisco, any) = ("profile = \"cisco-ios\"\n", "realm = \"*\"");
    let found = with(cisco, any);
    assert!(
        found.contains("administrators of [device.core1]"),
        "{found}"
    );
    assert!(found.contains("on: route.1"), "{found}");
    let lists = |list: &str| with(cisco, &format!("{any}\nrewrite_answer = {{ {list} }}"));
    assert_eq!(lists("allow = [\"User-Name\"]"), "");
    assert_ne!(lists("allow = []"), "");
    assert_ne!(lists("remove = [\"Class\"]"), "");
    assert_eq!(with("", any), "");
    assert_eq!(with(cisco, "realm = \"example.org\""), "");
    assert_eq!(with(cisco, ""), "");
    for (when, open) in [
        ("device = \"core1\"", true),
        ("device = \"old\"", false),
        ("transport = \"plain\"", false),
        ("service = \"ppp\"", false),
    ] {
        let found = with(cisco, &format!("{any}\nwhen = {{ {when} }}"));
        assert_eq!(!found.is_empty(), open, "{when}: {found}");
    }
    // Where the DNS names the servers, every realm below one is somebody's.
    for (realm, open) in [("*.example.org", true), ("example.org", false)] {
        let found = with(
            cisco,
            &format!(
                "realm = \"none.example.org\"\n[[pool]]\nname = \"f\"\ndiscover = {{}}\n[[route]]\npool = \"f\"\nrealm = \"{realm}\""
            ),
        );
        assert_eq!(!found.is_empty(), open, "{realm}: {found}");
    }
}

#[test]
fn mistakes_in_routes_are_shown_with_what_to_do() {
    insta::assert_snapshot!(messages(&format!(
        "{HOME}{}",
        r#"[[route]]
realm = "*example.org"
pool = "home"
[[route]]
pool = "hom"
when = { group = "noc", device_group = "core" }
rewrite = { remove = ["Message-Authenticator", "Filter-ID"], allow = ["EAP-Message"], set = { Tunnel-Password = "x", User-Password = "x" }, add = { Session-Timeout = "soon", State = "x" } }
[[route]]
realms = "example.org"
pool = "home"
rewrite_answer = { delete = ["Class"], set = { Class = [] } }
"#
    )));
}

#[test]
fn a_route_to_ourselves_is_refused() {
    for (listener, server) in [
        ("[::1]:2083", "radius-tls://[::1]"),
        ("[::]:2083", "radius-tls://127.0.0.1:2083"),
        ("0.0.0.0:2083", "radius-tls://127.0.0.1:2083"),
        ("192.0.2.1:2083", "radius-tls://192.0.2.1"),
    ] {
        let text = BASE.replace("[::1]:2083", listener);
        let pool = HOME.replace("radius-tls://home.example.net", server);
        let route = "[[route]]\nrealm = \"example.org\"\npool = \"home\"\n";
        let messages = context().messages(&format!("{text}{pool}{route}"));
        assert!(messages.contains("this route is a loop"), "{messages}");
        // The same without the route, and on another port or by another protocol.
        assert!(context().load(&format!("{text}{pool}")).is_ok());
        for other in ["radius-tls://[::1]:2084", "radius-dtls://[::1]"] {
            let pool = HOME.replace("radius-tls://home.example.net", other);
            assert!(context().load(&format!("{text}{pool}{route}")).is_ok());
        }
    }
}

#[test]
fn what_cannot_be_meant_is_warned_of() {
    insta::assert_snapshot!(messages(
        r#"[[pool]]
name = "unused"
servers = ["radius-tls://home.example.net"]
[[pool]]
name = "udp"
servers = ["radius-udp://192.0.2.9"]
secret = "file:secret2"
[[pool]]
name = "tunnel"
servers = ["radius-udp://127.0.0.1:18120"]
secret = "plain:a secret that nobody else has"
[[route]]
realm = "*.example.org"
pool = "udp"
[[route]]
realm = "a.example.org"
pool = "udp"
when = { transport = "plain" }
[[route]]
pool = "tunnel"
"#
    ));
}

/// proves: RAD-7.2-1
#[test]
fn routes_that_take_radsec_in_and_send_udp_out_are_listed() {
    let route = |when: &str, server: &str| {
        format!(
            "{BASE}[[pool]]\nname = \"old\"\nservers = [\"radius-udp://{server}\"]\nsecret = \"file:secret2\"\n\
             [[route]]\nrealm = \"example.org\"\npool = \"old\"\n{when}"
        )
    };
    let found = |text: &str| context().findings(Lint::RadsecToUdp, text);
    let listed = found(&route("", "192.0.2.9"));
    assert!(listed.contains("on: route.1"), "{listed}");
    assert!(listed.contains("RadSec protects one hop only"), "{listed}");
    assert!(!found(&route("", "home.example.net")).is_empty());
    assert_eq!(found(&route("", "[::1]")), "");
    let plain = "when = { transport = \"plain\" }";
    assert_eq!(found(&route(plain, "192.0.2.9")), "");
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/proxy.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    assert!(guide.contains("RadSec protects one hop only"));
}

/// Where only TLS is allowed, a pool has no policy but that: one without TLS is refused, and there is no word for falling back.
///
/// proves: HAS-2-9
#[test]
fn where_only_tls_is_allowed_there_is_no_other_policy() {
    let pool = |servers: &str, hastls: &str| {
        format!(
            "version = 1\n[server]\ntls_only = true\n[[pool]]\nname = \"home\"\nservers = [\"{servers}\"]\nhastls = \"{hastls}\"\nsecret = \"file:secret2\"\n"
        )
    };
    for hastls in ["off", "use", "require"] {
        let said = context().messages(&pool("radius-udp://home.example.net", hastls));
        assert!(said.contains("`tls_only` of [server]"), "{said}");
    }
    for word in ["insecure-only", "allow-fallback", "fallback"] {
        let said = context().messages(&pool("radius-tls://home.example.net", word));
        assert!(said.contains(&format!("`{word}`")), "{said}");
    }
    let mixed = "radius-tls://home.example.net\", \"radius-udp://home.example.net";
    let said = context().messages(&pool(mixed, "use"));
    assert!(said.contains("cannot have a server with"), "{said}");
}

#[test]
fn mistakes_in_hastls_are_shown_with_what_to_do() {
    insta::assert_snapshot!(messages(
        r#"[[pool]]
name = "a"
servers = ["radius-tls://home.example.net", "radius-tls://192.0.2.9"]
hastls = "require"
[[pool]]
name = "b"
discover = {}
hastls = "use"
[[pool]]
name = "c"
servers = ["radius-tls://home.example.net"]
hastls = "yes"
"#
    ));
}

#[test]
fn without_tls_there_is_no_pool_where_only_tls_is_allowed() {
    let text = "version = 1\n[server]\ntls_only = true\n[[pool]]\nname = \"old\"\nservers = [\"radius-udp://192.0.2.9\"]\nsecret = \"file:secret2\"\n";
    let messages = context().messages(text);
    assert!(messages.contains("`tls_only` of [server]"), "{messages}");
}

#[test]
fn pools_are_read_whole() {
    let config = context().config(&format!(
        "{BASE}{}",
        r#"[[pool]]
name = "udp"
servers = ["radius-udp://[2001:db8::1]", "radius-udp://192.0.2.9:1645", "radius-udp://192.0.2.10:11812"]
secret = "file:secret2"
watchdog = "off"
strategy = "balance"
timeout = "9s"
max_connections = 3
[[pool]]
name = "dtls"
servers = ["radius-dtls://home.example.net", "radius-dtls://192.0.2.9:2084"]
realm = "Example.org"
watchdog = "1m"
idle_timeout = "15m"
[[pool]]
name = "quiet"
servers = ["radius-tls://home.example.net"]
server_name = "radius.example.net"
sni = false
"#
    ));
    let udp = &config.pools["udp"];
    assert_eq!(
        udp.names.iter().map(|name| &**name).collect::<Vec<_>>(),
        [
            "radius-udp://[2001:db8::1]:1812",
            "radius-udp://192.0.2.9:1645",
            "radius-udp://192.0.2.10:11812"
        ]
    );
    let accounting = udp.accounting.as_ref().unwrap().iter();
    let ports: Vec<u16> = accounting.map(|one| one.address.port()).collect();
    assert_eq!(ports, [1813, 1646, 11812]);
    assert_eq!(
        (udp.strategy, udp.watchdog),
        (Strategy::Balance, Watchdog::Off)
    );
    let first = &udp.servers[0];
    assert_eq!(first.watchdog, None);
    assert_eq!(first.reply_timeout, Duration::from_secs(9));
    assert_eq!(first.max_connections, 3);
    assert!(first.keep_open && !first.unsigned_answers);

    let dtls = &config.pools["dtls"];
    assert_eq!(dtls.watchdog, Watchdog::Every(Duration::from_secs(60)));
    assert!(dtls.accounting.is_none());
    assert!(!dtls.servers[0].keep_open);
    let Carriage::Dtls(tls) = &dtls.servers[0].carriage else {
        panic!("{:?}", dtls.servers);
    };
    assert!(tls.policy.offers_datagrams());
    assert_eq!(tls.sni.as_deref(), Some("home.example.net"));
    assert_eq!(
        tls.reference,
        doorward_tls::ReferenceIdentity::realm("example.org").unwrap()
    );
    let Carriage::Tls(tls) = &config.pools["quiet"].servers[0].carriage else {
        panic!("{:?}", config.pools["quiet"]);
    };
    assert_eq!(
        (tls.sni.as_deref(), tls.reference.to_string().as_str()),
        (None, "radius.example.net")
    );
}

#[test]
fn a_pool_is_like_itself_after_a_reload_unless_something_changed() {
    let context = context();
    let text = format!(
        "{BASE}{HOME}[[pool]]\nname = \"udp\"\nservers = [\"radius-udp://192.0.2.9\"]\nsecret = \"file:secret2\"\n"
    );
    let first = context.config(&text);
    let again = context.config(&text);
    for (name, pool) in &first.pools {
        assert!(pool.is_like(&again.pools[name]), "{name}");
    }
    let changed = context.config(&text.replace("home.example.net", "home2.example.net"));
    assert!(!first.pools["home"].is_like(&changed.pools["home"]));
    assert!(first.pools["udp"].is_like(&changed.pools["udp"]));
    context.file("secret2", "a secret that came in its place");
    let changed = context.config(&text);
    assert!(!first.pools["udp"].is_like(&changed.pools["udp"]));
    certificates(&context);
    let changed = context.config(&text);
    assert!(!first.pools["home"].is_like(&changed.pools["home"]));
    // Lists are read anew while they are in use, by the configuration in force alone.
    let lists = text.replace("revocation = \"off\"", "crl = [\"tls/ca.crl\"]");
    let (one, other) = (context.config(&lists), context.config(&lists));
    assert!(!one.pools["home"].is_like(&other.pools["home"]));
}

#[test]
fn routes_are_read_whole() {
    let config = context().config(&format!(
        "{BASE}{HOME}{}",
        r#"[[route]]
realm = "*.example.org"
pool = "home"
strip_realm = true
rewrite = { allow = ["User-Name", "User-Password", "Cisco"], remove = ["Filter-Id", "Cisco-AVPair"], set = { Operator-Name = "1example.net", Reply-Message = ["a", "b"] }, add = { Class = "x" } }
[[route]]
realm = ""
pool = "home"
[[route]]
pool = "home"
when = { user = "BOB*", transport = "tls" }
"#
    ));
    let routes: Vec<_> = config.routes.iter().collect();
    let [first, second, third] = routes.as_slice() else {
        panic!("{routes:?}");
    };
    assert_eq!(first.realm, Some(RealmPattern::Sub("example.org".into())));
    assert!(first.strip_realm && !second.strip_realm);
    assert_eq!(second.realm, Some(RealmPattern::None));
    assert_eq!((&third.realm, third.conditions.len()), (&None, 2));
    assert_eq!(
        &*first.reference.text,
        "[[route]] realm = \"*.example.org\""
    );
    let rewrite = &first.request;
    let names = |names: &[doorward_radius::rewrite::AttributeName]| -> Vec<(Option<u32>, Vec<u8>)> {
        names
            .iter()
            .map(|one| (one.vendor, one.path.clone()))
            .collect()
    };
    assert_eq!(
        names(rewrite.allow.as_ref().unwrap()),
        [(None, vec![1]), (None, vec![2]), (Some(9), vec![])]
    );
    assert_eq!(
        names(&rewrite.remove),
        [(None, vec![11]), (Some(9), vec![1])]
    );
    let values =
        |pairs: &[(doorward_radius::rewrite::AttributeName, Vec<u8>)]| -> Vec<(u8, String)> {
            let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
            pairs
                .iter()
                .map(|(name, value)| (name.path[0], text(value)))
                .collect()
        };
    assert_eq!(
        values(&rewrite.set),
        [(126, "1example.net".into()), (18, "a".into())]
    );
    assert_eq!(values(&rewrite.add), [(18, "b".into()), (25, "x".into())]);
    assert!(first.answer.is_empty() && second.request.is_empty());
}

#[test]
fn mistakes_in_what_is_found_by_dns_are_shown_with_what_to_do() {
    insta::assert_snapshot!(messages(
        r#"[dns]
servers = ["ns.example.net", "192.0.2.53", "[2001:db8::53]:5353"]
trust_anchor = "tls/server.pem"
hastls_type = 41
[[pool]]
name = "a"
servers = ["radius-tls://home.example.net"]
discover = { tag = "radius.tls" }
[[pool]]
name = "b"
discover = { tag = "aaa+auth:diameter.tls.tcp", dnssec = "maybe", max_ttl = "5s", ttl = 1 }
[[pool]]
name = "c"
discover = {}
psk = { identity = "aaa1", key = "plain:ffeeddccbbaa99887766554433221100" }
[[pool]]
name = "d"
discover = {}
realm = "example.org"
[[pool]]
name = "e"
discover = { tag = "x-eduroam:radius.dtls" }
secret = "file:secret2"
server_name = "home.example.net"
[[pool]]
name = "f"
"#
    ));
}

/// What is not said: TLS by the tag of RFC 7585, nothing that DNSSEC does not prove, a day.
#[test]
fn a_pool_whose_servers_are_found_has_defaults() {
    let context = context();
    let text = format!(
        "{BASE}[[pool]]\nname = \"a\"\ndiscover = {{}}\n[[pool]]\nname = \"b\"\ndiscover = {{ tag = \"X-Eduroam:radius.tls\", dnssec = \"if-signed\", max_ttl = \"1h\" }}\n"
    );
    let loaded = context
        .load(&text)
        .unwrap_or_else(|failure| panic!("{failure}"));
    let found = |name: &str| {
        let discover = loaded.config.pools[name].discover.as_ref().unwrap();
        let tag = discover.tag.text().to_owned();
        (tag, discover.proof, discover.max_ttl.as_secs())
    };
    let usual = "aaa+auth:radius.tls.tcp".to_owned();
    assert_eq!(found("a"), (usual, Proof::Required, 86400));
    assert_eq!(
        found("b"),
        ("x-eduroam:radius.tls".into(), Proof::IfSigned, 3600)
    );
    assert!(loaded.config.pools["a"].servers.is_empty());
}
