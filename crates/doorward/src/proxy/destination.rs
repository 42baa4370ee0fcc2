//! Servers of which each can answer a request: their connections, and what keeps a login of several rounds at one of them.

use std::fmt;
use std::sync::Arc;

use doorward_client::dns::Resolver;
use doorward_client::hastls::{Hastls, Mode};
use doorward_client::radius::{
    Aim, Ask, Carriage, Client, Error, Passed, Server, ServerState, Strategy,
};
use doorward_radius::attribute::{Attributes, kind};
use doorward_tls::hello::OwnHellos;

use super::Purpose;
use super::sticky::Sticky;
use crate::config::{self, ListenerProtocol, Pool, Watchdog};

/// What a name in [`Sticky`] is of.
const STATE: &[u8] = b"state";
const STATION: &[u8] = b"station";

/// Whose login it is.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// The name of the device.
    pub device: &'a str,
    /// User-Name as it came.
    pub user: &'a [u8],
}

impl<'a> Whose<'a> {
    /// The login of a request: its rounds have the same device and the same name.
    pub fn of(device: &'a str, attributes: &Attributes<'a>) -> Self {
        Self {
            device,
            user: attributes.first(kind::USER_NAME).unwrap_or_default(),
        }
    }

    /// States are unique at the server that made them, for one login: two servers may use the same.
    fn name(&self, kind: &'a [u8], value: &'a [u8]) -> [&'a [u8]; 4] {
        [kind, self.device.as_bytes(), self.user, value]
    }
}

/// Makes destinations of a pool's servers.
#[derive(Clone)]
pub(super) struct Maker {
    own: Arc<OwnHellos>,
    hastls: Option<Hastls>,
    strategy: Strategy,
    /// The watchdog finds out whether a server answers it.
    learns: bool,
}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Maker")
    }
}

impl Maker {
    /// The hellos of its connections are known to `own`, so that a listener of ours can refuse them.
    pub(super) fn new(pool: &Pool, own: &Arc<OwnHellos>, resolver: &Resolver) -> Self {
        let hastls = || Hastls::new(pool.hastls, resolver.clone(), pool.hastls_type);
        Self {
            hastls: (pool.hastls != Mode::Off).then(hastls),
            own: Arc::clone(own),
            strategy: match pool.strategy {
                config::Strategy::Failover => Strategy::Failover,
                config::Strategy::Balance => Strategy::Balance,
            },
            learns: pool.watchdog == Watchdog::Auto,
        }
    }

    /// `None`: there is no server, or they are mixed, which no configuration has.
    pub(super) fn destination(
        &self,
        names: Vec<Arc<str>>,
        servers: &[Server],
        accounting: Option<&[Server]>,
        sticky: Arc<Sticky>,
    ) -> Option<Destination> {
        // Over TLS and DTLS one connection carries both.
        let named = |servers: &[Server]| {
            let scheme = ListenerProtocol::RadiusUdp.name();
            let servers = servers.iter();
            let names = servers.map(|server| format!("{scheme}://{}", server.address));
            names.collect()
        };
        Some(Destination {
            names,
            logins: self.client(servers)?,
            accounting: match accounting {
                Some(servers) => Some((self.client(servers)?, named(servers))),
                None => None,
            },
            sticky,
        })
    }

    fn client(&self, servers: &[Server]) -> Option<Client> {
        let marked = |server: &Server| {
            let mut server = server.clone();
            server.watchdog_learns = self.learns;
            server.hastls.clone_from(&self.hastls);
            if let Carriage::Tls(tls) | Carriage::Dtls(tls) = &mut server.carriage {
                tls.own_hellos = Some(Arc::clone(&self.own));
            }
            server
        };
        let client = Client::new(servers.iter().map(marked).collect()).ok()?;
        let client = client.with_strategy(self.strategy);
        // Without a runtime, as in checks of a configuration, they connect once they are asked.
        if tokio::runtime::Handle::try_current().is_ok() {
            client.start();
        }
        Some(client)
    }
}

/// Servers of which each can answer.
pub struct Destination {
    names: Vec<Arc<str>>,
    logins: Client,
    /// Where accounting goes to other ports than logins, and what these servers are called.
    accounting: Option<(Client, Vec<String>)>,
    sticky: Arc<Sticky>,
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.names).finish()
    }
}

impl Destination {
    pub(super) fn sticky(&self) -> &Arc<Sticky> {
        &self.sticky
    }

    /// A server as the file calls it; with the port of accounting where that is another one.
    pub fn server_name(&self, purpose: Purpose, server: usize) -> &str {
        if let (Purpose::Accounting, Some((_, names))) = (purpose, &self.accounting) {
            return names.get(server).map_or("", |name| name);
        }
        self.names.get(server).map_or("", |name| name)
    }

    /// Its servers as they stand, with their names in the file: for logins, or for both where they are the same; and those
    /// that are for accounting alone.
    pub fn states(&self) -> impl Iterator<Item = (&str, Purpose, ServerState)> {
        let logins = self.logins.states().into_iter().enumerate();
        let logins = logins.map(|(at, state)| (at, Purpose::Login, state));
        let others = self.accounting.iter();
        let others = others.flat_map(|(client, _)| client.states()).enumerate();
        let others = others.map(|(at, state)| (at, Purpose::Accounting, state));
        logins
            .chain(others)
            .map(|(at, purpose, state)| (self.server_name(purpose, at), purpose, state))
    }

    /// Which server a login should go to: the one whose question it answers, or the one that has asked this user at this
    /// station before.
    fn aim(&self, whose: Whose<'_>, state: Option<&[u8]>, station: Option<&[u8]>) -> Aim {
        let asked = |kind: &[u8], value| self.sticky.asked(&whose.name(kind, value));
        if let Some(server) = state.and_then(|state| asked(STATE, state)) {
            return Aim::Only(server);
        }
        let station = station.and_then(|station| asked(STATION, station));
        station.map_or(Aim::Any, Aim::First)
    }

    /// Which server a request of this device should go to.
    pub fn aim_of(&self, device: &str, attributes: &Attributes<'_>) -> Aim {
        self.aim(
            Whose::of(device, attributes),
            attributes.first(kind::STATE),
            attributes.first(kind::CALLING_STATION_ID),
        )
    }

    /// Notes which server has asked something, for [`Self::aim_of`].
    pub fn asked_by(
        &self,
        server: usize,
        whose: Whose<'_>,
        state: Option<&[u8]>,
        station: Option<&[u8]>,
    ) {
        for (kind, value) in [(STATE, state), (STATION, station)] {
            if let Some(value) = value {
                self.sticky.note(&whose.name(kind, value), server);
            }
        }
    }

    /// Passes a request on; see [`Client::pass`].
    ///
    /// # Errors
    /// No server answered.
    pub async fn pass(
        &self,
        purpose: Purpose,
        what: Arc<dyn Ask>,
        aim: Aim,
    ) -> Result<Passed, Error> {
        let client = match purpose {
            Purpose::Login => &self.logins,
            Purpose::Accounting => {
                let own = self.accounting.as_ref();
                own.map_or(&self.logins, |(client, _)| client)
            }
        };
        client.pass(what, aim).await
    }
}
