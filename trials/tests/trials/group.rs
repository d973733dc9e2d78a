//! A control group of memory: cgroups(7).

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use std::{fs, io, process, thread};

/// Where control groups of memory may be, the files that have a group's limit and what it uses, and what is no limit.
const PLACES: [(&str, &str, &str, &str); 3] = [
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "-1"),
    ("/sys/fs/cgroup", "memory.max", "memory.current", "max"),
    ("/sys/fs/cgroup/unified", "memory.max", "memory.current", "max"),
];

/// A control group that ends with the test.
pub struct Group {
    path: PathBuf,
    limit: PathBuf,
    usage: PathBuf,
    /// See [`fill`](Group::fill).
    filling: PathBuf,
    none: &'static str,
}

impl Group {
    /// A group without a limit; none, with a line, where there are no groups that could have one.
    pub fn new() -> Option<Group> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("vk-trial-{}-{}", process::id(), COUNT.fetch_add(1, Relaxed));
        let groups = PLACES.iter().map(|(root, limit, usage, none)| {
            let path = PathBuf::from(root).join(&name);
            let filling = PathBuf::from("/dev/shm").join(&name);
            Group { limit: path.join(limit), usage: path.join(usage), path, filling, none }
        });
        for group in groups {
            let made = fs::create_dir(&group.path).and_then(|()| fs::write(&group.limit, group.none));
            if made.is_ok() {
                return Some(group);
            }
        }
        eprintln!("not tried: no control group for memory here");
        None
    }

    /// The file that takes the processes that the group is to have, and with them what they start.
    pub fn processes(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Has the group use so many bytes that no process has: the kernel weighs processes by what they may use.
    pub fn fill(&self, bytes: u64) {
        let (processes, filling) = (self.processes(), &self.filling);
        let fill =
            format!("echo $$ > {}; head -c {bytes} /dev/zero > {}", processes.display(), filling.display());
        assert!(Command::new("sh").args(["-c", &fill]).status().expect("a shell").success());
    }

    /// Sets the limit to so many bytes more than are used.
    pub fn leave(&self, bytes: u64) {
        let usage = fs::read_to_string(&self.usage).expect("a group of ours");
        let usage: u64 = usage.trim().parse().expect("a number of bytes");
        fs::write(&self.limit, (usage + bytes).to_string()).expect("a group of ours");
    }

    /// There is memory again.
    pub fn lift(&self) {
        fs::write(&self.limit, self.none).expect("a group of ours");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.filling);
        // Busy until the corpse in it is gone.
        for _ in 0..100 {
            let removed = fs::remove_dir(&self.path);
            if removed.map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |()| true) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}
