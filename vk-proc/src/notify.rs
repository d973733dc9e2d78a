//! What the keeper tells its service manager: sd_notify(3).
//!
//! ```text
//! start ──► READY=1 ──SIGHUP──► RELOADING=1, MONOTONIC_USEC=… ──► READY=1 ──SIGTERM──► STOPPING=1
//! ```
//!
//! Invariants: it never blocks, and nobody fails because nobody listens. The variable stays in the
//! environment, so a build that is executed in this process's place finds it, and keeps the pid that the
//! manager knows.
//!
//! By the standard library, not by a crate: `sd-notify` sends on a blocking socket.

use nix::time::{ClockId, clock_gettime};
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// A service manager that wants to be told.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    manager: SocketAddr,
}

impl Notifier {
    /// The manager that `NOTIFY_SOCKET` names, by an absolute path or, with `@`, an abstract address; none
    /// without the variable, or with one that is neither.
    pub fn from_env() -> Option<Notifier> {
        let name = std::env::var_os("NOTIFY_SOCKET")?;
        let notifier = address(&name).and_then(|manager| {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Ok(Notifier { socket, manager })
        });
        notifier.inspect_err(|error| tracing::warn!(%error, ?name, "NOTIFY_SOCKET is of no use")).ok()
    }

    /// It serves: all workers have been started, or a reload is over.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// A reload begins; [`ready`](Self::ready) ends it. `Type=notify-reload` needs both.
    pub fn reloading(&self) {
        // By its time the manager tells this reload from an earlier one.
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC)
            .map_or(0, |now| now.tv_sec() * 1_000_000 + now.tv_nsec() / 1000);
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
    }

    /// It drains, and will end.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, message: &str) {
        // Addressed each time: the manager may come back after it was gone.
        if let Err(error) = self.socket.send_to_addr(message.as_bytes(), &self.manager) {
            tracing::debug!(%error, message, "the service manager was not told");
        }
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "neither an absolute path nor @ and a name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_path_or_abstract() {
        let of = |name: &str| address(OsStr::new(name));
        assert_eq!(of("/run/notify").unwrap().as_pathname().unwrap().to_str(), Some("/run/notify"));
        assert_eq!(of("@notify").unwrap().as_abstract_name(), Some(&b"notify"[..]));
        for wrong in ["", "notify", "vsock:2:1234", &"/".repeat(200)] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
