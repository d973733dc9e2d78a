//! The plain record of one running coroutine.

use crate::{LastWords, Plain, hash};
use std::io;
use std::mem::{offset_of, swap};
use std::ptr::NonNull;
use vk_heap::Span;
use vk_vectoring::Ring;

/// A point of monotonic time, or a length of it, in nanoseconds.
pub type Nanos = u64;

/// The point of time that never comes.
pub const NEVER: Nanos = Nanos::MAX;

/// The [checkpoint](Task::checkpoint) of who may be ended for want of room.
pub const IDLE: u64 = hash::text("idle");

/// An open descriptor of the worker: a socket, a listener, a pipe, a file.
///
/// The generation tells apart two descriptors that bore the same number one after the other, so a stale
/// handle is an error and never somebody else's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Descriptor {
    /// The descriptor's number.
    pub number: i32,
    /// Which of the descriptors that bore this number.
    pub generation: u32,
}

/// Where a ring leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Port {
    /// Nowhere: reading finds the end, writing is an error.
    Nothing,
    /// To a descriptor of the worker.
    Descriptor(Descriptor),
    /// To the opposite ring of another task of the same micro-heap: an in-heap pipe.
    Task(Span),
}

/// What a task that answered `Pending` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Wait {
    /// Nothing: it is running, or in the run queue.
    Nothing,
    /// That `need` bytes are received, or the end is.
    Received,
    /// That a byte can be put into the sending ring.
    Space,
    /// That the sending ring is empty.
    Flushed,
    /// That the sending ring is empty and the sending side is ended.
    Shutdown,
    /// That the reader has acknowledged the end of the message.
    Hangup,
    /// That `wake` has come.
    Wake,
    /// Nothing ever: it keeps its input and output for another task.
    Rest,
    /// That everybody else who can run has run.
    Turn,
    /// That the task that the request names has ended.
    Join,
    /// That another task comes to rest, or ends.
    Child,
    /// A connection of the listener that is the task's source.
    Accept,
    /// That the connection that was asked for stands: a new one, a parked one, or one to be attached.
    Connect,
    /// The addresses that were asked for.
    Resolve,
    /// The address of who is at the other end of the source.
    Peer,
    /// That the requested coroutine runs as a task of this micro-process.
    Spawn,
    /// That the requested handler runs as a micro-process of its own.
    Start,
    /// That the task `request` names is gone, and its descriptors are closed.
    Close,
    /// Nothing any more: it has ended; what it sent last may still be on its way.
    Ended,
}

/// What comes of a [`Wait`] that the dispatcher serves: [`Accept`](Wait::Accept), [`Connect`](Wait::Connect),
/// [`Resolve`](Wait::Resolve), [`Peer`](Wait::Peer), [`Spawn`](Wait::Spawn), [`Start`](Wait::Start), [`Join`](Wait::Join)
/// and [`Close`](Wait::Close).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Outcome {
    /// Not yet known.
    None,
    /// A new descriptor.
    Descriptor(Descriptor),
    /// An address.
    Address(std::net::SocketAddr),
    /// A new task, by the place of its record.
    Task(Span),
    /// How far a connection was received from and sent to.
    Positions([u64; 2]),
    /// Done, with nothing to hand over.
    Done,
    /// Failed, with an `errno`.
    Failed(i32),
}

/// What a task asks of the dispatcher, beside what [`Wait`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Request {
    /// Nothing.
    None,
    /// For [`Wait::Join`]: this task's end.
    Join(Span),
    /// For [`Wait::Close`]: this task is to go, and its descriptors first.
    Close {
        /// The task.
        child: Span,
        /// The name under which its connection is parked, if it can be: a place, empty where there is none.
        name: Span,
    },
    /// For [`Wait::Close`]: the descriptors are closed or parked, and the task is to go.
    Closed {
        /// The task.
        child: Span,
        /// The name's place, which is free then.
        name: Span,
    },
    /// For [`Wait::Connect`]: a connection to this address.
    Connect(std::net::SocketAddr),
    /// For [`Wait::Connect`]: the connection is on its way.
    Connecting(Descriptor),
    /// For [`Wait::Connect`]: a connection that was parked under the name in this place.
    Unpark(Span),
    /// For [`Wait::Connect`]: where the streams of this connection stand, which the task is to have.
    Attach(Descriptor),
    /// For [`Wait::Resolve`]: the addresses of the name in this [place](crate::resolve).
    Resolve(Span),
    /// For [`Wait::Spawn`]: this coroutine, its frame already filled, between these two ends.
    Spawn {
        /// The coroutine's index in the registry.
        entry: u32,
        /// Its frame.
        frame: Span,
        /// Where its receiving ring leads.
        source: crate::Source,
        /// Where its sending ring leads.
        sink: crate::Sink,
        /// At which positions of their streams its two rings begin, once that is known: it has to be, if one of them
        /// leads to a descriptor.
        positions: Option<[u64; 2]>,
    },
    /// For [`Wait::Start`]: this handler on this connection.
    Start {
        /// The handler's index in the registry.
        entry: u32,
        /// The connection, which changes hands.
        connection: Descriptor,
    },
}

/// The last variants' tags.
const REQUESTS: u32 = 10;
const OUTCOMES: u32 = 6;

/// Changes when a variant comes or goes: builds that number them otherwise can't read each other's tasks.
pub(crate) const TAGS: u64 =
    hash::numbers(&[Wait::Ended as u64, Mark::Acknowledged as u64, REQUESTS as u64, OUTCOMES as u64]);

/// How far the end of a message has come on its way to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mark {
    /// No message ends here.
    None,
    /// The message ends where the ring does.
    Here,
    /// The reader has been told, and has not acknowledged it (the writer's side only).
    Delivered,
    /// The reader has acknowledged the end (the writer's side only).
    Acknowledged,
}

/// The plain record of one running coroutine: its rings, what it waits for, its frame.
///
/// Written by [`Io`](crate::Io)'s operations while the coroutine runs, and by the dispatcher while it does
/// not.
#[derive(Debug)]
#[repr(C)]
pub struct Task {
    /// The receiving ring.
    pub rx: Ring,
    /// The sending ring.
    pub tx: Ring,
    /// The receiving ring's storage.
    pub rx_storage: Span,
    /// The sending ring's storage.
    pub tx_storage: Span,
    /// Where received bytes come from.
    pub source: Port,
    /// Where sent bytes go to.
    pub sink: Port,
    /// What the task waits for.
    pub wait: Wait,
    /// Whether nothing more will be received.
    pub rx_ended: bool,
    /// Whether nothing more can be sent.
    pub tx_ended: bool,
    /// Whether the last receive filled its ring: a larger one will pay.
    pub bulk: bool,
    /// The end of a message among the received bytes, at the ring's tail.
    pub rx_mark: Mark,
    /// The end of a message that this task has sent.
    pub tx_mark: Mark,
    /// Bytes that [`Wait::Received`] waits for.
    pub need: u32,
    /// How far the operation under way has come: its own unit, 0 when none is.
    pub progress: u64,
    /// When blocking operations begin to fail.
    pub deadline: Nanos,
    /// The deadline that the callers of the coroutine under way have set.
    pub outer_deadline: Nanos,
    /// When [`Wait::Wake`] ends.
    pub wake: Nanos,
    /// When the sink counts as stalled, if it takes no byte until then.
    pub stall: Nanos,
    /// `errno` of the source's failure, 0 when there is none.
    pub rx_error: i32,
    /// `errno` of the sink's failure, 0 when there is none.
    pub tx_error: i32,
    /// The hash of the checkpoint that the task stands at, 0 while it is at work.
    pub checkpoint: u64,
    /// Who speaks on the sink should the micro-process fail.
    pub last_words: LastWords,
    /// What the task asks of the dispatcher.
    pub request: Request,
    /// What came of it.
    pub outcome: Outcome,
    /// The coroutine's frame.
    pub frame: Span,
    /// The coroutine's index in the registry.
    pub entry: u32,
    /// `errno` of the error that it ended with, 0 if there was none; `ECHILD` for what is no error of the system's.
    pub failure: i32,
    /// The next task of the micro-process.
    pub next: Span,
    /// The next task of the run queue.
    pub next_runnable: Span,
}

#[allow(unsafe_code)]
mod plain {
    //! Every field is plain: rings, spans, numbers, and enums of such.
    use super::*;
    // SAFETY: two integers.
    unsafe impl Plain for Descriptor {
        const LAYOUT: u64 = hash::named::<Self>("vk::Descriptor");
    }
    // SAFETY: an enum of plain fields; no pointer, no `Drop`.
    unsafe impl Plain for Port {}
    // SAFETY: every field of the record is plain, as the list above shows.
    unsafe impl Plain for Task {}
}

impl Task {
    /// A task that is about to run `entry` with `frame`, its rings empty and leading nowhere.
    pub fn new(entry: u32, frame: Span, rx_storage: Span, tx_storage: Span) -> Task {
        Task {
            rx: Ring::new(rx_storage.len()),
            tx: Ring::new(tx_storage.len()),
            rx_storage,
            tx_storage,
            source: Port::Nothing,
            sink: Port::Nothing,
            wait: Wait::Nothing,
            rx_ended: false,
            tx_ended: false,
            bulk: false,
            rx_mark: Mark::None,
            tx_mark: Mark::None,
            need: 0,
            progress: 0,
            deadline: NEVER,
            outer_deadline: NEVER,
            wake: NEVER,
            stall: NEVER,
            rx_error: 0,
            tx_error: 0,
            checkpoint: 0,
            last_words: LastWords::NONE,
            request: Request::None,
            outcome: Outcome::None,
            frame,
            entry,
            failure: 0,
            next: Span::EMPTY,
            next_runnable: Span::EMPTY,
        }
    }

    /// The gate: the task whose record is at `place`, if what stands there can be one. Memory that another
    /// process wrote is a claim, and a `bool` that is neither 0 nor 1 must not be looked at as one.
    ///
    /// # Safety
    /// `place` is the first of as many readable bytes as a task has, aligned to 16, that nobody writes while the
    /// reference lives.
    #[allow(unsafe_code)]
    pub unsafe fn claimed<'a>(place: NonNull<u8>) -> Option<&'a Task> {
        // SAFETY: within the record, which the caller vouches for; any byte is a `u8`.
        let byte = |at: usize| unsafe { place.add(at).read() };
        // SAFETY: as above; the fields are aligned, and any four bytes are a `u32`.
        let tag = |at: usize| unsafe { place.add(at).cast::<u32>().read() };
        let bools = [offset_of!(Task, rx_ended), offset_of!(Task, tx_ended), offset_of!(Task, bulk)];
        let sound = byte(offset_of!(Task, wait)) <= Wait::Ended as u8
            && bools.into_iter().all(|at| byte(at) <= 1)
            && [offset_of!(Task, rx_mark), offset_of!(Task, tx_mark)]
                .into_iter()
                .all(|at| byte(at) <= Mark::Acknowledged as u8)
            && [offset_of!(Task, source), offset_of!(Task, sink)].into_iter().all(|at| tag(at) <= 2)
            && tag(offset_of!(Task, request)) <= REQUESTS
            && tag(offset_of!(Task, outcome)) <= OUTCOMES;
        // SAFETY: every field that not all bytes are valid for was looked at above, down to the tags of its
        // variants; what is inside of a request was written by the operation that waits for it.
        let task = sound.then(|| unsafe { place.cast::<Task>().as_ref() })?;
        let rings = [(&task.rx, task.rx_storage), (&task.tx, task.tx_storage)];
        let fit =
            |(ring, storage): (&Ring, Span)| ring.is_valid() && ring.capacity() == storage.len() as usize;
        rings.into_iter().all(fit).then_some(task)
    }

    /// Whether the received bytes end here: at the end of the stream, of a message, or at an error.
    #[inline]
    pub fn is_input_over(&self) -> bool {
        self.rx_ended || self.rx_error != 0 || self.rx_mark == Mark::Here
    }

    /// Whether what the task waits for has come, as far as the task itself can tell.
    ///
    /// [`Wait::Join`] is up to the dispatcher, who knows the other task; it answers through
    /// [`Task::outcome`].
    #[inline]
    pub fn is_ready(&self, now: Nanos) -> bool {
        let come = match self.wait {
            Wait::Nothing | Wait::Turn => true,
            Wait::Received => self.rx.len() as u32 >= self.need || self.is_input_over(),
            Wait::Space => !self.tx.is_full() || self.is_output_over(),
            Wait::Flushed => self.tx.is_empty() || self.is_output_over(),
            Wait::Shutdown => self.is_output_over(),
            Wait::Hangup => self.tx_mark == Mark::Acknowledged || self.is_output_over(),
            Wait::Wake => now >= self.wake,
            Wait::Join
            | Wait::Child
            | Wait::Accept
            | Wait::Connect
            | Wait::Resolve
            | Wait::Peer
            | Wait::Spawn
            | Wait::Start => false,
            Wait::Close => return self.outcome != Outcome::None,
            Wait::Rest | Wait::Ended => return false,
        };
        come || self.outcome != Outcome::None || now >= self.deadline
    }

    /// Exchanges where two tasks' input comes from, with what has come of it.
    pub fn exchange_inputs(&mut self, other: &mut Task) {
        swap(&mut self.rx, &mut other.rx);
        swap(&mut self.rx_storage, &mut other.rx_storage);
        swap(&mut self.source, &mut other.source);
        swap(&mut self.rx_ended, &mut other.rx_ended);
        swap(&mut self.rx_mark, &mut other.rx_mark);
        swap(&mut self.rx_error, &mut other.rx_error);
        swap(&mut self.bulk, &mut other.bulk);
    }

    /// Exchanges where two tasks' output goes to, with what is unsent of it.
    pub fn exchange_outputs(&mut self, other: &mut Task) {
        swap(&mut self.tx, &mut other.tx);
        swap(&mut self.tx_storage, &mut other.tx_storage);
        swap(&mut self.sink, &mut other.sink);
        swap(&mut self.tx_ended, &mut other.tx_ended);
        swap(&mut self.tx_mark, &mut other.tx_mark);
        swap(&mut self.tx_error, &mut other.tx_error);
        swap(&mut self.stall, &mut other.stall);
        swap(&mut self.last_words, &mut other.last_words);
    }

    /// The descriptors that it has: where its input and output lead, what it was given and has not yet seen.
    pub fn descriptors(&self) -> impl Iterator<Item = Descriptor> {
        let port = |port| match port {
            Port::Descriptor(descriptor) => Some(descriptor),
            Port::Nothing | Port::Task(_) => None,
        };
        let asked = match self.request {
            Request::Connecting(descriptor) | Request::Attach(descriptor) => Some(descriptor),
            _ => None,
        };
        let given = match self.outcome {
            Outcome::Descriptor(descriptor) => Some(descriptor),
            _ => None,
        };
        [port(self.source), port(self.sink), asked, given].into_iter().flatten()
    }

    /// Whether nothing more can be sent: the side is ended, or has failed.
    #[inline]
    pub fn is_output_over(&self) -> bool {
        self.tx_ended || self.tx_error != 0
    }

    /// When the task is to be looked at again even if nothing happens.
    #[inline]
    pub fn next_time(&self) -> Nanos {
        let stall = if self.tx.is_empty() || self.is_output_over() { NEVER } else { self.stall };
        match self.wait {
            Wait::Rest | Wait::Ended => stall,
            Wait::Wake => self.wake.min(self.deadline).min(stall),
            _ => self.deadline.min(stall),
        }
    }

    /// The failure of the source, if there is one.
    #[inline]
    pub(crate) fn receive_error(&self) -> Option<io::Error> {
        (self.rx_error != 0).then(|| io::Error::from_raw_os_error(self.rx_error))
    }

    /// The failure of the sink: an `errno`, or a broken pipe once the sending side is ended.
    #[inline]
    pub(crate) fn send_error(&self) -> Option<io::Error> {
        if self.tx_error != 0 {
            Some(io::Error::from_raw_os_error(self.tx_error))
        } else if self.tx_ended {
            Some(io::ErrorKind::BrokenPipe.into())
        } else {
            None
        }
    }
}
