//! From the options to running workers.

use crate::admin::admin;
use crate::app::App;
use crate::options::Options;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::process::ExitCode;
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;
use vk_core::{Entry, registry};
use vk_heap::{Arena, Config, Layout};
use vk_poll::{Backend, Choice, Epoll, Uring, set_nonblocking};
use vk_proc::ledger::Ledger;
use vk_proc::{Death, Settings, Worker, keeper, signals, socket};

/// Blocks of 64 KiB that micro-processes borrow while they stream: address space, not memory.
const POOL_BLOCKS: u32 = 65_536;

/// What keeper and workers share: the admin handler prints their counters.
pub static LEDGER: OnceLock<Ledger> = OnceLock::new();

/// A listening socket, open as long as anybody uses it, and who serves it.
type Listener = (RawFd, &'static Entry);

/// What a worker serves.
enum Work<'a> {
    /// Standard input and output, in this process.
    Stdio(&'static Entry),
    /// Connections, in this process.
    Alone(&'a [Listener]),
    /// Connections, in a process with a keeper, going on with what the worker before it left.
    Kept { memfd: BorrowedFd<'static>, death: Death, listeners: &'a [Listener] },
}

/// What is settled before any worker starts.
struct Plan<'a> {
    options: &'a Options,
    poller: Choice,
    ledger: &'static Ledger,
}

/// Serves until a signal ends it, or standard input does.
pub fn serve(app: &App, options: &Options) -> Result<ExitCode, String> {
    log(options)?;
    // Before anybody is told that it listens.
    Layout::calculate(&arena(options)).map_err(|error| error.to_string())?;
    signals::block().map_err(|error| format!("can't block signals: {error}"))?;
    let ledger = Ledger::new(options.workers).map_err(|error| format!("no shared memory: {error}"))?;
    let ledger = LEDGER.get_or_init(|| ledger);
    let plan = Plan { options, poller: settle(options.poller), ledger };
    if options.stdio {
        let handler = app.stdio().expect("checked with the options").0;
        return Ok(plan.work(0, Work::Stdio(handler)).into());
    }
    let shares = bind(app, options)?;
    if options.workers == 0 {
        return Ok(plan.work(0, Work::Alone(&shares[0])).into());
    }
    let memfds = shares.iter().map(|_| Arena::memfd(&arena(options)));
    let memfds = memfds.collect::<io::Result<Vec<_>>>().map_err(|error| format!("no memory: {error}"))?;
    let memfds: &[OwnedFd] = memfds.leak();
    registry::image();
    let status = keeper::keep(ledger, options.dispatch_limit, |number, death| {
        let (memfd, listeners) = (memfds[number].as_fd(), shares[number].as_slice());
        plan.work(number, Work::Kept { memfd, death, listeners })
    });
    status.map_err(|error| format!("the keeper failed: {error}"))
}

fn log(options: &Options) -> Result<(), String> {
    let filter = EnvFilter::builder().parse(&options.log).map_err(|error| format!("--log: {error}"))?;
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours).init();
    Ok(())
}

/// Binds what is declared or asked for; returns each worker's share.
fn bind(app: &App, options: &Options) -> Result<Vec<Vec<Listener>>, String> {
    let declared = app.listeners.iter().map(|listener| {
        let address = listener.address.parse();
        address.map(|address| (address, listener.handler.0)).map_err(|_| listener.address)
    });
    let declared: Vec<_> = declared
        .collect::<Result<_, _>>()
        .map_err(|wrong| format!("the declared address {wrong:?} is not of the form ADDR:PORT"))?;
    let wanted = match options.listen.as_slice() {
        [] => declared,
        given => given
            .iter()
            .enumerate()
            .map(|(at, address)| (*address, declared[at.min(declared.len() - 1)].1))
            .collect(),
    };
    let admin = options.admin.map(|address| (address, Entry::handler::<admin>()));
    let workers = options.workers.max(1);
    let mut shares: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
    for (address, handler) in wanted.into_iter().chain(admin) {
        let (bound, sockets) = socket::listen(address, workers)
            .map_err(|error| format!("can't listen on {address}: {error}"))?;
        eprintln!("listening on {bound}");
        for (share, socket) in shares.iter_mut().zip(sockets) {
            share.push((socket.into_raw_fd(), handler));
        }
    }
    Ok(shares)
}

/// Settles `auto` once for all workers, by trying.
fn settle(poller: Choice) -> Choice {
    if poller != Choice::Auto {
        return poller;
    }
    match Uring::new() {
        Ok(_) => Choice::Uring,
        Err(error) => {
            tracing::info!(%error, "epoll serves");
            Choice::Epoll
        }
    }
}

/// The arena of each worker.
fn arena(options: &Options) -> Config {
    Config {
        heaps: options.max_procs,
        heap_size: options.heap,
        pool_blocks: POOL_BLOCKS,
        guard: options.guard,
    }
}

impl Plan<'_> {
    /// Runs a worker on the chosen poller; the exit status of its process.
    fn work(&self, number: usize, what: Work) -> u8 {
        let result = match self.poller {
            Choice::Epoll => Epoll::new().and_then(|poller| self.run(poller, number, what)),
            Choice::Uring | Choice::Auto => Uring::new().and_then(|poller| self.run(poller, number, what)),
        };
        match result {
            Ok(failed) => u8::from(failed),
            Err(error) => {
                tracing::error!(%error, "a worker can't serve");
                keeper::HOPELESS
            }
        }
    }

    /// Whether a micro-process that served standard input has failed.
    fn run<B: Backend>(&self, poller: B, number: usize, what: Work) -> io::Result<bool> {
        let config = arena(self.options);
        let arena = match &what {
            Work::Kept { memfd, .. } => Arena::attach(*memfd, &config)?,
            Work::Stdio(_) | Work::Alone(_) => Arena::new(&config)?,
        };
        let settings = Settings { max_procs: config.heaps, ledger: self.ledger, worker: number };
        let mut worker = Worker::new(arena, poller, Some(signals::descriptor(&[])?), settings)?;
        match what {
            Work::Stdio(handler) => {
                // Restored in reverse order: the two may be one file.
                let _input = Nonblocking::set(0)?;
                let _output = Nonblocking::set(1)?;
                worker.start_on(handler, io::stdin().as_raw_fd(), io::stdout().as_raw_fd())?;
                worker.run()?;
            }
            Work::Alone(listeners) => {
                listeners.iter().try_for_each(|(socket, handler)| worker.listen(*socket, handler))?;
                worker.run()?;
            }
            Work::Kept { death, listeners, .. } => {
                let sockets: Vec<RawFd> = listeners.iter().map(|(socket, _)| *socket).collect();
                worker.resume(death, &sockets);
                for (socket, handler) in listeners {
                    if !worker.is_listening(*socket) {
                        worker.listen(*socket, handler)?;
                    }
                }
                worker.run()?;
            }
        }
        worker.check_conservation().map_err(io::Error::other)?;
        Ok(worker.has_failed())
    }
}

/// A descriptor that was made non-blocking for a while. It may be shared with other programs, the shell for
/// one, which expect to find it as they left it.
struct Nonblocking {
    number: RawFd,
    before: bool,
}

impl Nonblocking {
    fn set(number: RawFd) -> io::Result<Self> {
        Ok(Nonblocking { number, before: set_nonblocking(number, true)? })
    }
}

impl Drop for Nonblocking {
    fn drop(&mut self) {
        // Nothing is left to be done about an error at the end.
        let _ = set_nonblocking(self.number, self.before);
    }
}
