//! Who kills the workers.

use std::thread;
use std::time::{Duration, Instant};
use vk_try::{PATIENCE, Process, Random, SIGKILL};

/// What a kill may take, with all that it causes, before it is said that workers don't come back.
const EACH: Duration = Duration::from_millis(250);

/// Kills the workers of a keeper, at random moments.
#[derive(Debug)]
pub struct Chaos {
    keeper: Process,
    random: Random,
    count: u64,
}

impl Chaos {
    /// The same for the same seed, as far as the machine is.
    pub fn new(keeper: Process, seed: u64) -> Chaos {
        Chaos { keeper, random: Random(seed), count: 0 }
    }

    /// Kills `kills` workers, or some more: one, two within 2 ms, all, or one and three times its successor while
    /// that recovers. Ends early if what is tried has failed.
    ///
    /// # Panics
    /// If the keeper dies, or workers don't come back in time.
    #[track_caller]
    pub fn run(&mut self, kills: u64, has_failed: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE + EACH * u32::try_from(kills).expect("a number of kills");
        while self.count < kills && !has_failed() {
            assert!(self.keeper.is_alive(), "the keeper is dead after {} kills", self.count);
            assert!(Instant::now() < end, "no worker to kill: {} of {kills} kills", self.count);
            self.pause(1_000, 60_000);
            match self.random.below(10) {
                0..5 => self.kill_one(),
                5 | 6 => {
                    self.kill_one();
                    self.pause(0, 2_000);
                    self.kill_one();
                }
                7 => self.keeper.workers_now().into_iter().for_each(|worker| self.kill(worker)),
                _ => (0..4).for_each(|_| self.kill_newest()),
            }
        }
        eprintln!("{} kills", self.count);
    }

    fn pause(&mut self, least: u64, most: u64) {
        thread::sleep(Duration::from_micros(least + self.random.below(most - least)));
    }

    fn kill(&mut self, worker: Process) {
        worker.signal(SIGKILL);
        self.count += 1;
    }

    fn kill_one(&mut self) {
        let workers = self.keeper.workers_now();
        if !workers.is_empty() {
            let worker = workers[self.random.below(workers.len() as u64) as usize];
            self.kill(worker);
        }
    }

    /// Kills the worker that was started last, and waits until there is a newer one, or for some time.
    fn kill_newest(&mut self) {
        let before = self.keeper.workers_now();
        let Some(&newest) = before.last() else { return self.pause(100, 1_000) };
        self.kill(newest);
        let end = Instant::now() + Duration::from_millis(100);
        while Instant::now() < end {
            let now = self.keeper.workers_now();
            if now.last().is_some_and(|last| !before.contains(last)) {
                break;
            }
            thread::sleep(Duration::from_micros(100));
        }
        // It recovers for some milliseconds at most: any moment of that.
        self.pause(0, 3_000);
    }
}
