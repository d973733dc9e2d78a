//! Signals, as events of a descriptor.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Signals that a worker and its keeper act on.
const HANDLED: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

fn set(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set, sigaddset adds valid numbers to it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Blocks the signals that the process acts on, and ignores SIGPIPE: a broken pipe is an error of a write.
///
/// To be called before any thread is started, since a thread inherits what is blocked.
///
/// # Errors
/// None that pthread_sigmask(3) documents for these arguments.
pub fn block() -> io::Result<()> {
    // SAFETY: a valid signal, which is ignored from now on: no handler runs.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    mask(&HANDLED)
}

/// The signal by which a holder tells its keeper that the control page has news.
pub(crate) const NEWS: i32 = libc::SIGUSR1;

/// Blocks one more signal.
///
/// # Errors
/// As [`block`].
pub(crate) fn block_also(signal: i32) -> io::Result<()> {
    mask(&[signal])
}

/// Blocks every signal.
///
/// # Errors
/// As [`block`].
pub(crate) fn block_all() -> io::Result<()> {
    let mut all = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the set.
    let all = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        all.assume_init()
    };
    set_mask(&all)
}

/// Blocks what a worker acts on, and nothing else. A terminal sends SIGINT to all of its processes, and the keeper passes it
/// on: a worker ignores it.
///
/// # Errors
/// As [`block`].
pub(crate) fn block_for_worker() -> io::Result<()> {
    // SAFETY: a valid signal, which is ignored from now on: no handler runs.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
    set_mask(&set(&[libc::SIGTERM, libc::SIGHUP]))
}

fn set_mask(signals: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: a valid set; the former mask is not asked for.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, signals, std::ptr::null_mut()) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Waits until one of these signals, which are blocked, has come, for so long at most: sigtimedwait(2). It needs no descriptor.
pub(crate) fn wait_for(signals: &[i32], patience: std::time::Duration) -> Option<i32> {
    let time = libc::timespec {
        tv_sec: patience.as_secs() as libc::time_t,
        tv_nsec: patience.subsec_nanos().into(),
    };
    // SAFETY: a valid set and time; what is known of the signal is not asked for.
    let signal = unsafe { libc::sigtimedwait(&set(signals), std::ptr::null_mut(), &time) };
    (signal > 0).then_some(signal)
}

/// Names this process, as `/proc/PID/comm` and ps(1) show it: 15 bytes at most.
pub(crate) fn name(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        // A name is for people: nothing depends on it.
        let _ = nix::sys::prctl::set_name(&name);
    }
}

/// Sends this process a signal that it has [blocked](block), so that whatever is executed in its place finds it.
pub(crate) fn repeat(signal: i32) {
    // SAFETY: raise(3) has no conditions.
    unsafe { libc::raise(signal) };
}

fn mask(signals: &[i32]) -> io::Result<()> {
    // SAFETY: a valid set; the former mask is not asked for.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set(signals), std::ptr::null_mut()) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// A descriptor that is readable when one of the blocked signals, or of `more`, has come: signalfd(2).
///
/// # Errors
/// Those of signalfd(2): EMFILE, ENFILE, ENOMEM.
pub fn descriptor(more: &[i32]) -> io::Result<OwnedFd> {
    let signals = [&HANDLED[..], more].concat();
    // SAFETY: a valid set, and -1 asks for a new descriptor, which nobody else owns.
    unsafe {
        match libc::signalfd(-1, &set(&signals), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            number => Ok(OwnedFd::from_raw_fd(number)),
        }
    }
}

/// Whether the number still is of a descriptor as [`descriptor`] makes it, and not closed, or of something else.
pub(crate) fn is_there(descriptor: &OwnedFd) -> bool {
    // SAFETY: a valid set. A signalfd is told the signals that it has already; anything else is an error.
    unsafe { libc::signalfd(descriptor.as_raw_fd(), &set(&HANDLED), 0) != -1 }
}

/// The next signal that has come.
pub fn next(descriptor: &OwnedFd) -> Option<i32> {
    next_from(descriptor).map(|(signal, _)| signal)
}

/// The next signal that has come, and the process that sent it.
pub(crate) fn next_from(descriptor: &OwnedFd) -> Option<(i32, u32)> {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
    let size = size_of_val(&info);
    // SAFETY: a buffer of the size that signalfd(2) asks for; it is whole once read returns that size.
    unsafe {
        let count = libc::read(descriptor.as_raw_fd(), info.as_mut_ptr().cast(), size);
        (count == size as isize).then(|| info.assume_init()).map(|info| (info.ssi_signo as i32, info.ssi_pid))
    }
}
