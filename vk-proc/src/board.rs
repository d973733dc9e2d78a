//! Where workers show their counters: one page of shared memory, made before they are forked.
//!
//! Each worker writes its own row, now and then, and whoever looks reads all rows. A row is not a snapshot
//! of one instant; each number is whole.
#![allow(unsafe_code)]

use crate::Stats;
use std::io;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use vk_heap::Usage;

/// What is shown of each worker: name, kind and explanation, as Prometheus prints them.
pub const COLUMNS: [(&str, &str, &str); 17] = [
    ("vk_live", "gauge", "Micro-processes that exist now."),
    ("vk_started_total", "counter", "Micro-processes started."),
    ("vk_ended_total", "counter", "Micro-processes ended."),
    ("vk_panics_total", "counter", "Micro-processes ended by a panic."),
    ("vk_faults_total", "counter", "Micro-processes ended since their micro-heap was damaged or too small."),
    ("vk_dispatches_total", "counter", "Dispatches."),
    ("vk_received_bytes_total", "counter", "Bytes received from descriptors."),
    ("vk_sent_bytes_total", "counter", "Bytes sent to descriptors."),
    ("vk_starved_total", "counter", "Times that a micro-process waited for a micro-heap or a descriptor."),
    ("vk_heaps", "gauge", "Micro-heaps that the arena has room for."),
    ("vk_heaps_open", "gauge", "Micro-heaps that are open."),
    ("vk_blocks_lent", "gauge", "Blocks of 64 KiB that are lent."),
    ("vk_arena_resident_bytes", "gauge", "Memory behind the arena."),
    ("vk_guard_opens_total", "counter", "Calls of the kernel that opened micro-heaps."),
    ("vk_guard_closes_total", "counter", "Calls of the kernel that closed micro-heaps."),
    ("vk_restarts_total", "counter", "Times that the worker was started again after it had died."),
    ("vk_pid", "gauge", "The worker's process."),
];

const RESTARTS: usize = 15;

type Row = [AtomicU64; COLUMNS.len()];

/// The shared page. Dropping it leaves the memory mapped: workers and keeper use it to their end.
#[derive(Debug)]
pub struct Board {
    rows: NonNull<Row>,
    workers: usize,
}

// SAFETY: the rows are atomics, and the mapping stays to the end of the process.
unsafe impl Sync for Board {}
// SAFETY: as above.
unsafe impl Send for Board {}

impl Board {
    /// A board with a row for each worker, all zeros.
    ///
    /// # Errors
    /// Those of mmap(2).
    pub fn new(workers: usize) -> io::Result<Board> {
        let size = workers.max(1) * size_of::<Row>();
        // SAFETY: a new mapping of no file touches nothing that exists.
        let rows = unsafe {
            let (access, flags) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
            libc::mmap(ptr::null_mut(), size, access, flags, -1, 0)
        };
        match NonNull::new(rows.cast::<Row>()) {
            Some(rows) if rows.as_ptr().cast() != libc::MAP_FAILED => Ok(Board { rows, workers }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn rows(&self) -> &[Row] {
        // SAFETY: `new` mapped as many rows, as zeros, which is a valid atomic; they are never unmapped.
        unsafe { slice::from_raw_parts(self.rows.as_ptr(), self.workers.max(1)) }
    }

    /// Shows a worker's counters.
    pub fn show(&self, worker: usize, stats: &Stats, usage: &Usage) {
        let numbers = [
            stats.live,
            stats.started,
            stats.ended,
            stats.panics,
            stats.faults,
            stats.dispatches,
            stats.received,
            stats.sent,
            stats.starved,
            u64::from(usage.heaps),
            u64::from(usage.open),
            u64::from(usage.blocks_lent),
            usage.bytes_resident,
            usage.opens,
            usage.closes,
        ];
        let row = &self.rows()[worker];
        for (cell, number) in row.iter().zip(numbers) {
            cell.store(number, Relaxed);
        }
        row[COLUMNS.len() - 1].store(u64::from(std::process::id()), Relaxed);
    }

    /// Counts a restart.
    pub fn restarted(&self, worker: usize) {
        self.rows()[worker][RESTARTS].fetch_add(1, Relaxed);
    }

    /// All numbers in Prometheus's text format
    /// (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
    pub fn print(&self) -> String {
        let mut text = String::new();
        for (column, (name, kind, help)) in COLUMNS.iter().enumerate() {
            text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for (worker, row) in self.rows().iter().enumerate() {
                let number = row[column].load(Relaxed);
                text += &format!("{name}{{worker=\"{worker}\"}} {number}\n");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_shows_is_printed_in_its_row() {
        let board = Board::new(2).unwrap();
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
        board.show(1, &stats, &usage);
        board.restarted(0);
        let text = board.print();
        for line in [
            "vk_live{worker=\"0\"} 0",
            "vk_live{worker=\"1\"} 3",
            "vk_sent_bytes_total{worker=\"1\"} 14",
            "vk_guard_closes_total{worker=\"1\"} 6",
            "vk_restarts_total{worker=\"0\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }
}
