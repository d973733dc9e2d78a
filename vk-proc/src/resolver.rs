//! Names of hosts are looked up beside the worker: getaddrinfo(3) blocks.
//!
//! ```text
//!   dispatch ── name ──► queue ──► threads ── answer ──► bell ──► collect: each task that asked runs
//!      └──────── known: at once
//! ```
//!
//! A question stands in its micro-heap. A worker that dies takes the threads with it, and the next one asks again.
//!
//! What getaddrinfo opens is in no row of the ledger, so each thread has a table of descriptors of its own, which dies with it.
//!
//! Invariants: a name is looked up once at a time, however many tasks ask; names and threads are bounded.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use vk_core::Nanos;
use vk_heap::HeapId;

/// Lookups at a time at most: a thread is started when all others are busy, so a few names that are slow stop no other.
const THREADS: usize = 16;

/// Names that are looked up or wait for it, at most.
const NAMES: usize = 256;

/// How long an answer is known. It carries no time to live: getaddrinfo does not tell.
const KNOWN: Nanos = 5_000_000_000;

/// Names that are known at most.
const MOST_KNOWN: usize = 1024;

/// What is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its addresses; none if there are none.
    Found(Vec<IpAddr>),
    /// It is looked up.
    Waiting,
    /// Too many names are.
    Full,
}

/// One name.
struct Name {
    name: String,
    /// Its addresses, and until when they are known; none while it is looked up.
    found: Option<(Vec<IpAddr>, Nanos)>,
    /// The micro-processes that wait for them.
    askers: Vec<HeapId>,
}

/// Names that no thread has begun with.
#[derive(Default)]
struct Queue {
    names: VecDeque<String>,
    idle: usize,
}

type Shared = Arc<(Mutex<Queue>, Condvar)>;

/// The threads, and what they are asked.
pub struct Resolver {
    queue: Shared,
    threads: usize,
    answer: Sender<(String, Vec<IpAddr>)>,
    answers: Receiver<(String, Vec<IpAddr>)>,
    names: Vec<Name>,
    /// Rung by the threads.
    pub bell: UnixStream,
    rope: Arc<UnixStream>,
}

impl Resolver {
    /// A resolver without threads.
    ///
    /// # Errors
    /// If there are no descriptors to be had.
    pub fn new() -> io::Result<Resolver> {
        let (bell, rope) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        rope.set_nonblocking(true)?;
        let (answer, answers) = channel();
        let (queue, names, rope) = (Shared::default(), Vec::new(), Arc::new(rope));
        Ok(Resolver { queue, threads: 0, answer, answers, names, bell, rope })
    }

    /// The addresses of a name, for a micro-process that waits for them if they are not known yet.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn ask(&mut self, id: HeapId, name: &str, now: Nanos) -> io::Result<Answer> {
        self.names.retain(|name| name.found.as_ref().is_none_or(|(_, until)| now < *until));
        if let Some(known) = self.names.iter_mut().find(|known| known.name == name) {
            return Ok(match &known.found {
                Some((found, _)) => Answer::Found(found.clone()),
                None => {
                    known.askers.push(id);
                    Answer::Waiting
                }
            });
        }
        if self.names.iter().filter(|name| name.found.is_none()).count() >= NAMES {
            return Ok(Answer::Full);
        }
        let idle = {
            let mut queue = self.queue.0.lock().unwrap_or_else(PoisonError::into_inner);
            queue.names.push_back(name.to_owned());
            queue.idle >= queue.names.len()
        };
        if !idle && self.threads < THREADS {
            match self.start() {
                Ok(()) => self.threads += 1,
                // Those that run get to it.
                Err(error) if self.threads > 0 => tracing::debug!(%error, "no further thread for names"),
                Err(error) => {
                    self.queue.0.lock().unwrap_or_else(PoisonError::into_inner).names.clear();
                    return Err(error);
                }
            }
        }
        self.queue.1.notify_one();
        self.names.push(Name { name: name.to_owned(), found: None, askers: vec![id] });
        Ok(Answer::Waiting)
    }

    fn start(&self) -> io::Result<()> {
        let (queue, answer, rope) = (self.queue.clone(), self.answer.clone(), self.rope.clone());
        let lookup = move || {
            keep_only(rope.as_raw_fd());
            loop {
                let name = next(&queue);
                let found = (name.as_str(), 0).to_socket_addrs();
                let found = found.map_or(Vec::new(), |found| found.map(|address| address.ip()).collect());
                if answer.send((name, found)).is_err() {
                    return;
                }
                // Where the buffer is full, a wake-up is already pending.
                let _ = (&*rope).write(&[0]);
            }
        };
        thread::Builder::new().name("resolver".into()).spawn(lookup).map(|_| ())
    }

    /// Notes the answers that have come, and tells which micro-processes wait for them.
    pub fn collect(&mut self, now: Nanos, mut tell: impl FnMut(HeapId)) {
        let mut rings = [0; 64];
        while self.bell.read(&mut rings).is_ok_and(|count| count > 0) {}
        let known = self.names.iter().filter(|name| name.found.is_some()).count();
        // Without room for more, an answer is known until those that wait for it have run.
        let until = if known < MOST_KNOWN { now + KNOWN } else { now + 1 };
        while let Ok((name, found)) = self.answers.try_recv() {
            if let Some(known) = self.names.iter_mut().find(|known| known.name == name) {
                known.askers.drain(..).for_each(&mut tell);
                known.found = Some((found, until));
            }
        }
    }

    /// A micro-process has ended: a name that no other waits for, and no thread has begun with, is not looked up.
    pub fn forget(&mut self, id: HeapId) {
        let mut queue = self.queue.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.names.retain_mut(|name| {
            let asked = name.askers.len();
            name.askers.retain(|asker| *asker != id);
            if asked == 0 || !name.askers.is_empty() {
                return true;
            }
            let waits = queue.names.iter().position(|waits| *waits == name.name);
            waits.map(|at| queue.names.remove(at)).is_none()
        });
    }
}

/// Waits for a name.
fn next((queue, ready): &(Mutex<Queue>, Condvar)) -> String {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(name) = queue.names.pop_front() {
            return name;
        }
        queue.idle += 1;
        queue = ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
        queue.idle -= 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn asker(number: u64) -> HeapId {
        HeapId::from_bits(number << 32 | 1)
    }

    fn told(resolver: &mut Resolver) -> Vec<HeapId> {
        let (mut told, begun) = (Vec::new(), Instant::now());
        while told.is_empty() && begun.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(1));
            resolver.collect(0, |id| told.push(id));
        }
        told
    }

    #[test]
    fn a_name_is_looked_up_once_for_all() {
        let mut resolver = Resolver::new().unwrap();
        for number in 0..5 {
            assert_eq!(resolver.ask(asker(number), "localhost", 0).unwrap(), Answer::Waiting);
        }
        assert_eq!(resolver.threads, 1);
        assert_eq!(told(&mut resolver), (0..5).map(asker).collect::<Vec<_>>());
        let Answer::Found(found) = resolver.ask(asker(9), "localhost", 1).unwrap() else {
            panic!("it is known")
        };
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
        assert_eq!(resolver.ask(asker(9), "localhost", KNOWN).unwrap(), Answer::Waiting, "not for ever");
    }

    #[test]
    fn names_and_threads_are_bounded() {
        let mut resolver = Resolver::new().unwrap();
        // No thread begins with them.
        let queue = resolver.queue.clone();
        let held = queue.0.lock().unwrap();
        resolver.queue = Shared::default();
        resolver.threads = THREADS;
        for number in 0..NAMES as u64 {
            let name = format!("host-{number}.invalid");
            assert_eq!(resolver.ask(asker(number), &name, 0).unwrap(), Answer::Waiting);
        }
        assert_eq!(resolver.ask(asker(1000), "one-more.invalid", 0).unwrap(), Answer::Full);
        resolver.forget(asker(7));
        assert_eq!(
            resolver.ask(asker(1000), "one-more.invalid", 0).unwrap(),
            Answer::Waiting,
            "there is room again"
        );
        assert_eq!(resolver.queue.0.lock().unwrap().names.len(), NAMES);
        drop(held);
    }
}
