//! Connections outlive their worker: what a server may not lose, whatever happens to its processes.

mod builds;
mod edges;
mod faults;
mod keeper;
mod kills;
mod memory;
mod peers;
mod proxy;
mod reload;

mod stops;

const TRIAL: &str = env!("CARGO_BIN_EXE_trial_app");
