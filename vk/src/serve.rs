//! From the options to running workers.

use crate::admin::admin;
use crate::app::App;
use crate::options::Options;
use std::io::{self, IsTerminal};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::ExitCode;
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;
use vk_core::Entry;
use vk_heap::{Arena, Config, Layout};
use vk_poll::{Backend, Choice, Epoll, Uring, set_nonblocking};
use vk_proc::board::Board;
use vk_proc::{Settings, Worker, keeper, signals, socket};

/// Blocks of 64 KiB that micro-processes borrow while they stream: address space, not memory.
const POOL_BLOCKS: u32 = 65_536;

/// The workers' counters, which the admin handler prints.
pub static BOARD: OnceLock<Board> = OnceLock::new();

/// The board, and a worker's row of it.
type Row = (&'static Board, usize);

/// What a worker serves.
enum Work {
    /// Listening sockets, each with its handler.
    Listeners(Vec<(OwnedFd, &'static Entry)>),
    /// Standard input and output.
    Stdio(&'static Entry),
}

/// Serves until a signal ends it, or standard input does.
pub fn serve(app: &App, options: &Options) -> Result<ExitCode, String> {
    log(options)?;
    // Before anybody is told that it listens.
    Layout::calculate(&arena(options)).map_err(|error| error.to_string())?;
    signals::block().map_err(|error| format!("can't block signals: {error}"))?;
    let board = Board::new(options.workers).map_err(|error| format!("no shared memory: {error}"))?;
    let board = BOARD.get_or_init(|| board);
    let poller = settle(options.poller);
    if options.stdio {
        let handler = app.stdio().expect("checked with the options").0;
        return Ok(work(options, poller, (board, 0), Work::Stdio(handler)));
    }
    let mut shares = bind(app, options)?;
    if options.workers == 0 {
        return Ok(work(options, poller, (board, 0), Work::Listeners(shares.remove(0))));
    }
    let status = keeper::keep(options.workers, board, move |number| {
        // A worker closes the others' sockets; the keeper keeps all, so that a port outlives its worker, until
        // it drops this closure.
        let mine = std::mem::take(&mut shares).swap_remove(number);
        work(options, poller, (board, number), Work::Listeners(mine))
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
fn bind(app: &App, options: &Options) -> Result<Vec<Vec<(OwnedFd, &'static Entry)>>, String> {
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
            share.push((socket, handler));
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

/// Runs a worker on the chosen poller.
fn work(options: &Options, poller: Choice, row: Row, what: Work) -> ExitCode {
    let result = match poller {
        Choice::Epoll => Epoll::new().and_then(|poller| run(options, poller, row, what)),
        Choice::Uring | Choice::Auto => Uring::new().and_then(|poller| run(options, poller, row, what)),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => hopeless(&error),
    }
}

fn hopeless(error: &io::Error) -> ExitCode {
    tracing::error!(%error, "a worker can't serve");
    ExitCode::from(keeper::HOPELESS)
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

fn run<B: Backend>(options: &Options, poller: B, board: Row, what: Work) -> io::Result<bool> {
    let arena = Arena::new(&arena(options))?;
    let settings = Settings { max_procs: options.max_procs, board };
    let mut worker = Worker::new(arena, poller, Some(signals::descriptor(&[])?), settings)?;
    match what {
        Work::Listeners(listeners) => {
            for (socket, handler) in listeners {
                worker.listen(socket, handler)?;
            }
            worker.run()?;
        }
        Work::Stdio(handler) => {
            // Restored in reverse order: the two may be one file.
            let _input = Nonblocking::set(0)?;
            let _output = Nonblocking::set(1)?;
            worker.start_on(handler, io::stdin().as_raw_fd(), io::stdout().as_raw_fd())?;
            worker.run()?;
        }
    }
    worker.check_conservation().map_err(io::Error::other)?;
    Ok(!worker.has_failed())
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
