//! Gzip (RFC 1952) in pieces that know nothing of each other, so that what lies between two of them is two numbers: a
//! compressor is no plain data, and would not outlive a blocking call.
//!
//! ```text
//! | HEAD | blocks of piece 0, to a whole byte | blocks of piece 1 … | last block, CRC-32, length |
//! ```

use flate2::{Compress, Compression, FlushCompress};
use std::io;
use vk_core::Plain;

/// What a compressed stream begins with: of an unknown system and time, without a name.
pub(crate) const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A compressed stream on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Plain)]
pub(crate) struct Gzip {
    crc: u32,
    /// Bytes that were compressed, modulo 2³².
    length: u32,
}

impl Gzip {
    /// Adds a piece of what is compressed to `to`.
    pub(crate) fn piece(&mut self, piece: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
        let mut crc = crc32fast::Hasher::new_with_initial(self.crc);
        crc.update(piece);
        self.crc = crc.finalize();
        self.length = self.length.wrapping_add(piece.len() as u32);
        let mut deflate = Compress::new(Compression::fast(), false);
        loop {
            // What can't be compressed needs five bytes more for each 16 KiB or so, and five to end at a whole byte.
            to.reserve(piece.len() + piece.len() / 1024 + 64);
            let rest = &piece[deflate.total_in() as usize..];
            deflate.compress_vec(rest, to, FlushCompress::Sync).map_err(io::Error::other)?;
            if to.len() < to.capacity() {
                return Ok(());
            }
        }
    }

    /// What ends the stream.
    pub(crate) fn tail(&self) -> [u8; 10] {
        // A last block, of fixed codes, with nothing in it (RFC 1951, 3.2.6).
        let mut tail = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        tail[2..6].copy_from_slice(&self.crc.to_le_bytes());
        tail[6..].copy_from_slice(&self.length.to_le_bytes());
        tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use proptest::prelude::*;
    use std::io::Read;

    proptest! {
        /// What was compressed in pieces comes out again, whatever they are.
        #[test]
        fn round_trip(
            pieces in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..3000), 1usize..30),
                0..5,
            ),
        ) {
            let (mut gzip, mut bytes, mut plain) = (Gzip::default(), HEAD.to_vec(), Vec::new());
            for (piece, times) in &pieces {
                let piece = piece.repeat(*times);
                plain.extend_from_slice(&piece);
                gzip.piece(&piece, &mut bytes).unwrap();
            }
            bytes.extend_from_slice(&gzip.tail());
            let (mut decoder, mut decoded) = (GzDecoder::new(&bytes[..]), Vec::new());
            decoder.read_to_end(&mut decoded).unwrap();
            prop_assert_eq!(decoded, plain);
            prop_assert!(decoder.into_inner().is_empty());
        }
    }

    #[test]
    fn text_becomes_smaller() {
        let (mut gzip, mut bytes) = (Gzip::default(), Vec::new());
        gzip.piece(&b"all work and no play ".repeat(3000), &mut bytes).unwrap();
        assert!(bytes.len() < 1000, "{}", bytes.len());
    }
}
