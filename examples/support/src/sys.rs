//! What the standard library has no words for.

// System calls are foreign functions.
#![allow(unsafe_code)]

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

pub fn kill(pid: u32, signal: i32) {
    // SAFETY: no memory is involved.
    unsafe { libc::kill(pid as libc::pid_t, signal) };
}

fn check(result: i32) -> io::Result<i32> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Lets this process, and what it starts, open at least as many descriptors as it may; returns how many.
///
/// # Panics
/// Never: these calls have no error for these arguments.
pub fn descriptors() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is an rlimit to be written.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }).expect("a valid resource");
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is an rlimit, only read.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }).expect("below the hard limit");
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

/// Whether the open file behind `descriptor` is non-blocking.
///
/// # Panics
/// Never: an open descriptor has flags.
pub fn is_nonblocking(descriptor: impl AsFd) -> bool {
    // SAFETY: no memory is involved.
    let flags = check(unsafe { libc::fcntl(descriptor.as_fd().as_raw_fd(), libc::F_GETFL) });
    flags.expect("it is open") & libc::O_NONBLOCK != 0
}

/// Makes the open file behind `descriptor` non-blocking.
///
/// # Panics
/// Never: an open descriptor has flags.
pub fn set_nonblocking(descriptor: impl AsFd) {
    let number = descriptor.as_fd().as_raw_fd();
    // SAFETY: no memory is involved.
    let flags = check(unsafe { libc::fcntl(number, libc::F_GETFL) }).expect("it is open");
    // SAFETY: as above.
    check(unsafe { libc::fcntl(number, libc::F_SETFL, flags | libc::O_NONBLOCK) }).expect("it is open");
}

/// Makes the connection end with a reset when it is closed.
///
/// # Panics
/// Never: every TCP socket has this option.
pub fn reset_on_close(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let (value, size) = ((&raw const linger).cast(), size_of_val(&linger) as libc::socklen_t);
    // SAFETY: the option is a linger, and `linger` is one.
    let result =
        unsafe { libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, value, size) };
    check(result).expect("an open socket");
}

/// Whether the kernel, or the sandbox we are in, lets us use io_uring.
pub fn has_uring() -> bool {
    // struct io_uring_params of io_uring_setup(2): 120 bytes, all zeros if nothing is asked for.
    let mut params = [0_u64; 15];
    // SAFETY: `params` is of the kernel's size and alignment, to be written.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
    if ring >= 0 {
        // SAFETY: the kernel has just given us this descriptor.
        unsafe { libc::close(ring as i32) };
    }
    ring >= 0
}

/// Makes io_uring_setup(2) fail with EPERM in what `command` starts, as container runtimes do.
pub fn refuse_uring(command: &mut Command) {
    let jump = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut filter = [
        // The number of the system call is the first field of seccomp_data.
        step(load, 0, 0),
        step(jump, 1, libc::SYS_io_uring_setup as u32),
        step(answer, 0, libc::SECCOMP_RET_ALLOW),
        step(answer, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
    ];
    let install = move || {
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: plain arguments; without new privileges anyone may install a filter.
        check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
        // SAFETY: `program` is a sock_fprog of `len` instructions, which the kernel copies.
        check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) })?;
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe things happen: two system calls, no allocation.
    unsafe { command.pre_exec(install) };
}
