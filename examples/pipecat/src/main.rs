//! Standard input to standard output through two coroutines and the in-heap pipe between them:
//! `dd if=/dev/zero bs=64k count=1000 | pipecat | count`.
//!
//! It checks itself: the reader at the end of the pipe compares what it passed on with what the writer says
//! it put in.

use vk::prelude::*;

/// Standard input into the pipe, then how much that was.
#[vk::coroutine]
fn writer(io: &mut Io) -> io::Result<()> {
    let mut child: Child = io.spawn::<reader>((), Source::Parent, Sink::Inherit)?;
    let written: u64 = io.forward(u64::MAX)?;
    // The end of the bytes: it returns when the reader has seen it, and what follows is another message.
    io.hangup()?;
    let report: [u8; 8] = written.to_le_bytes();
    io.write_all(&report)?;
    io.shutdown()?;
    io.join(&mut child)
}

/// The pipe to standard output.
#[vk::coroutine]
fn reader(io: &mut Io) -> io::Result<()> {
    let read: u64 = io.forward(u64::MAX)?;
    io.read_hangup()?;
    let mut report: [u8; 8] = [0; 8];
    io.read_exact(&mut report)?;
    assert_eq!(read, u64::from_le_bytes(report), "bytes read and bytes written");
    Ok(())
}

vk_app! {
    name: "pipecat",
    about: "Standard input to standard output, through an in-heap pipe",
    stdio: writer,
    heap: 16384,
}
