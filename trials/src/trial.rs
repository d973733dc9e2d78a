//! The application that is tried, and its processes.

use crate::{Kind, Probe, Setup};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use vk_try::{App, PATIENCE, Process, SIGTERM, command, eventually};

/// An application under trial.
#[derive(Debug)]
pub struct Trial {
    app: App,
    /// One for each listener.
    addresses: Vec<SocketAddr>,
}

impl Trial {
    /// Starts the application with its listeners on free ports.
    ///
    /// # Panics
    /// If it doesn't come up.
    #[track_caller]
    pub fn start(executable: &str, setup: &Setup) -> Trial {
        eprintln!("{setup:?}");
        Trial::start_with(executable, setup, Kind::ALL.len(), |_| ())
    }

    /// Starts an application with so many listeners, by a command that `prepare` may change; with none it has the one
    /// that it declares.
    ///
    /// # Panics
    /// If it doesn't come up.
    #[track_caller]
    pub fn start_with(
        executable: impl AsRef<Path>,
        setup: &Setup,
        listeners: usize,
        prepare: impl FnOnce(&mut Command),
    ) -> Trial {
        let free = vec!["127.0.0.1:0".parse().expect("an address"); listeners];
        Trial::start_at(executable, setup, &free, prepare)
    }

    /// As [`start_with`](Trial::start_with), with its listeners at these addresses.
    ///
    /// # Panics
    /// If it doesn't come up.
    #[track_caller]
    pub fn start_at(
        executable: impl AsRef<Path>,
        setup: &Setup,
        listeners: &[SocketAddr],
        prepare: impl FnOnce(&mut Command),
    ) -> Trial {
        let executable = executable.as_ref().to_str().expect("a path that is text");
        let mut command = command(executable, &["--poller", setup.poller, "--guard", setup.guard]);
        command.args(["--workers", &setup.workers.to_string()]);
        if let Some(limit) = setup.dispatch_limit {
            command.args(["--dispatch-limit", limit]);
        }
        for address in listeners {
            command.args(["--listen", &address.to_string()]);
        }
        prepare(&mut command);
        let app = App::start_for(setup.life, &mut command);
        let addresses = (0..listeners.len().max(1)).map(|at| app.address(at)).collect();
        let trial = Trial { app, addresses };
        eventually("as many workers as were asked for", || trial.workers().len() == setup.workers);
        trial
    }

    /// The keeper.
    pub fn keeper(&self) -> Process {
        self.app.process()
    }

    /// The living workers.
    pub fn workers(&self) -> Vec<Process> {
        self.keeper().workers()
    }

    /// The living holders.
    pub fn holders(&self) -> Vec<Process> {
        self.keeper().holders()
    }

    /// The keeper's descriptors, and those of the tables that holders share with workers.
    fn open(&self) -> Vec<String> {
        let processes = [self.keeper()].into_iter().chain(self.holders());
        processes.flat_map(Process::open).collect()
    }

    /// What it has said on standard error.
    pub fn log(&self) -> String {
        self.app.log()
    }

    /// Where each listener is: in the trial application, in the order of [`Kind`].
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where HTTP is served: where [`Kind`] says, or at the only listener.
    pub fn http(&self) -> SocketAddr {
        *self.addresses.get(Kind::Http as usize).unwrap_or(&self.addresses[0])
    }

    /// How many descriptors keeper and workers have, once that has not changed for a while: workers may just have been
    /// started.
    ///
    /// # Panics
    /// If it has ended, or opens and closes descriptors all the time.
    #[track_caller]
    pub fn descriptors(&self) -> usize {
        const WHILE: Duration = Duration::from_millis(200);
        let mut count = 0;
        eventually("as many descriptors as before", || {
            let before = std::mem::replace(&mut count, self.open().len());
            thread::sleep(WHILE);
            before == count && count == self.open().len()
        });
        count
    }

    /// Waits until keeper and workers have as many descriptors again.
    ///
    /// # Panics
    /// If it keeps more, or fewer.
    #[track_caller]
    pub fn settles_at(&self, descriptors: usize) {
        let end = Instant::now() + PATIENCE;
        while self.open().len() != descriptors {
            let open = self.open();
            assert!(Instant::now() < end, "{descriptors} descriptors were there before, and now: {open:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Checks that it still serves, ends it with SIGTERM, and checks how.
    ///
    /// # Panics
    /// If it has failed.
    #[track_caller]
    pub fn end(mut self) {
        for _ in 0..4 {
            Probe::to(self.http()).check();
        }
        let processes = [self.holders(), self.workers()].concat();
        self.keeper().signal(SIGTERM);
        let status = self.app.wait();
        assert_eq!(status.code(), Some(0), "the keeper's status after SIGTERM: {status}");
        assert!(!processes.iter().any(|process| process.is_alive()), "a process is left behind");
    }

    /// Waits until the keeper has ended, however it did.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn wait(&mut self) {
        self.app.wait();
    }

    /// Waits until `worker` is gone and another one has taken its place.
    ///
    /// # Panics
    /// If that does not happen.
    #[track_caller]
    pub fn is_replaced(&self, worker: Process, workers: usize) {
        eventually(&format!("worker {} is replaced within {PATIENCE:?}", worker.0), || {
            let now = self.workers();
            now.len() == workers && !now.contains(&worker)
        });
    }
}
