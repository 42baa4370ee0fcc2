//! A CA, a server and a device, made anew for every test.

use std::sync::Arc;

use doorward_tls::{
    ClientPolicy, ClientSettings, Clock, Der, Ocsp, Revocation, ServerPolicy, ServerSettings,
    Trust, TrustSettings, pem,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

pub(crate) const SERVER_SERIAL: u64 = 4711;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    anchor: Der,
}

/// A certificate and its key.
pub(crate) struct Pair {
    certificate: Der,
    key: Vec<u8>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let anchor = certificate.der().as_ref().into();
        Self {
            issuer: Issuer::new(params, key),
            anchor,
        }
    }

    fn issue(&self, names: &[&str], serial: u64, purpose: ExtendedKeyUsagePurpose) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            certificate: certificate.der().as_ref().into(),
            key: key.serialize_der(),
        }
    }

    pub(crate) fn server(&self, names: &[&str]) -> Pair {
        self.issue(names, SERVER_SERIAL, ExtendedKeyUsagePurpose::ServerAuth)
    }

    pub(crate) fn device(&self) -> Pair {
        self.issue(
            &["core1.example.net"],
            1,
            ExtendedKeyUsagePurpose::ClientAuth,
        )
    }

    /// A CRL with the serial number of the server on it.
    pub(crate) fn revoke_server(&self) -> Der {
        let now = date_time_ymd(2020, 1, 1);
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(SERVER_SERIAL),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: now,
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        params
            .signed_by(&self.issuer)
            .unwrap()
            .der()
            .as_ref()
            .into()
    }

    /// A client's that asks this responder about the server, and tells it nothing without its answer.
    pub(crate) fn asking(&self, responder: &str, datagrams: bool) -> ClientSettings {
        let device = self.device();
        let trust = TrustSettings {
            anchors: vec![self.anchor.clone()],
            revocation: Revocation::IfAvailable,
            ocsp: Ocsp::Require,
            ocsp_responder: Some(responder.into()),
            ..TrustSettings::default()
        };
        ClientSettings {
            trust: Arc::new(Trust::new(trust).unwrap()),
            datagrams,
            ..self.client_settings(Some(&device), Vec::new())
        }
    }

    fn trust(&self, crls: Vec<Der>) -> Arc<Trust> {
        let settings = TrustSettings {
            anchors: vec![self.anchor.clone()],
            crls,
            revocation: Revocation::IfAvailable,
            ..TrustSettings::default()
        };
        Arc::new(Trust::new(settings).unwrap())
    }

    /// What a server needs that trusts this CA.
    pub(crate) fn server_policy(&self, pair: &Pair) -> ServerPolicy {
        ServerPolicy::new(self.server_settings(pair)).unwrap()
    }

    pub(crate) fn server_settings(&self, pair: &Pair) -> ServerSettings {
        ServerSettings {
            certificate_chain: vec![pair.certificate.clone()],
            key: pem::private_key(&pair.key).unwrap(),
            trust: self.trust(Vec::new()),
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            sni_required: false,
            raw_public_key: None,
            staple: None,
            tls12: false,
            ticket_lifetime: 3600,
            key_log: None,
            sni_names: Vec::new(),
            clock: Clock::system(),
        }
    }

    /// What a client needs that trusts this CA and shows this certificate, if any.
    pub(crate) fn client_policy(&self, pair: Option<&Pair>) -> Arc<ClientPolicy> {
        self.client_policy_with(pair, Vec::new())
    }

    pub(crate) fn client_policy_with(
        &self,
        pair: Option<&Pair>,
        crls: Vec<Der>,
    ) -> Arc<ClientPolicy> {
        let settings = self.client_settings(pair, crls);
        Arc::new(ClientPolicy::new(settings).unwrap())
    }

    pub(crate) fn client_settings(&self, pair: Option<&Pair>, crls: Vec<Der>) -> ClientSettings {
        let certificate = pair.map(|pair| {
            (
                vec![pair.certificate.clone()],
                pem::private_key(&pair.key).unwrap(),
            )
        });
        ClientSettings {
            certificate,
            raw_public_key: false,
            server_pins: Vec::new(),
            trust: self.trust(crls),
            show_authorities: false,
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            tls12: false,
            datagrams: false,
            psk: None,
            clock: Clock::system(),
        }
    }
}
