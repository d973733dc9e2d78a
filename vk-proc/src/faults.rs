//! A fault of the processor in a handler: a line that says whose it was, before the worker dies of it.
//!
//! The handler of the signal uses what is safe in one (signal-safety(7)): atomics, a buffer on the signal
//! stack, write(2).
#![allow(unsafe_code)]

use std::fmt::{self, Write};
use std::mem::zeroed;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering::Relaxed};

/// The signals of a fault, with their names.
const FAULTS: [(i32, &str); 4] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGILL, "SIGILL"),
];

const NOBODY: u32 = u32::MAX;

static RUNNING: AtomicU32 = AtomicU32::new(NOBODY);
static NAME: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static NAME_LEN: AtomicUsize = AtomicUsize::new(0);

/// Notes which micro-process runs.
#[inline]
pub fn running(heap: u32, name: &'static str) {
    RUNNING.store(NOBODY, Relaxed);
    NAME.store(name.as_ptr().cast_mut(), Relaxed);
    NAME_LEN.store(name.len(), Relaxed);
    RUNNING.store(heap, Relaxed);
}

/// Notes that none does.
#[inline]
pub fn idle() {
    RUNNING.store(NOBODY, Relaxed);
}

/// Makes a fault leave a line on stderr. The signal stack is the one that std sets up for each thread.
pub fn install() {
    for (signal, _) in FAULTS {
        // SAFETY: a zeroed sigaction is a valid one with an empty mask; `report` has the signature that
        // SA_SIGINFO asks for and does only what a handler may.
        unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = report as *const () as usize;
            // The default action takes over when the instruction runs again: the worker dies of the signal.
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND;
            libc::sigaction(signal, &action, ptr::null_mut());
        }
    }
}

extern "C" fn report(signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    let name = FAULTS.iter().find(|(number, _)| *number == signal).map_or("a signal", |(_, name)| *name);
    // SAFETY: the kernel passes a valid siginfo, which has an address for the signals of a fault.
    let address = unsafe { (*info).si_addr() } as usize;
    let mut line = Text { bytes: [0; 256], len: 0 };
    let heap = RUNNING.load(Relaxed);
    // What doesn't fit is cut off.
    let _ = match heap {
        NOBODY => writeln!(line, "{name} at {address:#x} while no micro-process ran"),
        _ => writeln!(line, "{name} at {address:#x} in micro-process {heap} ({})", running_name()),
    };
    // SAFETY: the buffer is valid for its length.
    unsafe { libc::write(libc::STDERR_FILENO, line.bytes.as_ptr().cast(), line.len) };
}

fn running_name() -> &'static str {
    let (name, len) = (NAME.load(Relaxed), NAME_LEN.load(Relaxed));
    // SAFETY: `running` stored both of one `&'static str`, on the thread that this handler interrupted,
    // between the two stores that make RUNNING nobody's and somebody's.
    unsafe { str::from_utf8_unchecked(std::slice::from_raw_parts(name, len)) }
}

/// Text on the signal's stack.
struct Text {
    bytes: [u8; 256],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let count = text.len().min(room.len());
        room[..count].copy_from_slice(&text.as_bytes()[..count]);
        self.len += count;
        Ok(())
    }
}
