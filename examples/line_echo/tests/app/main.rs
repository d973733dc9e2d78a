//! The built application on a free port of the loopback, as its clients, its operator and its shell see it.

mod configuration;
mod init;
mod limits;
mod lines;
mod pollers;
mod signals;
mod stdio;
mod workers;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use vk_try::{App, command};

const LINE_ECHO: &str = env!("CARGO_BIN_EXE_line_echo");

/// Starts it on a free port, with one process unless `more` asks for others.
fn serve(more: &[&str]) -> App {
    App::start(&mut serving(more))
}

fn serving(more: &[&str]) -> Command {
    let mut args = vec!["--listen", "127.0.0.1:0"];
    if !more.contains(&"--workers") {
        args.extend(["--workers", "0"]);
    }
    args.extend(more);
    command(LINE_ECHO, &args)
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn of(app: &App) -> Client {
        Client(BufReader::new(app.connect()))
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).expect("the server takes it");
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line
    }

    /// Sends a line, and sees it come back.
    #[track_caller]
    fn check(&mut self, line: &str) {
        self.send(line);
        assert_eq!(self.line(), line);
    }

    fn end(&mut self) {
        self.0.get_ref().shutdown(Shutdown::Write).expect("an open connection");
    }

    /// What comes until the end.
    #[track_caller]
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).expect("an orderly end");
        rest
    }

    /// Whether the server has closed the connection: with a reset if it had not read everything.
    #[track_caller]
    fn is_over(&mut self) -> bool {
        match self.0.read_exact(&mut [0]).map_err(|error| error.kind()) {
            Ok(()) => false,
            Err(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => true,
            Err(error) => panic!("neither a byte nor the end: {error}"),
        }
    }
}
