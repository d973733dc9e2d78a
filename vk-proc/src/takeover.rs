//! A worker of a new build takes over from one of the build before.
//!
//! ```text
//! former's arena    heap ──┬─ listens where this build does ──────────────► copied: it accepts for the new handler
//!                          ├─ same names, frames and bodies ──────────────► copied: it resumes
//!                          ├─ at a checkpoint, frame fills the new one ───► copied: it is migrated
//!                          └─ anything else ──────────────────────────────► left: the old build drains it
//! ```
//!
//! Each micro-process moves by steps of which one decides: the first of its descriptors that changes hands. Before it,
//! the copy counts for nothing; after it, the original does. A worker that dies meanwhile is followed by one that goes
//! on with the rest.

use crate::board;
use crate::ledger::{Phase, State};
use crate::listener;
use crate::panics;
use crate::process::Process;
use crate::worker::{Settings, Worker};
use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
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

/// A listening socket, and who serves its connections.
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

impl<B: Backend> Worker<B> {
    /// Takes what can go on in this build out of the arena of the worker at seat `former`, whose arena was made for
    /// `config` if anything of it can; to be called before [`resume`](Worker::resume). Returns how many
    /// micro-processes came, and how many stay.
    ///
    /// # Errors
    /// `TimedOut` if it doesn't stop.
    pub fn take_over(
        &mut self,
        former: usize,
        config: &Config,
        migrations: &[Migration],
        listeners: &[Listener],
    ) -> io::Result<(usize, usize)> {
        let seat = self.settings.ledger.seat(former);
        if seat.is_free() || matches!(seat.phase(), Phase::Released | Phase::Draining) {
            return Ok((0, 0));
        }
        let is_alive = self.stop(former)?;
        let (came, stay) = match Arena::attach(seat.arena(), config) {
            Ok(mut arena) => self.take_from(&mut arena, former, migrations, listeners),
            // Of another size: nothing of it fits here.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => (0, 1),
            Err(error) => return Err(error),
        };
        let sockets: Vec<RawFd> = listeners.iter().map(|(socket, _)| *socket).collect();
        self.clear_rows(former, &sockets);
        board::inherit(self.seat, seat);
        let running = HeapId::from_bits(seat.running.load(Relaxed));
        if self.world.arena.is_live(running) {
            // It died in the middle of a dispatch: what it had done is for `resume` to find out.
            self.seat.running.store(running.to_bits(), Relaxed);
            self.seat.taking.fetch_or(seat.taking.load(SeqCst) % 2, SeqCst);
        }
        seat.set_phase(if stay > 0 && is_alive { Phase::Draining } else { Phase::Released });
        Ok((came, stay))
    }

    /// Stops the former worker between two dispatches; false if it is dead.
    fn stop(&self, former: usize) -> io::Result<bool> {
        let seat = self.settings.ledger.seat(former);
        let until = Instant::now() + PATIENCE;
        if seat.phase() != Phase::Stopped {
            seat.set_phase(Phase::Asked);
            let pid = nix::unistd::Pid::from_raw(seat.pid.load(Relaxed) as i32);
            if pid.as_raw() > 0 {
                // It has ended if that fails, and the keeper will say so.
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::SIGHUP);
            }
        }
        while seat.phase() != Phase::Stopped {
            if seat.pid.load(Relaxed) == 0 {
                return Ok(false);
            }
            if Instant::now() >= until {
                seat.set_phase(Phase::Serving);
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the worker of the old build does not stop",
                ));
            }
            std::thread::sleep(LOOK);
        }
        Ok(true)
    }

    fn take_from(
        &mut self,
        arena: &mut Arena,
        former: usize,
        migrations: &[Migration],
        listeners: &[Listener],
    ) -> (usize, usize) {
        let ledger = self.settings.ledger;
        let mut descriptors: HashMap<HeapId, Vec<RawFd>> = HashMap::new();
        for number in ledger.numbers() {
            let (state, holder, _, owner) = ledger.read(number);
            if holder == former && matches!(state, State::Taken | State::Owned) {
                descriptors.entry(owner).or_default().push(number);
            }
        }
        let foreign = Foreign::of(arena);
        let (mut came, mut stay) = (0, 0);
        let lives = arena.lives();
        let mut at = 0;
        while at < lives.len() {
            let part = arena.open_all(&lives[at..]).max(1);
            for &id in &lives[at..at + part] {
                let descriptors = descriptors.get(&id).map_or(&[][..], Vec::as_slice);
                match self.fetch(arena, id, &foreign, (migrations, listeners), descriptors) {
                    Some(true) => came += 1,
                    Some(false) => stay += 1,
                    None => {}
                }
                failpoint!("came");
            }
            arena.close_all();
            self.end_epoch();
            at += part;
        }
        (came, stay)
    }

    /// Whether a micro-process comes; none if it ends.
    fn fetch(
        &mut self,
        arena: &mut Arena,
        id: HeapId,
        foreign: &Foreign,
        (migrations, listeners): (&[Migration], &[Listener]),
        descriptors: &[RawFd],
    ) -> Option<bool> {
        if self.world.arena.is_live(id) && self.has_come(id, descriptors) {
            // A worker before this one got so far, or further.
            self.pass(descriptors);
            arena.destroy(id);
            return Some(true);
        }
        self.world.arena.destroy(id);
        match self.fate(arena, id, foreign, listeners) {
            Fate::Ends => {
                arena.destroy(id);
                None
            }
            Fate::Stays => Some(false),
            fate => {
                let comes =
                    self.world.arena.copy_from(arena, id).is_ok() && self.fit(id, foreign, &fate, migrations);
                if !comes {
                    self.world.arena.destroy(id);
                    return Some(false);
                }
                self.pass(descriptors);
                arena.destroy(id);
                Some(true)
            }
        }
    }

    /// Whether the copy is the one that counts: one of its descriptors is this worker's, or none is left to come.
    fn has_come(&self, id: HeapId, left: &[RawFd]) -> bool {
        let Settings { ledger, worker, .. } = self.settings;
        let mine = |number| {
            let (state, holder, _, owner) = ledger.read(number);
            matches!(state, State::Taken | State::Owned) && (holder, owner) == (worker, id)
        };
        left.is_empty() || ledger.numbers().any(mine)
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

    /// Makes the descriptors of a micro-process this worker's.
    fn pass(&self, descriptors: &[RawFd]) {
        let Settings { ledger, worker, .. } = self.settings;
        for number in descriptors {
            ledger.pass(worker, *number);
            failpoint!("passed");
        }
    }

    /// What is left of the former's rows is another table's: the numbers are free here.
    fn clear_rows(&mut self, former: usize, listeners: &[RawFd]) {
        let ledger = self.settings.ledger;
        for number in ledger.numbers() {
            let (state, holder, ..) = ledger.read(number);
            if state == State::Free || holder != former {
                continue;
            }
            // Who died while closing it may have done so.
            let is_open = state != State::Closing || self.poller.is_open(number);
            if state != State::Tool && is_open && !listeners.contains(&number) {
                self.poller.close(number);
            }
            ledger.forget(number);
        }
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
