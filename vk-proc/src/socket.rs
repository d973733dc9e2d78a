//! Listening sockets.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// Connections that the kernel keeps until they are accepted; net.core.somaxconn may make it fewer.
const BACKLOG: i32 = 4096;

/// Binds one listening socket per worker to `address`, in a group among which the kernel spreads the
/// connections (`SO_REUSEPORT`, socket(7)). Returns them with the real address: port 0 asks for a free one.
///
/// # Errors
/// Those of socket(2) and bind(2): `AddrInUse` above all.
pub fn listen(address: SocketAddr, workers: usize) -> io::Result<(SocketAddr, Vec<OwnedFd>)> {
    if address.port() != 0 {
        // A group would join a group that another process of this user listens with already.
        bind(address, false)?;
    }
    let first = bind(address, true)?;
    let bound = first.local_addr()?.as_socket().expect("a TCP socket has an internet address");
    let mut sockets = vec![OwnedFd::from(first)];
    for _ in 1..workers {
        sockets.push(bind(bound, true)?.into());
    }
    Ok((bound, sockets))
}

/// One more listening socket of a group that is bound to `address`.
///
/// # Errors
/// As [`listen`].
pub fn join(address: SocketAddr) -> io::Result<OwnedFd> {
    Ok(bind(address, true)?.into())
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    // A server that restarts binds its port although connections of the last run linger.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    // Accepted connections inherit it: urgent data is in the stream, at its place, and counted like all other bytes.
    socket.set_out_of_band_inline(true)?;
    // Accepted connections inherit it: an answer leaves when it is flushed, not when a timer says so.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}
