//! Workers whose keeper has died: they serve on, and a keeper that is started again takes over from them.
//!
//! ```text
//! /proc ──► holders without a keeper ──► ledger: application, listeners ──► same as ours? ──► lock ──► arena, sockets
//! ```
//!
//! What follows is what follows a new build: each worker stops between two dispatches and hands over.
#![allow(unsafe_code)]

use crate::ledger::Ledger;
use nix::fcntl::{FcntlArg, fcntl};
use socket2::Socket;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A worker that no keeper looks after.
#[derive(Debug)]
pub struct Orphan {
    /// Which of the workers it is.
    pub place: usize,
    /// The memfd of its ledger, locked: one keeper adopts it.
    pub ledger: OwnedFd,
    /// The memfd of its arena.
    pub arena: OwnedFd,
    /// Its listeners, and what they are bound to.
    pub listeners: Vec<(SocketAddr, OwnedFd)>,
}

/// What tells one application's workers from another's.
pub fn application(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish().max(1)
}

/// The workers of the application `name` that listen at one of these addresses and have no keeper, one for each place.
/// Those that this user may not look at (ptrace(2), "access mode checking") are not found: then the addresses are in use.
pub fn find(name: &str, addresses: &[SocketAddr]) -> Vec<Orphan> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<Orphan> = Vec::new();
    for (pid, place) in pids.filter_map(orphan) {
        match open(pid, place, application(name), addresses) {
            Ok(Some(orphan)) if found.iter().all(|other| other.place != place) => found.push(orphan),
            Ok(_) => {}
            Err(error) => tracing::debug!(pid, %error, "a worker without a keeper can't be looked at"),
        }
    }
    found.sort_by_key(|orphan| orphan.place);
    found
}

/// The place of a holder without a keeper, or of a worker without a holder.
fn orphan(pid: u32) -> Option<(u32, usize)> {
    let comm = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    let name = comm(pid)?;
    let name = name.trim_end();
    let place = name.strip_prefix("vk-holder-").or_else(|| name.strip_prefix("vk-worker-"))?.parse().ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the name, is in parentheses; the third and fourth are state and parent.
    let (_, fields) = stat.rsplit_once(") ")?;
    let parent = fields.split_whitespace().nth(1)?.parse().ok()?;
    let is_looked_after = comm(parent).is_some_and(|parent| parent.starts_with("vk-"));
    (!is_looked_after).then_some((pid, place))
}

/// What such a process has, if it is a worker of the application at one of the addresses.
fn open(pid: u32, place: usize, application: u64, addresses: &[SocketAddr]) -> io::Result<Option<Orphan>> {
    let (mut ledger, mut arena) = (None, None);
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        // Connections come and go meanwhile.
        let Ok(link) = fs::read_link(entry.path()) else { continue };
        let slot = match link.to_str() {
            Some("/memfd:vk-ledger (deleted)") => &mut ledger,
            Some("/memfd:vk-heap (deleted)") => &mut arena,
            _ => continue,
        };
        *slot = Some(OpenOptions::new().read(true).write(true).open(entry.path())?);
    }
    let (Some(ledger), Some(arena)) = (ledger, arena) else { return Ok(None) };
    let claims = Ledger::map_alone(ledger.as_fd())?;
    if !claims.is_of(application) || claims.has_handed_over() {
        return Ok(None);
    }
    let table = pidfd(pid)?;
    let mut listeners = Vec::new();
    for number in claims.listeners() {
        let socket = copy(&table, number)?;
        let bound = ManuallyDrop::new(
            // SAFETY: borrowed for this question; `ManuallyDrop` never closes it.
            unsafe { Socket::from_raw_fd(socket.as_raw_fd()) },
        );
        if let Some(address) = bound.local_addr()?.as_socket() {
            listeners.push((address, socket));
        }
    }
    // Locked only if it is wanted: a keeper of the same application that listens elsewhere may look at it, too.
    let serves = listeners.iter().any(|(bound, _)| addresses.contains(bound));
    // Another keeper may have taken over since it was asked.
    let is_wanted = serves && lock(&ledger)? && !claims.has_handed_over();
    Ok(is_wanted.then(|| Orphan { place, ledger: ledger.into(), arena: arena.into(), listeners }))
}

/// Locks a ledger for as long as the file is open; false if another keeper has.
fn lock(ledger: &File) -> io::Result<bool> {
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(ledger, FcntlArg::F_OFD_SETLK(&whole)) {
        Ok(_) => Ok(true),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A descriptor of a process: pidfd_open(2).
fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: numbers.
    descriptor(unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) })
}

/// A copy of a process's descriptor: pidfd_getfd(2).
fn copy(process: &OwnedFd, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: numbers.
    descriptor(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) })
}

fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    match result {
        // SAFETY: the kernel just gave this descriptor to this process.
        0.. => Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
