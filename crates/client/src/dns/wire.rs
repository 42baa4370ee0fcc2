//! Messages of the DNS (RFC 1035 section 4), as far as a resolver needs them: one question out, records in.
//!
//! RDATA is kept as it came, but for names that were compressed inside it. Nothing of the additional section is used but the upper bits
//! of the response code (RFC 6891 section 6.1.3).

use super::Kind;
use super::name::Name;

/// Octets of UDP we take (RFC 9715 section 3.1): no fragments.
const UDP_PAYLOAD: u16 = 1232;
/// Records of one message we read; the largest honest answers have some dozens.
const MAX_RECORDS: usize = 512;
/// The class IN.
pub(super) const IN: u16 = 1;
/// The type of the pseudo record with our options (RFC 6891).
const OPT: u16 = 41;

/// A question: recursion is wanted, so are signatures (DO), and the server shall not judge them (CD): that is for us.
pub(super) fn question(id: u16, name: &Name, kind: Kind) -> Vec<u8> {
    const RECURSE_CHECKING_DISABLED: u16 = 0x0110;
    const DNSSEC_OK: u32 = 0x8000;
    let mut octets = Vec::with_capacity(64);
    for field in [id, RECURSE_CHECKING_DISABLED, 1, 0, 0, 1] {
        octets.extend(field.to_be_bytes());
    }
    octets.extend(name.wire());
    for field in [kind.0, IN] {
        octets.extend(field.to_be_bytes());
    }
    octets.push(0);
    for field in [OPT, UDP_PAYLOAD] {
        octets.extend(field.to_be_bytes());
    }
    octets.extend(DNSSEC_OK.to_be_bytes());
    octets.extend([0, 0]);
    octets
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) owner: Name,
    pub(super) kind: Kind,
    pub(super) class: u16,
    /// In seconds.
    pub(super) ttl: u32,
    /// Names in it are not compressed, and keep their case.
    pub(super) rdata: Vec<u8>,
}

impl Record {
    /// RDATA in the form that is signed (RFC 4034 section 6.2, RFC 6840 section 5.1).
    pub(super) fn canonical(&self) -> Vec<u8> {
        let mut reader = Reader::new(&self.rdata);
        let mut octets = Vec::with_capacity(self.rdata.len());
        for part in parts(self.kind) {
            let Some(copied) = reader.part(*part) else {
                return self.rdata.clone();
            };
            match part {
                Part::Octets(_) | Part::Text => octets.extend(copied),
                Part::Name => octets.extend(copied.to_ascii_lowercase()),
            }
        }
        octets.extend(reader.rest());
        octets
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: u16,
    pub(super) is_response: bool,
    pub(super) is_truncated: bool,
    /// With its upper bits.
    pub(super) rcode: u16,
    pub(super) question: (Name, Kind),
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
}

impl Message {
    /// Reads a message with one question of the class IN. `None`: it is none.
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(octets);
        let (id, flags) = (reader.u16()?, reader.u16()?);
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        let [1, answers, authorities, additional] = counts.map(usize::from) else {
            return None;
        };
        let total = answers
            .saturating_add(authorities)
            .saturating_add(additional);
        if total > MAX_RECORDS || (flags >> 11) & 0xf != 0 {
            return None;
        }
        let question = (reader.name()?, Kind(reader.u16()?));
        if reader.u16()? != IN {
            return None;
        }
        let mut message = Self {
            id,
            is_response: flags & 0x8000 != 0,
            is_truncated: flags & 0x0200 != 0,
            rcode: flags & 0xf,
            question,
            answers: Vec::with_capacity(answers),
            authorities: Vec::with_capacity(authorities),
        };
        if message.is_truncated {
            return Some(message);
        }
        for _ in 0..answers {
            message.answers.push(reader.record()?);
        }
        for _ in 0..authorities {
            message.authorities.push(reader.record()?);
        }
        for _ in 0..additional {
            let record = reader.record()?;
            if record.kind.0 == OPT {
                let upper = u16::try_from(record.ttl >> 24).ok()?;
                message.rcode |= upper << 4;
            }
        }
        Some(message)
    }
}

/// A piece of RDATA whose type has names in it.
#[derive(Clone, Copy)]
enum Part {
    Octets(usize),
    /// A length and as many octets.
    Text,
    Name,
}

/// The beginning of the RDATA of a type whose names may be compressed, and are lower case where they are signed.
fn parts(kind: Kind) -> &'static [Part] {
    use Part::{Name, Octets, Text};
    match kind {
        Kind::NS | Kind::CNAME | Kind::PTR | Kind::DNAME => &[Name],
        Kind::SOA => &[Name, Name, Octets(20)],
        Kind::MX => &[Octets(2), Name],
        Kind::SRV => &[Octets(6), Name],
        Kind::NAPTR => &[Octets(4), Text, Text, Text, Name],
        _ => &[],
    }
}

/// Reads from left to right; every read can fail.
pub(super) struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self { octets, at: 0 }
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.octets.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = self.octets.get(self.at..).unwrap_or_default();
        self.at = self.octets.len();
        rest
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A length and as many octets.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    pub(super) fn name(&mut self) -> Option<Name> {
        Some(Name::of_wire(&self.name_as_sent()?))
    }

    /// The wire form of a name without compression, in the case it came in. A pointer leads to before where it was met or it is none, so that
    /// there is no loop.
    fn name_as_sent(&mut self) -> Option<Vec<u8>> {
        let (mut wire, mut at, mut bound, mut after) = (Vec::new(), self.at, self.at, None);
        loop {
            let first = *self.octets.get(at)?;
            let next = at.checked_add(1)?;
            match first >> 6 {
                0 => {
                    let end = next.checked_add(usize::from(first))?;
                    wire.extend(self.octets.get(at..end)?);
                    if wire.len() > 255 {
                        return None;
                    }
                    at = end;
                    if first == 0 {
                        break;
                    }
                }
                3 => {
                    let second = *self.octets.get(next)?;
                    let target = usize::from(first & 0x3f) << 8 | usize::from(second);
                    if target >= bound {
                        return None;
                    }
                    after = after.or(next.checked_add(1));
                    (bound, at) = (target, target);
                }
                _ => return None,
            }
        }
        self.at = after.unwrap_or(at);
        Some(wire)
    }

    fn part(&mut self, part: Part) -> Option<Vec<u8>> {
        match part {
            Part::Octets(count) => Some(self.take(count)?.to_vec()),
            Part::Text => {
                let text = self.text()?;
                let length = u8::try_from(text.len()).ok()?;
                Some([&[length], text].concat())
            }
            Part::Name => self.name_as_sent(),
        }
    }

    fn record(&mut self) -> Option<Record> {
        let (owner, kind, class) = (self.name()?, Kind(self.u16()?), self.u16()?);
        let (ttl, length) = (self.u32()?, usize::from(self.u16()?));
        let end = self.at.checked_add(length)?;
        // What is read must be in the record, but a name may point to before it.
        let mut inside = Reader {
            octets: self.octets.get(..end)?,
            at: self.at,
        };
        let mut rdata = Vec::with_capacity(length);
        for part in parts(kind) {
            rdata.extend(inside.part(*part)?);
        }
        rdata.extend(inside.rest());
        self.at = end;
        // OPT has flags there; of others the top bit means 0 (RFC 2181 section 8).
        let ttl = if ttl > i32::MAX as u32 && kind.0 != OPT {
            0
        } else {
            ttl
        };
        Some(Record {
            owner,
            kind,
            class,
            ttl,
            rdata,
        })
    }
}
