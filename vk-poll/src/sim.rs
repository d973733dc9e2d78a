//! A world in memory: seeded, faulty, with a clock of its own.
//!
//! ```text
//!      worker's side                         test's side
//!   Backend for Sim  ── fd ─▶ link ◀── Peer   send, recv, shutdown, close, reset
//!        │                                    Sim: listen, connect, serve, stream, file, fail_at, drive
//!        └─ wait: the driver acts; then what is ready, in an order of the dice; else the clock jumps
//! ```
//!
//! It keeps the contract of [`Backend`] and is otherwise as unhelpful as a kernel may be: it reports only what
//! has changed, in any order, in part, at times for nothing. The same seed and the same calls give the same
//! run. A wait that nothing can ever end is an error (`Deadlock`) and not a hanging test.

mod dice;
mod link;
mod world;

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::rc::Rc;

use crate::{Backend, Event, Nanos, Positions, Token, Watch};
use link::End;
use world::{Kind, World};

/// How often something goes wrong, in percent of the occasions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// A read of a stream returns fewer bytes than it could.
    pub short_reads: u8,
    /// A write to a stream takes fewer bytes than it could.
    pub short_writes: u8,
    /// A read, write or accept says `WouldBlock` though it need not. As after a short one, an event follows.
    pub would_block: u8,
    /// A wait reports something that has not happened.
    pub spurious_events: u8,
    /// A wait reports only some of what is ready.
    pub partial_batches: u8,
    /// A wait comes back at once, as if a signal had come.
    pub interrupts: u8,
    /// An accept finds no descriptor left. As in a kernel, no event follows.
    pub no_descriptor: u8,
}

impl Faults {
    /// A good day.
    pub const NONE: Faults = Faults {
        short_reads: 0,
        short_writes: 0,
        would_block: 0,
        spurious_events: 0,
        partial_batches: 0,
        interrupts: 0,
        no_descriptor: 0,
    };

    /// A bad one.
    pub const ALL: Faults = Faults {
        short_reads: 25,
        short_writes: 25,
        would_block: 15,
        spurious_events: 15,
        partial_batches: 30,
        interrupts: 10,
        no_descriptor: 10,
    };
}

type Driver = Box<dyn FnMut(&Sim) -> bool>;

/// The simulator: a [`Backend`], and the means to set up its world. Clones share one world, so a test keeps one
/// and gives one away.
///
/// ```
/// use std::io::{IoSlice, IoSliceMut};
/// use vk_poll::{Backend, Faults, Sim, Token};
///
/// let mut sim = Sim::new(1, Faults::NONE);
/// let listener = sim.listen();
/// let client = sim.connect(listener);
/// let fd = sim.accept(listener).unwrap();
/// sim.add(fd, Token(7)).unwrap();
///
/// client.send(b"hello");
/// let mut events = Vec::new();
/// sim.wait(None, &mut events).unwrap();
/// assert!(events[0].token == Token(7) && events[0].readable);
///
/// let mut bytes = [0; 8];
/// assert_eq!(sim.read(fd, &mut [IoSliceMut::new(&mut bytes)]).unwrap(), 5);
/// sim.write(fd, &[IoSlice::new(&bytes[..5])]).unwrap();
/// assert_eq!(client.recv(), b"hello");
/// ```
#[derive(Clone)]
pub struct Sim {
    world: Rc<RefCell<World>>,
    driver: Rc<RefCell<Option<Driver>>>,
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("world", &self.world).finish_non_exhaustive()
    }
}

impl Sim {
    /// An empty world; its clock stands at one second.
    pub fn new(seed: u64, faults: Faults) -> Sim {
        Sim { world: Rc::new(RefCell::new(World::new(seed, faults))), driver: Rc::default() }
    }

    /// A listener, as the one who starts a worker hands it over.
    pub fn listen(&self) -> RawFd {
        self.world.borrow_mut().open(Kind::Listener(Default::default()))
    }

    /// A client that connects to `listener`. Whether it has been accepted yet, it can't tell.
    ///
    /// # Panics
    /// When `listener` is none.
    pub fn connect(&self, listener: RawFd) -> Peer {
        let mut world = self.world.borrow_mut();
        let end = world.arrive(listener);
        drop(world);
        Peer { world: self.world.clone(), end }
    }

    /// Someone outside who can be [`connect`](Backend::connect)ed to at `addr`. Elsewhere connections are refused.
    pub fn serve(&self, addr: SocketAddr) -> Server {
        self.world.borrow_mut().serve(addr);
        Server { world: self.world.clone(), addr }
    }

    /// A stream that is there from the beginning, such as standard input and output, and who is at its other end.
    pub fn stream(&self) -> (RawFd, Peer) {
        let (fd, end) = self.world.borrow_mut().stream();
        (fd, Peer { world: self.world.clone(), end })
    }

    /// A regular file ([`Watch::Always`]): reads take from its front, writes append.
    pub fn file(&self, contents: &[u8]) -> RawFd {
        self.world.borrow_mut().open(Kind::Regular(contents.iter().copied().collect()))
    }

    /// Lets operation number `operation` fail with `errno`, in the count of [`operations`](Sim::operations);
    /// replaces an earlier demand. `EINTR` is not seen (a wait comes back empty-handed), and what would block
    /// for no reason gets its event.
    pub fn fail_at(&self, operation: u64, errno: i32) {
        self.world.borrow_mut().failure = Some((operation, errno));
    }

    /// Calls so far of those [`Backend`] methods that return a result.
    pub fn operations(&self) -> u64 {
        self.world.borrow().operations
    }

    /// Open descriptors: for tests of leaks.
    pub fn descriptors(&self) -> usize {
        self.world.borrow().descriptors()
    }

    /// Closes every descriptor whose number is not kept, as the kernel does with a table that is given up.
    pub fn close_all_but(&self, is_kept: impl Fn(RawFd) -> bool) {
        self.world.borrow_mut().close_all_but(is_kept);
    }

    /// Watches nothing any more: the worker whose poller this was is dead. What it had open stays open.
    pub fn forget_all(&self) {
        self.world.borrow_mut().forget_all();
    }

    /// Plays the outside world: `driver` is called in each wait, again and again until something is ready or it
    /// returns false: nothing to do before time goes on.
    pub fn drive(&self, driver: impl FnMut(&Sim) -> bool + 'static) {
        *self.driver.borrow_mut() = Some(Box::new(driver));
    }

    /// Lets the driver act once, outside of the borrow of the world and of its own place, for it calls back.
    fn outside(&self) -> bool {
        let Some(mut driver) = self.driver.borrow_mut().take() else { return false };
        let busy = driver(self);
        self.driver.borrow_mut().get_or_insert(driver);
        busy
    }
}

impl Backend for Sim {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<Watch> {
        let mut world = self.world.borrow_mut();
        world.begin(Some(fd))?;
        world.add(fd, token)
    }

    /// # Panics
    /// When `fd` is not open: in a world of one worker that is a double close.
    fn close(&mut self, fd: RawFd) {
        self.world.borrow_mut().close(fd);
    }

    fn forget(&mut self, fd: RawFd) {
        self.world.borrow_mut().forget(fd);
    }

    /// # Errors
    /// `Deadlock`: no timeout was given, nothing is ready, and the driver has nothing to do.
    fn wait(&mut self, timeout: Option<Nanos>, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        if self.world.borrow_mut().interrupted()? {
            return Ok(());
        }
        loop {
            let busy = self.outside();
            if self.world.borrow_mut().collect(events) {
                return Ok(());
            }
            if !busy {
                break;
            }
        }
        let Some(nanos) = timeout else { return Err(io::Error::from_raw_os_error(libc::EDEADLK)) };
        self.world.borrow_mut().now += nanos;
        Ok(())
    }

    fn read(&mut self, fd: RawFd, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut world = self.world.borrow_mut();
        world.begin(Some(fd))?;
        world.read(fd, bufs)
    }

    fn write(&mut self, fd: RawFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut world = self.world.borrow_mut();
        world.begin(Some(fd))?;
        world.write(fd, bufs)
    }

    fn accept(&mut self, fd: RawFd) -> io::Result<RawFd> {
        let mut world = self.world.borrow_mut();
        world.begin(Some(fd))?;
        world.accept(fd)
    }

    fn connect(&mut self, addr: &SocketAddr) -> io::Result<RawFd> {
        let mut world = self.world.borrow_mut();
        world.begin(None)?;
        Ok(world.connect(addr))
    }

    fn outcome(&mut self, fd: RawFd) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        world.begin(Some(fd))?;
        world.outcome(fd)
    }

    fn shutdown(&mut self, fd: RawFd) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        world.begin(Some(fd))?;
        world.shutdown(fd)
    }

    fn positions(&mut self, fd: RawFd) -> io::Result<Option<Positions>> {
        self.world.borrow_mut().positions(fd)
    }

    fn peer(&mut self, _: RawFd) -> io::Result<Option<SocketAddr>> {
        Ok(None)
    }

    fn is_open(&mut self, fd: RawFd) -> bool {
        self.world.borrow_mut().is_open(fd)
    }

    fn is_accepted(&mut self, fd: RawFd, _: RawFd) -> bool {
        self.world.borrow_mut().is_stream(fd)
    }

    fn is_begun(&mut self, fd: RawFd, _: &SocketAddr) -> bool {
        // Whom it leads to is not kept.
        matches!(self.positions(fd), Ok(Some(at)) if at.received == 0 && at.sent.is_none_or(|sent| sent <= 1))
    }

    fn now(&self) -> Nanos {
        self.world.borrow().now
    }

    fn clock(&self) -> Box<dyn Fn() -> Nanos> {
        let world = Rc::clone(&self.world);
        Box::new(move || world.borrow().now)
    }
}

/// The other end of a stream, in the hands of the test. Nothing goes wrong on this side.
#[derive(Clone)]
pub struct Peer {
    world: Rc<RefCell<World>>,
    end: End,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peer").field(&self.end).finish()
    }
}

impl Peer {
    /// Sends what there is room for: bytes taken. 0 when there is none or the stream is dead.
    pub fn send(&self, bytes: &[u8]) -> usize {
        self.world.borrow_mut().links.send(self.end, bytes).unwrap_or(0)
    }

    /// Everything that has arrived.
    pub fn recv(&self) -> Vec<u8> {
        self.world.borrow_mut().links.receive_all(self.end)
    }

    /// Ends the sending side (FIN).
    pub fn shutdown(&self) {
        // Dead already: then there is nothing to end.
        let _ = self.world.borrow_mut().links.shutdown(self.end);
    }

    /// Closes: an end if all that arrived was read, a reset otherwise, as TCP does. What the worker sends from
    /// now on is answered by a reset.
    pub fn close(&self) {
        self.world.borrow_mut().links.close(self.end);
    }

    /// Tears the connection down (RST).
    pub fn reset(&self) {
        self.world.borrow_mut().links.abort(self.end.other());
    }

    /// Whether the stream has ended, in order or not, and all that arrived was received.
    pub fn ended(&self) -> bool {
        self.world.borrow().links.ended(self.end)
    }

    /// Whether it was torn down.
    pub fn was_reset(&self) -> bool {
        self.world.borrow().links.dead(self.end)
    }
}

/// Someone outside whom the worker connects to.
#[derive(Clone)]
pub struct Server {
    world: Rc<RefCell<World>>,
    addr: SocketAddr,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.addr).finish()
    }
}

impl Server {
    /// The next connection that was made, if there is one.
    pub fn accept(&self) -> Option<Peer> {
        let end = self.world.borrow_mut().served(&self.addr)?;
        Some(Peer { world: self.world.clone(), end })
    }
}
