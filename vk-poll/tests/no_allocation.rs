//! After warm-up a wait, and watching and closing connections, allocate nothing.

#![allow(unsafe_code)] // A global allocator is unsafe to write.

mod allowed;

use allowed::uring;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;

use vk_poll::{Backend, Epoll, Timers, Token, set_nonblocking};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn rounds(backend: &mut impl Backend) -> u64 {
    let (mut events, mut timers) = (Vec::new(), Timers::new());
    let mut allocations = 0;
    for round in 0..200 {
        if round == 100 {
            allocations = ALLOCATIONS.get();
        }
        let (near, far) = UnixStream::pair().unwrap();
        let (near, far) = (near.into_raw_fd(), far.into_raw_fd());
        for fd in [near, far] {
            set_nonblocking(fd, true).unwrap();
            backend.add(fd, Token(fd as u64)).unwrap();
        }
        for _ in 0..4 {
            backend.write(far, &[IoSlice::new(b"hello")]).unwrap();
            backend.wait(Some(1_000_000_000), &mut events).unwrap();
            assert_eq!(backend.read(near, &mut [IoSliceMut::new(&mut [0; 16])]).unwrap(), 5);
            timers.set(round % 7, backend.now());
            assert!(timers.expired(backend.now()).is_some());
        }
        assert!(backend.read(near, &mut [IoSliceMut::new(&mut [0; 16])]).is_err());
        backend.close(near);
        backend.close(far);
    }
    ALLOCATIONS.get() - allocations
}

#[test]
fn none_after_warm_up() {
    assert_eq!(rounds(&mut Epoll::new().unwrap()), 0);
    if let Some(mut uring) = uring() {
        assert_eq!(rounds(&mut uring), 0);
    }
}
