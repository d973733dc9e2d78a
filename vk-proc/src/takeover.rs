//! A worker of a new build takes over from one of the build before.
//!
//! ```text
//! former's arena    heap ──┬─ listens where this build does ──────────────► copied: it accepts for the new handler
//!                          ├─ same names, frames and bodies ──────────────► copied: it resumes
//!                          ├─ at a checkpoint, frame fills the new one ───► copied: it is migrated
//!                          └─ anything else ──────────────────────────────► left: the old build drains it
//! ```
//!
//! Everything is copied first, and nothing of the former's is changed. Then one exchange of the former's
//! [phase](crate::ledger::Seat::phase) decides: before it the copies count for nothing, and a worker that dies is followed
//! by one with a fresh arena; after it the copies are what counts, and what was copied ends in the former's arena.
#![allow(unsafe_code)]

use crate::holder::Former;
use crate::ledger::{FIRST_LISTENER, Ledger, Phase, State};
use crate::listener;
use crate::panics;
use crate::process::Process;
use crate::transfer::{self, Receiver, Successor};
use crate::worker::Worker;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use vk_core::migrate::Migration;
use vk_core::registry::{Described, Foreign};
use vk_core::task::Request;
use vk_core::{Entry, Port, Task};
use vk_heap::{Arena, Config, HeapId, failpoint};
use vk_poll::Backend;

/// How long the former worker may take to stop: it may be in a long dispatch.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_micros(50);

/// How often it is told again: the worker that was told may have died.
const TELL: Duration = Duration::from_millis(10);

/// A listening socket, and the handler of its connections.
pub type Listener = (RawFd, &'static Entry);

/// What becomes of a micro-process.
enum Fate {
    /// It ends: this build does not listen there.
    Ends,
    /// It goes on accepting connections, which this handler serves.
    Listens(&'static Entry),
    /// It goes on as it is.
    Resumes,
    /// It goes on in a new frame.
    Migrates,
    /// It stays with the old build.
    Stays,
}

/// A take-over that is under way: the former worker has stopped, or is already parted from what came over.
#[derive(Debug)]
pub struct Takeover {
    former: &'static Ledger,
    arena: RawFd,
    /// The attempt, and the former's descriptors: in this process's table, at the same numbers. None for an attempt that a
    /// worker before this one has committed.
    stopped: Option<(u32, Vec<RawFd>)>,
}

impl Takeover {
    /// Stops the former worker between two dispatches, and receives its descriptors, at the numbers that they have there. What
    /// this process has at such a number, by the [base](Ledger::numbers_of_base) of its ledger, is moved, and a listener that
    /// both have is the former's from now on.
    ///
    /// # Errors
    /// `TimedOut` if the former doesn't stop, `Interrupted` if it serves on; those of [`Receiver::receive`].
    pub fn begin(former: Former, ledger: &Ledger) -> io::Result<Takeover> {
        let (former, arena) = (former.ledger, ledger.seat().former.load(Relaxed) as RawFd);
        if former.seat().phase().0 == Phase::Committed {
            return Ok(Takeover { former, arena, stopped: None });
        }
        let receiver = Receiver::new()?;
        let attempt = former.seat().next_attempt();
        stop(former, attempt, receiver.successor)?;
        let mut own = ledger.numbers_of_base();
        own.push(arena);
        let numbers: Vec<RawFd> = former.entered().collect();
        for number in &mut own {
            *number = transfer::make_way(*number, &numbers)?;
        }
        let arena = own.pop().unwrap_or(arena);
        ledger.seat().former.store(arena as u32, Relaxed);
        let numbers = receiver.receive(former.seat().pid.load(Relaxed), &numbers)?;
        let theirs = former.listeners();
        let mut base = own.clone();
        for number in base.iter_mut().skip(FIRST_LISTENER) {
            let inode = transfer::inode(*number);
            let same = |other: &&RawFd| numbers.contains(other) && transfer::inode(**other) == inode;
            *number = theirs.iter().find(same).copied().unwrap_or(*number);
        }
        ledger.set_base(&base);
        for number in own.into_iter().filter(|number| !base.contains(number)) {
            transfer::close(number);
        }
        Ok(Takeover { former, arena, stopped: Some((attempt, numbers)) })
    }

    /// Takes over what can go on, and closes what can't, in this process; returns how many micro-processes came, and how many
    /// stay.
    ///
    /// # Errors
    /// `Interrupted` if the former serves on: then this worker must not. Those of [`Arena::attach`].
    pub fn finish<B: Backend>(
        self,
        worker: &mut Worker<B>,
        config: &Config,
        migrations: &[Migration],
        listeners: &[Listener],
    ) -> io::Result<(usize, usize)> {
        let Takeover { former, arena: number, stopped } = self;
        // SAFETY: open until this function closes it, after the last use of the arena, as no other part of the process knows it.
        let arena = Arena::attach(unsafe { BorrowedFd::borrow_raw(number) }, config);
        let counts = match (arena, &stopped) {
            (Ok(mut arena), Some((attempt, _))) => {
                worker.take_over(former, &mut arena, *attempt, migrations, listeners)?
            }
            (Ok(mut arena), None) => worker.finish_take_over(former, &mut arena),
            // Of another size: nothing of it fits here.
            (Err(error), Some((attempt, numbers))) if error.kind() == io::ErrorKind::InvalidData => {
                commit(former, *attempt)?;
                former.seat().finish(Phase::Draining);
                (0, numbers.len())
            }
            (Err(error), None) if error.kind() == io::ErrorKind::InvalidData => {
                former.seat().finish(Phase::Draining);
                (0, 0)
            }
            (Err(error), _) => return Err(error),
        };
        let ledger = worker.settings.ledger;
        ledger.seat().former.store(0, Relaxed);
        transfer::close(number);
        let base = ledger.numbers_of_base();
        let left = stopped.into_iter().flat_map(|(_, numbers)| numbers);
        left.filter(|number| !ledger.has(*number) && !base.contains(number)).for_each(transfer::close);
        Ok(counts)
    }
}

/// Stops the worker that `ledger` is of for an attempt of this process.
fn stop(ledger: &Ledger, attempt: u32, successor: Successor) -> io::Result<()> {
    let seat = ledger.seat();
    seat.ask(attempt, successor);
    let begun = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        match seat.phase() {
            (Phase::Stopped, now) if now == attempt => return Ok(()),
            (Phase::Asked, now) if now == attempt => {}
            _ => return Err(serves_on()),
        }
        if begun.elapsed() >= PATIENCE {
            seat.serve_on();
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the worker of the old build does not stop"));
        }
        if told.is_none_or(|told| told.elapsed() >= TELL) {
            told = Some(Instant::now());
            tell(seat.pid.load(Relaxed));
        }
        std::thread::sleep(LOOK);
    }
}

/// Wakes a worker, which finds that it is asked. The pid is a claim: no process but a worker is signalled. If it has just died,
/// its holder starts another one.
fn tell(pid: u32) {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    if let (Ok(pid @ 1..), true) = (i32::try_from(pid), name.is_ok_and(|name| name.starts_with("vk-worker-")))
    {
        let _ = kill(Pid::from_raw(pid), Signal::SIGHUP);
    }
}

/// Decides that what was copied is this worker's.
fn commit(former: &Ledger, attempt: u32) -> io::Result<()> {
    match former.seat().go(attempt, Phase::Stopped, Phase::Committed) {
        true => Ok(()),
        false => Err(serves_on()),
    }
}

fn serves_on() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "the worker of the old build serves on")
}

impl<B: Backend> Worker<B> {
    /// Takes what can go on in this build out of `arena`, whose worker has the ledger `former` and has stopped for
    /// `attempt`; to be called before [`resume`](Worker::resume), on a worker whose own arena is empty. The former's
    /// descriptors are there, at their numbers; those that are in no row of this worker's ledger afterwards are for the
    /// caller to close. Returns how many micro-processes came, and how many stay.
    ///
    /// # Errors
    /// `Interrupted` if the former serves on: then this worker must not.
    pub fn take_over(
        &mut self,
        former: &Ledger,
        arena: &mut Arena,
        attempt: u32,
        migrations: &[Migration],
        listeners: &[Listener],
    ) -> io::Result<(usize, usize)> {
        let mut descriptors: HashMap<HeapId, Vec<RawFd>> = HashMap::new();
        for number in former.entered() {
            let (.., owner) = former.read(number);
            descriptors.entry(owner).or_default().push(number);
        }
        let foreign = Foreign::of(arena);
        let lives = arena.lives();
        let mut at = 0;
        while at < lives.len() {
            let part = arena.open_all(&lives[at..]).max(1);
            self.world.arena.make_ready(&lives[at..at + part]);
            for &id in &lives[at..at + part] {
                let descriptors = descriptors.get(&id).map_or(&[][..], Vec::as_slice);
                let comes = self.fetch(arena, id, &foreign, (migrations, listeners));
                descriptors.iter().for_each(|number| self.receive_row(former, *number, comes));
                failpoint!("came");
            }
            arena.close_all();
            self.end_epoch();
            at += part;
        }
        self.settings.ledger.record.inherit(former.record);
        self.settings.ledger.seat().generation.store(former.seat().generation.load(Relaxed), Relaxed);
        commit(former, attempt)?;
        failpoint!("committed");
        Ok(self.finish_take_over(former, arena))
    }

    /// Ends in the former's arena what is this worker's since the attempt was committed, and lets the former go on with the
    /// rest. Returns how many micro-processes came, and how many stay.
    pub fn finish_take_over(&mut self, former: &Ledger, arena: &mut Arena) -> (usize, usize) {
        let (mut came, mut stay) = (0, 0);
        for id in arena.lives() {
            if self.world.arena.is_live(id) {
                arena.destroy(id);
                came += 1;
                failpoint!("left");
            } else {
                stay += 1;
            }
        }
        former.seat().finish(if stay > 0 { Phase::Draining } else { Phase::Released });
        (came, stay)
    }

    /// Copies a micro-process; false if it stays.
    fn fetch(
        &mut self,
        arena: &mut Arena,
        id: HeapId,
        foreign: &Foreign,
        (migrations, listeners): (&[Migration], &[Listener]),
    ) -> bool {
        match self.fate(arena, id, foreign, listeners) {
            // The former ends its listeners when it drains.
            Fate::Ends | Fate::Stays => false,
            fate => {
                let comes =
                    self.world.arena.copy_from(arena, id).is_ok() && self.fit(id, foreign, &fate, migrations);
                if !comes {
                    self.world.arena.destroy(id);
                }
                comes
            }
        }
    }

    /// Enters a descriptor as it is entered in the former's ledger, if its owner comes.
    fn receive_row(&mut self, former: &Ledger, number: RawFd, comes: bool) {
        if !comes {
            return;
        }
        let (state, descriptor, owner) = former.read(number);
        // It has a row there, and this ledger is as large.
        let _ = self.settings.ledger.enter(descriptor, owner);
        if state == State::Owned {
            self.settings.ledger.confirm(number);
        }
        failpoint!("row");
    }

    fn fate(&self, arena: &mut Arena, id: HeapId, foreign: &Foreign, listeners: &[Listener]) -> Fate {
        let Ok(heap) = arena.open(id) else { return Fate::Ends };
        let process = Process::claim(heap, |entry| foreign.get(entry).map(|described| described.size));
        let fate = process.map_or(Fate::Stays, |process| fate_of(process, foreign, listeners));
        arena.close(id);
        fate
    }

    /// Makes the copy one of this build.
    fn fit(&mut self, id: HeapId, foreign: &Foreign, fate: &Fate, migrations: &[Migration]) -> bool {
        let Ok(heap) = self.world.arena.open(id) else { return false };
        self.world.enter(heap);
        let mut process = Process::of(heap);
        let entry = |index: u32| foreign.get(index).and_then(Described::entry);
        let fits = match fate {
            Fate::Migrates => {
                let task = process.tasks().next().map(|task| task.entry);
                let Some((described, new)) =
                    task.and_then(|index| Some((foreign.get(index)?, entry(index)?)))
                else {
                    return false;
                };
                let fill = migrations.iter().find(|migration| std::ptr::eq(migration.entry, new));
                let migrated =
                    panics::catch(|| process.migrate(&mut self.world, described, new, fill.map(|m| m.fill)));
                match migrated {
                    Ok(Ok(())) => true,
                    Ok(Err(refused)) => {
                        tracing::debug!(heap = id.index(), handler = new.name(), %refused, "stays with the old build");
                        false
                    }
                    Err(_) => {
                        panics::report(new.name(), id.index() as usize);
                        let _ = self.world.arena.rollback();
                        false
                    }
                }
            }
            Fate::Listens(handler) => process.translate(&mut self.world, entry, Some(handler)),
            _ => process.translate(&mut self.world, entry, None),
        };
        self.world.arena.close(id);
        fits
    }
}

/// What becomes of an open micro-process.
fn fate_of(process: Process, foreign: &Foreign, listeners: &[Listener]) -> Fate {
    let tasks: Vec<_> = process.tasks().collect();
    let entries = tasks.iter().flat_map(|task| {
        // A coroutine about to be spawned has a frame, too.
        let spawned = match task.request {
            Request::Spawn { entry, .. } => Some(entry),
            _ => None,
        };
        std::iter::once(task.entry).chain(spawned)
    });
    let known: Option<Vec<(&Described, &Entry)>> = entries
        .map(|entry| {
            let described = foreign.get(entry)?;
            Some((described, described.entry()?))
        })
        .collect();
    let is_listener = |described: &Described| described.name == Entry::of::<listener::listener>().name();
    match known.as_deref() {
        Some([(described, entry)]) if is_listener(described) => {
            let accepts = |listener: &&Listener| matches!(process.source(), Port::Descriptor(at) if at.number == listener.0);
            match listeners.iter().find(accepts) {
                Some((_, handler)) if described.is_same(entry) => Fate::Listens(handler),
                _ => Fate::Ends,
            }
        }
        Some(known) if known.iter().all(|(described, entry)| described.is_same(entry)) => Fate::Resumes,
        Some([_]) if is_movable(tasks[0]) => Fate::Migrates,
        _ => Fate::Stays,
    }
}

/// Whether a task can go on with another frame: it stands at a checkpoint, with nothing unread and nothing under way.
fn is_movable(task: &Task) -> bool {
    task.checkpoint != 0 && task.rx.is_empty() && task.request == Request::None
}
