//! Connections: accepted, made, handed to a micro-process of their own.

use crate::Io;
use crate::task::{Descriptor, Outcome, Port, Request, Wait};
use std::io;
use std::net::SocketAddr;
use std::task::Poll::{self, Ready};
use vk_vectoring::Ring;

impl Io {
    /// Waits for a connection of the listener that is this coroutine's source.
    ///
    /// # Errors
    /// That of the listener; `TimedOut` after the deadline. Running out of descriptors or memory is not an
    /// error: it waits until there are some.
    pub fn accept(&mut self) -> Poll<io::Result<Descriptor>> {
        match self.take_outcome() {
            None => self.wait(Wait::Accept),
            Some(outcome) => Ready(outcome.and_then(descriptor)),
        }
    }

    /// Connects to `address` over TCP. The connection becomes a port of a coroutine that is
    /// [spawned](Io::spawn) with it.
    ///
    /// # Errors
    /// That of connect(2); `TimedOut` after the deadline.
    pub fn connect(&mut self, address: SocketAddr) -> Poll<io::Result<Descriptor>> {
        match self.take_outcome() {
            None => self.ask(Request::Connect(address)),
            Some(outcome) => Ready(outcome.and_then(descriptor)),
        }
    }

    /// Asks the dispatcher for something about a connection; too late, nothing is asked for.
    fn ask<T>(&mut self, request: Request) -> Poll<io::Result<T>> {
        let waiting = self.wait(Wait::Connect);
        if waiting.is_pending() {
            self.task().request = request;
        }
        waiting
    }

    /// Makes a connection the input and the output of this coroutine, which has had neither: it was
    /// [spawned](Io::spawn) with [`Source::Nothing`](crate::Source::Nothing) and
    /// [`Sink::Nothing`](crate::Sink::Nothing).
    ///
    /// # Errors
    /// `InvalidInput` if it has an input or an output; `TimedOut` after the deadline.
    pub fn attach(&mut self, connection: Descriptor) -> Poll<io::Result<()>> {
        match self.take_outcome() {
            None if [self.task().source, self.task().sink] != [Port::Nothing; 2] => {
                Ready(Err(io::ErrorKind::InvalidInput.into()))
            }
            None => self.ask(Request::Attach(connection)),
            Some(Ok(Outcome::Positions([received, sent]))) => {
                let task = self.task();
                task.request = Request::None;
                task.rx = Ring::starting_at(received, task.rx_storage.len());
                task.tx = Ring::starting_at(sent, task.tx_storage.len());
                (task.source, task.sink) = (Port::Descriptor(connection), Port::Descriptor(connection));
                (task.rx_ended, task.tx_ended) = (false, false);
                Ready(Ok(()))
            }
            Some(outcome) => Ready(outcome.map(|_| ())),
        }
    }

    /// A connection that anybody of this worker has [parked](Io::park) under `name`, the one that was parked last; `None`
    /// if there is none. Its other end has neither ended it since nor sent what nobody has asked for, as far as it is
    /// known here: it may end at any time.
    ///
    /// # Errors
    /// `TimedOut` after the deadline.
    pub fn unpark(&mut self, name: &[u8]) -> Poll<io::Result<Option<Descriptor>>> {
        match self.take_outcome() {
            None => {
                let Some(place) = self.place(name) else { return Ready(Ok(None)) };
                self.task().request = Request::Unpark(place);
                let waiting = self.wait(Wait::Connect);
                if waiting.is_ready() {
                    self.forget_name();
                }
                waiting
            }
            Some(outcome) => {
                self.forget_name();
                Ready(outcome.map(|outcome| match outcome {
                    Outcome::Descriptor(connection) => Some(connection),
                    _ => None,
                }))
            }
        }
    }

    fn forget_name(&mut self) {
        if let Request::Unpark(place) = std::mem::replace(&mut self.task().request, Request::None) {
            self.world().release(place);
        }
    }

    /// The address of who is at the other end of this coroutine's source; `None` for what is no connection of IP, a pipe
    /// say.
    ///
    /// # Errors
    /// `NotConnected` if the connection has ended; `TimedOut` after the deadline.
    pub fn peer(&mut self) -> Poll<io::Result<Option<SocketAddr>>> {
        match self.take_outcome() {
            None => self.wait(Wait::Peer),
            Some(Ok(Outcome::Address(address))) => Ready(Ok(Some(address))),
            Some(outcome) => Ready(outcome.map(|_| None)),
        }
    }

    /// Hands `connection` to a new micro-process that runs the handler with this index, as soon as there
    /// is room for one.
    #[doc(hidden)]
    pub fn start(&mut self, entry: u32, connection: Descriptor) -> Poll<io::Result<()>> {
        match self.take_outcome() {
            None => {
                self.task().request = Request::Start { entry, connection };
                self.wait(Wait::Start)
            }
            Some(outcome) => Ready(outcome.map(|_| ())),
        }
    }
}

fn descriptor(outcome: Outcome) -> io::Result<Descriptor> {
    match outcome {
        Outcome::Descriptor(descriptor) => Ok(descriptor),
        other => unreachable!("a connection was asked for, and {other:?} came of it"),
    }
}
