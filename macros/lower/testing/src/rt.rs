//! The run-time contract of generated code: vk's own as far as it knows no `Io`.
#![allow(unsafe_code)]

pub use crate::register;
use std::collections::VecDeque;
use std::mem::MaybeUninit;
pub use std::task::Poll;
pub use vk_core::rt::{
    DONE, Elements, Field, Frame, Method, Overlay, Plain, Point, Shape, Slot, body_of, hash, layout,
    layout_of, nth, resumed_after_end,
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

/// The bytes of a frame after its coroutine blocked for the first time.
pub(crate) fn suspend<C: Coroutine>(args: C::Args, io: &mut Io) -> Vec<u8> {
    let mut frame = MaybeUninit::<C>::zeroed();
    C::start(&mut frame, args);
    // SAFETY: started.
    assert!(unsafe { frame.assume_init_mut() }.resume(io).is_pending(), "{} does not block", C::NAME);
    let bytes: *const u8 = frame.as_ptr().cast();
    // SAFETY: as many bytes as the frame has, zeroed at the beginning.
    unsafe { std::slice::from_raw_parts(bytes, size_of::<C>()) }.to_vec()
}

/// Goes on with the frame that these bytes are.
///
/// # Safety
/// They are a frame of `C` that was suspended, or that `migrate` filled.
pub(crate) unsafe fn proceed<C: Coroutine>(bytes: &[MaybeUninit<u8>], io: &mut Io) -> C::Output {
    assert_eq!(bytes.len(), size_of::<C>());
    let mut frame = MaybeUninit::<C>::uninit();
    // SAFETY: as many bytes as the frame has.
    unsafe { bytes.as_ptr().copy_to_nonoverlapping(frame.as_mut_ptr().cast(), bytes.len()) };
    finish(&mut frame, io)
}
