//! The same for RADIUS, over TLS and DTLS by certificate and by key, and over UDP: Status-Server, logins and accounting.

use std::net::SocketAddr;
use std::sync::Arc;

use doorward_client::ServerAddress;
use doorward_client::radius::{
    Answer, Client, Proof, Request, Secret, Server as Target, ServerError, status_type,
};
use doorward_radius::attribute::kind;

use super::{
    Folder, KEYED, Listeners, PATIENCE, REVOKED, Report, Seen, Shown, Spoken, expect, find,
    revoked, tls,
};
use crate::config::standard_dictionary;
use crate::runtime::Server;

const USER: &str = "alice";

/// One device and its way to the server.
struct Way<'a> {
    name: &'static str,
    device: &'static str,
    server: &'a Server,
    folder: &'a Folder,
}

pub(super) async fn run(
    report: &mut Report,
    server: &Arc<Server>,
    folder: &Folder,
    listeners: &Listeners,
) {
    let (tls, dtls) = (listeners.radius_tls, listeners.radius_dtls);
    let core1 = Shown::Certificate("core1");
    let ways = [
        ("RadSec", "core1", over_tls(folder, core1, tls)),
        ("TLS-PSK", KEYED, over_tls(folder, Shown::Key, tls)),
        ("DTLS", "core1", over_dtls(folder, core1, dtls)),
        ("DTLS-PSK", KEYED, over_dtls(folder, Shown::Key, dtls)),
        (
            "UDP",
            "old-sw7",
            udp(folder, "old-sw7", listeners.radius_udp),
        ),
    ];
    for (name, device, client) in ways {
        match client {
            Ok(client) => {
                let way = Way {
                    name,
                    device,
                    server,
                    folder,
                };
                way.over(report, &client).await;
                client.close().await;
            }
            Err(error) => report.add(name, "the client can be set up", Err(error)),
        }
    }
    let stolen1 = Shown::Certificate("stolen1");
    for (name, client) in [
        ("RadSec", over_tls(folder, stolen1, tls)),
        ("DTLS", over_dtls(folder, stolen1, dtls)),
    ] {
        let refused = match client {
            Ok(client) => match client.status().await {
                Ok(_) => Err("it was served".to_owned()),
                Err(error) => revoked(&error.to_string()),
            },
            Err(error) => Err(error),
        };
        report.add(name, REVOKED, refused);
    }
}

impl Way<'_> {
    async fn over(&self, report: &mut Report, client: &Client) {
        let alive = client.status().await;
        let alive = alive.map(|answer| how(&answer));
        report.add(
            self.name,
            "the server answers Status-Server",
            alive.map_err(|error| error.to_string()),
        );
        report.add(
            self.name,
            format!("{USER} logs in on {} (PAP)", self.device),
            self.log_in(client, true).await,
        );
        report.add(
            self.name,
            "a wrong password is rejected",
            self.log_in(client, false).await,
        );
        report.add(
            self.name,
            "a session is accounted and `acct search` finds it",
            self.account(client).await,
        );
    }

    async fn log_in(&self, client: &Client, right: bool) -> Seen {
        let password = self.folder.text(&format!("{USER}.password"));
        let password = password.map_err(|error| error.to_string())?;
        let typed = if right {
            password
        } else {
            format!("not {password}")
        };
        let request = Request::access(USER, Proof::Pap(typed.as_bytes()));
        let request = request
            .map_err(|error| error.to_string())?
            .from_nas(self.device);
        let answer = client.ask(request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let shown = answer.attributes().iter();
        let dictionary = standard_dictionary();
        let shown = shown.flat_map(|one| dictionary.describe(&one));
        let shown = shown.filter(|one| one.name != "Message-Authenticator");
        let shown = shown.filter_map(|one| Some(format!("{}={}", one.name, one.value?)));
        let shown: Vec<String> = shown.collect();
        let seen = if shown.is_empty() {
            how(&answer)
        } else {
            shown.join(" ")
        };
        expect(answer.is_accept(), right, seen)
    }

    async fn account(&self, client: &Client) -> Seen {
        let session = doorward_client::task_id().map_err(|error| error.to_string())?;
        let request = Request::accounting(status_type::START)
            .from_nas(self.device)
            .with(kind::USER_NAME, USER.as_bytes())
            .with(kind::ACCT_SESSION_ID, session.as_bytes());
        let answer = client.ask(request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let argument = format!("Acct-Session-Id={session}");
        let found =
            find(self.server, self.device, USER, &argument).map_err(|error| error.to_string())?;
        found.ok_or_else(|| format!("answered {}, and the record is not there", answer.code()))
    }
}

fn how(answer: &Answer) -> String {
    let over = answer
        .facts
        .tls
        .as_ref()
        .map_or("no TLS".to_owned(), |tls| {
            let kind = if tls.datagrams { "DTLS" } else { "TLS" };
            format!("{kind} {} {} {}", tls.version, tls.suite, tls.group)
        });
    format!("{over}, {} ms", answer.facts.elapsed.as_millis())
}

fn over_tls(folder: &Folder, shown: Shown, address: SocketAddr) -> Result<Client, String> {
    let address = ServerAddress::from_ip(address.ip(), address.port());
    client(Target::tls(address, tls(folder, shown, Spoken::Tls)?))
}

fn over_dtls(folder: &Folder, shown: Shown, address: SocketAddr) -> Result<Client, String> {
    let address = ServerAddress::from_ip(address.ip(), address.port());
    client(Target::dtls(address, tls(folder, shown, Spoken::Dtls)?))
}

fn udp(folder: &Folder, device: &str, address: SocketAddr) -> Result<Client, String> {
    let secret = folder.text(&format!("{device}.radius"));
    let secret = secret.map_err(|error| error.to_string())?;
    let address = ServerAddress::from_ip(address.ip(), address.port());
    client(Target::udp(address, Secret::new(secret.as_bytes())))
}

fn client(target: Result<Target, ServerError>) -> Result<Client, String> {
    let mut target = target.map_err(|error| error.to_string())?;
    target.connect_timeout = PATIENCE;
    target.reply_timeout = PATIENCE;
    Client::new(vec![target]).map_err(|error| error.to_string())
}
