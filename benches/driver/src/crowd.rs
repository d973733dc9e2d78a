//! Many keep-alive connections in the hands of one thread.
//!
//! ```text
//! ask    a request on each of some, at once; until all have their answers
//! loop   on each: request ─► answer ─► request ─► …   the gap between two answers is what a client sees of a pause
//! ```

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::Failure;
use crate::client::{self, ANSWER, Answer};

/// Events of one look.
const EVENTS: usize = 1024;
/// How often a closed loop looks at the clock while nothing comes.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
/// How long answers may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a closed loop has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// The longest time between two successive answers on a connection, or on the one that replaced it.
    pub gap: Duration,
    /// Connections that the server closed behind an answer that said so: each was made anew.
    pub closed: u32,
    /// Requests without an answer, as their connection broke: each was sent again on a new one.
    pub failed: u32,
}

/// One connection; at most one request is under way on it.
struct Connection {
    stream: TcpStream,
    /// What has come of the answer.
    answer: Vec<u8>,
    /// When the last answer was there.
    last: Instant,
}

/// The connections, all to one server.
pub struct Crowd {
    address: SocketAddr,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    events: Vec<Event>,
}

/// What a look at a connection has found.
enum Found {
    Answer(Answer),
    Nothing,
    Broken,
}

impl Crowd {
    /// Opens `count` connections, each answered once.
    ///
    /// # Errors
    /// One can't be opened, or gets no answer.
    pub fn connect(address: SocketAddr, count: usize) -> Result<Self, Failure> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(|error| format!("epoll: {error}"))?;
        let events = Vec::with_capacity(EVENTS);
        let mut crowd = Self { address, epoll, connections: Vec::with_capacity(count), events };
        for index in 0..count {
            let mut stream = connect(address)?;
            client::ask(&mut stream)?;
            let stream = crowd.watch(stream, index)?;
            crowd.connections.push(Connection {
                stream,
                answer: Vec::with_capacity(ANSWER),
                last: Instant::now(),
            });
        }
        Ok(crowd)
    }

    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// Sends a request on each of `who`, and returns when all their answers are there.
    ///
    /// # Errors
    /// A connection broke, or an answer didn't come in time.
    pub fn ask(&mut self, who: Range<usize>) -> Result<(), Failure> {
        let began = Instant::now();
        let mut missing = who.len();
        for index in who {
            self.send(index).map_err(|error| format!("connection {index}: {error}"))?;
        }
        while missing > 0 {
            self.wait()?;
            for at in 0..self.events.len() {
                let index = self.events[at].data.u64() as usize;
                match self.look(index)? {
                    Found::Answer(_) => missing -= 1,
                    Found::Nothing => {}
                    Found::Broken => return Err(format!("connection {index} broke")),
                }
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{missing} answers did not come within {PATIENCE:?}"));
            }
        }
        Ok(())
    }

    /// Asks on all connections, on each as soon as it has its answer, for `before`; then does `event`, and goes on
    /// for `after`.
    ///
    /// # Errors
    /// A connection can't be made anew, an answer is wrong, or what `event` returns.
    pub fn ask_on(
        &mut self,
        before: Duration,
        event: impl FnOnce() -> Result<(), Failure>,
        after: Duration,
    ) -> Result<Seen, Failure> {
        let began = Instant::now();
        let mut event = Some(event);
        let mut seen = Seen::default();
        for index in 0..self.len() {
            self.connections[index].last = began;
            self.send_or_replace(index, &mut seen)?;
        }
        let mut until = began + before + after;
        while Instant::now() < until {
            if let Some(event) = event.take_if(|_| began.elapsed() >= before) {
                event()?;
                until = Instant::now() + after;
            }
            self.wait()?;
            for at in 0..self.events.len() {
                let index = self.events[at].data.u64() as usize;
                self.turn(index, &mut seen)?;
            }
        }
        for index in 0..self.len() {
            seen.gap = seen.gap.max(self.connections[index].last.elapsed());
        }
        // What is still under way would be taken for the answer to what is asked next.
        let count = self.len();
        self.connections.clear();
        *self = Self::connect(self.address, count)?;
        Ok(seen)
    }

    /// Takes an answer if there is one, and asks again.
    fn turn(&mut self, index: usize, seen: &mut Seen) -> Result<(), Failure> {
        match self.look(index)? {
            Found::Nothing => return Ok(()),
            Found::Broken => {
                seen.failed += 1;
                self.replace(index)?;
            }
            Found::Answer(answer) => {
                let now = Instant::now();
                seen.gap = seen.gap.max(now - self.connections[index].last);
                self.connections[index].last = now;
                if answer == Answer::Last {
                    seen.closed += 1;
                    self.replace(index)?;
                }
            }
        }
        self.send_or_replace(index, seen)
    }

    fn send_or_replace(&mut self, index: usize, seen: &mut Seen) -> Result<(), Failure> {
        while self.send(index).is_err() {
            seen.failed += 1;
            self.replace(index)?;
        }
        Ok(())
    }

    /// A request is smaller than what a socket without unread bytes takes at once.
    fn send(&mut self, index: usize) -> std::io::Result<()> {
        self.connections[index].stream.write_all(client::REQUEST)
    }

    fn look(&mut self, index: usize) -> Result<Found, Failure> {
        let Connection { stream, answer, .. } = &mut self.connections[index];
        let mut bytes = [0; ANSWER];
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(Found::Broken),
            Ok(read) => answer.extend_from_slice(&bytes[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Found::Nothing),
            Err(_) => return Ok(Found::Broken),
        }
        let Some(whole) = Answer::of(answer)? else { return Ok(Found::Nothing) };
        answer.clear();
        Ok(Found::Answer(whole))
    }

    fn replace(&mut self, index: usize) -> Result<(), Failure> {
        let stream = connect(self.address)?;
        self.connections[index].stream = self.watch(stream, index)?;
        self.connections[index].answer.clear();
        Ok(())
    }

    fn watch(&self, stream: TcpStream, index: usize) -> Result<TcpStream, Failure> {
        stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        epoll::add(&self.epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)
            .map_err(|error| format!("epoll: {error}"))?;
        Ok(stream)
    }

    fn wait(&mut self) -> Result<(), Failure> {
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&LOOK)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(format!("epoll: {error}")),
        }
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
    TcpStream::connect(address).map_err(|error| format!("connect: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\nHello, World!";
    const LAST: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nHello, World!";
    const PAUSE: Duration = Duration::from_millis(20);

    /// Takes its time for each answer: one connection after the other, on each a good one first, then those that
    /// are given, until the client hangs up.
    fn serve(listener: TcpListener) {
        for then in [Some(LAST), None, Some(GOOD), Some(GOOD)] {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut next = Some(GOOD);
            while let (Ok(1..), Some(answer)) = (stream.read(&mut [0; ANSWER]), next) {
                thread::sleep(PAUSE);
                let _ = stream.write_all(answer);
                next = then.filter(|_| answer != LAST);
            }
        }
    }

    #[test]
    fn gaps_closed_connections_and_failed_requests_are_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || serve(listener));
        let mut crowd = Crowd::connect(address, 1).unwrap();
        let mut happened = false;
        let event = || {
            happened = true;
            Ok(())
        };
        let seen = crowd.ask_on(PAUSE / 2, event, 10 * PAUSE).unwrap();
        assert!(happened);
        assert_eq!((seen.closed, seen.failed), (1, 1), "{seen:?}");
        assert!(seen.gap >= PAUSE, "{seen:?}");
        crowd.ask(0..1).unwrap();
        drop(crowd);
        server.join().unwrap();
    }
}
