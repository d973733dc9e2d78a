//! A fault of the processor in a handler: what happened is written down, before the worker dies of it.
//!
//! The handler of the signal uses what is safe in one (signal-safety(7)): atomics, a buffer on the signal
//! stack, write(2).
#![allow(unsafe_code)]

use crate::ledger::Seat;
use std::fmt::{self, Write};
use std::mem::zeroed;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize};
use vk_heap::HeapId;

/// The signals of a fault, with their names.
const FAULTS: [(i32, &str); 6] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGSYS, "SIGSYS"),
];

static SEAT: AtomicPtr<Seat> = AtomicPtr::new(ptr::null_mut());
static NAME: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static NAME_LEN: AtomicUsize = AtomicUsize::new(0);

/// The name of a signal of a fault.
pub fn name(signal: i32) -> Option<&'static str> {
    FAULTS.iter().find(|(number, _)| *number == signal).map(|(_, name)| *name)
}

/// Notes the name of the micro-process that runs. The seat says which one it is, while there is one.
#[inline]
pub fn running(name: &'static str) {
    NAME.store(name.as_ptr().cast_mut(), Relaxed);
    NAME_LEN.store(name.len(), Relaxed);
}

/// Makes a fault leave an epitaph in the seat, and a line on stderr. The signal stack is the one that std sets up
/// for each thread.
pub fn install(seat: &'static Seat) {
    SEAT.store(ptr::from_ref(seat).cast_mut(), Relaxed);
    static ONCE: Once = Once::new();
    // SAFETY: the function stores one atomic. Without memory for it, a child dies of the signal without a line.
    ONCE.call_once(|| _ = unsafe { libc::pthread_atfork(None, None, Some(forked)) });
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

/// Set in a child that a handler has forked.
static FORKED: AtomicBool = AtomicBool::new(false);

extern "C" fn forked() {
    FORKED.store(true, Relaxed);
}

extern "C" fn report(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if FORKED.load(Relaxed) {
        const LINE: &[u8] = b"a process that a handler has forked ends where it would go on as a worker; \
            std::process::Command starts programs\n";
        // SAFETY: the line is valid for its length; _exit has no conditions.
        unsafe {
            libc::write(libc::STDERR_FILENO, LINE.as_ptr().cast(), LINE.len());
            libc::_exit(128 + signal);
        }
    }
    // SAFETY: `install` stored a seat that lives for ever, before this could be called.
    let seat = unsafe { &*SEAT.load(Relaxed) };
    // SAFETY: the kernel passes a valid siginfo; what it has for a signal that was sent is a pid.
    let (sent, sender, address) = unsafe { ((*info).si_code <= 0, (*info).si_pid(), (*info).si_addr()) };
    // SAFETY: getpid has no conditions.
    let own = !sent || sender == unsafe { libc::getpid() };
    if own {
        let address = if sent { 0 } else { address as u64 };
        seat.address.store(address, Relaxed);
        seat.instruction.store(instruction(context), Relaxed);
        seat.fault.store(signal as u32, Relaxed);
        let mut line = Text { bytes: [0; 256], len: 0 };
        let (name, running) = (name(signal).unwrap_or("a signal"), seat.running.load(Relaxed));
        // What doesn't fit is cut off.
        let _ = match HeapId::from_bits(running) {
            HeapId::NONE => writeln!(line, "{name} at {address:#x} while no micro-process ran"),
            id => {
                writeln!(line, "{name} at {address:#x} in micro-process {} ({})", id.index(), running_name())
            }
        };
        // SAFETY: the buffer is valid for its length.
        unsafe { libc::write(libc::STDERR_FILENO, line.bytes.as_ptr().cast(), line.len) };
    }
    if sent {
        // No instruction will run again and fault: it comes once more, to its default action.
        // SAFETY: a valid signal.
        unsafe { libc::raise(signal) };
    }
}

/// The address of the instruction that was interrupted.
fn instruction(context: *mut libc::c_void) -> u64 {
    // SAFETY: with SA_SIGINFO the kernel passes a valid ucontext.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    #[cfg(target_arch = "x86_64")]
    return context.uc_mcontext.gregs[libc::REG_RIP as usize] as u64;
    #[cfg(target_arch = "aarch64")]
    return context.uc_mcontext.pc;
}

fn running_name() -> &'static str {
    let (name, len) = (NAME.load(Relaxed), NAME_LEN.load(Relaxed));
    // SAFETY: `running` stored both of one `&'static str`, on the thread that this handler interrupted, before
    // the seat named a micro-process.
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
