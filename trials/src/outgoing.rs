//! The sending side of a connection: whole, or in pieces with pauses.

use crate::{Incoming, Wrong};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use vk_try::{PATIENCE, Random};

/// Bytes that the kernel takes in for who reads slowly.
const SMALL: usize = 4096;

/// What goes out on a connection.
#[derive(Debug)]
pub struct Outgoing(Arc<TcpStream>);

/// Connects. With a seed for it, little is taken in at a time, with pauses, and the window is small.
///
/// # Errors
/// Those of connect(2).
pub fn connect(address: SocketAddr, slow: Option<u64>) -> io::Result<(Outgoing, Incoming)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if slow.is_some() {
        socket.set_recv_buffer_size(SMALL)?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect_timeout(&address.into(), PATIENCE)?;
    let stream = Arc::new(TcpStream::from(socket));
    let incoming = Incoming::new(Arc::clone(&stream), slow)?;
    Ok((Outgoing(stream), incoming))
}

impl Outgoing {
    /// Sends all bytes at once.
    ///
    /// # Errors
    /// If they are not taken in.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        (&*self.0).write_all(bytes).map_err(|error| Wrong { offset: 0, what: error.to_string() })
    }

    /// Sends all bytes, cut at random.
    ///
    /// # Errors
    /// If they are not taken in.
    pub fn send_cut(&mut self, bytes: &[u8], random: &mut Random) -> Result<(), Wrong> {
        /// Bytes that come one by one, as from a terminal.
        const SLOWLY: usize = 40;
        let mut rest = bytes;
        let style = random.below(4);
        while !rest.is_empty() {
            let most = match style {
                0 => {
                    thread::sleep(Duration::from_micros(random.below(3000)));
                    1 + random.below(rest.len() as u64) as usize
                }
                1 if bytes.len() - rest.len() < SLOWLY => 1 + random.below(3) as usize,
                _ => rest.len(),
            };
            let (piece, after) = rest.split_at(most.min(rest.len()));
            self.send(piece)?;
            rest = after;
        }
        Ok(())
    }

    /// Another hand on the same connection.
    pub fn share(&self) -> Outgoing {
        Outgoing(Arc::clone(&self.0))
    }

    /// Says that nothing more is sent.
    pub fn hang_up(&self) {
        // It may have ended at the other side.
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// Makes the connection end with a reset when it is dropped.
    pub fn reset_on_drop(&self) {
        vk_try::reset_on_close(&self.0);
    }
}
