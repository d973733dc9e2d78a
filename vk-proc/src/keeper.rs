//! The keeper: the process that starts the workers, one per core, and starts them again when they die.
//!
//! ```text
//! keeper ── fork ──► worker 0 … n-1      a worker that died is started again, at once or with a delay
//!   │ SIGTERM, SIGINT: passed on as SIGTERM; ends when all workers have
//!   └ dies itself: the kernel sends each worker SIGTERM, so they drain and nothing is left behind
//! ```
#![allow(unsafe_code)]

use crate::board::Board;
use crate::signals;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Restarts within [`WINDOW`] that happen at once; further ones are delayed.
const FREE_RESTARTS: usize = 5;
const WINDOW: Duration = Duration::from_secs(10);
/// The first delay; it doubles up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// The status with which a worker says that it can't work at all, so that starting it again is no use.
pub const HOPELESS: u8 = 1;

/// How long to wait before a restart, after as many within the window.
fn delay(recent: usize) -> Duration {
    match recent.checked_sub(FREE_RESTARTS) {
        None => Duration::ZERO,
        Some(more) => FIRST_DELAY.saturating_mul(1 << more.min(16)).min(LONGEST_DELAY),
    }
}

struct Keeper<'a, F> {
    /// Gone once it ends, with what it holds: listening sockets, so that new connections are refused.
    work: Option<F>,
    board: &'a Board,
    /// By number: the pid while it runs.
    workers: Vec<Option<libc::pid_t>>,
    restarts: VecDeque<Instant>,
    /// Workers to be started, and when.
    due: Vec<(Instant, usize)>,
    ending: bool,
    failed: bool,
}

/// Runs `work(number)` in `workers` processes until they have ended after a signal, or one says that it is
/// [`HOPELESS`]. No thread may have been started yet.
///
/// # Errors
/// Those of signalfd(2) and poll(2).
pub fn keep(workers: usize, board: &Board, work: impl FnMut(usize) -> ExitCode) -> io::Result<ExitCode> {
    signals::block_also(libc::SIGCHLD)?;
    let signals = signals::descriptor(&[libc::SIGCHLD])?;
    let mut keeper = Keeper {
        work: Some(work),
        board,
        workers: vec![None; workers],
        restarts: VecDeque::new(),
        due: (0..workers).map(|number| (Instant::now(), number)).collect(),
        ending: false,
        failed: false,
    };
    loop {
        if let Some(status) = keeper.start_due()? {
            return Ok(status);
        }
        if keeper.workers.iter().all(Option::is_none) && (keeper.ending || keeper.due.is_empty()) {
            return Ok(if keeper.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
        wait(&signals, keeper.due.iter().map(|(at, _)| *at).min())?;
        while let Some(signal) = signals::next(&signals) {
            match signal {
                libc::SIGCHLD => {}
                libc::SIGHUP => keeper.send(signal),
                _ => keeper.end(),
            }
        }
        keeper.reap();
    }
}

impl<F: FnMut(usize) -> ExitCode> Keeper<'_, F> {
    /// Starts the workers that are due. In a worker it returns the worker's own exit status, once it ends.
    fn start_due(&mut self) -> io::Result<Option<ExitCode>> {
        let Some(work) = &mut self.work else { return Ok(None) };
        let now = Instant::now();
        while let Some(at) = self.due.iter().position(|(when, _)| *when <= now) {
            let (_, number) = self.due.swap_remove(at);
            let keeper = std::process::id();
            // SAFETY: this process has one thread (`keep`'s contract), so the child may do anything.
            match unsafe { libc::fork() } {
                -1 => {
                    // No memory, or too many processes: the other workers serve on meanwhile.
                    let error = io::Error::last_os_error();
                    tracing::error!(worker = number, %error, "a worker can't be started now");
                    self.due.push((now + LONGEST_DELAY, number));
                }
                0 => {
                    die_with(keeper);
                    // A terminal sends it to all of its processes; it is the keeper who passes it on.
                    signals::ignore(libc::SIGINT)?;
                    return Ok(Some(work(number)));
                }
                pid => self.workers[number] = Some(pid),
            }
        }
        Ok(None)
    }

    /// Takes note of the workers that have ended.
    fn reap(&mut self) {
        let mut status = 0;
        // SAFETY: waitpid writes the status of a child of ours.
        while let pid @ 1.. = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
            let Some(number) = self.workers.iter().position(|worker| *worker == Some(pid)) else { continue };
            self.workers[number] = None;
            if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == i32::from(HOPELESS) {
                self.failed = true;
                self.end();
            } else if self.ending || status == 0 {
                continue;
            } else {
                self.restart(number, pid, status);
            }
        }
    }

    fn restart(&mut self, number: usize, pid: libc::pid_t, status: i32) {
        let now = Instant::now();
        self.restarts.retain(|at| now.duration_since(*at) < WINDOW);
        let delay = delay(self.restarts.len());
        self.restarts.push_back(now);
        let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
        tracing::error!(worker = number, pid, signal, ?delay, "a worker died and is started again");
        self.board.restarted(number);
        self.due.push((now + delay, number));
    }

    fn end(&mut self) {
        self.ending = true;
        self.work = None;
        self.due.clear();
        self.send(libc::SIGTERM);
    }

    fn send(&self, signal: i32) {
        for pid in self.workers.iter().flatten() {
            // SAFETY: a child that has not been waited for, so the pid is still its own.
            unsafe { libc::kill(*pid, signal) };
        }
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
        let delays: Vec<_> = (3..12).map(|recent| delay(recent).as_millis()).collect();
        assert_eq!(delays, [0, 0, 100, 200, 400, 800, 1600, 3200, 5000]);
    }
}
