//! A folder with configuration files.

use std::path::{Path, PathBuf};

use doorward::config::{self, Config, Failure, Loaded, Surroundings};
use tempfile::TempDir;

/// A hash of "x", made once: hashing is slow on purpose.
pub(crate) const HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$7CHOfrsUfaBzVINkCNMQ9ZaJzfBKSkJSHcXLGNjoVtY";

pub(crate) struct TestContext {
    folder: TempDir,
}

impl TestContext {
    pub(crate) fn new() -> Self {
        let context = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        context.file("secret", "a-secret-of-some-length\n");
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
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Loads `main.toml` with this text.
    pub(crate) fn load(&self, text: &str) -> Result<Loaded, Failure> {
        let path = self.file("main.toml", text);
        let surroundings = Surroundings {
            now: "2027-01-04T10:00:00Z".parse().unwrap(),
            variable: |name| (name == "SECRET").then(|| "from-the-environment".to_owned()),
        };
        config::load_with(&path, &surroundings)
    }

    pub(crate) fn config(&self, text: &str) -> std::sync::Arc<Config> {
        self.load(text)
            .unwrap_or_else(|failure| panic!("{failure}"))
            .config
    }

    /// Every message about the text, with the folder's own name taken out.
    pub(crate) fn messages(&self, text: &str) -> String {
        let diagnostics = match self.load(text) {
            Ok(loaded) => loaded.diagnostics,
            Err(failure) => failure.diagnostics,
        };
        let folder = format!("{}/", self.path().display());
        let texts: Vec<String> = diagnostics
            .iter()
            .map(|one| one.to_string().replace(&folder, ""))
            .collect();
        texts.join("\n\n")
    }
}

/// Makes a CA and a server certificate under `tls/`, as the examples name them.
pub(crate) fn certificates(context: &TestContext) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["aaa1.example.net".into()]).unwrap();
    let server = server.signed_by(&key, &Issuer::new(ca, &ca_key)).unwrap();
    context.file("tls/ca.pem", &ca_certificate.pem());
    context.file("tls/server.pem", &server.pem());
    context.file("tls/server.key", &key.serialize_pem());
}
