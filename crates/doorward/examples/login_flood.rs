//! Offers logins at a steady rate, whatever becomes of them, beside authorizations, and tells what came of both.
//!
//! ```text
//! login_flood ADDRESS SECRET_FILE USER PASSWORD_FILE LOGINS_A_SECOND AUTHORIZATIONS_A_SECOND SECONDS
//! ```

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool that cannot go on ends"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward_client::{
    ArgumentList, AuthorizationRequest, Client, ClientError, Login, Secret, Separator, Server,
    ServerAddress, Transports, Who,
};
use tokio::task::JoinSet;

/// Clients that share the work: each keeps a few connections for the next request.
const CLIENTS: usize = 16;

/// What one request came to, and how long it took.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Yes,
    No,
    Error,
}

type Told = (Outcome, Duration);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [
        address,
        secret,
        user,
        password,
        logins,
        authorizations,
        seconds,
    ] = arguments.as_slice()
    else {
        println!(
            "login_flood ADDRESS SECRET_FILE USER PASSWORD_FILE LOGINS AUTHORIZATIONS SECONDS"
        );
        std::process::exit(64);
    };
    let read = |path: &str| std::fs::read_to_string(path).unwrap().trim_end().to_owned();
    let flood = Flood {
        address: ServerAddress::parse(address, ServerAddress::PLAIN_PORT).unwrap(),
        secret: read(secret),
        user: user.clone(),
        password: read(password),
        length: Duration::from_secs_f64(seconds.parse().unwrap()),
    };
    let rates = (logins.parse().unwrap(), authorizations.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (logins, authorizations) = runtime.block_on(flood.run(rates));
    tell("logins", &logins, flood.length);
    tell("authorizations", &authorizations, flood.length);
}

struct Flood {
    address: ServerAddress,
    secret: String,
    user: String,
    password: String,
    length: Duration,
}

impl Flood {
    async fn run(&self, (logins, authorizations): (f64, f64)) -> (Vec<Told>, Vec<Told>) {
        let clients: Vec<Arc<Client>> = (0..CLIENTS).map(|_| Arc::new(self.client())).collect();
        let who = Who::new(&self.user).at_port("tty1");
        let password: Arc<[u8]> = self.password.as_bytes().into();
        let (length, began) = (self.length, Instant::now());
        let login = offer(logins, length, |number| {
            let client = Arc::clone(&clients[number % CLIENTS]);
            let (who, password) = (who.clone(), Arc::clone(&password));
            async move {
                let login = Login::Pap {
                    password: &password,
                };
                timed(async { Ok(client.authenticate(&who, login).await?.decision.is_pass()) })
                    .await
            }
        });
        let authorization = offer(authorizations, length, |number| {
            let client = Arc::clone(&clients[number % CLIENTS]);
            let request = show(&who);
            async move {
                timed(async { Ok(client.authorize(&request).await?.decision.is_pass()) }).await
            }
        });
        let told = tokio::join!(login, authorization);
        println!(
            "{:.1} s from the first request to the last answer",
            began.elapsed().as_secs_f64()
        );
        told
    }

    fn client(&self) -> Client {
        let mut server =
            Server::plain(self.address.clone(), Secret::new(self.secret.as_bytes())).unwrap();
        server.connect_timeout = Duration::from_secs(10);
        server.reply_timeout = Duration::from_secs(30);
        Client::new(vec![server], Transports::Any).unwrap()
    }
}

fn show(who: &Who) -> AuthorizationRequest {
    let mut list = ArgumentList::new();
    for (name, value) in [
        ("service", "shell"),
        ("cmd", "show"),
        ("cmd-arg", "version"),
    ] {
        list.push(name, Separator::Mandatory, value).unwrap();
    }
    AuthorizationRequest::new(who.clone(), list)
}

/// Begins requests at their times, without waiting for those before.
async fn offer<F>(rate: f64, length: Duration, mut request: impl FnMut(usize) -> F) -> Vec<Told>
where
    F: Future<Output = Told> + Send + 'static,
{
    let (mut tasks, mut told) = (JoinSet::new(), Vec::new());
    let began = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    let mut begun = 0_usize;
    while began.elapsed() < length {
        tick.tick().await;
        // Casts saturate.
        let due = (began.elapsed().as_secs_f64() * rate) as usize;
        while begun < due {
            tasks.spawn(request(begun));
            begun += 1;
        }
        while let Some(done) = tasks.try_join_next() {
            told.push(done.unwrap());
        }
    }
    while let Some(done) = tasks.join_next().await {
        told.push(done.unwrap());
    }
    told
}

async fn timed(request: impl Future<Output = Result<bool, ClientError>>) -> Told {
    let began = Instant::now();
    let outcome = match request.await {
        Ok(true) => Outcome::Yes,
        Ok(false) => Outcome::No,
        Err(_) => Outcome::Error,
    };
    (outcome, began.elapsed())
}

fn tell(what: &str, told: &[Told], length: Duration) {
    println!("{} {what} offered", told.len());
    for (outcome, name) in [
        (Outcome::Yes, "yes"),
        (Outcome::No, "no"),
        (Outcome::Error, "error"),
    ] {
        let mut times: Vec<f64> = told
            .iter()
            .filter(|(one, _)| *one == outcome)
            .map(|(_, time)| time.as_secs_f64() * 1e3)
            .collect();
        times.sort_by(f64::total_cmp);
        let (Some(last), count) = (times.last(), times.len()) else {
            continue;
        };
        let at = |part: usize| times[(count * part / 100).min(count - 1)];
        println!(
            "  {name}: {count} ({:.0}/s), p50 {:.1} ms, p99 {:.1} ms, max {last:.1} ms",
            count as f64 / length.as_secs_f64(),
            at(50),
            at(99),
        );
    }
}
