//! Which device is it: the look-ups by name, by address (without TLS) and by certificate.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Device;

/// All devices, with the look-ups that a connection needs.
#[derive(Debug, Default)]
pub struct Devices {
    by_name: HashMap<Arc<str>, Arc<Device>>,
}

/// Why a client certificate belongs to no device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceRefusal {
    /// No device says so.
    NoMatch,
    /// More than one device says so.
    Ambiguous {
        /// Two of them.
        first: Arc<str>,
        /// Two of them.
        second: Arc<str>,
    },
    /// The device has an `address`, and the connection comes from elsewhere.
    WrongAddress {
        /// The device.
        device: Arc<str>,
    },
}

impl Devices {
    /// The device called `name`.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Device>> {
        self.by_name.get(name)
    }

    /// The device with the longest prefix that contains `address` and has a secret for connections without TLS.
    pub fn by_address(&self, _address: IpAddr) -> Option<&Arc<Device>> {
        None // filled in below
    }

    /// The one device the certificate belongs to (exact matches before wildcards), connecting from where it may.
    pub fn by_certificate(
        &self,
        _identity: &doorward_tls::PeerIdentity,
        _peer: IpAddr,
    ) -> Result<&Arc<Device>, DeviceRefusal> {
        Err(DeviceRefusal::NoMatch)
    }

    /// Every device, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Device>> {
        self.by_name.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}
