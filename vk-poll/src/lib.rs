//! Who is ready, and what time it is.
//!
//! ```text
//!            worker
//!   add ──▶ ┌─────────┐  wait   ┌───────────────────────────┐
//!   close ▶ │ Backend │ ──────▶ │ Event { token, readable … }│
//!           └─────────┘         └───────────────────────────┘
//!            Epoll   readiness by epoll_pwait2
//!            Uring   readiness by multishot polls of io_uring
//!            Sim     a world in memory: seeded, faulty, with a clock of its own
//!           Timers   when the next one is due, and which have passed
//! ```
//!
//! A backend reports *readiness*; bytes then go by plain system calls straight between a descriptor and
//! the ring that wants them. Completion modes, where the kernel writes to memory while nobody looks, are
//! deliberately absent: a micro-heap is closed while its coroutines do not run.
//!
//! Descriptors are plain numbers here ([`RawFd`]): they outlive the process that uses them, so ownership is
//! a matter of the one who keeps the books. Whoever `accept`ed, `connect`ed or `add`ed one owns it until
//! `close`.
//!
//! ```
//! use vk_poll::{Backend, Choice, Epoll, Timers, Uring};
//!
//! fn serve(mut backend: impl Backend) {
//!     let (mut timers, mut events) = (Timers::new(), Vec::new());
//!     timers.set(7, backend.now() + 1_000_000);
//!     loop {
//!         let now = backend.now();
//!         while let Some(key) = timers.expired(now) {
//!             assert_eq!(key, 7);
//!             return;
//!         }
//!         let timeout = timers.next().map(|at| at.saturating_sub(now));
//!         backend.wait(timeout, &mut events).unwrap();
//!     }
//! }
//!
//! match (Choice::Auto, Uring::new()) {
//!     (Choice::Auto | Choice::Uring, Ok(uring)) => serve(uring),
//!     (Choice::Uring, Err(error)) => panic!("{error}"),
//!     (Choice::Auto | Choice::Epoll, _) => serve(Epoll::new().unwrap()),
//! }
//! ```
//!
//! [`RawFd`]: std::os::fd::RawFd

mod backend;
mod choice;
mod epoll;
mod sim;
mod sys;
mod timers;
mod uring;

pub use backend::{Backend, Event, Nanos, Positions, Token, Watch};
pub use choice::{Choice, UnknownChoice};
pub use epoll::Epoll;
pub use sim::{Faults, Peer, Server, Sim};
pub use sys::set_nonblocking;
pub use timers::Timers;
pub use uring::Uring;
