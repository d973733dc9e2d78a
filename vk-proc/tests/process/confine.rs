//! What a confined worker can't do any more, and what it still can.

use crate::{PASSED, alone, ends};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::{ExitStatusExt, parent_id};
use std::process::Command;
use std::thread;
use vk_proc::confine::{self, Confinement, Profile};

const BASIC: Confinement = Confinement { profile: Profile::Basic, user: None, core_dumps: false };
const STRICT: Confinement = Confinement { profile: Profile::Strict, ..BASIC };

/// Confines this process as a holder, and then its worker, are.
fn worker(confinement: &Confinement) -> io::Result<()> {
    confine::holder(confinement.profile)?;
    confine::worker(confinement)
}

fn parent() -> libc::pid_t {
    parent_id() as libc::pid_t
}

/// The error of a system call with these arguments; 0 if it has none.
fn errno(call: libc::c_long, arguments: [libc::c_long; 4]) -> i32 {
    let [a, b, c, d] = arguments;
    // SAFETY: those who call it give no pointer but null, or to an object that lives as long.
    match unsafe { libc::syscall(call, a, b, c, d) } {
        -1 => io::Error::last_os_error().raw_os_error().unwrap(),
        _ => 0,
    }
}

/// What both profiles refuse. Each of these calls has another answer for a process that isn't confined.
fn harms_nobody() {
    let parent = libc::c_long::from(parent());
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, ends.as_mut_ptr()) }, 0);
    let socket = libc::c_long::from(ends[0]);
    let limit = [0_u64; 2];
    let calls = [
        (libc::SYS_kill, [parent, 0, 0, 0]),
        (libc::SYS_kill, [0, 0, 0, 0]),
        (libc::SYS_kill, [-1, 0, 0, 0]),
        (libc::SYS_tkill, [parent, 0, 0, 0]),
        (libc::SYS_tgkill, [parent, parent, 0, 0]),
        (libc::SYS_pidfd_send_signal, [socket, 0, 0, 0]),
        (libc::SYS_rt_sigqueueinfo, [parent, 0, 0, 0]),
        (libc::SYS_ptrace, [libc::PTRACE_SEIZE.into(), parent, 0, 0]),
        (libc::SYS_process_vm_readv, [parent, 0, 0, 0]),
        (libc::SYS_process_vm_writev, [parent, 0, 0, 0]),
        (libc::SYS_prlimit64, [parent, libc::RLIMIT_CORE.into(), 0, 0]),
        (libc::SYS_fcntl, [socket, libc::F_SETOWN.into(), parent, 0]),
        // The kernel doesn't look at the upper half.
        (libc::SYS_fcntl, [socket, libc::c_long::from(libc::F_SETOWN) | 1 << 32, parent, 0]),
        (libc::SYS_fcntl, [socket, 10, libc::SIGKILL.into(), 0]),
        (libc::SYS_ioctl, [socket, 0x8901, (&raw const parent) as libc::c_long, 0]),
        (libc::SYS_mount, [0, 0, 0, 0]),
        (libc::SYS_bpf, [0, 0, 0, 0]),
        (libc::SYS_unshare, [0, 0, 0, 0]),
        (libc::SYS_clone, [libc::CLONE_NEWUSER.into(), 0, 0, 0]),
        (libc::SYS_clone, [(libc::CLONE_NEWUSER | libc::SIGCHLD).into(), 0, 0, 0]),
        (libc::SYS_setns, [-1, 0, 0, 0]),
        (libc::SYS_keyctl, [0, 0, 0, 0]),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_kill | 0x4000_0000, [parent, 0, 0, 0]),
    ];
    for (call, arguments) in calls {
        assert_eq!(errno(call, arguments), libc::EPERM, "call {call} {arguments:x?}");
    }
    assert_eq!(errno(libc::SYS_clone3, [0, 0, 0, 0]), libc::ENOSYS);
    assert_eq!(errno(libc::SYS_prlimit64, [0, libc::RLIMIT_CORE.into(), 0, (&raw const limit) as _]), 0);
}

/// What both profiles leave.
fn serves(address: std::net::SocketAddr) {
    // Connections.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"a").unwrap();
    // Memory that has a descriptor, as an arena.
    // SAFETY: a name that ends.
    let memory = unsafe { libc::memfd_create(c"arena".as_ptr(), libc::MFD_CLOEXEC) };
    assert_ne!(memory, -1);
    // SAFETY: plain arguments, on a mapping that nobody else knows.
    unsafe {
        assert_eq!(libc::ftruncate(memory, 8192), 0);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let at = libc::mmap(std::ptr::null_mut(), 8192, access, libc::MAP_SHARED, memory, 0);
        assert_ne!(at, libc::MAP_FAILED);
        at.cast::<u8>().write(1);
        assert_eq!(libc::mprotect(at, 4096, libc::PROT_NONE), 0);
        assert_eq!(libc::madvise(at, 8192, libc::MADV_DONTNEED), 0);
        let hole = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        assert_eq!(libc::fallocate(memory, hole, 0, 4096), 0);
    }
    // Waiting.
    // SAFETY: plain arguments, and structures that live as long as the calls.
    unsafe {
        let poller = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        let timer = libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC);
        let soon = libc::timespec { tv_sec: 0, tv_nsec: 1000 };
        let soon = libc::itimerspec { it_interval: soon, it_value: soon };
        assert_eq!(libc::timerfd_settime(timer, 0, &raw const soon, std::ptr::null_mut()), 0);
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 7 };
        assert_eq!(libc::epoll_ctl(poller, libc::EPOLL_CTL_ADD, timer, &raw mut event), 0);
        assert_eq!(libc::epoll_wait(poller, &raw mut event, 1, 1000), 1);
        assert_ne!(libc::eventfd(0, libc::EFD_CLOEXEC), -1);
    }
    // Threads, with names, that can signal themselves; SIGCONT does nothing.
    let thread = thread::Builder::new().name("pool".into());
    // SAFETY: a signal that ends nobody.
    let raised = thread.spawn(|| unsafe { libc::raise(libc::SIGCONT) }).unwrap().join().unwrap();
    assert_eq!(raised, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::kill(libc::getpid(), libc::SIGCONT) }, 0);
    thread::sleep(std::time::Duration::from_millis(1));
    // What accepts was there before.
    assert!(std::panic::catch_unwind(|| panic!("a handler's")).is_err());
}

/// A listener of before; it takes what [`serves`] sends.
fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn accepts(listener: &TcpListener) {
    let mut byte = [0];
    listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"a");
}

#[test]
fn a_basic_worker_serves_and_harms_nobody() {
    alone("confine::a_basic_worker_serves_and_harms_nobody", || {
        let listener = listener();
        worker(&BASIC).unwrap();
        harms_nobody();
        serves(listener.local_addr().unwrap());
        accepts(&listener);
        // Ordinary handlers open files, move them, listen, and run programs.
        let folder = std::env::temp_dir().join(format!("vk-confine-{}", std::process::id()));
        fs::create_dir_all(folder.join("a")).unwrap();
        fs::write(folder.join("file"), fs::read("/etc/passwd").unwrap()).unwrap();
        fs::rename(folder.join("file"), folder.join("a/file")).unwrap();
        fs::remove_dir_all(folder).unwrap();
        TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(Command::new("true").status().unwrap().success());
    });
}

#[test]
fn a_strict_worker_serves_and_has_no_files() {
    alone("confine::a_strict_worker_serves_and_has_no_files", || {
        let listener = listener();
        if let Err(error) = worker(&STRICT) {
            // Which is what it is to say; basic ones are tested all the same.
            assert!(error.to_string().contains("landlock"), "{error}");
            eprintln!("skipped: {error}");
            std::process::exit(PASSED);
        }
        harms_nobody();
        serves(listener.local_addr().unwrap());
        accepts(&listener);
        let refused = io::ErrorKind::PermissionDenied;
        assert_eq!(File::open("/etc/passwd").unwrap_err().kind(), refused);
        assert_eq!(File::create(std::env::temp_dir().join("vk")).unwrap_err().kind(), refused);
        assert_eq!(fs::remove_file("/no/such/file").unwrap_err().kind(), refused);
        assert_eq!(TcpListener::bind("127.0.0.1:0").unwrap_err().kind(), refused);
        assert_eq!(Command::new("true").status().unwrap_err().kind(), refused);
        assert_eq!(errno(libc::SYS_io_uring_setup, [1, 0, 0, 0]), libc::EPERM);
    });
}

#[test]
fn abort_still_ends_a_worker() {
    for confinement in [BASIC, STRICT] {
        let status = ends("confine::abort_still_ends_a_worker", || {
            worker(&confinement).unwrap();
            // In a thread that is not the first.
            thread::spawn(|| std::process::abort()).join().unwrap();
        });
        assert_eq!(status.signal(), Some(libc::SIGABRT));
        assert!(!status.core_dumped());
    }
}

/// What stands behind `name` in this thread's status.
fn status(name: &str) -> String {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_dumpable() -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) == 1 }
}

#[test]
fn a_worker_leaves_no_core() {
    alone("confine::a_worker_leaves_no_core", || {
        worker(&BASIC).unwrap();
        assert!(!is_dumpable());
        assert_eq!(status("NoNewPrivs:"), "1");
    });
}

#[test]
fn a_profile_that_is_off_gives_nothing_up() {
    alone("confine::a_profile_that_is_off_gives_nothing_up", || {
        worker(&Confinement { profile: Profile::Off, ..BASIC }).unwrap();
        assert!(is_dumpable());
        assert_eq!((status("NoNewPrivs:"), status("Seccomp:")), ("0".into(), "0".into()));
        // SAFETY: no signal is sent.
        assert_eq!(unsafe { libc::kill(parent(), 0) }, 0);
    });
}

#[test]
fn a_worker_becomes_another_user() {
    alone("confine::a_worker_becomes_another_user", || {
        // SAFETY: no memory is involved.
        if unsafe { libc::geteuid() } != 0 {
            assert!("1:1".parse::<confine::User>().unwrap_err().contains("root"));
            eprintln!("skipped: only root can become another user");
            return;
        }
        // SAFETY: a valid signal.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM as libc::c_ulong) };
        let user = Some("nobody:4321".parse().unwrap());
        worker(&Confinement { user, core_dumps: true, ..BASIC }).unwrap();
        let uid = status("Uid:");
        let uid = uid.split(' ').next().unwrap().to_owned();
        assert_ne!(uid, "0");
        assert_eq!(status("Uid:"), [uid.as_str(); 4].join(" "));
        assert_eq!(status("Gid:"), "4321 4321 4321 4321");
        assert_eq!((status("Groups:"), status("CapPrm:")), (String::new(), "0".repeat(16)));
        assert!(is_dumpable());
        let mut at_its_death = 0;
        // SAFETY: a number to be written.
        unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut at_its_death) };
        assert_eq!(at_its_death, libc::SIGTERM);
    });
}
