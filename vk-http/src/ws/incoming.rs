//! From received bytes to messages, without a wait: what a [`Socket`](super::Socket) makes of what has come.
//!
//! ```text
//!   frames   | text, not FIN | ping | continuation, FIN |
//!   place    | payload ─────────────► payload           |  message
//!   control                  payload                       answered between the two
//! ```

use super::Kind;
use super::frame::{CONTROL, Header, Opcode, Refused, code, unmask};
use super::utf8::Utf8;
use vk_core::Plain;

/// The frame under way: what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
struct Frame {
    fin: bool,
    opcode: Opcode,
    left: u64,
    mask: [u8; 4],
}

/// What has to happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub(crate) enum Step {
    /// So many bytes have to be there.
    Needs(usize),
    /// The message's place has to have so many bytes.
    Room(usize),
    /// A message is in its place, so many bytes.
    Message(Kind, usize),
    /// A control frame is whole; its payload is in [`Incoming::control`].
    Control(Opcode),
}

/// How far messages have come.
#[derive(Debug, Plain)]
pub(crate) struct Incoming {
    frame: Option<Frame>,
    /// The message under way, of which `length` bytes are in its place.
    kind: Option<Kind>,
    length: usize,
    utf8: Utf8,
    /// A control frame's payload, with room for the head of the answer before it.
    pub(crate) control: [u8; 2 + CONTROL],
    /// Bytes of that payload.
    pub(crate) control_length: usize,
}

impl Incoming {
    pub(crate) const fn new() -> Incoming {
        Incoming {
            frame: None,
            kind: None,
            length: 0,
            utf8: Utf8::NONE,
            control: [0; 2 + CONTROL],
            control_length: 0,
        }
    }

    /// Whether no frame is under way.
    pub(crate) fn is_between(&self) -> bool {
        self.frame.is_none()
    }

    /// Bytes that are in the message's place.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Bytes that are still to come of the frame under way.
    pub(crate) fn left(&self) -> u64 {
        self.frame.map_or(0, |frame| frame.left)
    }

    /// Takes what it can of the received bytes: returns how many, and what has to happen next. `place` is the
    /// message's, of which `most` bytes are the limit.
    pub(crate) fn advance(
        &mut self,
        bytes: &[u8],
        place: &mut [u8],
        most: usize,
    ) -> Result<(usize, Step), Refused> {
        let mut at = 0;
        loop {
            let Some(frame) = &mut self.frame else {
                match Header::parse(&bytes[at..])? {
                    Err(needed) => return Ok((at, Step::Needs(needed))),
                    Ok(header) => {
                        self.begin(&header, most)?;
                        at += header.length;
                        continue;
                    }
                }
            };
            let count = ((bytes.len() - at) as u64).min(frame.left) as usize;
            let from = &bytes[at..at + count];
            if frame.opcode.is_control() {
                let begin = 2 + self.control_length;
                unmask(&mut self.control[begin..begin + count], from, &mut frame.mask);
                self.control_length += count;
            } else {
                let end = self.length + count;
                let Some(to) = place.get_mut(self.length..end) else { return Ok((at, Step::Room(end))) };
                unmask(to, from, &mut frame.mask);
                if self.kind == Some(Kind::Text) && !self.utf8.take(to) {
                    return Err(Refused(code::NOT_TEXT));
                }
                self.length = end;
            }
            at += count;
            frame.left -= count as u64;
            let Frame { fin, opcode, left, .. } = *frame;
            if left > 0 {
                return Ok((at, Step::Needs(1)));
            }
            self.frame = None;
            if opcode.is_control() {
                return Ok((at, Step::Control(opcode)));
            }
            if fin && let Some(kind) = self.kind.take() {
                if !self.utf8.is_whole() {
                    return Err(Refused(code::NOT_TEXT));
                }
                return Ok((at, Step::Message(kind, std::mem::take(&mut self.length))));
            }
        }
    }

    /// Begins a frame.
    fn begin(&mut self, header: &Header, most: usize) -> Result<(), Refused> {
        match (header.opcode, self.kind) {
            (Opcode::Text, None) => self.kind = Some(Kind::Text),
            (Opcode::Binary, None) => self.kind = Some(Kind::Binary),
            (Opcode::Continuation, Some(_)) => {}
            (Opcode::Text | Opcode::Binary | Opcode::Continuation, _) => return Err(Refused(code::PROTOCOL)),
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => self.control_length = 0,
        }
        if !header.opcode.is_control() && header.payload > most.saturating_sub(self.length) as u64 {
            return Err(Refused(code::TOO_LARGE));
        }
        let Header { fin, opcode, payload: left, mask, .. } = *header;
        self.frame = Some(Frame { fin, opcode, left, mask });
        Ok(())
    }

    /// The code of the close that is in `control` (RFC 6455, 5.5.1).
    pub(crate) fn close_code(&self) -> Result<u16, Refused> {
        let [high, low, reason @ ..] = &self.control[2..2 + self.control_length] else {
            return if self.control_length == 0 { Ok(code::NONE) } else { Err(Refused(code::PROTOCOL)) };
        };
        let code = u16::from_be_bytes([*high, *low]);
        match str::from_utf8(reason) {
            _ if !code::may_be_sent(code) => Err(Refused(code::PROTOCOL)),
            Ok(_) => Ok(code),
            Err(_) => Err(Refused(code::NOT_TEXT)),
        }
    }
}
