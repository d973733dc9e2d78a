//! The arena through its public face: lives, lending, batches, what stays resident.
#![cfg(not(miri))]
#![allow(unsafe_code, reason = "tests touch the bytes that spans name")]

use proptest::prelude::*;
use std::collections::BTreeMap;
use vk_heap::{Arena, BLOCK, Config, Guard, Heap, HeapId, OpenError, Span};

const GUARDS: [Guard; 4] = [Guard::Strict, Guard::Epoch(1), Guard::Epoch(8), Guard::Off];

fn arena(heaps: u32, pool_blocks: u32, guard: Guard) -> Arena {
    Arena::new(&Config { heaps, heap_size: 4096, pool_blocks, guard }).unwrap()
}

fn fill(heap: &Heap, span: Span, value: u8) {
    // SAFETY: `ptr` checked that the bytes are this heap's; no reference to them exists in these tests.
    unsafe { heap.ptr(span).write_bytes(value, span.len() as usize) }
}

fn is_filled(heap: &Heap, span: Span, value: u8) -> bool {
    let start = heap.ptr(span);
    // SAFETY: as in `fill`.
    (0..span.len() as usize).step_by(61).all(|at| unsafe { start.add(at).read() } == value)
}

fn flip(arena: &Arena, bit: usize) {
    assert!(bit / 8 < arena.layout().size());
    // SAFETY: within the mapping; no reference into it exists in these tests.
    unsafe { *arena.base().add(bit / 8).as_ptr() ^= 1 << (bit % 8) }
}

#[test]
fn slots_are_dense_and_ids_are_of_one_life() {
    let mut arena = arena(3, 0, Guard::default());
    let ids = [0; 3].map(|_| arena.create().unwrap());
    assert_eq!(ids.map(HeapId::index), [0, 1, 2]);
    assert_eq!(arena.create(), None);
    arena.destroy(ids[1]);
    assert_eq!(arena.open(ids[1]).unwrap_err(), OpenError::Stale);
    let again = arena.create().unwrap();
    assert_eq!(again.index(), 1);
    assert_ne!(again, ids[1]);
    // A stale id does nothing to the slot's new life.
    arena.destroy(ids[1]);
    arena.close(ids[1]);
    assert_eq!(arena.lend(ids[1], 1), None);
    assert!(arena.open(again).is_ok());
    assert_eq!(arena.open(HeapId::NONE).unwrap_err(), OpenError::Stale);
    assert_eq!(arena.usage().live, 3);
}

#[test]
fn a_flipped_bit_of_a_header_is_corrupt() {
    for guard in GUARDS {
        let mut arena = arena(2, 1, guard);
        let [id, other] = [0; 2].map(|_| arena.create().unwrap());
        arena.open(id).unwrap().alloc(100).unwrap();
        let header = arena.layout().heap_at(0) * 8;
        for bit in header..header + 48 * 8 {
            arena.open(id).unwrap();
            flip(&arena, bit);
            arena.close(id);
            assert_eq!(arena.open(id).unwrap_err(), OpenError::Corrupt, "{guard}");
            arena.open(other).unwrap();
            arena.close(other);
            arena.open_all(&[id]);
            if guard == Guard::Strict {
                break; // It is closed, so it cannot be mended.
            }
            flip(&arena, bit);
        }
        arena.destroy(id);
        assert!(arena.create().is_some());
    }
}

#[test]
fn lent_blocks_have_one_owner() {
    for guard in GUARDS {
        let mut arena = arena(2, 4, guard);
        let [a, b] = [0; 2].map(|_| arena.create().unwrap());
        let one = arena.lend(a, 1).unwrap();
        let two = arena.lend(b, BLOCK + 1).unwrap();
        assert_eq!((one.len(), two.len()), (1, BLOCK + 1));
        assert_eq!(arena.lend(b, 2 * BLOCK), None, "one block is left");
        assert_eq!(arena.lend(b, 0), None);
        assert_eq!(arena.lend(b, u32::MAX), None);
        let (heap_a, heap_b) = (arena.open(a).unwrap(), arena.open(b).unwrap());
        fill(&heap_a, one, 1);
        fill(&heap_b, two, 2);
        assert!(!heap_a.owns(one));
        assert!(std::panic::catch_unwind(|| heap_a.ptr(two)).is_err());
        // Closed and opened again with its heap.
        arena.close(a);
        arena.close(b);
        arena.close_all();
        let heap_a = arena.open(a).unwrap();
        assert!(is_filled(&heap_a, one, 1));
        // Its end frees what is lent to it.
        assert_eq!(arena.usage().blocks_lent, 3);
        arena.destroy(b);
        assert_eq!(arena.usage().blocks_lent, 1);
        arena.give_back(a, one);
        assert_eq!(arena.usage().blocks_lent, 0);
        assert_eq!(arena.lend(a, 4 * BLOCK).map(Span::len), Some(4 * BLOCK));
    }
}

#[test]
fn only_the_owner_gives_back() {
    type Wrong = fn(HeapId, HeapId, Span) -> (HeapId, Span);
    let wrong: [Wrong; 3] =
        [|_, b, lent| (b, lent), |a, _, _| (a, Span::EMPTY), |_, _, lent| (HeapId::NONE, lent)];
    for wrong in wrong {
        let outcome = std::panic::catch_unwind(|| {
            let mut arena = arena(2, 2, Guard::Off);
            let [a, b] = [0; 2].map(|_| arena.create().unwrap());
            let lent = arena.lend(a, BLOCK).unwrap();
            let (id, span) = wrong(a, b, lent);
            arena.give_back(id, span);
        });
        let message = *outcome.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("not lent to heap"), "{message}");
    }
    let outcome = std::panic::catch_unwind(|| {
        let mut arena = arena(1, 1, Guard::Off);
        let id = arena.create().unwrap();
        let lent = arena.lend(id, BLOCK).unwrap();
        arena.give_back(id, lent);
        arena.give_back(id, lent);
    });
    assert!(outcome.is_err(), "given back twice");
}

/// The promise to an idle connection: its page, and its share of the control pages. After a burst `trim`
/// gives the rest back.
#[test]
fn what_is_resident() {
    const HEAPS: u64 = 20_000;
    const PAGE: u64 = 4096;
    let mut arena = arena(HEAPS as u32, 64, Guard::default());
    // Attaching looks at the undo log's first page.
    assert_eq!(arena.usage().bytes_resident, PAGE);
    let ids: Vec<HeapId> = (0..HEAPS).map(|_| arena.create().unwrap()).collect();
    for id in &ids {
        let mut heap = arena.open(*id).unwrap();
        let all = heap.alloc(heap.quota()).unwrap();
        fill(&heap, all, 0xaa);
        arena.close(*id);
    }
    arena.close_all();
    // A record of 8 bytes for each slot, and the ends of the two tables and the log.
    let control = HEAPS * 8 + 3 * PAGE;
    let resident = arena.usage().bytes_resident;
    assert!(resident <= HEAPS * PAGE + control, "{resident}");
    assert!(resident >= HEAPS * PAGE);

    let (kept, gone) = ids.split_at(100);
    let heap = arena.open(kept[0]).unwrap();
    for _ in 0..64 {
        let block = arena.lend(kept[0], BLOCK).unwrap();
        fill(&heap, block, 0xbb);
    }
    arena.destroy(kept[0]);
    gone.iter().for_each(|id| arena.destroy(*id));
    assert!(arena.trim(), "32 MiB at a time");
    while arena.trim() {}
    let resident = arena.usage().bytes_resident;
    // 99 that live, 16 and 2 that stay warm.
    let expected = (99 + 16) * PAGE + 2 * u64::from(BLOCK);
    assert!((expected..=expected + control).contains(&resident), "{resident} of {expected} + {control}");
    assert!(!arena.trim());
    // Who lives has lost nothing, and what was given back can be used again.
    for id in &kept[1..] {
        let heap = arena.open(*id).unwrap();
        assert_eq!(heap.in_use(), heap.quota());
    }
    while let Some(id) = arena.create() {
        arena.close(id);
    }
}

/// A slot or a block that is taken again is no longer for `trim` to give back.
#[test]
fn trim_leaves_what_is_in_use() {
    let mut arena = arena(200, 32, Guard::default());
    for life in 1..4 {
        let ids: Vec<HeapId> = std::iter::from_fn(|| arena.create()).collect();
        let mut heaps: Vec<Heap> = ids.iter().map(|id| arena.open(*id).unwrap()).collect();
        let spans: Vec<Span> = heaps.iter_mut().map(|heap| heap.alloc(2000).unwrap()).collect();
        let lent: Vec<Span> = ids[..32].iter().map(|id| arena.lend(*id, BLOCK).unwrap()).collect();
        let places = || heaps.iter().zip(&spans).chain(heaps.iter().zip(&lent));
        places().for_each(|(heap, span)| fill(heap, *span, life));
        assert!(!arena.trim());
        assert!(places().all(|(heap, span)| is_filled(heap, *span, life)));
        ids.iter().for_each(|id| arena.destroy(*id));
    }
}

/// The lines of this process's map that are the arena's.
fn mappings(arena: &Arena) -> usize {
    let (start, end) = (arena.base().addr().get(), arena.base().addr().get() + arena.layout().size());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let inside = |line: &&str| {
        let address = usize::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
        (start..end).contains(&address)
    };
    maps.lines().filter(inside).count()
}

/// The kernel's limit on mappings bounds the open heaps, never the closed ones.
#[test]
fn closed_heaps_are_one_mapping() {
    let mut arena = arena(100_000, 4, Guard::Epoch(1024));
    let ids: Vec<HeapId> = std::iter::from_fn(|| arena.create().inspect(|id| arena.close(*id))).collect();
    assert_eq!(ids.len(), 100_000);
    arena.close_all();
    assert_eq!(mappings(&arena), 2, "control pages, and all that is closed");
    for id in ids.iter().step_by(97) {
        arena.open(*id).unwrap();
        arena.close(*id);
        assert!(arena.usage().open <= 1024);
    }
    assert!(mappings(&arena) <= 2 + 2 * 1024);
    let closes = arena.usage().closes;
    arena.close_all();
    assert_eq!(arena.usage().closes, closes + 1, "one call closes them all");
    assert_eq!(mappings(&arena), 2);
}

/// More heaps than the kernel has mappings for, all wanted open: no failure is seen.
#[test]
fn more_open_than_mappings() {
    let mut arena = arena(140_000, 0, Guard::Epoch(u32::MAX));
    let ids: Vec<HeapId> = std::iter::from_fn(|| arena.create().inspect(|id| arena.close(*id))).collect();
    arena.close_all();
    for id in ids.iter().step_by(2) {
        arena.open(*id).unwrap();
        arena.close(*id);
    }
    arena.close_all();
    assert_eq!(mappings(&arena), 2);
}

#[test]
fn batches_are_few_calls() {
    let mut arena = arena(1000, 2, Guard::Epoch(100));
    let ids: Vec<HeapId> = std::iter::from_fn(|| arena.create()).collect();
    arena.lend(ids[3], BLOCK).unwrap();
    arena.close_all();

    // Neighbours, in any order, some twice, one stale.
    let mut batch: Vec<HeapId> = ids[10..60].iter().rev().copied().collect();
    batch.extend([ids[20], HeapId::NONE]);
    let before = arena.usage();
    assert_eq!(arena.open_all(&batch), batch.len());
    for id in &batch[..50] {
        arena.open(*id).unwrap();
        arena.close(*id);
    }
    arena.close_all();
    let after = arena.usage();
    assert_eq!((after.opens - before.opens, after.closes - before.closes), (1, 1));

    // Gaps between are opened too while there is room, with all that is lent to them.
    assert_eq!(arena.open_all(&[ids[0], ids[6], ids[500]]), 3);
    assert_eq!(arena.usage().opens - after.opens, 3, "0..7, what is lent to 3, 500");
    assert_eq!(arena.usage().open, 8);

    // A batch above the limit is taken in parts.
    assert_eq!(arena.open_all(&ids[..150]), 100);
    assert_eq!(arena.usage().open, 100);
    assert_eq!(arena.open_all(&ids[100..150]), 50);
    assert!(arena.usage().open <= 100);

    let mut strict = self::arena(10, 0, Guard::Strict);
    let id = strict.create().unwrap();
    strict.close(id);
    assert_eq!((strict.open_all(&[id]), strict.usage().open), (0, 0));
}

#[test]
fn what_is_warm_costs_no_call() {
    let mut arena = arena(10, 10, Guard::default());
    for _ in 0..2 {
        let id = arena.create().unwrap();
        let lent = arena.lend(id, BLOCK).unwrap();
        fill(&arena.open(id).unwrap(), lent, 1);
        arena.give_back(id, lent);
        arena.destroy(id);
    }
    let before = arena.usage();
    for _ in 0..100 {
        let id = arena.create().unwrap();
        let lent = arena.lend(id, BLOCK).unwrap();
        arena.close(id);
        let heap = arena.open(id).unwrap();
        fill(&heap, lent, 1);
        arena.give_back(id, lent);
        arena.destroy(id);
    }
    let after = arena.usage();
    assert_eq!((after.opens, after.closes), (before.opens, before.closes));
    assert_eq!(after.bytes_resident, before.bytes_resident);
}

#[derive(Clone, Debug)]
enum Step {
    Create,
    Destroy(prop::sample::Index),
    Dispatch(prop::sample::Index),
    /// A dispatch inside another one, as a micro-process that starts another one does.
    Nested(prop::sample::Index, prop::sample::Index),
    Batch(Vec<prop::sample::Index>),
    Lend(prop::sample::Index, u32),
    GiveBack(prop::sample::Index),
    CloseAll,
    Trim,
}

fn step() -> impl Strategy<Value = Step> {
    let index = || any::<prop::sample::Index>();
    prop_oneof![
        4 => Just(Step::Create),
        2 => index().prop_map(Step::Destroy),
        4 => index().prop_map(Step::Dispatch),
        2 => (index(), index()).prop_map(|(outer, inner)| Step::Nested(outer, inner)),
        2 => prop::collection::vec(index(), 0..20).prop_map(Step::Batch),
        3 => (index(), 1..3 * BLOCK).prop_map(|(heap, len)| Step::Lend(heap, len)),
        2 => index().prop_map(Step::GiveBack),
        2 => Just(Step::CloseAll),
        1 => Just(Step::Trim),
    ]
}

/// What the model knows of a heap: the value that fills its allocation, and its lent blocks.
struct Known {
    value: u8,
    span: Span,
    lent: Vec<Span>,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 500, ..ProptestConfig::with_cases(100) })]
    /// Whatever the order of calls, what runs is open and what was written is there. A page that is closed
    /// by mistake ends this test with a SIGSEGV.
    #[test]
    fn like_a_map_of_heaps(guard in prop::sample::select(&GUARDS[..]), steps in prop::collection::vec(step(), 0..150)) {
        const HEAPS: u32 = 20;
        let mut arena = arena(HEAPS, 6, guard);
        let mut model: BTreeMap<u32, (HeapId, Known)> = BTreeMap::new();
        let mut stale = vec![HeapId::NONE];
        let mut value = 0u8;
        let check = |heap: &Heap, known: &Known| {
            assert_eq!(heap.root(), known.span);
            assert!(is_filled(heap, known.span, known.value));
            for lent in &known.lent {
                assert!(is_filled(heap, Span::clone(lent), known.value));
            }
        };
        for step in steps {
            value = value.wrapping_add(1);
            let pick = |index: &prop::sample::Index| {
                (!model.is_empty()).then(|| *index.get(&model.keys().copied().collect::<Vec<_>>()))
            };
            match step {
                Step::Create => {
                    let free = (0..HEAPS).find(|index| !model.contains_key(index));
                    let id = arena.create();
                    prop_assert_eq!(id.map(HeapId::index), free);
                    let Some(id) = id else { continue };
                    let mut heap = arena.open(id).unwrap();
                    let span = heap.alloc(1000).unwrap();
                    heap.set_root(span);
                    fill(&heap, span, value);
                    arena.close(id);
                    model.insert(id.index(), (id, Known { value, span, lent: Vec::new() }));
                }
                Step::Destroy(index) => {
                    let Some(index) = pick(&index) else { continue };
                    let (id, _) = model.remove(&index).unwrap();
                    arena.destroy(id);
                    stale.push(id);
                }
                Step::Dispatch(index) => {
                    let Some(index) = pick(&index) else { continue };
                    let (id, known) = &model[&index];
                    check(&arena.open(*id).unwrap(), known);
                    arena.close(*id);
                }
                Step::Nested(outer, inner) => {
                    let (Some(outer), Some(inner)) = (pick(&outer), pick(&inner)) else { continue };
                    let (outer, inner) = (&model[&outer], &model[&inner]);
                    let heap = arena.open(outer.0).unwrap();
                    check(&arena.open(inner.0).unwrap(), &inner.1);
                    if inner.0 != outer.0 {
                        arena.close(inner.0);
                    }
                    check(&heap, &outer.1);
                    arena.close(outer.0);
                }
                Step::Batch(indices) => {
                    let ids: Vec<HeapId> = indices.iter().filter_map(pick).map(|index| model[&index].0).chain(stale.last().copied()).collect();
                    prop_assert!(arena.open_all(&ids) <= ids.len());
                }
                Step::Lend(index, len) => {
                    let Some(index) = pick(&index) else { continue };
                    let (id, known) = model.get_mut(&index).unwrap();
                    let Some(span) = arena.lend(*id, len) else { continue };
                    prop_assert_eq!(span.len(), len);
                    fill(&arena.open(*id).unwrap(), span, known.value);
                    arena.close(*id);
                    known.lent.push(span);
                }
                Step::GiveBack(index) => {
                    let Some(index) = pick(&index) else { continue };
                    let (id, known) = model.get_mut(&index).unwrap();
                    if known.lent.is_empty() { continue }
                    let middle = known.lent.len() / 2;
                    arena.give_back(*id, known.lent.remove(middle));
                }
                Step::CloseAll => arena.close_all(),
                Step::Trim => { arena.trim(); }
            }
            let usage = arena.usage();
            prop_assert_eq!(usage.live as usize, model.len());
            let lent: u32 = model.values().flat_map(|(_, known)| &known.lent).map(|span| span.len().div_ceil(BLOCK)).sum();
            prop_assert_eq!(usage.blocks_lent, lent);
            if let Guard::Epoch(limit) = guard {
                prop_assert!(usage.open <= limit);
            }
        }
        for (id, known) in model.values() {
            check(&arena.open(*id).unwrap(), known);
            arena.destroy(*id);
        }
        for id in stale {
            prop_assert_eq!(arena.open(id).unwrap_err(), OpenError::Stale);
        }
        let usage = arena.usage();
        prop_assert_eq!((usage.live, usage.blocks_lent), (0, 0));
    }

    /// Bits flipped anywhere in the control pages and the headers: a heap may be lost, and nothing panics.
    #[test]
    fn flipped_bits(bits in prop::collection::vec(any::<prop::sample::Index>(), 1..20)) {
        let mut arena = arena(4, 8, Guard::Off);
        let ids = [0; 4].map(|_| arena.create().unwrap());
        for id in ids {
            arena.lend(id, BLOCK).unwrap();
            arena.open(id).unwrap().alloc(64).unwrap();
        }
        let tables = 8 * 16 + 4 * 8;
        let header = arena.layout().heap_at(1);
        let places: Vec<usize> = (0..tables * 8).chain(header * 8..(header + 48) * 8).collect();
        for bit in &bits {
            flip(&arena, *bit.get(&places));
        }
        for id in ids {
            let _ = arena.open(id);
            arena.open_all(&[id]);
            let _ = arena.lend(id, BLOCK);
            arena.close(id);
        }
        ids.iter().for_each(|id| arena.destroy(*id));
        arena.trim();
        while let Some(id) = arena.create() {
            arena.open(id).unwrap();
        }
    }
}

#[test]
fn an_epoch_is_over_after_as_many_dispatches() {
    let mut arena = arena(2, 1, Guard::Epoch(3));
    let id = arena.create().unwrap();
    for dispatch in 1..=3 {
        assert!(!arena.is_epoch_over(), "before dispatch {dispatch}");
        arena.open(id).unwrap();
        arena.close(id);
    }
    assert!(arena.is_epoch_over());
    arena.close_all();
    assert!(!arena.is_epoch_over());
    assert_eq!(arena.usage().open, 0);
}
