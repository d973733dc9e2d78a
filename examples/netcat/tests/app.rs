//! The built application against servers of the test.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use vk_try::{App, PATIENCE, command, expect, pollers, reset_on_close, send};

/// A server's listener on a free port, and its address.
fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The application with this argument, with each poller.
fn each(argument: impl ToString, test: impl Fn(Command)) {
    for poller in pollers() {
        let mut command = command(env!("CARGO_BIN_EXE_netcat"), &["--poller", poller, &argument.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        test(command);
    }
}

#[test]
fn an_echo_comes_back() {
    let (listener, address) = listener();
    each(address, |mut command| {
        for count in [0, 1, 1024, 1025, 65_536, 65_537, 10_000_000] {
            let mut app = App::start(&mut command);
            let (mut input, mut output) = (app.stdin(), app.stdout());
            thread::scope(|scope| {
                scope.spawn(|| {
                    let stream = accept(&listener);
                    std::io::copy(&mut &stream, &mut &stream).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                });
                scope.spawn(move || send(&mut input, count, count).expect("it takes everything"));
                expect(&mut output, count, count + 1);
            });
            assert_eq!(app.wait().code(), Some(0));
        }
    });
}

/// Like a telephone: each side speaks when it likes.
#[test]
fn both_sides_at_any_time() {
    let (listener, address) = listener();
    each(address, |mut command| {
        let mut app = App::start(&mut command);
        let (mut input, mut output) = (app.stdin(), app.stdout());
        let mut server = accept(&listener);
        let mut byte = [0];
        for round in 0..20 {
            server.write_all(&[round]).unwrap();
            output.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [round]);
            input.write_all(&[100 + round]).unwrap();
            server.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [100 + round]);
        }
        // Our end of input is the server's; its answer still comes.
        drop(input);
        assert_eq!(server.read_exact(&mut byte).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        server.write_all(b"bye").unwrap();
        drop(server);
        let mut rest = Vec::new();
        output.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"bye");
        assert_eq!(app.wait().code(), Some(0));
    });
}

#[test]
fn much_in_both_directions_at_once() {
    const COUNT: u64 = 10_000_000;
    let (listener, address) = listener();
    each(address, |mut command| {
        let mut app = App::start(&mut command);
        let (mut input, mut output) = (app.stdin(), app.stdout());
        thread::scope(|scope| {
            let server = accept(&listener);
            let reader = server.try_clone().unwrap();
            scope.spawn(move || expect(&mut &reader, COUNT, 1));
            scope.spawn(move || {
                send(&mut &server, COUNT, 2).unwrap();
                server.shutdown(Shutdown::Write).unwrap();
            });
            // The server's end must not cut off what is still to be sent.
            let writer = scope.spawn(move || send(&mut input, COUNT, 3));
            writer.join().unwrap().expect("it takes everything");
            expect(&mut output, COUNT, 4);
        });
        assert_eq!(app.wait().code(), Some(0));
    });
}

/// A name works as well as an address.
#[test]
fn a_host_by_name() {
    let (listener, address) = listener();
    each(format!("localhost:{}", address.port()), |mut command| {
        let app = App::start(&mut command);
        thread::scope(|scope| {
            scope.spawn(|| accept(&listener).write_all(b"hello\n").unwrap());
            let (output, status) = app.filter(b"");
            assert_eq!((output.as_slice(), status.code()), (b"hello\n".as_slice(), Some(0)));
        });
    });
}

#[test]
fn a_server_that_ends_ends_it_although_input_is_open() {
    let (listener, address) = listener();
    each(address, |mut command| {
        let mut app = App::start(&mut command);
        let (_input, mut output) = (app.stdin(), app.stdout());
        accept(&listener).write_all(b"that's all\n").unwrap();
        let mut all = String::new();
        output.read_to_string(&mut all).unwrap();
        assert_eq!(all, "that's all\n");
        assert_eq!(app.wait().code(), Some(0));
    });
}

#[test]
fn a_reset_is_a_failure() {
    let (listener, address) = listener();
    each(address, |mut command| {
        let mut app = App::start(&mut command);
        let _input = app.stdin();
        let server = accept(&listener);
        reset_on_close(&server);
        drop(server);
        assert_eq!(app.wait().code(), Some(1));
        assert!(app.log().contains("reset"), "{}", app.log());
    });
}

#[test]
fn nobody_there_is_a_failure_with_a_message() {
    let address = listener().1;
    each(address, |mut command| {
        let begun = Instant::now();
        let mut app = App::start(&mut command);
        // Standard input stays open: there is nothing to wait for.
        assert_eq!(app.wait().code(), Some(1));
        assert!(app.log().contains("Connection refused"), "{}", app.log());
        assert_eq!(app.log().lines().count(), 1, "{}", app.log());
        assert!(begun.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn without_an_address_it_says_what_it_wants() {
    for (args, said) in [
        ([].as_slice(), "give one argument: HOST:PORT"),
        (&["127.0.0.1:1", "127.0.0.1:2"], "give one argument: HOST:PORT"),
        (&["nonsense"], "invalid socket address"),
    ] {
        let mut app = App::start(command(env!("CARGO_BIN_EXE_netcat"), args).stdin(Stdio::null()));
        assert_eq!(app.wait().code(), Some(1));
        assert!(app.log().lines().count() == 1 && app.log().contains(said), "{}", app.log());
    }
}

#[test]
fn output_that_goes_away_ends_it() {
    let (listener, address) = listener();
    each(address, |mut command| {
        let mut app = App::start(&mut command);
        let (_input, mut output) = (app.stdin(), app.stdout());
        thread::scope(|scope| {
            let mut server = accept(&listener);
            scope.spawn(move || send(&mut server, u64::MAX, 9).expect_err("it goes on for ever"));
            output.read_exact(&mut [0; 1000]).unwrap();
            drop(output);
            assert_eq!(app.wait().code(), Some(1));
        });
    });
}
