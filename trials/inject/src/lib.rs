//! For LD_PRELOAD: calls of the kernel that fail, and a clock that steps, while a trial wants it.
//!
//! `VK_INJECT` names a file of three numbers of 64 bits, which the trial changes at any time: whether new processes and threads
//! are refused, whether io_uring is, and the seconds that the wall clock is ahead. What has no such variable is left alone.
#![allow(unsafe_code)]

use libc::{c_char, c_int, c_long, c_void, clockid_t, pid_t, timespec};
use std::ffi::CStr;
use std::mem::transmute;
use std::ptr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicPtr};

/// What the trial wants.
#[repr(C)]
struct Wanted {
    no_processes: AtomicI64,
    no_uring: AtomicI64,
    seconds_ahead: AtomicI64,
}

static NOTHING: Wanted =
    Wanted { no_processes: AtomicI64::new(0), no_uring: AtomicI64::new(0), seconds_ahead: AtomicI64::new(0) };

/// The file, mapped; null without one.
static WANTED: AtomicPtr<Wanted> = AtomicPtr::new(ptr::null_mut());

/// Before `main`: a worker that is confined opens no file.
#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;

extern "C" fn begin() {
    // SAFETY: the variable is a string that nobody changes before `main`; the file is as long as a `Wanted`, whose atomics take
    // any bits, and stays mapped.
    unsafe {
        let path = libc::getenv(c"VK_INJECT".as_ptr());
        if path.is_null() {
            return;
        }
        let file = libc::open(path, libc::O_RDONLY | libc::O_CLOEXEC);
        let mapped =
            libc::mmap(ptr::null_mut(), size_of::<Wanted>(), libc::PROT_READ, libc::MAP_SHARED, file, 0);
        libc::close(file);
        if mapped != libc::MAP_FAILED {
            WANTED.store(mapped.cast(), Relaxed);
        }
    }
}

fn wanted() -> &'static Wanted {
    // SAFETY: null, or mapped for ever by `begin`.
    unsafe { WANTED.load(Relaxed).as_ref() }.unwrap_or(&NOTHING)
}

fn refuses_processes() -> bool {
    wanted().no_processes.load(Relaxed) != 0
}

fn fail(error: c_int) -> c_int {
    // SAFETY: errno is this thread's.
    unsafe { *libc::__errno_location() = error };
    -1
}

/// The C library's own function of that name.
fn next(name: &CStr) -> *mut c_void {
    // SAFETY: a string; the C library has each function that is asked for.
    unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }
}

/// See syscall(2), which has up to six arguments.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    type Call = unsafe extern "C" fn(c_long, c_long, c_long, c_long, c_long, c_long, c_long) -> c_long;
    if number == libc::SYS_clone3 && refuses_processes() {
        return fail(libc::EAGAIN).into();
    }
    if number == libc::SYS_io_uring_setup && wanted().no_uring.load(Relaxed) != 0 {
        return fail(libc::EPERM).into();
    }
    // SAFETY: the C library's function, and the caller's arguments; where it gave fewer, the kernel does not look at the rest.
    unsafe { transmute::<*mut c_void, Call>(next(c"syscall"))(number, a, b, c, d, e, f) }
}

/// See fork(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn fork() -> pid_t {
    if refuses_processes() {
        return fail(libc::EAGAIN);
    }
    // SAFETY: the C library's function.
    unsafe { transmute::<*mut c_void, unsafe extern "C" fn() -> pid_t>(next(c"fork"))() }
}

/// See posix_spawn(3), with a path.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnp(
    pid: *mut pid_t,
    path: *const c_char,
    actions: *const c_void,
    attributes: *const c_void,
    args: *const *const c_char,
    variables: *const *const c_char,
) -> c_int {
    type Call = unsafe extern "C" fn(
        *mut pid_t,
        *const c_char,
        *const c_void,
        *const c_void,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int;
    if refuses_processes() {
        return libc::EAGAIN;
    }
    // SAFETY: the C library's function, and the caller's arguments.
    unsafe {
        transmute::<*mut c_void, Call>(next(c"posix_spawnp"))(pid, path, actions, attributes, args, variables)
    }
}

/// See pthread_create(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut c_void,
    attributes: *const c_void,
    start: *const c_void,
    argument: *mut c_void,
) -> c_int {
    type Call = unsafe extern "C" fn(*mut c_void, *const c_void, *const c_void, *mut c_void) -> c_int;
    if refuses_processes() {
        return libc::EAGAIN;
    }
    // SAFETY: the C library's function, and the caller's arguments.
    unsafe { transmute::<*mut c_void, Call>(next(c"pthread_create"))(thread, attributes, start, argument) }
}

/// See clock_gettime(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    type Call = unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int;
    static NEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    let mut call = NEXT.load(Relaxed);
    if call.is_null() {
        call = next(c"clock_gettime");
        NEXT.store(call, Relaxed);
    }
    // SAFETY: the C library's function, and the caller's arguments.
    let result = unsafe { transmute::<*mut c_void, Call>(call)(clock, time) };
    if result == 0 && matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE) {
        // SAFETY: it has just been written.
        unsafe { (*time).tv_sec += wanted().seconds_ahead.load(Relaxed) };
    }
    result
}
