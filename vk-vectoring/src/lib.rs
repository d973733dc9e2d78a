//! Byte ring buffers seen as one or two iovecs.
//!
//! A *vectoring* stands between a socket and a coroutine. The kernel reads into its free bytes and writes
//! from its unread bytes in place, with one `readv` or `writev`, however the ring lies in its storage:
//!
//! ```text
//!  storage   0                    at             at + len         capacity
//!            ├──────────────────────┬──────────────────┬──────────────────┤
//!  plain     │  writable()[1]       │  readable()[0]   │  writable()[0]   │
//!            └──────────────────────┴──────────────────┴──────────────────┘
//!            ├───────────────┬──────────────────┬─────────────────────────┤
//!  wrapped   │ readable()[1] │  writable()[0]   │  readable()[0]          │
//!            └───────────────┴──────────────────┴─────────────────────────┘
//!            0       at + len - capacity        at                 capacity
//!                                                                     ↑ the seam
//!  stream    … bytes already read │ head … unread … tail │ bytes yet to come …
//! ```
//!
//! [`Ring`] is the bookkeeping alone: 24 bytes of plain data that may live anywhere, in shared memory too.
//! [`Vectoring`] is a ring together with its storage, for as long as one borrow: every operation on bytes
//! is there. [`exchange`] lets bytes change rings without touching one of them.
//!
//! # Invariants
//!
//! 1. `tail - head <= capacity`, and `at < capacity` (or both are 0). [`Ring::is_valid`] is this check.
//! 2. The byte at stream position `head + i` stands at index `at + i`, less `capacity` if that is past the
//!    end.
//! 3. Positions only grow: `head` by what was read, `tail` by what was written. They count the bytes of the
//!    stream since its start, so they can be held against the kernel's own counters.
//! 4. A ring that becomes empty starts over at index 0, so most messages never meet the seam.
//! 5. The first of two slices is empty only if the second is.
//! 6. An unread byte is not written over until it is read: a copy of the `Ring` can be put back as long as
//!    nothing was written after something was read. One operation makes an exception,
//!    [`Vectoring::contiguous`] on a wrapped ring that is more than half full.
//!
//! No descriptor, no heap and no allocation is to be seen from here.
//!
//! ```
//! use vk_vectoring::Ring;
//!
//! let mut storage = [0; 8];
//! let mut ring = Ring::new(8);
//! let mut bytes = ring.over(&mut storage);
//!
//! assert_eq!(bytes.write(b"abcdef"), 6);
//! assert_eq!(bytes.skip(4), 4);
//! assert_eq!(bytes.write(b"gh\r\n"), 4); // goes round the end
//! assert_eq!(bytes.readable(), [&b"efgh"[..], &b"\r\n"[..]]);
//! assert_eq!(bytes.find_slice(b"h\r\n", 0), Some(3)); // sees across the seam
//! assert_eq!((ring.head(), ring.tail(), ring.len()), (4, 10, 6));
//! ```

#![forbid(unsafe_code)]

mod buf;
mod find;
mod relocate;
mod ring;
mod seam;
mod vectoring;

pub use ring::{Ring, exchange};
pub use vectoring::Vectoring;
