//! A folder with configuration files.

use std::path::{Path, PathBuf};

use doorward::config::{self, Config, Failure, Lint, Loaded, Surroundings};
use tempfile::TempDir;

/// A hash of "x", made once: hashing is slow on purpose.
pub(crate) const HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$7CHOfrsUfaBzVINkCNMQ9ZaJzfBKSkJSHcXLGNjoVtY";

/// What [`TestContext::load`] calls now: 2027-01-04T10:00:00Z.
pub(crate) const NOW: i64 = 1_799_056_800;

pub(crate) struct TestContext {
    folder: TempDir,
}

impl TestContext {
    pub(crate) fn new() -> Self {
        let context = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        context.file("secret", "a-secret-of-some-length\n");
        context.file("secret2", "quite-another-one-of-its-kind\n");
        context.file("hash", HASH);
        context
    }

    /// Writes a file that only its owner can read.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        self.age(name, 1);
        path
    }

    /// Makes a file that many days old, by the clock of [`Self::load`].
    pub(crate) fn age(&self, name: &str, days: u64) {
        let now = jiff::Timestamp::from_second(NOW).unwrap();
        let day = std::time::Duration::from_secs(24 * 3600);
        let file = std::fs::File::options();
        let file = file
            .clone()
            .append(true)
            .open(self.folder.path().join(name));
        let days = u32::try_from(days).unwrap();
        let then = std::time::SystemTime::from(now) - day * days;
        file.unwrap().set_modified(then).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Loads `main.toml` with this text.
    pub(crate) fn load(&self, text: &str) -> Result<Loaded, Failure> {
        let path = self.file("main.toml", text);
        let surroundings = Surroundings {
            now: jiff::Timestamp::from_second(NOW).unwrap(),
            variable: |name| (name == "SECRET").then(|| "from-the-environment".to_owned()),
        };
        config::load_with(&path, &surroundings)
    }

    pub(crate) fn config(&self, text: &str) -> std::sync::Arc<Config> {
        self.load(text)
            .unwrap_or_else(|failure| panic!("{failure}"))
            .config
    }

    /// The findings of one kind, with the folder's own name taken out.
    pub(crate) fn findings(&self, lint: Lint, text: &str) -> String {
        let loaded = self
            .load(text)
            .unwrap_or_else(|failure| panic!("{failure}"));
        let found = loaded.diagnostics.iter();
        let texts: Vec<String> = found
            .filter(|one| one.lint == Some(lint))
            .map(|one| self.clean(&one.to_string()))
            .collect();
        texts.join("\n\n")
    }

    /// A message with the folder's own name taken out.
    pub(crate) fn clean(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.path().display()), "")
    }

    /// Every message about the text, with the folder's own name taken out.
    pub(crate) fn messages(&self, text: &str) -> String {
        let diagnostics = match self.load(text) {
            Ok(loaded) => loaded.diagnostics,
            Err(failure) => failure.diagnostics,
        };
        let texts: Vec<String> = diagnostics
            .iter()
            .map(|one| self.clean(&one.to_string()))
            .collect();
        texts.join("\n\n")
    }
}

/// Makes a CA, its revocation list and a server certificate under `tls/`, as the examples name them.
pub(crate) fn certificates(context: &TestContext) {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
        KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
    };
    use std::time::{Duration, SystemTime};
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["aaa1.example.net".into()]).unwrap();
    let issuer = Issuer::new(ca, &ca_key);
    let server = server.signed_by(&key, &issuer).unwrap();
    let now = SystemTime::from(jiff::Timestamp::from_second(NOW).unwrap());
    let month = Duration::from_secs(30 * 24 * 3600);
    let crl = CertificateRevocationListParams {
        this_update: (now - month).into(),
        next_update: (now + month).into(),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let crl = crl.signed_by(&issuer).unwrap();
    context.file("tls/ca.crl", &crl.pem().unwrap());
    context.file("tls/ca.pem", &ca_certificate.pem());
    context.file("tls/server.pem", &server.pem());
    context.file("tls/server.key", &key.serialize_pem());
}
