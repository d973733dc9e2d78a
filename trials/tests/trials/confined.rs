//! The border of a confined worker: attacks of a handler on other processes are refused.

use crate::TRIAL;
use std::fs;
use std::os::unix::fs::MetadataExt;
use vk_trials::{Crowd, Probe, Setup, Trial, seed};
use vk_try::{Process, SIGHUP, SIGKILL, eventually, has_uring};

/// Attacks that the basic profile allows.
const BASIC: &str =
    "signal itself\nopen a file\nopen a directory\nmake a file\nopen a process\nexecute\nlisten\n";
const RING: &str = "make a ring\n";
const STRICT: &str = "signal itself\n";

fn start(profile: &str) -> Trial {
    Trial::start_with(TRIAL, &Setup::DEFAULT, 5, |command| _ = command.args(["--confine", profile]))
}

/// Each attack on keeper, holders and workers is refused.
#[test]
fn attacks() {
    let basic = BASIC.to_owned() + if has_uring() { RING } else { "" };
    for (profile, allowed) in [("basic", basic.as_str()), ("strict", STRICT)] {
        let trial = start(profile);
        let victims = [vec![trial.keeper()], trial.holders(), trial.workers()].concat();
        for victim in victims {
            let mut probes = (0..64).map(|_| Probe::to(trial.http()));
            let tried = probes.any(|mut probe| {
                probe.get(&format!("/attack={}", victim.0)).expect("it is taken in");
                let length = probe.incoming.head(200).expect("it is answered");
                // The victim does not attack itself.
                let is_another = length != Some("itself".len());
                let expected = if is_another { allowed } else { "itself" };
                probe
                    .incoming
                    .body(length, expected.as_bytes())
                    .unwrap_or_else(|wrong| panic!("{victim:?}: {wrong:?}"));
                is_another
            });
            assert!(tried, "64 connections are all the victim's");
        }
        trial.end();
    }
}

/// What of the framework's memory is mapped by a process, by name and inode.
fn mapped(process: Process) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{}/maps", process.0)).expect("a living process");
    let of_ours = maps.lines().filter(|line| line.contains("/memfd:vk-"));
    let mut mapped: Vec<_> =
        of_ours.map(|line| line.split_whitespace().skip(4).collect::<Vec<_>>().join(" ")).collect();
    mapped.sort();
    mapped.dedup();
    mapped
}

/// What a process has open, by name and inode.
fn open(process: Process) -> Vec<(String, u64)> {
    let folder = format!("/proc/{}/fd", process.0);
    let name = |line: String| Some((format!("{folder}/{}", line.split_once(' ')?.0), line));
    let named = process.open().into_iter().filter_map(name);
    named
        .filter_map(|(path, line)| Some((line.split_once(' ')?.1.to_owned(), fs::metadata(path).ok()?.ino())))
        .collect()
}

/// A worker has its own arena and its own ledger, and nothing that the keeper believes but what is shown.
#[test]
fn nothing_of_another_worker_is_there() {
    let trial = start("strict");
    let crowd = Crowd::gather(&trial, 100, seed());
    let [first, second] = trial.workers()[..] else { panic!("two workers") };
    let both: Vec<_> = mapped(first).into_iter().filter(|name| mapped(second).contains(name)).collect();
    assert!(both.iter().all(|name| name.contains("vk-board")), "both have {both:?}");
    let names: Vec<_> = mapped(first);
    for (part, count) in [("vk-heap", 1), ("vk-ledger", 1), ("vk-control", 0)] {
        assert_eq!(names.iter().filter(|name| name.contains(part)).count(), count, "{names:?}");
    }
    let [first, second] = trial.holders()[..] else { panic!("two holders") };
    let (first, second) = (open(first), open(second));
    let shared: Vec<_> = first.iter().filter(|descriptor| second.contains(descriptor)).collect();
    let is_private = |name: &str| name.contains("memfd:") || name.contains("socket:");
    assert!(!shared.iter().any(|(name, _)| is_private(name)), "both tables have {shared:?}");
    crowd.finish();
    trial.end();
}

/// A handler that puts a file at every number changes its worker's table only: the keeper executes the right programs.
#[test]
fn numbers_of_the_keeper_are_its_own() {
    let trial = start("strict");
    let before = trial.keeper().open();
    let mut probe = Probe::to(trial.http());
    // Its connection is one of those that are lost.
    let _ = probe.get("/dup-all").and_then(|()| probe.incoming.head(404));
    assert_eq!(trial.keeper().open(), before);
    eventually("it serves", || Probe::try_to(trial.http()).is_ok_and(|mut probe| probe.try_check().is_ok()));
    let workers = trial.workers();
    trial.keeper().signal(SIGHUP);
    eventually("another build serves", || {
        let now = trial.workers();
        now.len() == 2 && !now.iter().any(|worker| workers.contains(worker))
    });
    trial.workers()[0].signal(SIGKILL);
    Probe::to(trial.http()).check();
    trial.end();
}
