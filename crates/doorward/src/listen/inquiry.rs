//! Questions to OCSP responders on behalf of connections: asked outside the handshake, counted, and told to the log.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use doorward_client::{AskError, Responders};
use doorward_tls::{CertificateStatus, StatusQuery, Trust};

use super::Sweep;
use crate::aaa::Aaa;
use crate::metrics::Inquiry;

/// Asks, for everybody: a responder that is silent is waited for once.
#[derive(Debug)]
pub struct Inquiries {
    aaa: Arc<Aaa>,
    sweep: Arc<Sweep>,
    responders: Responders,
}

/// A connection waits for it.
pub(super) type Asked = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Inquiries {
    /// `sweep` is begun when a certificate turns out to be revoked: other connections may have been made with it.
    pub(super) fn new(aaa: Arc<Aaa>, sweep: Arc<Sweep>) -> Self {
        Self {
            aaa,
            sweep,
            responders: Responders::default(),
        }
    }

    /// Ready once every question was asked, or `patience` has run out. `trust` has the answers then.
    pub(super) fn ask_all(
        self: &Arc<Self>,
        trust: Arc<Trust>,
        questions: Vec<StatusQuery>,
        patience: Duration,
    ) -> Asked {
        let this = Arc::clone(self);
        Box::pin(async move {
            let told = |question: &StatusQuery, answer: &Result<CertificateStatus, AskError>| {
                if this.told(question, answer) == Inquiry::Revoked {
                    this.sweep.begin();
                }
            };
            let responders = &this.responders;
            responders.ask_all(&trust, questions, patience, told).await;
        })
    }

    /// What the responder sends about our own certificate.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn own(
        &self,
        question: &StatusQuery,
        patience: Duration,
    ) -> Result<Vec<u8>, AskError> {
        self.responders.answer(question, patience).await
    }

    /// Counts an answer, and logs one that tells nothing.
    fn told(
        &self,
        question: &StatusQuery,
        answer: &Result<CertificateStatus, AskError>,
    ) -> Inquiry {
        let responder = &**question.responder();
        let inquiry = match answer {
            Ok(CertificateStatus::Good) => Inquiry::Good,
            Ok(CertificateStatus::Revoked) => Inquiry::Revoked,
            Err(AskError::Answer(error)) => {
                tracing::warn!(
                    responder,
                    "an answer of the OCSP responder does not count: {error}"
                );
                Inquiry::Unusable
            }
            // Logged when it was found silent, which is seconds ago; or not asked at all.
            Err(AskError::Silent(_) | AskError::NoTurn) => Inquiry::Silent,
            Err(error) => {
                tracing::warn!(responder, "the OCSP responder was not heard: {error}");
                Inquiry::Silent
            }
        };
        self.aaa.metrics.inquiries.add(inquiry);
        inquiry
    }
}
