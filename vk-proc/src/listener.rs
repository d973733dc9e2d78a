//! The coroutine that serves a listening socket.

use std::io;
use vk_core::{Descriptor, Io};

/// Accepts connections and starts a micro-process of the handler for each.
#[vk::coroutine]
pub fn listener(io: &mut Io, handler: u32) -> io::Result<()> {
    loop {
        let connection: Descriptor = io.accept()?;
        io.start(handler, connection)?;
    }
}
