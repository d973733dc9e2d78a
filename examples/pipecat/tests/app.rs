//! The built application between a writer and a reader: what goes in comes out.

use std::fs::File;
use std::io::{Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;
use vk_try::{App, SIGTERM, command, eventually, expect, pollers, send};

/// The application, with each poller.
fn each(test: impl Fn(Command)) {
    for poller in pollers() {
        test(command(env!("CARGO_BIN_EXE_pipecat"), &["--poller", poller]));
    }
}

/// Sends `count` bytes through `app`.
fn conserves(mut app: App, mut input: impl Write + Send, mut output: impl Read, count: u64) {
    thread::scope(|scope| {
        scope.spawn(move || send(&mut input, count, count).expect("it takes everything"));
        expect(&mut output, count, count + 1);
    });
    assert_eq!(app.wait().code(), Some(0), "{}", app.log());
}

#[test]
fn bytes_are_conserved_at_the_edges_of_buffers() {
    each(|mut command| {
        for count in [0, 1, 2, 1023, 1024, 1025, 2048, 2049, 65_535, 65_536, 65_537, 131_073, 1_000_000] {
            let app = App::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
            let (input, output) = (app.stdin(), app.stdout());
            conserves(app, input, output, count);
        }
    });
}

#[test]
fn bytes_are_conserved_in_bulk() {
    each(|mut command| {
        let app = App::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let (input, output) = (app.stdin(), app.stdout());
        conserves(app, input, output, 50_000_003);
    });
}

#[test]
fn bytes_are_conserved_under_each_guard() {
    each(|mut command| {
        let poller = command.get_args().nth(1).unwrap().to_owned();
        for guard in ["strict", "epoch:1", "off"] {
            command = vk_try::command(env!("CARGO_BIN_EXE_pipecat"), &["--guard", guard, "--poller"]);
            let app = App::start(command.arg(&poller).stdin(Stdio::piped()).stdout(Stdio::piped()));
            let (input, output) = (app.stdin(), app.stdout());
            conserves(app, input, output, 3_000_000);
        }
    });
}

#[test]
fn bytes_are_conserved_through_sockets() {
    each(|mut command| {
        let ((ours, stdin), (back, stdout)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        command.stdin(OwnedFd::from(stdin)).stdout(OwnedFd::from(stdout));
        let app = App::start(&mut command);
        // The command keeps its copies of the sockets.
        drop(command);
        conserves(app, ours, back, 5_000_000);
    });
}

/// While nobody reads, nothing is taken but what buffers hold, and nothing is done.
#[test]
fn a_slow_reader_slows_the_writer_down() {
    const COUNT: u64 = 8_000_000;
    each(|mut command| {
        let mut app = App::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let taken = AtomicU64::new(0);
        let mut input = Counted(app.stdin(), &taken);
        thread::scope(|scope| {
            scope.spawn(move || send(&mut input, COUNT, 5).expect("it takes everything"));
            let mut before = 0;
            eventually("it takes no more", || {
                thread::sleep(Duration::from_millis(100));
                let now = taken.load(Relaxed);
                std::mem::replace(&mut before, now) == now && now > 0
            });
            assert!(before < 1 << 20, "{before} bytes taken that nobody reads");
            let cpu = app.process().cpu();
            thread::sleep(Duration::from_millis(300));
            let spent = app.process().cpu() - cpu;
            assert!(spent < Duration::from_millis(100), "{spent:?} for nothing");
            let mut output = Slow { from: app.stdout(), slow_reads: 100 };
            expect(&mut output, COUNT, 6);
        });
        assert_eq!(app.wait().code(), Some(0));
    });
}

/// A writer that can be watched.
struct Counted<'a, W>(W, &'a AtomicU64);

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.0.write(&bytes[..bytes.len().min(4096)])?;
        self.1.fetch_add(count as u64, Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// A reader that is slow at first.
struct Slow<R> {
    from: R,
    slow_reads: u32,
}

impl<R: Read> Read for Slow<R> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        if let Some(left) = self.slow_reads.checked_sub(1) {
            self.slow_reads = left;
            thread::sleep(Duration::from_millis(2));
        }
        self.from.read(to)
    }
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    each(|mut command| {
        for read in [0, 1, 100_000] {
            let mut app = App::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
            let (mut input, mut output) = (app.stdin(), app.stdout());
            thread::scope(|scope| {
                let writer = scope.spawn(move || send(&mut input, u64::MAX, 1));
                output.read_exact(&mut vec![0; read]).unwrap();
                drop(output);
                let error = writer.join().unwrap().expect_err("it goes on for ever");
                assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
            });
            assert_eq!(app.wait().code(), Some(1));
        }
    });
}

/// Bytes that are lost after the handler's end are as lost as others.
#[test]
fn output_that_takes_nothing_is_a_failure() {
    each(|mut command| {
        for input in ["x", &"x".repeat(200_000)] {
            let full = File::options().write(true).open("/dev/full").unwrap();
            let mut app = App::start(command.stdin(Stdio::piped()).stdout(full));
            // It may end before it has read everything.
            let _ = app.stdin().write_all(input.as_bytes());
            assert_eq!(app.wait().code(), Some(1));
        }
    });
}

/// A writer that takes its time is waited for.
#[test]
fn what_comes_late_goes_on_at_once() {
    each(|mut command| {
        let (stdin, mut input) = pipe().unwrap();
        let mut app = App::start(command.stdin(stdin).stdout(Stdio::piped()));
        drop(command);
        let mut output = app.stdout();
        for byte in 0..20 {
            input.write_all(&[byte]).unwrap();
            let mut back = [0];
            output.read_exact(&mut back).unwrap();
            assert_eq!(back, [byte]);
        }
        drop(input);
        assert_eq!(output.read(&mut [0]).unwrap(), 0);
        assert_eq!(app.wait().code(), Some(0));
    });
}

/// A copy that was cut off must not pass for a whole one.
#[test]
fn a_second_sigterm_is_a_failure() {
    each(|mut command| {
        let mut app = App::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let (mut input, mut output) = (app.stdin(), app.stdout());
        input.write_all(b"begun").unwrap();
        output.read_exact(&mut [0; 5]).unwrap();
        app.process().signal(SIGTERM);
        eventually("it drains", || app.log().contains("draining"));
        // At work it goes on.
        input.write_all(b"more").unwrap();
        output.read_exact(&mut [0; 4]).unwrap();
        app.process().signal(SIGTERM);
        assert_eq!(app.wait().code(), Some(1));
    });
}
