//! What the ledger of another process says, read once.
//!
//! It is read and not mapped: others may shrink the file at any time, which would be a SIGBUS here, and whoever
//! looks leaves nothing behind. The numbers are not of one instant, and they are claims: each is only shown or
//! compared.

use super::{BUILDS, FORMAT, Head, Ledger, Phase, Seat, WORKERS};
use crate::board::COLUMNS;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::offset_of;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use vk_heap::HeapId;

/// The ledger's name in /proc/PID/fd.
const LINK: &str = "/memfd:vk-ledger (deleted)";

/// A ledger at some instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Device and inode of the memfd: a keeper and its workers have the same one.
    pub memfd: (u64, u64),
    /// How often the keeper has gone on with another build.
    pub reloads: u32,
    /// How often another build was refused.
    pub refused: u32,
    /// The workers: those of the build that serves in order, and those of builds before it that still drain.
    pub workers: Vec<Seen>,
}

/// What is seen of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which of the workers it is.
    pub place: u32,
    /// Whether it is of a build before the one that serves.
    pub drains: bool,
    /// The micro-process that is being dispatched; [`HeapId::NONE`] while none is.
    pub running: HeapId,
    /// Dispatches so far.
    pub dispatches: u64,
    counters: [u64; COLUMNS.len()],
}

impl Seen {
    /// What the worker shows under a name of [`COLUMNS`]; 0 if there is no such name.
    pub fn counter(&self, name: &str) -> u64 {
        COLUMNS
            .iter()
            .zip(self.counters)
            .find_map(|(column, value)| (column.0 == name).then_some(value))
            .unwrap_or(0)
    }
}

impl Snapshot {
    /// The ledger that a process has, as keeper or as worker; none if it has none.
    ///
    /// # Errors
    /// `NotFound` if there is no such process, `PermissionDenied` if this user may not look at its descriptors
    /// (PTRACE_MODE_READ_FSCREDS in proc_pid_fd(5)); `InvalidData` or `UnexpectedEof` if what has the name of a
    /// ledger is none.
    pub fn of(pid: u32) -> io::Result<Option<Snapshot>> {
        for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
            let path = entry?.path();
            // A descriptor may have been closed meanwhile.
            let is_ledger = fs::read_link(&path).is_ok_and(|link| link.as_os_str() == LINK);
            // The link's mode is that of the descriptor: who only reads a ledger is looking at it, as we are.
            if is_ledger && path.symlink_metadata().is_ok_and(|link| link.mode() & 0o200 != 0) {
                // Whatever else has that name must not make us wait.
                let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path)?;
                return Snapshot::read(&file).map(Some);
            }
        }
        Ok(None)
    }

    fn read(file: &File) -> io::Result<Snapshot> {
        let metadata = file.metadata()?;
        let mut head = [0; Ledger::SEATS];
        file.read_exact_at(&mut head, 0)?;
        let places = u32_at(&head, offset_of!(Head, places)) as usize;
        if u32_at(&head, offset_of!(Head, format)) != FORMAT || !(1..=WORKERS).contains(&places) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a ledger of another version"));
        }
        let mut seats = vec![0; places * BUILDS * size_of::<Seat>()];
        file.read_exact_at(&mut seats, Ledger::SEATS as u64)?;
        let mut workers: Vec<Seen> = seats.chunks_exact(size_of::<Seat>()).filter_map(seen).collect();
        workers.sort_by_key(|seen| (seen.drains, seen.place));
        Ok(Snapshot {
            memfd: (metadata.dev(), metadata.ino()),
            reloads: u32_at(&head, offset_of!(Head, reloads)),
            refused: u32_at(&head, offset_of!(Head, refused)),
            workers,
        })
    }
}

/// None of a seat that is free.
fn seen(seat: &[u8]) -> Option<Seen> {
    (u32_at(seat, offset_of!(Seat, arena)) != 0).then(|| Seen {
        place: u32_at(seat, offset_of!(Seat, place)),
        drains: u32_at(seat, offset_of!(Seat, phase)) == Phase::Draining as u32,
        running: HeapId::from_bits(u64_at(seat, offset_of!(Seat, running))),
        dispatches: u64_at(seat, offset_of!(Seat, dispatches)),
        counters: std::array::from_fn(|column| u64_at(seat, offset_of!(Seat, counters) + 8 * column)),
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    /// A file with this at its beginning, and so many bytes in all.
    fn file(head: &[u8], size: u64) -> File {
        let file = File::from(vk_heap::memfd(c"claim", size as usize).unwrap());
        file.write_all_at(head, 0).unwrap();
        file
    }

    #[test]
    fn what_is_in_a_ledger_is_seen() {
        let ledger = Ledger::new(3).unwrap();
        for place in 0..3 {
            assert_eq!(ledger.sit(place, File::open("/dev/null").unwrap().into()), Some(place));
        }
        ledger.count_reload();
        ledger.count_reload();
        ledger.count_refused();
        let seat = ledger.seat(2);
        seat.running.store(7 << 32 | 5, Relaxed);
        seat.dispatches.store(41, Relaxed);
        seat.counters[0].store(9, Relaxed);
        crate::board::restarted(seat);
        let path = format!("/proc/self/fd/{}", ledger.memfd());
        let snapshot = Snapshot::read(&File::open(path).unwrap()).unwrap();
        assert_eq!((snapshot.reloads, snapshot.refused), (2, 1));
        assert_eq!((ledger.reloads(), ledger.refused()), (2, 1));
        let [first, second, third] = snapshot.workers.as_slice() else { panic!("{snapshot:?}") };
        assert_eq!((first.place, second.place, third.place, third.drains), (0, 1, 2, false));
        assert_eq!(first.running, HeapId::NONE);
        assert_eq!((third.running.to_string(), third.dispatches), ("7.5".into(), 41));
        assert_eq!((third.counter("vk_live"), third.counter("vk_restarts_total")), (9, 1));
    }

    #[test]
    fn garbage_is_no_ledger() {
        let kind = |head: &[u8], size| Snapshot::read(&file(head, size)).unwrap_err().kind();
        assert_eq!(kind(&[], 0), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[], 1 << 20), io::ErrorKind::InvalidData);
        assert_eq!(kind(&[0xff; 128], 1 << 20), io::ErrorKind::InvalidData);
        let head = |places: u32| [FORMAT.to_ne_bytes(), places.to_ne_bytes()].concat();
        assert_eq!(kind(&head(8), 500), io::ErrorKind::UnexpectedEof);
        assert!(Snapshot::read(&file(&head(1), 1 << 20)).is_ok());
    }

    #[test]
    fn a_process_has_one_or_none() {
        let ledger = Ledger::new(1).unwrap();
        ledger.count_refused();
        assert!(Snapshot::of(std::process::id()).unwrap().is_some());
        // No pid is as large: /proc/sys/kernel/pid_max, 2^22 at most.
        assert_eq!(Snapshot::of(u32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
