//! A worker on a thread, with one connection.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use vk_core::Entry;
use vk_core::rt::Coroutine;
use vk_heap::{Arena, Config, Guard};
use vk_poll::Epoll;
use vk_proc::ledger::Ledger;
use vk_proc::{Settings, Worker};

/// As [`serve_in`], in a micro-heap of one page.
#[allow(dead_code, reason = "not every test needs both")]
pub fn serve<C: Coroutine<Args = (), Output = io::Result<()>>>(
    prepare: fn(),
) -> (UnixStream, JoinHandle<bool>) {
    serve_in::<C>(4096, prepare)
}

/// Serves one connection with `C`, in a micro-heap of so many bytes; `prepare` runs on the worker's thread before anything else.
///
/// The thread ends with the connection: true if the handler ended without an error.
pub fn serve_in<C: Coroutine<Args = (), Output = io::Result<()>>>(
    heap_size: u32,
    prepare: fn(),
) -> (UnixStream, JoinHandle<bool>) {
    let (client, server) = UnixStream::pair().unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    server.set_nonblocking(true).unwrap();
    let worker = thread::spawn(move || {
        prepare();
        let config = Config { heaps: 4, heap_size, pool_blocks: 16, guard: Guard::default() };
        let ledger = Box::leak(Box::new(Ledger::alone().unwrap()));
        let settings = Settings { max_procs: 4, ledger, holder: None, resolves: true };
        let mut worker =
            Worker::new(Arena::new(&config).unwrap(), Epoll::new().unwrap(), None, settings).unwrap();
        let number = server.as_raw_fd();
        worker.start_on(Entry::handler::<C>(), number, number).unwrap();
        worker.run().unwrap();
        !worker.has_failed()
    });
    (client, worker)
}
