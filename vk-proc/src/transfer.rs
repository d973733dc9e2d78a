//! Descriptors on their way from a worker to its successor, whose table is another one: unix(7), SCM_RIGHTS.
//!
//! ```text
//! former worker ── numbers 7 8 12 … with their descriptors ──► successor: each at the number that it had
//! ```
//!
//! Numbers stay what they are, since they lie in micro-heaps. They ascend, so the kernel, which gives the lowest free
//! numbers, never gives one that a later descriptor is to have, but for those that the successor has moved out of the way.
#![allow(unsafe_code)]

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    accept4, bind, connect, getsockname, getsockopt, listen, recvmsg, sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// Descriptors in one message: SCM_MAX_FD of the kernel.
const BATCH: usize = 253;

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Processes that may connect to the address of an attempt besides the worker, before it is given up.
const STRANGERS: u32 = 64;

/// Where a successor waits for descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Successor {
    /// Its pid.
    pub pid: u32,
    /// The number that the kernel has made an abstract address of: autobind in unix(7).
    pub address: u32,
}

impl Successor {
    fn address(self) -> io::Result<UnixAddr> {
        Ok(UnixAddr::new_abstract(format!("{:05x}", self.address).as_bytes())?)
    }
}

fn endpoint() -> io::Result<OwnedFd> {
    let end = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    let patience = TimeVal::new(PATIENCE.as_secs() as i64, 0);
    setsockopt(&end, sockopt::ReceiveTimeout, &patience)?;
    setsockopt(&end, sockopt::SendTimeout, &patience)?;
    Ok(end)
}

/// Sends the descriptors with these numbers, which ascend, to a successor.
///
/// # Errors
/// Those of socket(2), connect(2) and sendmsg(2); `PermissionDenied` if another process has the address by now; `TimedOut` if
/// the successor does not take them.
pub fn send(successor: Successor, numbers: &[RawFd]) -> io::Result<()> {
    let end = endpoint()?;
    connect(end.as_raw_fd(), &successor.address()?)?;
    if peer(&end)? != Some(successor.pid) {
        return Err(ErrorKind::PermissionDenied.into());
    }
    let until = Instant::now() + PATIENCE;
    for batch in numbers.chunks(BATCH) {
        let bytes: Vec<u8> = batch.iter().flat_map(|number| number.to_ne_bytes()).collect();
        loop {
            let rights = [ControlMessage::ScmRights(batch)];
            let sent = sendmsg::<()>(
                end.as_raw_fd(),
                &[IoSlice::new(&bytes)],
                &rights,
                MsgFlags::MSG_NOSIGNAL,
                None,
            );
            match sent {
                Ok(_) => break,
                // As many are under way as this user may have open: the successor takes some.
                Err(Errno::ETOOMANYREFS | Errno::EINTR) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_micros(100));
                }
                Err(Errno::EAGAIN) => return Err(ErrorKind::TimedOut.into()),
                Err(error) => return Err(error.into()),
            }
        }
    }
    // A message without a descriptor says that these are all.
    sendmsg::<()>(end.as_raw_fd(), &[IoSlice::new(&[0; 4])], &[], MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Where descriptors arrive.
#[derive(Debug)]
pub struct Receiver {
    end: OwnedFd,
    /// What their sender is to be told.
    pub successor: Successor,
}

impl Receiver {
    /// A receiver of this process.
    ///
    /// # Errors
    /// Those of socket(2), bind(2) and listen(2).
    pub fn new() -> io::Result<Receiver> {
        let end = endpoint()?;
        // The kernel chooses an address that nobody has.
        bind(end.as_raw_fd(), &UnixAddr::new_unnamed())?;
        let bound: UnixAddr = getsockname(end.as_raw_fd())?;
        let digits = bound.as_abstract().and_then(|name| std::str::from_utf8(name).ok());
        let address = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        listen(&end, Backlog::new(1)?)?;
        let address = address.ok_or(ErrorKind::AddrNotAvailable)?;
        Ok(Receiver { end, successor: Successor { pid: std::process::id(), address } })
    }

    /// Receives the descriptors with the numbers `expected`, which ascend, from the worker with this pid, each at its number,
    /// which is free here or this receiver's. Returns the numbers that came.
    ///
    /// # Errors
    /// Those of accept(2) and recvmsg(2); `PermissionDenied` if only other processes connect; `UnexpectedEof` if the worker ends
    /// before it has sent all, EMFILE if there are too many; `AlreadyExists` if a number is taken.
    pub fn receive(self, from: u32, expected: &[RawFd]) -> io::Result<Vec<RawFd>> {
        let receiver = moved(self.end, expected)?;
        let end = moved(accept_from(&receiver, from)?, expected)?;
        let patience = TimeVal::new(PATIENCE.as_secs() as i64, 0);
        setsockopt(&end, sockopt::ReceiveTimeout, &patience)?;
        let mut all = Vec::new();
        loop {
            let mut bytes = [0; 4 * BATCH];
            let mut space = cmsg_space!([RawFd; BATCH]);
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let message = recvmsg::<()>(end.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
            let (len, truncated) = (message.bytes, message.flags.contains(MsgFlags::MSG_CTRUNC));
            let mut received = Vec::new();
            for part in message.cmsgs()? {
                if let ControlMessageOwned::ScmRights(numbers) = part {
                    // SAFETY: the kernel just gave these descriptors to this process.
                    received
                        .extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
                }
            }
            if truncated {
                return Err(io::Error::from_raw_os_error(libc::EMFILE));
            }
            let numbers: Vec<RawFd> = bytes[..len]
                .chunks_exact(4)
                .map(|number| RawFd::from_ne_bytes(std::array::from_fn(|at| number[at])))
                .collect();
            match (len, received.len()) {
                (0, _) => return Err(ErrorKind::UnexpectedEof.into()),
                (_, 0) => return Ok(all),
                (_, count) if count == numbers.len() => {}
                _ => return Err(ErrorKind::InvalidData.into()),
            }
            // From the highest: none is put over one that is still to be put somewhere.
            for (descriptor, number) in received.into_iter().zip(&numbers).rev() {
                place(descriptor, *number)?;
            }
            all.extend(numbers);
        }
    }
}

/// The connection of the process `from`: others that connect to the address are sent away, some of them.
fn accept_from(receiver: &OwnedFd, from: u32) -> io::Result<OwnedFd> {
    for _ in 0..STRANGERS {
        // SAFETY: the kernel just gave this descriptor to this process.
        let end = unsafe { OwnedFd::from_raw_fd(accept4(receiver.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?) };
        if peer(&end)? == Some(from) {
            return Ok(end);
        }
    }
    Err(ErrorKind::PermissionDenied.into())
}

/// The pid of the process that listened, or connected, at the other end; none for one that this process can't see.
fn peer(end: &OwnedFd) -> io::Result<Option<u32>> {
    let peer = getsockopt(end, sockopt::PeerCredentials)?;
    Ok(u32::try_from(peer.pid()).ok().filter(|pid| *pid != 0))
}

/// The descriptor at a number that is not among `taken`.
fn moved(descriptor: OwnedFd, taken: &[RawFd]) -> io::Result<OwnedFd> {
    let number = make_way(descriptor.as_raw_fd(), taken)?;
    std::mem::forget(descriptor);
    // SAFETY: `make_way` has closed the former number, or it is the same.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Puts a descriptor at a number that is free.
fn place(descriptor: OwnedFd, number: RawFd) -> io::Result<()> {
    if descriptor.as_raw_fd() == number {
        std::mem::forget(descriptor);
        return Ok(());
    }
    if number < 3 || !is_free(number) {
        return Err(ErrorKind::AlreadyExists.into());
    }
    // SAFETY: numbers; `number` is free, as asked above, in a table that this thread alone uses.
    match unsafe { libc::dup3(descriptor.as_raw_fd(), number, libc::O_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The inode that a descriptor of this process leads to; none if it is not open.
pub(crate) fn inode(number: RawFd) -> Option<u64> {
    // SAFETY: plain numbers, for which zeroes are valid.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is valid for the write.
    (unsafe { libc::fstat(number, &mut stat) } == 0).then_some(stat.st_ino)
}

/// Closes a descriptor that the caller gives up.
pub fn close(number: RawFd) {
    // SAFETY: numbers; nothing of this process uses it any more, as the caller says.
    unsafe { libc::close(number) };
}

/// Whether no descriptor of this process has the number.
fn is_free(number: RawFd) -> bool {
    // SAFETY: numbers.
    unsafe { libc::fcntl(number, libc::F_GETFD) < 0 }
}

/// Moves a descriptor of this process to the lowest free number that is not among `taken`, which ascend, if it has one of
/// those; its number then.
///
/// # Errors
/// Those of fcntl(2).
pub fn make_way(number: RawFd, taken: &[RawFd]) -> io::Result<RawFd> {
    if taken.binary_search(&number).is_err() {
        return Ok(number);
    }
    let mut from = 3;
    loop {
        // A call for each number that is taken would take long, while nobody serves.
        let first = taken.partition_point(|taken| *taken < from);
        from += taken[first..].iter().zip(from..).take_while(|(taken, number)| **taken == *number).count()
            as RawFd;
        // SAFETY: numbers; a new descriptor, which only the caller is told of.
        let moved = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, from) };
        if moved < 0 {
            return Err(io::Error::last_os_error());
        }
        let is_taken = taken.binary_search(&moved).is_ok();
        // SAFETY: the caller gives its descriptor up for the new one, or it was made here.
        unsafe { libc::close(if is_taken { moved } else { number }) };
        if !is_taken {
            return Ok(moved);
        }
        from = moved + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn what_is_in_the_way_moves() {
        let file = File::open("/dev/null").unwrap();
        let number = std::os::fd::IntoRawFd::into_raw_fd(file);
        assert_eq!(make_way(number, &[]).unwrap(), number);
        let taken: Vec<RawFd> = (number..number + 300).collect();
        let moved = make_way(number, &taken).unwrap();
        assert!(!taken.contains(&moved));
        // SAFETY: it is the test's own.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(moved) });
        assert_eq!(file.metadata().unwrap().ino(), std::fs::metadata("/dev/null").unwrap().ino());
    }
}
