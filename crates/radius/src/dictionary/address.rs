//! Addresses and networks as text.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PrefixError {
    /// It is written otherwise.
    Form,
    /// The address has bits the network does not (RFC 8044 sections 3.10 and 3.11 forbid them).
    Bits,
}

/// `2001:db8::/32` as its reserved octet, its length and the octets that are needed; an address alone is one host.
pub(super) fn ipv6_prefix(text: &str) -> Result<Vec<u8>, PrefixError> {
    let (address, length) = split(text, 128)?;
    let address: Ipv6Addr = address.parse().map_err(|_| PrefixError::Form)?;
    if u128::from(address) & !mask(length) != 0 {
        return Err(PrefixError::Bits);
    }
    let mut out = Vec::from([0, length]);
    let needed = usize::from(length).div_ceil(8);
    out.extend(address.octets().iter().take(needed));
    Ok(out)
}

/// `192.0.2.0/24` as its reserved octet, its length and four octets; an address alone is one host.
pub(super) fn ipv4_prefix(text: &str) -> Result<Vec<u8>, PrefixError> {
    let (address, length) = split(text, 32)?;
    let address: Ipv4Addr = address.parse().map_err(|_| PrefixError::Form)?;
    if (u128::from(u32::from(address)) << 96) & !mask(length) != 0 {
        return Err(PrefixError::Bits);
    }
    let mut out = Vec::from([0, length]);
    out.extend(address.octets());
    Ok(out)
}

/// The text of [`ipv6_prefix`], if the octets are one.
pub(super) fn show_ipv6_prefix(octets: &[u8]) -> Option<String> {
    let (&[_, length], prefix) = octets.split_first_chunk()?;
    let mut address = [0; 16];
    address.get_mut(..prefix.len())?.copy_from_slice(prefix);
    let address = Ipv6Addr::from(address);
    let whole = length <= 128 && prefix.len() >= usize::from(length).div_ceil(8);
    let clean = whole && u128::from(address) & !mask(length) == 0;
    clean.then(|| format!("{address}/{length}"))
}

/// The text of [`ipv4_prefix`], if the octets are one.
pub(super) fn show_ipv4_prefix(octets: &[u8]) -> Option<String> {
    let &[_, length, a, b, c, d] = octets else {
        return None;
    };
    let address = Ipv4Addr::new(a, b, c, d);
    let clean = length <= 32 && (u128::from(u32::from(address)) << 96) & !mask(length) == 0;
    clean.then(|| format!("{address}/{length}"))
}

/// The six octets of `00:53:00:aa:bb:cc` or `00-53-00-AA-BB-CC`.
pub(super) fn ether(text: &str) -> Option<Vec<u8>> {
    let mark = if text.contains('-') { '-' } else { ':' };
    let octets = text.split(mark).map(|group| {
        let two = group.len() == 2 && group.bytes().all(|b| b.is_ascii_hexdigit());
        two.then(|| u8::from_str_radix(group, 16).ok()).flatten()
    });
    let octets: Vec<u8> = octets.collect::<Option<_>>()?;
    (octets.len() == 6).then_some(octets)
}

/// The eight octets of `2:53ff:fe00:1`'s kind: four groups of hexadecimal digits.
pub(super) fn if_id(text: &str) -> Option<Vec<u8>> {
    let groups = text.split(':').map(|group| {
        let fits = (1..=4).contains(&group.len()) && group.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| u16::from_str_radix(group, 16).ok()).flatten()
    });
    let groups: Vec<u16> = groups.collect::<Option<_>>()?;
    (groups.len() == 4).then(|| {
        groups
            .iter()
            .flat_map(|group| group.to_be_bytes())
            .collect()
    })
}

fn split(text: &str, bits: u8) -> Result<(&str, u8), PrefixError> {
    let Some((address, length)) = text.split_once('/') else {
        return Ok((text, bits));
    };
    if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
        return Err(PrefixError::Form);
    }
    let length = length.parse().map_err(|_| PrefixError::Form)?;
    if length > bits {
        return Err(PrefixError::Form);
    }
    Ok((address, length))
}

/// The first `length` bits of 128.
fn mask(length: u8) -> u128 {
    u128::MAX
        .checked_shl(128_u32.saturating_sub(u32::from(length)))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_take_the_octets_they_need() {
        let head = |octets: &[u8]| Ok(octets.to_vec());
        assert_eq!(
            ipv6_prefix("2001:db8::/33"),
            head(&[0, 33, 32, 1, 13, 184, 0])
        );
        assert_eq!(ipv6_prefix("::/0"), head(&[0, 0]));
        assert_eq!(ipv6_prefix("::1").unwrap().len(), 18);
        assert_eq!(ipv4_prefix("192.0.2.0/24"), head(&[0, 24, 192, 0, 2, 0]));
        assert_eq!(ipv4_prefix("192.0.2.1/24"), Err(PrefixError::Bits));
        assert_eq!(ipv6_prefix("2001:db8::1/64"), Err(PrefixError::Bits));
        for text in ["", "/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10/8"] {
            assert_eq!(ipv4_prefix(text), Err(PrefixError::Form), "{text}");
        }
        assert_eq!(ipv6_prefix("::/129"), Err(PrefixError::Form));
    }

    #[test]
    fn octets_that_are_no_network_are_not_shown_as_one() {
        assert_eq!(show_ipv6_prefix(&[0, 0]).unwrap(), "::/0");
        assert_eq!(
            show_ipv6_prefix(&[0, 16, 32, 1, 0, 0]).unwrap(),
            "2001::/16"
        );
        assert_eq!(show_ipv6_prefix(&[0, 129]), None);
        assert_eq!(show_ipv6_prefix(&[0, 16, 32]), None);
        assert_eq!(show_ipv6_prefix(&[0, 8, 32, 1]), None);
        assert_eq!(show_ipv6_prefix(&[0; 19]), None);
        assert_eq!(show_ipv6_prefix(&[0]), None);
        assert_eq!(show_ipv4_prefix(&[0, 33, 0, 0, 0, 0]), None);
        assert_eq!(show_ipv4_prefix(&[0, 8, 10, 1, 0, 0]), None);
        assert_eq!(show_ipv4_prefix(&[0, 0, 0, 0, 0, 0]).unwrap(), "0.0.0.0/0");
    }

    #[test]
    fn addresses_of_interfaces_are_groups_of_digits() {
        assert_eq!(ether("00-53-00-AA-bb-cc"), ether("00:53:00:aa:bb:cc"));
        assert_eq!(ether("00:53:00:aa:bb:c"), None);
        assert_eq!(ether("00:53:00:aa:bb"), None);
        assert_eq!(ether("+1:53:00:aa:bb:cc"), None);
        assert_eq!(
            if_id("1:0:ff:abcd").unwrap(),
            [0, 1, 0, 0, 0, 255, 0xab, 0xcd]
        );
        assert_eq!(if_id("1:0:ff"), None);
        assert_eq!(if_id("1:0:ff:+abc"), None);
    }
}
