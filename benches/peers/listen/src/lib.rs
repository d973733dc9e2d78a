//! What all peers share: `--listen ADDR:PORT`, and one line on stderr that says where they listen.
//!
//! SIGTERM ends a peer by its default action: a peer has nothing to drain.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

/// Connections that may wait to be accepted: more than any scenario opens at once.
const BACKLOG: i32 = 4096;

/// The option every peer has.
#[derive(clap::Args)]
pub struct Listen {
    /// Address to listen on; port 0 takes a free one
    #[arg(long = "listen", value_name = "ADDR:PORT")]
    pub address: SocketAddr,
}

impl Listen {
    /// Listens, and announces where. The listener is non-blocking, and its connections inherit `TCP_NODELAY`.
    ///
    /// # Errors
    /// Those of the socket calls: the address is taken or not ours.
    pub fn bind(&self) -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&self.address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        announce(listener.local_addr()?);
        Ok(listener)
    }
}

/// Prints the line that tells a driver that it may connect now, and to which port.
pub fn announce(address: SocketAddr) {
    eprintln!("listening on {address}");
}
