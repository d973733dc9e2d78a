//! Streams of bytes in which each place differs from its neighbourhood, so that nothing can be lost, doubled
//! or exchanged unseen.

use std::io::{ErrorKind, Read, Write};
use std::sync::OnceLock;

/// Small random numbers, the same for the same seed: SplitMix64 (Steele, Lea, Flood: "Fast splittable
/// pseudorandom number generators", 2014).
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number, any.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ number >> 31
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// A number from 1 to 100,000; as many small ones as large ones.
    pub fn chunk(&mut self) -> usize {
        let most = [1, 10, 100, 1000, 10_000, 100_000][self.below(6) as usize];
        1 + self.below(most) as usize
    }
}

/// A prime number of bytes, so that no buffer's size divides it.
const PERIOD: usize = 1_000_003;

/// The bytes of the stream at `at`, at most `most`, as one slice.
fn stream(at: u64, most: usize) -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let mut random = Random(7);
        (0..PERIOD).map(|_| random.number() as u8).collect()
    });
    let rest = &bytes[(at % PERIOD as u64) as usize..];
    &rest[..most.min(rest.len())]
}

/// Writes the stream's first `count` bytes in chunks of random sizes.
///
/// # Errors
/// That of `to`, after which nothing more is written.
pub fn send(to: &mut impl Write, count: u64, seed: u64) -> std::io::Result<()> {
    let mut random = Random(seed);
    let mut at = 0;
    while at < count {
        let most = random.chunk().min(usize::try_from(count - at).unwrap_or(usize::MAX));
        let chunk = stream(at, most);
        to.write_all(chunk)?;
        at += chunk.len() as u64;
    }
    Ok(())
}

/// Reads the stream's first `count` bytes in chunks of random sizes, and its end.
///
/// # Panics
/// If something else comes, or nothing for too long.
#[track_caller]
pub fn expect(from: &mut impl Read, count: u64, seed: u64) {
    let mut random = Random(seed);
    let mut buffer = vec![0; 100_000];
    let mut at = 0;
    loop {
        let most = random.chunk();
        let got = match from.read(&mut buffer[..most]) {
            Ok(0) => break,
            Ok(got) => got,
            // A socket with a timeout answers so when the process was stopped for a while: signal(7).
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => panic!("the stream does not go on: {error}"),
        };
        let mut got = &buffer[..got];
        while !got.is_empty() {
            let chunk = stream(at, got.len());
            assert!(got[..chunk.len()] == *chunk, "other bytes than were sent, at {at} or soon after");
            at += chunk.len() as u64;
            got = &got[chunk.len()..];
        }
    }
    assert_eq!(at, count, "bytes until the end");
}
