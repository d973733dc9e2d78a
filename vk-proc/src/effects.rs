//! What a micro-process waits for outside: bytes, connections, other micro-processes.
//!
//! Each of these is tried once a round and never waits. What can't be done yet is left as it is; an event,
//! a timer or room that has come free brings the micro-process back.

use crate::process::{Process, RING};
use crate::resolver::{Answer, Resolver};
use crate::worker::{BELL, Worker};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use vk_core::task::{IDLE, Mark, NEVER, Outcome, Request};
use vk_core::{Descriptor, Nanos, Port, Task, Wait, resolve};
use vk_heap::{BLOCK, HeapId, Span, failpoint};
use vk_poll::Backend;

/// How long a sink may take no byte before it counts as broken.
const SEND_STALL: Nanos = 30_000_000_000;

impl<B: Backend> Worker<B> {
    /// Fills the receiving ring from a descriptor until the task has what it waits for, or there is no more.
    pub(crate) fn receive(&mut self, process: Process, task: &mut Task) {
        let Port::Descriptor(source) = task.source else { return };
        while !task.is_ready(self.world.now) {
            match self.descriptors.get(source, process.heap().id()) {
                Some(known) if known.readable => self.receive_once(process, task, source.number),
                Some(known) => {
                    let is_shed = known.shed && task.checkpoint == IDLE;
                    match task.rx.is_empty() {
                        true => task.rx_ended = is_shed || self.draining && task.checkpoint != 0,
                        false if is_shed => task.rx_error = libc::ECONNABORTED,
                        false => {}
                    }
                    return;
                }
                None => task.rx_error = libc::EBADF,
            }
        }
    }

    /// Receives what has come to a task that rests, to find out early whether its connection has ended.
    pub(crate) fn notice(&mut self, process: Process, task: &mut Task) {
        let Port::Descriptor(source) = task.source else { return };
        let known = self.descriptors.get(source, process.heap().id());
        if known.is_some_and(|known| known.readable) && task.rx.is_empty() && !task.is_input_over() {
            self.receive_once(process, task, source.number);
        }
    }

    fn receive_once(&mut self, process: Process, task: &mut Task, source: RawFd) {
        if task.bulk && task.rx.capacity() < BLOCK as usize {
            process.grow_rx(&mut self.world, task);
        }
        let mut rx = process.rx(task);
        let mut bufs = rx.writable_io();
        let room = bufs[0].len() + bufs[1].len();
        if room == 0 {
            // It waits for more than the ring holds, and the pool has no larger one: a read would look like
            // the end.
            task.rx_error = libc::ENOMEM;
            return;
        }
        let bufs = if bufs[1].is_empty() { &mut bufs[..1] } else { &mut bufs[..] };
        let known = self.descriptors.by_number(source);
        let result = self.poller.read(source, bufs);
        failpoint!("read");
        match result {
            Ok(0) => task.rx_ended = true,
            Ok(count) => {
                rx.produced(count);
                known.shed = false;
                // A short read has emptied a socket, unless the end waits behind the bytes. Of what was
                // open before (a terminal hands out line by line) nothing is known.
                known.readable = count == room || known.closed || known.urgent || known.borrowed;
                task.bulk = count == room || count >= RING as usize;
                self.stats.received += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => known.readable = false,
            Err(error) => task.rx_error = errno(&error),
        }
    }

    /// Sends what the sending ring holds, as far as the descriptor takes it.
    pub(crate) fn send(&mut self, process: Process, task: &mut Task) {
        let Port::Descriptor(sink) = task.sink else { return };
        if task.tx.is_empty() || task.is_output_over() {
            return;
        }
        let Some(known) = self.descriptors.get(sink, process.heap().id()) else {
            task.tx_error = libc::EBADF;
            return;
        };
        while known.writable && !task.tx.is_empty() {
            let tx = process.tx(task);
            let bufs = tx.readable_io();
            let bufs = if bufs[1].is_empty() { &bufs[..1] } else { &bufs[..] };
            let result = self.poller.write(sink.number, bufs);
            failpoint!("written");
            match result {
                Ok(count) => {
                    process.sent(&mut self.world, task, count);
                    task.stall = NEVER;
                    self.stats.sent += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => known.writable = false,
                Err(error) => {
                    task.tx_error = errno(&error);
                    return;
                }
            }
        }
        let now = self.world.now;
        // Who reads our standard output page by page may take his time.
        if task.tx.is_empty() || known.borrowed {
            task.stall = NEVER;
        } else if task.stall == NEVER {
            task.stall = now + SEND_STALL;
        } else if now >= task.stall {
            task.tx_error = libc::ETIMEDOUT;
        }
    }

    /// Accepts a connection, if there is room for its micro-process.
    pub(crate) fn accept(&mut self, task: &mut Task, id: HeapId) {
        let Port::Descriptor(listener) = task.source else {
            task.outcome = Outcome::Failed(libc::ENOTSOCK);
            return;
        };
        while task.outcome == Outcome::None {
            if !self.descriptors.get(listener, id).is_some_and(|known| known.readable) {
                return;
            }
            if !self.has_room() {
                return self.starve(id, false);
            }
            match self.take(id, |poller| poller.accept(listener.number)) {
                Ok(connection) => {
                    task.outcome = Outcome::Descriptor(connection);
                    failpoint!("accepted");
                    self.confirm(connection);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.descriptors.by_number(listener.number).readable = false;
                }
                Err(error) => match errno(&error) {
                    // The connection failed before it was accepted: accept(2) says to try again.
                    libc::ECONNABORTED | libc::EPROTO | libc::EPERM => {}
                    mistake @ (libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP) => {
                        task.outcome = Outcome::Failed(mistake);
                    }
                    // EMFILE, ENFILE, ENOMEM, and whatever else the network has to tell: a listener is not
                    // lost for it.
                    _ => {
                        tracing::debug!(%error, "connections wait");
                        return self.starve(id, true);
                    }
                },
            }
        }
    }

    /// Begins a connection, and finds out what became of it; or finds one that was parked.
    pub(crate) fn connect(&mut self, process: Process, task: &mut Task, id: HeapId) {
        if task.outcome != Outcome::None {
            return;
        }
        match task.request {
            Request::Unpark(name) => {
                let tell = |connection| task.outcome = Outcome::Descriptor(connection);
                if !self.unpark(process.bytes(name), id, tell) {
                    task.outcome = Outcome::Done;
                }
            }
            Request::Attach(connection) => task.outcome = Outcome::Positions(self.positions(connection)),
            Request::Connect(address) => match self.begin_connection(address, id) {
                Ok(connection) => {
                    task.request = Request::Connecting(connection);
                    failpoint!("connecting");
                    self.confirm(connection);
                }
                Err(error) => task.outcome = Outcome::Failed(errno(&error)),
            },
            Request::Connecting(connection) => {
                let late = self.world.now >= task.deadline;
                let Some(known) = self.descriptors.get(connection, id) else { return };
                if !known.writable && !late {
                    return;
                }
                // Who asked is too late to take it, too.
                let result = if late { Err(timed_out()) } else { self.poller.outcome(connection.number) };
                task.outcome = match result {
                    Ok(()) => Outcome::Descriptor(connection),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.descriptors.by_number(connection.number).writable = false;
                        return;
                    }
                    Err(error) => {
                        self.close(connection.number, id);
                        Outcome::Failed(errno(&error))
                    }
                };
                task.request = Request::None;
            }
            _ => {}
        }
    }

    fn begin_connection(&mut self, address: SocketAddr, id: HeapId) -> io::Result<Descriptor> {
        let connection = self.take(id, |poller| poller.connect(&address))?;
        // Only an event says that it stands, or does not.
        self.descriptors.by_number(connection.number).writable = false;
        Ok(connection)
    }

    /// Finds out who is at the other end.
    fn address(&mut self, task: &Task, id: HeapId) -> io::Result<Option<SocketAddr>> {
        let Port::Descriptor(source) = task.source else { return Ok(None) };
        match self.descriptors.get(source, id) {
            Some(_) => self.poller.peer(source.number),
            None => Err(io::Error::from_raw_os_error(libc::EBADF)),
        }
    }

    /// Tells a task who is at the other end.
    pub(crate) fn peer(&mut self, task: &mut Task, id: HeapId) {
        task.outcome = match self.address(task, id) {
            Ok(address) => address.map_or(Outcome::Done, Outcome::Address),
            Err(error) => Outcome::Failed(errno(&error)),
        };
    }

    /// Finds the addresses of a host.
    pub(crate) fn resolve(&mut self, process: Process, task: &mut Task, id: HeapId) {
        let Request::Resolve(place) = task.request else { return };
        if task.outcome != Outcome::None {
            return;
        }
        let place = process.bytes(place);
        let answer = self.look_up(id, resolve::question(place));
        match answer {
            Ok(Answer::Found(found)) => {
                resolve::write_answer(place, &found);
                task.outcome = Outcome::Done;
            }
            Ok(Answer::Waiting) => {}
            Ok(Answer::Full) => task.outcome = Outcome::Failed(libc::EBUSY),
            Err(error) => task.outcome = Outcome::Failed(errno(&error)),
        }
    }

    fn look_up(&mut self, id: HeapId, name: &str) -> io::Result<Answer> {
        if !self.settings.resolves {
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        let now = self.world.now;
        let resolver = match &mut self.resolver {
            Some(resolver) => resolver,
            None => {
                let resolver = self.start_resolver()?;
                self.resolver.insert(resolver)
            }
        };
        resolver.ask(id, name, now)
    }

    fn start_resolver(&mut self) -> io::Result<Resolver> {
        let resolver = Resolver::new()?;
        self.poller.add(resolver.bell.as_raw_fd(), BELL)?;
        Ok(resolver)
    }

    /// Closes the descriptors of a task that is to go, or parks its connection. Done again, it finds nothing to close.
    pub(crate) fn close_child(&mut self, process: Process, task: &mut Task, id: HeapId) {
        let Request::Close { child, name } = task.request else { return };
        if name.is_empty() || !self.park_child(process, child, process.bytes(name), id) {
            for descriptor in process.task(child).descriptors() {
                if !process.is_shared(descriptor, child) && self.descriptors.get(descriptor, id).is_some() {
                    self.close(descriptor.number, id);
                }
            }
        }
        task.request = Request::Closed { child, name };
    }

    /// Parks the connection of a task that is to go, if it is all its own and nothing is under way on it.
    fn park_child(&mut self, process: Process, child: Span, name: &[u8], id: HeapId) -> bool {
        let task = process.task(child);
        let Port::Descriptor(connection) = task.source else { return false };
        let is_idle = task.wait == Wait::Rest
            && task.rx.is_empty()
            && task.tx.is_empty()
            && !task.is_input_over()
            && !task.is_output_over()
            && task.tx_mark == Mark::None;
        is_idle
            && task.sink == task.source
            && !process.is_shared(connection, child)
            && self.park(connection, id, name, [task.rx.tail(), task.tx.head()])
    }

    /// Starts a micro-process on a connection that changes hands.
    pub(crate) fn start(&mut self, process: Process, task: &mut Task, id: HeapId) {
        let Request::Start { entry, connection } = task.request else { return };
        let handler =
            self.world.registry.get(entry).expect("`Io::start` is given an index from the registry");
        if self.descriptors.get(connection, id).is_none() {
            task.outcome = Outcome::Failed(libc::EBADF);
            return;
        }
        if !self.has_room() {
            return self.starve(id, false);
        }
        let Ok(new) = self.create(handler) else { return self.starve(id, true) };
        let port = Port::Descriptor(connection);
        match self.begin(new, handler, port, port) {
            // From the hand-over on it is the new one's; until then the new one is nobody's, and ends with us.
            Some(()) => self.hand_over(connection.number, id, new),
            None => self.close(connection.number, id),
        }
        self.world.enter(process.heap());
        (task.request, task.outcome) = (Request::None, Outcome::Done);
    }
}

fn timed_out() -> io::Error {
    io::Error::from_raw_os_error(libc::ETIMEDOUT)
}

/// The `errno` of an error of a system call.
fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
