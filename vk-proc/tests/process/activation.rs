//! Sockets that were bound by whoever starts the program, as systemd does it.

use crate::{ALONE, PASSED, again, is_alone};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitStatus};
use vk_proc::activation::{Inherited, take};

/// Runs the test of that name with these as descriptors 3 and 4. A shell puts them there, and knows the pid
/// that the test's program will have, `$$`.
fn activate(test: &str, variables: &str, third: OwnedFd, fourth: OwnedFd) -> ExitStatus {
    let program = again(test);
    let script = format!("{variables} exec \"$0\" \"$@\" 3<&0 4<&1 0</dev/null 1>&2");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(program.get_program()).args(program.get_args()).env(ALONE, "1");
    shell.stdin(third).stdout(fourth).status().unwrap()
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn flags(socket: &OwnedFd, get: i32) -> i32 {
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(socket.as_raw_fd(), get) }
}

#[test]
fn listeners_are_taken_once() {
    if is_alone() {
        let taken = take().unwrap();
        let names: Vec<_> = taken.iter().map(|inherited| inherited.name.as_deref()).collect();
        assert_eq!(names, [Some("web"), Some("admin")]);
        for Inherited { socket, address, .. } in &taken {
            assert_eq!(flags(socket, libc::F_GETFD), libc::FD_CLOEXEC);
            assert_ne!(flags(socket, libc::F_GETFL) & libc::O_NONBLOCK, 0);
            std::net::TcpStream::connect(address.unwrap()).unwrap();
        }
        assert!(std::env::vars().all(|(name, _)| !name.starts_with("LISTEN_")));
        assert!(take().unwrap().is_empty());
        std::process::exit(PASSED);
    }
    let variables = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web:admin";
    let status =
        activate("activation::listeners_are_taken_once", variables, listener().into(), listener().into());
    assert_eq!(status.code(), Some(PASSED));
}

/// The variables that a parent forgot to remove.
#[test]
fn what_is_for_somebody_else_is_left_alone() {
    if is_alone() {
        assert!(take().unwrap().is_empty());
        assert!(std::env::vars().all(|(name, _)| !name.starts_with("LISTEN_")));
        std::process::exit(PASSED);
    }
    let test = "activation::what_is_for_somebody_else_is_left_alone";
    for variables in ["LISTEN_PID=1 LISTEN_FDS=2", "LISTEN_FDS=2", "LISTEN_PID=$$", ""] {
        assert_eq!(activate(test, variables, listener().into(), listener().into()).code(), Some(PASSED));
    }
}

#[test]
fn what_does_not_listen_is_refused() {
    if is_alone() {
        eprintln!("{}", take().unwrap_err());
        std::process::exit(PASSED);
    }
    let test = "activation::what_does_not_listen_is_refused";
    let datagrams = || UdpSocket::bind("127.0.0.1:0").unwrap().into();
    // One end of a connection, as Accept=yes passes it.
    let connected = || UnixStream::pair().unwrap().0.into();
    let file = || std::fs::File::open("/dev/null").unwrap().into();
    let right = "LISTEN_PID=$$ LISTEN_FDS=2";
    assert_eq!(activate(test, right, listener().into(), datagrams()).code(), Some(PASSED));
    assert_eq!(activate(test, right, listener().into(), connected()).code(), Some(PASSED));
    assert_eq!(activate(test, right, file(), listener().into()).code(), Some(PASSED));
    for wrong in ["LISTEN_PID=$$ LISTEN_FDS=4000", "LISTEN_PID=$$ LISTEN_FDS=-1", "LISTEN_PID=x LISTEN_FDS=1"]
    {
        assert_eq!(
            activate(test, wrong, listener().into(), listener().into()).code(),
            Some(PASSED),
            "{wrong}"
        );
    }
}
