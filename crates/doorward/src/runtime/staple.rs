//! Keeps the OCSP answers about our own certificates fresh, so that they can be stapled.

use std::sync::Arc;
use std::time::Duration;

use doorward_tls::{CertificateStatus, Clock, ServerPolicy};

use super::Server;

/// Between two looks at what is due. A profile that a reload has brought is asked about that soon.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a responder is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at the profiles of the configuration in force until the task is stopped.
pub(super) async fn keep_fresh(server: Arc<Server>) {
    let mut clock = tokio::time::interval(PAUSE);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let snapshot = server.aaa.snapshot();
        for profile in snapshot.config.tls.values() {
            server.staple(&profile.name, &profile.server).await;
        }
    }
}

impl Server {
    async fn staple(&self, tls: &str, policy: &ServerPolicy) {
        let now = || Clock::system().now();
        let Some(question) = policy.staple_due(now()) else {
            return;
        };
        let responder = &**question.responder();
        let inquiries = &self.listeners.shared.inquiries;
        let answer = match inquiries.own(question, PATIENCE).await {
            Ok(octets) => policy
                .staple(&octets, now())
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match answer {
            Ok(CertificateStatus::Good) => {
                tracing::debug!(tls, responder, "a fresh answer is stapled");
            }
            Ok(CertificateStatus::Revoked) => tracing::error!(
                tls,
                responder,
                "our own certificate is revoked, says its OCSP responder: clients will refuse it; replace it"
            ),
            Err(why) => {
                policy.not_stapled(now());
                tracing::warn!(
                    tls,
                    responder,
                    "there is no fresh answer to staple to our certificate: {why}"
                );
            }
        }
    }
}
