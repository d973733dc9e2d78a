//! What a dead worker has left in its table of descriptors: everything that is in no row of its ledger is closed.
//!
//! Descriptors that handlers and libraries opened by themselves are among it, and with them the dead worker's record locks
//! (fcntl(2)) go: they belong to the table.
#![allow(unsafe_code)]

use crate::ledger::Ledger;
use std::os::fd::RawFd;

/// Closes every descriptor of this process that is neither in a row nor among `kept`. If the worker died while it opened one
/// for a micro-process, sockets without a row stay open: the next worker looks for it among them.
pub fn sweep(ledger: &Ledger, kept: &[RawFd]) {
    if ledger.is_opening() {
        return close_where(|number| !kept.contains(&number) && !ledger.has(number) && !is_socket(number));
    }
    let mut stay: Vec<RawFd> = ledger.entered().chain(kept.iter().copied()).collect();
    stay.sort_unstable();
    let mut from = 0;
    for number in stay {
        if from < number {
            close_range(from, number - 1);
        }
        from = number + 1;
    }
    close_range(from, RawFd::MAX);
}

/// Closes the sockets that are in no row and not among `kept`, once the worker has looked among them.
pub fn sweep_sockets(ledger: &Ledger, kept: &[RawFd]) {
    close_where(|number| !kept.contains(&number) && !ledger.has(number) && is_socket(number));
}

/// Closes descriptors one by one.
fn close_where(mut is_left: impl FnMut(RawFd) -> bool) {
    // Without `/proc` they stay open until this worker dies, too.
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<RawFd> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers {
        if is_left(number) {
            close_range(number, number);
        }
    }
}

fn close_range(first: RawFd, last: RawFd) {
    // SAFETY: numbers. Descriptors without a row belonged to the dead worker alone; `kept` names those of this process.
    unsafe { libc::syscall(libc::SYS_close_range, first as libc::c_uint, last as libc::c_uint, 0) };
}

fn is_socket(number: RawFd) -> bool {
    // SAFETY: plain numbers, for which zeroes are valid.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is valid for the write.
    unsafe { libc::fstat(number, &mut stat) == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFSOCK }
}
