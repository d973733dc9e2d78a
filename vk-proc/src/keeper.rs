//! The keeper: the process that starts the workers, one per core, and starts them again when they die.
//!
//! ```text
//! keeper ── clone3(CLONE_FILES) ──► worker 0 … n-1       one table of descriptors: none closes when a worker dies
//!   │ a worker that died is started again, and goes on with what it had
//!   │ a dispatch that takes too long: the worker is killed, and started again
//!   │ SIGTERM, SIGINT: passed on as SIGTERM; ends when all workers have
//!   └ dies itself: the kernel sends each worker SIGTERM, so they drain and nothing is left behind
//! ```
//!
//! It reads numbers that workers write and believes none of them: they are compared, and name nothing here.
#![allow(unsafe_code)]

use crate::Death;
use crate::board;
use crate::ledger::{Ledger, WORKERS};
use crate::signals;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;
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
const KEEPER: usize = WORKERS;

/// The status with which a worker says that it can't work at all, so that starting it again is no use.
pub const HOPELESS: u8 = 1;

/// How long to wait before the next start, after so many in a row that came to nothing.
fn delay(failures: u32) -> Duration {
    match failures.checked_sub(FREE_FAILURES) {
        None => Duration::ZERO,
        Some(more) => FIRST_DELAY.saturating_mul(1 << more.min(16)).min(LONGEST_DELAY),
    }
}

/// A dispatch as the keeper saw it: number and micro-process.
type Dispatch = (u64, u64);

/// One worker's place.
#[derive(Clone, Copy, Debug)]
struct Place {
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
    /// The dispatch under way, and since when.
    seen: (Dispatch, Instant),
    /// Since when it is stopped.
    stopped: Option<Instant>,
    /// Whether it was killed for a dispatch that took too long.
    overrun: bool,
}

struct Keeper<F> {
    work: F,
    ledger: &'static Ledger,
    limit: Option<Duration>,
    places: Vec<Place>,
    ending: bool,
    failed: bool,
}

/// Runs `work(number, death)` in as many processes as the ledger has seats, again for each that died, until they
/// have ended after a signal, or one says that it is [`HOPELESS`]. `work` returns the process's exit status; what
/// it leaves open is closed when no process has it any more. No thread may have been started yet.
///
/// A dispatch may take as long as `limit`.
///
/// # Errors
/// Those of signalfd(2) and poll(2).
pub fn keep(
    ledger: &'static Ledger,
    limit: Option<Duration>,
    work: impl FnMut(usize, Death) -> u8,
) -> io::Result<ExitCode> {
    signals::block_also(libc::SIGCHLD)?;
    let signals = signals::descriptor(&[libc::SIGCHLD])?;
    ledger.enter_tool(KEEPER, signals.as_raw_fd());
    let now = Instant::now();
    let place = Place {
        pid: None,
        due: Some(now),
        death: Death::Outside,
        begun: 0,
        failures: 0,
        seen: ((0, 0), now),
        stopped: None,
        overrun: false,
    };
    let places = vec![place; ledger.seats().len()];
    let mut keeper = Keeper { work, ledger, limit, places, ending: false, failed: false };
    loop {
        keeper.start_due();
        if keeper.places.iter().all(|place| place.pid.is_none() && place.due.is_none()) {
            return Ok(if keeper.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
        wait(&signals, keeper.next_look())?;
        while let Some(signal) = signals::next(&signals) {
            match signal {
                libc::SIGCHLD => {}
                libc::SIGHUP => keeper.send(signal),
                _ => keeper.end(),
            }
        }
        keeper.reap();
        keeper.watch();
    }
}

impl<F: FnMut(usize, Death) -> u8> Keeper<F> {
    /// When there is something to do without a signal.
    fn next_look(&self) -> Option<Instant> {
        let due = self.places.iter().filter_map(|place| place.due).min();
        let look = self.limit.map(|limit| Instant::now() + limit / 4);
        due.into_iter().chain(look).min()
    }

    /// Starts the workers that are due.
    fn start_due(&mut self) {
        let now = Instant::now();
        for number in 0..self.places.len() {
            let place = &mut self.places[number];
            if place.due.is_none_or(|due| due > now) {
                continue;
            }
            place.due = None;
            place.begun = self.ledger.seat(number).dispatches.load(Relaxed);
            self.ledger.starting(number);
            let keeper = std::process::id();
            let death = place.death;
            match clone_with_files() {
                Err(error) => {
                    // No memory, or too many processes: the other workers serve on meanwhile.
                    tracing::error!(worker = number, %error, "a worker can't be started now");
                    self.places[number].due = Some(now + LONGEST_DELAY);
                }
                Ok(0) => {
                    die_with(keeper);
                    // A terminal sends it to all of its processes; it is the keeper who passes it on.
                    let status = match signals::ignore(libc::SIGINT) {
                        Ok(()) => (self.work)(number, death),
                        Err(_) => HOPELESS,
                    };
                    // Without running destructors: what they would close is the keeper's, too.
                    std::process::exit(status.into());
                }
                Ok(pid) => {
                    place.pid = Some(pid);
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
        let mut next = || unsafe {
            let pid = libc::waitpid(-1, &mut status, libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED);
            (pid > 0).then_some((pid, status))
        };
        while let Some((pid, status)) = next() {
            let Some(number) = self.places.iter().position(|place| place.pid == Some(pid)) else { continue };
            if libc::WIFSTOPPED(status) {
                self.places[number].stopped = Some(Instant::now());
            } else if libc::WIFCONTINUED(status) {
                self.places[number].stopped = None;
            } else {
                self.bury(number, pid, status);
            }
        }
    }

    /// A worker has ended.
    fn bury(&mut self, number: usize, pid: libc::pid_t, status: i32) {
        let seat = self.ledger.seat(number);
        let place = &mut self.places[number];
        (place.pid, place.stopped) = (None, None);
        self.ledger.close_tools(number);
        let was_running = seat.running.load(Relaxed) != 0;
        if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == i32::from(HOPELESS) {
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
        let Some(limit) = self.limit else { return };
        let now = Instant::now();
        for (number, seat) in self.ledger.seats().iter().enumerate() {
            let place = &mut self.places[number];
            let dispatch = (seat.dispatches.load(Relaxed), seat.running.load(Relaxed));
            if dispatch != place.seen.0 || dispatch.1 == 0 {
                place.seen = (dispatch, now);
            }
            let stopped = place.stopped.is_some_and(|since| now >= since + limit);
            let overrun = place.stopped.is_none() && now >= place.seen.1 + limit;
            if place.pid.is_none() || !(stopped || overrun) {
                continue;
            }
            place.seen.1 = now;
            place.overrun = overrun;
            let what = if overrun { "a dispatch takes too long" } else { "a worker was stopped" };
            tracing::error!(worker = number, ?limit, "{what}: the worker is killed");
            self.send_to(number, libc::SIGKILL);
        }
    }

    fn end(&mut self) {
        self.ending = true;
        self.send(libc::SIGTERM);
    }

    fn send(&self, signal: i32) {
        (0..self.places.len()).for_each(|number| self.send_to(number, signal));
    }

    fn send_to(&self, number: usize, signal: i32) {
        if let Some(pid) = self.places[number].pid {
            // SAFETY: a child that has not been waited for, so the pid is still its own.
            unsafe { libc::kill(pid, signal) };
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
