//! The same for RadSec: Status-Server, logins and accounting of `core1`.

use std::net::SocketAddr;
use std::sync::Arc;

use doorward_client::ServerAddress;
use doorward_client::radius::{Answer, Client, Proof, Request, Server as Target, status_type};
use doorward_radius::attribute::kind;

use super::{Folder, PATIENCE, REVOKED, Report, Seen, expect, find, revoked, tls};
use crate::config::dictionary;
use crate::runtime::Server;

const WAY: &str = "RadSec";
const DEVICE: &str = "core1";
const USER: &str = "alice";

pub(super) async fn run(
    report: &mut Report,
    server: &Arc<Server>,
    folder: &Folder,
    address: SocketAddr,
) {
    match client(folder, DEVICE, address) {
        Ok(client) => {
            let alive = client.status().await;
            let alive = alive.map(|answer| how(&answer));
            report.add(
                WAY,
                "the server answers Status-Server",
                alive.map_err(|error| error.to_string()),
            );
            report.add(
                WAY,
                format!("{USER} logs in on {DEVICE} (PAP)"),
                log_in(&client, folder, true).await,
            );
            report.add(
                WAY,
                "a wrong password is rejected",
                log_in(&client, folder, false).await,
            );
            report.add(
                WAY,
                "a session is accounted and `acct search` finds it",
                account(&client, server).await,
            );
            client.close().await;
        }
        Err(error) => report.add(WAY, "the client can be set up", Err(error)),
    }
    let refused = match client(folder, "stolen1", address) {
        Ok(client) => match client.status().await {
            Ok(_) => Err("it was served".to_owned()),
            Err(error) => revoked(&error.to_string()),
        },
        Err(error) => Err(error),
    };
    report.add(WAY, REVOKED, refused);
}

async fn log_in(client: &Client, folder: &Folder, right: bool) -> Seen {
    let password = folder.text(&format!("{USER}.password"));
    let password = password.map_err(|error| error.to_string())?;
    let typed = if right {
        password
    } else {
        format!("not {password}")
    };
    let request = Request::access(USER, Proof::Pap(typed.as_bytes()));
    let request = request.map_err(|error| error.to_string())?.from_nas(DEVICE);
    let answer = client.ask(request).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let shown = answer.attributes().iter();
    let shown = shown.flat_map(|one| dictionary().describe(&one));
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

async fn account(client: &Client, server: &Server) -> Seen {
    let session = doorward_client::task_id().map_err(|error| error.to_string())?;
    let request = Request::accounting(status_type::START)
        .from_nas(DEVICE)
        .with(kind::USER_NAME, USER.as_bytes())
        .with(kind::ACCT_SESSION_ID, session.as_bytes());
    let answer = client.ask(request).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let argument = format!("Acct-Session-Id={session}");
    let found = find(server, DEVICE, USER, &argument).map_err(|error| error.to_string())?;
    found.ok_or_else(|| format!("answered {}, and the record is not there", answer.code()))
}

fn how(answer: &Answer) -> String {
    let over = answer
        .facts
        .tls
        .as_ref()
        .map_or("no TLS".to_owned(), |tls| {
            format!("TLS {} {} {}", tls.version, tls.suite, tls.group)
        });
    format!("{over}, {} ms", answer.facts.elapsed.as_millis())
}

fn client(folder: &Folder, device: &str, address: SocketAddr) -> Result<Client, String> {
    let address = ServerAddress::from_ip(address.ip(), address.port());
    let target = Target::tls(address, tls(folder, device, true)?);
    let mut target = target.map_err(|error| error.to_string())?;
    target.connect_timeout = PATIENCE;
    target.reply_timeout = PATIENCE;
    Client::new(vec![target]).map_err(|error| error.to_string())
}
