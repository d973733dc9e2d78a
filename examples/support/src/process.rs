//! What the kernel tells about a process: proc_pid_stat(5), proc_pid_status(5).

use crate::sys;
use std::fs;
use std::time::Duration;

/// A process, by its pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process(pub u32);

impl Process {
    /// The fields of its `stat` from the third on: state, parent, …
    fn stat(self) -> Option<Vec<String>> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.0)).ok()?;
        // The second field, the name, is in parentheses and may hold anything.
        let (_, rest) = text.rsplit_once(") ")?;
        Some(rest.split_whitespace().map(str::to_owned).collect())
    }

    /// Whether it is there, and is not a corpse that nobody has waited for.
    pub fn is_alive(self) -> bool {
        self.stat().is_some_and(|stat| stat[0] != "Z" && stat[0] != "X")
    }

    /// Its living children, in the order of their pids.
    ///
    /// # Panics
    /// If there is no `/proc`.
    pub fn children(self) -> Vec<Process> {
        let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
        let all = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Process));
        let parent = self.0.to_string();
        let is_child = |process: &Process| process.stat().is_some_and(|stat| stat[1] == parent);
        let mut children: Vec<_> = all.filter(is_child).filter(|process| process.is_alive()).collect();
        children.sort();
        children
    }

    /// Its children as the kernel lists them, at once, with those that nobody has waited for: enough for a blow
    /// in the dark. One that is just being born may be missing (proc_pid_task_children(5)).
    pub fn children_now(self) -> Vec<Process> {
        let list = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.0)).unwrap_or_default();
        list.split_whitespace().filter_map(|pid| pid.parse().ok().map(Process)).collect()
    }

    /// Its name, as ps(1) shows it.
    pub fn name(self) -> String {
        fs::read_to_string(format!("/proc/{}/comm", self.0)).unwrap_or_default().trim_end().to_owned()
    }

    /// Of a keeper: the living holders.
    pub fn holders(self) -> Vec<Process> {
        self.children().into_iter().filter(|child| child.name().starts_with("vk-holder-")).collect()
    }

    /// Of a keeper: the living workers, which are its holders' children.
    pub fn workers(self) -> Vec<Process> {
        let mut workers: Vec<_> = self.holders().into_iter().flat_map(Process::children).collect();
        workers.sort();
        workers
    }

    /// As [`workers`](Process::workers), from [`children_now`](Process::children_now), the newest last.
    pub fn workers_now(self) -> Vec<Process> {
        let mut workers: Vec<_> = self.children_now().into_iter().flat_map(Process::children_now).collect();
        workers.sort();
        workers
    }

    /// Kills a keeper with its holders and their workers, so that none starts another one.
    pub fn kill_tree(self) {
        self.signal(libc::SIGSTOP);
        let holders = self.children();
        holders.iter().for_each(|holder| holder.signal(libc::SIGSTOP));
        let workers = holders.iter().flat_map(|holder| holder.children());
        workers
            .chain(holders.iter().copied())
            .chain([self])
            .for_each(|process| process.signal(libc::SIGKILL));
    }

    /// The time it has spent on a processor, in the kernel's ticks of 10 ms.
    ///
    /// # Panics
    /// If it has ended.
    pub fn cpu(self) -> Duration {
        let stat = self.stat().expect("a living process");
        let ticks: u64 = stat[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(10 * ticks)
    }

    /// The bytes of memory it occupies.
    ///
    /// # Panics
    /// If it has ended.
    pub fn resident(self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most bytes of memory that it has occupied so far.
    ///
    /// # Panics
    /// If it has ended.
    pub fn peak(self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).expect("a living process");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a living process");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
        kib * 1024
    }

    /// How many descriptors it has open.
    ///
    /// # Panics
    /// If it has ended.
    pub fn descriptors(self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0)).expect("a living process").count()
    }

    /// What its descriptors lead to, as proc(5) shows it.
    ///
    /// # Panics
    /// If it has ended.
    pub fn open(self) -> Vec<String> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.0)).expect("a living process").flatten();
        let show = |entry: fs::DirEntry| {
            let to = fs::read_link(entry.path()).unwrap_or_default();
            format!("{} {}", entry.file_name().display(), to.display())
        };
        entries.map(show).collect()
    }

    /// Sends it a signal; nothing if it has ended.
    pub fn signal(self, signal: i32) {
        sys::kill(self.0, signal);
    }
}

/// Processes that nobody else ends if the test fails: they are killed when it is dropped.
#[derive(Debug)]
pub struct Orphans(pub Vec<Process>);

impl Drop for Orphans {
    fn drop(&mut self) {
        self.0.iter().filter(|orphan| orphan.is_alive()).for_each(|orphan| orphan.signal(libc::SIGKILL));
    }
}
