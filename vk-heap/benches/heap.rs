//! What a dispatch pays for its heap: opening and closing under each guard, allocating, lending.
//!
//! `cargo bench -p vk-heap`. An element is one heap, so compare the times per element.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use vk_heap::{Arena, BLOCK, Config, Guard, HeapId};

/// Heaps of the arena, of which each round runs a batch.
const HEAPS: u32 = 10_000;

fn arena(guard: Guard) -> (Arena, Vec<HeapId>) {
    let config = Config { heaps: HEAPS, heap_size: 4096, pool_blocks: 64, guard };
    let mut arena = Arena::new(&config).expect("memfd");
    let ids = std::iter::from_fn(|| arena.create().inspect(|id| arena.close(*id))).collect();
    arena.close_all();
    (arena, ids)
}

/// Open and close; under `strict` the heap is closed between, otherwise open already.
fn open(c: &mut Criterion) {
    for guard in [Guard::Off, Guard::default(), Guard::Strict] {
        let (mut arena, ids) = arena(guard);
        c.bench_function(&format!("open+close/{guard}"), |b| {
            b.iter(|| {
                black_box(arena.open(black_box(ids[7])).expect("live"));
                arena.close(black_box(ids[7]));
            });
        });
    }
}

/// A round of a worker: a batch of heaps, then the wait.
fn round(c: &mut Criterion) {
    let mut group = c.benchmark_group("round");
    for (name, step) in [("neighbours", 1), ("every 5th", 5), ("scattered", 77)] {
        for count in [1, 32, 128] {
            for (guard, batch) in [
                (Guard::Off, false),
                (Guard::default(), true),
                (Guard::default(), false),
                (Guard::Strict, false),
            ] {
                let (mut arena, ids) = arena(guard);
                let ids: Vec<HeapId> = ids.into_iter().step_by(step).take(count).collect();
                group.throughput(Throughput::Elements(count as u64));
                let how = if batch { "batch" } else { "each" };
                group.bench_function(format!("{name}/{count}/{guard}/{how}"), |b| {
                    b.iter(|| {
                        if batch {
                            arena.open_all(&ids);
                        }
                        for id in &ids {
                            let heap = arena.open(*id).expect("live");
                            black_box(heap.root());
                            arena.close(*id);
                        }
                        arena.close_all();
                    });
                });
            }
        }
    }
}

fn parts(c: &mut Criterion) {
    let (mut arena, ids) = arena(Guard::default());
    let mut heap = arena.open(ids[0]).expect("live");
    c.bench_function("alloc+free", |b| {
        b.iter(|| {
            let span = heap.alloc(black_box(200)).expect("room");
            heap.free(span);
        });
    });
    let spans: Vec<_> = (0..20).map(|_| heap.alloc(100).expect("room")).collect();
    spans.iter().step_by(2).for_each(|span| heap.free(*span));
    c.bench_function("alloc+free/10 holes", |b| {
        b.iter(|| {
            let span = heap.alloc(black_box(200)).expect("room");
            heap.free(span);
        });
    });
    c.bench_function("root", |b| b.iter(|| black_box(&heap).root()));
    c.bench_function("ptr", |b| b.iter(|| heap.ptr(black_box(spans[1]))));
    c.bench_function("lend+give_back", |b| {
        b.iter(|| {
            let span = arena.lend(ids[0], black_box(BLOCK)).expect("a block");
            arena.give_back(ids[0], span);
        });
    });
    arena.destroy(ids[0]);
    c.bench_function("create+destroy", |b| {
        b.iter(|| {
            let id = arena.create().expect("a slot");
            arena.destroy(black_box(id));
        });
    });
    c.bench_function("trim/nothing", |b| b.iter(|| arena.trim()));
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .sample_size(30);
    targets = open, parts, round
}
criterion_main!(benches);
