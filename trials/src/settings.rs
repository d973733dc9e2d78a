//! How much is tried, and on what.

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vk_try::pollers;

/// Kills of a trial that is part of every run.
const FEW: u64 = 60;

/// The seed: `VK_TRIAL_SEED`, or a new one. It is printed.
///
/// # Panics
/// If the variable is not a number.
pub fn seed() -> u64 {
    let fresh = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64);
    let seed = number("VK_TRIAL_SEED").unwrap_or_else(fresh);
    eprintln!("VK_TRIAL_SEED={seed}");
    seed
}

/// How many workers a trial kills: `VK_TRIAL_KILLS`, or few.
///
/// # Panics
/// If the variable is not a number.
pub fn kills() -> u64 {
    number("VK_TRIAL_KILLS").unwrap_or(FEW)
}

/// Whether more is asked for than what is part of every run.
pub fn is_long() -> bool {
    kills() > FEW
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is not a number")))
}

/// How an application is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// `--workers`.
    pub workers: usize,
    /// `--poller`.
    pub poller: &'static str,
    /// `--guard`.
    pub guard: &'static str,
    /// `--dispatch-limit`, in seconds.
    pub dispatch_limit: Option<&'static str>,
    /// After which time it is ended, whatever happens.
    pub life: Duration,
}

impl Setup {
    /// Two workers on epoll with the default guard, for two minutes at most.
    pub const DEFAULT: Setup = Setup {
        workers: 2,
        poller: "epoll",
        guard: "epoch:1024",
        dispatch_limit: None,
        life: Duration::from_secs(120),
    };

    /// The same for as long as a long trial may take.
    pub const LONG: Setup = Setup { life: Duration::from_secs(3600), ..Setup::DEFAULT };
}

/// The setups under which workers are killed: all, if it is a long trial; otherwise a few that have each
/// poller, number of workers and kind of guard once.
pub fn setups() -> Vec<Setup> {
    let life = Duration::from_secs(120 + kills());
    let all = pollers().iter().flat_map(|&poller| {
        let guards = ["strict", "epoch:1024", "epoch:4", "off"];
        let both = [1, 2].into_iter().flat_map(move |workers| guards.map(|guard| (workers, guard)));
        both.map(move |(workers, guard)| Setup { workers, poller, guard, life, ..Setup::DEFAULT })
    });
    let few =
        [("epoll", 2, "strict"), ("uring", 2, "epoch:1024"), ("epoll", 1, "epoch:4"), ("uring", 1, "off")];
    all.filter(|setup| is_long() || few.contains(&(setup.poller, setup.workers, setup.guard))).collect()
}
