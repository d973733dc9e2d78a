//! `vk reload`: a keeper is told to go on with another build, and says in its control page how that went.

use crate::{keeper as find, process};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};
use vk_proc::control::Snapshot;

/// How often to look for the outcome.
pub const LOOK: Duration = Duration::from_millis(20);

/// A reload that was asked for.
#[derive(Debug)]
pub struct Reload {
    keeper: u32,
    before: Snapshot,
    timeout: Duration,
    asked: Instant,
}

impl Reload {
    /// Tells a keeper to go on with the binary that lies at its path now; or in one line why it can't be told.
    pub fn ask(keeper: u32, timeout: Duration) -> Result<Reload, String> {
        let before = find::keeper(keeper)?;
        if find::is_alone(&before) {
            return Err(format!("process {keeper} serves without a keeper: nobody can reload it"));
        }
        let pid = i32::try_from(keeper).map_err(|error| error.to_string())?;
        kill(Pid::from_raw(pid), Signal::SIGHUP)
            .map_err(|error| format!("process {keeper} can't be told: {}", error.desc()))?;
        Ok(Reload { keeper, before, timeout, asked: Instant::now() })
    }

    /// How it went, if that is known by now; where the old build goes on, in one line why.
    pub fn outcome(&self) -> Option<Result<(), String>> {
        let Reload { keeper, before, timeout, asked } = self;
        // While one build becomes the other, the control page may be out of sight for a moment.
        if let Ok(Some(now)) = Snapshot::of(*keeper) {
            if now.refused != before.refused {
                return Some(Err(format!(
                    "keeper {keeper} has refused the new build, its log says why; the old one serves on"
                )));
            }
            if now.reloads != before.reloads {
                return Some(Ok(()));
            }
        }
        if !process::is_alive(*keeper) {
            return Some(Err(format!("keeper {keeper} has ended")));
        }
        (asked.elapsed() >= *timeout)
            .then(|| Err(format!("keeper {keeper} has not answered within {timeout:?}")))
    }
}

/// Reloads a keeper, and waits for the outcome.
pub fn reload(keeper: u32, timeout: Duration) -> Result<ExitCode, String> {
    let reload = Reload::ask(keeper, timeout)?;
    loop {
        if let Some(outcome) = reload.outcome() {
            return outcome.map(|()| ExitCode::SUCCESS);
        }
        thread::sleep(LOOK);
    }
}
