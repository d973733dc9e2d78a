//! Connections that nobody has: parked, for whoever of this worker asks for them by name.
//!
//! ```text
//!  a micro-process's ── park ──► nobody's ── unpark ──► another micro-process's
//!                                   └─► closed: by the other end, one too many, idle for too long
//! ```
//!
//! A cache in the worker's own memory: who comes after this worker closes what nobody has.
//!
//! Invariants:
//! - a connection in the pool is open, watched, and [`HeapId::NONE`]'s: in the table, and in its row of the ledger;
//! - connections stand in the order in which they were parked.

use crate::descriptors::Known;
use crate::worker::Worker;
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSliceMut};
use std::os::fd::RawFd;
use vk_core::task::NEVER;
use vk_core::{Descriptor, Line, Nanos};
use vk_heap::{HeapId, failpoint};
use vk_poll::Backend;

/// Connections at most: beyond it the one that was parked first is closed.
const MOST: usize = 256;

/// Bytes of a name.
const NAME: usize = 128;

/// How long a connection may be nobody's: as long as servers keep one, by and large.
const IDLE: Nanos = 60_000_000_000;

/// One connection.
#[derive(Debug)]
struct Parked {
    name: Line<NAME>,
    connection: Descriptor,
    /// How far it was received from and sent to.
    positions: [u64; 2],
    since: Nanos,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    parked: VecDeque<Parked>,
}

impl Pool {
    pub(crate) fn len(&self) -> usize {
        self.parked.len()
    }

    /// When the first of them will have been idle for too long.
    pub(crate) fn next(&self) -> Nanos {
        self.parked.front().map_or(NEVER, |first| first.since + IDLE)
    }

    /// Forgets a connection whose number is another one's.
    pub(crate) fn lose(&mut self, number: RawFd) {
        self.parked.retain(|parked| parked.connection.number != number);
    }

    /// Takes out the one that was parked last under a name.
    fn take(&mut self, name: &[u8]) -> Option<Parked> {
        let at = self.parked.iter().rposition(|parked| *parked.name == *name)?;
        self.parked.remove(at)
    }
}

impl<B: Backend> Worker<B> {
    /// Parks a connection of a micro-process on which nothing is under way; false if it stays as it is.
    pub(crate) fn park(
        &mut self,
        connection: Descriptor,
        from: HeapId,
        name: &[u8],
        positions: [u64; 2],
    ) -> bool {
        let mut parked = Parked { name: Line::new(), connection, positions, since: self.world.now };
        let known = self.descriptors.get(connection, from);
        let stands = known.is_some_and(|known| !known.closed && !known.borrowed);
        if !stands || self.world.ending || name.is_empty() || parked.name.extend(name).is_err() {
            return false;
        }
        self.hand_over(connection.number, from, HeapId::NONE);
        self.pool.parked.push_back(parked);
        if self.pool.len() > MOST {
            self.close_first();
        }
        true
    }

    /// Gives a micro-process, which is `told` of it before, a connection that was parked under a name; false if there is
    /// none.
    pub(crate) fn unpark(&mut self, name: &[u8], to: HeapId, mut told: impl FnMut(Descriptor)) -> bool {
        while let Some(Parked { connection, positions, .. }) = self.pool.take(name) {
            if self.is_quiet(connection.number) {
                told(connection);
                failpoint!("told");
                self.hand_over(connection.number, HeapId::NONE, to);
                self.world.unparked = Some((connection, positions));
                return true;
            }
            self.release(connection.number);
        }
        false
    }

    /// Whether the other end of a parked connection has neither ended it nor sent anything.
    fn is_quiet(&mut self, number: RawFd) -> bool {
        let known: &mut Known = self.descriptors.by_number(number);
        if known.readable {
            let read = self.poller.read(number, &mut [IoSliceMut::new(&mut [0; 1])]);
            known.readable = !read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        }
        !known.readable
    }

    /// Closes the parked connection, if it is one, whose other end has ended it.
    pub(crate) fn close_parked(&mut self, connection: Descriptor) {
        if let Some(at) = self.pool.parked.iter().position(|parked| parked.connection == connection) {
            self.pool.parked.remove(at);
            self.release(connection.number);
        }
    }

    /// Closes what was parked for too long.
    pub(crate) fn close_idle(&mut self) {
        while self.pool.next() <= self.world.now {
            self.close_first();
        }
    }

    /// Closes all that is parked; false if nothing was.
    pub(crate) fn close_all_parked(&mut self) -> bool {
        let any = self.pool.len() > 0;
        while self.close_first() {}
        any
    }

    fn close_first(&mut self) -> bool {
        let first = self.pool.parked.pop_front();
        if let Some(parked) = &first {
            self.release(parked.connection.number);
        }
        first.is_some()
    }
}
