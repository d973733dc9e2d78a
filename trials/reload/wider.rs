//! The state of a connection, with a field more: a frame that holds it has another shape.

use vk::prelude::*;

/// Counts requests down and up.
#[derive(Plain)]
pub struct Session {
    /// What would be taken for the count, if this were read as the former state.
    left: u64,
    count: u64,
}

impl Session {
    /// No request yet.
    pub const fn new() -> Session {
        Session { left: u64::MAX, count: 0 }
    }

    /// So many requests were before.
    #[allow(dead_code)]
    pub const fn after(requests: u64) -> Session {
        Session { left: u64::MAX - requests, count: requests }
    }

    /// One more.
    pub fn count(&mut self) {
        self.count += 1;
        self.left -= 1;
    }

    /// How many, as text.
    ///
    /// # Panics
    /// If both counts don't agree: then this was never a session of this build.
    pub fn digits(&self) -> [u8; 8] {
        assert_eq!(self.left, u64::MAX - self.count, "a session of another build");
        let mut digits = [b'0'; 8];
        digits.copy_from_slice(format!("{:08}", self.count % 100_000_000).as_bytes());
        digits
    }
}
