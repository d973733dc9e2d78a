//! What goes into a run, and what can be seen of it from outside.

use crate::dice::Dice;
use std::io;

/// The world around one run.
#[derive(Clone, Debug)]
pub struct Script {
    /// Decides over pauses and faults; 0 is a world without any.
    pub seed: u64,
    /// What the body can read.
    pub input: Vec<u8>,
    /// Bytes that come at once, at most; at least 1.
    pub piece: usize,
}

impl Script {
    /// The script of `seed`.
    pub fn new(seed: u64) -> Script {
        let mut dice = Dice::new(seed);
        // Around the size of a small ring and beyond, but mostly of the size of what bodies read.
        let longest = *dice.pick(&[0, 10, 100, 100, 400, 400, 400, 1500, 5000]);
        let len = dice.below(longest + 1);
        // Lines of all lengths, some of them longer than any variable for them.
        let line = *dice.pick(&[2, 5, 20, 80]);
        let input = (0..len)
            .map(|_| match dice.below(line) {
                0 => b'\n',
                1 => dice.roll() as u8,
                _ => *dice.pick(b"0123456789abc -"),
            })
            .collect();
        Script { seed, input, piece: *dice.pick(&[1, 1, 2, 3, 8, 50, 5000]) }
    }
}

/// What a run answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub output: Vec<u8>,
    pub outcome: Outcome,
}

/// How a body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok(u64),
    Err(io::ErrorKind),
    Panicked,
    /// It waits for something that never comes.
    Stuck(String),
}

impl Outcome {
    /// What a body returned.
    pub fn of(result: io::Result<u64>) -> Outcome {
        match result {
            Ok(value) => Outcome::Ok(value),
            Err(error) => Outcome::Err(error.kind()),
        }
    }
}
