//! What a server's processes have used: its first process and all descendants, from `/proc`.

use std::fs;

use crate::Failure;

/// CPU time in ns.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Cpu {
    pub user: f64,
    pub sys: f64,
}

/// Running totals; two of them make a [`Cpu`].
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// ns on a CPU, exact (`schedstat`).
    total: u64,
    /// Ticks (`stat`): coarse, they only say how the total divides.
    user: u64,
    sys: u64,
}

impl Usage {
    /// Of a process and its living descendants until now. Threads of the kernel's that work for them (io_uring's) count.
    ///
    /// # Errors
    /// The process is gone.
    pub fn of(pid: u32) -> Result<Self, Failure> {
        let mut usage = Self::default();
        for pid in family(pid) {
            let (user, sys) =
                ticks(&read(&format!("/proc/{pid}/stat"))?).ok_or("/proc/PID/stat is unreadable")?;
            usage.user += user;
            usage.sys += sys;
            for task in tasks(pid) {
                // A thread that has just ended is no failure.
                let schedstat = read(&format!("{task}/schedstat")).unwrap_or_default();
                usage.total += first_number(&schedstat);
            }
        }
        Ok(usage)
    }

    /// What was used since `earlier`.
    pub fn since(&self, earlier: &Self) -> Cpu {
        let total = self.total.saturating_sub(earlier.total) as f64;
        let user = self.user.saturating_sub(earlier.user) as f64;
        let sys = self.sys.saturating_sub(earlier.sys) as f64;
        let user_share = if user + sys > 0.0 { user / (user + sys) } else { 0.0 };
        Cpu { user: total * user_share, sys: total * (1.0 - user_share) }
    }
}

/// A process and its descendants.
pub fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&pid) = family.get(next) {
        for task in tasks(pid) {
            let children = read(&format!("{task}/children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        next += 1;
    }
    family
}

/// The directories of a process's threads.
fn tasks(pid: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path().to_string_lossy().into_owned()).collect()
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

fn first_number(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// `utime` and `stime` of a `/proc/PID/stat` line, whose second field may hold anything in its parentheses.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 31 14 0 0 20 0 1 0 5 0 0";
        assert_eq!(ticks(stat), Some((31, 14)));
        assert_eq!(ticks("7 (short) S"), None);
    }

    #[test]
    fn ticks_divide_the_exact_total() {
        let start = Usage { total: 1000, user: 1, sys: 1 };
        let end = Usage { total: 5000, user: 2, sys: 4 };
        assert_eq!(end.since(&start), Cpu { user: 1000.0, sys: 3000.0 });
        assert_eq!(start.since(&start), Cpu { user: 0.0, sys: 0.0 });
    }

    #[test]
    fn our_own_usage_can_be_read() {
        let pid = std::process::id();
        assert_eq!(family(pid)[0], pid);
        assert!(Usage::of(pid).is_ok());
    }
}
