//! A handler that reads or writes somebody else's micro-heap is stopped by the guard, as documented: always
//! under `strict`, once the epoch is over under `epoch:N`, never when it is off.
//!
//! The worker is a process of its own, this test run again, since it dies of it.
#![allow(missing_docs, unsafe_code)]

extern crate vk_core as vk;

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use std::time::Duration;
use vk_core::{Entry, Io, Line};
use vk_heap::{Arena, Config, Guard};
use vk_poll::Epoll;
use vk_proc::ledger::Ledger;
use vk_proc::{Settings, Worker};

/// A byte in the frame of the handler that said `mine`.
static VICTIM: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

/// Publishes the address of its own frame, or touches the published one. No handler should.
#[vk::coroutine]
fn culprit(io: &mut Io) -> io::Result<()> {
    let mut line: Line<16> = Line::new();
    while io.read_line(&mut line)? {
        match line.trim_end() {
            b"mine" => VICTIM.store(line.as_mut_ptr(), Relaxed),
            // SAFETY: none; that is the point. The address is mapped, whether open or not.
            b"read" => drop(unsafe { VICTIM.load(Relaxed).read_volatile() }),
            // SAFETY: none, as above.
            b"write" => unsafe { VICTIM.load(Relaxed).write_volatile(b'!') },
            _ => {}
        }
        io.write_all(b"done\n")?;
    }
    Ok(())
}

const CHILD: &str = "VK_GUARD_TEST";

/// Not a test of its own: the worker that the others start.
#[test]
fn worker() {
    let Ok(plan) = std::env::var(CHILD) else { return };
    let (guard, touch) = plan.split_once(' ').unwrap();
    let (apart, touch) = match touch.strip_suffix(" at once") {
        Some(touch) => (false, touch),
        None => (true, touch),
    };
    let guard: Guard = guard.parse().unwrap();
    let config = Config { heaps: 4, heap_size: 4096, pool_blocks: 4, guard };
    let ledger = Box::leak(Box::new(Ledger::alone().unwrap()));
    let settings = Settings { max_procs: 4, ledger, holder: None, resolves: true };
    let poller = Epoll::new().unwrap();
    let mut worker = Worker::new(Arena::new(&config).unwrap(), poller, None, settings).unwrap();
    let pairs: Vec<_> = (0..2).map(|_| UnixStream::pair().unwrap()).collect();
    for (stream, _) in &pairs {
        stream.set_nonblocking(true).unwrap();
        worker.start_on(Entry::handler::<culprit>(), stream.as_raw_fd(), stream.as_raw_fd()).unwrap();
    }
    let (mut victim, mut culprit) = (&pairs[0].1, &pairs[1].1);
    let mut done = [0; 5];
    std::thread::scope(|scope| {
        if !apart {
            // Both are ready before the worker waits for the first time: one epoch.
            victim.write_all(b"mine\n").unwrap();
            writeln!(culprit, "{touch}").unwrap();
        }
        scope.spawn(move || {
            if apart {
                victim.write_all(b"mine\n").unwrap();
                victim.read_exact(&mut done).unwrap();
                // Longer than an epoch.
                std::thread::sleep(Duration::from_millis(100));
                writeln!(culprit, "{touch}").unwrap();
            }
            culprit.read_exact(&mut done).unwrap();
            victim.shutdown(std::net::Shutdown::Write).unwrap();
            culprit.shutdown(std::net::Shutdown::Write).unwrap();
        });
        worker.run().unwrap();
    });
}

fn run(plan: &str) -> Output {
    let this = std::env::current_exe().unwrap();
    Command::new(this).args(["--exact", "worker", "--nocapture"]).env(CHILD, plan).output().unwrap()
}

fn is_stopped(plan: &str) -> bool {
    let output = run(plan);
    let log = String::from_utf8_lossy(&output.stderr);
    match output.status.signal() {
        Some(libc::SIGSEGV) => {
            let named = log.lines().any(|line| line.starts_with("SIGSEGV at 0x") && line.contains("culprit"));
            assert!(named, "{plan}: the log says whose fault it was: {log}");
            true
        }
        None if output.status.success() => false,
        _ => panic!("{plan}: {:?}: {log}", output.status),
    }
}

#[test]
fn strict_stops_every_touch() {
    for plan in ["strict read", "strict write", "strict read at once", "strict write at once"] {
        assert!(is_stopped(plan), "{plan}");
    }
}

#[test]
fn an_epoch_stops_touches_of_earlier_epochs() {
    for plan in ["epoch:1024 read", "epoch:1024 write", "epoch:1 read at once"] {
        assert!(is_stopped(plan), "{plan}");
    }
    assert!(!is_stopped("epoch:1024 write at once"), "they ran in one epoch");
}

#[test]
fn off_stops_nothing() {
    for plan in ["off read", "off write"] {
        assert!(!is_stopped(plan), "{plan}");
    }
}
