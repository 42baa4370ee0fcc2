//! Which device is it: the look-ups by name, by address (without TLS) and by certificate.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use doorward_tls::{CertificateMatch, KeyPin, Mark, MatchKind, PeerIdentity, PskKey};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use super::{Device, ListenerProtocol, contains};

/// All devices, with the look-ups that a connection needs.
#[derive(Debug, Default)]
pub struct Devices {
    /// In the order they were given.
    all: Vec<Arc<Device>>,
    by_name: HashMap<Arc<str>, usize>,
    /// Devices with a secret for TACACS+ without TLS.
    tacacs: ByNetwork,
    /// Devices with a secret for RADIUS/UDP.
    radius: ByNetwork,
    certificates: CertificateIndex,
    by_key: HashMap<KeyPin, usize>,
    by_psk: HashMap<Vec<u8>, usize>,
}

/// Devices by their networks.
#[derive(Debug, Default)]
struct ByNetwork {
    v4: PrefixMap<Ipv4Net, usize>,
    v6: PrefixMap<Ipv6Net, usize>,
}

impl ByNetwork {
    fn insert(&mut self, networks: &[IpNet], at: usize) {
        for network in networks {
            match network {
                IpNet::V4(network) => {
                    self.v4.entry(*network).or_insert(at);
                }
                IpNet::V6(network) => {
                    self.v6.entry(*network).or_insert(at);
                }
            }
        }
    }

    /// The longest prefix that contains the address.
    fn around(&self, address: IpAddr) -> Option<usize> {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.get_lpm(&Ipv4Net::from(address)).map(|(_, at)| *at),
            IpAddr::V6(address) => self.v6.get_lpm(&Ipv6Net::from(address)).map(|(_, at)| *at),
        }
    }
}

/// Why a client certificate belongs to no device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceRefusal {
    /// No device says so.
    NoMatch,
    /// More than one device says so.
    Ambiguous {
        /// One of them.
        first: Arc<str>,
        /// Another.
        second: Arc<str>,
    },
    /// The device has an `address`, and the connection comes from elsewhere.
    WrongAddress {
        /// The device.
        device: Arc<str>,
    },
}

impl Devices {
    /// Indexes the devices; of two with one name, network or the like the first is found (the configuration refuses such).
    pub fn new(devices: impl IntoIterator<Item = Device>) -> Self {
        let mut indexed = Self::default();
        for device in devices {
            indexed.insert(Arc::new(device));
        }
        indexed
    }

    fn insert(&mut self, device: Arc<Device>) {
        let at = self.all.len();
        self.by_name.entry(Arc::clone(&device.name)).or_insert(at);
        if !device.tacacs_secret.is_empty() {
            self.tacacs.insert(&device.address, at);
        }
        if !device.radius_secret.is_empty() {
            self.radius.insert(&device.address, at);
        }
        self.certificates.insert(at, &device);
        if let Some(psk) = &device.psk {
            let identity = psk.identity.octets().to_vec();
            self.by_psk.entry(identity).or_insert(at);
        }
        for pin in &device.raw_public_key {
            self.by_key.entry(*pin).or_insert(at);
        }
        self.all.push(device);
    }

    /// The device called `name`.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Device>> {
        self.by_name.get(name).and_then(|at| self.all.get(*at))
    }

    /// The device with the longest prefix that contains `address` and has a secret for this protocol without TLS.
    pub fn by_address(&self, protocol: ListenerProtocol, address: IpAddr) -> Option<&Arc<Device>> {
        let known = match protocol {
            ListenerProtocol::Tacacs => &self.tacacs,
            ListenerProtocol::RadiusUdp => &self.radius,
            // The address is never enough there.
            ListenerProtocol::TacacsTls
            | ListenerProtocol::RadiusTls
            | ListenerProtocol::RadiusDtls => return None,
        };
        known.around(address).and_then(|at| self.all.get(at))
    }

    /// The one device the certificate belongs to (exact matches before wildcards), connecting from where it may.
    pub fn by_certificate(
        &self,
        identity: &PeerIdentity,
        peer: IpAddr,
    ) -> Result<&Arc<Device>, DeviceRefusal> {
        let (mut exact, mut wildcard) = (Vec::new(), Vec::new());
        for at in self.certificates.candidates(identity) {
            let Some(device) = self.all.get(at) else {
                continue;
            };
            let matched = device
                .certificate
                .as_ref()
                .and_then(|wanted| wanted.matches(identity, peer));
            match matched {
                Some(MatchKind::Exact) => exact.push(device),
                Some(MatchKind::Wildcard) => wildcard.push(device),
                None => {}
            }
        }
        let found = if exact.is_empty() { wildcard } else { exact };
        let device = match found.as_slice() {
            [] => return Err(DeviceRefusal::NoMatch),
            [device] => *device,
            [first, second, ..] => {
                return Err(DeviceRefusal::Ambiguous {
                    first: Arc::clone(&first.name),
                    second: Arc::clone(&second.name),
                });
            }
        };
        from_where_it_may(device, peer)
    }

    /// The one device of a raw public key, connecting from where it may.
    pub fn by_raw_key(&self, pin: &KeyPin, peer: IpAddr) -> Result<&Arc<Device>, DeviceRefusal> {
        let at = self.by_key.get(pin);
        let device = at.and_then(|at| self.all.get(*at));
        from_where_it_may(device.ok_or(DeviceRefusal::NoMatch)?, peer)
    }

    /// The one device of an identity of a pre-shared key, octet by octet, connecting from where it may; and that key.
    pub fn by_psk(
        &self,
        identity: &[u8],
        peer: IpAddr,
    ) -> Result<(&Arc<Device>, &Arc<PskKey>), DeviceRefusal> {
        let at = self.by_psk.get(identity);
        let device = at.and_then(|at| self.all.get(*at));
        let device = from_where_it_may(device.ok_or(DeviceRefusal::NoMatch)?, peer)?;
        let psk = device.psk.as_ref().ok_or(DeviceRefusal::NoMatch)?;
        Ok((device, &psk.key))
    }

    /// Every device, in the order of the files.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Device>> {
        self.all.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

fn from_where_it_may(device: &Arc<Device>, peer: IpAddr) -> Result<&Arc<Device>, DeviceRefusal> {
    if device.address.is_empty() || contains(&device.address, peer) {
        return Ok(device);
    }
    Err(DeviceRefusal::WrongAddress {
        device: Arc::clone(&device.name),
    })
}

/// Finds the few devices that a certificate could be; whether it is, `CertificateMatch` says.
#[derive(Debug, Default)]
struct CertificateIndex {
    by_mark: HashMap<Mark, Vec<usize>>,
}

impl CertificateIndex {
    fn insert(&mut self, at: usize, device: &Device) {
        let marks = device.certificate.iter().flat_map(CertificateMatch::marks);
        for mark in marks {
            self.by_mark.entry(mark).or_default().push(at);
        }
    }

    /// In the order of the devices, each once.
    fn candidates(&self, identity: &PeerIdentity) -> BTreeSet<usize> {
        let found = identity.marks().filter_map(|mark| self.by_mark.get(&mark));
        found.flatten().copied().collect()
    }
}
