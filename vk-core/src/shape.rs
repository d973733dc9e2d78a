//! What a new build of an application must know of an old one's frames: fingerprints, and a description by names.
//!
//! ```text
//!   old build:  Shape ── encode ──► bytes in shared memory ── decode ──► Claim :new build
//!                                                                          │
//!                                          old frame + Claim ── migrate ──► new frame
//! ```
//!
//! **What a fingerprint covers.** [`Frame::LAYOUT`] is made of names, types, offsets and sizes of a frame's variables;
//! [`Frame::BODY`] of the tokens of the lowered body. Both go through all coroutines that it calls. So of a coroutine and
//! its callees there count: each literal, name, operator, type and call, in their order; the value of a const parameter;
//! the fields of a `derive(Plain)` type in the frame; how this version of the lowering numbers the resume points; and for
//! types whose layout is the compiler's choice (enums, `Option`, tuples), the compiler.
//!
//! There don't count: comments, formatting, a comma before a closing delimiter; which type a type parameter stands
//! for, beyond its layout; and whatever the body only names: **an ordinary function, a constant or a macro of the user's
//! that runs between two blocking calls may change freely**, and the new one runs from the next resume on. That is what
//! most changes of an application are.
//!
//! **Names.** A variable's name here is its field in the frame: the second variable of a name in one coroutine is
//! `name_2`, in the order of the source. A point is found again by its *anchor*, the hash of the blocking call as it is
//! written. An anchor that a coroutine has twice finds nothing.
//!
//! Invariants of what the lowering writes: offsets are behind the program counter, which is a frame's first 4 bytes;
//! indexes in [`Point::live`] are of [`Shape::fields`] and ascend. [`Claim::decode`] establishes the same, and that all
//! fields lie in the frame, for bytes that anybody may have written.
//!
//! [`Frame::LAYOUT`]: crate::rt::Frame::LAYOUT
//! [`Frame::BODY`]: crate::rt::Frame::BODY

use crate::rt::Frame;
use vk_heap::{Plain, hash};

/// A variable of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<N = &'static str> {
    /// Its field in the frame: the name, or the name with a number.
    pub name: N,
    /// The fingerprint of its type, [`Plain::LAYOUT`].
    pub layout: u64,
    /// Bytes from the frame's beginning.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

impl Field {
    /// A variable of type `T`.
    pub const fn of<T: Plain>(name: &'static str, offset: usize) -> Field {
        // `Entry` has checked that a frame's size fits.
        Field { name, layout: T::LAYOUT, offset: offset as u32, size: size_of::<T>() as u32 }
    }
}

/// A place where a coroutine blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point<L = &'static [u16]> {
    /// The program counter there.
    pub pc: u32,
    /// The hash of the blocking call's tokens, by which the same call is found in another build.
    pub anchor: u64,
    /// The line of the source that it stands in; 0 for another build's.
    pub line: u32,
    /// The call is one of a coroutine, whose frame lies in this one.
    pub calls: bool,
    /// The fields that are initialised there on all ways, by index, ascending.
    pub live: L,
}

/// A frame by names: variables, and the points where its coroutine blocks.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The variables.
    pub fields: &'static [Field],
    /// The points, by ascending program counter.
    pub points: &'static [Point],
    /// The file of the source.
    pub file: &'static str,
}

/// The variable that keeps the caller's deadline in a coroutine that sets one: a name that no variable of the user has.
pub(crate) const DEADLINE: &str = "io.deadline";

/// [`Frame::LAYOUT`] of a callee.
pub const fn layout_of<F: Frame>() -> u64 {
    F::LAYOUT
}

/// [`Frame::BODY`] of a callee.
pub const fn body_of<F: Frame>() -> u64 {
    F::BODY
}

/// The fingerprint of the frame `F`, whose callees have the frames with these fingerprints.
pub const fn layout<F: Frame>(callees: &[u64]) -> u64 {
    let (mut all, mut at) = (hash::numbers(&[size_of::<F>() as u64, hash::numbers(callees)]), 0);
    while at < F::FIELDS.len() {
        let Field { name, layout, offset, size } = &F::FIELDS[at];
        all = hash::numbers(&[all, hash::text(name), *layout, *offset as u64, *size as u64]);
        at += 1;
    }
    all
}

impl Shape {
    /// As bytes, for [`Claim::decode`]: numbers are little-endian, lists and names begin with their length (2 bytes).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        length(&mut out, self.fields.len());
        for Field { name, layout, offset, size } in self.fields {
            length(&mut out, name.len());
            out.extend(name.as_bytes());
            out.extend(layout.to_le_bytes());
            out.extend(offset.to_le_bytes());
            out.extend(size.to_le_bytes());
        }
        length(&mut out, self.points.len());
        for Point { pc, anchor, calls, live, line: _ } in self.points {
            out.extend(pc.to_le_bytes());
            out.extend(anchor.to_le_bytes());
            out.push(u8::from(*calls));
            length(&mut out, live.len());
            live.iter().for_each(|index| out.extend(index.to_le_bytes()));
        }
        out
    }
}

/// What doesn't fit is cut short, and refused by `decode`: a frame of 2¹⁶ variables is nobody's.
fn length(out: &mut Vec<u8>, length: usize) {
    out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
}

/// The shape of a frame of another build, as it says: consistent in itself, and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The variables.
    pub fields: Vec<Field<String>>,
    /// The points.
    pub points: Vec<Point<Vec<u16>>>,
}

impl Claim {
    /// Reads what [`Shape::encode`] wrote, for a frame of `frame_size` bytes. `None` unless all lengths hold to the last
    /// byte, names are UTF-8, fields lie in the frame behind the program counter, and indexes are of fields and ascend.
    pub fn decode(bytes: &[u8], frame_size: u32) -> Option<Claim> {
        let mut reader = Reader(bytes);
        let fields = reader.list(|reader| {
            let length = reader.u16()?;
            let name = std::str::from_utf8(reader.take(length.into())?).ok()?.to_owned();
            let (layout, offset, size) = (reader.u64()?, reader.u32()?, reader.u32()?);
            let inside = offset >= size_of::<u32>() as u32 && offset.checked_add(size)? <= frame_size;
            inside.then_some(Field { name, layout, offset, size })
        })?;
        let points = reader.list(|reader| {
            let (pc, anchor) = (reader.u32()?, reader.u64()?);
            let [calls @ (0 | 1)] = reader.array()? else { return None };
            let live = reader.list(Reader::u16)?;
            let valid = live.iter().all(|index| usize::from(*index) < fields.len())
                && live.is_sorted_by(|a, b| a < b);
            valid.then_some(Point { pc, anchor, line: 0, calls: calls == 1, live })
        })?;
        reader.0.is_empty().then_some(Claim { fields, points })
    }
}

/// The bytes that are left.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A list, which grows as its elements are found: a length is believed by nobody.
    fn list<T>(&mut self, mut element: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let length = self.u16()?;
        (0..length).map(|_| element(self)).collect()
    }
}
