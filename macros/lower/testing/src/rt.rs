//! The run-time contract of generated code: vk's own as far as it knows no `Io`.
#![allow(unsafe_code)]

pub use crate::register;
use std::collections::VecDeque;
use std::mem::MaybeUninit;
pub use std::task::Poll;
pub use vk_core::rt::{
    DONE, Elements, Field, Frame, Method, Overlay, Plain, Point, Shape, Slot, hash, layout, nth, resumed_after_end,
};

/// A coroutine's input and output, all in memory.
#[derive(Debug)]
#[expect(missing_docs, reason = "read by tests")]
pub struct Io {
    pub input: VecDeque<u8>,
    pub output: Vec<u8>,
    pub script: VecDeque<bool>,
    pub suspended: usize,
    pub deadline: u64,
}

/// A coroutine that can be started on its own.
#[expect(missing_docs, reason = "as in vk")]
pub trait Coroutine: Frame + 'static {
    type Args;
    type Output;
    const NAME: &'static str;
    const SHAPE: &'static Shape;
    const ENTRY: Option<&'static Option<Entry>> = None;
    fn start(frame: &mut MaybeUninit<Self>, args: Self::Args);
    fn resume(&mut self, io: &mut Io) -> Poll<Self::Output>;
}

/// Nothing is registered here: it would be looked for by another build.
pub type Entry = std::convert::Infallible;

/// Registers nothing.
#[macro_export]
macro_rules! register {
    ($coroutine:ty) => {
        None
    };
}

/// Resumes until the end.
pub(crate) fn finish<C: Coroutine>(frame: &mut MaybeUninit<C>, io: &mut Io) -> C::Output {
    // SAFETY: started by the caller.
    let frame = unsafe { frame.assume_init_mut() };
    loop {
        if let Poll::Ready(output) = frame.resume(io) {
            return output;
        }
    }
}
