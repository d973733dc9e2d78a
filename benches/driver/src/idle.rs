//! Memory per idle connection.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::cpus::Cpus;
use crate::memory::Memory;
use crate::server::Server;
use crate::target::Target;
use crate::{Failure, client};

/// How long the server may take to see that its clients have gone.
const NOTICE: Duration = Duration::from_secs(5);
/// Then it gets this long to give memory back.
const SETTLE: Duration = Duration::from_secs(1);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What one run has shown.
#[derive(Clone, Copy)]
pub struct Run {
    /// Connections that were answered and stayed open.
    pub connections: u32,
    /// More than before the first connection, while all are open.
    pub open: Memory,
    /// More than before the first connection, after all have been closed.
    pub left: Memory,
}

/// Opens connections one after the other, each with one request, until there are `connections` or one fails.
///
/// # Errors
/// The server failed, or not even one connection was answered.
pub fn run(target: &Target, connections: u32, cpus: &Cpus) -> Result<Run, Failure> {
    let server = Server::start(target, &[], cpus)?;
    thread::sleep(LOOK); // The check's connection ends.
    let before = Memory::of(server.pid())?;
    let mut streams = Vec::new();
    while streams.len() < connections as usize {
        let connected = TcpStream::connect(server.address).map_err(|error| format!("connect: {error}"));
        match connected.and_then(|mut stream| client::ask(&mut stream).map(|()| stream)) {
            Ok(stream) => streams.push(stream),
            Err(failure) if streams.is_empty() => return Err(failure),
            Err(failure) => {
                eprintln!("{}: only {} connections: {failure}", target.name, streams.len());
                break;
            }
        }
    }
    let connections = streams.len() as u32;
    let open = Memory::of(server.pid())? - before;
    drop(streams);
    let closed = Instant::now();
    while (Memory::of(server.pid())? - before).descriptors > 0 && closed.elapsed() < NOTICE {
        thread::sleep(LOOK);
    }
    thread::sleep(SETTLE);
    Ok(Run { connections, open, left: Memory::of(server.pid())? - before })
}
