//! Which processes are keepers, and which belong to one.

use crate::process;
use std::io;
use vk_proc::control::{Seen, Snapshot};

/// The control page of a keeper, or of a process that serves without one, or in one line why there is none.
pub fn keeper(pid: u32) -> Result<Snapshot, String> {
    let error = match Snapshot::of(pid) {
        Ok(Some(snapshot)) => return Ok(snapshot),
        Ok(None) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!("there is no process {pid}"));
        }
        Err(error) => Some(error),
    };
    match (keeper_of(pid), error) {
        (Some((what, keeper)), _) => Err(format!("process {pid} is a {what}: its keeper is {keeper}")),
        (None, None) => Err(format!("process {pid} is no keeper")),
        (None, Some(error)) => Err(format!("process {pid} can't be looked at: {error}")),
    }
}

/// What a process is to a keeper, and the keeper; none if it belongs to none.
fn keeper_of(pid: u32) -> Option<(&'static str, u32)> {
    let parent = process::parent(pid)?;
    let is = |keeper: u32, role: fn(&Seen) -> u32| {
        let snapshot = Snapshot::of(keeper).ok().flatten();
        snapshot.is_some_and(|snapshot| snapshot.workers.iter().any(|seen| role(seen) == pid))
    };
    if is(parent, |seen| seen.holder) {
        return Some(("holder", parent));
    }
    let keeper = process::parent(parent)?;
    is(keeper, |seen| seen.worker).then_some(("worker", keeper))
}

/// Whether the process serves by itself: then there is no keeper to reload it.
pub fn is_alone(snapshot: &Snapshot) -> bool {
    !snapshot.workers.is_empty() && snapshot.workers.iter().all(|worker| worker.holder == 0)
}
