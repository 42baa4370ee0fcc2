//! Opens the files that `keylog` of `[tls.NAME]` names, and says aloud that they are written.

use crate::config::Config;

/// Opens them for a configuration that comes into force, going on with those of the one `before`. Returns what could not be
/// opened, for people: the server serves all the same, and keeps no secrets there. Blocks on the disk.
pub(super) fn open(config: &Config, before: Option<&Config>) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, profile) in &config.tls {
        let Some(log) = &profile.key_log else {
            continue;
        };
        let before = before.and_then(|before| before.tls.get(name)?.key_log.as_deref());
        let path = log.path().display();
        match log.open(before) {
            Ok(()) => tracing::warn!(
                profile = &**name,
                %path,
                "the secrets of TLS connections are written to a file (`keylog`): who has it can read them"
            ),
            Err(error) => notes.push(format!(
                "warning: no TLS secrets are kept for [tls.{name}], because `keylog` cannot be opened: {error}\n  --> {path}"
            )),
        }
    }
    notes
}
