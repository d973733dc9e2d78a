//! Standard input to a TCP connection, and what comes back to standard output: `netcat localhost:7007`.

use std::net::{SocketAddr, ToSocketAddrs};
use vk::prelude::*;

/// Connects, and lets two coroutines move the bytes, one each way, until the other end is done.
#[vk::coroutine]
fn netcat(io: &mut Io) -> io::Result<()> {
    let address: SocketAddr = address()?;
    let peer: Descriptor = io.connect(address)?;
    io.spawn::<pump>((), Source::Inherit, Sink::Descriptor(peer))?;
    let mut down: Child = io.spawn::<pump>((), Source::Descriptor(peer), Sink::Inherit)?;
    io.join(&mut down)
}

/// Moves bytes until the end, and passes the end on.
#[vk::coroutine]
fn pump(io: &mut Io) -> io::Result<()> {
    io.forward(u64::MAX)?;
    io.shutdown()
}

/// The address on the command line.
fn address() -> io::Result<SocketAddr> {
    let found = match vk::args() {
        [address] => address.to_socket_addrs().map(|found| found.min_by_key(SocketAddr::is_ipv6)),
        _ => Ok(None),
    };
    let usage = || io::Error::new(io::ErrorKind::InvalidInput, "give one argument: HOST:PORT");
    found.and_then(|address| address.ok_or_else(usage))
}

vk_app! {
    name: "netcat",
    about: "Standard input to a TCP connection, and back",
    stdio: netcat,
    args: "HOST:PORT",
    heap: 16384,
}
