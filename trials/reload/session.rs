//! The state of a connection, as the first build has it.

use vk::prelude::*;

/// Counts requests.
#[derive(Plain)]
pub struct Session {
    count: u64,
}

impl Session {
    /// No request yet.
    pub const fn new() -> Session {
        Session { count: 0 }
    }

    /// One more.
    pub fn count(&mut self) {
        self.count += 1;
    }

    /// How many.
    #[allow(dead_code)]
    pub fn requests(&self) -> u64 {
        self.count
    }

    /// How many, as text.
    pub fn digits(&self) -> [u8; 8] {
        let mut digits = [b'0'; 8];
        digits.copy_from_slice(format!("{:08}", self.count % 100_000_000).as_bytes());
        digits
    }
}
