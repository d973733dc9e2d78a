//! When the next one is due: a heap of times that knows where each key stands.
//!
//! ```text
//! heap    [ (3, k7) | (5, k2) (4, k0) (9, k1) (8, k4) | … ]    four children to a node
//! places  k0 → 2, k1 → 3, k2 → 1, k3 → absent, …
//! ```
//!
//! Invariants: no node is due before its parent; `places[heap[i].key] == i`; a key stands at most once.

use crate::Nanos;

/// Children of a node. Four of them are 64 bytes, one or two cache lines, and the tree is half as deep as a
/// binary one.
const ARITY: usize = 4;

/// The place of a key that has no timer.
const ABSENT: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Timer {
    at: Nanos,
    key: u32,
}

/// Timers, at most one for each key. Keys are indices of something (micro-processes, say): small and dense,
/// since memory is proportional to the largest one (20 bytes each). Setting and clearing cost O(log n) and do
/// not allocate once the largest key has been set.
///
/// ```
/// let mut timers = vk_poll::Timers::new();
/// timers.set(4, 1_000);
/// timers.set(2, 3_000);
/// timers.set(4, 2_000); // moves it
/// assert_eq!(timers.next(), Some(2_000));
/// assert_eq!(timers.expired(2_500), Some(4));
/// assert_eq!(timers.expired(2_500), None);
/// timers.clear(2);
/// assert_eq!(timers.next(), None);
/// ```
#[derive(Debug, Default)]
pub struct Timers {
    heap: Vec<Timer>,
    places: Vec<u32>,
}

impl Timers {
    /// No timers.
    pub const fn new() -> Timers {
        Timers { heap: Vec::new(), places: Vec::new() }
    }

    /// Lets `key` be due at `at`, and no longer at another time.
    pub fn set(&mut self, key: u32, at: Nanos) {
        if key as usize >= self.places.len() {
            self.places.resize(key as usize + 1, ABSENT);
            self.heap.reserve(self.places.len() - self.heap.len());
        }
        let timer = Timer { at, key };
        match self.places[key as usize] {
            ABSENT => {
                self.heap.push(timer);
                self.rise(self.heap.len() - 1, timer);
            }
            place => self.settle(place as usize, timer),
        }
    }

    /// Forgets the timer of `key`, if there is one.
    pub fn clear(&mut self, key: u32) {
        match self.places.get(key as usize) {
            None | Some(&ABSENT) => {}
            Some(&place) => self.remove(place as usize),
        }
    }

    /// Gives back the memory for keys above the largest that has a timer.
    pub fn shrink(&mut self) {
        let keys = self.places.iter().rposition(|place| *place != ABSENT).map_or(0, |last| last + 1);
        self.places.truncate(keys);
        self.places.shrink_to_fit();
        self.heap.shrink_to(keys);
    }

    /// When the earliest is due.
    #[inline]
    pub fn next(&self) -> Option<Nanos> {
        self.heap.first().map(|timer| timer.at)
    }

    /// Takes out a key that is due at `now` or was before, the earliest first.
    #[inline]
    pub fn expired(&mut self, now: Nanos) -> Option<u32> {
        let first = *self.heap.first()?;
        if first.at > now {
            return None;
        }
        self.remove(0);
        Some(first.key)
    }

    fn remove(&mut self, place: usize) {
        self.places[self.heap[place].key as usize] = ABSENT;
        if let Some(last) = self.heap.pop()
            && place < self.heap.len()
        {
            self.settle(place, last);
        }
    }

    /// Puts `timer` at `place`, whose own is no longer wanted, and lets it find its level.
    fn settle(&mut self, place: usize, timer: Timer) {
        if place > 0 && timer.at < self.heap[(place - 1) / ARITY].at {
            self.rise(place, timer);
        } else {
            self.sink(place, timer);
        }
    }

    fn rise(&mut self, mut place: usize, timer: Timer) {
        while place > 0 {
            let parent = (place - 1) / ARITY;
            if self.heap[parent].at <= timer.at {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        self.put(place, timer);
    }

    fn sink(&mut self, mut place: usize, timer: Timer) {
        loop {
            let first = ARITY * place + 1;
            let children = first..self.heap.len().min(first + ARITY);
            match children.min_by_key(|&child| self.heap[child].at) {
                Some(child) if self.heap[child].at < timer.at => {
                    self.put(place, self.heap[child]);
                    place = child;
                }
                _ => break,
            }
        }
        self.put(place, timer);
    }

    #[inline]
    fn put(&mut self, place: usize, timer: Timer) {
        self.heap[place] = timer;
        self.places[timer.key as usize] = place as u32;
    }

    #[cfg(test)]
    fn check(&self) {
        for (place, timer) in self.heap.iter().enumerate() {
            assert_eq!(self.places[timer.key as usize] as usize, place);
            assert!(place == 0 || self.heap[(place - 1) / ARITY].at <= timer.at);
        }
        assert_eq!(self.places.iter().filter(|&&place| place != ABSENT).count(), self.heap.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Set(u32, Nanos),
        Clear(u32),
        Expire(Nanos),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u32..64, 0u64..200).prop_map(|(key, at)| Step::Set(key, at)),
            2 => (0u32..70).prop_map(Step::Clear),
            1 => (0u64..200).prop_map(Step::Expire),
        ]
    }

    proptest! {
        #[test]
        fn as_a_map_of_times(steps in prop::collection::vec(step(), 0..400)) {
            let mut timers = Timers::new();
            let mut model: BTreeMap<u32, Nanos> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Set(key, at) => {
                        timers.set(key, at);
                        model.insert(key, at);
                    }
                    Step::Clear(key) => {
                        timers.clear(key);
                        model.remove(&key);
                    }
                    Step::Expire(now) => while let Some(key) = timers.expired(now) {
                        let earliest = model.values().min().copied();
                        let at = model.remove(&key);
                        prop_assert_eq!(at, earliest);
                        prop_assert!(at <= Some(now));
                    }
                }
                timers.check();
                prop_assert_eq!(timers.next(), model.values().min().copied());
                prop_assert_eq!(timers.heap.len(), model.len());
            }
        }
    }

    #[test]
    fn memory_is_settled_by_the_largest_key() {
        let mut timers = Timers::new();
        timers.set(999, 1);
        let capacity = (timers.heap.capacity(), timers.places.capacity());
        for key in 0..1000 {
            timers.set(key, Nanos::from(key) * 7 % 13);
        }
        assert_eq!((timers.heap.capacity(), timers.places.capacity()), capacity);
    }
}
