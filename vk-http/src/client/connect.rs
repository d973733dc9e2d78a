//! The connection to a server: the one that was kept, or a new one.

use super::failure::Fault;
use super::url::Url;
use super::{Client, Stage};
use crate::Text;
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use vk_core::{Addresses, Child, Descriptor, Io, Sink, Source};

/// How long each of several addresses is tried before the next one is, too: the connection attempt delay of RFC 8305, 5.
const DELAY: Duration = Duration::from_millis(250);

/// Gets the client's keeper a connection to the server of `url`.
///
/// # Errors
/// `InvalidInput` and `Unsupported` for what is no `http` URL; those of [`Io::resolve`] and [`Io::connect`].
#[vk::coroutine]
pub(super) fn reach(io: &mut Io, client: &mut Client, url: &str) -> io::Result<()> {
    // What is left of an exchange that was broken off.
    io.close(&mut client.keeper)?;
    client.stage = Stage::Rest;
    client.name(url)?;
    let left: Option<Descriptor> = io.unpark(client.origin.as_bytes())?;
    client.kept = left.is_some();
    let patience: Duration = Duration::from_secs(client.connect_secs.into());
    match left {
        Some(connection) => {
            let connection: Descriptor = connection;
            client.keeper =
                io.spawn::<keep>((), Source::Descriptor(connection), Sink::Descriptor(connection))?;
            Ok(())
        }
        None => connect(io, &mut client.keeper, url, patience),
    }
}

/// Keeps a connection.
#[vk::coroutine]
pub(super) fn keep(io: &mut Io) -> io::Result<()> {
    io.rest()
}

/// Gets `keeper` a new connection.
#[vk::coroutine]
fn connect(io: &mut Io, keeper: &mut Child, url: &str, patience: Duration) -> io::Result<()> {
    io.deadline(patience)?;
    let port: u16 = Url::parse(url)?.port;
    let addresses: Addresses = io.resolve(Url::from_checked(url).host, port)?;
    if addresses.len() == 1 {
        let only: SocketAddr = addresses[0];
        let connection: Descriptor = io.connect(only)?;
        *keeper = io.spawn::<keep>((), Source::Descriptor(connection), Sink::Descriptor(connection))?;
        return Ok(());
    }
    let mut attempts: [Child; Addresses::MOST] = [const { Child::NONE }; Addresses::MOST];
    let first: Result<usize, Fault> =
        race(io, &addresses[..], &mut attempts).map_err(|error| Fault::from(&error));
    if let Ok(first) = first {
        std::mem::swap(keeper, &mut attempts[first]);
    }
    for n in 0..Addresses::MOST {
        let n: usize = n;
        io.close(&mut attempts[n])?;
    }
    first?;
    Ok(())
}

/// Attempts to connect to each of several addresses, and begins the next attempt when the last one has failed, or after
/// a while; returns which one stands first (RFC 8305, 5).
#[vk::coroutine]
fn race(io: &mut Io, addresses: &[SocketAddr], attempts: &mut [Child; Addresses::MOST]) -> io::Result<usize> {
    let mut begun: usize = 0;
    let mut ended: usize = 0;
    loop {
        if begun < addresses.len() {
            let next: SocketAddr = addresses[begun];
            match io.spawn::<attempt>((next,), Source::Nothing, Sink::Nothing) {
                Ok(child) => attempts[begun] = child,
                // Those that are under way may do.
                Err(error) if begun == ended => return Err(error),
                Err(_) => ended += 1,
            }
            begun += 1;
        }
        let patience: Duration = if begun < addresses.len() { DELAY } else { Duration::MAX };
        match settled(io, attempts, patience) {
            Ok(first) => {
                let first: usize = first;
                if io.rests(&attempts[first])? {
                    return Ok(first);
                }
                ended += 1;
                let failed: Result<(), Fault> =
                    io.join(&mut attempts[first]).map_err(|error| Fault::from(&error));
                if ended == addresses.len() {
                    failed?;
                }
            }
            Err(_) if begun < addresses.len() => {}
            Err(error) => return Err(error),
        }
    }
}

#[vk::coroutine]
fn settled(io: &mut Io, attempts: &[Child; Addresses::MOST], patience: Duration) -> io::Result<usize> {
    io.deadline(patience)?;
    io.select(&attempts[..])
}

/// Makes a connection, and keeps it.
#[vk::coroutine]
pub(super) fn attempt(io: &mut Io, address: SocketAddr) -> io::Result<()> {
    let connection: Descriptor = io.connect(address)?;
    io.attach(connection)?;
    io.rest()
}

impl Client {
    /// Names the server of `url`, as connections to it are called while nobody has them. One whose name is too long has
    /// none, and each exchange a connection of its own.
    fn name(&mut self, url: &str) -> io::Result<()> {
        let authority = Url::parse(url)?.authority;
        self.origin = Text::new();
        if write!(self.origin, "http://{authority}").is_err() {
            self.origin = Text::new();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;
    use vk_core::Line;

    /// Reads three addresses, and says which one stands first, or why none does.
    #[vk::coroutine]
    fn racer(io: &mut Io) -> io::Result<()> {
        let mut line: Line<200> = Line::new();
        io.read_line(&mut line)?;
        let places: [SocketAddr; 3] = {
            let mut words = str::from_utf8(&line).expect("text").split_whitespace();
            std::array::from_fn(|_| words.next().expect("three").parse().expect("an address"))
        };
        let mut attempts: [Child; Addresses::MOST] = [const { Child::NONE }; Addresses::MOST];
        match race(io, &places[..], &mut attempts) {
            Ok(first) => {
                let first: usize = first;
                write!(io, "{first}")
            }
            Err(error) => {
                let kind: io::ErrorKind = error.kind();
                write!(io, "{kind:?}")
            }
        }
    }

    fn outcome(places: [SocketAddr; 3]) -> (String, Duration) {
        let (mut stream, _worker) = crate::harness::serve_in::<racer>(16384, || ());
        let began = Instant::now();
        writeln!(stream, "{} {} {}", places[0], places[1], places[2]).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        (text, began.elapsed())
    }

    /// An address at which connections are made until nobody accepts them, nor does the kernel.
    fn hole() -> (TcpListener, Vec<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
        let fillers: Vec<TcpStream> = std::iter::from_fn(connect).take(20_000).collect();
        assert!(fillers.len() < 20_000);
        (listener, fillers)
    }

    #[test]
    fn the_first_that_stands() {
        let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
        let servers = [listener(), listener()];
        let [one, other] = [0, 1].map(|n: usize| servers[n].local_addr().unwrap());
        let gone = listener().local_addr().unwrap();
        let (hole, _fillers) = hole();
        let hole = hole.local_addr().unwrap();
        // (what, which, after how many delays)
        for (places, first, delays) in [
            ([one, other, gone], "0", 0),
            ([gone, one, other], "1", 0),
            ([gone, gone, one], "2", 0),
            ([gone, gone, gone], "ConnectionRefused", 0),
            ([hole, one, other], "1", 1),
            ([hole, gone, one], "2", 1),
            ([hole, hole, one], "2", 2),
            ([gone, hole, one], "2", 1),
        ] {
            let (came, took) = outcome(places);
            assert_eq!(came, first, "{places:?}");
            assert!(
                took >= DELAY * delays && took < DELAY * (delays + 8),
                "{first} of {places:?} took {took:?}"
            );
        }
    }
}
