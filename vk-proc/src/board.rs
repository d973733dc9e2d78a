//! The counters that workers show, in memory that all of them share: `--admin` prints them, `vk ps` reads them.
//!
//! Each worker writes its own record, about once a second. The numbers are not of one instant; each is whole. They are
//! shown and compared, and nothing else: a worker that writes another one's record harms no connection.
#![allow(unsafe_code)]

use crate::Stats;
use crate::shared::{Cell, Shared};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use vk_heap::Usage;

/// What is shown of each worker: name, kind and explanation, as Prometheus prints them.
pub const COLUMNS: [(&str, &str, &str); 19] = [
    ("vk_live", "gauge", "Micro-processes that exist now."),
    ("vk_started_total", "counter", "Micro-processes started."),
    ("vk_ended_total", "counter", "Micro-processes ended."),
    ("vk_panics_total", "counter", "Micro-processes ended by a panic."),
    ("vk_faults_total", "counter", "Micro-processes ended since their micro-heap was damaged or too small."),
    ("vk_dispatches_total", "counter", "Dispatches."),
    ("vk_received_bytes_total", "counter", "Bytes received from descriptors."),
    ("vk_sent_bytes_total", "counter", "Bytes sent to descriptors."),
    ("vk_starved_total", "counter", "Times that a micro-process waited for a micro-heap or a descriptor."),
    ("vk_shed_total", "counter", "Idle connections ended to make room for others."),
    ("vk_heaps", "gauge", "Micro-heaps that the arena has room for."),
    ("vk_heaps_open", "gauge", "Micro-heaps that are open."),
    ("vk_blocks_lent", "gauge", "Blocks of 64 KiB that are lent."),
    ("vk_arena_resident_bytes", "gauge", "Memory behind the arena."),
    ("vk_guard_opens_total", "counter", "Calls of the kernel that opened micro-heaps."),
    ("vk_guard_closes_total", "counter", "Calls of the kernel that closed micro-heaps."),
    ("vk_restarts_total", "counter", "Times that the worker was started again after it had died."),
    ("vk_pid", "gauge", "The worker's process."),
    ("vk_parked", "gauge", "Idle pooled connections to other servers."),
];

const RESTARTS: usize = 16;
const PID: usize = 17;
const PARKED: usize = 18;

/// What one worker shows.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Record {
    /// The worker's place, plus one; 0 while the record is free.
    pub(crate) place: AtomicU32,
    /// Whether it drains, as a worker of an earlier build.
    pub(crate) drains: AtomicU32,
    pub(crate) counters: [AtomicU64; COLUMNS.len()],
}
// SAFETY: atomics.
unsafe impl Cell for Record {}

/// All records.
#[derive(Debug)]
pub struct Board {
    shared: Shared,
    records: usize,
}

impl Board {
    /// A board with as many records, all free.
    ///
    /// # Errors
    /// Those of memfd_create(2) and mmap(2).
    pub fn new(records: usize) -> io::Result<Board> {
        Ok(Board { shared: Shared::new(c"vk-board", records * size_of::<Record>())?, records })
    }

    /// The board in a memfd.
    ///
    /// # Errors
    /// Those of mmap(2); `InvalidData` if it is smaller than so many records.
    pub(crate) fn map(memfd: OwnedFd, records: usize) -> io::Result<Board> {
        let shared = Shared::map(memfd)?;
        match shared.size() >= records * size_of::<Record>() {
            true => Ok(Board { shared, records }),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    pub(crate) fn memfd(&self) -> RawFd {
        self.shared.memfd()
    }

    fn records(&self) -> &[Record] {
        self.shared.slice(0, self.records)
    }

    /// The record of a slot. It stays mapped for ever.
    pub(crate) fn record(&self, slot: usize) -> &'static Record {
        let record: *const Record = &self.records()[slot];
        // SAFETY: a board is never unmapped.
        unsafe { &*record }
    }

    pub(crate) fn occupy(&self, slot: usize, place: usize) {
        let record = self.record(slot);
        record.clear();
        record.drains.store(0, Relaxed);
        record.place.store(place as u32 + 1, Release);
    }

    pub(crate) fn vacate(&self, slot: usize) {
        self.record(slot).place.store(0, Release);
    }

    /// Lines of the whole board, some of them empty.
    pub fn lines(&self) -> usize {
        COLUMNS.len() * (self.records + 1)
    }

    /// One line of the board in Prometheus's text format
    /// (<https://prometheus.io/docs/instrumenting/exposition_formats/>): what a column is, or one worker's number. Empty for a
    /// record that is free.
    ///
    /// # Panics
    /// If there are not so many [lines](Board::lines).
    pub fn line(&self, line: usize) -> String {
        let (column, line) = (line / (self.records + 1), line % (self.records + 1));
        let (name, kind, help) = COLUMNS[column];
        let Some(record) = line.checked_sub(1).map(|record| &self.records()[record]) else {
            return format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        };
        let Some(place) = record.place.load(Acquire).checked_sub(1) else { return String::new() };
        let number = record.counters[column].load(Relaxed);
        let drains = if record.drains.load(Relaxed) != 0 { ",state=\"draining\"" } else { "" };
        format!("{name}{{worker=\"{place}\"{drains}}} {number}\n")
    }
}

impl Record {
    /// A record on no board.
    pub(crate) fn alone() -> &'static Record {
        let counters = std::array::from_fn(|_| AtomicU64::new(0));
        Box::leak(Box::new(Record { place: AtomicU32::new(1), drains: AtomicU32::new(0), counters }))
    }

    /// Shows a worker's counters, and how many idle connections it has pooled.
    pub fn show(&self, stats: &Stats, parked: u64, usage: &Usage) {
        let numbers: [u64; RESTARTS] = [
            stats.live,
            stats.started,
            stats.ended,
            stats.panics,
            stats.faults,
            stats.dispatches,
            stats.received,
            stats.sent,
            stats.starved,
            stats.shed,
            u64::from(usage.heaps),
            u64::from(usage.open),
            u64::from(usage.blocks_lent),
            usage.bytes_resident,
            usage.opens,
            usage.closes,
        ];
        for (cell, number) in self.counters.iter().zip(numbers) {
            cell.store(number, Relaxed);
        }
        self.counters[PID].store(u64::from(std::process::id()), Relaxed);
        self.counters[PARKED].store(parked, Relaxed);
    }

    /// What the last worker of the slot has shown: its successor counts on from there.
    pub fn recall(&self) -> Stats {
        let [live, started, ended, panics, faults, dispatches, received, sent, starved, shed] =
            std::array::from_fn(|column| self.counters[column].load(Relaxed));
        Stats { live, started, ended, panics, faults, dispatches, received, sent, starved, shed }
    }

    /// Counts on from what the worker of another slot has counted.
    pub fn inherit(&self, former: &Record) {
        for ((column, mine), theirs) in COLUMNS.iter().zip(&self.counters).zip(&former.counters) {
            if column.1 == "counter" {
                mine.fetch_add(theirs.load(Relaxed), Relaxed);
            }
        }
    }

    /// Shows nothing, as before the first worker.
    pub fn clear(&self) {
        self.counters.iter().for_each(|counter| counter.store(0, Relaxed));
    }

    /// Counts a restart.
    pub(crate) fn restarted(&self) {
        self.counters[RESTARTS].fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_shows_is_printed_in_its_row() {
        let board = Board::new(3).unwrap();
        (0..2).for_each(|slot| board.occupy(slot, slot));
        let stats = Stats { live: 3, sent: 14, ..Stats::default() };
        let usage = Usage {
            heaps: 9,
            live: 3,
            open: 0,
            blocks: 1,
            blocks_lent: 0,
            bytes_resident: 4096,
            opens: 5,
            closes: 6,
        };
        board.record(1).show(&stats, 0, &usage);
        board.record(0).restarted();
        let text: String = (0..board.lines()).map(|line| board.line(line)).collect();
        for line in [
            "vk_live{worker=\"0\"} 0",
            "vk_live{worker=\"1\"} 3",
            "vk_sent_bytes_total{worker=\"1\"} 14",
            "vk_guard_closes_total{worker=\"1\"} 6",
            "vk_restarts_total{worker=\"0\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
        assert!(!text.contains("worker=\"2\""), "a free record is not shown");
    }
}
