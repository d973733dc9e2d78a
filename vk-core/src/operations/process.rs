//! The micro-process: coroutines beside this one.

use crate::rt::Coroutine;
use crate::task::{Descriptor, Outcome, Request, Wait};
use crate::{Entry, Io, Plain, Port, Task};
use std::io;
use std::task::Poll::{self, Pending, Ready};
use vk_heap::Span;

/// A coroutine that was [spawned](Io::spawn).
#[derive(Debug, PartialEq, Eq)]
pub struct Child(pub(crate) Span);

impl Child {
    /// No coroutine.
    pub const NONE: Child = Child(Span::EMPTY);

    /// Whether there is none: it was joined or closed, or never spawned.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

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
                let unparked = self.world().unparked.take();
                let is_meant = |descriptor| {
                    (source, sink) == (Source::Descriptor(descriptor), Sink::Descriptor(descriptor))
                };
                let positions = unparked.filter(|(descriptor, _)| is_meant(*descriptor)).map(|(_, at)| at);
                self.task().request = Request::Spawn { entry, frame, source, sink, positions };
                self.wait(Wait::Spawn)
            }
        }
    }

    /// Exchanges this coroutine's input and output with a child's, with what has come and what is unsent: it talks to
    /// whom the child talked to, and the other way round. Never waits.
    ///
    /// So a coroutine has several connections: each lies with a child that [rests](Io::rest), and what is unsent there
    /// goes on being sent.
    ///
    /// ```
    /// # use vk_core::{Child, Descriptor, Io, Sink, Source};
    /// # use std::io;
    /// # extern crate vk_core as vk;
    /// /// Asks another server, and answers with what it says.
    /// #[vk::coroutine]
    /// fn ask(io: &mut Io, server: Descriptor) -> io::Result<()> {
    ///     let mut peer: Child = io.spawn::<keep>((), Source::Descriptor(server), Sink::Descriptor(server))?;
    ///     io.swap(&mut peer)?;
    ///     io.write_all(b"What time is it?")?;
    ///     io.shutdown()?;
    ///     // Now the input is the server's, and the output the client's.
    ///     io.swap(&mut peer)?;
    ///     io.cross(&mut peer)?;
    ///     io.forward(u64::MAX)?;
    ///     io.cross(&mut peer)?;
    ///     io.close(&mut peer)
    /// }
    ///
    /// #[vk::coroutine]
    /// fn keep(io: &mut Io) -> io::Result<()> {
    ///     io.rest()
    /// }
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` if the child is gone, or there is a pipe between the two.
    pub fn swap(&mut self, child: &mut Child) -> Poll<io::Result<()>> {
        Ready(self.exchange(child, true))
    }

    /// As [`swap`](Io::swap), for the inputs only: each of the two reads what the other one would have, and writes to
    /// where it did. Never waits.
    ///
    /// # Errors
    /// As [`swap`](Io::swap).
    pub fn cross(&mut self, child: &mut Child) -> Poll<io::Result<()>> {
        Ready(self.exchange(child, false))
    }

    fn exchange(&mut self, child: &mut Child, outputs: bool) -> io::Result<()> {
        let Child(span) = *child;
        if span.is_empty() || [self.task().source, self.task().sink].contains(&Port::Task(span)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let me = self.world().running;
        let (task, other) = self.with_other(span);
        task.exchange_inputs(other);
        if outputs {
            task.exchange_outputs(other);
        }
        // Pipes lead both ways.
        let ends = [(task.source, task.sink, me), (other.source, other.sink, span)];
        for (source, sink, end) in ends {
            if let Port::Task(writer) = source {
                self.other(writer).sink = Port::Task(end);
            }
            if let Port::Task(reader) = sink {
                self.other(reader).source = Port::Task(end);
            }
        }
        Ok(())
    }

    /// Waits until this coroutine is [closed](Io::close): it has nothing more to do than to keep its input and output for
    /// somebody who [exchanges](Io::swap) them. What comes is received as far as the receiving ring has room, so that
    /// the end is noticed.
    ///
    /// # Errors
    /// It doesn't return.
    pub fn rest(&mut self) -> Poll<io::Result<()>> {
        self.task().wait = Wait::Rest;
        Pending
    }

    /// Whether a child [rests](Io::rest). Never waits.
    ///
    /// # Errors
    /// `InvalidInput` if the child is gone.
    pub fn rests(&mut self, child: &Child) -> Poll<io::Result<bool>> {
        Ready(self.child(child).map(|task| task.wait == Wait::Rest))
    }

    /// Whether a child has ended, of itself. Never waits.
    ///
    /// # Errors
    /// `InvalidInput` if the child is gone.
    pub fn has_ended(&mut self, child: &Child) -> Poll<io::Result<bool>> {
        Ready(self.child(child).map(|task| task.wait == Wait::Ended))
    }

    /// The error that a child has ended with, as [`join`](Io::join) tells it; none if it has not. Never waits.
    ///
    /// # Errors
    /// `InvalidInput` if the child is gone.
    pub fn failure(&mut self, child: &Child) -> Poll<io::Result<Option<io::Error>>> {
        let errno = self.child(child).map(|task| task.failure);
        Ready(errno.map(|errno| (errno != 0).then(|| io::Error::from_raw_os_error(errno))))
    }

    fn child(&mut self, child: &Child) -> io::Result<&mut Task> {
        if child.is_none() { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(self.other(child.0)) }
    }

    /// Waits until one of these children [rests](Io::rest) or has ended: which one, by its index. Those that are gone are
    /// passed over.
    ///
    /// # Errors
    /// `InvalidInput` if all of them are gone; `TimedOut` after the deadline.
    pub fn select(&mut self, children: &[Child]) -> Poll<io::Result<usize>> {
        let mut left = false;
        for (index, child) in children.iter().enumerate().filter(|(_, child)| !child.is_none()) {
            left = true;
            if matches!(self.other(child.0).wait, Wait::Rest | Wait::Ended) {
                return Ready(Ok(index));
            }
        }
        if left { self.wait(Wait::Child) } else { Ready(Err(io::ErrorKind::InvalidInput.into())) }
    }

    /// Ends a child where it stands, and closes the descriptors that its input and output lead to, unless another
    /// coroutine's do. What is unsent is lost. Closing what is closed returns at once.
    ///
    /// # Errors
    /// None, not even after the deadline.
    pub fn close(&mut self, child: &mut Child) -> Poll<io::Result<()>> {
        match self.take_outcome() {
            None if child.0.is_empty() => Ready(Ok(())),
            None => {
                self.end_child(child.0, Span::EMPTY);
                Pending
            }
            Some(outcome) => {
                child.0 = Span::EMPTY;
                Ready(outcome.map(|_| ()))
            }
        }
    }

    /// Ends a child as [`close`](Io::close) does, but leaves its connection to whoever of this worker
    /// [asks](Io::unpark) for `name`. Nobody may have anything under way on it: the child [rests](Io::rest), its input
    /// and output lead to one descriptor and to nobody else's, nothing that has come is unread, nothing is unsent, and
    /// neither side has ended. What is not so is closed.
    ///
    /// A worker keeps some hundred such connections, each for a minute at most. They end with its process if that is
    /// killed, and with its build.
    ///
    /// ```
    /// # use vk_core::{Child, Descriptor, Io, Sink, Source};
    /// # use std::{io, net::SocketAddr};
    /// # extern crate vk_core as vk;
    /// /// A connection to the time server: one that somebody has left, or a new one.
    /// #[vk::coroutine]
    /// fn ask(io: &mut Io, server: SocketAddr) -> io::Result<()> {
    ///     let peer: Descriptor = match io.unpark(b"time")? {
    ///         Some(peer) => peer,
    ///         None => io.connect(server)?,
    ///     };
    ///     let mut far: Child = io.spawn::<keep>((), Source::Descriptor(peer), Sink::Descriptor(peer))?;
    ///     io.swap(&mut far)?;
    ///     let mut time: [u8; 8] = [0; 8];
    ///     io.write_all(b"?")?;
    ///     io.read_exact(&mut time)?;
    ///     io.swap(&mut far)?;
    ///     io.park(&mut far, b"time")?;
    ///     io.write_all(&time)
    /// }
    ///
    /// #[vk::coroutine]
    /// fn keep(io: &mut Io) -> io::Result<()> {
    ///     io.rest()
    /// }
    /// ```
    ///
    /// # Errors
    /// None, not even after the deadline.
    pub fn park(&mut self, child: &mut Child, name: &[u8]) -> Poll<io::Result<()>> {
        match self.take_outcome() {
            None if child.0.is_empty() => Ready(Ok(())),
            None => {
                // Without room for the name it is closed.
                let name = self.place(name).unwrap_or(Span::EMPTY);
                self.end_child(child.0, name);
                Pending
            }
            Some(outcome) => {
                child.0 = Span::EMPTY;
                Ready(outcome.map(|_| ()))
            }
        }
    }

    fn end_child(&mut self, child: Span, name: Span) {
        (self.task().request, self.task().wait) = (Request::Close { child, name }, Wait::Close);
    }

    /// Waits until a spawned coroutine has ended and what it wrote is handed over to its sink. Its memory is
    /// free then; joining it once more returns at once.
    ///
    /// # Errors
    /// The error that it ended with, if that was the system's; `ECHILD` if it was its own, or what it wrote last could
    /// not be handed over; `TimedOut` after the deadline.
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
