//! `vk watch`: an application that is reloaded each time it was built.
//!
//! ```text
//! build ─► events ─► quiet for a moment ─► another binary? ─► reload ─► one line: how it went
//!                                                        └──► start, if it had failed
//! SIGINT, SIGTERM ─► the application ─► ends ─► its exit status
//! ```

use crate::binary::Binary;
use crate::reload::{LOOK, Reload};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

/// A build is complete when nothing has happened to it for so long.
const QUIET: Duration = Duration::from_millis(200);

/// How often to look for a binary that is gone.
const MISSING: Duration = Duration::from_millis(500);

struct Watch {
    command: Command,
    binary: Binary,
    timeout: Duration,
    child: Option<Child>,
    /// How the last one ended.
    status: u8,
    /// A signal has asked for the end.
    ending: bool,
    /// When the binary will have been quiet for long enough.
    due: Option<Instant>,
    reload: Option<Reload>,
}

/// Runs a command, and reloads it each time its binary was replaced.
pub fn watch(program: &OsStr, args: &[&OsString], timeout: Duration) -> Result<ExitCode, String> {
    let binary = Binary::find(program)?;
    let mut command = Command::new(binary.path());
    command.args(args);
    // SIGHUP comes when the terminal is closed.
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD]);
    signals.thread_block().map_err(|error| format!("signals: {}", error.desc()))?;
    let events = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(|error| format!("signals: {}", error.desc()))?;
    let (child, due, reload) = (None, None, None);
    let mut watch = Watch { command, binary, timeout, child, status: 1, ending: false, due, reload };
    watch.start();
    loop {
        if watch.has_ended() {
            return Ok(watch.status.into());
        }
        watch.wait(&events)?;
        while let Ok(Some(signal)) = events.read_signal() {
            watch.signalled(&signal);
        }
        watch.look();
    }
}

impl Watch {
    /// Starts the application; where that fails, it has ended.
    fn start(&mut self) {
        // It inherits the blocked signals, which an application of vk blocks by itself. Unblocked here for the time of the call,
        // one that comes would end this process and leave the application behind.
        match self.command.spawn() {
            Ok(child) => self.child = Some(child),
            Err(error) => self.failed(&format!("can't be started: {error}")),
        }
    }

    fn failed(&self, how: &str) {
        eprintln!("vk: {} {how}; it is started again once it was built", self.binary.path().display());
    }

    /// Whether there is nothing more to do: the application has ended as it was meant to.
    fn has_ended(&mut self) -> bool {
        if let Some(child) = &mut self.child {
            let Ok(Some(status)) = child.try_wait() else { return false };
            (self.child, self.reload) = (None, None);
            self.status = code(status);
            if status.success() {
                return true;
            }
            if !self.ending {
                self.failed(&format!("has failed ({status})"));
            }
        }
        self.ending
    }

    fn wait(&self, signals: &SignalFd) -> Result<(), String> {
        let due = self.due.map(|due| due.saturating_duration_since(Instant::now()));
        let missing = self.binary.is_missing().then_some(MISSING);
        let look = self.reload.as_ref().map(|_| LOOK);
        let timeout = match due.into_iter().chain(missing).chain(look).min() {
            // Rounded up: poll(2) counts in milliseconds.
            Some(time) => PollTimeout::try_from(time + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let mut descriptors =
            [self.binary.as_fd(), signals.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(format!("poll: {}", error.desc())),
        }
    }

    /// Passes a signal on.
    fn signalled(&mut self, info: &siginfo) {
        let signal = match info.ssi_signo as i32 {
            libc::SIGCHLD => return,
            libc::SIGINT => Signal::SIGINT,
            // SIGHUP would be a reload.
            _ => Signal::SIGTERM,
        };
        self.ending = true;
        // The terminal has sent SIGINT to the application as well, and a second one would cut its drain short.
        let by_terminal = signal == Signal::SIGINT && info.ssi_code == libc::SI_KERNEL;
        if let Some(child) = self.child.as_ref().filter(|_| !by_terminal) {
            // A child that has not been waited for, so the pid is still its own.
            let _ = kill(Pid::from_raw(child.id() as i32), signal);
        }
    }

    /// Looks after the binary, and after a reload that is under way.
    fn look(&mut self) {
        let now = Instant::now();
        if let Some(outcome) = self.reload.as_ref().and_then(Reload::outcome) {
            self.reload = None;
            say(&outcome.map_or_else(|why| why, |()| "reloaded".into()));
        }
        if self.binary.touched() {
            self.due = Some(now + QUIET);
        }
        if self.ending || self.reload.is_some() || self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        if !self.binary.is_new() {
            return;
        }
        match self.child.as_ref().map(Child::id) {
            None => self.start(),
            Some(keeper) => match Reload::ask(keeper, self.timeout) {
                Ok(reload) => self.reload = Some(reload),
                Err(why) => say(&why),
            },
        }
    }
}

fn say(line: &str) {
    eprintln!("vk: {line}");
}

/// The exit status as a shell says it.
fn code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, signal) => 128 | signal.unwrap_or(0) as u8,
    }
}
