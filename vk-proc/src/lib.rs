//! Micro-processes: the worker that dispatches them, and what they ask of the world outside.
//!
//! ```text
//!   keeper ─clone3─► worker ─► poller ─► events
//!                       │                  │
//!                       ▼                  ▼
//!                   runnable ◄──────── descriptors (readiness, by number)
//!                       │
//!                       ▼ dispatch
//!                   micro-heap open ─ process: tasks, run queue, in-heap pipes
//!                       │               ▲
//!                       └── effects ────┘  receive, send, accept, connect, start
//! ```
//!
//! Invariants:
//! - one micro-heap is entered at a time, and no handler runs outside of a dispatch;
//! - a blocked micro-process is always due for something: readiness not used up, a timer, room that comes
//!   free, or another task of its own.

extern crate vk_core as vk;

pub mod activation;
pub mod affinity;
pub mod board;
pub mod build;
mod census;
pub mod confine;
mod descriptors;
mod dispatch;
mod drain;
mod effects;
mod faults;
mod handover;
pub mod keeper;
pub mod ledger;
mod listener;
mod memory;
pub mod notify;
mod panics;
mod pool;
mod process;
mod resolver;
mod resume;
mod shared;
mod shed;
pub mod signals;
pub mod socket;
mod stats;
mod takeover;
mod worker;

pub use resume::Death;
pub use stats::Stats;
pub use takeover::Listener;
pub use worker::{Settings, Worker};
