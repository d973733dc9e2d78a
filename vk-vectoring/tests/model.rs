//! Two rings against two `VecDeque`s: random operations, everything that can be seen compared after each.

use bytes::Buf;
use proptest::{collection::vec, prelude::*, test_runner::RngSeed};
use std::{
    collections::VecDeque,
    io::{Read, Write},
    mem,
};
use vk_vectoring::{Ring, exchange};

/// Of rings: small, so that the seam, full and empty are met all the time; 0 and 1 are among them.
const CAPACITY: std::ops::Range<usize> = 0..14;
/// Of bytes: more than any capacity, so that "too many" is met as well.
const COUNT: std::ops::Range<usize> = 0..20;

/// One operation on a ring; where it takes two, from the other one to this one.
#[derive(Clone, Debug)]
enum Op {
    Write(Vec<u8>),
    Produce(Vec<u8>),
    ProduceIo(Vec<u8>),
    Read(usize),
    Unread(Vec<u8>),
    Peek(usize, usize),
    Skip(usize),
    Consume(usize),
    ConsumeIo(usize),
    Buf(usize),
    Find(u8, usize),
    FindSlice(Vec<u8>, usize),
    Contiguous,
    Splice(usize),
    Exchange,
    Rehouse(usize),
}

/// Operations are made from a few plain numbers, and not from a strategy each, in which miri would spend
/// most of its time.
fn op() -> impl Strategy<Value = Op> {
    (0..28u8, COUNT, COUNT, any::<u32>()).prop_map(|(kind, n, m, bits)| {
        // An alphabet of two, so that needles are found, nearly found, and found twice.
        let text = |length: usize| (0..length).map(|i| b'a' + (bits >> i & 1) as u8).collect::<Vec<u8>>();
        match kind {
            0..3 => Op::Write(text(n)),
            3..5 => Op::Produce(text(n)),
            5 => Op::ProduceIo(text(n)),
            6..9 => Op::Read(n),
            9 => Op::Peek(n, m),
            10 => Op::Skip(n),
            11..13 => Op::Consume(n),
            13 => Op::ConsumeIo(n),
            14 => Op::Buf(n),
            15 => Op::Find(b'a' + (bits % 3) as u8, n),
            16..19 => Op::FindSlice(text(m % 6), n),
            19..21 => Op::Contiguous,
            21..23 => Op::Splice(n),
            23..25 => Op::Exchange,
            25..27 => Op::Unread(text(n)),
            _ => Op::Rehouse(n.min(CAPACITY.end)),
        }
    })
}

/// A ring, its storage, and what it should hold.
struct Pair {
    ring: Ring,
    storage: Vec<u8>,
    bytes: VecDeque<u8>,
    /// How many bytes were ever read.
    head: u64,
}

impl Pair {
    fn new(capacity: usize) -> Pair {
        Pair {
            ring: Ring::new(capacity as u32),
            storage: vec![b'.'; capacity],
            bytes: VecDeque::new(),
            head: 0,
        }
    }

    fn free(&self) -> usize {
        self.storage.len() - self.bytes.len()
    }

    /// The model's read: the first `n` bytes, or all.
    fn take(&mut self, n: usize) -> Vec<u8> {
        let n = n.min(self.bytes.len());
        self.head += n as u64;
        self.bytes.drain(..n).collect()
    }

    /// The model's write: the first of `bytes` that fit.
    fn put<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let bytes = &bytes[..bytes.len().min(self.free())];
        self.bytes.extend(bytes);
        bytes
    }

    fn check(&mut self) {
        let Pair { ring, storage, bytes, head } = self;
        assert!(ring.is_valid());
        assert_eq!(ring.head(), *head);
        assert_eq!(ring.tail(), *head + bytes.len() as u64);
        assert_eq!(ring.len(), bytes.len());
        assert_eq!(ring.capacity(), storage.len());
        assert_eq!(ring.free(), storage.len() - bytes.len());
        assert_eq!(ring.is_empty(), bytes.is_empty());
        assert_eq!(ring.is_full(), bytes.len() == storage.len());

        let mut vectoring = ring.over(storage);
        let readable = vectoring.readable();
        assert_eq!(*bytes, readable.concat());
        assert!(!readable[0].is_empty() || readable[1].is_empty());
        assert!(vectoring.readable_io().iter().map(|io| &**io).eq(readable));
        assert_eq!(vectoring.remaining(), bytes.len());
        assert_eq!(vectoring.chunk(), readable[0]);

        let free = vectoring.ring().free();
        let [first, second] = vectoring.writable().map(|slice| slice.len());
        assert_eq!(first + second, free);
        assert!(first > 0 || second == 0);
        assert_eq!(vectoring.writable_io().map(|io| io.len()), [first, second]);
        if bytes.is_empty() {
            assert_eq!(first, free, "an empty ring starts over at index 0");
        }
    }

    fn apply(&mut self, op: Op, other: &mut Pair) {
        let mut vectoring = self.ring.over(&mut self.storage);
        match op {
            Op::Write(bytes) => {
                let n = vectoring.write(&bytes);
                assert_eq!(self.put(&bytes).len(), n);
            }
            Op::Produce(bytes) => {
                let [first, second] = vectoring.writable();
                let in_first = bytes.len().min(first.len());
                let in_second = (bytes.len() - in_first).min(second.len());
                first[..in_first].copy_from_slice(&bytes[..in_first]);
                second[..in_second].copy_from_slice(&bytes[in_first..][..in_second]);
                vectoring.produced(in_first + in_second);
                assert_eq!(self.put(&bytes).len(), in_first + in_second);
            }
            Op::ProduceIo(bytes) => {
                let n = (&bytes[..]).read_vectored(&mut vectoring.writable_io()).unwrap();
                vectoring.produced(n);
                assert_eq!(self.put(&bytes).len(), n);
            }
            Op::Read(n) => {
                let mut target = vec![b'?'; n];
                let n = vectoring.read(&mut target);
                assert_eq!(self.take(target.len()), target[..n]);
                assert!(target[n..].iter().all(|&byte| byte == b'?'));
            }
            Op::Unread(bytes) => {
                let n = bytes.len().min(vectoring.ring().free()).min(self.head as usize);
                vectoring.unread(&bytes[..n]);
                self.head -= n as u64;
                bytes[..n].iter().rev().for_each(|byte| self.bytes.push_front(*byte));
            }
            Op::Peek(offset, n) => {
                let mut target = vec![b'?'; n];
                let n = vectoring.peek(offset, &mut target);
                assert!(self.bytes.iter().skip(offset).take(target.len()).eq(&target[..n]));
                assert!(target[n..].iter().all(|&byte| byte == b'?'));
            }
            Op::Skip(n) => {
                let skipped = vectoring.skip(n);
                assert_eq!(self.take(n).len(), skipped);
            }
            Op::Consume(n) => {
                let n = n.min(vectoring.ring().len());
                vectoring.consumed(n);
                self.take(n);
            }
            Op::ConsumeIo(n) => {
                let mut socket = vec![b'?'; n];
                let n = (&mut socket[..]).write_vectored(&vectoring.readable_io()).unwrap();
                vectoring.consumed(n);
                assert_eq!(self.take(socket.len()), socket[..n]);
            }
            Op::Buf(n) => {
                let mut slices = [std::io::IoSlice::new(&[]); 2];
                let filled = vectoring.chunks_vectored(&mut slices);
                assert_eq!(self.bytes, slices.map(|slice| slice.to_vec()).concat());
                assert!(slices[..filled].iter().all(|slice| !slice.is_empty()));
                let taken = vectoring.copy_to_bytes(n.min(self.bytes.len()));
                assert_eq!(self.take(n), taken);
            }
            Op::Find(byte, from) => {
                let expected = (from..self.bytes.len()).find(|&i| self.bytes[i] == byte);
                assert_eq!(vectoring.find(byte, from), expected);
            }
            Op::FindSlice(needle, from) => {
                let bytes = self.bytes.make_contiguous();
                let expected = (from..=bytes.len()).find(|&i| bytes[i..].starts_with(&needle));
                assert_eq!(vectoring.find_slice(&needle, from), expected);
            }
            Op::Contiguous => {
                let mut before = *vectoring.ring();
                let wrapped = !vectoring.readable()[1].is_empty();
                assert_eq!(vectoring.contiguous(), self.bytes.make_contiguous());
                assert_eq!(vectoring.readable()[1], b"");
                if !wrapped {
                    assert_eq!(*vectoring.ring(), before, "moved without need");
                }
                if before.len() * 2 <= before.capacity() {
                    let unharmed = before.over(&mut self.storage).readable().concat();
                    assert_eq!(self.bytes, unharmed, "a copy of the ring has gone bad");
                }
            }
            Op::Splice(max) => {
                let n = vectoring.splice(&mut other.ring.over(&mut other.storage), max);
                let moved = other.take(max.min(self.free()));
                assert_eq!(self.put(&moved).len(), n);
            }
            Op::Exchange => {
                let possible = self.bytes.is_empty() && self.storage.len() == other.storage.len();
                let n = exchange(&mut self.ring, &mut other.ring);
                assert_eq!(n, if possible { other.bytes.len() } else { 0 });
                if n > 0 {
                    mem::swap(&mut self.storage, &mut other.storage);
                }
                let moved = other.take(n);
                self.put(&moved);
            }
            Op::Rehouse(capacity) => {
                let mut storage = vec![b'.'; capacity.max(self.bytes.len())];
                vectoring.rehouse(&mut storage);
                self.storage = storage;
                assert_eq!(self.ring.over(&mut self.storage).readable()[1], b"");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 12 } else { 4096 },
        max_shrink_iters: if cfg!(miri) { 0 } else { 10_000 },
        rng_seed: RngSeed::Fixed(0x0072_696e_6773),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn rings_are_queues(
        capacities in (CAPACITY, CAPACITY, any::<bool>()),
        ops in vec((any::<bool>(), op()), 0..if cfg!(miri) { 40 } else { 120 }),
    ) {
        // Equal capacities half of the time: an exchange needs them.
        let (one, two, equal) = capacities;
        let (mut one, mut two) = (Pair::new(one), Pair::new(if equal { one } else { two }));
        for (on_one, op) in ops {
            let (this, other) = if on_one { (&mut one, &mut two) } else { (&mut two, &mut one) };
            this.apply(op, other);
            one.check();
            two.check();
        }
    }
}
