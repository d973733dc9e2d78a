//! The access log: a line for each answer, for who listens.

mod talk;

use std::io::Write;
use std::sync::{Arc, Mutex};
use vk::prelude::*;
use vk_http::{self as http, Request};

#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        http::begin(io, &request, 201, "", None)?;
        http::forward_body(io, &mut request)?;
        http::write(io, &request, b"tail")?;
        http::end(io, &request)?;
    }
    Ok(())
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn each_answer_has_a_line() {
    let input = b"POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
        HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nnonsense\r\n\r\n";
    let lines = Lines::default();
    let log = |level| {
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(level).with_writer(move || writer.clone());
        let subscriber = subscriber.with_ansi(false).without_time().with_target(true).finish();
        tracing::subscriber::with_default(subscriber, || talk::answers::<serve>(input, &[]));
        let text = String::from_utf8(std::mem::take(&mut *lines.0.lock().unwrap())).unwrap();
        let accesses = text.lines().filter(|line| line.contains(" access: "));
        accesses.map(|line| line.split(" micros=").next().unwrap().trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(log(tracing::Level::INFO), Vec::<String>::new());
    assert_eq!(
        log(tracing::Level::DEBUG),
        [
            "DEBUG access: POST /a?b HTTP/1.1 status=201 bytes=9",
            "DEBUG access: HEAD / HTTP/1.0 status=201 bytes=0",
            "DEBUG access:   HTTP/1.1 status=400 bytes=12",
        ]
    );
}
