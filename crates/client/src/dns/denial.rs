//! What a proof of absence is worth, where hickory-net 0.26 sees it otherwise than the standards do.
//!
//! - It asks for no proof beside records made from a wildcard if all of the authority section belongs to a zone that is not signed.
//! - It calls a right proof beside such records wrong if the NSEC record in it is that of the wildcard.
//! - It calls a name proved to be absent although an opt-out hides delegations (RFC 5155 section 9.2).

use hickory_proto::dnssec::Proof;
use hickory_proto::dnssec::rdata::{NSEC, NSEC3, RRSIG};
use hickory_proto::op::{DnsResponse, ResponseCode};
use hickory_proto::rr::{self as hickory, Record, RecordData as _, RecordType};

use super::answer::Security;
use super::name::Name;
use super::proof::signature;

/// Whether records that are proved were made from a wildcard (RFC 4035 section 5.3.4).
pub(super) fn is_expanded(answers: &[Record]) -> bool {
    expansion(answers).is_some()
}

/// The owner and the signature that proves records made from a wildcard: the library marks the one that was right.
fn expansion(answers: &[Record]) -> Option<(&hickory::Name, &RRSIG)> {
    let proving = answers.iter().filter(|record| record.proof.is_secure());
    let mut signed = proving.filter_map(|record| Some((&record.name, signature(record)?)));
    signed.find(|(owner, signature)| signature.input().num_labels < owner.num_labels())
}

/// How well it is proved that a wildcard was right to stand in for this name, if it is (RFC 4035 section 5.3.4, RFC 5155 section 8.8).
pub(super) fn nothing_closer(
    name: &Name,
    response: &DnsResponse,
    judged: Proof,
) -> Option<Security> {
    let (_, signature) = expansion(&response.answers)?;
    let labels = usize::from(signature.input().num_labels).saturating_add(1);
    let next_closer = name.wire().trim_to(labels);
    let covers = |record: &Record| {
        let nsec = NSEC::try_borrow(&record.data);
        is_denial(record) && nsec.is_some_and(|nsec| covers(&record.name, nsec, &next_closer))
    };
    if response.authorities.iter().any(covers) {
        return Some(Security::Secure);
    }
    let is_nsec3 = |record: &Record| is_denial(record) && record.record_type() == RecordType::NSEC3;
    let is_proved = judged == Proof::Secure && response.authorities.iter().any(is_nsec3);
    match judged {
        _ if is_proved && !is_opt_out(response) => Some(Security::Secure),
        _ if is_proved => Some(Security::Insecure),
        Proof::Insecure => Some(Security::Insecure),
        Proof::Secure | Proof::Bogus | Proof::Indeterminate => None,
    }
}

/// How well it is proved that there is nothing, if it is.
pub(super) fn absence(name: &Name, response: &DnsResponse, judged: Proof) -> Option<Security> {
    let authorities = &response.authorities;
    match judged {
        Proof::Secure if !authorities.iter().any(is_denial) => {
            is_of_insecure(name, authorities).then_some(Security::Insecure)
        }
        Proof::Secure if is_opt_out(response) => Some(Security::Insecure),
        Proof::Secure => Some(Security::Secure),
        Proof::Insecure => Some(Security::Insecure),
        Proof::Bogus | Proof::Indeterminate => None,
    }
}

fn is_denial(record: &Record) -> bool {
    let denials = [RecordType::NSEC, RecordType::NSEC3];
    record.proof.is_secure() && denials.contains(&record.record_type())
}

/// Whether a name lies between the owner of an NSEC record and the next one. What is beneath another zone or a DNAME is no business of it
/// (RFC 6840 section 4.1).
fn covers(owner: &hickory::Name, nsec: &NSEC, name: &hickory::Name) -> bool {
    let next = nsec.next_domain_name();
    let is_last = next <= owner && next.zone_of(name);
    let is_elsewhere = nsec.is_ancestor_delegation() && owner.zone_of(name);
    owner < name && (name < next || is_last) && !is_elsewhere
}

/// Whether a delegation may hide behind one of the records. One that matches the name itself stands alone, and hides nothing.
fn is_opt_out(response: &DnsResponse) -> bool {
    let denials = response
        .authorities
        .iter()
        .filter(|record| is_denial(record));
    let nsec3 = denials.filter_map(|record| NSEC3::try_borrow(&record.data));
    let flags: Vec<bool> = nsec3.map(NSEC3::opt_out).collect();
    let is_match = flags.len() == 1
        && response.answers.is_empty()
        && response.response_code == ResponseCode::NoError;
    !is_match && flags.contains(&true)
}

/// Whether all beginnings of zones in here are that of an insecure zone with this name in it, and there is one.
fn is_of_insecure(name: &Name, authorities: &[Record]) -> bool {
    let mut beginnings = authorities
        .iter()
        .filter(|record| record.record_type() == RecordType::SOA)
        .peekable();
    beginnings.peek().is_some()
        && beginnings.all(|soa| soa.name.zone_of(name.wire()) && soa.proof.is_insecure())
}
