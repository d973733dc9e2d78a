//! What is said when a micro-process fails: a coroutine, named before by the one that may fail.
//!
//! It stands in the [task](crate::Task) by the hash of its name, since neither an address nor an index means the same in
//! the next build, and goes where the output goes: who [swaps](Io::swap) connections takes it along.

use crate::rt::Coroutine;
use crate::{Entry, Io, Plain, hash};
use std::io;
use std::task::Poll::{self, Ready};

/// A coroutine that speaks for another one that has failed: see [`Io::last_words`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct LastWords(u64);

impl LastWords {
    /// Nothing: who fails just ends.
    pub const NONE: LastWords = LastWords(0);

    /// Those of a coroutine without arguments. The compiler refuses a generic one, which could not be found by its name.
    pub const fn of<C: Coroutine<Args = (), Output = io::Result<()>>>() -> LastWords {
        assert!(matches!(C::ENTRY, Some(Some(_))), "last words are said by a coroutine that is not generic");
        LastWords(hash::text(C::NAME))
    }

    /// The coroutine; `None` if there is none, or not in this build.
    pub fn entry(self) -> Option<&'static Entry> {
        let mut entries = crate::entry::ENTRIES.iter().flatten();
        entries.find(|entry| entry.is_handler() && hash::text(entry.name()) == self.0)
    }
}

#[allow(unsafe_code)]
// SAFETY: an integer.
unsafe impl Plain for LastWords {
    const LAYOUT: u64 = hash::named::<Self>("vk::LastWords");
}

impl Io {
    /// Names the coroutine that speaks on this output should this micro-process fail from now on: panic, fault, run for
    /// longer than it may, or end with an error. [`LastWords::NONE`] takes it back. Never waits.
    ///
    /// When that happens, what was done since the last blocking is undone, but for an error; everybody else in the
    /// micro-process is gone, and the coroutine begins where the streams stand: it reads what was not read, and writes
    /// behind what was written. Whoever fails in the middle of an answer would rather be silent, so last words are taken
    /// back before one begins and named anew behind it. Nothing is said by who fails at a [checkpoint](Io::checkpoint)
    /// with nothing received, for nobody has asked; nor by last words that fail themselves.
    ///
    /// ```
    /// # use vk_core::{Io, Line, last_words::LastWords};
    /// # use std::io;
    /// # extern crate vk_core as vk;
    /// const SORRY: LastWords = LastWords::of::<sorry>();
    ///
    /// /// Answers each number with its inverse.
    /// #[vk::coroutine]
    /// fn invert(io: &mut Io) -> io::Result<()> {
    ///     let mut line: Line<16> = Line::new();
    ///     io.last_words(SORRY)?;
    ///     while io.read_line(&mut line)? {
    ///         let number: u32 = str::from_utf8(&line).unwrap().trim().parse().unwrap();
    ///         writeln!(io, "{}", 1_000_000 / number)?;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// #[vk::coroutine]
    /// fn sorry(io: &mut Io) -> io::Result<()> {
    ///     io.write_all(b"sorry\n")
    /// }
    /// ```
    ///
    /// # Errors
    /// None.
    #[inline]
    pub fn last_words(&mut self, words: LastWords) -> Poll<io::Result<()>> {
        self.task().last_words = words;
        Ready(Ok(()))
    }
}
