//! The coroutines that micro-processes refer to, by index.
//!
//! ```text
//! notes of the arena   | image │ format │ count │ used | place of entry 0 | … |   descriptions, one after the other
//!                                                        distance │ at │ len     layout │ body │ size │ name │ shape
//! ```
//!
//! The table is in the arena's notes, so that the next worker of the same image, a fork of the same keeper, gives
//! each index the same meaning. Addresses are kept as distances from one static, and believed only where the
//! image that wrote them is this one. For another image, the next build, there are descriptions: it reads them as
//! the [`Foreign`] ones.
#![allow(unsafe_code)]

use crate::Entry;
use crate::hash;
use crate::shape::Claim;
use crate::task::Task;
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
    format: u64,
    count: u64,
    /// Bytes of descriptions.
    used: u64,
}

/// Where an entry is.
#[derive(Clone, Copy)]
#[repr(C)]
struct Place {
    distance: u64,
    /// From the beginning of the notes.
    at: u32,
    len: u32,
}

/// Coroutines that a program may have.
const MOST: usize = 8192;

/// Where the descriptions begin.
const DESCRIPTIONS: usize = size_of::<Head>() + MOST * size_of::<Place>();

/// What has to be the same for one build to read the micro-heaps of another: the records that surround frames.
const FORMAT: u64 = hash::numbers(&[
    hash::opaque::<Task>(env!("CARGO_PKG_VERSION")),
    offset_of!(Task, source) as u64,
    offset_of!(Task, wait) as u64,
    offset_of!(Task, deadline) as u64,
    offset_of!(Task, checkpoint) as u64,
    offset_of!(Task, request) as u64,
    offset_of!(Task, frame) as u64,
    offset_of!(Task, next_runnable) as u64,
    crate::task::TAGS,
]);

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

/// The notes of an arena, as this module uses them.
#[derive(Debug)]
struct Notes(NonNull<[u8]>);

impl Notes {
    fn get<T: Copy>(&self, at: usize) -> T {
        assert!(at + size_of::<T>() <= self.0.len() && at.is_multiple_of(align_of::<T>()));
        // SAFETY: within the notes, which are mapped for ever and aligned to 16, as the arena promises; the types read
        // here are integers, for which any bytes do.
        unsafe { self.0.cast::<u8>().add(at).cast::<T>().read() }
    }

    fn set<T: Copy>(&mut self, at: usize, value: T) {
        assert!(at + size_of::<T>() <= self.0.len() && at.is_multiple_of(align_of::<T>()));
        // SAFETY: as above; the notes are used by the one registry of their arena only.
        unsafe { self.0.cast::<u8>().add(at).cast::<T>().write(value) }
    }

    fn place(index: usize) -> usize {
        size_of::<Head>() + index * size_of::<Place>()
    }

    fn bytes(&self, at: usize, len: usize) -> Option<&[u8]> {
        let end = at.checked_add(len).filter(|end| *end <= self.0.len())?;
        // SAFETY: within the notes; nobody writes a description that an entry refers to.
        Some(unsafe { &self.0.as_ref()[at..end] })
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.0.len());
        // SAFETY: within the notes.
        unsafe {
            self.0.cast::<u8>().add(at).copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len())
        }
    }
}

/// The entries that the micro-processes of a worker refer to.
#[derive(Debug)]
pub struct Registry {
    entries: Vec<&'static Entry>,
    notes: Notes,
}

impl Registry {
    /// The registry of an arena: empty, or as the worker before left it.
    ///
    /// # Errors
    /// `InvalidData` if another image of the program wrote it: its indices mean nothing here.
    pub fn of(arena: &Arena) -> io::Result<Registry> {
        let mut registry = Registry { entries: Vec::new(), notes: Notes(arena.notes()) };
        let head: Head = registry.notes.get(0);
        if head.image == 0 {
            registry.notes.set(offset_of!(Head, format), FORMAT);
            registry.notes.set(offset_of!(Head, image), image());
            return Ok(registry);
        }
        if head.image != image() || head.count > MOST as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "another program's micro-processes"));
        }
        for index in 0..head.count as usize {
            let Place { distance, .. } = registry.notes.get(Notes::place(index));
            let address = anchor().wrapping_add(distance as usize);
            // SAFETY: this image wrote the distance, in `add` below: it leads to an entry, which is a constant of
            // the program and lies at the same place in each fork of it.
            registry.entries.push(unsafe { &*ptr::with_exposed_provenance::<Entry>(address) });
        }
        Ok(registry)
    }

    /// The index of `entry`, which is added if it is new.
    ///
    /// # Panics
    /// At more coroutines than the notes have room for, some thousand.
    pub fn index(&mut self, entry: &'static Entry) -> u32 {
        let known = self.entries.iter().position(|known| ptr::eq(*known, entry));
        known.unwrap_or_else(|| self.add(entry)) as u32
    }

    #[cold]
    fn add(&mut self, entry: &'static Entry) -> usize {
        let index = self.entries.len();
        let used: u64 = self.notes.get(offset_of!(Head, used));
        let (at, description) = (DESCRIPTIONS + used as usize, describe(entry));
        assert!(
            index < MOST && at + description.len() <= self.notes.0.len(),
            "a program with too many coroutines"
        );
        self.notes.write(at, &description);
        let distance = ptr::from_ref(entry).expose_provenance().wrapping_sub(anchor()) as u64;
        self.notes.set(Notes::place(index), Place { distance, at: at as u32, len: description.len() as u32 });
        self.notes.set(offset_of!(Head, used), used + description.len() as u64);
        // The entry counts once it is there.
        self.notes.set(offset_of!(Head, count), index as u64 + 1);
        self.entries.push(entry);
        index
    }

    /// The entry with this index.
    #[inline]
    pub fn get(&self, index: u32) -> Option<&'static Entry> {
        self.entries.get(index as usize).copied()
    }
}

fn describe(entry: &Entry) -> Vec<u8> {
    let name = entry.name().as_bytes();
    let sizes = [entry.frame_size(), name.len() as u32];
    let mut bytes = [entry.layout().to_le_bytes(), entry.body().to_le_bytes()].concat();
    sizes.into_iter().for_each(|size| bytes.extend(size.to_le_bytes()));
    bytes.extend(name);
    bytes.extend(entry.shape().encode());
    bytes
}

/// A coroutine of another build, as that build describes it: a claim.
#[derive(Debug)]
pub struct Described {
    /// Its path.
    pub name: String,
    /// The fingerprint of its frame.
    pub layout: u64,
    /// The fingerprint of its body.
    pub body: u64,
    /// The bytes of its frame.
    pub size: u32,
    /// Its frame by names.
    pub shape: Claim,
}

impl Described {
    fn decode(bytes: &[u8]) -> Option<Described> {
        let (layout, rest) = bytes.split_first_chunk()?;
        let (body, rest) = rest.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (name, rest) = rest.split_first_chunk()?;
        let size = u32::from_le_bytes(*size);
        let (name, shape) = rest.split_at_checked(u32::from_le_bytes(*name) as usize)?;
        Some(Described {
            name: std::str::from_utf8(name).ok()?.to_owned(),
            layout: u64::from_le_bytes(*layout),
            body: u64::from_le_bytes(*body),
            size,
            shape: Claim::decode(shape, size)?,
        })
    }

    /// The coroutine of this build that bears its name.
    pub fn entry(&self) -> Option<&'static Entry> {
        Entry::find(&self.name)
    }

    /// Whether a frame of it goes on as it is in this build.
    pub fn is_same(&self, entry: &Entry) -> bool {
        (self.layout, self.body, self.size) == (entry.layout(), entry.body(), entry.frame_size())
    }
}

/// The coroutines of the build that another arena's micro-processes are of, by index.
#[derive(Debug)]
pub struct Foreign(Vec<Option<Described>>);

impl Foreign {
    /// Those of an arena; none if it is of a build whose records are others.
    pub fn of(arena: &Arena) -> Foreign {
        let notes = Notes(arena.notes());
        let head: Head = notes.get(0);
        let count = if head.format == FORMAT { head.count.min(MOST as u64) } else { 0 };
        let describe = |index: u64| {
            let Place { at, len, .. } = notes.get(Notes::place(index as usize));
            Described::decode(notes.bytes(at as usize, len as usize)?)
        };
        Foreign((0..count).map(describe).collect())
    }

    /// The one with this index.
    pub fn get(&self, index: u32) -> Option<&Described> {
        self.0.get(index as usize)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_as_it_was_written() {
        let entry = crate::entry::ENTRIES.iter().flatten().next();
        // This crate declares no coroutine; what others declare they describe in their tests.
        assert!(
            entry.is_none_or(|entry| Described::decode(&describe(entry)).is_some_and(|d| d.is_same(entry)))
        );
        for len in 0..64 {
            assert!(Described::decode(&vec![0xff; len]).is_none());
        }
    }
}
