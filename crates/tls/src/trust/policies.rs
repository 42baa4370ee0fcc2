//! Certificate policies along a path.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::OID_X509_EXT_CERTIFICATE_POLICIES;

use crate::PathError;

const ANY_POLICY: &str = "2.5.29.32.0";

/// Policies that hold so far, from the anchor down (RFC 5280 section 6.1 without mappings, which we never follow).
pub(super) enum Policies {
    Any,
    Only(Vec<String>),
}

impl Policies {
    pub(super) fn narrow(&mut self, certificate: &X509Certificate<'_>) -> Result<(), PathError> {
        let extension = certificate
            .get_extension_unique(&OID_X509_EXT_CERTIFICATE_POLICIES)
            .map_err(|_| PathError::Malformed)?;
        let listed: Vec<String> = match extension.map(|extension| extension.parsed_extension()) {
            Some(ParsedExtension::CertificatePolicies(listed)) => listed
                .iter()
                .map(|policy| policy.policy_id.to_id_string())
                .collect(),
            Some(_) => return Err(PathError::Malformed),
            None => Vec::new(),
        };
        if listed.iter().any(|policy| policy == ANY_POLICY) {
            return Ok(());
        }
        match self {
            Self::Any => *self = Self::Only(listed),
            Self::Only(so_far) => so_far.retain(|policy| listed.contains(policy)),
        }
        Ok(())
    }

    /// anyPolicy names nothing.
    pub(super) fn named(self) -> Vec<String> {
        match self {
            Self::Any => Vec::new(),
            Self::Only(policies) => policies,
        }
    }
}
