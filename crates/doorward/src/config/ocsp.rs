//! `ocsp`, `ocsp_responder` and `ocsp_staple` of a `[tls.NAME]`.

use std::sync::Arc;

use doorward_tls::{Ocsp, PolicyError, Stapling};

use super::report::Report;
use super::section::Section;
use super::value;

/// What they say.
pub(super) struct Asking {
    pub(super) ocsp: Ocsp,
    pub(super) responder: Option<Arc<str>>,
    staple: bool,
}

impl Asking {
    pub(super) fn stapling(&self) -> Option<Stapling> {
        self.staple.then(|| Stapling {
            responder: self.responder.clone(),
        })
    }
}

pub(super) fn asking(report: &mut Report, section: &mut Section<'_>) -> Asking {
    let words = [
        ("off", Ocsp::Off),
        ("if-available", Ocsp::IfAvailable),
        ("require", Ocsp::Require),
    ];
    let ocsp = section.value("ocsp");
    let ocsp = ocsp.and_then(|node| value::choice(report, "ocsp", node, &words));
    let staple = section.value("ocsp_staple");
    let staple = staple.and_then(|node| value::boolean(report, "ocsp_staple", node));
    let (ocsp, staple) = (ocsp.unwrap_or_default(), staple.unwrap_or(false));
    let node = section.value("ocsp_responder");
    let node = node.filter(|node| node.as_str() != Some(""));
    let responder = node.and_then(|node| {
        let url = value::text(report, "ocsp_responder", node)?;
        if !doorward_client::is_responder_url(url) {
            report
                .error(node.span, "this is not the URL of an OCSP responder")
                .help("write \"http://ocsp.example.net/\"; an answer is signed, so that https is not needed");
            return None;
        }
        if ocsp == Ocsp::Off && !staple {
            report
                .error(node.span, "nothing is asked of this responder")
                .help("set `ocsp` to \"if-available\" or \"require\", or take `ocsp_responder` out");
        }
        Some(Arc::from(url))
    });
    Asking {
        ocsp,
        responder,
        staple,
    }
}

/// What to do about an error of theirs.
pub(super) fn help(error: &PolicyError) -> Option<&'static str> {
    if *error == PolicyError::StapleResponder {
        Some("set `ocsp_responder`, or take `ocsp_staple` out")
    } else if *error == PolicyError::StapleIssuer {
        Some("append the certificate of the CA to the file of `certificate`")
    } else {
        None
    }
}
