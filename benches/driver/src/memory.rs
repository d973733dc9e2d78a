//! What a server's processes hold: resident pages, memfds, descriptors.

use std::collections::HashMap;
use std::fs;
use std::ops::Sub;
use std::os::unix::fs::MetadataExt;

use crate::Failure;
use crate::processes::family;

/// Bytes of a block as `stat` counts them.
const STAT_BLOCK: i64 = 512;

/// Held by all processes of a server together; a difference of two may be negative.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    /// Bytes of resident pages, shared ones counted once per process that maps them.
    pub rss: i64,
    /// Bytes of resident pages, shared ones divided among those who map them.
    pub pss: i64,
    /// Bytes allocated in memfds, mapped or not: pages that are not resident in any process still cost.
    pub memfd: i64,
    /// Open descriptors.
    pub descriptors: i64,
}

impl Memory {
    /// Of a process and its living descendants.
    ///
    /// # Errors
    /// A process is gone.
    pub fn of(pid: u32) -> Result<Self, Failure> {
        let mut memory = Self::default();
        let mut memfds = HashMap::new();
        for pid in family(pid) {
            let path = format!("/proc/{pid}/smaps_rollup");
            let rollup = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
            memory.rss += bytes(&rollup, "Rss:");
            memory.pss += bytes(&rollup, "Pss:");
            let path = format!("/proc/{pid}/fd");
            for entry in fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))?.flatten() {
                memory.descriptors += 1;
                let link = fs::read_link(entry.path()).unwrap_or_default();
                if link.to_string_lossy().starts_with("/memfd:")
                    && let Ok(file) = fs::metadata(entry.path())
                {
                    memfds.insert((file.dev(), file.ino()), file.blocks() as i64 * STAT_BLOCK);
                }
            }
        }
        memory.memfd = memfds.values().sum();
        Ok(memory)
    }
}

impl Sub for Memory {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            rss: self.rss - other.rss,
            pss: self.pss - other.pss,
            memfd: self.memfd - other.memfd,
            descriptors: self.descriptors - other.descriptors,
        }
    }
}

/// The value of a line `Name:   123 kB`, in bytes.
fn bytes(rollup: &str, name: &str) -> i64 {
    let line = rollup.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<i64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollup_lines_are_kilobytes() {
        let rollup =
            "00400000-7fff0000 ---p 00000000 00:00 0 [rollup]\nRss:  884 kB\nPss:  385 kB\nPss_Anon: 9 kB\n";
        assert_eq!(bytes(rollup, "Rss:"), 884 * 1024);
        assert_eq!(bytes(rollup, "Pss:"), 385 * 1024);
        assert_eq!(bytes(rollup, "Swap:"), 0);
    }

    #[test]
    fn our_own_memory_can_be_read() {
        let memory = Memory::of(std::process::id()).unwrap();
        assert!(memory.rss > 0 && memory.pss > 0 && memory.descriptors > 2);
    }
}
