//! Who has a ledger: keepers, their workers, and applications that serve without a keeper.

use crate::process;
use std::io;
use vk_proc::ledger::Snapshot;

/// What a process is that has a ledger.
#[derive(Debug)]
pub enum Holder {
    /// The keeper, or who serves without one.
    Keeper(Snapshot),
    /// A worker, whose parent has the same ledger.
    Worker { keeper: u32 },
}

impl Holder {
    /// What the process is; none if it has no ledger.
    ///
    /// # Errors
    /// Those of [`Snapshot::of`].
    pub fn of(pid: u32) -> io::Result<Option<Holder>> {
        let Some(snapshot) = Snapshot::of(pid)? else { return Ok(None) };
        let shares =
            |parent: &u32| matches!(Snapshot::of(*parent), Ok(Some(other)) if other.memfd == snapshot.memfd);
        Ok(Some(match process::parent(pid).filter(shares) {
            Some(keeper) => Holder::Worker { keeper },
            None => Holder::Keeper(snapshot),
        }))
    }
}

/// The ledger of a keeper, or in one line why there is none.
pub fn keeper(pid: u32) -> Result<Snapshot, String> {
    match Holder::of(pid) {
        Ok(Some(Holder::Keeper(snapshot))) => Ok(snapshot),
        Ok(Some(Holder::Worker { keeper })) => {
            Err(format!("process {pid} is a worker: its keeper is {keeper}"))
        }
        Ok(None) => Err(format!("process {pid} is no keeper")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!("there is no process {pid}")),
        Err(error) => Err(format!("process {pid} can't be looked at: {error}")),
    }
}

/// Whether the process serves by itself: then nobody is there to reload it.
pub fn is_alone(pid: u32, snapshot: &Snapshot) -> bool {
    snapshot.workers.iter().any(|worker| worker.counter("vk_pid") == u64::from(pid))
}
