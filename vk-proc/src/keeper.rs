//! The keeper: the process that starts a holder for each worker, and looks after them.
//!
//! ```text
//! keeper ── fork ──► holder 0 … n-1, each with a table of descriptors of its own
//!   │ a holder restarts its worker by itself, and says so in the control page: the keeper logs it
//!   │ a holder that dies, or lost a listener: another one takes over from its worker, as the next build would
//!   │ SIGHUP: executes the next build, whose workers take over from those that run
//!   └ SIGTERM, SIGINT: passed on as SIGTERM; ends when all holders have
//! ```
//!
//! It has the listeners, the arenas and the ledgers, too, but no connection: nothing that happens to it stops a worker from
//! serving. It reads numbers that workers write: they are compared, and a process that they name is signalled only if the
//! kernel says that it is a child.
#![allow(unsafe_code)]

use crate::build::{self, Program, Sockets};
use crate::confine::Profile;
use crate::control::{Control, Slot};
use crate::faults;
use crate::holder::{self, Former, LONGEST_DELAY, Start, delay};
use crate::ledger::Phase;
use crate::notify::Notifier;
use crate::signals;
use crate::transfer;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::panic::{self, AssertUnwindSafe};
use std::process::{Child, ExitCode};
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

/// How long the next build may take to say whether it could start, and its workers to take over.
const BUILD_TIME: Duration = Duration::from_secs(10);

/// How often it is looked whether they have.
const SETTLE_LOOK: Duration = Duration::from_millis(5);

/// Starts of a worker of the next build that come to nothing, before the build before it comes back.
const BUILD_FAILURES: u32 = 3;

/// The build before this one, until this one is settled.
#[derive(Debug)]
pub struct Before {
    /// Its binary.
    pub binary: OwnedFd,
    /// Its number.
    pub build: u32,
}

/// What the keeper keeps.
pub struct Keeping<'a> {
    /// What it shares with the holders.
    pub control: Control,
    /// Tells the application from others.
    pub application: u64,
    /// Makes the memory of a worker's arena.
    pub arena: &'a dyn Fn() -> io::Result<OwnedFd>,
    /// How long a dispatch may take.
    pub limit: Option<Duration>,
    /// What workers give up.
    pub profile: Profile,
    /// What is executed when the next build is to follow.
    pub program: Program,
    /// What this build listens on, and the next one is to.
    pub listeners: &'a [Sockets],
    /// What the build before this one has left to listen on, until this one is settled.
    pub handed: Vec<Sockets>,
    /// The build before this one.
    pub before: Option<Before>,
    /// Whether this one is back because the next one could not follow.
    pub refused: bool,
}

/// One worker's place.
#[derive(Clone, Debug)]
struct Place {
    /// The slot of the worker that serves, or is to serve.
    slot: Option<usize>,
    /// The slot of the worker that it takes over from, until it has.
    former: Option<usize>,
    /// When a holder is to be started, while there is none.
    due: Option<Instant>,
    /// Holders in a row that came to nothing.
    failures: u32,
    /// Whether a worker of the place has served.
    served: bool,
}

struct Keeper<'a, F> {
    keeping: Keeping<'a>,
    work: F,
    places: Vec<Place>,
    /// For each slot, the exits of its workers and the refused starts that were logged.
    noted: Vec<[u32; 2]>,
    notifier: Option<Notifier>,
    probe: Option<(Child, Instant)>,
    /// Until when this build has to have taken over, and serve.
    settle_by: Option<Instant>,
    /// Whether the next build was asked for: it is, when none is about to follow.
    asked: bool,
    ending: bool,
    failed: bool,
}

/// Runs `work` in a worker for each place, again for each that died, until they have ended after a signal, or the first one
/// can't be started at all. `work` returns the status of its process; what it leaves open is closed when no process has it any
/// more. This process has one thread.
///
/// # Errors
/// Those of signalfd(2), prctl(2) and poll(2).
pub fn keep(keeping: Keeping<'_>, work: impl FnMut(Start) -> u8) -> io::Result<ExitCode> {
    signals::name("vk-keeper");
    signals::block_also(libc::SIGCHLD)?;
    signals::block_also(signals::NEWS)?;
    let signals = signals::descriptor(&[libc::SIGCHLD, signals::NEWS])?;
    // The worker of a holder that dies becomes this process's child: it can be told to end.
    nix::sys::prctl::set_child_subreaper(true)?;
    keeping.control.keep();
    build::keep_to_itself(&keeping.control, keeping.listeners, keeping.before.as_ref());
    let now = Instant::now();
    let places = (0..keeping.control.places()).map(|place| Place::of(&keeping, place, now)).collect();
    let noted = |slot: &Slot| [&slot.exits, &slot.refusals].map(|word| word.load(Relaxed));
    let noted = keeping.control.slots().iter().map(noted).collect();
    let mut keeper = Keeper {
        keeping,
        work,
        places,
        noted,
        notifier: Notifier::from_env(),
        probe: None,
        settle_by: Some(now + BUILD_TIME),
        asked: false,
        ending: false,
        failed: false,
    };
    loop {
        keeper.start_due();
        keeper.settle();
        keeper.ask_next_build();
        if keeper.has_ended() {
            return Ok(if keeper.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
        wait(&signals, keeper.next_look())?;
        while let Some(signal) = signals::next(&signals) {
            match signal {
                libc::SIGCHLD | signals::NEWS => {}
                libc::SIGHUP => keeper.asked = true,
                _ => keeper.end(),
            }
        }
        keeper.reap();
        keeper.report();
        keeper.replace_crippled();
        keeper.end_probe();
    }
}

impl Place {
    /// A place as this build finds it: served by a worker of its own, if it comes back; or by one of another build, which is
    /// to be taken over from; or by none.
    fn of(keeping: &Keeping<'_>, place: usize, now: Instant) -> Place {
        let control = &keeping.control;
        let serves = |number: usize| control.ledger(number).is_ok_and(|ledger| ledger.seat().serves());
        let here = control
            .used()
            .filter(|(number, slot)| slot.place.load(Relaxed) as usize == place && serves(*number));
        let found = here.last().map(|(number, slot)| (number, slot.build.load(Relaxed)));
        let (slot, former) = match found {
            Some((number, build)) if build == control.build() => (Some(number), None),
            Some((number, _)) => (None, Some(number)),
            None => (None, None),
        };
        let due = slot.is_none().then_some(now);
        Place { slot, former, due, failures: 0, served: found.is_some() }
    }
}

impl<F: FnMut(Start) -> u8> Keeper<'_, F> {
    /// Asks the binary that lies at the program's path now whether it could follow, if that is wanted. While one is about to
    /// follow this waits: it may not be the one that lies there by now.
    fn ask_next_build(&mut self) {
        if !self.asked || self.ending || self.probe.is_some() || self.settle_by.is_some() {
            return;
        }
        self.asked = false;
        if !self.keeping.control.has_slots() {
            return self.refuse("too many builds before this one still drain");
        }
        match self.keeping.program.probe() {
            Ok(probe) => self.probe = Some((probe, Instant::now() + BUILD_TIME)),
            Err(error) => self.refuse(&format!("it can't be executed: {error}")),
        }
    }

    fn refuse(&self, why: &str) {
        tracing::error!("reload refused, this build serves on: {why}");
        self.keeping.control.count_refused();
        if let Some(notifier) = &self.notifier {
            notifier.ready();
        }
    }

    /// The next build has said whether it could follow: it does, in place of this one.
    fn follow(&mut self, probe: Child, success: bool) {
        if self.ending {
            return;
        }
        if !build::is_willing(probe, success) {
            return self
                .refuse("the new one does not start with these arguments, or is none of this framework's");
        }
        tracing::info!("the next build follows");
        if let Some(notifier) = &self.notifier {
            notifier.reloading();
        }
        if std::mem::take(&mut self.asked) {
            signals::repeat(libc::SIGHUP);
        }
        let Keeping { control, program, listeners, .. } = &self.keeping;
        let error = program.exec(control, listeners, None);
        self.refuse(&format!("it can't be executed: {error}"));
    }

    /// A probe that takes too long is ended; it is refused then.
    fn end_probe(&mut self) {
        if let Some((probe, _)) = self.probe.as_mut().filter(|(_, until)| Instant::now() >= *until) {
            let _ = probe.kill();
        }
    }

    /// Sees whether this build has taken over everything and serves, or never will.
    fn settle(&mut self) {
        for place in &mut self.places {
            let control = &self.keeping.control;
            let hands_over = |slot: &usize| {
                !control.slot(*slot).is_free()
                    && control.ledger(*slot).is_ok_and(|ledger| ledger.seat().hands_over())
            };
            let former = place.former;
            place.former = place.former.filter(hands_over);
            if let Some(former) =
                former.filter(|former| place.former.is_none() && control.is_adopted(*former))
            {
                // Its holder is no child of this process, and ends by itself.
                self.keeping.control.vacate(former);
            }
            let control = &self.keeping.control;
            place.served |= place.slot.is_some_and(|slot| control.slot(slot).served.load(Acquire) != 0);
        }
        let Some(by) = self.settle_by.filter(|_| !self.ending) else { return };
        let is_settled = |place: &Place| place.former.is_none() && place.served;
        let hopeless =
            self.places.iter().any(|place| place.failures >= BUILD_FAILURES) || Instant::now() >= by;
        if self.places.iter().all(is_settled) {
            self.settle_by = None;
            self.close_unwanted();
            let came_after = self.keeping.before.take().is_some();
            match (came_after, self.keeping.refused) {
                (true, false) => {
                    tracing::info!("this build serves");
                    self.keeping.control.count_reload();
                }
                (true, true) => self.refuse("the new one could not take over, and has said why"),
                (false, _) => {}
            }
            if let Some(notifier) = &self.notifier {
                notifier.ready();
            }
        } else if hopeless && !self.keeping.refused && self.keeping.before.is_some() {
            self.go_back();
        }
    }

    /// Lets the build before this one come back: its workers serve on where this build's have not taken over.
    fn go_back(&mut self) {
        tracing::error!("this build can't take over, the one before it comes back");
        // What is committed is this build's, and is left to it: that takes no longer than to mark it.
        let until = Instant::now() + Duration::from_secs(1);
        while self.places.iter().any(|place| self.is_committed(place)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        for at in 0..self.places.len() {
            let Place { slot, former: Some(former), .. } = self.places[at] else { continue };
            if self.keeping.control.ledger(former).is_ok_and(|ledger| !ledger.seat().serves()) {
                continue;
            }
            if let Some(slot) = slot {
                self.kill(slot);
            }
            if let Ok(ledger) = self.keeping.control.ledger(former) {
                ledger.seat().serve_on();
            }
            self.places[at].slot = None;
        }
        let Keeping { control, program, handed, before, .. } = &self.keeping;
        let error = program.exec(control, handed, before.as_ref());
        tracing::error!(%error, "it can't come back");
        self.keeping.refused = true;
        let now = Instant::now();
        self.places.iter_mut().filter(|place| place.slot.is_none()).for_each(|place| place.due = Some(now));
    }

    /// Whether a place's worker is just taking over what is its own.
    fn is_committed(&self, place: &Place) -> bool {
        let ledger = place.former.and_then(|former| self.keeping.control.ledger(former).ok());
        ledger.is_some_and(|ledger| ledger.seat().phase().0 == Phase::Committed)
    }

    /// Closes what the build before this one has listened on, and this one does not.
    fn close_unwanted(&mut self) {
        let wanted =
            |number: &RawFd| self.keeping.listeners.iter().any(|(_, sockets)| sockets.contains(number));
        let handed = std::mem::take(&mut self.keeping.handed);
        handed
            .into_iter()
            .flat_map(|(_, sockets)| sockets)
            .filter(|number| !wanted(number))
            .for_each(transfer::close);
    }

    /// Ends a holder and its worker, and frees their slot.
    fn kill(&mut self, number: usize) {
        let slot = self.keeping.control.slot(number);
        let [holder, worker] = [&slot.holder, &slot.worker].map(|pid| pid.load(Relaxed) as libc::pid_t);
        // The worker is this process's child once its holder is gone.
        for pid in [holder, worker] {
            if signal_child(pid, libc::SIGKILL) {
                // SAFETY: a child of this process, whose status is not asked for.
                unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            }
        }
        self.keeping.control.vacate(number);
    }

    /// When there is something to do without a signal.
    fn next_look(&self) -> Option<Instant> {
        let due = self.places.iter().filter_map(|place| place.due).min();
        let probe = self.probe.as_ref().map(|(_, until)| *until);
        let settle = self.settle_by.map(|_| Instant::now() + SETTLE_LOOK);
        [due, probe, settle].into_iter().flatten().min()
    }

    /// Starts the holders that are due.
    fn start_due(&mut self) {
        let now = Instant::now();
        for at in 0..self.places.len() {
            if self.places[at].due.is_some_and(|due| due <= now) {
                self.places[at].due = None;
                if let Err(error) = self.start(at) {
                    let place = &mut self.places[at];
                    place.failures += 1;
                    if !place.served && self.keeping.before.is_none() && place.failures >= BUILD_FAILURES {
                        tracing::error!(worker = at, %error, "no holder can be started: giving up");
                        self.failed = true;
                        return self.end();
                    }
                    let delay = delay(place.failures).max(Duration::from_millis(100));
                    tracing::error!(worker = at, %error, "no holder can be started now; next attempt in {delay:?}");
                    place.due = Some(now + delay);
                }
            }
        }
    }

    /// Starts a holder, in a new slot.
    fn start(&mut self, at: usize) -> io::Result<()> {
        let Keeping { control, application, arena, listeners, limit, profile, .. } = &mut self.keeping;
        let place = &mut self.places[at];
        let number = control.occupy(at, arena()?)?;
        control.ledger(number)?.belongs_to(*application);
        let before = place.former.filter(|former| !control.slot(*former).is_free());
        let former = before.and_then(|former| {
            let ledger = control.ledger(former).ok()?;
            Some(Former { ledger, arena: control.slot(former).arena_number() })
        });
        let mut base: Vec<RawFd> =
            vec![control.slot(number).arena_number(), control.slot(number).ledger_number()];
        base.extend(listeners.iter().map(|(_, sockets)| sockets[at]));
        // SAFETY: this process has one thread (`keep`'s contract), so the child may do anything.
        match unsafe { libc::fork() } {
            -1 => {
                let error = io::Error::last_os_error();
                control.vacate(number);
                Err(error)
            }
            0 => {
                // SAFETY: the child does nothing but to hold, which uses these two.
                unsafe { control.forget_others(&[Some(number), before]) };
                let hold =
                    || holder::hold(control, number, &base, former, (*limit, *profile), &mut self.work);
                // Whatever happens: without running the destructors of what is the keeper's, too.
                std::process::exit(
                    panic::catch_unwind(AssertUnwindSafe(hold)).unwrap_or(holder::ROTTEN).into(),
                )
            }
            pid => {
                control.slot(number).holder.store(pid as u32, Relaxed);
                place.slot = Some(number);
                self.noted[number] = [0; 2];
                if self.ending {
                    signal_child(pid, libc::SIGTERM);
                }
                Ok(())
            }
        }
    }

    /// Takes note of the children that have ended.
    fn reap(&mut self) {
        loop {
            let mut status = 0;
            // SAFETY: waitpid writes the status of a child of this process.
            let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
            if pid <= 0 {
                return;
            }
            if let Some((probe, _)) = self.probe.take_if(|(probe, _)| probe.id() == pid as u32) {
                self.follow(probe, libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
                continue;
            }
            let slots = self.keeping.control.slots();
            if let Some(number) = slots.iter().position(|slot| slot.holder.load(Relaxed) == pid as u32) {
                slots[number].holder.store(0, Relaxed);
                self.holder_ended(number, status);
            } else if let Some(number) = slots.iter().position(|slot| slot.worker.load(Relaxed) == pid as u32)
            {
                // It had no holder any more.
                slots[number].worker.store(0, Relaxed);
                self.free(number);
            }
        }
    }

    /// A holder has ended: in order with its worker, or not.
    fn holder_ended(&mut self, number: usize, status: i32) {
        self.report();
        let slot = self.keeping.control.slot(number);
        let worker = slot.worker.load(Relaxed) as libc::pid_t;
        let is_orphan = is_child(worker);
        let code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status) as u8);
        let Some(at) = self.places.iter().position(|place| place.slot == Some(number)) else {
            // Of a build before this one: what it drained, or was to hand over.
            if is_orphan && self.ending {
                signal_child(worker, libc::SIGTERM);
            } else if !is_orphan {
                self.free(number);
            }
            return;
        };
        let place = &mut self.places[at];
        place.served |= slot.served.load(Acquire) != 0;
        place.slot = None;
        if self.ending {
            self.failed |= code.is_some_and(|code| code != 0);
            match is_orphan {
                true => _ = signal_child(worker, libc::SIGTERM),
                false => self.free(number),
            }
            return;
        }
        if is_orphan {
            tracing::error!(worker = at, "the holder of a worker has died: another one takes over");
            (place.former, place.due) = (Some(number), Some(Instant::now()));
            return;
        }
        self.free(number);
        let place = &mut self.places[at];
        let is_first = !place.served && place.former.is_none() && self.keeping.before.is_none();
        if is_first {
            tracing::error!(worker = at, "a worker can't be started: giving up");
            self.failed = true;
            return self.end();
        }
        place.failures += 1;
        if self.settle_by.is_some() && self.keeping.before.is_some() {
            // `settle` decides when it is too often.
            let delay = if place.failures >= BUILD_FAILURES { LONGEST_DELAY } else { Duration::ZERO };
            place.due = Some(Instant::now() + delay);
            return;
        }
        let delay = delay(place.failures).max(Duration::from_millis(100));
        if place.former.is_none() {
            tracing::error!(
                worker = at,
                ?delay,
                "a worker can't go on: its connections are lost, and another one starts afresh"
            );
        }
        place.due = Some(Instant::now() + delay);
    }

    /// Frees a slot that no process uses any more.
    fn free(&mut self, number: usize) {
        self.keeping.control.vacate(number);
        self.places
            .iter_mut()
            .filter(|place| place.former == Some(number))
            .for_each(|place| place.former = None);
    }

    /// Logs the exits and refusals that holders have noted, those of builds before this one included.
    fn report(&mut self) {
        for (number, slot) in self.keeping.control.used() {
            let noted = [&slot.exits, &slot.refusals].map(|word| word.load(Acquire));
            let before = std::mem::replace(&mut self.noted[number], noted);
            let [exits, refusals] = [0, 1].map(|word| noted[word].wrapping_sub(before[word]));
            let [worker, pid, status, delay] =
                [&slot.place, &slot.exited, &slot.status, &slot.delay].map(|word| word.load(Relaxed));
            if exits > 0 {
                let how = how(status as i32);
                tracing::error!(worker, pid, exits, "a worker {how} and is started again in {delay} ms");
            }
            if refusals > 0 {
                tracing::error!(
                    worker,
                    "no process for a worker: too many processes, or no memory; next attempt in {delay} ms"
                );
            }
        }
    }

    /// Has a worker taken over that has lost a listener.
    fn replace_crippled(&mut self) {
        for at in 0..self.places.len() {
            let place = &self.places[at];
            let Some(number) = place.slot.filter(|_| !self.ending && place.former.is_none()) else {
                continue;
            };
            let is_crippled = |ledger: &crate::ledger::Ledger| {
                ledger.seat().crippled.load(Relaxed) == 1 && ledger.seat().phase().0 == Phase::Serving
            };
            if self.keeping.control.ledger(number).is_ok_and(is_crippled) {
                tracing::error!(
                    worker = at,
                    "a worker has lost a listener, or standard output or error: another one takes over"
                );
                let place = &mut self.places[at];
                (place.former, place.slot, place.due) = (Some(number), None, Some(Instant::now()));
            }
        }
    }

    /// Ends all workers, those of builds before this one included.
    fn end(&mut self) {
        if let Some(notifier) = self.notifier.as_ref().filter(|_| !self.ending) {
            notifier.stopping();
        }
        if !self.ending {
            // New connections are refused from now on; a worker that is started again drains only.
            self.keeping
                .listeners
                .iter()
                .flat_map(|(_, sockets)| sockets.iter().copied())
                .for_each(transfer::close);
        }
        self.ending = true;
        self.keeping.control.end();
        self.places.iter_mut().for_each(|place| place.due = None);
        for (_, slot) in self.keeping.control.used() {
            let [holder, worker] = [&slot.holder, &slot.worker].map(|pid| pid.load(Relaxed) as libc::pid_t);
            // A worker without a holder is this process's child.
            let _ = signal_child(holder, libc::SIGTERM) || signal_child(worker, libc::SIGTERM);
        }
    }

    /// Whether nothing is left to look after.
    fn has_ended(&self) -> bool {
        let is_gone =
            |(_, slot): (usize, &Slot)| slot.holder.load(Relaxed) == 0 && slot.worker.load(Relaxed) == 0;
        self.places.iter().all(|place| place.due.is_none()) && self.keeping.control.used().all(is_gone)
    }
}

/// How a process has ended, by its wait status.
fn how(status: i32) -> String {
    if libc::WIFSIGNALED(status) {
        let signal = libc::WTERMSIG(status);
        let name = faults::name(signal).map_or_else(
            || {
                nix::sys::signal::Signal::try_from(signal)
                    .map_or_else(|_| signal.to_string(), |known| known.to_string())
            },
            str::to_owned,
        );
        format!("was killed by {name}")
    } else {
        format!("exited with status {}", libc::WEXITSTATUS(status))
    }
}

/// Whether the kernel says that a process is a child of this one that has not been waited for. The pid may come from memory
/// that others write.
fn is_child(pid: libc::pid_t) -> bool {
    // SAFETY: waitid writes the siginfo, for which zeroes are valid, and with WNOWAIT leaves the child as it is.
    pid > 0
        && unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, options) == 0
        }
}

/// Sends a signal to a process if it is a child; whether it is.
fn signal_child(pid: libc::pid_t, signal: i32) -> bool {
    let is_child = is_child(pid);
    if is_child {
        // SAFETY: no memory is involved; it has not been waited for, so the pid is still its own.
        unsafe { libc::kill(pid, signal) };
    }
    is_child
}

/// Waits for a signal, until `until` at most.
fn wait(signals: &OwnedFd, until: Option<Instant>) -> io::Result<()> {
    let timeout = until.map_or(-1, |at| {
        let left = at.saturating_duration_since(Instant::now()).as_millis() + 1;
        i32::try_from(left).unwrap_or(i32::MAX)
    });
    let mut poll = libc::pollfd { fd: signals.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd.
    match unsafe { libc::poll(&mut poll, 1, timeout) } {
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_is_told_in_words() {
        assert_eq!(how(libc::SIGKILL), "was killed by SIGKILL");
        assert_eq!(how(libc::SIGSEGV), "was killed by SIGSEGV");
        assert_eq!(how(7 << 8), "exited with status 7");
    }
}
