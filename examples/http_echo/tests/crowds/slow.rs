//! Thousands who send a byte now and then, or read none: each is given up when its time is over, takes little memory,
//! and is in nobody's way.

use crate::{MIB, alone, peaks, start};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use vk_trials::Probe;
use vk_try::{PATIENCE, descriptors};

/// If there are so many descriptors, of which each end has one.
const CLIENTS: usize = 5000;

/// How often each does something.
const PACE: Duration = Duration::from_secs(1);

/// Bytes of a worker for who sends a head: a page and what is known of it, and as much again for the machine.
const HEAD: u64 = 8 * 1024;

/// For who sends a body, a page or two of a lent block more; for who takes no answer, two blocks that are full.
const BODY: u64 = HEAD + 8 * 1024;
const READER: u64 = HEAD + 128 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Sends a request line.
    Line,
    /// Sends a field.
    Field,
    /// Sends a body.
    Body,
    /// Sends all that is taken, and reads hardly anything of what comes back.
    Reader,
}

impl Kind {
    /// One in two hundred is a reader: the kernel keeps some MiB for each.
    fn of(number: usize) -> Kind {
        match number % 200 {
            0 => Kind::Reader,
            number => [Kind::Line, Kind::Field, Kind::Body][number % 3],
        }
    }

    /// What it may take of a worker, in bytes.
    fn most(self) -> u64 {
        match self {
            Kind::Line | Kind::Field => HEAD,
            Kind::Body => BODY,
            Kind::Reader => READER,
        }
    }

    fn begins(self) -> &'static str {
        match self {
            Kind::Line => "GET /",
            Kind::Field => "GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
            Kind::Body => "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
            Kind::Reader => "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n",
        }
    }

    /// How long the server has patience: 15 s with a head, 30 s with a body or with who takes nothing.
    fn patience(self) -> Duration {
        Duration::from_secs(if matches!(self, Kind::Line | Kind::Field) { 15 } else { 30 })
    }
}

/// A slow client.
struct Slow {
    kind: Kind,
    stream: TcpStream,
    begin: Instant,
    answer: Vec<u8>,
    /// How long it was served.
    end: Option<Duration>,
}

impl Slow {
    fn begin(kind: Kind, address: SocketAddr) -> Slow {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a descriptor");
        if kind == Kind::Reader {
            socket.set_recv_buffer_size(4096).expect("a socket");
        }
        socket.connect(&address.into()).expect("the server listens");
        socket.set_nonblocking(true).expect("a socket");
        let mut stream = TcpStream::from(socket);
        stream.write_all(kind.begins().as_bytes()).expect("a new connection takes some");
        Slow { kind, stream, begin: Instant::now(), answer: Vec::new(), end: None }
    }

    /// Does something, and looks whether the connection has ended.
    fn act(&mut self) {
        // What is sent behind the end makes a reset, which hides the answer: so reading comes first.
        if self.hears().and_then(|()| self.says()).is_err() {
            self.end = Some(self.begin.elapsed());
        }
    }

    fn hears(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        let most = if self.kind == Kind::Reader { 1 } else { bytes.len() };
        match self.stream.read(&mut bytes[..most]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            result => {
                self.answer.extend(&bytes[..result.unwrap_or(0)]);
                Ok(())
            }
        }
    }

    fn says(&mut self) -> io::Result<()> {
        let is_reader = self.kind == Kind::Reader;
        // Who is answered already has nothing to add.
        while is_reader || self.answer.is_empty() {
            match self.stream.write(if is_reader { &[b'a'; 65536] } else { b"a" }) {
                Ok(_) if is_reader => {}
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _ => break,
            }
        }
        Ok(())
    }

    /// Checks how it ended.
    #[track_caller]
    fn check(&self) {
        let Slow { kind, answer, .. } = self;
        let patience = kind.patience();
        let Some(end) = self.end else { panic!("{kind:?} is served for {:?}", self.begin.elapsed()) };
        let status = if *kind == Kind::Reader { "HTTP/1.1 200 " } else { "HTTP/1.1 408 " };
        let answer = String::from_utf8_lossy(answer);
        assert!(answer.starts_with(status), "{kind:?} is answered with {answer:?}");
        assert!(end + PACE > patience && end < patience + 2 * PATIENCE, "{kind:?} is served for {end:?}");
    }
}

/// Asks again and again, on one connection and on new ones, until `stop`; how long each answer took.
fn polite(address: SocketAddr, stop: &AtomicBool) -> Vec<Duration> {
    let (mut old, mut times) = (Probe::to(address), Vec::new());
    while !stop.load(Relaxed) {
        for new in [false, true] {
            let begin = Instant::now();
            if new {
                Probe::to(address).check();
            } else {
                old.check();
            }
            times.push(begin.elapsed());
        }
        thread::sleep(Duration::from_millis(5));
    }
    times
}

#[test]
fn thousands_are_slow_and_nobody_waits_for_them() {
    let _alone = alone();
    let count = CLIENTS.min(descriptors().saturating_sub(200));
    let trial = start();
    Probe::to(trial.http()).check();
    let before: u64 = peaks(&trial).iter().sum();
    let stop = AtomicBool::new(false);
    let (clients, mut times) = thread::scope(|scope| {
        let polite = scope.spawn(|| polite(trial.http(), &stop));
        let mut clients: Vec<Slow> = (0..count).map(|n| Slow::begin(Kind::of(n), trial.http())).collect();
        let longest = Kind::Reader.patience() + 2 * PATIENCE;
        let begin = Instant::now();
        while begin.elapsed() < longest && clients.iter().any(|client| client.end.is_none()) {
            let next = Instant::now() + PACE;
            clients.iter_mut().filter(|client| client.end.is_none()).for_each(Slow::act);
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        stop.store(true, Relaxed);
        (clients, polite.join().expect("the polite are served"))
    });
    let took: u64 = peaks(&trial).iter().sum::<u64>() - before;
    times.sort_unstable();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    let served = times.len();
    eprintln!(
        "{count} slow clients took {took} bytes; {served} answers beside them: median {median:.1?}, worst {worst:.1?}"
    );
    clients.iter().for_each(Slow::check);
    assert!(worst < PATIENCE, "a polite client waits for {worst:?}");
    let most = clients.iter().map(|client| client.kind.most()).sum::<u64>() + 16 * MIB;
    assert!(took < most, "{took} bytes for {count} slow clients");
    drop(clients);
    trial.end();
}
