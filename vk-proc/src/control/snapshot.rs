//! What the control page of another process says, read once.
//!
//! It is read and not mapped: another process may write it at any time, and the reader leaves nothing behind. The numbers
//! are not of one instant, and they are claims: each is only shown or compared.

use super::{BUILDS, Control, FORMAT, Head, PLACES, Slot};
use crate::board::{COLUMNS, Record};
use crate::ledger::{Ledger, Seat};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::offset_of;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use vk_heap::HeapId;

/// The name of the memfd in /proc/PID/fd.
const CONTROL: &str = "/memfd:vk-control (deleted)";

/// A control page at some instant, with what its workers show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
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
    /// Its holder's process; 0 for a worker that serves without a keeper.
    pub holder: u32,
    /// Its own process; 0 while there is none.
    pub worker: u32,
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
    /// The control page that a process has as keeper; none if it has none.
    ///
    /// # Errors
    /// `NotFound` if there is no such process, `PermissionDenied` if this user may not look at its descriptors
    /// (PTRACE_MODE_READ_FSCREDS in proc_pid_fd(5)); `InvalidData` or `UnexpectedEof` if what has the name of a
    /// control page is none.
    pub fn of(pid: u32) -> io::Result<Option<Snapshot>> {
        let folder = PathBuf::from(format!("/proc/{pid}/fd"));
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            // A descriptor may have been closed meanwhile. The link's mode is that of the descriptor: a process that only
            // reads a control page looks at it, as this one does.
            let is_page = fs::read_link(&path).is_ok_and(|link| link.as_os_str() == CONTROL);
            if is_page && path.symlink_metadata().is_ok_and(|link| link.mode() & 0o200 != 0) {
                return Snapshot::read(&open(&path)?, &folder).map(Some);
            }
        }
        Ok(None)
    }

    /// `folder` has the keeper's descriptors.
    fn read(control: &File, folder: &Path) -> io::Result<Snapshot> {
        let mut head = [0; Control::SLOTS];
        control.read_exact_at(&mut head, 0)?;
        let places = u32_at(&head, offset_of!(Head, places)) as usize;
        if u32_at(&head, offset_of!(Head, format)) != FORMAT || !(1..=PLACES).contains(&places) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a control page of another version"));
        }
        let mut slots = vec![0; places * BUILDS * size_of::<Slot>()];
        control.read_exact_at(&mut slots, Control::SLOTS as u64)?;
        let board = open(&folder.join(u32_at(&head, offset_of!(Head, board)).to_string()))?;
        let mut records = vec![0; places * BUILDS * size_of::<Record>()];
        board.read_exact_at(&mut records, 0)?;
        let pairs = slots.chunks_exact(size_of::<Slot>()).zip(records.chunks_exact(size_of::<Record>()));
        let mut workers: Vec<Seen> = pairs.filter_map(|(slot, record)| seen(slot, record, folder)).collect();
        workers.sort_by_key(|seen| (seen.drains, seen.place));
        Ok(Snapshot {
            reloads: u32_at(&head, offset_of!(Head, reloads)),
            refused: u32_at(&head, offset_of!(Head, refused)),
            workers,
        })
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Another kind of file with that name must not make the reader wait.
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// None of a slot that is free.
fn seen(slot: &[u8], record: &[u8], folder: &Path) -> Option<Seen> {
    let ledger = u32_at(slot, offset_of!(Slot, ledger));
    let place = u32_at(record, offset_of!(Record, place)).checked_sub(1)?;
    let mut seat = [0; size_of::<Seat>()];
    if let Ok(ledger) = open(&folder.join(ledger.to_string())) {
        // What can't be read is shown as idle.
        let _ = ledger.read_exact_at(&mut seat, Ledger::SEAT as u64);
    }
    Some(Seen {
        place,
        holder: u32_at(slot, offset_of!(Slot, holder)),
        worker: u32_at(slot, offset_of!(Slot, worker)),
        drains: u32_at(record, offset_of!(Record, drains)) != 0,
        running: HeapId::from_bits(u64_at(&seat, offset_of!(Seat, running))),
        dispatches: u64_at(&seat, offset_of!(Seat, dispatches)),
        counters: std::array::from_fn(|column| u64_at(record, offset_of!(Record, counters) + 8 * column)),
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
    fn what_a_control_page_says_is_seen() {
        let control = Control::new(3).unwrap();
        for place in 0..3 {
            assert_eq!(control.occupy(place, File::open("/dev/null").unwrap().into()).unwrap(), place);
        }
        control.count_reload();
        control.count_reload();
        control.count_refused();
        control.slot(2).holder.store(11, Relaxed);
        control.slot(2).worker.store(12, Relaxed);
        let ledger = control.ledger(2).unwrap();
        ledger.seat().running.store(7 << 32 | 5, Relaxed);
        ledger.seat().dispatches.store(41, Relaxed);
        ledger.record.counters[0].store(9, Relaxed);
        ledger.record.restarted();
        let page = File::open(format!("/proc/self/fd/{}", control.memfds()[0])).unwrap();
        let snapshot = Snapshot::read(&page, Path::new("/proc/self/fd")).unwrap();
        assert_eq!((snapshot.reloads, snapshot.refused), (2, 1));
        let [first, second, third] = snapshot.workers.as_slice() else { panic!("{snapshot:?}") };
        assert_eq!((first.place, second.place, third.place, third.drains), (0, 1, 2, false));
        assert_eq!((third.holder, third.worker), (11, 12));
        assert_eq!(first.running, HeapId::NONE);
        assert_eq!((third.running.to_string(), third.dispatches), ("7.5".into(), 41));
        assert_eq!((third.counter("vk_live"), third.counter("vk_restarts_total")), (9, 1));
    }

    #[test]
    fn garbage_is_no_control_page() {
        let board = file(&[], 1 << 20);
        let read = |head: &[u8], size| Snapshot::read(&file(head, size), Path::new("/proc/self/fd"));
        let kind = |head: &[u8], size| read(head, size).unwrap_err().kind();
        assert_eq!(kind(&[], 0), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[], 1 << 20), io::ErrorKind::InvalidData);
        assert_eq!(kind(&[0xff; 128], 1 << 20), io::ErrorKind::InvalidData);
        let board = std::os::fd::AsRawFd::as_raw_fd(&board) as u32;
        let head = |places: u32| [FORMAT, places, 0, board].map(u32::to_ne_bytes).concat();
        assert_eq!(kind(&head(8), 500), io::ErrorKind::UnexpectedEof);
        assert!(read(&head(1), 1 << 20).is_ok());
    }

    #[test]
    fn a_process_has_one_or_none() {
        let control = Control::new(1).unwrap();
        control.count_refused();
        assert!(Snapshot::of(std::process::id()).unwrap().is_some());
        // No pid is as large: /proc/sys/kernel/pid_max, 2^22 at most.
        assert_eq!(Snapshot::of(u32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
