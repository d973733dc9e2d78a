//! Listening sockets that systemd has bound for us: socket activation, sd_listen_fds(3).
//!
//! ```text
//! systemd ── binds, execs ──► descriptors 3, 4, …   LISTEN_PID    whom they are for
//!                                    │              LISTEN_FDS    how many
//!                                  take             LISTEN_FDNAMES what the units call them
//!                                    ▼
//!                                 assign ──► which declared address each serves
//! ```
//!
//! Invariant: the variables are gone after [`take`], so no child, and no build that is executed in this
//! process's place, takes the descriptors again. Such a build is handed its listeners by the keeper.
#![allow(unsafe_code)]

use socket2::{Domain, Socket, Type};
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The first descriptor that is passed: `SD_LISTEN_FDS_START`.
const FIRST: RawFd = 3;

/// A listening socket that was passed to this process.
#[derive(Debug)]
pub struct Inherited {
    /// Close-on-exec and non-blocking.
    pub socket: OwnedFd,
    /// `FileDescriptorName=` of its unit; systemd's default is the unit's name.
    pub name: Option<String>,
    /// What it is bound to; none if it is a Unix socket.
    pub address: Option<SocketAddr>,
}

/// The sockets that were passed to this process, in the order of the unit; none if it was started otherwise.
///
/// To be called once, before this process opens a descriptor or starts a thread. Those sockets are shared by
/// all workers.
///
/// # Errors
/// `InvalidInput` if the variables are malformed, or a descriptor is not a listening stream socket; those of
/// fcntl(2), EBADF above all.
pub fn take() -> io::Result<Vec<Inherited>> {
    let [pid, count, names] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"].map(withdraw);
    let Some((pid, count)) = pid.zip(count) else { return Ok(Vec::new()) };
    if number("LISTEN_PID", &pid)? != std::process::id() {
        return Ok(Vec::new());
    }
    let names = names.map(|names| names.to_string_lossy().into_owned());
    let mut names = names.iter().flat_map(|names| names.split(':')).map(str::to_owned);
    let end = number("LISTEN_FDS", &count)?.checked_add_signed(FIRST);
    let end = end.and_then(|end| RawFd::try_from(end).ok());
    let end = end.ok_or_else(|| invalid(format!("LISTEN_FDS={count:?} is out of range")))?;
    (FIRST..end).map(|descriptor| inherit(descriptor, names.next())).collect()
}

/// Removes a variable from the environment; returns what it was.
fn withdraw(variable: &str) -> Option<OsString> {
    let value = std::env::var_os(variable)?;
    // SAFETY: this process has one thread (`take`'s contract), so nobody reads the environment meanwhile.
    unsafe { std::env::remove_var(variable) };
    Some(value)
}

fn number(variable: &str, value: &OsString) -> io::Result<u32> {
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| invalid(format!("{variable}={value:?} is no number")))
}

fn inherit(descriptor: RawFd, name: Option<String>) -> io::Result<Inherited> {
    let about = |what: &str| {
        let name = name.as_deref().unwrap_or("of no name");
        invalid(format!("the inherited descriptor {descriptor} ({name}) {what}"))
    };
    // SAFETY: no memory is involved.
    if unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(about(&format!("can't be used: {}", io::Error::last_os_error())));
    }
    // SAFETY: it is open, as fcntl has just said, and the variables say that it was passed to this process,
    // which has opened nothing of its own yet (`take`'s contract): nobody else here owns it.
    let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    if !socket.r#type().is_ok_and(|kind| kind == Type::STREAM) || !socket.is_listener().unwrap_or(false) {
        return Err(about("is not a listening stream socket: the unit needs ListenStream= and Accept=no"));
    }
    socket.set_nonblocking(true)?;
    if matches!(socket.domain()?, Domain::IPV4 | Domain::IPV6) {
        // As our own listeners: accepted connections inherit it.
        socket.set_tcp_nodelay(true)?;
    }
    let address = socket.local_addr()?.as_socket();
    Ok(Inherited { socket: socket.into(), name, address })
}

/// Which socket serves which of the `declared` addresses, by index; none where the address is still to be
/// bound.
///
/// A socket serves the declared address that it is bound to. Else the one of equal port: a unit says
/// `ListenStream=8080`, which is every address, where the application says 127.0.0.1:8080. What is left serves
/// what is left, in order. The units' names are not looked at: they can't hold a colon, so no address.
///
/// # Errors
/// `InvalidInput` if there are more sockets than addresses: nobody would serve the clients of the others.
pub fn assign(inherited: Vec<Inherited>, declared: &[SocketAddr]) -> io::Result<Vec<Option<Inherited>>> {
    if inherited.len() > declared.len() {
        let (given, wanted) = (inherited.len(), declared.len());
        return Err(invalid(format!("{given} sockets are inherited, and {wanted} listeners are declared")));
    }
    type Rule = fn(&Inherited, &SocketAddr) -> bool;
    let rules: [Rule; 3] = [
        |socket, address| socket.address == Some(*address),
        |socket, address| socket.address.is_some_and(|bound| bound.port() == address.port()),
        |_, _| true,
    ];
    let mut assigned: Vec<_> = declared.iter().map(|_| None).collect();
    let mut rest = inherited;
    for suits in rules {
        for (address, place) in declared.iter().zip(&mut assigned).filter(|(_, place)| place.is_none()) {
            let found = rest.iter().position(|socket| suits(socket, address));
            *place = found.map(|at| rest.remove(at));
        }
    }
    Ok(assigned)
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    /// Sockets with these addresses and, as names, their places.
    fn sockets(addresses: &[&str]) -> Vec<Inherited> {
        let inherited = |(at, text): (usize, &&str)| Inherited {
            socket: UdpSocket::bind("127.0.0.1:0").unwrap().into(),
            name: Some(at.to_string()),
            address: text.parse().ok(),
        };
        addresses.iter().enumerate().map(inherited).collect()
    }

    /// Who serves each declared address: the place of a socket, or `-`.
    fn assigned(addresses: &[&str], declared: &[&str]) -> String {
        let declared: Vec<_> = declared.iter().map(|text| text.parse().unwrap()).collect();
        let assigned = assign(sockets(addresses), &declared).unwrap();
        assigned.into_iter().map(|socket| socket.map_or("-".into(), |socket| socket.name.unwrap())).collect()
    }

    #[test]
    fn a_socket_serves_its_address_else_its_port_else_what_is_left() {
        let declared = ["127.0.0.1:1", "127.0.0.1:2"];
        assert_eq!(assigned(&[], &declared), "--");
        assert_eq!(assigned(&["127.0.0.1:1", "127.0.0.1:2"], &declared), "01");
        assert_eq!(assigned(&["127.0.0.1:2", "127.0.0.1:1"], &declared), "10");
        assert_eq!(assigned(&["[::]:2"], &declared), "-0");
        assert_eq!(assigned(&["[::]:2", "127.0.0.1:2"], &declared), "01");
        assert_eq!(assigned(&["[::]:80", "a unix socket"], &declared), "01");
        assert_eq!(assigned(&["a unix socket", "[::]:1"], &declared), "10");
    }

    #[test]
    fn a_socket_too_many_is_refused() {
        let error = assign(sockets(&["127.0.0.1:1", "127.0.0.1:2"]), &["127.0.0.1:1".parse().unwrap()]);
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
