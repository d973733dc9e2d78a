//! The head of a frame (RFC 6455, 5.2).
//!
//! ```text
//! | FIN RSV RSV RSV opcode:4 | MASK length:7 | 0, 2 or 8 bytes of length | 4 bytes of mask, from a client |
//! ```

use vk_core::{Line, Plain};

/// The code of a close (RFC 6455, 7.4.1).
pub(crate) mod code {
    pub(crate) const GOING_AWAY: u16 = 1001;
    pub(crate) const PROTOCOL: u16 = 1002;
    /// Never sent: the peer's close has no code.
    pub(crate) const NONE: u16 = 1005;
    /// Never sent: the connection ended without a close.
    pub(crate) const GONE: u16 = 1006;
    pub(crate) const NOT_TEXT: u16 = 1007;
    pub(crate) const TOO_LARGE: u16 = 1009;
    pub(crate) const INTERNAL: u16 = 1011;

    /// Whether a close may have this code: those of RFC 6455 and the IANA's registry, and those for applications.
    pub(crate) fn may_be_sent(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// What came is refused: the connection is closed with this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) u16);

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub(crate) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn of(number: u8) -> Option<Opcode> {
        use Opcode::*;
        [Continuation, Text, Binary, Close, Ping, Pong].into_iter().find(|opcode| *opcode as u8 == number)
    }

    /// Whether it may come between the frames of a message.
    pub(crate) fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// The largest payload of a control frame.
pub(crate) const CONTROL: usize = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// The head of a frame from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Whether it is the message's last.
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    /// Bytes of the payload.
    pub(crate) payload: u64,
    pub(crate) mask: [u8; 4],
    /// Bytes of the head itself.
    pub(crate) length: usize,
}

impl Header {
    /// Reads what begins the received bytes; `Err` of how many are needed if there are fewer.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Result<Header, usize>, Refused> {
        const WRONG: Refused = Refused(code::PROTOCOL);
        let [first, second, rest @ ..] = bytes else { return Ok(Err(2)) };
        let opcode = Opcode::of(first & 0x0f).ok_or(WRONG)?;
        let (fin, short) = (first & FIN != 0, second & !MASKED);
        if first & RESERVED != 0 || second & MASKED == 0 {
            return Err(WRONG);
        }
        if opcode.is_control() && !(fin && usize::from(short) <= CONTROL) {
            return Err(WRONG);
        }
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let length = 2 + extended + 4;
        if bytes.len() < length {
            return Ok(Err(length));
        }
        let (long, rest) = rest.split_at(extended);
        let long = long.iter().fold(0, |long, byte| long << 8 | u64::from(*byte));
        let payload = match short {
            126 if long >= 126 => long,
            127 if long > 0xffff && long >> 63 == 0 => long,
            // Not the shortest way to say it.
            126 | 127 => return Err(WRONG),
            _ => short.into(),
        };
        let mask = [rest[0], rest[1], rest[2], rest[3]];
        Ok(Ok(Header { fin, opcode, payload, mask, length }))
    }
}

/// The head of a frame from a server.
pub(crate) fn head(fin: bool, opcode: Opcode, payload: usize) -> Line<10> {
    let first = opcode as u8 | if fin { FIN } else { 0 };
    let long = (payload as u64).to_be_bytes();
    let mut head = Line::new();
    let text = match payload {
        0..=125 => head.extend(&[first, payload as u8]),
        126..=0xffff => head.extend(&[first, 126, long[6], long[7]]),
        _ => head.extend(&[first, 127]).and_then(|()| head.extend(&long)),
    };
    text.expect("ten bytes are the longest");
    head
}

/// Moves masked bytes to where they are wanted, and turns the mask to where the next piece begins.
///
/// # Panics
/// If `to` and `from` differ in length.
pub(crate) fn unmask(to: &mut [u8], from: &[u8], mask: &mut [u8; 4]) {
    assert_eq!(to.len(), from.len());
    let word = u32::from_ne_bytes(*mask);
    let (to, rest) = to.as_chunks_mut::<4>();
    let (from, from_rest) = from.as_chunks::<4>();
    for (to, from) in to.iter_mut().zip(from) {
        *to = (u32::from_ne_bytes(*from) ^ word).to_ne_bytes();
    }
    for ((to, from), key) in rest.iter_mut().zip(from_rest).zip(*mask) {
        *to = from ^ key;
    }
    mask.rotate_left(from_rest.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8]) -> Result<Result<(bool, Opcode, u64), usize>, u16> {
        match Header::parse(bytes) {
            Ok(Ok(header)) => Ok(Ok((header.fin, header.opcode, header.payload))),
            Ok(Err(needed)) => Ok(Err(needed)),
            Err(Refused(code)) => Err(code),
        }
    }

    #[test]
    fn heads() {
        for (bytes, outcome) in [
            (&b""[..], Ok(Err(2))),
            (b"\x81", Ok(Err(2))),
            (b"\x81\x80", Ok(Err(6))),
            (b"\x81\x80mask", Ok(Ok((true, Opcode::Text, 0)))),
            (b"\x02\xfdmask", Ok(Ok((false, Opcode::Binary, 125)))),
            (b"\x02\xfe", Ok(Err(8))),
            (b"\x00\xfe\x00\x7emask", Ok(Ok((false, Opcode::Continuation, 126)))),
            (b"\x00\xfe\x00\x7dmask", Err(1002)),
            (b"\x82\xff", Ok(Err(14))),
            (b"\x82\xff\0\0\0\0\0\x01\0\0mask", Ok(Ok((true, Opcode::Binary, 65536)))),
            (b"\x82\xff\0\0\0\0\0\0\xff\xffmask", Err(1002)),
            (b"\x82\xff\x80\0\0\0\0\0\0\0mask", Err(1002)),
            (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask", Ok(Ok((true, Opcode::Binary, u64::MAX >> 1)))),
            (b"\x89\xfdmask", Ok(Ok((true, Opcode::Ping, 125)))),
            (b"\x89\xfe", Err(1002)),
            (b"\x09\x80", Err(1002)),
            (b"\x88\x00", Err(1002)),
            (b"\xc1\x80", Err(1002)),
            (b"\xa1\x80", Err(1002)),
            (b"\x91\x80", Err(1002)),
            (b"\x83\x80", Err(1002)),
            (b"\x8f\x80", Err(1002)),
        ] {
            assert_eq!(parse(bytes), outcome, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn own_heads() {
        for (payload, bytes) in [
            (0, &b"\x82\0"[..]),
            (125, b"\x82\x7d"),
            (126, b"\x82\x7e\0\x7e"),
            (65535, b"\x82\x7e\xff\xff"),
            (65536, b"\x82\x7f\0\0\0\0\0\x01\0\0"),
        ] {
            assert_eq!(&*head(true, Opcode::Binary, payload), bytes);
        }
        assert_eq!(&*head(false, Opcode::Continuation, 1), b"\0\x01");
    }

    #[test]
    fn codes() {
        let allowed: Vec<u16> = (0..3000).filter(|code| code::may_be_sent(*code)).collect();
        assert_eq!(allowed, [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]);
        assert!(code::may_be_sent(3000) && code::may_be_sent(4999) && !code::may_be_sent(5000));
    }

    proptest! {
        /// In pieces as byte by byte.
        #[test]
        fn masks(bytes in prop::collection::vec(any::<u8>(), 0..50), mask: [u8; 4], size in 1usize..20) {
            let mut to = vec![0; bytes.len()];
            let mut turned = mask;
            for (to, from) in to.chunks_mut(size).zip(bytes.chunks(size)) {
                unmask(to, from, &mut turned);
            }
            let plain: Vec<u8> = bytes.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            prop_assert_eq!(to, plain);
        }
    }
}
