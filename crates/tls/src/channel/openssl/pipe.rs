//! Both ends of the library's stream: vectors.

use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::channel::verifier::Judge;

/// Header of a record of DTLS.
const RECORD_HEADER: usize = 13;
const CONTENT_ALERT: u8 = 21;
const MAX_SEQUENCE: u64 = (1 << 48) - 1;

/// What came in and what is to go out.
#[derive(Default)]
pub(super) struct Pipe {
    /// Octets of a stream, or the one datagram that is there.
    pub(super) input: Vec<u8>,
    /// Records. Those of DTLS say where they end, so that nothing else has to.
    pub(super) output: Vec<u8>,
    /// Octets that are read together were sent together.
    pub(super) datagrams: bool,
    /// What the numbers of records in clear have more than the library counts: it begins with 1 where the answer to a hello is
    /// to begin with the number of the hello (RFC 6347 section 4.2.1), so that clients take it for no replay of what came before.
    pub(super) ahead: u64,
    /// Whose refusals the library has no alerts for.
    pub(super) judge: Option<Arc<Judge>>,
}

impl Read for Pipe {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = self.input.as_slice().read(room)?;
        self.input.drain(..taken);
        if self.input.is_empty() || self.datagrams {
            self.input = Vec::new(); // an idle connection keeps no buffer
        }
        Ok(taken)
    }
}

impl Write for Pipe {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let before = self.output.len();
        self.output.extend_from_slice(octets);
        if self.datagrams {
            let refusal = self.judge.as_ref().and_then(|judge| judge.refused());
            let written = self.output.get_mut(before..).unwrap_or_default();
            mend(written, self.ahead, refusal);
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Changes the records in clear, which no key has sealed: their numbers, and the description of an alert. The library tells a
/// refused certificate by an alert of its own choice, and knows no access_denied; in DTLS 1.2 certificates are judged before
/// anything is sealed.
fn mend(mut records: &mut [u8], ahead: u64, refusal: Option<u8>) {
    while let Some((header, rest)) = records.split_at_mut_checked(RECORD_HEADER) {
        let [kind, _, _, numbers @ .., l0, l1] = header else {
            return;
        };
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let Some((record, next)) = rest.split_at_mut_checked(length) else {
            return;
        };
        // Epoch, then sequence number.
        if let Some(octets) = numbers.first_chunk_mut::<8>()
            && let [0, 0, ..] = octets
        {
            let number = u64::from_be_bytes(*octets).saturating_add(ahead);
            *octets = (number & MAX_SEQUENCE).to_be_bytes();
            if let (CONTENT_ALERT, [_, description], Some(alert)) = (*kind, record, refusal) {
                *description = alert;
            }
        }
        records = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(body.len()).unwrap();
        let mut record = vec![kind, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 1, 0, length];
        record.extend(body);
        record
    }

    #[test]
    fn only_what_is_in_clear_is_changed() {
        let records = [
            record(22, 0, &[1, 2]),
            record(21, 0, &[2, 40]),
            record(21, 1, &[2, 40]),
        ];
        let mut written = records.concat();
        mend(&mut written, 0, Some(49));
        let mut wanted = [
            record(22, 0, &[1, 2]),
            record(21, 0, &[2, 49]),
            record(21, 1, &[2, 40]),
        ];
        assert_eq!(written, wanted.concat());
        mend(&mut written, 3, None);
        for clear in &mut wanted[..2] {
            clear[10] += 3;
        }
        assert_eq!(written, wanted.concat());
        // What is cut off is left alone.
        let mut cut = record(21, 0, &[2, 40]);
        cut.pop();
        let before = cut.clone();
        mend(&mut cut, 5, Some(49));
        assert_eq!(cut, before);
    }

    #[test]
    fn a_datagram_is_read_at_once_or_not_at_all() {
        let mut pipe = Pipe {
            input: vec![1, 2, 3],
            datagrams: true,
            ..Pipe::default()
        };
        let mut room = [0; 2];
        assert_eq!(pipe.read(&mut room).unwrap(), 2);
        assert!(pipe.read(&mut room).is_err(), "the rest is gone");
    }
}
