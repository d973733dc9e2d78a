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

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

const TRIAL: &str = env!("CARGO_BIN_EXE_trial_app");

/// An address below those that the kernel gives away, and that no other trial has: for an application whose log is not seen.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let port = 10_000 + (std::process::id() % 100) as u16 * 200 + NEXT.fetch_add(1, Relaxed) % 200;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
