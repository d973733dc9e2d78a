//! Network services in plain blocking code.
//!
//! ```no_run
//! use vk::prelude::*;
//!
//! #[vk::coroutine]
//! /// Echoes each line until the client hangs up.
//! fn echo(io: &mut Io) -> io::Result<()> {
//!     let mut line: Line<1024> = Line::new();
//!     while io.read_line(&mut line)? {
//!         io.write_all(&line)?;
//!     }
//!     Ok(())
//! }
//!
//! vk_app! {
//!     name: "echo",
//!     listen: "127.0.0.1:7007" => echo,
//! }
//! ```
//!
//! The one rule to know: **a call on `io`, or a call that is handed `io`, blocks; nothing else does.** A
//! variable that is alive across a blocking call carries a type, and the type is [`Plain`]. What blocks is
//! listed at [`Io`].
#![forbid(unsafe_code)]

extern crate self as vk;

mod admin;
mod app;
mod options;
mod serve;

pub use app::{App, Handler, Listener, args, main};
pub use vk_core::{
    Child, Descriptor, HeapBytes, Io, LastWords, Line, Migration, New, Old, Plain, Sink, Source, coroutine,
    rt,
};
pub use vk_macros::vk_app;

/// What handlers are written with.
pub mod prelude {
    pub use crate::{Child, Descriptor, HeapBytes, Io, LastWords, Line, Plain, Sink, Source, vk_app};
    pub use std::io;
    pub use std::time::Duration;
}
