//! The coroutines that micro-processes refer to, by index.
//!
//! ```text
//! notes of the arena   | image │ count | entry 0 | entry 1 | …       places of the entries in the program
//! ```
//!
//! The table is in the arena's notes, so that the next worker of the same image, a fork of the same keeper, gives
//! each index the same meaning. Addresses are kept as distances from one static, and believed only where the
//! image that wrote them is this one.
#![allow(unsafe_code)]

use crate::Entry;
use std::io;
use std::mem::offset_of;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::time::SystemTime;
use vk_heap::Arena;

/// What begins the notes.
#[derive(Clone, Copy)]
#[repr(C)]
struct Head {
    image: u64,
    count: u64,
}

/// Which image of a program this is: the same in all processes that were forked from one, after this was
/// called there, and in no other.
pub fn image() -> u64 {
    static IMAGE: OnceLock<u64> = OnceLock::new();
    *IMAGE.get_or_init(|| {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let number = (time as u64).rotate_left(20) ^ u64::from(std::process::id()) ^ anchor() as u64;
        number.max(1)
    })
}

fn anchor() -> usize {
    static ANCHOR: u8 = 0;
    (&raw const ANCHOR).addr()
}

/// The entries that the micro-processes of a worker refer to.
#[derive(Debug)]
pub struct Registry {
    entries: Vec<&'static Entry>,
    notes: NonNull<[u8]>,
}

impl Registry {
    /// The registry of an arena: empty, or as the worker before left it.
    ///
    /// # Errors
    /// `InvalidData` if another image of the program wrote it: its indices mean nothing here.
    pub fn of(arena: &Arena) -> io::Result<Registry> {
        let mut registry = Registry { entries: Vec::new(), notes: arena.notes() };
        let head = registry.head();
        if head.image == 0 {
            registry.set(offset_of!(Head, image), image());
            return Ok(registry);
        }
        if head.image != image() || head.count > registry.room() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "another program's micro-processes"));
        }
        for index in 0..head.count {
            let distance = registry.get_word(size_of::<Head>() + index as usize * size_of::<u64>());
            let address = anchor().wrapping_add(distance as usize);
            // SAFETY: this image wrote the distance, in `index` below: it leads to an entry, which is a constant of
            // the program and lies at the same place in each fork of it.
            registry.entries.push(unsafe { &*ptr::with_exposed_provenance::<Entry>(address) });
        }
        Ok(registry)
    }

    /// The index of `entry`, which is added if it is new.
    ///
    /// # Panics
    /// At more coroutines than the notes have room for, some 131,000.
    pub fn index(&mut self, entry: &'static Entry) -> u32 {
        let known = self.entries.iter().position(|known| ptr::eq(*known, entry));
        known.unwrap_or_else(|| self.add(entry)) as u32
    }

    #[cold]
    fn add(&mut self, entry: &'static Entry) -> usize {
        let index = self.entries.len();
        assert!((index as u64) < self.room(), "a program with too many coroutines");
        let distance = ptr::from_ref(entry).expose_provenance().wrapping_sub(anchor());
        self.set(size_of::<Head>() + index * size_of::<u64>(), distance as u64);
        // The entry counts once it is there.
        self.set(offset_of!(Head, count), index as u64 + 1);
        self.entries.push(entry);
        index
    }

    /// The entry with this index.
    #[inline]
    pub fn get(&self, index: u32) -> Option<&'static Entry> {
        self.entries.get(index as usize).copied()
    }

    fn room(&self) -> u64 {
        ((self.notes.len() - size_of::<Head>()) / size_of::<u64>()) as u64
    }

    fn head(&self) -> Head {
        let [image, count] = [offset_of!(Head, image), offset_of!(Head, count)].map(|at| self.get_word(at));
        Head { image, count }
    }

    fn get_word(&self, at: usize) -> u64 {
        assert!(at + size_of::<u64>() <= self.notes.len());
        // SAFETY: within the notes, which are mapped for ever, aligned to 16 as the arena promises, and used by
        // the one registry of its arena only.
        unsafe { self.notes.cast::<u8>().add(at).cast::<u64>().read() }
    }

    fn set(&mut self, at: usize, word: u64) {
        assert!(at + size_of::<u64>() <= self.notes.len());
        // SAFETY: as above.
        unsafe { self.notes.cast::<u8>().add(at).cast::<u64>().write(word) }
    }
}
