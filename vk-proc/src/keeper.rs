//! The keeper: the process that starts the workers, one per core, and starts them again when they die.
//!
//! ```text
//! keeper ── clone3(CLONE_FILES) ──► worker 0 … n-1       one table of descriptors: none closes when a worker dies
//!   │ a worker that died is started again, and goes on with what it had
//!   │ a dispatch that takes too long: the worker is killed, and started again
//!   │ SIGHUP: executes the next build, whose workers take over from those that run
//!   │ SIGTERM, SIGINT: passed on as SIGTERM; ends when all workers have
//!   └ dies itself: the kernel sends each worker SIGTERM, so they drain and nothing is left behind
//! ```
//!
//! It reads numbers that workers write: they are compared, and what they name (a process, a descriptor) is asked of the
//! kernel first, or is what a worker could reach as well, since the table of descriptors is theirs, too.
#![allow(unsafe_code)]

use crate::Death;
use crate::board;
use crate::build::{self, Program, Sockets};
use crate::ledger::{BUILDS, Ledger, Phase, Seat, WORKERS};
use crate::notify::Notifier;
use crate::signals;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::process::{Child, ExitCode};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Starts in a row that came to nothing, before the next one is delayed.
const FREE_FAILURES: u32 = 5;
/// The first delay; it doubles up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// Starts in a row that came to nothing, after which the keeper gives up: half a minute.
const FAILURES: u32 = 16;

/// The keeper's number among the workers', in the ledger.
const KEEPER: usize = WORKERS * BUILDS;

/// The status with which a worker says that it can't work at all, so that starting it again is no use.
pub const HOPELESS: u8 = 1;

/// How long the next build may take to say whether it could start, and its workers to take over.
const BUILD_TIME: Duration = Duration::from_secs(10);

/// How often it is looked whether they have.
const SETTLE_LOOK: Duration = Duration::from_millis(5);

/// Starts of a worker of the next build that come to nothing, before the build before it comes back.
const BUILD_FAILURES: u32 = 3;

/// The status of a worker that has panicked itself, as std has it for a process.
const PANICKED: u8 = 101;

/// How long to wait before the next start, after so many in a row that came to nothing.
fn delay(failures: u32) -> Duration {
    match failures.checked_sub(FREE_FAILURES) {
        None => Duration::ZERO,
        Some(more) => FIRST_DELAY.saturating_mul(1 << more.min(16)).min(LONGEST_DELAY),
    }
}

/// A dispatch as the keeper saw it: number and micro-process.
type Dispatch = (u64, u64);

/// What a worker is started with.
#[derive(Clone, Debug)]
pub struct Start {
    /// Which of the workers it is.
    pub place: usize,
    /// Where the ledger has its notes, and its arena.
    pub seat: usize,
    /// How the one before it ended.
    pub death: Death,
    /// The seats of those that it takes over from: workers of builds before this one.
    pub formers: Vec<usize>,
    /// Whether the one before it was draining: its listeners are closed.
    pub ending: bool,
}

/// One worker's place.
#[derive(Clone, Debug)]
struct Place {
    seat: usize,
    /// Whom it takes over from, as long as it hasn't.
    formers: Vec<usize>,
    /// While it runs.
    pid: Option<libc::pid_t>,
    /// When it is to be started, while it does not.
    due: Option<Instant>,
    /// How the last one ended.
    death: Death,
    /// Dispatches when it was started.
    begun: u64,
    /// Starts in a row that came to nothing.
    failures: u32,
    /// Since when it is stopped.
    stopped: Option<Instant>,
    /// Whether it was killed for a dispatch that took too long.
    overrun: bool,
}

/// What the keeper keeps.
#[derive(Debug)]
pub struct Keeping<'a> {
    /// What it shares with the workers.
    pub ledger: &'static Ledger,
    /// How long a dispatch may take.
    pub limit: Option<Duration>,
    /// What is executed when the next build is to follow.
    pub program: Program,
    /// What the next build is to listen on.
    pub listeners: &'a [Sockets],
    /// The seats of this build's workers, one for each place.
    pub seats: Vec<usize>,
    /// The binary of the build before this one, until this one is settled.
    pub former: Option<OwnedFd>,
    /// Whether this one is back because the next one could not follow.
    pub refused: bool,
}

struct Keeper<'a, F> {
    keeping: Keeping<'a>,
    work: F,
    ledger: &'static Ledger,
    places: Vec<Place>,
    /// By seat: the dispatch under way, and since when.
    seen: Vec<(Dispatch, Instant)>,
    notifier: Option<Notifier>,
    probe: Option<(Child, Instant)>,
    /// Until when this build has to have taken over.
    settle_by: Option<Instant>,
    /// Whether the next build was asked for: it is, when none is about to follow.
    asked: bool,
    ending: bool,
    failed: bool,
}

/// Runs `work` in a process for each place, again for each that died, until they have ended after a signal, or one
/// says that it is [`HOPELESS`]. `work` returns the process's exit status; what it leaves open is closed when no
/// process has it any more. No thread may have been started yet.
///
/// # Errors
/// Those of signalfd(2) and poll(2).
pub fn keep(keeping: Keeping<'_>, work: impl FnMut(Start) -> u8) -> io::Result<ExitCode> {
    let ledger = keeping.ledger;
    signals::block_also(libc::SIGCHLD)?;
    let signals = signals::descriptor(&[libc::SIGCHLD])?;
    ledger.enter_tool(KEEPER, signals.as_raw_fd());
    build::keep_to_itself(ledger, keeping.former.as_ref());
    let now = Instant::now();
    let place = |(place, &seat): (usize, &usize)| Place {
        seat,
        formers: formers(ledger, place, seat),
        pid: None,
        due: Some(now),
        death: Death::Outside,
        begun: 0,
        failures: 0,
        stopped: None,
        overrun: false,
    };
    let places: Vec<Place> = keeping.seats.iter().enumerate().map(place).collect();
    let settle_by = Some(now + BUILD_TIME);
    let notifier = Notifier::from_env();
    let (asked, ending, failed) = (false, false, false);
    let seen = vec![((0, 0), now); ledger.seats().len()];
    let probe = None;
    let mut keeper =
        Keeper { keeping, work, ledger, places, seen, notifier, probe, settle_by, asked, ending, failed };
    loop {
        keeper.start_due();
        keeper.settle();
        keeper.ask_next_build();
        let gone = |seat: &Seat| seat.pid.load(Relaxed) == 0;
        if keeper.places.iter().all(|place| place.pid.is_none() && place.due.is_none())
            && ledger.seats().iter().all(gone)
        {
            return Ok(if keeper.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
        wait(&signals, keeper.next_look())?;
        while let Some(signal) = signals::next(&signals) {
            match signal {
                libc::SIGCHLD => {}
                libc::SIGHUP => keeper.asked = true,
                _ => keeper.end(),
            }
        }
        keeper.reap();
        keeper.watch();
    }
}

/// The seats at a place whose workers are to hand over: of builds before the one at `seat`.
fn formers(ledger: &Ledger, place: usize, seat: usize) -> Vec<usize> {
    let hands_over = |number: &usize| {
        let other = ledger.seat(*number);
        *number != seat
            && !other.is_free()
            && other.place.load(Relaxed) as usize == place
            && !matches!(other.phase(), Phase::Released | Phase::Draining)
    };
    (0..ledger.seats().len()).filter(hands_over).collect()
}

impl<F: FnMut(Start) -> u8> Keeper<'_, F> {
    /// Asks the binary that lies at the program's path now whether it could follow, if that is wanted. While one is about to
    /// follow this waits: it may not be the one that lies there by now.
    fn ask_next_build(&mut self) {
        if !self.asked || self.ending || self.probe.is_some() || self.settle_by.is_some() {
            return;
        }
        self.asked = false;
        if !self.ledger.has_seats() {
            return self.refuse("too many builds before this one still drain");
        }
        match self.keeping.program.probe() {
            Ok(probe) => self.probe = Some((probe, Instant::now() + BUILD_TIME)),
            Err(error) => self.refuse(&format!("it can't be executed: {error}")),
        }
    }

    fn refuse(&self, why: &str) {
        tracing::error!("reload refused, this build serves on: {why}");
        self.ledger.count_refused();
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
        let Keeping { program, listeners, .. } = &self.keeping;
        let error = program.exec(self.ledger, listeners, None);
        self.refuse(&format!("it can't be executed: {error}"));
    }

    /// Sees whether this build has taken over everything, or never will.
    fn settle(&mut self) {
        let Some(by) = self.settle_by.filter(|_| !self.ending) else { return };
        for place in &mut self.places {
            let ledger = self.ledger;
            place.formers.retain(|former| {
                let former = ledger.seat(*former);
                !former.is_free() && !matches!(former.phase(), Phase::Released | Phase::Draining)
            });
        }
        self.clear_seats();
        let settled = self.places.iter().all(|place| place.formers.is_empty());
        let hopeless =
            self.places.iter().any(|place| place.failures >= BUILD_FAILURES) || Instant::now() >= by;
        if settled {
            self.settle_by = None;
            let came_after = self.keeping.former.take().is_some();
            match (came_after, self.keeping.refused) {
                (true, false) => {
                    tracing::info!("this build serves");
                    self.ledger.count_reload();
                }
                (true, true) => self.refuse("the new one could not take over, and has said why"),
                (false, _) => {}
            }
            if let Some(notifier) = &self.notifier {
                notifier.ready();
            }
        } else if hopeless
            && !self.keeping.refused
            && let Some(former) = &self.keeping.former
        {
            tracing::error!("this build can't take over, the one before it comes back");
            let unsettled = self.places.iter().filter(|place| !place.formers.is_empty());
            unsettled.filter_map(|place| place.pid).for_each(|pid| signal_child(pid, libc::SIGKILL));
            let Keeping { program, listeners, .. } = &self.keeping;
            let error = program.exec(self.ledger, listeners, Some(former));
            tracing::error!(%error, "it can't come back");
            self.keeping.refused = true;
        }
    }

    /// When there is something to do without a signal.
    fn next_look(&self) -> Option<Instant> {
        let due = self.places.iter().filter_map(|place| place.due).min();
        let look = self.keeping.limit.map(|limit| Instant::now() + limit / 4);
        let probe = self.probe.as_ref().map(|(_, until)| *until);
        let settle = self.settle_by.map(|_| Instant::now() + SETTLE_LOOK);
        [due, look, probe, settle].into_iter().flatten().min()
    }

    /// Starts the workers that are due.
    fn start_due(&mut self) {
        let now = Instant::now();
        for number in 0..self.places.len() {
            let place = &mut self.places[number];
            let seat = place.seat;
            if place.due.is_none_or(|due| due > now) {
                continue;
            }
            place.due = None;
            self.seen[seat].1 = now;
            place.begun = self.ledger.seat(seat).dispatches.load(Relaxed);
            self.ledger.starting(seat);
            let keeper = std::process::id();
            let start = Start {
                place: number,
                seat,
                death: place.death,
                formers: place.formers.clone(),
                ending: self.ending,
            };
            match clone_with_files() {
                Err(error) => {
                    // No memory, or too many processes: the other workers serve on meanwhile.
                    tracing::error!(worker = number, %error, "a worker can't be started now");
                    self.places[number].due = Some(now + LONGEST_DELAY);
                }
                Ok(0) => {
                    die_with(keeper);
                    // A terminal sends it to all of its processes; it is the keeper who passes it on.
                    let work = AssertUnwindSafe(|| match signals::ignore(libc::SIGINT) {
                        Ok(()) => (self.work)(start),
                        Err(_) => HOPELESS,
                    });
                    // Whatever happens: without running the destructors of what is the keeper's, too.
                    std::process::exit(panic::catch_unwind(work).unwrap_or(PANICKED).into());
                }
                Ok(pid) => {
                    place.pid = Some(pid);
                    self.ledger.seat(seat).pid.store(pid as u32, Relaxed);
                    if self.ending {
                        // The one before was draining.
                        self.send_to(number, libc::SIGTERM);
                    }
                }
            }
        }
    }

    /// Takes note of the workers that have ended, were stopped, or go on.
    fn reap(&mut self) {
        let mut status = 0;
        // SAFETY: waitpid writes the status of a child of ours.
        let next = || unsafe {
            let pid = libc::waitpid(-1, &mut status, libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED);
            (pid > 0).then_some((pid, status))
        };
        let changed: Vec<_> = std::iter::from_fn(next).collect();
        let has_ended = |status: i32| !libc::WIFSTOPPED(status) && !libc::WIFCONTINUED(status);
        // All of the dead are known before the first is buried: nobody waits for one of them.
        for (pid, _) in changed.iter().filter(|(_, status)| has_ended(*status)) {
            let seat = self.ledger.seats().iter().find(|seat| seat.pid.load(Relaxed) == *pid as u32);
            seat.inspect(|seat| seat.pid.store(0, Relaxed));
        }
        for (pid, status) in changed {
            let is_probe = |(probe, _): &mut (Child, Instant)| probe.id() == pid as u32 && has_ended(status);
            if let Some((probe, _)) = self.probe.take_if(is_probe) {
                let success = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
                self.follow(probe, success);
                continue;
            }
            let Some(number) = self.places.iter().position(|place| place.pid == Some(pid)) else { continue };
            if libc::WIFSTOPPED(status) {
                self.places[number].stopped = Some(Instant::now());
            } else if libc::WIFCONTINUED(status) {
                self.places[number].stopped = None;
            } else {
                self.bury(number, pid, status);
            }
        }
        self.clear_seats();
    }

    /// Makes the seats free of workers of builds before this one that have handed over and have ended.
    fn clear_seats(&self) {
        for (number, seat) in self.ledger.seats().iter().enumerate() {
            let is_over = matches!(seat.phase(), Phase::Released | Phase::Draining);
            if is_over && seat.pid.load(Relaxed) == 0 && !seat.is_free() {
                self.ledger.vacate(number);
            }
        }
    }

    /// A worker has ended.
    fn bury(&mut self, number: usize, pid: libc::pid_t, status: i32) {
        let place = &mut self.places[number];
        let seat = self.ledger.seat(place.seat);
        (place.pid, place.stopped) = (None, None);
        self.ledger.close_tools(place.seat);
        let was_running = seat.running.load(Relaxed) != 0;
        if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == i32::from(HOPELESS) {
            if self.settle_by.is_some() && self.keeping.former.is_some() {
                // The build before this one is still there.
                place.failures = BUILD_FAILURES;
                place.due = Some(Instant::now() + LONGEST_DELAY);
                return;
            }
            self.failed = true;
            return self.end();
        }
        if status == 0 && !was_running {
            return;
        }
        let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
        // Who exits in the middle of a dispatch does it of its own accord.
        let own = std::mem::take(&mut place.overrun)
            || seat.fault.load(Relaxed) != 0
            || (signal.is_none() && was_running);
        place.death = if own { Death::Own } else { Death::Outside };
        let served = seat.dispatches.load(Relaxed) != place.begun && seat.recoveries.load(Relaxed) == 0;
        place.failures = if served { 0 } else { place.failures + 1 };
        if place.failures > FAILURES {
            tracing::error!(
                worker = number,
                starts = place.failures,
                "a worker dies at each start: giving up"
            );
            self.failed = true;
            return self.end();
        }
        let delay = delay(place.failures);
        place.due = Some(Instant::now() + delay);
        tracing::error!(worker = number, pid, signal, ?delay, "a worker died and is started again");
        board::restarted(seat);
    }

    /// Looks whether a worker has been at the same dispatch for too long, or was stopped and forgotten.
    fn watch(&mut self) {
        let now = Instant::now();
        if let Some((probe, _)) = self.probe.as_mut().filter(|(_, until)| now >= *until) {
            // It is refused once it has ended.
            let _ = probe.kill();
        }
        let Some(limit) = self.keeping.limit else { return };
        for (number, seat) in self.ledger.seats().iter().enumerate() {
            let pid = seat.pid.load(Relaxed);
            if pid == 0 {
                continue;
            }
            let place = self.places.iter_mut().find(|place| place.seat == number);
            let stopped_since = place.as_ref().and_then(|place| place.stopped);
            let dispatch = (seat.dispatches.load(Relaxed), seat.running.load(Relaxed));
            let starts = seat.starting.load(Relaxed) == 1;
            let seen = &mut self.seen[number];
            if dispatch != seen.0 || dispatch.1 == 0 || starts {
                *seen = (dispatch, now);
            }
            let stopped = stopped_since.is_some_and(|since| now >= since + limit);
            let overrun = stopped_since.is_none() && now >= seen.1 + limit;
            if !(stopped || overrun) {
                continue;
            }
            seen.1 = now;
            let handler = seat.place.load(Relaxed);
            let what = if overrun { "a dispatch takes too long" } else { "a worker was stopped" };
            tracing::error!(worker = handler, ?limit, "{what}: the worker is killed");
            if let Some(place) = place {
                place.overrun = overrun;
            }
            // One of a build before this one, too: its successor takes over what it leaves.
            signal_child(pid as libc::pid_t, libc::SIGKILL);
        }
    }

    /// Ends all workers, those of builds before this one included.
    fn end(&mut self) {
        if let Some(notifier) = self.notifier.as_ref().filter(|_| !self.ending) {
            notifier.stopping();
        }
        self.ending = true;
        for seat in self.ledger.seats() {
            signal_child(seat.pid.load(Relaxed) as libc::pid_t, libc::SIGTERM);
        }
    }

    fn send_to(&self, number: usize, signal: i32) {
        if let Some(pid) = self.places[number].pid {
            signal_child(pid, signal);
        }
    }
}

/// A child process, as fork(2) makes it, but with this process's table of descriptors instead of a copy: 0 in
/// the child.
///
/// The C library learns nothing of it: what it keeps per thread (robust mutexes) is the parent's thread's. A child
/// of a process with one thread, which keeps to std, does not notice.
fn clone_with_files() -> io::Result<libc::pid_t> {
    // SAFETY: plain numbers, for which zeroes are valid.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = libc::CLONE_FILES as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: without CLONE_VM the child has a copy of all memory, as after fork; this process has one thread
    // (`keep`'s contract), so the child may do anything.
    match unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(pid as libc::pid_t),
    }
}

/// Sends a signal to a child that has not been waited for. The pid may come from memory that workers write: it is
/// believed only if the kernel says that it is a child's.
fn signal_child(pid: libc::pid_t, signal: i32) {
    if pid <= 0 {
        return;
    }
    // SAFETY: waitid writes the siginfo, for which zeroes are valid, and with WNOWAIT leaves the child as it is.
    let is_child = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)
            == 0
    };
    if is_child {
        // SAFETY: no memory is involved; it has not been waited for, so the pid is still its own.
        unsafe { libc::kill(pid, signal) };
    }
}

/// Makes the kernel send this process SIGTERM when its keeper dies.
fn die_with(keeper: u32) {
    // SAFETY: the calls have plain arguments.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
        // The keeper may have died before that call: then nobody else would send it.
        if libc::getppid() != keeper as libc::pid_t {
            libc::raise(libc::SIGTERM);
        }
    }
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
    fn restarts_are_free_at_first_then_ever_later() {
        let delays: Vec<_> = (3..12).map(|failures| delay(failures).as_millis()).collect();
        assert_eq!(delays, [0, 0, 100, 200, 400, 800, 1600, 3200, 5000]);
    }
}
