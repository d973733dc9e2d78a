//! The counters that workers show: in the ledger, where whoever maps it reads them while they run.
//!
//! Each worker writes its own, now and then. They are not a snapshot of one instant; each number is whole.

use crate::Stats;
use crate::ledger::{Ledger, Phase, Seat};
use std::sync::atomic::Ordering::Relaxed;
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
    ("vk_parked", "gauge", "Connections that nobody has, kept for who asks next."),
];

const RESTARTS: usize = 16;
const PID: usize = 17;
const PARKED: usize = 18;

/// Shows a worker's counters, and how many connections are parked there.
pub fn show(seat: &Seat, stats: &Stats, parked: u64, usage: &Usage) {
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
    for (cell, number) in seat.counters.iter().zip(numbers) {
        cell.store(number, Relaxed);
    }
    seat.counters[PID].store(u64::from(std::process::id()), Relaxed);
    seat.counters[PARKED].store(parked, Relaxed);
}

/// What a worker before has shown, which its successor goes on counting from.
pub fn recall(seat: &Seat) -> Stats {
    let [live, started, ended, panics, faults, dispatches, received, sent, starved, shed] =
        std::array::from_fn(|column| seat.counters[column].load(Relaxed));
    Stats { live, started, ended, panics, faults, dispatches, received, sent, starved, shed }
}

/// Goes on counting from what another seat's worker has counted.
pub fn inherit(seat: &Seat, former: &Seat) {
    for ((column, mine), theirs) in COLUMNS.iter().zip(&seat.counters).zip(&former.counters) {
        if column.1 == "counter" {
            mine.fetch_add(theirs.load(Relaxed), Relaxed);
        }
    }
}

/// Counts a restart.
pub fn restarted(seat: &Seat) {
    seat.counters[RESTARTS].fetch_add(1, Relaxed);
}

/// All numbers in Prometheus's text format
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
pub fn print(ledger: &Ledger) -> String {
    let mut text = String::new();
    for (column, (name, kind, help)) in COLUMNS.iter().enumerate() {
        text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for seat in ledger.seats().iter().filter(|seat| !seat.is_free()) {
            let (place, number) = (seat.place.load(Relaxed), seat.counters[column].load(Relaxed));
            let drains = if seat.phase() == Phase::Draining { ",state=\"draining\"" } else { "" };
            text += &format!("{name}{{worker=\"{place}\"{drains}}} {number}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_shows_is_printed_in_its_row() {
        let ledger = Ledger::new(2).unwrap();
        for place in 0..2 {
            assert_eq!(ledger.sit(place, std::fs::File::open("/dev/null").unwrap().into()), Some(place));
        }
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
        show(ledger.seat(1), &stats, 0, &usage);
        restarted(ledger.seat(0));
        let text = print(&ledger);
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
