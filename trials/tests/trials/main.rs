//! Connections outlive their worker: what a server may not lose, whatever happens to its processes.

mod builds;
mod confined;
mod edges;
mod faults;
mod group;
mod keeper;
mod kills;
mod memory;
mod peers;
mod proxy;
mod reload;
mod steps;
mod stops;
mod want;

const TRIAL: &str = env!("CARGO_BIN_EXE_trial_app");
