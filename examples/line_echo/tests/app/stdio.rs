//! The handler on standard input and output.

use crate::LINE_ECHO;
use std::fs::File;
use std::io::{Read, Seek, Write, pipe};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::{env, fs, process};
use vk_try::{App, SIGTERM, command, is_nonblocking, pollers, set_nonblocking};

/// The application, on standard input and output, with each poller.
fn each(test: impl Fn(Command)) {
    for poller in pollers() {
        test(command(LINE_ECHO, &["--stdio", "--poller", poller]));
    }
}

fn run(command: &mut Command) -> Option<i32> {
    App::start(command).wait().code()
}

/// A file of its own that has no name.
fn file(content: &[u8]) -> File {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = env::temp_dir().join(format!("line_echo-{}-{number}", process::id()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    fs::remove_file(path).unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    file
}

fn lines(count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| format!("line {number}\n").into_bytes()).collect()
}

#[test]
fn pipes() {
    each(|mut command| {
        let app = App::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let (mut stdin, mut stdout) = (app.stdin(), app.stdout());
        let mut answer = [0; 2];
        for line in [b"a\n", b"b\n"] {
            stdin.write_all(line).unwrap();
            stdout.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, line);
        }
        drop((stdin, app));
        for input in [lines(10_000), b"no end".to_vec(), Vec::new()] {
            let app = App::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
            let (output, status) = app.filter(&input);
            assert!(output == input && status.success());
        }
    });
}

#[test]
fn regular_files() {
    each(|mut command| {
        for input in [lines(10_000), b"no end".to_vec(), Vec::new()] {
            let mut output = file(b"");
            command.stdin(file(&input)).stdout(output.try_clone().unwrap());
            assert_eq!(run(&mut command), Some(0));
            let mut copy = Vec::new();
            output.rewind().unwrap();
            output.read_to_end(&mut copy).unwrap();
            assert!(copy == input);
        }
    });
}

#[test]
fn a_file_to_a_pipe_and_a_pipe_to_a_file() {
    let input = lines(30_000);
    each(|mut command| {
        let app = App::start(command.stdin(file(&input)).stdout(Stdio::piped()));
        let mut copy = Vec::new();
        app.stdout().read_to_end(&mut copy).unwrap();
        assert!(copy == input);
        let mut output = file(b"");
        let mut app = App::start(command.stdin(Stdio::piped()).stdout(output.try_clone().unwrap()));
        app.stdin().write_all(&input).unwrap();
        assert!(app.wait().success());
        copy.clear();
        output.rewind().unwrap();
        output.read_to_end(&mut copy).unwrap();
        assert!(copy == input);
    });
}

#[test]
fn nothing() {
    each(|mut command| {
        assert_eq!(run(command.stdin(Stdio::null()).stdout(Stdio::null())), Some(0));
        assert_eq!(run(command.stdin(file(&lines(100))).stdout(Stdio::null())), Some(0));
    });
    assert_eq!(run(command(LINE_ECHO, &[]).env("VK_STDIO", "1").stdin(Stdio::null())), Some(0));
    for closed in ["<&-", ">&-", "<&- >&-"] {
        let script = format!("exec \"$0\" --stdio {closed}");
        assert_eq!(run(command("sh", &["-c", &script, LINE_ECHO]).stdin(Stdio::null())), Some(0), "{closed}");
    }
}

/// One socket as both, as inetd gives it.
#[test]
fn a_socket() {
    each(|mut command| {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        command.stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs.try_clone().unwrap())));
        command.stdout(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
        let mut app = App::start(&mut command);
        drop(command);
        let input = lines(5000);
        let mut copy = Vec::new();
        std::thread::scope(|scope| {
            let mut writer = ours.try_clone().unwrap();
            let input = &input;
            scope.spawn(move || {
                writer.write_all(input).unwrap();
                writer.shutdown(std::net::Shutdown::Write).unwrap();
            });
            ours.read_to_end(&mut copy).unwrap();
        });
        assert!(copy == input);
        assert!(app.wait().success());
    });
}

#[test]
fn a_failed_handler_is_a_failed_command() {
    each(|mut command| {
        // A line that is too long, after a good one, which is not lost.
        let input = [b"good\n".as_slice(), &[b'x'; 2000]].concat();
        let app = App::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let (output, status) = app.filter(&input);
        assert_eq!((output.as_slice(), status.code()), (b"good\n".as_slice(), Some(1)));
        // Input that can't be read, and output that takes nothing.
        let directory = File::open("/").unwrap();
        assert_eq!(run(command.stdin(directory).stdout(Stdio::null())), Some(1));
        let full = File::options().write(true).open("/dev/full").unwrap();
        assert_eq!(run(command.stdin(file(b"lost\n")).stdout(full)), Some(1));
    });
}

/// Descriptors are shared with the shell and its other commands, which don't expect them to be non-blocking.
#[test]
fn what_was_inherited_is_left_as_it_was() {
    each(|mut command| {
        for before in [false, true] {
            for ends_how in ["well", "with an error", "with a signal"] {
                let (input, mut to_input) = pipe().unwrap();
                let (mut from_output, output) = pipe().unwrap();
                if before {
                    set_nonblocking(&input);
                    set_nonblocking(&output);
                }
                command.stdin(input.try_clone().unwrap()).stdout(output.try_clone().unwrap());
                let mut app = App::start(&mut command);
                to_input.write_all(b"line\n").unwrap();
                from_output.read_exact(&mut [0; 5]).unwrap();
                assert!(is_nonblocking(&input) && is_nonblocking(&output));
                match ends_how {
                    "well" => to_input.write_all(b"line\n").unwrap(),
                    "with an error" => to_input.write_all(&[b'x'; 2000]).unwrap(),
                    _ => app.process().signal(SIGTERM),
                }
                drop(to_input);
                let code = if ends_how == "with an error" { 1 } else { 0 };
                assert_eq!(app.wait().code(), Some(code), "{ends_how}");
                assert_eq!((is_nonblocking(&input), is_nonblocking(&output)), (before, before), "{ends_how}");
            }
        }
    });
}

#[test]
fn sigterm_drains() {
    each(|mut command| {
        let mut app = App::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let (mut stdin, mut stdout) = (app.stdin(), app.stdout());
        let mut answer = [0; 6];
        stdin.write_all(b"whole\nhalf").unwrap();
        stdout.read_exact(&mut answer).unwrap();
        app.process().signal(SIGTERM);
        vk_try::eventually("it drains", || app.log().contains("draining"));
        stdin.write_all(b" line\nmore\n").unwrap();
        let mut rest = Vec::new();
        stdout.read_to_end(&mut rest).unwrap();
        assert!(rest.starts_with(b"half line\n"), "{}", rest.escape_ascii());
        assert_eq!(app.wait().code(), Some(0));
    });
}
