//! Trials of the promise that connections outlive their worker, from the outside: command line, sockets,
//! signals.
//!
//! ```text
//!  Trial ── starts ──► keeper ──► workers ◄── Chaos kills them, stops them, all the while
//!                                   ▲
//!  Load: connections that know each byte which has to come   (busy)
//!  Crowd: connections that stand half-way                      (waiting)
//! ```
//!
//! Part of every run are `--test client`, the client itself, and some dozens of kills in `--test trials`. A long
//! trial, in each setup there is: `VK_TRIAL_KILLS=500 cargo test --release -p vk-trials --test trials kills`.
//!
//! Invariants: each byte that comes is compared when it comes, and each that does not is missed after
//! [`PATIENCE`](vk_try::PATIENCE); a failure says seed, connection, request and place; all that is random comes
//! from one seed, which is printed and can be given as `VK_TRIAL_SEED`.

mod chaos;
mod crowd;
mod dialogue;
mod incoming;
mod injection;
mod load;
mod outgoing;
mod probe;
mod settings;
mod talk;
mod traced;
mod trial;

pub use chaos::Chaos;
pub use crowd::Crowd;
pub use dialogue::{Answer, Dialogue, Exchange, Kind, change};
pub use incoming::{Incoming, Wrong};
pub use injection::Injection;
pub use load::{Load, Summary};
pub use outgoing::{Outgoing, connect};
pub use probe::Probe;
pub use settings::{Setup, is_long, kills, seed, setups};
pub use talk::PIECE;
pub use traced::Traced;
pub use trial::Trial;
