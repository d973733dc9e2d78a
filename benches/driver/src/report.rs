//! The tables, as markdown on stdout.

use std::fs;

use crate::cpus::Cpus;
use crate::scenario::Scenario;
use crate::target::{REFERENCE, Target};
use crate::{idle, load};

/// Where and how it was measured.
pub fn machine(title: &str, cpus: &Cpus, how: &str) {
    let first_line = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    println!("# {title}\n");
    println!(
        "- kernel {}, {}",
        first_line("/proc/sys/kernel/osrelease"),
        model.map_or("unknown CPU", |m| m.1)
    );
    println!("- servers on CPU {:?}, clients on {:?}; load average before: {}", cpus.server, cpus.clients, {
        first_line("/proc/loadavg")
    });
    println!("- {how}");
}

/// One row per server: medians over the rounds, and the ratio to the reference within each round.
pub fn load(scenario: Scenario, targets: &[Target], runs: &[Vec<Option<load::Run>>]) {
    println!("\n## {scenario}\n");
    println!(
        "| server | CPU µs/request | user | sys | × {REFERENCE} (min–max) | requests/s | p50 µs | p99 µs | errors |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    let reference = targets.iter().position(|target| target.name == REFERENCE).map(|index| &runs[index]);
    for (target, rounds) in targets.iter().zip(runs) {
        let runs: Vec<load::Run> = rounds.iter().flatten().copied().collect();
        let Some(cpu) = median(runs.iter().map(load::Run::cpu).collect()) else {
            println!("| {} | failed |", target.name);
            continue;
        };
        let user = cpu * user_share(&runs);
        let latency = |value: fn(load::Latency) -> u64| {
            whole(runs.iter().filter_map(|run| run.latency).map(|latency| value(latency) as f64).collect())
        };
        println!(
            "| {} | {cpu:.2} | {user:.2} | {:.2} | {} | {} | {} | {} | {} |",
            target.name,
            cpu - user,
            reference.map_or("–".into(), |reference| spread(ratios(rounds, reference))),
            whole(runs.iter().map(|run| run.rate).collect()),
            latency(|latency| latency.p50),
            latency(|latency| latency.p99),
            runs.iter().map(|run| run.errors).sum::<u64>(),
        );
    }
}

/// The user's part of the CPU time of all rounds: one round alone has too few of the kernel's samples.
fn user_share(runs: &[load::Run]) -> f64 {
    let user: f64 = runs.iter().map(|run| run.user).sum();
    user / runs.iter().map(load::Run::cpu).sum::<f64>()
}

/// One row per server: what a connection costs while it idles, and what is left of that afterwards.
pub fn idle(scenario: Scenario, targets: &[Target], runs: &[Option<idle::Run>]) {
    println!("\n## {scenario}\n");
    println!("Bytes per connection, while all are open and after all have been closed.\n");
    println!("| server | connections | RSS | PSS | memfd | RSS left | memfd left | descriptors left |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for (target, run) in targets.iter().zip(runs) {
        let Some(run) = run else {
            println!("| {} | failed |", target.name);
            continue;
        };
        let each = |bytes: i64| bytes / i64::from(run.connections);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            target.name,
            run.connections,
            each(run.open.rss),
            each(run.open.pss),
            each(run.open.memfd),
            each(run.left.rss),
            each(run.left.memfd),
            run.left.descriptors,
        );
    }
}

/// The ratios of the rounds in which both ran.
fn ratios(rounds: &[Option<load::Run>], reference: &[Option<load::Run>]) -> Vec<f64> {
    let both = rounds.iter().zip(reference);
    both.filter_map(|(run, reference)| Some(run.as_ref()?.cpu() / reference.as_ref()?.cpu())).collect()
}

/// `median (min–max)`.
fn spread(values: Vec<f64>) -> String {
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    median(values).map_or("–".into(), |median| format!("{median:.2} ({min:.2}–{max:.2})"))
}

/// The median without decimals.
fn whole(values: Vec<f64>) -> String {
    median(values).map_or("–".into(), |median| format!("{median:.0}"))
}

/// The middle value, or the mean of the two in the middle; none of nothing.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_even_and_none() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let run = |user| Some(load::Run { user, sys: 0.0, rate: 0.0, latency: None, errors: 0 });
        let ratios = ratios(&[run(2.0), None, run(9.0)], &[run(1.0), run(5.0), run(3.0)]);
        assert_eq!(spread(ratios), "2.50 (2.00–3.00)");
        assert_eq!(spread(Vec::new()), "–");
    }
}
