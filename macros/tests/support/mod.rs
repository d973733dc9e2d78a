//! What the run tests share: a check of one coroutine under all timings, and small coroutines to call.

#![allow(dead_code, unused_macros, unused_imports, reason = "not every test uses all")]

use proptest::prelude::*;
use std::fmt::Debug;
use std::io;
use vk::Io;
use vk::rt::Coroutine;

/// Runs `C` with the operations suspended where random scripts say so.
pub fn check<C: Coroutine<Args: Clone, Output: Debug + PartialEq>>(
    args: C::Args,
    input: &str,
    expected: (C::Output, &str),
) {
    let run = |script: Vec<bool>| {
        let mut io = Io::new(input, script);
        let output = vk::run::<C>(args.clone(), &mut io);
        assert_eq!((&output, io.text().as_str()), (&expected.0, expected.1), "{}", C::NAME);
        assert_eq!(io.deadline, 0);
    };
    run(Vec::new());
    run(vec![true; 500]);
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(script in prop::collection::vec(any::<bool>(), 0..100))| run(script));
}

/// Results that can be compared.
pub type Fine<T> = Result<T, io::ErrorKind>;

/// `io::Error` can't be compared.
pub trait Comparable<T> {
    /// The result with the kind of its error.
    fn kind(self) -> Fine<T>;
}

impl<T> Comparable<T> for io::Result<T> {
    fn kind(self) -> Fine<T> {
        self.map_err(|error| error.kind())
    }
}

/// Tests: name, coroutine and arguments, input, result and output.
macro_rules! checks {
    ($($test:ident: $call:ident($($args:expr),*) on $input:expr => $output:expr, $text:expr;)*) => { $(
        #[test]
        fn $test() {
            check::<$call>(($($args,)*), $input, ($output, $text));
        }
    )* };
}

pub(crate) use checks;

/// Reads one byte; `None` at the end.
#[vk::coroutine]
pub fn byte(io: &mut Io) -> Option<u8> {
    let mut buffer: [u8; 1] = [0];
    let count = io.read(&mut buffer).ok()?;
    (count == 1).then_some(buffer[0])
}

/// Reads a digit, or an error.
#[vk::coroutine]
pub fn digit(io: &mut Io) -> Fine<u32> {
    let Some(byte) = byte(io) else { return Err(io::ErrorKind::UnexpectedEof) };
    char::from(byte).to_digit(10).ok_or(io::ErrorKind::InvalidData)
}

/// Writes text and a line end.
#[vk::coroutine]
pub fn say(io: &mut Io, text: &str) -> Fine<()> {
    io.write_all(text.as_bytes()).kind()?;
    io.write_all(b"\n").kind()
}
