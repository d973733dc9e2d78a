//! A touch of a closed heap is a SIGSEGV: tried for real, each touch in a child of its own.
#![cfg(not(miri))]
#![allow(unsafe_code, reason = "the touch that the guard is there to catch")]

use std::ptr::NonNull;
use vk_heap::{Arena, BLOCK, Config, Guard, Heap, HeapId, Span};

/// What happened to the child that touched.
#[derive(Debug, PartialEq)]
enum Touch {
    Passed,
    Segv,
}
use Touch::{Passed, Segv};

#[derive(Clone, Copy, Debug)]
enum Access {
    Read,
    Write,
}

/// Touches one byte in a child and tells how the child ended.
fn touch(place: NonNull<u8>, access: Access) -> Touch {
    let place = place.as_ptr();
    // SAFETY: the child makes one access to a byte of the mapping, which nobody holds a reference to, and
    // exits or is killed; the parent waits for the child it made.
    let status = unsafe {
        match libc::fork() {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                match access {
                    Access::Read => _ = place.read_volatile(),
                    Access::Write => place.write_volatile(1),
                }
                libc::_exit(0)
            }
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                status
            }
        }
    };
    if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 {
        return Passed;
    }
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSEGV, "status {status:#x}");
    Segv
}

struct Room {
    arena: Arena,
    ids: [HeapId; 4],
    heaps: [Heap; 4],
    spans: [Span; 4],
    lent: [Span; 4],
}

impl Room {
    /// Four heaps, each with an allocation and a block, none of them running.
    fn new(guard: Guard) -> Room {
        let config = Config { heaps: 8, heap_size: 4096, pool_blocks: 8, guard };
        let mut arena = Arena::new(&config).unwrap();
        let ids = [0; 4].map(|_| arena.create().unwrap());
        let mut heaps = ids.map(|id| arena.open(id).unwrap());
        let spans = heaps.each_mut().map(|heap| heap.alloc(100).unwrap());
        let lent = ids.map(|id| arena.lend(id, BLOCK).unwrap());
        ids.iter().for_each(|id| arena.close(*id));
        Room { arena, ids, heaps, spans, lent }
    }

    /// Reads and writes of the heap and of what is lent to it all end in the same way.
    #[track_caller]
    fn expect(&self, heap: usize, expected: Touch) {
        // Of the closed heap itself: `ptr` of its own span reads no byte of it.
        for span in [self.spans[heap], self.lent[heap]] {
            for access in [Access::Read, Access::Write] {
                let found = touch(self.heaps[heap].ptr(span), access);
                assert_eq!(found, expected, "{access:?} of {span:?} in heap {heap}");
            }
        }
    }
}

#[test]
fn strict_closes_with_the_dispatch() {
    let mut room = Room::new(Guard::Strict);
    for heap in 0..4 {
        room.expect(heap, Segv);
    }
    room.arena.open(room.ids[1]).unwrap();
    room.expect(0, Segv);
    room.expect(1, Passed);
    room.expect(2, Segv);
    // A heap that opens another one stays open.
    room.arena.open(room.ids[2]).unwrap();
    room.expect(1, Passed);
    room.expect(2, Passed);
    room.arena.close(room.ids[2]);
    room.expect(1, Passed);
    room.expect(2, Segv);
    room.arena.close(room.ids[1]);
    room.expect(1, Segv);
}

#[test]
fn an_epoch_closes_with_the_wait() {
    let mut room = Room::new(Guard::Epoch(1024));
    room.arena.close_all();
    for heap in 0..4 {
        room.expect(heap, Segv);
    }
    for heap in [2, 0] {
        room.arena.open(room.ids[heap]).unwrap();
        room.arena.close(room.ids[heap]);
    }
    room.expect(0, Passed);
    room.expect(1, Segv);
    room.expect(2, Passed);
    room.expect(3, Segv);
    room.arena.close_all();
    for heap in 0..4 {
        room.expect(heap, Segv);
    }
}

#[test]
fn an_epoch_closes_at_its_limit() {
    let mut room = Room::new(Guard::Epoch(2));
    room.arena.close_all();
    for heap in [0, 1] {
        room.arena.open(room.ids[heap]).unwrap();
    }
    room.arena.close(room.ids[0]);
    // The third closes what does not run.
    room.arena.open(room.ids[2]).unwrap();
    room.expect(0, Segv);
    room.expect(1, Passed);
    room.expect(2, Passed);
}

#[test]
fn a_batch_opens_no_more_than_it_may() {
    let mut room = Room::new(Guard::Epoch(2));
    room.arena.close_all();
    assert_eq!(room.arena.open_all(&[room.ids[0], room.ids[2]]), 2);
    room.expect(0, Passed);
    room.expect(1, Segv);
    room.expect(2, Passed);
}

#[test]
fn off_never_closes() {
    let mut room = Room::new(Guard::Off);
    room.arena.close_all();
    for heap in 0..4 {
        room.expect(heap, Passed);
    }
    assert_eq!((room.arena.usage().opens, room.arena.usage().closes), (0, 0));
}

#[test]
fn what_is_given_back_is_closed() {
    for guard in [Guard::Strict, Guard::Epoch(1024)] {
        let mut room = Room::new(guard);
        let heap = room.arena.open(room.ids[0]).unwrap();
        let place = heap.ptr(room.lent[0]);
        assert_eq!(touch(place, Access::Write), Passed);
        room.arena.give_back(room.ids[0], room.lent[0]);
        if guard != Guard::Strict {
            room.arena.close_all();
        }
        assert_eq!(touch(place, Access::Write), Segv);
    }
}

#[test]
fn the_end_of_a_heap_and_of_its_arena() {
    let mut room = Room::new(Guard::Strict);
    room.arena.open(room.ids[0]).unwrap();
    let places = [room.heaps[0].ptr(room.spans[0]), room.heaps[0].ptr(room.lent[0])];
    room.arena.destroy(room.ids[0]);
    for place in places {
        assert_eq!(touch(place, Access::Read), Segv);
    }
    let room = Room::new(Guard::Off);
    let place = room.heaps[0].ptr(room.spans[0]);
    drop(room);
    assert_eq!(touch(place, Access::Read), Segv);
}
