//! What a handler can do wrong. Each of these is wrong on purpose: it is what the framework has to survive.
#![allow(unsafe_code)]

use std::arch::asm;
use std::hint::{black_box, spin_loop};
use std::time::Duration;
use std::{fs, ptr, thread};

/// How long a handler blocks its worker.
pub const BLOCKED: Duration = Duration::from_millis(300);

/// The least distance of two micro-heaps.
const PAGE: usize = 4096;

/// Commits the fault that is named by `path`, if it names one. `own` is in the micro-heap of who asks.
pub fn commit(path: &str, own: &mut u64) {
    let (path, number) = path.split_once('=').unwrap_or((path, ""));
    let number: usize = number.parse().unwrap_or(0);
    match path {
        "/close" => close(number as libc::c_uint, number as libc::c_uint),
        "/ledger" => overwrite("vk-ledger", number),
        "/arena" => overwrite("vk-heap", number),

        "/null" => null(),
        "/stack" => drop(black_box(descend(1))),
        "/div" => divide(),
        "/ill" => illegal(),
        "/abort" => std::process::abort(),
        "/spin" => loop {
            spin_loop();
        },
        "/panic" => panic!("asked for"),
        "/drop-panic" => drop(Panics),
        "/exit-0" => std::process::exit(0),
        "/exit-1" => std::process::exit(1),
        "/exit-7" => std::process::exit(7),
        "/thread-exit-0" => exit_in_a_thread(0),
        "/thread-exit-1" => exit_in_a_thread(1),
        "/thread-abort" => drop(thread::spawn(|| std::process::abort())),
        "/close-all" => close(3, libc::c_uint::MAX),
        "/dup-all" => replace_all(),
        "/close-stdio" => close(0, 2),
        "/fork" => fork(),
        "/term" => raise(libc::SIGTERM),
        "/stop" => raise(libc::SIGSTOP),
        "/hup" => raise(libc::SIGHUP),
        "/block" => thread::sleep(BLOCKED),
        "/double-panic" => double_panic(),
        "/poke" => poke(own),
        _ => {}
    }
}

fn null() {
    // SAFETY: none: the fault is the point. The kernel maps nothing at 0, so it is SIGSEGV and no more.
    unsafe { black_box(ptr::null_mut::<u8>()).write_volatile(1) };
}

/// Recursion without end, each step with a page of its own that the optimiser can't do without.
#[allow(unconditional_recursion)]
fn descend(depth: u64) -> u64 {
    let page = black_box([depth; PAGE / 8]);
    descend(page[0] + 1) + page[1]
}

/// SIGFPE, where the processor has it; else SIGILL.
fn divide() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: none: the fault is the point. The instruction does not complete, and names what it would change.
    unsafe {
        asm!("div {zero}", zero = in(reg) 0_u64, inout("rax") 1_u64 => _, inout("rdx") 0_u64 => _);
    }
    #[cfg(not(target_arch = "x86_64"))]
    illegal();
}

fn illegal() {
    // SAFETY: none: the fault is the point. The instruction is defined to be undefined.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("ud2");
        #[cfg(target_arch = "aarch64")]
        asm!("udf #0");
    }
}

struct Panics;

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("asked for, once more");
    }
}

fn exit_in_a_thread(status: i32) {
    thread::spawn(move || std::process::exit(status));
    thread::sleep(Duration::from_secs(1));
}

fn close(first: libc::c_uint, last: libc::c_uint) {
    // SAFETY: none: the fault is the point. It is the worker that finds its descriptors closed.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}

/// Puts another file at each number that is in use.
fn replace_all() {
    // SAFETY: none: the fault is the point. It is the worker that finds other files.
    unsafe {
        let file = libc::memfd_create(c"other".as_ptr(), 0);
        (3..256)
            .filter(|number| libc::fcntl(*number, libc::F_GETFD) >= 0)
            .for_each(|number| _ = libc::dup2(file, number));
    }
}

fn raise(signal: i32) {
    // SAFETY: raise(3) has no conditions.
    unsafe { libc::raise(signal) };
}

/// Both processes go on.
fn fork() {
    // SAFETY: none: the fault is the point. The child goes on as if it were the worker.
    unsafe { libc::fork() };
}

/// Writes over one page of a mapping that this worker can write at any time.
fn overwrite(memfd: &str, page: usize) {
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
    let mapping =
        maps.lines().find(|line| line.contains(&format!("/memfd:{memfd}")) && line.contains("rw-s"));
    let begin = mapping.and_then(|line| line.split('-').next()).expect("it is mapped");
    let address = usize::from_str_radix(begin, 16).expect("an address") + page * PAGE;
    // SAFETY: none: the fault is the point. The page is mapped and can be written.
    unsafe { ptr::with_exposed_provenance_mut::<u8>(address).write_bytes(0x5a, PAGE) };
}

/// A panic while a panic unwinds, which aborts.
fn double_panic() {
    let _panics = Panics;
    panic!("asked for");
}

/// Writes one byte into each page behind its own, and so into a neighbour's micro-heap, which is closed.
fn poke(own: &mut u64) {
    let mut address = ptr::from_mut(own).expose_provenance();
    loop {
        address += PAGE;
        // SAFETY: none: the fault is the point. The last write to succeed is to a page of its own.
        unsafe { ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(1) };
    }
}
