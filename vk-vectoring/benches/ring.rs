//! What a ring costs: a small message in and out, a line found, a large buffer moved.

use criterion::{Criterion, Throughput};
use std::hint::black_box;
use vk_vectoring::{Ring, exchange};

/// A message as small as most.
const MESSAGE: usize = 64;
/// A ring as it stands in a micro-heap of one page, roughly.
const SMALL: usize = 1024;
/// A ring that streams.
const LARGE: usize = 64 * 1024;

/// A ring that is empty but for one byte, which keeps it from starting over, and its storage.
fn never_empty(capacity: usize) -> (Ring, Vec<u8>) {
    let (mut ring, mut storage) = (Ring::new(capacity as u32), vec![b'.'; capacity]);
    ring.over(&mut storage).produced(1);
    (ring, storage)
}

fn messages(c: &mut Criterion) {
    let mut group = c.benchmark_group("message");
    let mut message = [b'x'; MESSAGE];
    let (mut ring, mut storage) = (Ring::new(SMALL as u32), vec![0; SMALL]);
    group.bench_function("write+read 64 B, empty in between", |b| {
        b.iter(|| {
            let mut bytes = black_box(&mut ring).over(black_box(&mut storage));
            bytes.write(black_box(&message));
            bytes.read(black_box(&mut message))
        });
    });
    let (mut ring, mut storage) = never_empty(SMALL);
    group.bench_function("write+read 64 B, going round", |b| {
        b.iter(|| {
            let mut bytes = black_box(&mut ring).over(black_box(&mut storage));
            bytes.write(black_box(&message));
            bytes.read(black_box(&mut message))
        });
    });
    group.finish();
}

fn lines(c: &mut Criterion) {
    let mut group = c.benchmark_group("line");
    let (mut ring, mut storage) = never_empty(SMALL);
    let mut bytes = ring.over(&mut storage);
    // The seam is in the middle of the line.
    bytes.produced(SMALL - 1);
    bytes.consumed(SMALL - MESSAGE / 2);
    bytes.write(&[b'x'; MESSAGE / 2]);
    bytes.write(b"\r\n");
    group.bench_function("find", |b| b.iter(|| black_box(&bytes).find(b'\n', 0)));
    group.bench_function("find_slice", |b| b.iter(|| black_box(&bytes).find_slice(b"\r\n", 0)));
    group.finish();
}

fn bulk(c: &mut Criterion) {
    let mut group = c.benchmark_group("bulk");
    group.throughput(Throughput::Bytes(LARGE as u64));
    let (mut source, mut source_storage) = never_empty(2 * LARGE);
    let (mut target, mut target_storage) = never_empty(2 * LARGE);
    group.bench_function("splice 64 KiB", |b| {
        b.iter(|| {
            let mut from = black_box(&mut source).over(&mut source_storage);
            let mut to = black_box(&mut target).over(&mut target_storage);
            from.produced(LARGE);
            to.splice(&mut from, LARGE);
            to.consumed(LARGE);
        });
    });
    let (mut source, mut target) = (Ring::new(LARGE as u32), Ring::new(LARGE as u32));
    let (mut source_storage, mut target_storage) = (vec![0; LARGE], vec![0; LARGE]);
    group.bench_function("exchange 64 KiB", |b| {
        b.iter(|| {
            source.over(&mut source_storage).produced(LARGE);
            if exchange(black_box(&mut target), black_box(&mut source)) > 0 {
                std::mem::swap(&mut source_storage, &mut target_storage);
            }
            target.over(&mut target_storage).consumed(LARGE);
        });
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    messages(&mut criterion);
    lines(&mut criterion);
    bulk(&mut criterion);
    criterion.final_summary();
}
