//! The state of a WebSocket.

use super::frame::{CONTROL, Opcode, code, head};
use super::incoming::Incoming;
use super::utf8::Utf8;
use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;
use vk_core::{HeapBytes, Nanos, Plain, time};

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// What a client may take of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub struct Limits {
    /// Bytes of a message; a larger one is refused with 1009.
    pub message: u32,
    /// Seconds of silence after which the client is sent a ping, and after as many more is given up. 0 for never.
    pub ping_secs: u16,
}

impl Limits {
    /// What holds if nothing else is said.
    pub const DEFAULT: Limits = Limits {
        message: 1 << 20,
        // Proxies commonly end a connection after a minute of silence.
        ping_secs: 30,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::DEFAULT
    }
}

/// How far the handler's messages have gone out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub(crate) enum Outgoing {
    /// None is under way.
    Between,
    /// One is begun, and no frame of it is sent.
    Begun(Kind),
    /// Frames of it are sent, and more are to come.
    Within(Kind),
    /// A frame is cut: nothing can follow.
    Torn,
    /// Nothing follows the close, which is sent or owed; or there never was a connection.
    Closed,
}

impl Outgoing {
    /// The next frame's.
    pub(crate) fn opcode(self) -> Opcode {
        match self {
            Outgoing::Begun(Kind::Text) => Opcode::Text,
            Outgoing::Begun(Kind::Binary) => Opcode::Binary,
            _ => Opcode::Continuation,
        }
    }

    /// After a frame that is not the message's last.
    pub(crate) fn within(self) -> Outgoing {
        match self {
            Outgoing::Begun(kind) => Outgoing::Within(kind),
            other => other,
        }
    }
}

/// A WebSocket: small and plain, it lives in the handler's frame, its message beside it in the micro-heap.
///
/// It is connected by [`accept`](struct@super::accept).
#[derive(Plain)]
pub struct Socket {
    /// The message that [`recv`](struct@super::recv) returned last, until it is called again.
    pub message: Message,
    /// What the client may take. What is changed here holds from the next frame on.
    pub limits: Limits,
    /// Which of the subprotocols of [`accept`](struct@super::accept) was agreed upon.
    pub protocol: Option<u8>,
    pub(crate) incoming: Incoming,
    /// Bytes that have to be there to go on.
    pub(crate) need: usize,
    /// Which bytes of [`Incoming::control`] have to be sent before anything else.
    pub(crate) owed: Cell<(u8, u8)>,
    pub(crate) outgoing: Cell<Outgoing>,
    /// What was written of the text under way.
    pub(crate) written: Cell<Utf8>,
    /// When something came last.
    heard: Nanos,
    /// Whether a ping was sent since.
    pinged: bool,
    /// The code of the end; 0 before it.
    code: u16,
    /// How long the end may take.
    until: Nanos,
}

impl Socket {
    /// No connection yet.
    pub const fn new() -> Socket {
        Socket {
            message: Message { place: HeapBytes::EMPTY, length: 0 },
            limits: Limits::DEFAULT,
            protocol: None,
            incoming: Incoming::new(),
            need: HEAD,
            owed: Cell::new((0, 0)),
            outgoing: Cell::new(Outgoing::Closed),
            written: Cell::new(Utf8::NONE),
            heard: 0,
            pinged: false,
            code: code::GONE,
            until: 0,
        }
    }

    /// Why it ended; None before. The code of the client's close, 1005 if that has none, 1006 if the client has gone
    /// without one; what it was refused with; or what the handler [closed](struct@super::close) it with.
    pub fn code(&self) -> Option<u16> {
        (self.code > 0).then_some(self.code)
    }

    /// It is connected, with all limits as they are.
    pub(crate) fn connected(&mut self, protocol: Option<u8>) {
        let limits = self.limits;
        *self = Socket { limits, protocol, heard: time::now(), code: 0, ..Socket::new() };
        self.outgoing.set(Outgoing::Between);
    }

    /// Something came.
    pub(crate) fn hears(&mut self) {
        self.heard = time::now();
        self.pinged = false;
    }

    /// How long to wait until [`overdue`](Socket::overdue).
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_nanos(self.next_sign().saturating_sub(time::now()))
    }

    /// Whether a sign of life is missing.
    pub(crate) fn is_overdue(&self) -> bool {
        time::now() >= self.next_sign()
    }

    fn next_sign(&self) -> Nanos {
        match self.limits.ping_secs {
            0 => Nanos::MAX,
            secs => self.heard + Nanos::from(secs) * 1_000_000_000 * if self.pinged { 2 } else { 1 },
        }
    }

    /// Asks for a sign of life, or, if that was in vain or can't be sent, ends.
    pub(crate) fn overdue(&mut self) {
        if self.pinged || self.is_owing() {
            return self.ends(code::GONE);
        }
        self.pinged = true;
        self.owe(Opcode::Ping, 0);
    }

    /// A control frame is to be sent, with so many bytes of [`Incoming::control`].
    pub(crate) fn owe(&mut self, opcode: Opcode, payload: usize) {
        self.incoming.control[..2].copy_from_slice(&head(true, opcode, payload));
        self.owed.set((0, 2 + payload as u8));
    }

    /// The messages are at an end.
    pub(crate) fn ends(&mut self, code: u16) {
        self.code = code;
        self.until = time::now() + CLOSE_TIME.as_nanos() as Nanos;
        if self.outgoing.get() != Outgoing::Torn {
            self.outgoing.set(Outgoing::Closed);
        }
    }

    /// The messages are at an end, and the client is told so.
    pub(crate) fn ends_with(&mut self, code: u16, reason: &str) {
        let cut = reason.floor_char_boundary(CONTROL - 2);
        self.incoming.control[2..4].copy_from_slice(&code.to_be_bytes());
        self.incoming.control[4..4 + cut].copy_from_slice(&reason.as_bytes()[..cut]);
        self.owe(Opcode::Close, 2 + cut);
        self.ends(code);
    }

    /// How long its end may still take.
    pub(crate) fn rest(&self) -> Duration {
        Duration::from_nanos(self.until.saturating_sub(time::now()))
    }
}

/// How long the client may take to close its side.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// Bytes that begin each frame.
pub(crate) const HEAD: usize = 2;

impl Default for Socket {
    fn default() -> Socket {
        Socket::new()
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("code", &self.code()).finish_non_exhaustive()
    }
}

/// A message in memory: its bytes.
#[derive(Debug, Plain)]
pub struct Message {
    pub(crate) place: HeapBytes,
    /// Bytes of the message, at the beginning of the place.
    pub(crate) length: usize,
}

impl Message {
    /// The message as text; "" if it is not UTF-8, as a binary one may be.
    pub fn as_str(&self) -> &str {
        str::from_utf8(self).unwrap_or_default()
    }
}

impl Deref for Message {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.place[..self.length]
    }
}

// A handler's frame shares a page of 4 KiB with two rings of 1 KiB and the task's record.
const _: () = assert!(size_of::<Socket>() <= 288);
