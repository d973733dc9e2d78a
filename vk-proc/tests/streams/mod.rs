//! What the tests on the simulator serve streams with, and to: small coroutines, and a client.

use std::io;
use vk_core::{Io, Line};
use vk_poll::Peer;

/// Lines come back.
#[vk::coroutine]
pub fn echo(io: &mut Io) -> io::Result<()> {
    let mut line: Line<100> = Line::new();
    while io.read_line(&mut line)? {
        io.write_all(&line)?;
    }
    Ok(())
}

/// Everything goes through, the end, too.
#[vk::coroutine]
pub fn forwarder(io: &mut Io) -> io::Result<()> {
    io.forward(u64::MAX)?;
    io.shutdown()
}

/// Everything goes through in capitals.
#[vk::coroutine]
pub fn upper(io: &mut Io) -> io::Result<()> {
    let mut bytes: [u8; 32] = [0; 32];
    loop {
        let count: usize = io.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        bytes.make_ascii_uppercase();
        io.write_all(&bytes[..count])?;
    }
}

/// A connection that is kept for others.
#[vk::coroutine]
pub fn rest(io: &mut Io) -> io::Result<()> {
    io.rest()
}

/// A client that sends `data` piece by piece and ends, and what it got back.
pub struct Client {
    pub peer: Peer,
    pub data: Vec<u8>,
    sent: usize,
    pub received: Vec<u8>,
    ended: bool,
}

impl Client {
    pub fn new(peer: Peer, data: Vec<u8>) -> Client {
        Client { peer, data, sent: 0, received: Vec::new(), ended: false }
    }

    /// Takes what there is, sends the next piece, or the end after the last; false if there was nothing to do.
    pub fn act(&mut self, piece: usize) -> bool {
        let got = self.peer.recv();
        self.received.extend_from_slice(&got);
        if self.sent < self.data.len() {
            let end = self.data.len().min(self.sent + piece);
            let taken = self.peer.send(&self.data[self.sent..end]);
            self.sent += taken;
            return taken + got.len() > 0;
        }
        if !self.ended {
            self.ended = true;
            self.peer.shutdown();
            return true;
        }
        !got.is_empty()
    }
}
