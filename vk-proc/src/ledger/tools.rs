//! What a worker opens for itself: its poller, its signals.
#![allow(unsafe_code)]

use super::{Ledger, Seat, State, wait};
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::SeqCst;

impl Ledger {
    /// A worker is about to start, and to open its tools.
    pub fn starting(&self, worker: usize) {
        self.seat(worker).starting.store(1, SeqCst);
    }

    /// Closes what a dead worker had for itself.
    pub fn close_tools(&self, worker: usize) {
        for number in self.numbers() {
            let (state, holder, ..) = self.read(number);
            if state == State::Tool && holder == worker {
                self.closing(worker, number);
                // SAFETY: the worker that had it is dead, and nobody else is to close it.
                unsafe { libc::close(number) };
                self.closed(worker, number);
            }
        }
        if self.seat(worker).starting.load(SeqCst) == 1 {
            self.close_unknown_tools();
        }
    }

    /// Closes pollers, signalfds and what a worker opens to confine itself, if they are in no row: it died before it
    /// could enter or close them.
    fn close_unknown_tools(&self) {
        let unknown = || -> Vec<RawFd> {
            let numbers = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
            let is_tool = |entry: &std::fs::DirEntry| {
                let kinds = ["eventpoll", "io_uring", "signalfd", "landlock-ruleset"];
                let path = std::fs::read_link(entry.path()).unwrap_or_default();
                let path = path.to_string_lossy();
                let kind = path.strip_prefix("anon_inode:[").and_then(|kind| kind.strip_suffix(']'));
                kind.is_some_and(|kind| kinds.contains(&kind))
                    || path == "/"
                    || path.ends_with("/oom_score_adj")
            };
            let numbers =
                numbers.filter(is_tool).filter_map(|entry| entry.file_name().to_str()?.parse().ok());
            numbers.filter(|number| self.read(*number).0 == State::Free).collect()
        };
        let before = unknown();
        // Those of workers that start just now are entered by then. The dead are known to be.
        let starts = |seat: &Seat| seat.starting.load(SeqCst) == 1 && seat.pid.load(SeqCst) != 0;
        if before.is_empty() || !wait(|| !self.seats().iter().any(starts)) {
            return;
        }
        for number in unknown().into_iter().filter(|number| before.contains(number)) {
            // SAFETY: it was open and in no row before everybody else finished what he was opening, and is still:
            // it was the dead worker's.
            unsafe { libc::close(number) };
        }
    }
}
