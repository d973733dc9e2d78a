//! Names of hosts.
//!
//! ```text
//! the place of a question | length | name … | count | address: 16 bytes | …
//!                         0        1        ANSWER
//! ```

use crate::task::{Request, Wait};
use crate::{HeapBytes, Io, Plain};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Deref;
use std::task::Poll::{self, Ready};

/// Bytes of the longest name.
const NAME: usize = 255;

/// Where the answer begins.
const ANSWER: usize = 1 + NAME;

/// Bytes of an address: IPv4 ones are mapped (RFC 4291, 2.5.5.2).
const ADDRESS: usize = 16;

/// The addresses of a host, in the order in which they are to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    list: [SocketAddr; Addresses::MOST],
    count: usize,
}

#[allow(unsafe_code)]
// SAFETY: addresses, which are plain, and a number.
unsafe impl Plain for Addresses {
    const LAYOUT: u64 = crate::hash::named::<Self>("vk::Addresses");
}

impl Addresses {
    /// As many at most: the rest is dropped.
    pub const MOST: usize = 8;

    /// The addresses, with a port: the families in turn, beginning with that of the first (RFC 8305, 4).
    fn of(addresses: impl Iterator<Item = IpAddr> + Clone, port: u16) -> Addresses {
        let first = addresses.clone().next().is_some_and(|first| first.is_ipv6());
        let mut families = [true, false]
            .map(|is_first| addresses.clone().filter(move |ip| (ip.is_ipv6() == first) == is_first));
        let mut found = Addresses { list: [SocketAddr::from(([0; 4], 0)); Addresses::MOST], count: 0 };
        for turn in 0..2 * Addresses::MOST {
            if let Some(ip) = families[turn % 2].next().filter(|_| found.count < Addresses::MOST) {
                found.list[found.count] = SocketAddr::new(ip, port);
                found.count += 1;
            }
        }
        found
    }
}

impl Deref for Addresses {
    type Target = [SocketAddr];
    fn deref(&self) -> &[SocketAddr] {
        &self.list[..self.count]
    }
}

impl Io {
    /// Finds the addresses of a host, as the system does it (getaddrinfo(3)), while others run. A `host` that is an
    /// address is that address, at once.
    ///
    /// An answer is known for 5 s to all of a worker.
    ///
    /// # Errors
    /// `NotFound` if there is none; `ResourceBusy` while 256 other names are looked up; `PermissionDenied` under
    /// `--confine strict`, where no worker opens files; `InvalidInput` for a name of more than 255 bytes; `OutOfMemory` if the micro-heap
    /// is full; `TimedOut` after the deadline.
    pub fn resolve(&mut self, host: &str, port: u16) -> Poll<io::Result<Addresses>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ready(Ok(Addresses::of(std::iter::once(address), port)));
        }
        match (self.take_outcome(), self.task().request) {
            (None, Request::Resolve(_)) => {}
            (None, _) => {
                let Ok(length @ 1..) = u8::try_from(host.len()) else {
                    return Ready(Err(ErrorKind::InvalidInput.into()));
                };
                let size = ANSWER + 1 + Addresses::MOST * ADDRESS;
                let Some(place) = self.world().allocate(size as u32) else {
                    return Ready(Err(ErrorKind::OutOfMemory.into()));
                };
                let mut question = HeapBytes(place);
                question[0] = length;
                question[1..][..host.len()].copy_from_slice(host.as_bytes());
                self.task().request = Request::Resolve(place);
            }
            (Some(outcome), Request::Resolve(place)) => {
                let found = outcome.map(|_| answer(&HeapBytes(place), port));
                self.forget_question();
                return Ready(found.and_then(|found| match found.is_empty() {
                    true => Err(io::Error::new(ErrorKind::NotFound, "no address for this host")),
                    false => Ok(found),
                }));
            }
            (Some(other), _) => unreachable!("addresses were asked for, and {other:?} came"),
        }
        let waiting = self.wait(Wait::Resolve);
        if waiting.is_ready() {
            self.forget_question();
        }
        waiting
    }

    fn forget_question(&mut self) {
        if let Request::Resolve(place) = std::mem::replace(&mut self.task().request, Request::None) {
            self.world().release(place);
        }
    }
}

/// What the dispatcher was asked, in the bytes of a question's place.
pub fn question(place: &[u8]) -> &str {
    str::from_utf8(&place[1..][..usize::from(place[0])]).unwrap_or_default()
}

/// Writes the answer, which is the same if it is written twice.
pub fn write_answer(place: &mut [u8], addresses: &[IpAddr]) {
    let addresses = &addresses[..addresses.len().min(Addresses::MOST)];
    let (count, list) = place[ANSWER..].split_at_mut(1);
    count[0] = addresses.len() as u8;
    for (to, address) in list.chunks_exact_mut(ADDRESS).zip(addresses) {
        let mapped = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => *address,
        };
        to.copy_from_slice(&mapped.octets());
    }
}

fn answer(place: &[u8], port: u16) -> Addresses {
    let (count, list) = place[ANSWER..].split_at(1);
    let addresses = list.chunks_exact(ADDRESS).take(count[0].into());
    let ip = |octets: &[u8]| {
        let octets: [u8; ADDRESS] = octets.try_into().unwrap_or_default();
        Ipv6Addr::from(octets).to_canonical()
    };
    Addresses::of(addresses.map(ip), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let mut place = vec![0; ANSWER + 1 + Addresses::MOST * ADDRESS];
        let ips: Vec<IpAddr> = ["::1", "::2", "::3", "127.0.0.1"].map(|ip| ip.parse().unwrap()).into();
        write_answer(&mut place, &ips);
        let text = answer(&place, 80).iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(text, "[::1]:80 127.0.0.1:80 [::2]:80 [::3]:80");
        write_answer(&mut place, &[ips[3]; 20]);
        assert_eq!(answer(&place, 80).len(), Addresses::MOST);
    }
}
