//! Attacks of a handler on another process, and on the machine.
#![allow(unsafe_code)]

use libc::{c_char, c_int, c_long, pid_t};
use std::ptr;

const NOTHING: *const c_char = ptr::null();

/// The answer where the victim is the process that is asked.
const ITSELF: &str = "itself";

/// Tries each attack on another process; the names of those that the kernel has not refused, a line each.
pub fn on(victim: pid_t) -> String {
    let own = std::process::id() as pid_t;
    if victim == own {
        return ITSELF.to_owned();
    }
    let namespace = u64::try_from(libc::CLONE_NEWUSER).unwrap_or(0);
    let clone = [namespace, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
    let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let mut byte = 0_u8;
    let here = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let there = libc::iovec { iov_base: on as fn(pid_t) -> String as *mut _, iov_len: 1 };
    let memory = format!("/proc/{victim}/mem\0");
    // SAFETY: each string ends with zero, each structure is the kernel's, and what succeeds against expectation harms none but
    // the trial. A child, where a clone succeeds, ends at once.
    let tries: [(&str, c_long); 25] = unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        let program = libc::syscall(libc::SYS_memfd_create, c"program".as_ptr(), 0);
        let pidfd = libc::syscall(libc::SYS_pidfd_open, victim, 0);
        [
            ("signal it", libc::syscall(libc::SYS_kill, victim, 0)),
            ("signal all", libc::syscall(libc::SYS_kill, -1, 0)),
            ("signal its thread", libc::syscall(libc::SYS_tgkill, victim, victim, 0)),
            ("signal it by a descriptor", libc::syscall(libc::SYS_pidfd_send_signal, pidfd, 0, NOTHING, 0)),
            ("have it signalled", libc::syscall(libc::SYS_fcntl, socket, libc::F_SETOWN, victim)),
            ("trace it", libc::syscall(libc::SYS_ptrace, libc::PTRACE_ATTACH, victim, 0, 0)),
            ("open its memory", open(memory.as_ptr().cast(), libc::O_RDWR)),
            ("read its memory", libc::syscall(libc::SYS_process_vm_readv, victim, &here, 1, &there, 1, 0)),
            ("write its memory", libc::syscall(libc::SYS_process_vm_writev, victim, &here, 1, &there, 1, 0)),
            ("take its descriptors", libc::syscall(libc::SYS_pidfd_getfd, pidfd, 3, 0)),
            ("limit it", libc::syscall(libc::SYS_prlimit64, victim, libc::RLIMIT_CPU, &limit, NOTHING)),
            (
                "clone into a namespace",
                child(libc::syscall(libc::SYS_clone, clone[0] | clone[4], 0, 0, 0, 0)),
            ),
            (
                "clone3 into a namespace",
                child(libc::syscall(libc::SYS_clone3, clone.as_ptr(), size_of_val(&clone))),
            ),
            ("unshare a namespace", libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUSER)),
            ("load a program", libc::syscall(libc::SYS_bpf, 0, NOTHING, 0)),
            ("step the clock", libc::syscall(libc::SYS_clock_settime, libc::CLOCK_REALTIME, NOTHING)),
            (
                "mount",
                libc::syscall(libc::SYS_mount, NOTHING, c"/".as_ptr(), NOTHING, libc::MS_BIND, NOTHING),
            ),
            ("signal itself", libc::syscall(libc::SYS_kill, own, 0)),
            ("open a file", open(c"/etc/passwd".as_ptr(), libc::O_RDONLY)),
            ("open a directory", open(c"/".as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY)),
            ("make a file", open(c"/tmp".as_ptr(), libc::O_RDWR | libc::O_TMPFILE)),
            ("open a process", pidfd),
            ("execute", executes(program)),
            ("listen", libc::syscall(libc::SYS_listen, socket, 1)),
            ("make a ring", ring()),
        ]
    };
    let succeeded = tries.iter().filter(|(_, result)| *result >= 0);
    succeeded.map(|(name, _)| format!("{name}\n")).collect()
}

/// # Safety
/// `path` is a string.
unsafe fn open(path: *const c_char, flags: c_int) -> c_long {
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, 0o600) }
}

/// Ends the child that a clone has made.
///
/// # Safety
/// `pid` is what clone(2) has returned.
unsafe fn child(pid: c_long) -> c_long {
    if pid == 0 {
        // SAFETY: the process ends, and nothing of it runs any more.
        unsafe { libc::_exit(0) };
    }
    pid
}

/// Whether an empty program could be executed but for what it is: 0 if the kernel has looked at it.
///
/// # Safety
/// None: an empty file is no program.
unsafe fn executes(program: c_long) -> c_long {
    let none: [*const c_char; 1] = [NOTHING];
    // SAFETY: strings and lists that end as they must.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            none.as_ptr(),
            none.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    let looked = std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOEXEC);
    if looked { 0 } else { -1 }
}

/// # Safety
/// None: the ring is closed.
unsafe fn ring() -> c_long {
    let mut parameters = [0_u64; 15];
    // SAFETY: struct io_uring_params has 120 bytes, all zero if nothing is asked for.
    unsafe {
        let ring = libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr());
        if ring >= 0 { libc::close(ring as c_int).into() } else { ring }
    }
}
