//! What the worker knows of its descriptors, by their numbers.
//!
//! Readiness is edge-triggered, so what an event said is kept here until a read or write finds it used up.

use std::os::fd::RawFd;
use vk_core::Descriptor;
use vk_heap::HeapId;
use vk_poll::Token;

/// No descriptor: the end of an owner's list.
pub const NONE: RawFd = -1;

/// One descriptor's state.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    generation: u32,
    /// The micro-process that it belongs to, while it is open.
    pub owner: Option<HeapId>,
    /// Whether reading may find something.
    pub readable: bool,
    /// Whether writing may find room.
    pub writable: bool,
    /// Whether the other end has ended its side: after the last byte comes the end, and no event tells.
    pub closed: bool,
    /// Whether urgent data has come: a short read has not emptied it then.
    pub urgent: bool,
    /// Whether its owner is to find the end of its input, if it is idle.
    pub shed: bool,
    /// The next descriptor of the same owner.
    pub next: RawFd,
    /// Whether it was open when the process began (standard input, say): it is left open.
    pub borrowed: bool,
}

/// The table: descriptors are small numbers, so they index it.
#[derive(Debug, Default)]
pub struct Descriptors {
    known: Vec<Known>,
    /// Of the descriptor that was named last.
    generation: u32,
}

impl Descriptors {
    /// The name of a descriptor that was just opened.
    pub fn next(&mut self, number: RawFd) -> Descriptor {
        self.generation = self.generation.wrapping_add(1);
        Descriptor { number, generation: self.generation }
    }

    /// The names to come are later than this one.
    pub fn continue_after(&mut self, generation: u32) {
        self.generation = generation;
    }

    /// Enters a descriptor. It counts as ready until a system call says otherwise.
    pub fn insert(&mut self, descriptor: Descriptor, owner: HeapId, next: RawFd, borrowed: bool) {
        let Descriptor { number, generation } = descriptor;
        let index = usize::try_from(number).expect("an open descriptor has a number");
        if index >= self.known.len() {
            let unknown = Known {
                generation: 0,
                owner: None,
                readable: false,
                writable: false,
                closed: false,
                urgent: false,
                shed: false,
                next: NONE,
                borrowed: false,
            };
            self.known.resize(index + 1, unknown);
        }
        self.known[index] = Known {
            generation,
            owner: Some(owner),
            readable: true,
            writable: true,
            closed: false,
            urgent: false,
            shed: false,
            next,
            borrowed,
        };
    }

    /// The state of an open descriptor of this micro-process; none for a stale handle, or another's.
    #[inline]
    pub fn get(&mut self, descriptor: Descriptor, owner: HeapId) -> Option<&mut Known> {
        self.find(descriptor).filter(|known| known.owner == Some(owner))
    }

    /// The state of an open descriptor, whoever owns it; none for a stale handle.
    #[inline]
    pub fn find(&mut self, descriptor: Descriptor) -> Option<&mut Known> {
        let known = self.known.get_mut(usize::try_from(descriptor.number).ok()?)?;
        (known.generation == descriptor.generation && known.owner.is_some()).then_some(known)
    }

    /// Which micro-process has the descriptor with this number, if it is open as far as the worker knows.
    pub fn owner(&self, number: RawFd) -> Option<HeapId> {
        self.known.get(usize::try_from(number).ok()?)?.owner
    }

    /// Gives back the memory for numbers above the largest that is open.
    pub fn shrink(&mut self) {
        let len = self.known.iter().rposition(|known| known.owner.is_some()).map_or(0, |last| last + 1);
        self.known.truncate(len);
        self.known.shrink_to_fit();
    }

    /// The state of the descriptor with this number, which the caller knows to be open.
    ///
    /// # Panics
    /// If it never was.
    #[inline]
    pub fn by_number(&mut self, number: RawFd) -> &mut Known {
        &mut self.known[number as usize]
    }
}

/// The poller's name for a descriptor.
#[inline]
pub fn token(descriptor: Descriptor) -> Token {
    Token(u64::from(descriptor.generation) << 32 | u64::from(descriptor.number as u32))
}

/// The descriptor that an event is about.
#[inline]
pub fn from_token(token: Token) -> Descriptor {
    Descriptor { number: token.0 as u32 as i32, generation: (token.0 >> 32) as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_handle_finds_nothing() {
        let mut table = Descriptors::default();
        let owner = HeapId::NONE;
        let first = table.next(7);
        table.insert(first, owner, NONE, false);
        assert!(table.find(first).is_some());
        table.by_number(7).owner = None;
        assert!(table.find(first).is_none());
        let second = table.next(7);
        table.insert(second, owner, NONE, false);
        assert!(table.find(first).is_none());
        assert_eq!(table.find(second).unwrap().owner, Some(owner));
        assert_eq!(from_token(token(second)), second);
    }
}
