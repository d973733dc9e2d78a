//! The micro-process: coroutines beside this one.

use crate::rt::Coroutine;
use crate::task::{Descriptor, Outcome, Request, Wait};
use crate::{Entry, Io, Plain};
use std::io;
use std::task::Poll::{self, Ready};
use vk_heap::Span;

/// A coroutine that was [spawned](Io::spawn).
#[derive(Debug, PartialEq, Eq)]
pub struct Child(pub(crate) Span);

#[allow(unsafe_code)]
// SAFETY: a span: two integers.
unsafe impl Plain for Child {
    const LAYOUT: u64 = crate::hash::named::<Self>("vk::Child");
}

/// Where a spawned coroutine's input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: it finds the end.
    Nothing,
    /// A descriptor.
    Descriptor(Descriptor),
    /// What the parent writes from now on: an in-heap pipe.
    Parent,
    /// The parent's own source, which the child takes over with what has come of it; the parent finds the
    /// end, unless it is given something else to read by the child's [`Sink::Parent`].
    Inherit,
}

/// Where a spawned coroutine's output goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Nowhere: writing is a broken pipe.
    Nothing,
    /// A descriptor.
    Descriptor(Descriptor),
    /// What the parent reads from now on: an in-heap pipe.
    Parent,
    /// The parent's own sink, which the child takes over with what is unsent; what the parent writes is a
    /// broken pipe, unless it goes to the child by [`Source::Parent`].
    Inherit,
}

impl Io {
    /// Starts a coroutine as a further task of this micro-process, between `source` and `sink`: beside the
    /// parent, or as a filter in its input or output.
    ///
    /// A micro-process ends when the coroutine that it began with does.
    ///
    /// # Errors
    /// `OutOfMemory` if the micro-heap has no room for the coroutine; `TimedOut` after the deadline. A
    /// descriptor that is closed, or another micro-process's, is an error (`EBADF`) when the child uses it.
    pub fn spawn<C>(&mut self, args: C::Args, source: Source, sink: Sink) -> Poll<io::Result<Child>>
    where
        C: Coroutine<Output = io::Result<()>>,
    {
        match self.take_outcome() {
            Some(Ok(Outcome::Task(child))) => Ready(Ok(Child(child))),
            Some(Err(error)) => Ready(Err(error)),
            Some(Ok(other)) => unreachable!("a task was asked for, and {other:?} came of it"),
            // What was written before is for the former sink.
            None if source == Source::Parent && sink != Sink::Inherit && self.has_unsent() => {
                self.wait(Wait::Flushed)
            }
            None if self.is_late() => Ready(Err(io::ErrorKind::TimedOut.into())),
            None => {
                let entry = Entry::of::<C>();
                let Some(frame) = self.new_frame::<C>(args) else {
                    return Ready(Err(io::ErrorKind::OutOfMemory.into()));
                };
                let entry = self.world().registry.index(entry);
                self.task().request = Request::Spawn { entry, frame, source, sink, positions: None };
                self.wait(Wait::Spawn)
            }
        }
    }

    /// Waits until a spawned coroutine has ended and what it wrote is handed over to its sink. Its memory is
    /// free then; joining it once more returns at once.
    ///
    /// # Errors
    /// `ECHILD` if it ended with an error of its own, or what it wrote last could not be handed over; `TimedOut`
    /// after the deadline.
    pub fn join(&mut self, child: &mut Child) -> Poll<io::Result<()>> {
        match self.take_outcome() {
            None if child.0.is_empty() => Ready(Ok(())),
            None => {
                self.task().request = Request::Join(child.0);
                self.wait(Wait::Join)
            }
            Some(outcome) => {
                child.0 = Span::EMPTY;
                Ready(outcome.map(|_| ()))
            }
        }
    }
}
