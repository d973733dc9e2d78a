//! A frame of an old build becomes one of the new build, variable by variable.
//!
//! ```text
//!   old frame | pc | line | total | callee … |      Claim: pc 3 is `request(io)`, live: line, total
//!                      │       ╲
//!                      ▼        ╲ (other type)      Shape: `request(io)` is pc 5, live: line, total, seen
//!   new frame | pc | line | seen | total | 0 0 … |
//!               5            ▲       ▲
//!                            └───────┴── the application's function: old.get, new.set
//! ```
//!
//! The task stands at a checkpoint, so nothing of the blocking call under way has happened, and it is begun again in the
//! new frame: bytes that are zero are a callee that is about to begin, for a program counter of 0 means that.
//!
//! Invariants: a new frame is used only if every field that is live at its point is set; a field is set from a live old
//! field with its name and the fingerprint of its type, or by the application with a value of its type.
#![allow(unsafe_code)]

use crate::entry::Entry;
use crate::rt::Coroutine;
use crate::shape::{Claim, DEADLINE, Field, Point, Shape};
use crate::task::{NEVER, Nanos};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use vk_heap::Plain;

/// What an application knows of how one of its coroutines has changed.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The coroutine.
    pub entry: &'static Entry,
    /// Sets variables that can't be copied.
    pub fill: Fill,
}

/// Reads variables of the old frame and sets those of the new one.
pub type Fill = fn(&Old<'_>, &mut New<'_>);

impl Migration {
    /// Calls `fill` where a frame of `C` is migrated.
    pub const fn of<C: Coroutine<Output = io::Result<()>>>(fill: Fill) -> Migration {
        Migration { entry: Entry::of::<C>(), fill }
    }
}

/// The old frame: made by [`migrate`] alone, whose contract says what lies in it.
#[derive(Debug)]
pub struct Old<'a> {
    claim: &'a Claim,
    live: &'a [u16],
    frame: &'a [u8],
}

impl Old<'_> {
    /// The variable `name`, if it was initialised and is a `T`, by [`Plain::LAYOUT`].
    pub fn get<T: Plain>(&self, name: &str) -> Option<T> {
        let bytes = self.bytes(name, T::LAYOUT)?;
        // SAFETY: as many bytes as a `T` has, wherever they lie. That a live field's are a value of the type with this
        // fingerprint is the contract of `migrate`, and that they are one in any process is the promise of `Plain`.
        (bytes.len() == size_of::<T>()).then(|| unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }

    /// The bytes of the variable `name`, if it was initialised and has this layout.
    fn bytes(&self, name: &str, layout: u64) -> Option<&[u8]> {
        let mut live = self.live.iter().filter_map(|index| self.claim.fields.get(usize::from(*index)));
        let field = live.find(|field| field.name == name && field.layout == layout)?;
        self.frame.get(field.offset as usize..)?.get(..field.size as usize)
    }
}

/// The new frame.
#[derive(Debug)]
pub struct New<'a> {
    shape: &'static Shape,
    frame: &'a mut [MaybeUninit<u8>],
    set: Vec<bool>,
}

impl New<'_> {
    /// Sets the variable `name`. `false` if there is none, or not one of the type `T`, by [`Plain::LAYOUT`].
    pub fn set<T: Plain>(&mut self, name: &str, value: T) -> bool {
        let found = self.shape.fields.iter().position(|f| f.name == name && f.layout == T::LAYOUT);
        let Some((index, place)) = found.and_then(|index| Some((index, self.place(index, size_of::<T>())?)))
        else {
            return false;
        };
        // SAFETY: as many bytes as a `T` has, of this frame, wherever they lie; what lay there needs no `Drop`.
        unsafe { place.as_mut_ptr().cast::<T>().write_unaligned(value) }
        self.set[index] = true;
        true
    }

    /// The bytes of a field, if they are that many.
    fn place(&mut self, index: usize, size: usize) -> Option<&mut [MaybeUninit<u8>]> {
        let Field { offset, size: known, .. } = self.shape.fields[index];
        if known as usize != size { None } else { self.frame.get_mut(offset as usize..)?.get_mut(..size) }
    }

    /// Takes over what has the same name and layout.
    fn copy(&mut self, old: &Old<'_>) {
        for (index, field) in self.shape.fields.iter().enumerate() {
            let Some(bytes) = old.bytes(field.name, field.layout) else { continue };
            let Some(place) = self.place(index, bytes.len()) else { continue };
            place.write_copy_of_slice(bytes);
            self.set[index] = true;
        }
    }
}

/// Why a frame stays with the old build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The old program counter is at no point.
    NowhereKnown,
    /// The blocking call isn't in the new build, or either build has it more than once.
    Call,
    /// The new frame has no room for a program counter.
    Size,
    /// This variable would be read and is not set.
    Unset(&'static str),
    /// The coroutine has a deadline of its own and calls another one, which may have set its own on top.
    Deadline,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NowhereKnown => f.write_str("it stands nowhere that is known"),
            Refused::Call => f.write_str("its blocking call is not found exactly once in both builds"),
            Refused::Size => f.write_str("the new frame is too small"),
            Refused::Unset(name) => write!(f, "`{name}` has no value"),
            Refused::Deadline => f.write_str("its deadline and its callee's can't be told apart"),
        }
    }
}

impl std::error::Error for Refused {}

/// The deadline of a task whose frame was migrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Stays as it is: the coroutine set it and is still in charge of it.
    Stays,
    /// Ends, [`Task::deadline`](crate::Task::deadline) and the outer one: who set it begins again.
    Ends,
}

/// Fills the new frame `to`, of the shape `new`, from the frame `from` of an old build, of the shape `old`.
///
/// The frames are those of a task: outermost ones, called by nobody. The task stands at a checkpoint, so that the
/// blocking call under way, an operation or another coroutine, can be begun again. A `fill` that panics goes through.
///
/// # Safety
/// `from` is a frame of the coroutine that `old` describes, as another build of the application left it: the bytes of each
/// field that is live at its program counter are a value of the type with that [`LAYOUT`](Plain::LAYOUT). Who gives false
/// evidence of that could as well have written a false frame. All else may be wrong.
///
/// # Errors
/// Why not; `to` is of no use then.
pub unsafe fn migrate(
    old: &Claim,
    from: &[u8],
    new: &'static Shape,
    to: &mut [MaybeUninit<u8>],
    fill: Option<Fill>,
) -> Result<Deadline, Refused> {
    let pc = from.first_chunk().map(|pc| u32::from_ne_bytes(*pc));
    let stood = old.points.iter().find(|point| Some(point.pc) == pc).ok_or(Refused::NowhereKnown)?;
    one(&old.points, stood.anchor).ok_or(Refused::Call)?;
    let stands = one(new.points, stood.anchor).ok_or(Refused::Call)?;
    let old = Old { claim: old, live: &stood.live, frame: from };
    let mark = old.get::<[Nanos; 2]>(DEADLINE);
    if mark.is_some() && stood.calls {
        return Err(Refused::Deadline);
    }
    to.fill(MaybeUninit::new(0));
    let mut new = New { shape: new, frame: to, set: vec![false; new.fields.len()] };
    new.copy(&old);
    if let Some(fill) = fill {
        fill(&old, &mut new);
    }
    // Nobody called it, so this is what it found.
    let kept = new.set(DEADLINE, [NEVER; 2]) && mark.is_some();
    if let Some(index) = stands.live.iter().find(|index| !new.set[usize::from(**index)]) {
        return Err(Refused::Unset(new.shape.fields[usize::from(*index)].name));
    }
    let counter = new.frame.first_chunk_mut().ok_or(Refused::Size)?;
    *counter = stands.pc.to_ne_bytes().map(MaybeUninit::new);
    Ok(if kept { Deadline::Stays } else { Deadline::Ends })
}

/// The one point with this anchor.
fn one<L>(points: &[Point<L>], anchor: u64) -> Option<&Point<L>> {
    let mut found = points.iter().filter(|point| point.anchor == anchor);
    let first = found.next();
    if found.next().is_some() { None } else { first }
}
