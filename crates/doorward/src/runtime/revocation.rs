//! Revocation lists that change on disk come into force without a reload, and end the connections they forbid.

use std::sync::Arc;
use std::time::Duration;

use super::Server;
use crate::config::CrlChange;

/// Between two looks at the files. Whoever fetches lists does so every few minutes at most.
const PAUSE: Duration = Duration::from_secs(2);

/// Looks at the lists of the configuration in force until the task is stopped.
pub(super) async fn watch(server: Arc<Server>) {
    let mut clock = tokio::time::interval(PAUSE);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let looking = Arc::clone(&server);
        let changed = tokio::task::spawn_blocking(move || looking.refresh_revocation()).await;
        if changed.is_ok_and(|changed| changed) {
            server.listeners.sweep();
        }
    }
}

impl Server {
    /// Reads lists again whose files have changed; true when others are in force now.
    fn refresh_revocation(&self) -> bool {
        let snapshot = self.aaa.snapshot();
        let mut changed = false;
        for profile in snapshot.config.tls.values() {
            let tls = &*profile.name;
            match profile.crls.refresh() {
                CrlChange::None => {}
                CrlChange::InForce(warnings) => {
                    changed = true;
                    tracing::info!(
                        tls,
                        "the revocation lists were read again, because a file changed"
                    );
                    for warning in warnings {
                        tracing::warn!(tls, "a revocation list does not count: {warning}");
                    }
                }
                CrlChange::Unusable(why) => tracing::warn!(
                    tls,
                    "a file of `crl` changed and cannot be used, so that the lists from before stay in force: {why}"
                ),
            }
        }
        changed
    }
}
