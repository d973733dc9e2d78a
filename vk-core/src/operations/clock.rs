//! Time: sleeping, deadlines, turns.

use crate::failures::Kind;
use crate::hash;
use crate::task::{self, NEVER, Nanos, Wait};
use crate::{Io, World};
use std::io;
use std::task::Poll::{self, Ready};
use std::time::Duration;

impl Io {
    /// Waits for `time`.
    ///
    /// # Errors
    /// `TimedOut` if the deadline comes earlier.
    pub fn sleep(&mut self, time: Duration) -> Poll<io::Result<()>> {
        if self.task().wake == NEVER {
            let now = self.world().time();
            self.task().wake = after(now, time);
        }
        let now = self.world().now;
        let task = self.task();
        if now < task.wake && now < task.deadline {
            return self.wait(Wait::Wake);
        }
        let wake = std::mem::replace(&mut task.wake, NEVER);
        if now < wake { Ready(Err(io::ErrorKind::TimedOut.into())) } else { Ready(Ok(())) }
    }

    /// Sets a time limit: from `limit` after now on, operations that would have to wait fail with
    /// `TimedOut`, until the coroutine that called this returns. A limit that a caller has set and that
    /// comes earlier stays in force; another call replaces this coroutine's own.
    ///
    /// # Errors
    /// None.
    pub fn deadline(&mut self, limit: Duration) -> Poll<io::Result<()>> {
        let at = after(self.world().time(), limit);
        let task = self.task();
        task.deadline = at.min(task.outer_deadline);
        Ready(Ok(()))
    }

    /// What a coroutine that sets deadlines keeps from its beginning to its end: the deadline in force, which
    /// its own can't exceed, and its caller's bound of the same kind.
    #[doc(hidden)]
    pub fn deadline_mark(&mut self) -> [Nanos; 2] {
        let task = self.task();
        let mark = [task.deadline, task.outer_deadline];
        task.outer_deadline = task.deadline;
        mark
    }

    /// Puts the caller's deadline back in force.
    #[doc(hidden)]
    pub fn deadline_restore(&mut self, mark: [Nanos; 2]) {
        let task = self.task();
        [task.deadline, task.outer_deadline] = mark;
    }

    /// Lets everybody else of the micro-process who can run do so first.
    ///
    /// # Errors
    /// `TimedOut` after the deadline.
    #[inline]
    pub fn yield_now(&mut self) -> Poll<io::Result<()>> {
        let task = self.task();
        if task.progress == 0 {
            task.progress = 1;
            return self.wait(Wait::Turn);
        }
        task.progress = 0;
        Ready(Ok(()))
    }

    /// Whether the server is about to end, or the build that serves this connection: a good moment to say to the other
    /// end that no more is wanted. Never waits.
    ///
    /// # Errors
    /// None.
    #[inline]
    pub fn is_ending(&mut self) -> Poll<io::Result<bool>> {
        Ready(Ok(self.world().ending))
    }

    /// Has the log say that something failed which the coroutine has dealt with, with the coroutine's name, the line, and the
    /// other end's address; once a second for each coroutine. Never waits.
    ///
    /// # Errors
    /// None.
    pub fn note_failure(&mut self, what: &str, of: &str) -> Poll<io::Result<()>> {
        let entry = self.task().entry;
        let World { registry, failures, now, stood_at, .. } = self.world();
        if let Some(entry) = registry.get(entry) {
            failures.note(*now, Kind::Own, entry, *stood_at, || format!("{what} {of}"));
        }
        Ready(Ok(()))
    }

    /// Names a point between two pieces of work, where nothing is under way ("between lines"):
    /// a server that drains ends its connections where they wait at one. It holds until the next byte is
    /// consumed or written.
    ///
    /// # Errors
    /// None.
    #[inline]
    pub fn checkpoint(&mut self, name: &str) -> Poll<io::Result<()>> {
        self.task().checkpoint = hash::text(name);
        Ready(Ok(()))
    }

    /// The [checkpoint](Io::checkpoint) `idle`, at which nobody would miss the connection much, between two requests say:
    /// a worker that runs out of room for new ones ends those that have waited here for longest. They find the end of
    /// input, or `ConnectionAborted` behind an unfinished message.
    ///
    /// # Errors
    /// None.
    #[inline]
    pub fn idle(&mut self) -> Poll<io::Result<()>> {
        self.task().checkpoint = task::IDLE;
        Ready(Ok(()))
    }
}

fn after(now: Nanos, time: Duration) -> Nanos {
    now.saturating_add(Nanos::try_from(time.as_nanos()).unwrap_or(NEVER))
}
