//! A small certification authority and two channels back to back, for the tests of this crate.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

use crate::{
    Admission, AdmissionRefusal, ClientChannel, ClientPolicy, ClientSettings, Clock, Der,
    Handshake, PeerIdentity, PrivateKey, ReferenceIdentity, Revocation, ServerChannel,
    ServerPolicy, ServerSettings, Trust, TrustSettings,
};

/// 2027-06-01, Unix seconds: certificates made here are valid from 2027-01-01 to 2027-12-31 unless a test says otherwise.
pub(crate) const NOW: i64 = 1_811_808_000;

/// Somebody who signs.
pub(crate) struct Ca {
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
    pub(crate) der: Der,
}

/// A certificate with its key.
pub(crate) struct Leaf {
    pub(crate) der: Der,
    pub(crate) key: KeyPair,
}

impl Leaf {
    pub(crate) fn private_key(&self) -> PrivateKey {
        crate::pem::private_key(self.key.serialize_pem().as_bytes()).unwrap()
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Doorward test");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2027, 1, 1);
    params.not_after = date_time_ymd(2027, 12, 31);
    params
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Ca {
    pub(crate) fn root(name: &str) -> Self {
        Self::root_with(name, |_| ())
    }

    pub(crate) fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().as_ref().into();
        Self { params, key, der }
    }

    pub(crate) fn sub(&self, name: &str) -> Self {
        self.sub_with(name, |_| ())
    }

    pub(crate) fn sub_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = params
            .signed_by(&key, &self.issuer())
            .unwrap()
            .der()
            .as_ref()
            .into();
        Self { params, key, der }
    }

    /// A certificate for both roles, named `name` in its dNSName.
    pub(crate) fn leaf(&self, name: &str) -> Leaf {
        self.leaf_with(name, |_| ())
    }

    pub(crate) fn leaf_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Leaf {
        let mut params = params("leaf");
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = params
            .signed_by(&key, &self.issuer())
            .unwrap()
            .der()
            .as_ref()
            .into();
        Leaf { der, key }
    }

    /// A client certificate for `key`.
    pub(crate) fn leaf_for(&self, name: &str, key: KeyPair) -> Leaf {
        let mut params = params("leaf");
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        let der = params
            .signed_by(&key, &self.issuer())
            .unwrap()
            .der()
            .as_ref()
            .into();
        Leaf { der, key }
    }

    pub(crate) fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// A list valid from 2027-05-01 to 2027-07-01.
    pub(crate) fn crl(&self, serials: &[u64]) -> Der {
        self.crl_with(serials, |_| ())
    }

    pub(crate) fn crl_with(
        &self,
        serials: &[u64],
        change: impl FnOnce(&mut CertificateRevocationListParams),
    ) -> Der {
        let revoked = |&serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2027, 4, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let mut params = CertificateRevocationListParams {
            this_update: date_time_ymd(2027, 5, 1),
            next_update: date_time_ymd(2027, 7, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        change(&mut params);
        // An issuer without cRLSign could not be made to sign otherwise.
        let mut able = self.params.clone();
        able.key_usages = vec![KeyUsagePurpose::CrlSign];
        params
            .signed_by(&Issuer::from_params(&able, &self.key))
            .unwrap()
            .der()
            .as_ref()
            .into()
    }
}

/// certificatePolicies with these policies; the last arcs are below 128.
pub(crate) fn policies(oids: &[&[u8]]) -> CustomExtension {
    let informations: Vec<u8> = oids
        .iter()
        .flat_map(|oid| {
            let length = u8::try_from(oid.len()).unwrap();
            [&[0x30, length + 2, 0x06, length][..], oid].concat()
        })
        .collect();
    let content = [
        &[0x30, u8::try_from(informations.len()).unwrap()][..],
        &informations,
    ]
    .concat();
    CustomExtension::from_oid_content(&[2, 5, 29, 32], content)
}

pub(crate) fn trust(anchors: &[&Ca], crls: Vec<Der>, revocation: Revocation) -> Trust {
    let anchors = anchors.iter().map(|ca| ca.der.clone()).collect();
    let settings = TrustSettings {
        anchors,
        intermediates: Vec::new(),
        crls,
        revocation,
        ..TrustSettings::default()
    };
    Trust::at(settings, NOW).unwrap()
}

pub(crate) fn clock() -> Clock {
    Clock::new(|| NOW)
}

/// The same time for a plain client of rustls.
#[derive(Debug)]
pub(crate) struct FixedTime;

impl rustls::time_provider::TimeProvider for FixedTime {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let seconds = u64::try_from(NOW).unwrap();
        Some(rustls::pki_types::UnixTime::since_unix_epoch(
            std::time::Duration::from_secs(seconds),
        ))
    }
}

/// Everybody is the device `core1`, or nobody is.
pub(crate) struct Everybody;
pub(crate) struct Nobody;

impl Admission for Everybody {
    fn admit(&self, _: &PeerIdentity, _: SocketAddr) -> Result<Arc<str>, AdmissionRefusal> {
        Ok("core1".into())
    }
}

impl Admission for Nobody {
    fn admit(&self, _: &PeerIdentity, _: SocketAddr) -> Result<Arc<str>, AdmissionRefusal> {
        Err(AdmissionRefusal::UnknownDevice)
    }
}

pub(crate) fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 17], 49152))
}

/// One CA, a server `aaa1.example.net` and a client `core1.example.net`.
pub(crate) struct World {
    pub(crate) ca: Ca,
    pub(crate) server: Leaf,
    pub(crate) client: Leaf,
}

impl World {
    pub(crate) fn new() -> Self {
        let ca = Ca::root("Device CA");
        let server = ca.leaf("aaa1.example.net");
        let client = ca.leaf("core1.example.net");
        Self { ca, server, client }
    }

    pub(crate) fn trust(&self) -> Arc<Trust> {
        Arc::new(trust(&[&self.ca], Vec::new(), Revocation::Off))
    }

    pub(crate) fn server_settings(&self) -> ServerSettings {
        ServerSettings {
            certificate_chain: vec![self.server.der.clone()],
            key: self.server.private_key(),
            trust: self.trust(),
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            sni_required: false,
            sni_names: Vec::new(),
            raw_public_key: None,
            staple: None,
            tls12: true,
            ticket_lifetime: 3600,
            key_log: None,
            clock: clock(),
        }
    }

    pub(crate) fn client_settings(&self) -> ClientSettings {
        ClientSettings {
            certificate: Some((vec![self.client.der.clone()], self.client.private_key())),
            raw_public_key: false,
            server_pins: Vec::new(),
            trust: self.trust(),
            show_authorities: false,
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            tls12: false,
            datagrams: false,
            psk: None,
            clock: clock(),
        }
    }

    pub(crate) fn server(&self, change: impl FnOnce(&mut ServerSettings)) -> ServerChannel {
        let mut settings = self.server_settings();
        change(&mut settings);
        ServerChannel::new(
            Arc::new(ServerPolicy::new(settings).unwrap()),
            Arc::new(Everybody),
            peer(),
        )
    }

    pub(crate) fn client(&self, change: impl FnOnce(&mut ClientSettings)) -> ClientChannel {
        let mut settings = self.client_settings();
        change(&mut settings);
        let reference = ReferenceIdentity::parse("aaa1.example.net").unwrap();
        let policy = Arc::new(ClientPolicy::new(settings).unwrap());
        ClientChannel::new(policy, reference, Some("aaa1.example.net"), peer())
    }
}

/// Carries octets both ways in pieces of `chunk` until nobody has any left.
pub(crate) fn carry(client: &mut ClientChannel, server: &mut ServerChannel, chunk: usize) {
    loop {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        client.drain(&mut up);
        up.chunks(chunk).for_each(|piece| server.feed(piece));
        server.drain(&mut down);
        down.chunks(chunk).for_each(|piece| client.feed(piece));
        if up.is_empty() && down.is_empty() {
            return;
        }
    }
}

pub(crate) fn client_failure(client: &ClientChannel) -> &crate::HandshakeError {
    match client.handshake() {
        Handshake::Failed(error) => error,
        Handshake::WantRead | Handshake::Done(_) => panic!("the client's handshake did not fail"),
    }
}

pub(crate) fn server_failure(server: &ServerChannel) -> &crate::HandshakeError {
    match server.handshake() {
        Handshake::Failed(error) => error,
        Handshake::WantRead | Handshake::Done(_) => panic!("the server's handshake did not fail"),
    }
}

/// The alert that reaches a client which believes its handshake complete.
pub(crate) fn alert_at(client: &mut ClientChannel) -> u8 {
    if let Handshake::Failed(crate::HandshakeError::PeerAlert(number)) = client.handshake() {
        return *number;
    }
    match client.read_plain(&mut Vec::new()) {
        Err(crate::ChannelError::PeerAlert(number)) => number,
        other => panic!("no alert but {other:?}"),
    }
}
