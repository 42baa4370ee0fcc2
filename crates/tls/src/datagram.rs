//! Which records of DTLS travel together.

/// Header of a record: type, version, epoch, sequence number, length (RFC 6347 section 4.1).
const RECORD_HEADER: usize = 13;
const CONTENT_APPLICATION_DATA: u8 = 23;
/// Octets of a datagram that passes everywhere without fragments: with its headers the 1,280 that every link of IPv6 carries.
pub const SAFE_DATAGRAM: u16 = 1232;

/// Divides what a channel of DTLS has drained into datagrams. The records of a handshake share them; each record with data has
/// its own, because peers that read but one record of a datagram are about.
pub fn datagrams(records: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let mut length = record(rest)?;
        if !is_data(rest) {
            while let Some(next) = rest.get(length..).filter(|next| !is_data(next))
                && let Some(more) = record(next)
                && length + more <= usize::from(SAFE_DATAGRAM)
            {
                length += more;
            }
        }
        let (datagram, others) = rest.split_at_checked(length)?;
        rest = others;
        Some(datagram)
    })
}

/// Whether a datagram begins as one of DTLS does (RFC 7983 section 7). Nothing else is worth a look.
pub fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram, [20..=63, 254, ..]) && datagram.len() > RECORD_HEADER
}

/// Whether a record of the datagram is sealed: its epoch is not the first.
pub(crate) fn has_sealed(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while let Some(length) = record(rest) {
        if rest.get(3..5) != Some(&[0, 0]) {
            return true;
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    false
}

fn is_data(records: &[u8]) -> bool {
    records.first() == Some(&CONTENT_APPLICATION_DATA)
}

/// Octets of the first record; all there are, if they are not as many as it says.
fn record(records: &[u8]) -> Option<usize> {
    let &[high, low] = records
        .get(RECORD_HEADER - 2..RECORD_HEADER)?
        .first_chunk()?;
    let length = RECORD_HEADER + usize::from(u16::from_be_bytes([high, low]));
    Some(length.min(records.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, body: usize) -> Vec<u8> {
        let [high, low] = u16::try_from(body).unwrap().to_be_bytes();
        let mut record = vec![kind, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, high, low];
        record.resize(RECORD_HEADER + body, 0);
        record
    }

    fn lengths(records: &[Vec<u8>]) -> Vec<usize> {
        let joined = records.concat();
        let divided: Vec<&[u8]> = datagrams(&joined).collect();
        assert_eq!(divided.concat(), joined);
        divided
            .iter()
            .map(|one| one.len() - RECORD_HEADER)
            .collect()
    }

    #[test]
    fn a_flight_shares_datagrams_and_data_does_not() {
        let flight = [record(22, 100), record(22, 1000), record(22, 200)];
        assert_eq!(lengths(&flight), [100 + 13 + 1000, 200]);
        let mixed = [
            record(22, 10),
            record(20, 1),
            record(23, 5),
            record(23, 4200),
            record(21, 2),
        ];
        assert_eq!(lengths(&mixed), [10 + 13 + 1, 5, 4200, 2]);
        assert_eq!(lengths(&[record(22, 5000)]), [5000]);
        assert_eq!(lengths(&[]), [0; 0]);
    }

    #[test]
    fn a_sealed_record_is_found_behind_others() {
        let mut datagram = [record(22, 10), record(20, 1)].concat();
        assert!(!has_sealed(&datagram));
        let mut sealed = record(22, 40);
        sealed[4] = 1;
        datagram.extend(sealed);
        assert!(has_sealed(&datagram));
        assert!(!has_sealed(&datagram[..13]));
    }

    #[test]
    fn other_protocols_are_told_apart() {
        assert!(is_dtls(&record(22, 1)));
        for other in [
            &[][..],
            &[22; 20],
            &record(22, 0),
            &[1, 0, 0, 20],
            &[64, 254, 253],
        ] {
            assert!(!is_dtls(other), "{other:?}");
        }
    }
}
