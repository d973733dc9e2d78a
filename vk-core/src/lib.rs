//! The coroutine's world: what a handler sees, and nothing of the kernel.
//!
//! ```text
//!            one micro-heap, open while its micro-process runs
//!   ┌────────────────────────────────────────────────────────────┐
//!   │  Task ── rx Ring ──► storage      frame of the coroutine    │
//!   │       └─ tx Ring ──► storage      (frames of its callees)   │
//!   └────────────────────────────────────────────────────────────┘
//!        ▲                                    ▲
//!        │ Io: operations on the task         │ resume(&mut frame, &mut io)
//!        └────────────── the coroutine ───────┘
//! ```
//!
//! A [`Task`] is the plain record of one running coroutine: its two rings, where they lead, what it waits
//! for and how far the operation under way has come. [`Io`] is the handle through which the coroutine works
//! on it: every operation first tries in the rings and answers [`Ready`](core::task::Poll::Ready) when
//! they suffice; otherwise it writes down in the task what it waits for and answers
//! [`Pending`](core::task::Poll::Pending). Nothing here makes a system call, knows a descriptor's state or
//! a queue: who dispatches tasks (`vk-proc`) looks at [`Task::wait`], moves bytes between rings and
//! descriptors, and resumes the task once [`Task::is_ready`] says so.
//!
//! Invariants:
//! - a task waits for one thing at a time, and an operation that answers `Pending` is called again, with
//!   the same arguments, before any other operation of its task;
//! - [`Task`] and frames are plain data: no pointer enters a micro-heap, spans and registry indices do;
//! - references into a micro-heap live no longer than one call of an operation or one resume.

pub mod bytes;
pub mod entry;
pub mod failures;
pub mod io;
pub mod last_words;
pub mod line;
pub mod migrate;
mod operations;
pub mod preparation;
pub mod registry;
pub mod rt;
pub mod shape;
pub mod task;
pub mod time;

pub use bytes::HeapBytes;
pub use entry::Entry;
pub use io::{Io, Tally, World};
pub use last_words::LastWords;
pub use line::Line;
pub use migrate::{Migration, New, Old};
pub use operations::process::{Child, Sink, Source};
pub use operations::resolve::{self, Addresses};
pub use registry::Registry;
pub use task::{Descriptor, Nanos, Port, Task, Wait};
pub use vk_heap::{Plain, hash};
pub use vk_macros::{Plain, coroutine};
