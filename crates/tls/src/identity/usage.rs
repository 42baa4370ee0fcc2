//! Extended key usages: what a certificate says it is for (RFC 5280 section 4.2.1.12).

use std::fmt;

use x509_parser::extensions::ExtendedKeyUsage;

/// Well-known usages by their names in RFC 5280 and RFC 6960.
const NAMES: &[(&str, &str)] = &[
    ("anyExtendedKeyUsage", "2.5.29.37.0"),
    ("serverAuth", "1.3.6.1.5.5.7.3.1"),
    ("clientAuth", "1.3.6.1.5.5.7.3.2"),
    ("codeSigning", "1.3.6.1.5.5.7.3.3"),
    ("emailProtection", "1.3.6.1.5.5.7.3.4"),
    ("timeStamping", "1.3.6.1.5.5.7.3.8"),
    ("OCSPSigning", "1.3.6.1.5.5.7.3.9"),
];

/// The usages of one certificate, the well-known ones first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtendedKeyUsages(Vec<String>);

impl ExtendedKeyUsages {
    pub(super) fn of(usages: &ExtendedKeyUsage<'_>) -> Self {
        let known = [
            (usages.any, "anyExtendedKeyUsage"),
            (usages.server_auth, "serverAuth"),
            (usages.client_auth, "clientAuth"),
            (usages.code_signing, "codeSigning"),
            (usages.email_protection, "emailProtection"),
            (usages.time_stamping, "timeStamping"),
            (usages.ocsp_signing, "OCSPSigning"),
        ];
        let known = known
            .into_iter()
            .filter(|(there, _)| *there)
            .filter_map(|(_, name)| Self::number(name))
            .map(str::to_owned);
        let others = usages.other.iter().map(|oid| oid.to_id_string());
        Self(known.chain(others).collect())
    }

    /// As dotted numbers.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// The dotted number of a well-known usage.
    pub fn number(name: &str) -> Option<&'static str> {
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, number)| *number)
    }

    /// The name of a usage, or its number where it is not well-known.
    pub fn name(number: &str) -> &str {
        let found = NAMES.iter().find(|(_, known)| *known == number);
        found.map_or(number, |(name, _)| name)
    }

    /// The names that are known.
    pub fn known() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }
}

impl From<Vec<String>> for ExtendedKeyUsages {
    /// From dotted numbers.
    fn from(numbers: Vec<String>) -> Self {
        Self(numbers)
    }
}

impl fmt::Display for ExtendedKeyUsages {
    /// By name where there is one, with `, ` between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, number) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { ", " };
            write!(f, "{between}{}", Self::name(number))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::ExtendedKeyUsagePurpose as Purpose;

    use super::*;
    use crate::identity::PeerIdentity;
    use crate::testing::Ca;

    fn of(purposes: Vec<Purpose>) -> ExtendedKeyUsages {
        let leaf = Ca::root("root").leaf_with("core1.example.net", |params| {
            params.extended_key_usages = purposes;
        });
        PeerIdentity::from_der(&leaf.der).unwrap().usages
    }

    #[test]
    fn usages_are_numbers_and_shown_by_name() {
        let usages = of(vec![
            Purpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 17]),
            Purpose::ClientAuth,
            Purpose::ServerAuth,
            Purpose::Any,
        ]);
        let numbers = [
            "2.5.29.37.0",
            "1.3.6.1.5.5.7.3.1",
            "1.3.6.1.5.5.7.3.2",
            "1.3.6.1.5.5.7.3.17",
        ];
        assert_eq!(usages.as_slice(), numbers);
        let shown = "anyExtendedKeyUsage, serverAuth, clientAuth, 1.3.6.1.5.5.7.3.17";
        assert_eq!(usages.to_string(), shown);
        assert_eq!(of(Vec::new()), ExtendedKeyUsages::default());
    }

    #[test]
    fn every_well_known_usage_has_a_number_and_its_name_back() {
        let all = [
            Purpose::Any,
            Purpose::ServerAuth,
            Purpose::ClientAuth,
            Purpose::CodeSigning,
            Purpose::EmailProtection,
            Purpose::TimeStamping,
            Purpose::OcspSigning,
        ];
        let usages = of(all.to_vec());
        let shown: Vec<&str> = ExtendedKeyUsages::known().collect();
        assert_eq!(usages.to_string(), shown.join(", "));
        for name in shown {
            let number = ExtendedKeyUsages::number(name).unwrap();
            assert_eq!(ExtendedKeyUsages::name(number), name);
        }
    }
}
