//! A set of places in one segment.

/// A set of offsets below a fixed length, one bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// The empty set of offsets below `length`.
    pub(super) fn new(length: u32) -> Self {
        Self(vec![0; usize::try_from(length.div_ceil(64)).unwrap_or(0)])
    }

    /// Puts one in; `false` = it is not below the length.
    pub(super) fn insert(&mut self, offset: u32) -> bool {
        let (word, bit) = place(offset);
        match self.0.get_mut(word) {
            Some(word) => {
                *word |= 1 << bit;
                true
            }
            None => false,
        }
    }

    /// Keeps what is in both.
    pub(super) fn intersect(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
    }

    /// Takes out what is in the other.
    pub(super) fn subtract(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= !other;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The first one at `offset` or later.
    pub(super) fn at_or_after(&self, offset: u32) -> Option<u32> {
        let (start, bit) = place(offset);
        let mut mask = u64::MAX << bit;
        for (index, word) in self.0.iter().enumerate().skip(start) {
            let found = word & mask;
            if found != 0 {
                return join(index, found.trailing_zeros());
            }
            mask = u64::MAX;
        }
        None
    }

    /// The last one before `offset`.
    pub(super) fn before(&self, offset: u32) -> Option<u32> {
        let (start, bit) = place(offset);
        let mut mask = !(u64::MAX << bit);
        let upto = self.0.get(..=start).unwrap_or(&self.0);
        if upto.len() <= start {
            mask = u64::MAX;
        }
        for (index, word) in upto.iter().enumerate().rev() {
            let found = word & mask;
            if found != 0 {
                return join(index, 63 - found.leading_zeros());
            }
            mask = u64::MAX;
        }
        None
    }
}

fn place(offset: u32) -> (usize, u32) {
    (
        usize::try_from(offset / 64).unwrap_or(usize::MAX),
        offset % 64,
    )
}

fn join(index: usize, bit: u32) -> Option<u32> {
    u32::try_from(index).ok()?.checked_mul(64)?.checked_add(bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_from_both_ends() {
        let mut bits = Bits::new(200);
        for offset in [0, 63, 64, 130, 199] {
            assert!(bits.insert(offset));
        }
        let mut up = Vec::new();
        let mut next = Some(0);
        while let Some(found) = next.and_then(|next| bits.at_or_after(next)) {
            up.push(found);
            next = found.checked_add(1);
        }
        assert_eq!(up, [0, 63, 64, 130, 199]);
        let mut down = Vec::new();
        let mut below = u32::MAX;
        while let Some(found) = bits.before(below) {
            down.push(found);
            below = found;
        }
        assert_eq!(down, [199, 130, 64, 63, 0]);
        assert!(!bits.insert(256));
    }

    #[test]
    fn sets_meet_and_part() {
        let of = |members: &[u32]| {
            let mut bits = Bits::new(130);
            assert!(members.iter().all(|member| bits.insert(*member)));
            bits
        };
        let mut bits = of(&[1, 64, 129]);
        bits.intersect(&of(&[64, 129]));
        assert_eq!(bits, of(&[64, 129]));
        bits.subtract(&of(&[129]));
        assert_eq!(bits, of(&[64]));
        assert!(!bits.is_empty() && of(&[]).is_empty());
    }
}
