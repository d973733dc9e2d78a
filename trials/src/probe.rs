//! One HTTP connection, asked step by step.

use crate::{Incoming, Outgoing, Wrong, connect};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A connection.
#[derive(Debug)]
pub struct Probe {
    /// What is asked.
    pub outgoing: Outgoing,
    /// What comes back.
    pub incoming: Incoming,
}

impl Probe {
    /// Connects.
    ///
    /// # Errors
    /// Those of connect(2).
    pub fn try_to(address: SocketAddr) -> io::Result<Probe> {
        connect(address, None).map(|(outgoing, incoming)| Probe { outgoing, incoming })
    }

    /// Connects.
    ///
    /// # Panics
    /// If it can't.
    #[track_caller]
    pub fn to(address: SocketAddr) -> Probe {
        Probe::try_to(address).unwrap_or_else(|error| panic!("{address} is not connected to: {error}"))
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// If they are not taken in.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        self.incoming.answer();
        self.outgoing.send(bytes)
    }

    /// Sends a request without a body.
    ///
    /// # Errors
    /// As [`send`](Probe::send).
    pub fn get(&mut self, target: &str) -> Result<(), Wrong> {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
    }

    /// Asks for the page that always is the same.
    ///
    /// # Errors
    /// If it doesn't come.
    pub fn try_check(&mut self) -> Result<(), Wrong> {
        self.asks("/plaintext", b"Hello, World!")
    }

    /// As [`try_check`](Probe::try_check).
    ///
    /// # Panics
    /// If it doesn't come.
    #[track_caller]
    pub fn check(&mut self) {
        self.try_check().unwrap_or_else(|wrong| panic!("the server does not serve: {wrong:?}"));
    }

    /// Asks for `target`, and expects it to be this.
    ///
    /// # Errors
    /// If it is something else, or doesn't come.
    pub fn asks(&mut self, target: &str, body: &[u8]) -> Result<(), Wrong> {
        self.get(target)?;
        let length = self.incoming.head(200)?;
        self.incoming.body(length, body)
    }

    /// Asks for `target`, whose handler fails, on a connection of its own, and waits until that ends, which has to say
    /// so; returns how long it took.
    ///
    /// # Panics
    /// If the connection doesn't end, or not with a 500.
    #[track_caller]
    pub fn fire(address: SocketAddr, target: &str) -> Duration {
        let begin = Instant::now();
        let mut probe = Probe::to(address);
        probe.fails(target).unwrap_or_else(|wrong| panic!("the connection of {target}: {wrong:?}"));
        begin.elapsed()
    }

    /// Asks for `target`, whose handler fails: that is said, and the connection ends.
    ///
    /// # Errors
    /// If it is not so.
    fn fails(&mut self, target: &str) -> Result<(), Wrong> {
        self.get(target)?;
        let length = self.incoming.head(500)?;
        self.incoming.body(length, b"")?;
        self.incoming.end()
    }
}
