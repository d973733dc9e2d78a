//! A set of small numbers that knows its lowest member.
//!
//! ```text
//! level 1   1 0 1 …           bit i: word i of the level below is not 0
//! level 0   0110… 0000… 1…    bit i: i is a member
//! ```
//!
//! 64 children per word, so four levels are enough for 16 million members, and each operation touches a
//! word per level.

use std::ops::Range;

/// Numbers below a bound given at the start.
#[derive(Debug)]
pub(crate) struct Set {
    /// From the members up; the last level has one word.
    levels: Vec<Vec<u64>>,
    len: u32,
}

impl Set {
    /// No member; each will be below `bound`.
    pub(crate) fn empty(bound: u32) -> Set {
        let mut levels = Vec::new();
        let mut width = bound as usize;
        loop {
            width = width.div_ceil(64).max(1);
            levels.push(vec![0; width]);
            if width == 1 {
                return Set { levels, len: 0 };
            }
        }
    }

    /// All numbers below `bound`.
    pub(crate) fn full(bound: u32) -> Set {
        let mut set = Set::empty(bound);
        let mut width = bound as usize;
        for level in &mut set.levels {
            level[..width / 64].fill(u64::MAX);
            if !width.is_multiple_of(64) {
                level[width / 64] = (1 << (width % 64)) - 1;
            }
            width = width.div_ceil(64);
        }
        set.len = bound;
        set
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    pub(crate) fn contains(&self, member: u32) -> bool {
        self.levels[0][member as usize / 64] & bit(member as usize) != 0
    }

    #[inline]
    pub(crate) fn insert(&mut self, member: u32) {
        let mut at = member as usize;
        for (height, level) in self.levels.iter_mut().enumerate() {
            let word = &mut level[at / 64];
            let before = *word;
            *word |= bit(at);
            if height == 0 {
                self.len += u32::from(*word != before);
            }
            if before != 0 {
                return;
            }
            at /= 64;
        }
    }

    #[inline]
    pub(crate) fn remove(&mut self, member: u32) {
        let mut at = member as usize;
        for (height, level) in self.levels.iter_mut().enumerate() {
            let word = &mut level[at / 64];
            let before = *word;
            *word &= !bit(at);
            if height == 0 {
                self.len -= u32::from(*word != before);
            }
            if *word != 0 || before == 0 {
                return;
            }
            at /= 64;
        }
    }

    /// The lowest member that is at least `from`.
    #[inline]
    pub(crate) fn next(&self, from: u32) -> Option<u32> {
        let mut at = from as usize;
        for (height, level) in self.levels.iter().enumerate() {
            let word = level.get(at / 64)? & (u64::MAX << (at % 64));
            if word == 0 {
                at = at / 64 + 1;
                continue;
            }
            // Found which child; its lowest member is the lowest bit of each word on the way down.
            at = at / 64 * 64 + word.trailing_zeros() as usize;
            for below in self.levels[..height].iter().rev() {
                at = at * 64 + below[at].trailing_zeros() as usize;
            }
            return Some(at as u32);
        }
        None
    }

    /// The first of the lowest `count` neighbouring members.
    pub(crate) fn run(&self, count: u32) -> Option<u32> {
        let mut runs = self.runs(0, count);
        runs.find(|run| run.end - run.start == count).map(|run| run.start)
    }

    /// The runs of neighbouring members from `from` on, a longer one than `most` in parts.
    pub(crate) fn runs(&self, from: u32, most: u32) -> impl Iterator<Item = Range<u32>> {
        let bound = self.levels[0].len() as u32 * 64;
        let mut from = from;
        std::iter::from_fn(move || {
            let start = self.next(from)?;
            let end = bound.min(start.saturating_add(most));
            from = (start..end).find(|at| !self.contains(*at)).unwrap_or(end);
            Some(start..from)
        })
    }
}

#[inline]
const fn bit(at: usize) -> u64 {
    1 << (at % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 6 } else { 200 }) })]
        /// As a `BTreeSet` does.
        #[test]
        fn like_a_btree_set(
            bound in prop_oneof![1..200u32, 4000..4200u32],
            full: bool,
            steps in prop::collection::vec((any::<bool>(), any::<u32>()), 0..if cfg!(miri) { 8 } else { 300 }),
        ) {
            let mut set = if full { Set::full(bound) } else { Set::empty(bound) };
            let mut model: BTreeSet<u32> = if full { (0..bound).collect() } else { BTreeSet::new() };
            for (insert, number) in steps {
                let member = number % bound;
                if insert {
                    set.insert(member);
                    model.insert(member);
                } else {
                    set.remove(member);
                    model.remove(&member);
                }
                prop_assert_eq!(set.len() as usize, model.len());
                for from in [0, member, member + 1, number % 64] {
                    prop_assert_eq!(set.next(from), model.range(from..).next().copied());
                }
                let count = number % 5 + 1;
                let run = model.iter().copied().find(|first| (*first..first + count).all(|at| model.contains(&at)));
                prop_assert_eq!(set.run(count), run);
            }
            let members: Vec<u32> = set.runs(0, 3).flatten().collect();
            prop_assert_eq!(members, model.into_iter().collect::<Vec<_>>());
        }
    }
}
