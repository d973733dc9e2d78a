//! Readiness by io_uring: one multishot poll for each descriptor.
//!
//! ```text
//!  add ────▶ requests ▷ POLL_ADD(multi, edge) ─┐
//!  close ──▶ requests ▷ ASYNC_CANCEL, close(2) ├─▶ submission ring ─▶ one io_uring_enter per wait
//!  re-arm ─▶ requests ▷ POLL_ADD ──────────────┘                          │
//!  Event ◀── generation is the watch's? ◀── completion ring ◀─────────────┘
//! ```
//!
//! A poll is named by descriptor and generation. Invariants:
//!
//! - A watched descriptor has exactly one poll, in `requests` or armed. When the kernel ends one (its
//!   completion says that there will be no more), it is requested anew.
//! - Each watch has a generation of its own, so a completion under way when its descriptor is closed or forgotten
//!   matches nothing and is dropped; so is a poll that was requested but not submitted when its number became
//!   somebody else's, because its cancellation follows it in the same queue.
//! - An armed poll holds the open file: `close(2)` alone ends nothing for the peer. The cancellation goes with
//!   the next wait, and the kernel lets go of the file before that wait sleeps. It is an ASYNC_CANCEL, because a
//!   POLL_REMOVE leaves a poll alone that has just found something (`EALREADY`), which then holds the file for ever.
//! - Completions beyond the ring's size are kept by the kernel and come with a later wait: none is lost.

// The fence: requests go to the kernel as raw memory.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};

use crate::epoll::{INTEREST, decode};
use crate::{Backend, Epoll, Event, Nanos, Token, Watch, sys};

/// Requests submitted at once at most. There is one for each connection that came or went since the last
/// wait; more than that many stay queued here for the next.
const SUBMISSIONS: u32 = 1024;

/// Completions delivered at once at most; 16 bytes each.
const COMPLETIONS: u32 = 4096;

/// Descriptors that the table always has room for.
const KEPT: usize = 1024;

/// Names what has nothing to tell: a cancellation.
const NOBODY: u64 = u64::MAX;

/// What is known of a descriptor, found by its number.
#[derive(Clone, Copy, Debug)]
struct Watched {
    token: Token,
    generation: u32,
    watching: bool,
}

/// The backend of a Linux that allows io_uring, from 6.1 on.
///
/// It belongs to the process and thread that made it: the kernel accepts requests from no other.
pub struct Uring {
    ring: IoUring,
    watched: Vec<Watched>,
    /// Of the watch that began last.
    generation: u32,
    requests: VecDeque<squeue::Entry>,
    thread: PhantomData<*const ()>,
}

impl Uring {
    /// A ring (close-on-exec) that watches nothing.
    ///
    /// # Errors
    /// `Unsupported` or `InvalidInput` where the kernel has no io_uring or too old a one, `PermissionDenied`
    /// where it is forbidden (`kernel.io_uring_disabled`, a container's seccomp filter), or no memory; the
    /// message says so.
    pub fn new() -> io::Result<Uring> {
        Uring::with_rings(SUBMISSIONS, COMPLETIONS)
    }

    fn with_rings(submissions: u32, completions: u32) -> io::Result<Uring> {
        // Deferred task work is the youngest of all the features used here (6.1), so that a kernel which accepts it has
        // the others: no dropped completions, a timeout for enter, silent success.
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(completions)
            .build(submissions)
            .map_err(|error| {
                let why = match error.raw_os_error() {
                    Some(libc::ENOSYS) => "the kernel has none",
                    Some(libc::EPERM) => {
                        "it is forbidden here (kernel.io_uring_disabled, or a seccomp filter)"
                    }
                    Some(libc::EINVAL) => "the kernel's is too old: 6.1 is needed",
                    _ => "the kernel refuses",
                };
                io::Error::new(error.kind(), format!("no io_uring: {why}: {error}"))
            })?;
        Ok(Uring { ring, watched: Vec::new(), generation: 0, requests: VecDeque::new(), thread: PhantomData })
    }

    fn enter(&mut self, timeout: Option<Nanos>) -> io::Result<()> {
        let mut submission = self.ring.submission();
        while let Some(request) = self.requests.front() {
            // SAFETY: the requests are polls and cancellations, which point to no memory.
            if unsafe { submission.push(request) }.is_err() {
                break;
            }
            self.requests.pop_front();
        }
        if self.requests.is_empty() {
            // A burst of connections is not what the next hour needs room for.
            self.requests.shrink_to(SUBMISSIONS as usize);
        }
        let submitted = submission.len() as u32;
        let nothing_to_do = submitted == 0 && !submission.taskrun() && !submission.cq_overflow();
        drop(submission);

        let submitter = self.ring.submitter();
        let result = match timeout {
            Some(0) if nothing_to_do => Ok(0),
            // When not all went in, the rest has to follow before anybody sleeps.
            _ if timeout == Some(0) || !self.requests.is_empty() => {
                // Asking for events is what makes the kernel finish cancellations, and with that let go of closed files.
                // SAFETY: no argument is given, so no memory is involved.
                unsafe { submitter.enter::<()>(submitted, 0, EnterFlags::GETEVENTS.bits(), None) }
            }
            Some(nanos) => {
                let timeout = Timespec::from(Duration::from_nanos(nanos));
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&timeout))
            }
            None => submitter.submit_and_wait(1),
        };
        match result {
            // Nothing happened in time, a signal came, or the kernel is short of memory for requests or
            // completions: in each case what has completed is in the ring, and the rest is for the next wait.
            Err(error)
                if !matches!(
                    error.raw_os_error(),
                    Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY)
                ) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

fn name(fd: RawFd, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(fd as u32)
}

fn arm(fd: RawFd, generation: u32) -> squeue::Entry {
    opcode::PollAdd::new(Fd(fd), INTEREST).multi(true).build().user_data(name(fd, generation))
}

impl Backend for Uring {
    fn name(&self) -> &'static str {
        "uring"
    }

    fn descriptor(&self) -> Option<RawFd> {
        Some(self.ring.as_raw_fd())
    }

    fn add(&mut self, fd: RawFd, token: Token) -> io::Result<Watch> {
        // A multishot poll of what can't be polled would complete at once, again and again. epoll refuses it,
        // so for the kinds that may or may not, a throw-away one is asked.
        if !sys::is_stream(fd)? && Epoll::new()?.add(fd, token)? == Watch::Always {
            return Ok(Watch::Always);
        }
        let index = fd as usize;
        if index >= self.watched.len() {
            self.watched.resize(index + 1, Watched { token, generation: 0, watching: false });
        }
        let watched = &mut self.watched[index];
        if watched.watching {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        self.generation = self.generation.wrapping_add(1);
        *watched = Watched { token, generation: self.generation, watching: true };
        self.requests.push_back(arm(fd, self.generation));
        Ok(Watch::Edge)
    }

    fn close(&mut self, fd: RawFd) {
        self.forget(fd);
        sys::close(fd);
    }

    fn forget(&mut self, fd: RawFd) {
        let Some(watched) = self.watched.get_mut(fd as usize).filter(|watched| watched.watching) else {
            return;
        };
        let cancel = opcode::AsyncCancel::new(name(fd, watched.generation)).build();
        self.requests.push_back(cancel.flags(squeue::Flags::SKIP_SUCCESS).user_data(NOBODY));
        watched.watching = false;
        // After a burst the table becomes small again, but not so small that it grows with each connection.
        while self.watched.len() > KEPT && self.watched.pop_if(|last| !last.watching).is_some() {}
        if self.watched.capacity() > 4 * self.watched.len().max(KEPT) {
            self.watched.shrink_to(KEPT);
        }
    }

    #[inline]
    fn wait(&mut self, timeout: Option<Nanos>, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        self.enter(timeout)?;
        for completion in self.ring.completion() {
            let (fd, generation) = (completion.user_data() as u32, (completion.user_data() >> 32) as u32);
            let Some(watched) = self.watched.get(fd as usize) else { continue };
            if !watched.watching || watched.generation != generation {
                continue;
            }
            if !cqueue::more(completion.flags()) {
                self.requests.push_back(arm(fd as RawFd, generation));
            }
            // A poll that failed (no memory, most likely) may have missed something: let the owner look at everything.
            let mask = u32::try_from(completion.result()).unwrap_or(libc::EPOLLERR as u32);
            events.push(decode(watched.token, mask));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::io::{IoSliceMut, Read, Write};
    use std::os::fd::IntoRawFd;
    use std::os::unix::net::UnixStream;

    const SECOND: Nanos = 1_000_000_000;

    /// Two requests and four completions at once, unless this place forbids io_uring.
    fn small() -> Option<Uring> {
        match Uring::with_rings(2, 4) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => None,
            result => Some(result.unwrap()),
        }
    }

    /// More descriptors ready at once than either ring holds, again and again, whether one looks or waits.
    #[test]
    fn small_rings_lose_nothing() {
        for (count, timeout) in [(10, 0), (100, 0), (100, 9 * SECOND)] {
            let Some(mut uring) = small() else { return };
            let mut streams = Vec::new();
            for token in 0..count {
                let (near, far) = UnixStream::pair().unwrap();
                near.set_nonblocking(true).unwrap();
                let near = near.into_raw_fd();
                uring.add(near, Token(token)).unwrap();
                streams.push((near, far));
            }
            let mut events = Vec::new();
            for _ in 0..10 {
                streams.iter_mut().for_each(|(_, far)| far.write_all(b"x").unwrap());
                let mut silent: HashSet<u64> = (0..count).collect();
                let begun = uring.now();
                while !silent.is_empty() {
                    uring.wait(Some(timeout), &mut events).unwrap();
                    assert!(uring.now() - begun < 5 * SECOND, "{silent:?} lost");
                    for event in events.iter().filter(|event| event.readable) {
                        let fd = streams[event.token.0 as usize].0;
                        if uring.read(fd, &mut [IoSliceMut::new(&mut [0; 8])]).is_ok_and(|count| count == 1) {
                            assert!(silent.remove(&event.token.0));
                        }
                    }
                }
            }
            for (near, _) in &streams {
                uring.close(*near);
            }
            while !uring.requests.is_empty() {
                uring.wait(Some(0), &mut events).unwrap();
                assert!(events.is_empty());
            }
            uring.wait(Some(0), &mut events).unwrap();
            for (_, mut far) in streams {
                assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
            }
        }
    }

    /// Nobody sleeps on requests that had no room in the ring.
    #[test]
    fn all_requests_go_in_before_the_sleep() {
        let Some(mut uring) = small() else { return };
        let mut pipes: Vec<_> = (0..10).map(|_| io::pipe().unwrap()).collect();
        for (token, (from, _)) in pipes.iter().enumerate() {
            uring.add(from.as_raw_fd(), Token(token as u64)).unwrap();
        }
        pipes[9].1.write_all(b"x").unwrap();
        let (mut events, begun) = (Vec::new(), uring.now());
        while events.is_empty() {
            uring.wait(Some(9 * SECOND), &mut events).unwrap();
            assert!(uring.now() - begun < 5 * SECOND);
        }
        assert_eq!(events[0].token, Token(9));
    }
}
