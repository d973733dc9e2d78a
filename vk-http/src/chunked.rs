//! The chunked coding's framing (RFC 9112, 7.1), taken apart byte by byte wherever the input is cut.
//!
//! ```text
//! | size ;name="value" CRLF | data | CRLF | … | 0 CRLF | trailer CRLF | … | CRLF |
//!   └──── framing ────────┘          └────────────── framing ──────────────────┘
//! ```

use crate::bytes::TOKEN;
use crate::limits::Limits;
use crate::status::Refused;
use vk_core::Plain;

/// What the next byte of framing is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
enum Part {
    /// A chunk's size, which has so many digits already.
    Size(u8),
    /// White space before a `;`.
    Gap,
    /// An extension's name is to come, behind white space.
    NameBegin,
    Name,
    /// White space before a `=` or `;`.
    NameEnd,
    /// An extension's value is to come, behind white space.
    ValueBegin,
    Value,
    Quoted,
    Escaped,
    QuotedEnd,
    /// The line feed behind a chunk's size.
    SizeFeed,
    /// Data: no framing until it has come.
    Data,
    DataReturn,
    DataFeed,
    /// A trailer field, or the blank line.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerFeed,
    LastFeed,
    /// The body is over.
    End,
}

/// A chunked body on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub(crate) struct Chunked {
    /// Bytes of the current chunk that are still to come.
    left: u64,
    part: Part,
    /// Bytes of extensions so far.
    extensions: u16,
    /// Bytes of trailers so far, the blank line not among them.
    trailers: u16,
}

/// What was taken of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Plain)]
pub(crate) struct Taken {
    /// Bytes of framing.
    pub(crate) framing: usize,
    /// Bytes of them that are of trailer fields, in one piece.
    pub(crate) trailers: usize,
    /// Where this piece begins.
    pub(crate) trailers_at: usize,
}

/// Digits of a size: as many as 64 bits have.
const DIGITS: u8 = 16;

impl Chunked {
    /// Before the first chunk.
    pub(crate) const fn new() -> Chunked {
        Chunked { left: 0, part: Part::Size(0), extensions: 0, trailers: 0 }
    }

    /// Whether the body is over.
    pub(crate) fn is_over(&self) -> bool {
        self.part == Part::End
    }

    /// Bytes of data that come next, before any framing.
    pub(crate) fn left(&self) -> u64 {
        if self.part == Part::Data { self.left } else { 0 }
    }

    /// `count` bytes of data were taken, at most [`left`](Chunked::left).
    pub(crate) fn took(&mut self, count: u64) {
        self.left -= count;
        if self.left == 0 && self.part == Part::Data {
            self.part = Part::DataReturn;
        }
    }

    /// Takes the framing at the beginning of `bytes`, up to data or the body's end; returns how much that is.
    pub(crate) fn advance(&mut self, bytes: &[u8], limits: &Limits) -> Result<Taken, Refused> {
        let mut taken = Taken { framing: bytes.len(), ..Taken::default() };
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(self.part, Part::Data | Part::End) {
                taken.framing = at;
                break;
            }
            let before = self.trailers;
            self.part = self.next(*byte, limits)?;
            if self.trailers > before {
                taken.trailers_at = if taken.trailers == 0 { at } else { taken.trailers_at };
                taken.trailers += 1;
            }
        }
        Ok(taken)
    }

    fn next(&mut self, byte: u8, limits: &Limits) -> Result<Part, Refused> {
        use Part::*;
        match self.part {
            Gap | NameBegin | Name | NameEnd | ValueBegin | Value | Quoted | Escaped | QuotedEnd => {
                if self.extensions >= limits.extensions {
                    return Err(Refused(400));
                }
                self.extensions += 1;
            }
            Trailer if byte == b'\r' => {}
            Trailer | TrailerName | TrailerValue | TrailerFeed => {
                if self.trailers >= limits.trailers {
                    return Err(Refused(431));
                }
                self.trailers += 1;
            }
            _ => {}
        }
        Ok(match (self.part, byte) {
            (Size(digits), _) if byte.is_ascii_hexdigit() && digits < DIGITS => {
                let digit = u64::from((byte as char).to_digit(16).unwrap_or(0));
                self.left = self.left << 4 | digit;
                Size(digits + 1)
            }
            // Half of what 64 bits hold is no size that anybody sends in earnest.
            (Size(1..), _) if self.left > i64::MAX as u64 => return Err(Refused(413)),
            (Size(1..) | Name | Value | QuotedEnd, b'\r') => SizeFeed,
            (Size(1..) | Gap | Name | NameEnd | Value | QuotedEnd, b';') => NameBegin,
            (Size(1..) | Gap | Value | QuotedEnd, b' ' | b'\t') => Gap,
            (NameBegin, b' ' | b'\t') => NameBegin,
            (NameBegin | Name, _) if TOKEN.has(byte) => Name,
            (Name | NameEnd, b' ' | b'\t') => NameEnd,
            (Name | NameEnd, b'=') => ValueBegin,
            (ValueBegin, b' ' | b'\t') => ValueBegin,
            (ValueBegin, b'"') => Quoted,
            (ValueBegin | Value, _) if TOKEN.has(byte) => Value,
            (Quoted, b'"') => QuotedEnd,
            (Quoted, b'\\') => Escaped,
            (Quoted | Escaped, _) if is_text(byte) => Quoted,
            (SizeFeed, b'\n') => match self.left {
                0 => Trailer,
                _ => Data,
            },
            (DataReturn, b'\r') => DataFeed,
            (DataFeed, b'\n') => Size(0),
            (Trailer, b'\r') => LastFeed,
            (Trailer | TrailerName, _) if TOKEN.has(byte) => TrailerName,
            (TrailerName, b':') => TrailerValue,
            (TrailerValue, b'\r') => TrailerFeed,
            (TrailerValue, _) if is_text(byte) => TrailerValue,
            (TrailerFeed, b'\n') => Trailer,
            (LastFeed, b'\n') => End,
            _ => return Err(Refused(400)),
        })
    }
}

/// What a field's value or a quoted string consists of.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes input that comes cut at `cuts`: the data, and whether it ended, with how many bytes left over.
    fn decode(bytes: &[u8], cuts: &[usize]) -> (Vec<u8>, Result<Option<usize>, Refused>) {
        let (mut body, mut data, mut at) = (Chunked::new(), Vec::new(), 0);
        for end in cuts.iter().copied().chain([bytes.len()]) {
            while at < end {
                match body.advance(&bytes[at..end], &Limits::DEFAULT) {
                    Ok(taken) => at += taken.framing,
                    Err(refused) => return (data, Err(refused)),
                }
                let count = (end - at).min(body.left() as usize);
                data.extend_from_slice(&bytes[at..at + count]);
                body.took(count as u64);
                at += count;
                if body.is_over() {
                    return (data, Ok(Some(bytes.len() - at)));
                }
            }
        }
        (data, Ok(None))
    }

    fn outcome(text: &str) -> Result<Option<usize>, Refused> {
        decode(text.as_bytes(), &[]).1
    }

    #[test]
    fn bodies() {
        for (text, data) in [
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"),
            ("a\r\n0123456789\r\n00\r\n\r\n", "0123456789"),
            ("7\r\n0\r\n\r\nab\r\n0\r\n\r\n", "0\r\n\r\nab"),
            ("1;a\r\nx\r\n0;a=b;c = \"d\\\"\\\\;\" ; e\r\n\r\n", "x"),
            ("1 ;a\r\nx\r\n0\r\nX-t: v\r\nY:\t\u{e9}\r\n\r\n", "x"),
        ] {
            let text = format!("{text}next");
            assert_eq!(decode(text.as_bytes(), &[]), (data.as_bytes().to_vec(), Ok(Some(4))), "{text}");
        }
    }

    #[test]
    fn refusals() {
        for text in [
            "\r\n",
            ";a\r\n",
            "g\r\n",
            "-5\r\n",
            "0x5\r\n",
            "5 \r\n",
            "5;\r\n",
            "5;a=\r\n",
            "5;a \r\n",
            "5 5\r\n",
            "5\n",
            "5\rX",
            "5;a\nb\r\n",
            "5;a=\"\n",
            "5;a=\"b\"c\r\n",
            "5\r\nhelloX",
            "5\r\nhello\n",
            "5\r\nhello\rX",
            "0\r\nnocolon\r\n",
            "0\r\n: v\r\n",
            "0\r\nX: v\r\n w\r\n",
            "0\r\nX: v\n",
            "0\r\n\n",
            "0\r\n\r\r",
            "00000000000000000",
        ] {
            assert_eq!(outcome(text), Err(Refused(400)), "{text:?}");
        }
        assert_eq!(outcome("8000000000000000\r\n"), Err(Refused(413)));
        assert_eq!(outcome("7fffffffffffffff\r\n"), Ok(None));
    }

    #[test]
    fn limits() {
        let extension = |length: usize| outcome(&format!("0;{}\r\n\r\n", "a".repeat(length)));
        let limit = usize::from(Limits::DEFAULT.extensions);
        assert_eq!(extension(limit - 1), Ok(Some(0)));
        assert_eq!(extension(limit), Err(Refused(400)));
        let trailer = |length: usize| outcome(&format!("0\r\na:{}\r\n\r\n", "b".repeat(length)));
        let limit = usize::from(Limits::DEFAULT.trailers);
        assert_eq!(trailer(limit - 4), Ok(Some(0)));
        assert_eq!(trailer(limit - 3), Err(Refused(431)));
    }

    proptest! {
        /// However the input is cut, the outcome is the same.
        #[test]
        fn cuts_make_no_difference(
            parts in prop::collection::vec(
                prop::sample::select(vec!["0", "1", "3", "abc", "\r\n", "\r", "\n", ";", "a", "=", "\"", "\\", " ", ":", "\0"]),
                0..30,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bytes = parts.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let every: Vec<usize> = (0..bytes.len()).collect();
            let whole = decode(&bytes, &[]);
            prop_assert_eq!(&decode(&bytes, &cuts), &whole);
            prop_assert_eq!(&decode(&bytes, &every), &whole);
        }

        /// What was put into chunks comes out again, wherever they were cut.
        #[test]
        fn round_trip(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            extension in "(;[a-z]{1,3}(=[0-9]{1,3})?)?",
            step in 1usize..7,
        ) {
            let mut bytes = Vec::new();
            for chunk in &chunks {
                bytes.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            let cuts: Vec<usize> = (0..bytes.len()).step_by(step).collect();
            prop_assert_eq!(decode(&bytes, &cuts), (chunks.concat(), Ok(Some(0))));
        }
    }
}
