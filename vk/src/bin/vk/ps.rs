//! `vk ps`: keepers and their workers, as a table.

use crate::keeper;
use crate::process;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;
use vk_heap::HeapId;
use vk_proc::control::{Seen, Snapshot};

const TITLES: [&str; 11] = [
    "WORKER",
    "PID",
    "LIVE",
    "PARKED",
    "DISPATCHES",
    "RUNNING",
    "RESTARTS",
    "MEMORY",
    "LENT",
    "PANICS",
    "FAULTS",
];

type Row = [String; TITLES.len()];

/// Shows one keeper, or all.
pub fn ps(pid: Option<u32>) -> Result<ExitCode, String> {
    let keepers = match pid {
        Some(pid) => vec![(pid, keeper::keeper(pid)?)],
        None => keepers(),
    };
    if keepers.is_empty() {
        eprintln!("vk: there is no keeper that you may look at");
    }
    match io::stdout().write_all(table(&keepers).as_bytes()) {
        // Whoever reads it has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn keepers() -> Vec<(u32, Snapshot)> {
    // Those of other users, and those that have just ended, are left out.
    let keeper = |pid| Some((pid, Snapshot::of(pid).ok().flatten()?));
    process::all().into_iter().filter_map(keeper).collect()
}

/// All of them, their columns aligned.
fn table(keepers: &[(u32, Snapshot)]) -> String {
    let rows: Vec<Vec<Row>> = keepers.iter().map(|(pid, snapshot)| rows(*pid, snapshot)).collect();
    let titles = TITLES.map(str::to_owned);
    let width = |column: usize| {
        rows.iter().flatten().chain([&titles]).map(|row: &Row| row[column].len()).max().unwrap_or(0)
    };
    let widths: [usize; TITLES.len()] = std::array::from_fn(width);
    let line = |row: &Row| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        format!("  {}\n", cells.join("  "))
    };
    let shown = keepers.iter().zip(&rows).map(|((pid, snapshot), rows)| {
        let age = process::age(*pid).map_or("?".into(), time);
        let Snapshot { reloads, refused, .. } = snapshot;
        let command = process::command(*pid);
        let keeper = format!("keeper {pid}, up {age}, reloads {reloads}, refused {refused}: {command}\n");
        keeper + &line(&titles) + &rows.iter().map(line).collect::<String>()
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// A row for each worker that has ever been there.
fn rows(keeper: u32, snapshot: &Snapshot) -> Vec<Row> {
    let begun = |seen: &&Seen| seen.counter("vk_pid") != 0;
    snapshot.workers.iter().filter(begun).map(|seen| row(keeper, seen)).collect()
}

fn row(keeper: u32, seen: &Seen) -> Row {
    // A process that serves without a keeper is its own worker.
    let pid = Some(if seen.holder == 0 && seen.worker == 0 { keeper } else { seen.worker });
    let pid = pid.filter(|pid| *pid != 0);
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    [
        // What a build before this one still serves.
        if seen.drains { format!("{} (old)", seen.place) } else { seen.place.to_string() },
        or_none(pid.map(|pid| pid.to_string())),
        seen.counter("vk_live").to_string(),
        seen.counter("vk_parked").to_string(),
        seen.dispatches.to_string(),
        or_none((seen.running != HeapId::NONE).then(|| seen.running.to_string())),
        seen.counter("vk_restarts_total").to_string(),
        bytes(seen.counter("vk_arena_resident_bytes")),
        seen.counter("vk_blocks_lent").to_string(),
        seen.counter("vk_panics_total").to_string(),
        seen.counter("vk_faults_total").to_string(),
    ]
}

/// Two units at most: `3d 4h`, `5m 0s`, `7s`.
fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// In powers of 1024: `512`, `4.0K`, `1.5G`.
fn bytes(bytes: u64) -> String {
    let unit = bytes.max(1).ilog2() / 10;
    match unit {
        0 => bytes.to_string(),
        _ => format!("{:.1}{}", bytes as f64 / 1024_f64.powi(unit as i32), b"BKMGTPE"[unit as usize] as char),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0, 1023, 1024, 1 << 20, 1_610_612_736, u64::MAX].map(bytes);
        assert_eq!(shown, ["0", "1023", "1.0K", "1.0M", "1.5G", "16.0E"]);
        let shown = [0, 59, 300, 7265, 273_600].map(|seconds| time(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0s", "59s", "5m 0s", "2h 1m", "3d 4h"]);
    }
}
