//! Takes a reassembled ClientHello apart (RFC 8446 section 4.1.2).

use super::HelloError;

const SERVER_NAME: u16 = 0;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const EXTENDED_MASTER_SECRET: u16 = 23;
const CLIENT_CERTIFICATE_TYPE: u16 = 19;
const SERVER_CERTIFICATE_TYPE: u16 = 20;
const PRE_SHARED_KEY: u16 = 41;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;
const PSK_KEY_EXCHANGE_MODES: u16 = 45;
const TLS_1_3: u16 = 0x0304;
const TLS_1_2: u16 = 0x0303;
const DTLS_1_2: u16 = 0xfefd;
/// A DNS name is shorter; what is longer is no name.
const MAX_SERVER_NAME: usize = 255;

/// What a ClientHello offers, as far as anybody here decides by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// legacy_version, which counts only where supported_versions is absent.
    pub legacy_version: u16,
    /// The client's random.
    pub random: [u8; 32],
    /// server_name of type host_name, in lower case.
    pub server_name: Option<String>,
    /// Application protocols in the client's order.
    pub alpn: Vec<Vec<u8>>,
    /// Cipher suites in the client's order.
    pub cipher_suites: Vec<u16>,
    /// supported_versions; empty when the extension is absent.
    pub versions: Vec<u16>,
    /// extended_master_secret (RFC 7627).
    pub extended_master_secret: bool,
    /// signature_algorithms.
    pub signature_algorithms: Vec<u16>,
    /// pre_shared_key identities, octets as they came.
    pub psk_identities: Vec<Vec<u8>>,
    /// psk_key_exchange_modes.
    pub psk_modes: Vec<u8>,
    /// client_certificate_type (RFC 7250).
    pub client_certificate_types: Vec<u8>,
    /// server_certificate_type (RFC 7250).
    pub server_certificate_types: Vec<u8>,
}

impl ClientHello {
    /// TLS 1.3 is among the versions.
    pub fn offers_tls13(&self) -> bool {
        self.versions.contains(&TLS_1_3)
    }

    /// TLS 1.2 is among the versions, or the newest of a client that does not list them (RFC 8446 section 4.2.1).
    pub fn offers_tls12(&self) -> bool {
        self.versions.contains(&TLS_1_2)
            || (self.versions.is_empty() && self.legacy_version >= TLS_1_2)
    }

    /// The same of DTLS 1.2, whose versions count down.
    pub fn offers_dtls12(&self) -> bool {
        self.versions.contains(&DTLS_1_2)
            || (self.versions.is_empty() && self.legacy_version <= DTLS_1_2)
    }
}

/// Reads the body of a ClientHello message.
pub(super) fn client_hello(body: &[u8]) -> Result<ClientHello, HelloError> {
    let mut input = Input(body);
    let mut hello = ClientHello {
        legacy_version: input.u16()?,
        ..ClientHello::default()
    };
    hello.random = *input.take(32)?.first_chunk().ok_or(HelloError::Malformed)?;
    if input.vector8()?.0.len() > 32 {
        return Err(HelloError::Malformed);
    }
    hello.cipher_suites = input.vector16()?.list16()?;
    if hello.cipher_suites.is_empty() || input.vector8()?.0.is_empty() {
        return Err(HelloError::Malformed);
    }
    if input.at_end() {
        return Ok(hello); // an old client without extensions, for the engine to refuse
    }
    let mut extensions = input.vector16()?;
    input.end()?;
    // At most 4,096 fit into a hello; a sorted list keeps that cheap.
    let mut seen = Vec::new();
    let mut early_data = false;
    while !extensions.at_end() {
        let kind = extensions.u16()?;
        let contents = extensions.vector16()?;
        seen.push(kind);
        early_data |= kind == EARLY_DATA;
        extension(kind, contents, &mut hello)?;
    }
    seen.sort_unstable();
    let twice = seen
        .iter()
        .zip(seen.iter().skip(1))
        .find(|(one, next)| one == next);
    if let Some((&kind, _)) = twice {
        return Err(HelloError::DuplicateExtension(kind));
    }
    if early_data {
        Err(HelloError::EarlyData)
    } else {
        Ok(hello)
    }
}

fn extension(
    kind: u16,
    mut contents: Input<'_>,
    hello: &mut ClientHello,
) -> Result<(), HelloError> {
    match kind {
        EXTENDED_MASTER_SECRET => hello.extended_master_secret = true,
        SERVER_NAME => hello.server_name = server_name(&mut contents)?,
        SIGNATURE_ALGORITHMS => hello.signature_algorithms = contents.vector16()?.list16()?,
        ALPN => {
            let mut names = contents.vector16()?;
            while !names.at_end() {
                hello.alpn.push(names.vector8()?.0.to_vec());
            }
        }
        CLIENT_CERTIFICATE_TYPE => hello.client_certificate_types = contents.vector8()?.0.to_vec(),
        SERVER_CERTIFICATE_TYPE => hello.server_certificate_types = contents.vector8()?.0.to_vec(),
        PRE_SHARED_KEY => {
            let mut identities = contents.vector16()?;
            while !identities.at_end() {
                hello.psk_identities.push(identities.vector16()?.0.to_vec());
                identities.take(4)?; // obfuscated_ticket_age
            }
            contents.vector16()?; // binders, checked by the engine
        }
        SUPPORTED_VERSIONS => hello.versions = contents.vector8()?.list16()?,
        PSK_KEY_EXCHANGE_MODES => hello.psk_modes = contents.vector8()?.0.to_vec(),
        _ => return Ok(()),
    }
    contents.end()
}

/// RFC 6066 section 3: one host_name; other types of name have never been defined.
fn server_name(contents: &mut Input<'_>) -> Result<Option<String>, HelloError> {
    let mut list = contents.vector16()?;
    let mut found = None;
    while !list.at_end() {
        let kind = list.u8()?;
        let name = list.vector16()?.0;
        if kind != 0 {
            continue;
        }
        let printable = name.iter().all(u8::is_ascii_graphic);
        if found.is_some() || name.is_empty() || name.len() > MAX_SERVER_NAME || !printable {
            return Err(HelloError::Malformed);
        }
        found = Some(String::from_utf8_lossy(name).to_ascii_lowercase());
    }
    Ok(found)
}

/// Octets not read yet.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    fn at_end(&self) -> bool {
        self.0.is_empty()
    }

    fn end(&self) -> Result<(), HelloError> {
        if self.at_end() {
            Ok(())
        } else {
            Err(HelloError::Malformed)
        }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], HelloError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(HelloError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, HelloError> {
        self.take(1)?.first().copied().ok_or(HelloError::Malformed)
    }

    fn u16(&mut self) -> Result<u16, HelloError> {
        self.take(2)?
            .first_chunk()
            .map(|&two| u16::from_be_bytes(two))
            .ok_or(HelloError::Malformed)
    }

    /// Contents of a vector with a length of one octet.
    pub(super) fn vector8(&mut self) -> Result<Input<'a>, HelloError> {
        let length = self.u8()?;
        self.take(usize::from(length)).map(Input)
    }

    /// Contents of a vector with a length of two octets.
    fn vector16(&mut self) -> Result<Input<'a>, HelloError> {
        let length = self.u16()?;
        self.take(usize::from(length)).map(Input)
    }

    fn list16(mut self) -> Result<Vec<u16>, HelloError> {
        let mut list = Vec::with_capacity(self.0.len() / 2);
        while !self.at_end() {
            list.push(self.u16()?);
        }
        Ok(list)
    }
}
