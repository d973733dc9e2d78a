//! The connection to a server: the one that was kept, or a new one.

use super::failure::Fault;
use super::url::Url;
use super::{Client, Stage};
use crate::Text;
use std::fmt::Write;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use vk_core::{Addresses, Descriptor, Io, Sink, Source};

/// How long each of several addresses is tried before the next one is: the connection attempt delay of RFC 8305.
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
    let connection: Descriptor = match left {
        Some(connection) => connection,
        None => connect(io, url, patience)?,
    };
    client.keeper = io.spawn::<keep>((), Source::Descriptor(connection), Sink::Descriptor(connection))?;
    Ok(())
}

/// Keeps a connection.
#[vk::coroutine]
pub(super) fn keep(io: &mut Io) -> io::Result<()> {
    io.rest()
}

#[vk::coroutine]
fn connect(io: &mut Io, url: &str, patience: Duration) -> io::Result<Descriptor> {
    io.deadline(patience)?;
    let port: u16 = Url::parse(url)?.port;
    let addresses: Addresses = io.resolve(Url::from_checked(url).host, port)?;
    let mut fault: Fault = Fault::Kind(ErrorKind::NotFound);
    // Who doesn't answer soon is asked again, with all the time there is, when the others have been asked.
    let mut late: [bool; Addresses::MOST] = [false; Addresses::MOST];
    for n in 0..addresses.len() {
        let first: SocketAddr = addresses[n];
        let delay: Duration = if addresses.len() > 1 { DELAY } else { patience };
        match attempt(io, first, delay) {
            Ok(connection) => return Ok(connection),
            Err(error) => {
                late[n] = error.kind() == ErrorKind::TimedOut && addresses.len() > 1;
                fault = Fault::from(&error);
            }
        }
    }
    for n in 0..addresses.len() {
        if late[n] {
            let again: SocketAddr = addresses[n];
            match io.connect(again) {
                Ok(connection) => return Ok(connection),
                Err(error) => fault = Fault::from(&error),
            }
        }
    }
    Err(fault.into())
}

#[vk::coroutine]
fn attempt(io: &mut Io, address: SocketAddr, limit: Duration) -> io::Result<Descriptor> {
    io.deadline(limit)?;
    io.connect(address)
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
