//! The worker: one thread that waits for events and dispatches the micro-processes they concern.
//!
//! ```text
//!  wait ─► events ─► runnable ─► close what an epoch left open ─► dispatch ─► … ─► wait
//!                       ▲                                            │
//!                       └── timers   open · serve what was waited for · run · serve · … · close
//! ```
//!
//! Events are collected first and micro-processes run afterwards; no user code runs inside collection.

use crate::descriptors::{Descriptors, NONE, from_token};
use crate::faults;
use crate::ledger::{Ledger, Phase, Seat};
use crate::listener;
use crate::memory;
use crate::panics;
use crate::pool::Pool;
use crate::process::Process;
use crate::resolver::Resolver;
use crate::signals;
use crate::stats::Stats;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering::SeqCst;
use vk_core::task::NEVER;
use vk_core::time::{self, Clock};
use vk_core::{Entry, Nanos, Port, World};
use vk_heap::{Arena, HeapId};
use vk_poll::{Backend, Event, Timers, Token};

/// Events and micro-processes of a round that memory is kept for; there may be more.
const BATCH: usize = 1024;

/// How often the pages of what has ended are given back to the kernel.
pub(crate) const TRIM: Nanos = 1_000_000_000;

/// How old the counters on the board may be.
pub(crate) const SHOW: Nanos = 1_000_000_000;

/// How long a dispatch may take before the log tells of it.
const SLOW: Nanos = 50_000_000;

/// How long an epoch of the guard may last.
const EPOCH: Nanos = 10_000_000;

/// When an accept that failed for want of descriptors or memory is tried again, at the latest.
pub(crate) const RETRY: Nanos = 100_000_000;

/// The signals' descriptor in the poller.
const SIGNALS: Token = Token(u64::MAX);

/// The resolver's descriptor in the poller.
pub(crate) const BELL: Token = Token(u64::MAX - 1);

/// What a worker serves with.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Micro-processes at a time, listeners included.
    pub max_procs: u32,
    /// Where the worker writes down what its successor has to know, and shows its counters.
    pub ledger: &'static Ledger,
    /// The process that starts the next worker when this one dies, if there is one.
    pub holder: Option<u32>,
    /// Whether names of hosts can be looked up: that opens files.
    pub resolves: bool,
}

/// What the worker knows of a micro-process while its micro-heap is closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub id: HeapId,
    pub live: bool,
    /// Whether it is in the worker's queue.
    pub queued: bool,
    /// Whether it accepts connections: the first to end in a drain.
    pub listener: bool,
    /// The handler's name.
    pub name: &'static str,
    /// The first of its descriptors.
    pub descriptors: RawFd,
    /// When it wants to be looked at.
    pub next: Nanos,
    /// When its timer is set for: at `next` or earlier.
    pub armed: Nanos,
    /// Since when it [is idle](crate::shed), never if it is not.
    pub idle: Nanos,
}

impl Known {
    /// Nobody.
    pub(crate) const GONE: Known = Known {
        id: HeapId::NONE,
        live: false,
        queued: false,
        listener: false,
        name: "",
        descriptors: NONE,
        next: NEVER,
        armed: NEVER,
        idle: NEVER,
    };
}

/// One worker, on one backend.
pub struct Worker<B> {
    pub(crate) world: World,
    pub(crate) poller: B,
    pub(crate) descriptors: Descriptors,
    pub(crate) stats: Stats,
    pub(crate) timers: Timers,
    /// By the index of their micro-heap.
    pub(crate) known: Vec<Known>,
    pub(crate) runnable: VecDeque<HeapId>,
    /// Micro-processes that wait for room: for a micro-heap or a descriptor to come free.
    pub(crate) starved: Vec<HeapId>,
    pub(crate) retry: Nanos,
    events: Vec<Event>,
    batch: Vec<HeapId>,
    pub(crate) signals: Option<OwnedFd>,
    pub(crate) draining: bool,
    pub(crate) drain_end: Nanos,
    pub(crate) trim: Nanos,
    pub(crate) show: Nanos,
    /// When it is looked for who is to make way for newcomers.
    pub(crate) shed: Nanos,
    /// The earliest time for that.
    pub(crate) shed_again: Nanos,
    epoch_end: Nanos,
    pub(crate) settings: Settings,
    pub(crate) seat: &'static Seat,
    pub(crate) failed: bool,
    /// Whether no signal reaches it any more.
    is_deaf: bool,
    /// Whether it has taken over everything.
    pub(crate) released: bool,
    /// Whether it has taken over some: what is left of the arena is not all that was.
    pub(crate) parted: bool,
    /// From the first name on that is looked up.
    pub(crate) resolver: Option<Resolver>,
    pub(crate) pool: Pool,
}

impl<B: Backend> Worker<B> {
    /// A worker without any micro-process, but for those that may be in the arena: see
    /// [`resume`](Worker::resume).
    ///
    /// # Errors
    /// If `signals`, a signalfd, can't be polled, or another program has used the arena.
    pub fn new(
        arena: Arena,
        mut poller: B,
        signals: Option<OwnedFd>,
        settings: Settings,
    ) -> io::Result<Self> {
        if let Some(signals) = &signals {
            poller.add(signals.as_raw_fd(), SIGNALS)?;
        }
        let now = poller.now();
        let mut world = World::new(arena)?;
        (world.now, world.clock) = (now, Some(Clock(poller.clock())));
        Ok(Worker {
            world,
            poller,
            descriptors: Descriptors::default(),
            stats: Stats::default(),
            timers: Timers::default(),
            known: Vec::new(),
            runnable: VecDeque::new(),
            starved: Vec::new(),
            retry: NEVER,
            events: Vec::with_capacity(BATCH),
            batch: Vec::new(),
            signals,
            draining: false,
            drain_end: NEVER,
            trim: NEVER,
            show: now,
            shed: NEVER,
            shed_again: 0,
            epoch_end: now,
            seat: settings.ledger.seat(),
            settings,
            failed: false,
            is_deaf: false,
            released: false,
            parted: false,
            resolver: None,
            pool: Pool::default(),
        })
    }

    /// The worker's counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Whether a micro-process that [`start_on`](Worker::start_on) started has ended with an error.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether a worker of the next build has taken over everything, or what could be.
    pub fn has_made_way(&self) -> bool {
        self.released || self.parted
    }

    /// Whether everything that was taken is given back and every pause had its resume, now that no
    /// micro-process is left.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn check_conservation(&self) -> Result<(), String> {
        let (usage, tally, stats) = (self.world.arena.usage(), self.world.tally, self.stats);
        if (stats.live, usage.live, usage.blocks_lent) != (0, 0, 0) || stats.started != stats.ended {
            return Err(format!("not given back: {stats:?}, {usage:?}"));
        }
        if tally.ended == tally.tasks && tally.resumed != tally.tasks + tally.paused {
            return Err(format!("a pause without a resume, or the reverse: {tally:?}"));
        }
        Ok(())
    }

    /// Serves a listening socket: each connection gets a micro-process that runs `handler`.
    ///
    /// # Errors
    /// If there is no room for it, or the socket can't be polled.
    pub fn listen(&mut self, socket: impl IntoRawFd, handler: &'static Entry) -> io::Result<()> {
        let handler = self.world.registry.index(handler);
        let number = socket.into_raw_fd();
        let id = self.create(Entry::of::<listener::listener>())?;
        let source = self.adopt(number, id, false).inspect_err(|_| self.end(id))?;
        let (source, sink) = (Port::Descriptor(source), Port::Nothing);
        if Process::create_with::<listener::listener>(&mut self.world, (handler,), source, sink).is_none() {
            self.end(id);
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.known[id.index() as usize].listener = true;
        self.enqueue(id);
        self.world.arena.close(id);
        Ok(())
    }

    /// A listener can't be served any more: another worker, which has it from the keeper, is to take over.
    pub fn lose_listener(&mut self, error: &io::Error) {
        if self.settings.holder.is_some() {
            tracing::error!(%error, "a listener is lost");
            self.seat.crippled.store(1, SeqCst);
        }
    }

    /// Runs `handler` between two descriptors that stay open afterwards: standard input and output, say.
    ///
    /// # Errors
    /// If there is no room for it, or they can't be polled.
    pub fn start_on(&mut self, handler: &'static Entry, input: RawFd, output: RawFd) -> io::Result<()> {
        self.world.attended = true;
        let id = self.create(handler)?;
        let source = self.adopt(input, id, true)?;
        let sink = if input == output { source } else { self.adopt(output, id, true)? };
        self.begin(id, handler, Port::Descriptor(source), Port::Descriptor(sink))
            .ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(())
    }

    /// Serves until every micro-process has ended, after a signal to drain or because none listens.
    ///
    /// # Errors
    /// If the poller fails.
    pub fn run(&mut self) -> io::Result<()> {
        panics::install();
        faults::install(self.seat);
        // A handler may fork: its child must not go on with the connections, which are the parent's.
        self.world.arena.keep_from_children()?;
        self.settings.ledger.keep_from_children()?;
        self.seat.starting.store(0, SeqCst);
        match self.seat.phase().0 {
            // What was handed over before the worker before this one died.
            Phase::Released => self.released = true,
            Phase::Draining => self.serve_the_rest(),
            _ if self.is_asked() => self.make_way(),
            _ => {}
        }
        while self.stats.live > 0 && !self.released {
            self.turn()?;
        }
        self.close_all_parked();
        // What was closed last is let go of with a wait: whoever starts next finds the port free.
        self.poller.wait(Some(0), &mut self.events)
    }

    /// One round: waits, collects events, dispatches whom they concern.
    fn turn(&mut self) -> io::Result<()> {
        let now = self.world.now;
        let own = [self.retry, self.drain_end, self.trim, self.show, self.shed, self.pool.next()];
        let wake = own.into_iter().chain(self.timers.next()).min().unwrap_or(NEVER);
        let timeout = match (self.runnable.is_empty(), wake) {
            (false, _) => Some(0),
            (true, NEVER) => None,
            (true, wake) => Some(wake.saturating_sub(now)),
        };
        self.events.clear();
        self.poller.wait(timeout, &mut self.events)?;
        self.world.now = self.poller.now();
        time::set(self.world.now);
        self.collect();
        self.expire();
        self.end_epoch();
        self.batch.clear();
        self.batch.extend(self.runnable.drain(..));
        let (mut at, mut before) = (0, self.world.now);
        while at < self.batch.len() {
            // The guard opens as many as it may at once, neighbours with one call.
            let part = self.world.arena.open_all(&self.batch[at..]).max(1);
            for next in at..at + part {
                let id = self.batch[next];
                self.dispatch(id);
                self.world.now = self.poller.now();
                time::set(self.world.now);
                if self.world.now - before > SLOW {
                    self.note_slow(id, self.world.now - before);
                }
                before = self.world.now;
            }
            at += part;
        }
        if self.is_asked() {
            self.make_way();
        }
        if self.is_deaf {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "a handler has closed the descriptor of signals",
            ));
        }
        Ok(())
    }

    /// Closes what the guard has left open, when it has been for long enough.
    pub(crate) fn end_epoch(&mut self) {
        let now = self.world.now;
        if now >= self.epoch_end || self.world.arena.is_epoch_over() {
            self.world.arena.close_all();
            self.epoch_end = now + EPOCH;
        }
    }

    /// Notes what the events say, and whom they concern.
    fn collect(&mut self) {
        for at in 0..self.events.len() {
            let event = self.events[at];
            if event.token == SIGNALS {
                self.signalled();
                continue;
            }
            if event.token == BELL {
                self.resolved();
                continue;
            }
            let Some(known) = self.descriptors.find(from_token(event.token)) else { continue };
            let before = (known.readable, known.writable, known.closed);
            known.readable |= event.readable || event.closed || event.error;
            known.writable |= event.writable || event.error;
            known.closed |= event.closed || event.error;
            known.urgent |= event.urgent;
            // That there is room to send is no news to who had room.
            let news = event.readable || before != (known.readable, known.writable, known.closed);
            match known.owner {
                Some(HeapId::NONE) if known.closed => self.close_parked(from_token(event.token)),
                Some(owner) if news => self.enqueue(owner),
                _ => {}
            }
        }
    }

    /// Lets those who asked for names run.
    fn resolved(&mut self) {
        let (now, mut asked) = (self.world.now, Vec::new());
        if let Some(resolver) = &mut self.resolver {
            resolver.collect(now, |id| asked.push(id));
        }
        asked.into_iter().for_each(|id| self.enqueue(id));
    }

    /// Serves what has become due.
    fn expire(&mut self) {
        let now = self.world.now;
        while let Some(index) = self.timers.expired(now) {
            let known = &mut self.known[index as usize];
            known.armed = NEVER;
            if !known.live {
                continue;
            }
            if known.next <= now {
                let id = known.id;
                self.enqueue(id);
            } else {
                self.arm(index as usize);
            }
        }
        if now >= self.retry {
            self.feed();
        }
        if now >= self.drain_end {
            self.end_all();
        }
        if now >= self.shed {
            self.shed();
        }
        self.close_idle();
        if now >= self.show {
            self.show = NEVER;
            self.is_deaf = self.signals.as_ref().is_some_and(|signals| !signals::is_there(signals));
            let parked = self.pool.len() as u64;
            self.settings.ledger.record.show(&self.stats, parked, &self.world.arena.usage());
        }
        if now >= self.trim {
            self.trim();
        }
    }

    /// Gives back the memory of what has ended.
    fn trim(&mut self) {
        if self.world.arena.trim() {
            // There is more; the clients come first.
            self.trim = self.world.now;
            return;
        }
        self.trim = NEVER;
        let len = self.known.iter().rposition(|known| known.live).map_or(0, |last| last + 1);
        for (index, known) in self.known.iter_mut().enumerate().filter(|(_, known)| !known.live) {
            known.armed = NEVER;
            self.timers.clear(index as u32);
        }
        self.known.truncate(len);
        self.known.shrink_to_fit();
        self.timers.shrink();
        self.descriptors.shrink();
        self.events.shrink_to(BATCH);
        self.runnable.shrink_to(BATCH);
        self.batch.shrink_to(BATCH);
        memory::release();
    }
}
