//! The little DER reading that x509-parser does not offer: raw elements with their exact octets.

/// Tag of SEQUENCE and SEQUENCE OF.
pub(crate) const SEQUENCE: u8 = 0x30;
/// Tag of BIT STRING.
pub(crate) const BIT_STRING: u8 = 0x03;
/// Tag of UTF8String.
pub(crate) const UTF8_STRING: u8 = 0x0c;
/// Tag of IA5String.
pub(crate) const IA5_STRING: u8 = 0x16;

/// Not DER, or cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DerError;

/// One element: its tag, its contents, and the whole of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) contents: &'a [u8],
    pub(crate) whole: &'a [u8],
}

/// Reads elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(crate) fn at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the next element; only definite lengths of at most four octets and low tag numbers exist in what we read.
    pub(crate) fn element(&mut self) -> Result<Element<'a>, DerError> {
        let whole = self.0;
        let (&tag, rest) = whole.split_first().ok_or(DerError)?;
        if tag & 0x1f == 0x1f {
            return Err(DerError);
        }
        let (&first, rest) = rest.split_first().ok_or(DerError)?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest
                    .split_at_checked(usize::from(first & 0x7f))
                    .ok_or(DerError)?;
                let length = digits
                    .iter()
                    .fold(0_usize, |sum, &digit| sum << 8 | usize::from(digit));
                (length, rest)
            }
            _ => return Err(DerError),
        };
        let (contents, rest) = rest.split_at_checked(length).ok_or(DerError)?;
        self.0 = rest;
        let whole = whole.get(..whole.len() - rest.len()).ok_or(DerError)?;
        Ok(Element {
            tag,
            contents,
            whole,
        })
    }

    /// Takes the next element, which has to carry `tag`.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>, DerError> {
        let element = self.element()?;
        if element.tag == tag {
            Ok(element)
        } else {
            Err(DerError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_keep_their_exact_octets() {
        let mut reader = Reader::new(&[0x30, 0x03, 0x02, 0x01, 0x05, 0x16, 0x81, 0x01, b'a']);
        let sequence = reader.expect(SEQUENCE).unwrap();
        assert_eq!(sequence.contents, [0x02, 0x01, 0x05]);
        assert_eq!(sequence.whole.len(), 5);
        assert_eq!(reader.expect(IA5_STRING).unwrap().contents, b"a");
        assert!(reader.at_end());
    }

    #[test]
    fn truncated_or_odd_elements_are_refused() {
        for bad in [
            &[][..],
            &[0x30],
            &[0x30, 0x01],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x82, 0x01],
            &[0x3f, 0x01, 0x00],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
        ] {
            assert!(Reader::new(bad).element().is_err(), "{bad:02x?}");
        }
    }
}
