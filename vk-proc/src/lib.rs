//! Micro-processes: the worker that dispatches them, and what they ask of the world outside.
//!
//! ```text
//!   keeper ─fork─► holder ─clone3─► worker ─► poller ─► events
//!                                     │                  │
//!                       ┌─────────────┘                  │
//!                       ▼                  ▼─────────────┘
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
pub mod adopt;
pub mod affinity;
pub mod board;
pub mod build;
mod census;
pub mod confine;
pub mod control;
mod descriptors;
mod dispatch;
mod drain;
mod effects;
mod faults;
mod handover;
pub mod holder;
pub mod keeper;
pub mod ledger;
pub mod limits;
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
pub mod sweep;
pub mod takeover;
pub mod transfer;
mod worker;

pub use resume::Death;
pub use stats::Stats;
pub use worker::{Settings, Worker};
