//! The pairs of a host (section 3): read from the DNS, or made to be published.
//!
//! Reading is forgiving where the draft leaves a gap, since a client has to do something; writing is not:
//!
//! | content | read | written |
//! | --- | --- | --- |
//! | no pairs | refused | refused |
//! | octets that are no whole pairs | refused | - |
//! | `(0 0)` | counted, left out; refused if nothing is left | refused |
//! | pairs that contradict each other | kept and told of; see [`decide`](crate::decide) | refused |
//! | the same pair twice, several records | one set | once |
//!
//! Two pairs contradict each other if they name a port in common and do not offer the same forms, such as `(49 300)` beside
//! `(0 300)`. `(1812 2083)` beside `(1813 2083)` is fine: two applications may share their secure form, or one have two.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use crate::PortPair;
use crate::pair::PAIR;

/// Pairs that fit into one record, whose length has 16 bits.
pub const MAX_PAIRS: usize = u16::MAX as usize / PAIR;

/// What a host says about its ports: at least one pair, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pairs: Vec<PortPair>,
    undefined: usize,
    contradiction: Option<(PortPair, PortPair)>,
}

impl Record {
    /// A record to be published, from pairs of an insecure and a secure port, 0 where that form is not offered. The order stays.
    ///
    /// # Errors
    ///
    /// Without pairs, with a pair `(0 0)`, with pairs that contradict each other, or with more than [`MAX_PAIRS`].
    pub fn new(pairs: impl IntoIterator<Item = (u16, u16)>) -> Result<Self, RecordError> {
        let pairs = pairs.into_iter();
        let record = Self::of(pairs.map(|(insecure, secure)| PortPair::new(insecure, secure)))?;
        record.check()?;
        Ok(record)
    }

    /// Reads the RDATA of every record of the host as one set of pairs (the draft does not say what several records mean). One that
    /// is malformed makes all of them unusable.
    ///
    /// # Errors
    ///
    /// [`RecordError::Empty`] without a record or for RDATA of no octets, [`RecordError::Length`], and
    /// [`RecordError::Undefined`] where all pairs are `(0 0)`.
    pub fn decode<R: AsRef<[u8]>>(
        rdatas: impl IntoIterator<Item = R>,
    ) -> Result<Self, RecordError> {
        let mut pairs = Vec::new();
        for rdata in rdatas {
            let rdata = rdata.as_ref();
            let (whole, rest) = rdata.as_chunks::<PAIR>();
            if !rest.is_empty() {
                return Err(RecordError::Length(rdata.len()));
            }
            if whole.is_empty() {
                return Err(RecordError::Empty);
            }
            pairs.extend(whole.iter().copied().map(PortPair::decode));
        }
        Self::of(pairs)
    }

    fn of(all: impl IntoIterator<Item = Option<PortPair>>) -> Result<Self, RecordError> {
        let (mut pairs, mut undefined, mut seen) = (Vec::new(), 0_usize, BTreeSet::new());
        for pair in all {
            match pair {
                Some(pair) if seen.insert(pair) => pairs.push(pair),
                Some(_) => {}
                None => undefined = undefined.saturating_add(1),
            }
        }
        match (pairs.is_empty(), undefined) {
            (true, 0) => Err(RecordError::Empty),
            (true, _) => Err(RecordError::Undefined),
            (false, _) => Ok(Self {
                contradiction: contradiction(&pairs),
                pairs,
                undefined,
            }),
        }
    }

    /// The pairs that mean something, in their order.
    pub fn pairs(&self) -> &[PortPair] {
        &self.pairs
    }

    /// How many pairs `(0 0)` were left out.
    pub fn undefined(&self) -> usize {
        self.undefined
    }

    /// Two pairs that contradict each other, if any do.
    pub fn contradiction(&self) -> Option<(PortPair, PortPair)> {
        self.contradiction
    }

    /// Whether it may be published; [`encode`](Self::encode) asks.
    ///
    /// # Errors
    ///
    /// What is wrong with it. Never for what [`new`](Self::new) made.
    pub fn check(&self) -> Result<(), RecordError> {
        if self.undefined > 0 {
            return Err(RecordError::Undefined);
        }
        if let Some((one, other)) = self.contradiction {
            return Err(RecordError::Contradiction(one, other));
        }
        if self.pairs.len() > MAX_PAIRS {
            return Err(RecordError::TooMany(self.pairs.len()));
        }
        Ok(())
    }

    /// The RDATA: four octets a pair, at most 65532.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check): what was read with flaws is not written again.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        self.check()?;
        let octets = self.pairs.iter().flat_map(|pair| pair.encode());
        Ok(octets.collect())
    }
}

/// The form of the draft: `(25 25 0 443)`.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "(";
        for pair in &self.pairs {
            write!(f, "{before}{pair}")?;
            before = " ";
        }
        f.write_str(")")
    }
}

fn contradiction(pairs: &[PortPair]) -> Option<(PortPair, PortPair)> {
    let mut first = BTreeMap::new();
    for pair in pairs {
        for port in pair.ports() {
            let other = *first.entry(port).or_insert(*pair);
            if other.server() != pair.server() {
                return Some((other, *pair));
            }
        }
    }
    None
}

/// Why octets are no record, or pairs must not become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// No pairs.
    Empty,
    /// So many octets are no whole number of pairs.
    Length(usize),
    /// The pair `(0 0)`.
    Undefined,
    /// These two cannot both be true.
    Contradiction(PortPair, PortPair),
    /// So many pairs do not fit.
    TooMany(usize),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a HASTLS record without pairs has no meaning"),
            Self::Length(octets) => write!(f, "{octets} octets are no whole number of port pairs"),
            Self::Undefined => f.write_str("the port pair (0 0) has no meaning"),
            Self::Contradiction(one, other) => {
                write!(
                    f,
                    "the port pairs ({one}) and ({other}) contradict each other"
                )
            }
            Self::TooMany(pairs) => write!(
                f,
                "{pairs} port pairs do not fit into one record of {MAX_PAIRS}"
            ),
        }
    }
}

impl core::error::Error for RecordError {}
