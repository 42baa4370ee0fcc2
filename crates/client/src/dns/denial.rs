//! Proofs that something does not exist (RFC 4035 section 5.4, RFC 5155 section 8).
//!
//! Everything here works on records whose signatures were right already, all by one zone and none of them made from a wildcard.
//! Whatever is not proved is not true: each question has the answer [`None`] or `Unproven` for that.

use super::Kind;
use super::crypto::nsec3_hash;
use super::name::Name;
use super::wire::{Reader, Record};

/// More iterations than this are a reason to take the zone for unsigned (RFC 9276 section 3.2).
const MAX_ITERATIONS: u16 = 100;
/// The hash of NSEC3 that exists: SHA-1.
const HASH: u8 = 1;

/// How good a proof is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// It is one.
    Proved,
    /// There may be names without signatures in between (opt-out), or it is too expensive to look.
    OptOut,
}

/// What a zone says about a delegation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delegation {
    /// The name is delegated without keys, or may be.
    Insecure,
    /// It is no delegation.
    None,
    /// It does not exist, so that nothing beneath it is one.
    Nothing,
    /// The zone does not say.
    Unproven,
}

/// The types of a name, as a bit map (RFC 4034 section 4.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Types(Vec<(u8, Vec<u8>)>);

impl Types {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut windows = Vec::new();
        loop {
            let Some(window) = reader.u8() else {
                return Some(Self(windows));
            };
            windows.push((window, reader.text()?.to_vec()));
        }
    }

    fn has(&self, kind: Kind) -> bool {
        let [window, low] = kind.0.to_be_bytes();
        let octet = |bits: &[u8]| bits.get(usize::from(low >> 3)).copied().unwrap_or_default();
        let mut windows = self.0.iter().filter(|(number, _)| *number == window);
        windows.any(|(_, bits)| octet(bits) & (0x80 >> (low & 7)) != 0)
    }

    /// The name belongs to the zone above it as well, and this is what that one says.
    fn is_delegation(&self) -> bool {
        self.has(Kind::NS) && !self.has(Kind::SOA)
    }

    /// Nothing can be concluded from it for names beneath.
    fn ends_here(&self) -> bool {
        self.is_delegation() || self.has(Kind::DNAME)
    }

    /// It proves that the name has no such records, asked of the zone in which they would be.
    fn lacks(&self, kind: Kind) -> bool {
        !self.has(kind) && !self.has(Kind::CNAME) && !self.is_delegation()
    }

    fn delegation(&self) -> Delegation {
        if self.has(Kind::DS) || self.has(Kind::SOA) {
            // There are keys after all, or it is the zone beneath that speaks.
            Delegation::Unproven
        } else if self.has(Kind::NS) {
            Delegation::Insecure
        } else {
            Delegation::None
        }
    }
}

struct Nsec {
    owner: Name,
    next: Name,
    types: Types,
}

impl Nsec {
    fn read(record: &Record) -> Option<Self> {
        let mut reader = Reader::new(&record.rdata);
        Some(Self {
            owner: record.owner.clone(),
            next: reader.name()?,
            types: Types::read(&mut reader)?,
        })
    }

    /// Whether a name would stand between the two.
    fn covers(&self, name: &Name) -> bool {
        let after = self.owner < *name;
        if self.owner < self.next {
            after && *name < self.next
        } else {
            // The last one leads back to the top of the zone.
            after
        }
    }

    /// It proves that there is no such name, and none beneath.
    fn denies(&self, name: &Name) -> bool {
        let beneath = name.is_within(&self.owner);
        self.covers(name) && !self.next.is_within(name) && !(beneath && self.types.ends_here())
    }

    /// The name exists only because there are others beneath it.
    fn is_empty_name(&self, name: &Name) -> bool {
        self.covers(name) && self.next.is_within(name)
    }

    /// The deepest name that exists above one that does not.
    fn encloser(&self, name: &Name) -> Name {
        let (one, other) = (name.common(&self.owner), name.common(&self.next));
        if one.depth() > other.depth() {
            one
        } else {
            other
        }
    }
}

struct Nsec3 {
    hash: Vec<u8>,
    next: Vec<u8>,
    opt_out: bool,
    types: Types,
}

impl Nsec3 {
    fn covers(&self, hash: &[u8]) -> bool {
        let after = self.hash.as_slice() < hash;
        if self.hash < self.next {
            after && hash < self.next.as_slice()
        } else {
            after || hash < self.next.as_slice()
        }
    }
}

/// How a zone hashes its names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hashing {
    iterations: u16,
    salt: Vec<u8>,
}

/// The proofs of one answer, by one zone.
pub(super) struct Proofs {
    zone: Name,
    nsec: Vec<Nsec>,
    nsec3: Vec<Nsec3>,
    hashing: Option<Hashing>,
}

impl Proofs {
    /// From records that were verified.
    pub(super) fn new<'a>(zone: &Name, records: impl Iterator<Item = &'a Record>) -> Self {
        let mut proofs = Self {
            zone: zone.clone(),
            nsec: Vec::new(),
            nsec3: Vec::new(),
            hashing: None,
        };
        for record in records {
            match record.kind {
                Kind::NSEC => proofs.nsec.extend(Nsec::read(record)),
                Kind::NSEC3 => _ = proofs.add_hashed(record),
                _ => {}
            }
        }
        proofs
    }

    fn add_hashed(&mut self, record: &Record) -> Option<()> {
        let label = record.owner.labels().next()?;
        if record.owner.depth() != self.zone.depth().checked_add(1)? {
            return None;
        }
        let mut reader = Reader::new(&record.rdata);
        let (algorithm, flags, iterations) = (reader.u8()?, reader.u8()?, reader.u16()?);
        let hashing = Hashing {
            iterations,
            salt: reader.text()?.to_vec(),
        };
        // RFC 5155 sections 8.1 and 8.2: unknown hashes and flags are ignored, and all of one answer have the same parameters.
        if algorithm != HASH || flags > 1 || *self.hashing.get_or_insert(hashing.clone()) != hashing
        {
            return None;
        }
        let next = reader.text()?.to_vec();
        self.nsec3.push(Nsec3 {
            hash: base32hex(label)?,
            next,
            opt_out: flags & 1 != 0,
            types: Types::read(&mut reader)?,
        });
        Some(())
    }

    /// Whether there are no records of a type under a name: the name has others, or does not exist.
    pub(super) fn absent(&self, name: &Name, kind: Kind) -> Option<Strength> {
        if !name.is_within(&self.zone) {
            return None;
        }
        if self.too_expensive() {
            return Some(Strength::OptOut);
        }
        if self.absent_by_nsec(name, kind) {
            return Some(Strength::Proved);
        }
        if let Some(own) = self.hashed(name) {
            return own.types.lacks(kind).then_some(Strength::Proved);
        }
        let (encloser, strength) = self.hashed_encloser(name)?;
        let star = encloser.wildcard()?;
        let no_star = match self.hashed(&star) {
            Some(star) => star.types.lacks(kind),
            None => self.covering(&star).is_some(),
        };
        no_star.then_some(strength)
    }

    fn absent_by_nsec(&self, name: &Name, kind: Kind) -> bool {
        let lacks = |name: &Name| {
            let own = |nsec: &&Nsec| nsec.owner == *name;
            self.nsec
                .iter()
                .find(own)
                .is_some_and(|own| own.types.lacks(kind))
                || self.nsec.iter().any(|nsec| nsec.is_empty_name(name))
        };
        let denying = || self.nsec.iter().find(|nsec| nsec.denies(name));
        lacks(name)
            || denying().is_some_and(|denying| {
                let star = denying.encloser(name).wildcard();
                star.is_some_and(|star| {
                    lacks(&star) || self.nsec.iter().any(|nsec| nsec.denies(&star))
                })
            })
    }

    /// Whether records that were made from the wildcard beneath `encloser` may be used for a name: nothing closer exists.
    pub(super) fn nothing_closer(&self, name: &Name, encloser: &Name) -> Option<Strength> {
        if self.too_expensive() {
            return Some(Strength::OptOut);
        }
        let mut denying = self.nsec.iter().filter(|nsec| nsec.denies(name));
        if denying.any(|nsec| nsec.encloser(name) == *encloser) {
            return Some(Strength::Proved);
        }
        let closer = name.last(encloser.depth().checked_add(1)?);
        self.covering(&closer).map(strength)
    }

    /// What the zone says about a delegation at a name, which has no DS records.
    pub(super) fn delegation(&self, name: &Name) -> Delegation {
        if !name.is_within(&self.zone) || *name == self.zone {
            return Delegation::Unproven;
        }
        if self.too_expensive() {
            return Delegation::Insecure;
        }
        for nsec in &self.nsec {
            if nsec.owner == *name {
                return nsec.types.delegation();
            }
            if nsec.is_empty_name(name) {
                return Delegation::None;
            }
            if nsec.denies(name) {
                return Delegation::Nothing;
            }
        }
        if let Some(own) = self.hashed(name) {
            return own.types.delegation();
        }
        match self.hashed_encloser(name) {
            Some((_, Strength::OptOut)) => Delegation::Insecure,
            Some((_, Strength::Proved)) => Delegation::Nothing,
            None => Delegation::Unproven,
        }
    }

    fn too_expensive(&self) -> bool {
        self.hashing
            .as_ref()
            .is_some_and(|hashing| hashing.iterations > MAX_ITERATIONS)
    }

    fn hash(&self, name: &Name) -> Option<Vec<u8>> {
        let hashing = self.hashing.as_ref()?;
        Some(nsec3_hash(name, &hashing.salt, hashing.iterations))
    }

    /// The record of a name that exists.
    fn hashed(&self, name: &Name) -> Option<&Nsec3> {
        let hash = self.hash(name)?;
        self.nsec3.iter().find(|nsec3| nsec3.hash == hash)
    }

    fn covering(&self, name: &Name) -> Option<&Nsec3> {
        let hash = self.hash(name)?;
        self.nsec3.iter().find(|nsec3| nsec3.covers(&hash))
    }

    /// The deepest name that exists above one that does not (RFC 5155 section 8.3).
    fn hashed_encloser(&self, name: &Name) -> Option<(Name, Strength)> {
        self.hashing.as_ref()?;
        for depth in (self.zone.depth()..name.depth()).rev() {
            let encloser = name.last(depth);
            let Some(exists) = self.hashed(&encloser) else {
                continue;
            };
            if exists.types.ends_here() {
                return None;
            }
            let closer = name.last(depth.checked_add(1)?);
            let covering = self.covering(&closer)?;
            return Some((encloser, strength(covering)));
        }
        None
    }
}

fn strength(covering: &Nsec3) -> Strength {
    if covering.opt_out {
        Strength::OptOut
    } else {
        Strength::Proved
    }
}

/// RFC 4648 section 7, in lower case and without padding.
fn base32hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (mut octets, mut bits, mut count) = (Vec::with_capacity(20), 0_u16, 0_u8);
    for digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'v' => digit - b'a' + 10,
            _ => return None,
        };
        bits = (bits << 5 | u16::from(value)) & 0x0fff;
        count += 5;
        if count >= 8 {
            count -= 8;
            octets.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(octets)
}
