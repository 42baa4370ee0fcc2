//! The files of the demo: a CA, certificates, users, a configuration.
//!
//! Everything is made anew for each folder: keys, passwords and the shared secret are random, so that a demo left
//! running gives nobody a known password.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};

use crate::identity;

/// The name in the server's certificate.
pub const SERVER_NAME: &str = "aaa1.doorward.test";
/// The devices that have certificates; the second one's is revoked.
const DEVICES: [&str; 2] = ["core1", "stolen1"];
/// The device that has a pre-shared key, and the identity that it says.
pub(super) const KEYED: &str = "lab-pe1";
/// See [`KEYED`]; the configuration says it too.
pub(super) const PSK_IDENTITY: &str = "lab-pe1.doorward.test";
/// The users.
const USERS: [&str; 2] = ["alice", "bob"];

/// Made last: says that the folder is a demo's, and complete.
const MARKER: &str = ".doorward-demo";
const CONFIGURATION: &str = include_str!("doorward.toml");
const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);
const CRL_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
const REVOKED_SERIAL: u64 = 0x0057_01e2;

/// The folder of a demo.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// Why the files could not be made.
#[derive(Debug)]
pub enum FilesError {
    /// A file.
    File(PathBuf, io::Error),
    /// A certificate.
    Certificate(rcgen::Error),
    /// A password.
    Password(identity::HashError),
    /// Random numbers.
    Random(getrandom::Error),
    /// There is a folder that this program did not make.
    Foreign(PathBuf),
}

impl std::fmt::Display for FilesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path, error) => write!(
                f,
                "error: a file of the demo cannot be written or read: {error}\n  --> {}\n  help: choose a folder you may write to with --dir",
                path.display()
            ),
            Self::Certificate(error) => write!(
                f,
                "error: a certificate of the demo cannot be made: {error}"
            ),
            Self::Password(error) => {
                write!(f, "error: a password of the demo cannot be hashed: {error}")
            }
            Self::Random(error) => write!(
                f,
                "error: the operating system gives no random numbers: {error}"
            ),
            Self::Foreign(path) => write!(
                f,
                "error: the folder is not empty and was not made by the demo\n  --> {}\n  help: choose another one with --dir",
                path.display()
            ),
        }
    }
}

impl std::error::Error for FilesError {}

impl Folder {
    /// Makes the folder with everything in it; one that a demo made before is used again, with a fresh CRL.
    ///
    /// # Errors
    /// Files that cannot be written, or a folder with other things in it.
    pub fn prepare(path: &Path) -> Result<Self, FilesError> {
        let folder = Self(path.to_path_buf());
        if folder.path(MARKER).exists() {
            folder.renew_crl()?;
            return Ok(folder);
        }
        let occupied = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        if occupied {
            return Err(FilesError::Foreign(path.to_path_buf()));
        }
        fs::create_dir_all(path).map_err(|error| FilesError::File(path.to_path_buf(), error))?;
        folder.certificates()?;
        for user in USERS {
            let password = random_text()?;
            let hash =
                identity::hash_password(password.as_bytes()).map_err(FilesError::Password)?;
            folder.private(&format!("{user}.password"), &password)?;
            folder.private(&format!("{user}.hash"), &hash)?;
        }
        folder.private("old-sw7.secret", &random_text()?)?;
        folder.private("old-sw7.radius", &random_text()?)?;
        let key = random_key()?;
        folder.private(&format!("{KEYED}.psk"), &key)?;
        folder.private("psk.txt", &format!("identity {PSK_IDENTITY}\nkey {key}"))?;
        folder.public("doorward.toml", CONFIGURATION)?;
        folder.public(MARKER, "")?;
        Ok(folder)
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The text of a file of the folder.
    ///
    /// # Errors
    /// What reading says.
    pub fn text(&self, name: &str) -> Result<String, FilesError> {
        let path = self.path(name);
        fs::read_to_string(&path)
            .map(|text| text.trim_end().to_owned())
            .map_err(|error| FilesError::File(path, error))
    }

    /// Writes a file that may be read by everyone.
    ///
    /// # Errors
    /// What writing says.
    pub fn public(&self, name: &str, text: &str) -> Result<(), FilesError> {
        let path = self.path(name);
        fs::write(&path, text).map_err(|error| FilesError::File(path, error))
    }

    fn private(&self, name: &str, text: &str) -> Result<(), FilesError> {
        let path = self.path(name);
        let write = |path: &Path| {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(path)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")
        };
        write(&path).map_err(|error| FilesError::File(path, error))
    }

    fn certificates(&self) -> Result<(), FilesError> {
        let mut ca = named("Doorward demo CA")?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_key = KeyPair::generate().map_err(FilesError::Certificate)?;
        self.private("ca.key", &ca_key.serialize_pem())?;
        let ca = CertifiedIssuer::self_signed(ca, ca_key).map_err(FilesError::Certificate)?;
        self.public("ca.pem", &ca.pem())?;

        let mut server = named(SERVER_NAME)?;
        server.subject_alt_names =
            vec![dns(SERVER_NAME)?, SanType::IpAddress([127, 0, 0, 1].into())];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.pair("server", server, &ca)?;
        for device in DEVICES {
            let name = format!("{device}.doorward.test");
            let mut params = named(&name)?;
            params.subject_alt_names = vec![dns(&name)?];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            if device == "stolen1" {
                params.serial_number = Some(SerialNumber::from(REVOKED_SERIAL));
            }
            self.pair(device, params, &ca)?;
        }
        self.crl(&ca)
    }

    fn pair(
        &self,
        name: &str,
        mut params: CertificateParams,
        ca: &Issuer<'_, KeyPair>,
    ) -> Result<(), FilesError> {
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().map_err(FilesError::Certificate)?;
        let certificate = params
            .signed_by(&key, ca)
            .map_err(FilesError::Certificate)?;
        self.private(&format!("{name}.key"), &key.serialize_pem())?;
        self.public(&format!("{name}.pem"), &certificate.pem())
    }

    fn renew_crl(&self) -> Result<(), FilesError> {
        let key = KeyPair::from_pem(&self.text("ca.key")?).map_err(FilesError::Certificate)?;
        let ca = Issuer::from_ca_cert_pem(&self.text("ca.pem")?, key)
            .map_err(FilesError::Certificate)?;
        self.crl(&ca)
    }

    fn crl(&self, ca: &Issuer<'_, KeyPair>) -> Result<(), FilesError> {
        let now = SystemTime::now();
        let number = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(1, |since| since.as_secs());
        let crl = CertificateRevocationListParams {
            this_update: (now - Duration::from_secs(300)).into(),
            next_update: (now + CRL_LIFETIME).into(),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: vec![rcgen::RevokedCertParams {
                serial_number: SerialNumber::from(REVOKED_SERIAL),
                revocation_time: now.into(),
                reason_code: Some(rcgen::RevocationReason::KeyCompromise),
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let crl = crl
            .signed_by(ca)
            .and_then(|crl| crl.pem())
            .map_err(FilesError::Certificate)?;
        self.public("ca.crl", &crl)
    }
}

fn named(name: &str) -> Result<CertificateParams, FilesError> {
    let mut params = CertificateParams::new(Vec::new()).map_err(FilesError::Certificate)?;
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    params.distinguished_name = distinguished;
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_secs(3600)).into();
    params.not_after = (now + YEAR).into();
    Ok(params)
}

fn dns(name: &str) -> Result<SanType, FilesError> {
    Ok(SanType::DnsName(
        name.try_into().map_err(FilesError::Certificate)?,
    ))
}

/// A pre-shared key as `doorward device psk` makes it: 32 octets in hexadecimal.
fn random_key() -> Result<String, FilesError> {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets).map_err(FilesError::Random)?;
    Ok(octets.iter().map(|octet| format!("{octet:02x}")).collect())
}

/// 24 characters of a safe alphabet: 120 bits.
fn random_text() -> Result<String, FilesError> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut octets = [0; 24];
    getrandom::fill(&mut octets).map_err(FilesError::Random)?;
    Ok(octets
        .iter()
        .filter_map(|octet| {
            ALPHABET
                .get(usize::from(octet % 32))
                .map(|letter| char::from(*letter))
        })
        .collect())
}
