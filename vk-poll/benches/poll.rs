//! The way of a small message through each backend, and what a timer costs.
//!
//! `round trip`: a byte is written into one end of a socket pair, waited for, and read from the other, by one
//! thread. `of 64`: 64 pairs are written to, then one wait finds all of them.

use std::hint::black_box;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{IntoRawFd, RawFd};
use std::os::unix::net::UnixStream;

use criterion::{Criterion, criterion_group, criterion_main};
use vk_poll::{Backend, Epoll, Timers, Token, Uring, set_nonblocking};

fn pairs(backend: &mut impl Backend, count: u64) -> Vec<(RawFd, RawFd)> {
    let pair = |token| {
        let (near, far) = UnixStream::pair().unwrap();
        let (near, far) = (near.into_raw_fd(), far.into_raw_fd());
        set_nonblocking(near, true).unwrap();
        backend.add(near, Token(token)).unwrap();
        (near, far)
    };
    let pairs = (0..count).map(pair).collect();
    // What is ready at the beginning.
    backend.wait(Some(1_000_000), &mut Vec::new()).unwrap();
    pairs
}

fn backend(criterion: &mut Criterion, mut backend: impl Backend) {
    let mut group = criterion.benchmark_group(backend.name());
    let mut events = Vec::new();
    for (name, count) in [("round trip", 1), ("round trip, of 64", 64)] {
        let pairs = pairs(&mut backend, count);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for &(_, far) in &pairs {
                    backend.write(far, &[IoSlice::new(b"x")]).unwrap();
                }
                let mut seen = 0;
                while seen < pairs.len() {
                    backend.wait(None, &mut events).unwrap();
                    for event in events.iter().filter(|event| event.readable) {
                        let near = pairs[event.token.0 as usize].0;
                        seen += backend.read(near, &mut [IoSliceMut::new(&mut [0; 64])]).unwrap();
                    }
                }
            });
        });
        for (near, far) in pairs {
            backend.close(near);
            backend.close(far);
        }
    }
    group.bench_function("look at nothing", |bencher| {
        bencher.iter(|| backend.wait(Some(0), &mut events).unwrap());
    });
    group.bench_function("open, add, wait, close", |bencher| {
        bencher.iter(|| {
            for (near, far) in pairs(&mut backend, 1) {
                backend.close(near);
                backend.close(far);
            }
        });
    });
    group.finish();
}

fn timers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timers");
    for count in [100u32, 10_000, 1_000_000] {
        let mut timers = Timers::new();
        (0..count).for_each(|key| timers.set(key, u64::from(key)));
        let (mut now, mut key) = (u64::from(count), 0u32);
        group.bench_function(format!("later, of {count}"), |bencher| {
            // What each request does to the timeout of its connection.
            bencher.iter(|| {
                now += 1;
                key = (key.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)) % count;
                timers.set(black_box(key), now);
            });
        });
        group.bench_function(format!("clear, set, of {count}"), |bencher| {
            bencher.iter(|| {
                now += 1;
                key = (key.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)) % count;
                timers.clear(black_box(key));
                timers.set(key, now);
            });
        });
        group.bench_function(format!("expire, set, of {count}"), |bencher| {
            bencher.iter(|| {
                now += 1;
                let key = timers.expired(u64::MAX).unwrap();
                timers.set(key, now);
            });
        });
    }
    group.finish();
}

fn backends(criterion: &mut Criterion) {
    backend(criterion, Epoll::new().unwrap());
    match Uring::new() {
        Ok(uring) => backend(criterion, uring),
        Err(error) => eprintln!("{error}"),
    }
}

criterion_group!(benches, backends, timers);
criterion_main!(benches);
