//! The kernel's own `kill -9`: a worker that is out of memory.

use crate::TRIAL;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fs, io, process, thread};
use vk_trials::{Crowd, Load, Setup, Trial, seed};
use vk_try::{Process, Random};

/// Where control groups of memory may be, and the file that has a group's limit.
const GROUPS: [(&str, &str); 3] = [
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    ("/sys/fs/cgroup", "memory.max"),
    ("/sys/fs/cgroup/unified", "memory.max"),
];

/// What a worker may take from now on: less than a few requests need.
const LIMIT: &str = "1048576";

/// A control group that ends with the test.
struct Group(PathBuf);

impl Group {
    /// A group with the limit: cgroups(7).
    fn new() -> io::Result<Group> {
        let mut result = Err(io::ErrorKind::NotFound.into());
        for (root, limit) in GROUPS {
            let group = Group(PathBuf::from(root).join(format!("vk-trial-{}", process::id())));
            result =
                fs::create_dir(&group.0).and_then(|()| fs::write(group.0.join(limit), LIMIT)).map(|()| group);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn take(&self, process: Process) -> io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), process.0.to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Busy until the corpse in it is gone.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |()| true)
            {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_worker_that_is_out_of_memory_is_replaced() {
    let group = match Group::new() {
        Ok(group) => group,
        Err(error) => return eprintln!("not tried: no control group for memory here: {error}"),
    };
    let mut random = Random(seed());
    let setup = Setup { workers: 1, ..Setup::DEFAULT };
    let trial = Trial::start(TRIAL, &setup);
    let crowd = Crowd::gather(&trial, 200, random.number());
    let [worker] = trial.workers()[..] else { panic!("one worker") };
    group.take(worker).expect("the group takes it");
    // What each of its connections does is right; it is the sum that is too much.
    let load = Load::start(trial.addresses(), 64, random.number());
    let end = Instant::now() + Duration::from_secs(20);
    while worker.is_alive() && !load.has_failed() && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    let killed = !worker.is_alive();
    load.finish();
    assert!(killed, "the limit is not reached");
    crowd.finish();
    trial.end();
}
