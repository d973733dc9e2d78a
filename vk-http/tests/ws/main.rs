//! WebSocket, case by case as the Autobahn test suite groups them, and for each way to cut what the client sends.

#[path = "../counting/mod.rs"]
mod counting;
#[path = "../harness/mod.rs"]
mod harness;
#[path = "../talk/mod.rs"]
mod talk;

mod allocations;
mod cases;
mod frames;
mod handlers;
mod handshake;
mod random;
