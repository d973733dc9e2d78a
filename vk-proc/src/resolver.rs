//! Names of hosts are looked up beside the worker: getaddrinfo(3) blocks.
//!
//! ```text
//!   dispatch ── question ──► threads ── answer ──► bell ──► collect: who asked runs
//! ```
//!
//! A question stands in its micro-heap. A worker that dies takes the threads with it, and the next one asks again.
//!
//! What getaddrinfo opens is in no row of the ledger, so nobody would close it after a worker that died: each thread has
//! a table of descriptors of its own, which dies with it.
#![allow(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use vk_heap::HeapId;

/// Lookups at a time; more wait for one of them.
const THREADS: usize = 4;

/// Who asks, and for which name.
type Question = (HeapId, String);

/// The threads, and what they are asked.
pub struct Resolver {
    questions: Sender<Question>,
    answers: Receiver<(Question, Vec<IpAddr>)>,
    /// What was asked, with the answer once it is here.
    asked: Vec<(Question, Option<Vec<IpAddr>>)>,
    /// Rung by the threads.
    pub bell: UnixStream,
}

impl Resolver {
    /// Starts the threads.
    ///
    /// # Errors
    /// If there are no descriptors or threads to be had.
    pub fn new() -> io::Result<Resolver> {
        let (bell, rope) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        rope.set_nonblocking(true)?;
        let rope = Arc::new(rope);
        let (questions, next) = channel::<Question>();
        let (answer, answers) = channel();
        let next = Arc::new(Mutex::new(next));
        for _ in 0..THREADS {
            let (next, answer, rope) = (next.clone(), answer.clone(), rope.clone());
            let lookup = move || {
                keep_only(rope.as_raw_fd());
                loop {
                    // Poisoned or closed: the worker is gone.
                    let Some(question) = next.lock().ok().and_then(|next| next.recv().ok()) else { return };
                    let found = (question.1.as_str(), 0).to_socket_addrs();
                    let found = found.map_or(Vec::new(), |found| found.map(|address| address.ip()).collect());
                    if answer.send((question, found)).is_err() {
                        return;
                    }
                    // A bell that can't be rung more is ringing.
                    let _ = (&*rope).write(&[0]);
                }
            };
            thread::Builder::new().name("resolver".into()).spawn(lookup)?;
        }
        Ok(Resolver { questions, answers, asked: Vec::new(), bell })
    }

    /// The answer to a question, which is asked if it was not yet; None while there is none.
    pub fn answer(&mut self, id: HeapId, name: &str) -> Option<Vec<IpAddr>> {
        match self.asked.iter().position(|((asker, asked), _)| *asker == id && asked == name) {
            Some(at) if self.asked[at].1.is_some() => self.asked.swap_remove(at).1,
            Some(_) => None,
            None => {
                self.asked.push(((id, name.to_owned()), None));
                // Threads never end before the worker does.
                let _ = self.questions.send((id, name.to_owned()));
                None
            }
        }
    }

    /// The bell has rung: notes the answers, and says who is to be told.
    pub fn collect(&mut self, mut tell: impl FnMut(HeapId)) {
        let mut rings = [0; 64];
        while self.bell.read(&mut rings).is_ok_and(|count| count > 0) {}
        // Whoever wanted these was told in the last round.
        self.asked.retain(|(_, answer)| answer.is_none());
        while let Ok((question, found)) = self.answers.try_recv() {
            tell(question.0);
            if let Some((_, answer)) = self.asked.iter_mut().find(|(asked, _)| *asked == question) {
                *answer = Some(found);
            }
        }
    }
}

/// Gives the calling thread a table of descriptors of its own, in which this one and the three first are.
fn keep_only(number: RawFd) {
    let number = number as libc::c_uint;
    let ranges = [(3, number - 1), (number + 1, libc::c_uint::MAX)];
    for (first, last) in ranges.into_iter().filter(|(first, last)| first <= last) {
        // SAFETY: no memory is involved. What is closed is closed in a table that from this call on is this thread's,
        // which uses `number` only; where the call is forbidden, nothing is closed.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_UNSHARE) };
    }
}
