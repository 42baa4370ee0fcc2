//! Certificates and revocation lists that end.

use std::collections::HashMap;

use doorward_tls::{CrlInfo, Revocation, Validity};

use super::Lint;
use crate::config::report::Report;
use crate::config::source::{Span, escape};
use crate::config::tls::Found;

const DAY: i64 = 24 * 3600;
/// How long before its end a certificate is spoken of.
const CERTIFICATE_NOTICE: i64 = 30 * DAY;
/// The same for a revocation list.
const CRL_NOTICE: i64 = 7 * DAY;

/// Warns of the end of our own certificate, and of those that stand between it and its CA.
pub(in crate::config) fn ours(report: &mut Report, chain: &Found, now: i64) {
    for (index, (der, place)) in chain.iter().enumerate() {
        let Some(validity) = Validity::of(der) else {
            continue;
        };
        // Whoever verifies has the root already, maybe a newer one.
        if index > 0 && validity.self_issued {
            continue;
        }
        let what = if index == 0 {
            "this certificate".to_owned()
        } else {
            let subject = escape(&validity.subject);
            format!("the certificate of {subject} in this chain")
        };
        let Some(message) = worded(&what, "devices will refuse the server", &validity, now) else {
            continue;
        };
        report
            .warning(Lint::CertificateEnds, *place, message)
            .help("renew it and reload");
    }
}

/// Warns of wildcards among the names of our own certificate (RFC 9887 sections 3.4.2 and 5.1.6).
pub(in crate::config) fn wildcards(report: &mut Report, names: &[String], place: Span) {
    for covered in names.iter().filter_map(|name| name.strip_prefix("*.")) {
        let covered = escape(covered);
        report
            .warning(
                Lint::WildcardCertificate,
                place,
                format!("this certificate is for every host right under {covered}: devices that are led to another of them do not notice"),
            )
            .help("name the servers in it one by one; or keep that subdomain for TACACS+ servers with TLS alone (RFC 9887 section 5.1.6)");
    }
}

/// Warns of the end of CAs that devices have their certificates from, unless another certificate of the same CA goes on.
pub(in crate::config) fn authorities(report: &mut Report, found: &Found, role: &str, now: i64) {
    let read: Vec<(Validity, Span)> = found
        .iter()
        .filter_map(|(der, place)| Some((Validity::of(der)?, *place)))
        .collect();
    let mut sound: HashMap<&str, bool> = HashMap::new();
    for (validity, _) in &read {
        let goes_on = dates(validity, now) == Dates::Sound;
        *sound.entry(&validity.subject).or_default() |= goes_on;
    }
    for (validity, place) in &read {
        if sound.get(&*validity.subject).copied().unwrap_or(false) {
            continue;
        }
        let subject = escape(&validity.subject);
        let what = format!("{role}, {subject},");
        let harm = "devices with its certificates are refused";
        let Some(message) = worded(&what, harm, validity, now) else {
            continue;
        };
        report.warning(Lint::CertificateEnds, *place, message).help(
            "add the next certificate of this CA beside it, and give the devices new ones in time",
        );
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dates {
    Sound,
    Early,
    Soon,
    Over,
}

fn dates(validity: &Validity, now: i64) -> Dates {
    if validity.not_after < now {
        Dates::Over
    } else if validity.not_before > now {
        Dates::Early
    } else if validity.not_after - now <= CERTIFICATE_NOTICE {
        Dates::Soon
    } else {
        Dates::Sound
    }
}

/// What is wrong with the dates of `what`, and what comes of it.
fn worded(what: &str, harm: &str, validity: &Validity, now: i64) -> Option<String> {
    let (begins, ends) = (moment(validity.not_before), moment(validity.not_after));
    match dates(validity, now) {
        Dates::Sound => None,
        Dates::Over => Some(format!("{what} has expired, at {ends}: {harm}")),
        Dates::Early => Some(format!(
            "{what} is not valid before {begins}: {harm} until then"
        )),
        Dates::Soon => Some(format!("{what} expires at {ends}; from then on {harm}")),
    }
}

/// Warns of revocation lists that are not current, or not for much longer.
pub(in crate::config) fn revocation_lists(
    report: &mut Report,
    lists: &[CrlInfo],
    found: &Found,
    revocation: Revocation,
    now: i64,
) {
    for list in lists.iter().filter(|list| !relieved(list, lists, now)) {
        if let Some((_, place)) = found.get(list.crl) {
            revocation_list(report, *place, list, revocation, now);
        }
    }
}

/// Warns of a revocation list that is not current, or not for much longer.
fn revocation_list(
    report: &mut Report,
    place: Span,
    list: &CrlInfo,
    revocation: Revocation,
    now: i64,
) {
    let issuer = escape(&list.issuer);
    let what = format!("the revocation list of {issuer}");
    let problem = match list.next_update {
        None => format!(
            "{what} does not say when the next one comes (nextUpdate), so that it is never current"
        ),
        Some(next) if next < now => {
            format!(
                "{what} is out of date since {} (its nextUpdate)",
                moment(next)
            )
        }
        Some(_) if list.this_update > now => {
            format!(
                "{what} is not valid before {} (its thisUpdate)",
                moment(list.this_update)
            )
        }
        Some(next) if next - now <= CRL_NOTICE => {
            format!(
                "{what} is out of date from {} on (its nextUpdate)",
                moment(next)
            )
        }
        Some(_) => return,
    };
    let consequence = match (revocation, list.is_current(now)) {
        (Revocation::Off, _) => return,
        (Revocation::Require, true) => "; devices with its certificates will be refused then",
        (Revocation::Require, false) => ": devices with its certificates are refused",
        (Revocation::IfAvailable, true) => "; later revocations will go unnoticed then",
        (Revocation::IfAvailable, false) => ": later revocations go unnoticed",
    };
    report
        .warning(Lint::CrlEnds, place, format!("{problem}{consequence}"))
        .help("fetch the CA's current list and reload");
}

/// Is another list of the same issuer in force before this one begins, or ready for when it ends?
fn relieved(list: &CrlInfo, lists: &[CrlInfo], now: i64) -> bool {
    let mut others = lists.iter().filter(|other| other.issuer == list.issuer);
    if list.this_update > now {
        return others.any(|other| other.is_current(now));
    }
    list.is_current(now)
        && others.any(|other| {
            other.this_update > now
                && Some(other.this_update) <= list.next_update
                && other
                    .next_update
                    .is_some_and(|next| next - now > CRL_NOTICE)
        })
}

/// Unix seconds as a date and time.
pub(crate) fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| seconds.to_string(), |one| one.to_string())
}
