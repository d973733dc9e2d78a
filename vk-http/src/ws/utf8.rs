//! UTF-8 that comes in pieces.

use vk_core::Plain;

/// What has come of a character that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub(crate) struct Utf8 {
    begun: [u8; 4],
    /// Bytes of it: at most 3.
    length: u8,
}

impl Utf8 {
    /// Nothing has come.
    pub(crate) const NONE: Utf8 = Utf8 { begun: [0; 4], length: 0 };

    /// Takes the next piece; false if the text can't become UTF-8 any more, whatever follows.
    pub(crate) fn take(&mut self, mut piece: &[u8]) -> bool {
        while self.length > 0 {
            let Some((byte, rest)) = piece.split_first() else { return true };
            piece = rest;
            self.begun[usize::from(self.length)] = *byte;
            self.length += 1;
            match str::from_utf8(&self.begun[..self.length.into()]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        let Err(error) = str::from_utf8(piece) else { return true };
        let rest = &piece[error.valid_up_to()..];
        if error.error_len().is_some() {
            return false;
        }
        self.begun[..rest.len()].copy_from_slice(rest);
        self.length = rest.len() as u8;
        true
    }

    /// Whether no character is cut at the end.
    pub(crate) fn is_whole(&self) -> bool {
        self.length == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes that are taken until it is known that they are no UTF-8; None if they all may be.
    fn refused_at(bytes: &[u8]) -> Option<usize> {
        let mut utf8 = Utf8::NONE;
        bytes.iter().position(|byte| !utf8.take(&[*byte]))
    }

    #[test]
    fn fails_at_the_first_wrong_byte() {
        for (bytes, at) in [
            (&b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"[..], Some(12)),
            (b"\xf4\x90\x80\x80", Some(1)),
            (b"\xf4\x8f\xbf\xbf", None),
            (b"\xf5", Some(0)),
            (b"\xc0\x80", Some(0)),
            (b"\xc1", Some(0)),
            (b"\xe0\x80", Some(1)),
            (b"\xf0\x8f", Some(1)),
            (b"\x80", Some(0)),
            (b"\xe2\x82a", Some(2)),
            (b"\xff", Some(0)),
        ] {
            assert_eq!(refused_at(bytes), at, "{bytes:x?}");
        }
    }

    proptest! {
        /// However it is cut, it is UTF-8 if it is as a whole.
        #[test]
        fn cuts_make_no_difference(
            parts in prop::collection::vec(prop_oneof![
                any::<char>().prop_map(|c| c.to_string().into_bytes()),
                prop::collection::vec(any::<u8>(), 1..3),
            ], 0..8),
            size in 1usize..9,
        ) {
            let bytes = parts.concat();
            let mut utf8 = Utf8::NONE;
            let taken = bytes.chunks(size).all(|piece| utf8.take(piece)) && utf8.is_whole();
            prop_assert_eq!(taken, str::from_utf8(&bytes).is_ok());
        }
    }
}
