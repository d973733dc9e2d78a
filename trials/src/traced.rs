//! A process that is stopped before and after each of its system calls: ptrace(2).

use nix::sys::ptrace::{self, Event, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::thread;
use std::time::{Duration, Instant};
use vk_try::{PATIENCE, Process, SIGKILL};

/// How long a process may stay in one system call before that counts as its last one.
const IDLE: Duration = Duration::from_millis(300);

/// A process that this thread traces, and that is stopped.
#[derive(Debug)]
pub struct Traced(Pid);

impl Traced {
    /// Stops a process, wherever it is. None, with a line, where this user may not.
    pub fn seize(process: Process) -> Option<Traced> {
        let traced = Traced(Pid::from_raw(process.0.cast_signed()));
        let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEFORK;
        if let Err(error) = ptrace::seize(traced.0, options) {
            return vk_try::left_out(&format!("tracing: {error}"));
        }
        ptrace::interrupt(traced.0).ok()?;
        traced.wait(PATIENCE).map(|_| traced)
    }

    /// What it stops for, or its end; none if it just goes on.
    fn wait(&self, patience: Duration) -> Option<WaitStatus> {
        let end = Instant::now() + patience;
        loop {
            match waitpid(self.0, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
                Ok(WaitStatus::StillAlive) if Instant::now() < end => thread::yield_now(),
                Ok(WaitStatus::StillAlive) | Err(_) => return None,
                Ok(status) => return Some(status),
            }
        }
    }

    /// Lets it go on until it has started a process. That one is traced instead, from before its first system call.
    ///
    /// # Panics
    /// If it does not start one.
    #[track_caller]
    pub fn child(self) -> Traced {
        let mut signal = None;
        loop {
            ptrace::cont(self.0, signal).expect("it is stopped");
            match self.wait(PATIENCE).expect("it starts a process") {
                WaitStatus::PtraceEvent(_, _, event) if event == Event::PTRACE_EVENT_FORK as i32 => break,
                WaitStatus::Stopped(_, received) => signal = Some(received),
                WaitStatus::PtraceEvent(..) => signal = None,
                ended => panic!("it starts no process: {ended:?}"),
            }
        }
        let child = Traced(Pid::from_raw(ptrace::getevent(self.0).expect("a pid") as i32));
        child.wait(PATIENCE).expect("it stops at once");
        ptrace::detach(self.0, None).expect("it is stopped");
        child
    }

    /// Lets it go on for so many stops, at the beginning and the end of each system call, and kills it there; or where it has
    /// nothing more to do. Whether it came so far.
    pub fn kill_after(self, stops: u64) -> bool {
        // What it starts is not traced.
        let _ = ptrace::setoptions(self.0, Options::PTRACE_O_TRACESYSGOOD);
        let (mut count, mut signal) = (0, None);
        while count < stops && ptrace::syscall(self.0, signal.take()).is_ok() {
            match self.wait(IDLE) {
                Some(WaitStatus::PtraceSyscall(_)) => count += 1,
                Some(WaitStatus::Stopped(_, received)) => signal = Some(received),
                Some(WaitStatus::PtraceEvent(..)) => {}
                Some(_) => return false,
                None => break,
            }
        }
        Process(self.0.as_raw().cast_unsigned()).signal(SIGKILL);
        // Its parent hears of its death after this.
        self.wait(PATIENCE);
        count == stops
    }
}
