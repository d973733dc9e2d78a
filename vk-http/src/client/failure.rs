//! Failures as plain data: a frame may hold them while a connection is put back.

use crate::status::{Failure, Refused};
use std::io::{self, ErrorKind};
use vk_core::Plain;

/// An [`io::Error`] that crosses blocking calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub(crate) enum Fault {
    /// Of the system, with an `errno`.
    Os(i32),
    /// Of ours.
    Kind(ErrorKind),
}

impl Fault {
    pub(crate) fn kind(self) -> ErrorKind {
        io::Error::from(self).kind()
    }

    /// What a proxy answers with, whose own request failed so (RFC 9110, 15.6).
    pub(crate) fn status(self) -> u16 {
        match self.kind() {
            ErrorKind::TimedOut => 504,
            ErrorKind::OutOfMemory => 503,
            _ => 502,
        }
    }
}

impl From<&io::Error> for Fault {
    fn from(error: &io::Error) -> Fault {
        error.raw_os_error().map_or(Fault::Kind(error.kind()), Fault::Os)
    }
}

impl From<&Failure> for Fault {
    fn from(failure: &Failure) -> Fault {
        match failure {
            Failure::Io(error) => Fault::from(error),
            Failure::Refused(Refused(408)) => Fault::Kind(ErrorKind::TimedOut),
            Failure::Refused(Refused(503)) => Fault::Kind(ErrorKind::OutOfMemory),
            Failure::Refused(_) => Fault::Kind(ErrorKind::InvalidData),
        }
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> io::Error {
        match fault {
            Fault::Os(errno) => io::Error::from_raw_os_error(errno),
            Fault::Kind(ErrorKind::InvalidData) => {
                io::Error::new(ErrorKind::InvalidData, "the answer is malformed")
            }
            Fault::Kind(kind) => kind.into(),
        }
    }
}
