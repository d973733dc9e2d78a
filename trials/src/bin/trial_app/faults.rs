//! What a handler can do wrong. Each of these is wrong on purpose: it is what the framework has to survive.
#![allow(unsafe_code)]

use std::arch::asm;
use std::hint::{black_box, spin_loop};
use std::ptr;

/// The least distance of two micro-heaps.
const PAGE: usize = 4096;

/// Commits the fault that is named by `path`, if it names one. `own` is in the micro-heap of who asks.
pub fn commit(path: &str, own: &mut u64) {
    match path {
        "/null" => null(),
        "/stack" => drop(black_box(descend(1))),
        "/div" => divide(),
        "/ill" => illegal(),
        "/abort" => std::process::abort(),
        "/spin" => loop {
            spin_loop();
        },
        "/panic" => panic!("asked for"),
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

/// A panic while a panic unwinds, which aborts.
fn double_panic() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("asked for, once more");
        }
    }
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
