//! The null server on io_uring: multishot accept and receive into provided buffers, one send per batch.
//!
//! ```text
//! accept ─> Receive (multishot) ─> owed ─> Send ─┐   a connection has at most one send in flight;
//!                 └───── end of stream ──────────┴─> Close   it is closed when nothing is in flight
//! ```
//!
//! So no completion ever speaks of a descriptor that has been closed, and none needs a generation.
#![allow(unsafe_code)] // Submission of buffers that the kernel writes to, and the ring of provided buffers.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU16, Ordering};

use clap::Parser;
use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, SubmissionQueue, Submitter, cqueue, opcode, squeue};
use peer_null::{Answers, Ends, Options, Seam};

/// Entries of the submission queue: what one batch of completions may ask for before it must be submitted.
const SUBMISSIONS: u32 = 1024;
/// Entries of the completion queue: more than all connections of a loaded scenario can complete at once.
const COMPLETIONS: u32 = 8192;
/// Provided buffers (a power of two): they are held only while a completion is being read.
const BUFFERS: u16 = 1024;
/// Bytes of a provided buffer: a batch of pipelined requests and more.
const BUFFER: usize = 2048;
/// The only group of provided buffers.
const GROUP: u16 = 0;

const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const CLOSE: u64 = 3;

/// What is remembered of a connection, found by its descriptor.
#[derive(Clone, Copy, Default)]
struct Connection {
    seam: Seam,
    /// Bytes of answers not sent yet.
    owed: usize,
    receiving: bool,
    sending: bool,
}

struct Server<'ring> {
    submitter: Submitter<'ring>,
    queue: SubmissionQueue<'ring>,
    listener: RawFd,
    buffers: Buffers,
    ends: Ends,
    answers: Answers,
    close: bool,
    connections: Vec<Connection>,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let listener = options.listen.bind()?;
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(COMPLETIONS)
        .build(SUBMISSIONS)?;
    ring.submitter().register_ring_fd()?;
    let (submitter, queue, mut completions) = ring.split();
    let mut server = Server {
        buffers: Buffers::register(&submitter)?,
        submitter,
        queue,
        listener: listener.as_raw_fd(),
        ends: Ends::new(),
        answers: Answers::new(options.close),
        close: options.close,
        connections: Vec::new(),
    };
    server.accept();
    loop {
        server.queue.sync();
        match server.submitter.submit_and_wait(1) {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY)) => {
                return Err(error);
            }
            _ => server.queue.sync(),
        }
        completions.sync();
        for completion in &mut completions {
            server.complete(&completion)?;
        }
        server.buffers.publish();
    }
}

impl Server<'_> {
    /// Asks for one operation. What it points to (the answers, the ring of buffers) lives as long as the server.
    fn push(&mut self, entry: squeue::Entry, operation: u64, fd: RawFd) {
        let entry = entry.user_data(operation << 32 | fd as u64);
        // SAFETY: sends point into the ready answers, which are never changed nor freed; the rest points nowhere.
        while unsafe { self.queue.push(&entry) }.is_err() {
            self.queue.sync();
            // An error (EBUSY) leaves the queue full: tried again, it is the wait's to report.
            let _ = self.submitter.submit();
            self.queue.sync();
        }
    }

    fn accept(&mut self) {
        self.push(opcode::AcceptMulti::new(Fd(self.listener)).build(), ACCEPT, self.listener);
    }

    /// Multishot; a connection that ends with its first answers takes one buffer at a time instead, so
    /// that nothing is in flight when it closes.
    fn receive(&mut self, fd: RawFd) {
        let entry = if self.close {
            opcode::Recv::new(Fd(fd), std::ptr::null_mut(), BUFFER as u32)
                .buf_group(GROUP)
                .build()
                .flags(squeue::Flags::BUFFER_SELECT)
        } else {
            opcode::RecvMulti::new(Fd(fd), GROUP).build()
        };
        self.connections[fd as usize].receiving = true;
        self.push(entry, RECEIVE, fd);
    }

    fn complete(&mut self, completion: &cqueue::Entry) -> io::Result<()> {
        let (operation, fd) = (completion.user_data() >> 32, completion.user_data() as u32 as RawFd);
        match operation {
            ACCEPT => self.accepted(completion)?,
            RECEIVE => self.received(fd, completion),
            SEND => self.sent(fd, completion.result()),
            _ => {}
        }
        Ok(())
    }

    /// Out of descriptors ends the server: a measurement beyond the limit is none.
    fn accepted(&mut self, completion: &cqueue::Entry) -> io::Result<()> {
        if !cqueue::more(completion.flags()) {
            self.accept();
        }
        let fd = match completion.result() {
            fd @ 0.. => fd,
            error if error == -libc::ECONNABORTED => return Ok(()),
            error => return Err(io::Error::from_raw_os_error(-error)),
        };
        let index = fd as usize;
        if self.connections.len() <= index {
            self.connections.resize(index + 1, Connection::default());
        }
        self.connections[index] = Connection::default();
        self.receive(fd);
        Ok(())
    }

    fn received(&mut self, fd: RawFd, completion: &cqueue::Entry) {
        let connection = &mut self.connections[fd as usize];
        if let Some(id) = cqueue::buffer_select(completion.flags()) {
            let bytes = self.buffers.get(id, completion.result().max(0) as usize);
            connection.owed += self.ends.count(&mut connection.seam, bytes) * self.answers.size();
            self.buffers.give_back(id);
        }
        if !cqueue::more(completion.flags()) {
            connection.receiving = false;
            // No buffer left (ENOBUFS) passes: all are given back within the batch.
            let ended = completion.result() <= 0 && completion.result() != -libc::ENOBUFS;
            let answered = self.close && connection.owed > 0;
            if !ended && !answered {
                self.receive(fd);
            }
        }
        self.go_on(fd);
    }

    fn sent(&mut self, fd: RawFd, result: i32) {
        let connection = &mut self.connections[fd as usize];
        connection.sending = false;
        if result > 0 {
            connection.owed -= result as usize;
        } else {
            // A broken connection ends its receive as well, which lets it be closed.
            connection.owed = 0;
        }
        self.go_on(fd);
    }

    /// Sends what is owed; closes when nothing is in flight and nothing will come.
    fn go_on(&mut self, fd: RawFd) {
        let connection = &mut self.connections[fd as usize];
        if connection.sending {
            return;
        }
        if connection.owed > 0 {
            connection.sending = true;
            let bytes = self.answers.next(connection.owed);
            let send = opcode::Send::new(Fd(fd), bytes.as_ptr(), bytes.len() as u32);
            self.push(send.flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL).build(), SEND, fd);
        } else if !connection.receiving {
            self.push(opcode::Close::new(Fd(fd)).build(), CLOSE, fd);
        }
    }
}

#[repr(C, align(4096))]
struct Entries([BufRingEntry; BUFFERS as usize]);

/// The ring of provided buffers, shared with the kernel for the life of the process.
struct Buffers {
    entries: *mut Entries,
    storage: Box<[[u8; BUFFER]]>,
    tail: u16,
}

impl Buffers {
    fn register(submitter: &Submitter<'_>) -> io::Result<Self> {
        // SAFETY: an entry is integers, for which zeros are a value.
        let entries = Box::into_raw(unsafe { Box::<Entries>::new_zeroed().assume_init() });
        // SAFETY: the entries are page-aligned, BUFFERS many, and never freed.
        unsafe { submitter.register_buf_ring_with_flags(entries as u64, BUFFERS, GROUP, 0)? };
        let mut buffers =
            Self { entries, storage: vec![[0; BUFFER]; BUFFERS as usize].into_boxed_slice(), tail: 0 };
        (0..BUFFERS).for_each(|id| buffers.give_back(id));
        buffers.publish();
        Ok(buffers)
    }

    /// The bytes of a buffer that a completion has handed over.
    fn get(&self, id: u16, len: usize) -> &[u8] {
        &self.storage[id as usize][..len]
    }

    /// Puts a buffer back; the kernel sees it after `publish`.
    fn give_back(&mut self, id: u16) {
        let address = self.storage[id as usize].as_mut_ptr() as u64;
        // SAFETY: the entries live for ever, and the kernel does not touch those past the published tail.
        let entry = unsafe { &mut (&mut (*self.entries).0)[usize::from(self.tail % BUFFERS)] };
        entry.set_addr(address);
        entry.set_len(BUFFER as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&self) {
        // SAFETY: `entries` is the base of an initialised ring; its tail is an aligned u16 that only we write.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.cast()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
