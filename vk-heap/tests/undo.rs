//! A process that dies at any step leaves an arena in which each transaction has happened or has not.
#![cfg(not(miri))]
#![allow(missing_docs, unsafe_code)]

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use vk_heap::failpoint::{self, Death};
use vk_heap::{Arena, BLOCK, Config, Guard, Heap, HeapId, Span};

const HEAPS: u32 = 4;
const BLOCKS: u32 = 6;

fn config(guard: Guard) -> Config {
    Config { heaps: HEAPS, heap_size: 4096, pool_blocks: BLOCKS, guard }
}

/// Open for ever, as a keeper's is.
fn memfd(config: &Config) -> BorrowedFd<'static> {
    let memfd: &'static OwnedFd = Box::leak(Box::new(Arena::memfd(config).unwrap()));
    memfd.as_fd()
}

#[test]
fn the_memory_keeps_its_size() {
    let memfd = File::from(Arena::memfd(&config(Guard::Off)).unwrap());
    let error = memfd.set_len(0).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}

fn fill(heap: &Heap, span: Span, value: u8) {
    // SAFETY: the span was allocated in this heap, which is open, and no reference into it exists.
    unsafe { heap.ptr(span).write_bytes(value, span.len() as usize) }
}

fn is_filled(heap: &Heap, span: Span, value: u8) -> bool {
    let start = heap.ptr(span);
    // SAFETY: as in `fill`; the memfd reads as zeros where nothing was written.
    (0..span.len() as usize).all(|at| unsafe { start.add(at).read() } == value)
}

/// Runs `life` so that it dies at its n-th place, or to its end; true if it died.
fn dies_at(n: u32, life: impl FnOnce()) -> bool {
    failpoint::arm(Some(n));
    let result = panic::catch_unwind(AssertUnwindSafe(life));
    failpoint::arm(None);
    match result {
        Ok(()) => false,
        Err(payload) if payload.is::<Death>() => true,
        Err(payload) => panic::resume_unwind(payload),
    }
}

/// A heap with something in it: an allocation of 1s, a ring that is left out of the image, a lent block of 2s.
struct Before {
    id: HeapId,
    small: Span,
    ring: Span,
    lent: Span,
}

fn before(arena: &mut Arena) -> Before {
    let id = arena.create().unwrap();
    let mut heap = arena.open(id).unwrap();
    let (small, ring) = (heap.alloc(100).unwrap(), heap.alloc(64).unwrap());
    let lent = arena.lend(id, BLOCK).unwrap();
    fill(&heap, small, 1);
    fill(&heap, ring, 1);
    fill(&heap, lent, 2);
    heap.set_root(small);
    arena.close(id);
    Before { id, small, ring, lent }
}

/// Changes everything, in one transaction.
fn change(arena: &mut Arena, before: &Before) {
    let mut heap = arena.open(before.id).unwrap();
    arena.begin(&heap, [before.ring, Span::EMPTY]);
    fill(&heap, before.small, 7);
    heap.keep(before.lent);
    heap.keep(before.ring);
    fill(&heap, before.lent, 7);
    fill(&heap, before.ring, 7);
    heap.free(before.small);
    let root = heap.alloc(200).unwrap();
    fill(&heap, root, 8);
    heap.set_root(root);
    let more = arena.lend(before.id, 2 * BLOCK).unwrap();
    fill(&heap, more, 9);
    arena.give_back(before.id, before.lent);
    arena.give_back(before.id, more);
    let last = arena.lend(before.id, BLOCK).unwrap();
    fill(&heap, last, 10);
    arena.commit();
    arena.close(before.id);
}

fn blocks_left(arena: &mut Arena, id: HeapId) -> u32 {
    let mut count = 0;
    while arena.lend(id, BLOCK).is_some() {
        count += 1;
    }
    count
}

/// Dies at each step of a transaction, and then once more at each step of taking over.
#[test]
fn all_or_nothing() {
    for guard in [Guard::Off, Guard::Strict, Guard::default()] {
        let config = config(guard);
        let mut deaths = 0;
        while dies(&config, deaths) {
            deaths += 1;
        }
        assert!(deaths > 20, "only {deaths} places to die at");
    }
}

fn dies(config: &Config, n: u32) -> bool {
    let memfd = memfd(config);
    let attach = || Arena::attach(memfd, config).unwrap();
    let mut first = attach();
    let before = before(&mut first);
    let died = dies_at(n, || change(&mut first, &before));
    drop(first);
    if died {
        // The successors die while they undo what the first had begun.
        (0..3).for_each(|n| _ = dies_at(n, || drop(attach())));
    }
    let mut arena = attach();
    assert!(!arena.is_in_transaction());
    assert_eq!(arena.lives(), [before.id]);
    let heap = arena.open(before.id).unwrap();
    if heap.root() == before.small {
        assert!(died, "what was committed has happened");
        assert!(is_filled(&heap, before.small, 1) && is_filled(&heap, before.ring, 1));
        assert!(is_filled(&heap, before.lent, 2), "death {n}");
    } else {
        assert!(is_filled(&heap, heap.root(), 8));
    }
    assert_eq!(arena.usage().blocks_lent, 1);
    assert_eq!(blocks_left(&mut arena, before.id), BLOCKS - 1);
    arena.destroy(before.id);
    assert_eq!((arena.usage().live, arena.usage().blocks_lent), (0, 0));
    assert!((0..HEAPS).all(|_| arena.create().is_some()));
    died
}

/// A heap's end has no half: whoever takes over finds it alive with all it had, or nothing of it.
#[test]
fn an_end_is_an_end() {
    let config = config(Guard::default());
    for n in 0.. {
        let memfd = memfd(&config);
        let mut arena = Arena::attach(memfd, &config).unwrap();
        let before = before(&mut arena);
        let died = dies_at(n, || arena.destroy(before.id));
        drop(arena);
        let mut arena = Arena::attach(memfd, &config).unwrap();
        let usage = arena.usage();
        match arena.open(before.id) {
            Ok(heap) => assert!(usage.blocks_lent == 1 && is_filled(&heap, before.lent, 2)),
            Err(_) => assert_eq!((usage.live, usage.blocks_lent), (0, 0)),
        }
        if !died {
            assert!(n > 0);
            return;
        }
    }
}

/// What a panic leaves behind is undone in the same process, and the blocks can be had again.
#[test]
fn rolled_back_in_place() {
    let mut arena = Arena::new(&config(Guard::Strict)).unwrap();
    let before = before(&mut arena);
    let heap = arena.open(before.id).unwrap();
    arena.begin(&heap, [Span::EMPTY; 2]);
    fill(&heap, before.small, 7);
    arena.give_back(before.id, before.lent);
    assert!(arena.lend(before.id, 3 * BLOCK).is_some());
    arena.rollback().unwrap();
    assert!(is_filled(&heap, before.small, 1) && is_filled(&heap, before.lent, 2));
    assert_eq!(arena.usage().blocks_lent, 1);
    arena.destroy(before.id);
    assert_eq!(arena.usage().blocks_lent, 0);
}

/// A memfd of another layout is not mistaken for an arena.
#[test]
fn another_layout_is_refused() {
    let memfd = memfd(&config(Guard::Off));
    let other = Config { heaps: HEAPS + 100, ..config(Guard::Off) };
    assert!(Arena::attach(memfd, &other).is_err());
}
