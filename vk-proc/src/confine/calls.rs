//! Which system calls a worker may make: seccomp(2).
//!
//! ```text
//! holder   refused: what harms the machine or other processes ──► EPERM     everything else is allowed
//! basic    the same, and: what is aimed at other processes ──► EPERM
//! strict   the same, and: all that is not on the list ──► EPERM
//! ```
//!
//! A filter is looked at once per call number and then cached by the kernel, where it says yes whatever the
//! arguments are, which it does for all calls on the path of a request.
#![allow(unsafe_code)]

use super::Profile;
use libc::c_long;
use seccompiler::{
    BackendError, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;
use std::io;

#[cfg(target_arch = "x86_64")]
const ARCH: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: TargetArch = TargetArch::aarch64;

/// fcntl(2) commands that aim a signal at somebody else, from asm-generic/fcntl.h.
const F_SETSIG: i32 = 10;
const F_SETOWN_EX: i32 = 15;

/// As above, for ioctl(2), from asm-generic/sockios.h.
const FIOSETOWN: u32 = 0x8901;
const SIOCSPGRP: u32 = 0x8902;

/// Flags of clone(2) that ask for a namespace, from linux/sched.h.
const NAMESPACES: [u32; 7] = [
    libc::CLONE_NEWUSER as u32,
    libc::CLONE_NEWNS as u32,
    libc::CLONE_NEWPID as u32,
    libc::CLONE_NEWNET as u32,
    libc::CLONE_NEWUTS as u32,
    libc::CLONE_NEWIPC as u32,
    libc::CLONE_NEWCGROUP as u32,
];

/// x86-64 has a second number for most calls, `__X32_SYSCALL_BIT`, in kernels that are built with it.
#[cfg(target_arch = "x86_64")]
const X32: c_long = 0x4000_0000;

/// Harmful calls that have numbers of their own there, from syscall_64.tbl: ioctl, ptrace, rt_sigqueueinfo, kexec_load,
/// move_pages, rt_tgsigqueueinfo, process_vm_readv, process_vm_writev. This process makes none of them by these numbers.
#[cfg(target_arch = "x86_64")]
const X32_ALONE: [c_long; 8] = [514, 521, 524, 528, 533, 536, 539, 540];

/// Refused, whatever the arguments are.
const HARMFUL: &[c_long] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    // Its first argument is a descriptor, which says nothing about whose.
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // What the kernel runs and shows.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_syslog,
    libc::SYS_reboot,
    // File systems and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_acct,
    libc::SYS_fanotify_init,
    libc::SYS_open_by_handle_at,
    // Keys that others have left.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // The machine's clock and names.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    // Its hardware.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// Refused unless the first argument is this process, as it is when abort(3) and raise(3) are called, in
/// whichever thread (glibc). That leaves out groups and everybody, too, which are 0 and negative.
const SIGNALS: &[c_long] = &[
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
];

/// All that a strict worker may call: those of [`SIGNALS`], too, and what else is refused only by argument.
const NEEDED: &[c_long] = &[
    // The descriptors it has, and new ones that have no name.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_tee,
    libc::SYS_copy_file_range,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_memfd_create,
    libc::SYS_signalfd4,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    // Waiting.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    // Connections. Without bind and listen, it serves what it was started with.
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_getrandom,
    // Threads. Processes as well; they can't execute anything.
    libc::SYS_clone,
    // Refused by a filter of its own, with the error that makes the C library go on with clone.
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    // The name of a thread.
    libc::SYS_prctl,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Signals to itself.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Time.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    // Who and how much it is.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrusage,
    libc::SYS_prlimit64,
    libc::SYS_uname,
];

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// Gives up the calls that are for no worker, nor its holder: the same for all of them, so a worker inherits it. The
/// kernel takes most of a millisecond for a filter of this length.
pub fn refuse_harmful() -> io::Result<()> {
    known()?;
    let rules: Rules = HARMFUL.iter().map(|call| (*call, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    let rules = rules.into_iter().chain(X32_ALONE.map(|call| (call | X32, Vec::new()))).collect();
    install(with_x32(rules), SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))
}

/// Gives up the calls that are not for a worker of this profile.
pub fn refuse(profile: Profile) -> io::Result<()> {
    known()?;
    let aimed = aimed(std::process::id()).map_err(io::Error::other)?;
    install(with_x32(aimed), SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))?;
    // Its arguments lie in memory, where no filter sees a namespace asked for; the C library falls back to clone(2).
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    install(with_x32(clone3), SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))?;
    if profile == Profile::Strict {
        // The kernel asks all filters, and the sternest answer counts.
        let needed = NEEDED.iter().chain(SIGNALS).map(|call| (*call, Vec::new())).collect();
        install(needed, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)?;
    }
    Ok(())
}

/// An error if the kernel has no seccomp.
fn known() -> io::Result<()> {
    // SAFETY: plain arguments. A kernel without seccomp knows no such operation: prctl(2).
    match unsafe { libc::prctl(libc::PR_GET_SECCOMP, 0, 0, 0, 0) } {
        0.. => Ok(()),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn install(rules: Rules, others: SeccompAction, listed: SeccompAction) -> io::Result<()> {
    let filter = SeccompFilter::new(rules, others, listed, ARCH);
    let program: seccompiler::BpfProgram = filter.and_then(TryInto::try_into).map_err(io::Error::other)?;
    seccompiler::apply_filter(&program).map_err(io::Error::other)
}

/// What is refused to the process `own`, depending on whom or what it is aimed at.
fn aimed(own: u32) -> Result<Rules, BackendError> {
    let is = |argument, number: u32| condition(argument, SeccompCmpOp::Eq, number);
    let is_not = |argument, number: u32| condition(argument, SeccompCmpOp::Ne, number);
    let mut rules = Rules::new();
    for call in SIGNALS {
        rules.insert(*call, vec![SeccompRule::new(vec![is_not(0, own)?])?]);
    }
    // A limit on somebody else's processor time ends in a signal.
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![is_not(0, 0)?, is_not(0, own)?])?]);
    // A process in a namespace of users may do there what only root may.
    let spaces = NAMESPACES.map(|space| condition(0, SeccompCmpOp::MaskedEq(space.into()), space));
    rules.insert(libc::SYS_clone, any(spaces)?);
    // Those that send a signal when a descriptor is ready, and that type into the operator's terminal.
    let aims = [libc::F_SETOWN, F_SETOWN_EX, F_SETSIG].map(|command| is(1, command as u32));
    rules.insert(libc::SYS_fcntl, any(aims)?);
    let aims =
        [FIOSETOWN, SIOCSPGRP, libc::TIOCSTI as u32, libc::TIOCLINUX as u32].map(|number| is(1, number));
    rules.insert(libc::SYS_ioctl, any(aims)?);
    Ok(rules)
}

/// The rules for both numbers that a call has.
fn with_x32(rules: Rules) -> Rules {
    #[cfg(target_arch = "x86_64")]
    let rules =
        rules.iter().flat_map(|(call, rule)| [*call, call | X32].map(|call| (call, rule.clone()))).collect();
    rules
}

fn any(
    conditions: impl IntoIterator<Item = Result<SeccompCondition, BackendError>>,
) -> Result<Vec<SeccompRule>, BackendError> {
    conditions.into_iter().map(|condition| SeccompRule::new(vec![condition?])).collect()
}

/// About an argument that the kernel takes as 32 bits: it doesn't look at the upper half, so neither do we.
fn condition(argument: u8, operator: SeccompCmpOp, number: u32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, number.into())
}
