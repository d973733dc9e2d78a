//! From the options to running workers.

use crate::admin::admin;
use crate::app::App;
use crate::options::Options;
use std::io::{self, IsTerminal};
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::process::ExitCode;
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;
use vk_core::{Entry, preparation, registry};
use vk_heap::{Arena, Config, Layout};
use vk_poll::{Backend, Choice, Epoll, Uring, set_nonblocking};
use vk_proc::activation::{self, Inherited};
use vk_proc::build::{self, Handover, Program, Sockets};
use vk_proc::keeper::{self, Keeping, Start};
use vk_proc::ledger::Ledger;
use vk_proc::{Listener, Settings, Worker, affinity, confine, signals, socket};

/// Blocks of 64 KiB that micro-processes borrow while they stream: address space, not memory.
const POOL_BLOCKS: u32 = 65_536;

/// What keeper and workers share: the admin handler prints their counters.
pub static LEDGER: OnceLock<Ledger> = OnceLock::new();

/// Who serves the connections of an address.
type Handled = (SocketAddr, &'static Entry);

/// What is settled before any worker starts.
struct Plan<'a> {
    app: &'a App,
    options: &'a Options,
    poller: Choice,
    ledger: &'static Ledger,
}

/// Serves until a signal ends it, or standard input does.
pub fn serve(app: &App, options: &Options) -> Result<ExitCode, String> {
    // Before anybody is told that it listens.
    Layout::calculate(&arena(options)).map_err(|error| error.to_string())?;
    let wanted = addresses(app, options)?;
    let check = || app.check.map_or(Ok(()), |check| check());
    if build::is_probe() {
        preparation::prepare()?;
        check()?;
        println!("{}", build::probe_answer());
        return Ok(ExitCode::SUCCESS);
    }
    let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let handover = Handover::take().map_err(failed("the build before left something else"))?;
    let inherited = activation::take().map_err(failed("the sockets that were handed over"))?;
    log(options)?;
    signals::block().map_err(failed("can't block signals"))?;
    // Standard input and output have one worker, in this process.
    let workers = if options.stdio { 0 } else { options.workers };
    let (program, handed) = match (workers, &handover) {
        (0, _) => (None, Vec::new()),
        (_, handover) => {
            let program = Program::this(handover.as_ref()).map_err(failed("no /proc"))?;
            (Some(program), handover.as_ref().map_or(Vec::new(), |handover| handover.listeners.clone()))
        }
    };
    let (ledger, former, refused) = match handover {
        Some(Handover { ledger, former, refused, .. }) => (ledger, Some(former), refused),
        None => (Ledger::new(workers).map_err(failed("no shared memory"))?, None, false),
    };
    let ledger = LEDGER.get_or_init(|| ledger);
    let addresses: Vec<SocketAddr> = wanted.iter().map(|(address, _)| *address).collect();
    let prepare = || -> Result<_, String> {
        preparation::prepare()?;
        // A build that comes back served well enough before.
        if !refused {
            check()?;
        }
        let seats = seats(ledger, options).map_err(failed("no memory for micro-heaps"))?;
        let addresses = if options.stdio { &[][..] } else { &addresses };
        Ok((seats, listen(addresses, &handed, inherited, ledger.places())?))
    };
    let (seats, listeners) = match (prepare(), &former, &program) {
        (Ok(prepared), ..) => prepared,
        (Err(error), Some(former), Some(program)) if !refused => {
            tracing::error!("this build can't serve, the one before it comes back: {error}");
            return Err(failed("it can't come back")(program.exec(ledger, &handed, Some(former))));
        }
        (Err(error), ..) => return Err(error),
    };
    let plan = Plan { app, options, poller: settle(options), ledger };
    if options.stdio {
        let handler = app.stdio().expect("checked with the options").0;
        return Ok(plan.work(Work::Stdio(handler)).into());
    }
    let share = |place: usize| -> Vec<Listener> {
        listeners.iter().zip(&wanted).map(|((_, sockets), (_, handler))| (sockets[place], *handler)).collect()
    };
    let Some(program) = program else { return Ok(plan.work(Work::Alone(share(0))).into()) };
    registry::image();
    let limit = options.dispatch_limit;
    let keeping = Keeping { ledger, limit, program, listeners: &listeners, seats, former, refused };
    let status = keeper::keep(keeping, |start| plan.work(Work::Kept(share(start.place), start)));
    status.map_err(failed("the keeper failed"))
}

/// A seat and an arena for each worker.
fn seats(ledger: &Ledger, options: &Options) -> io::Result<Vec<usize>> {
    let sit = |place| {
        let seat = ledger.sit(place, Arena::memfd(&arena(options))?);
        seat.ok_or_else(|| io::Error::other("too many builds drain"))
    };
    (0..ledger.places()).map(sit).collect()
}

/// What a worker serves.
enum Work {
    /// Standard input and output, in this process.
    Stdio(&'static Entry),
    /// Connections, in this process.
    Alone(Vec<Listener>),
    /// Connections, in a process of its own, going on with what is left by the worker before it.
    Kept(Vec<Listener>, Start),
}

fn log(options: &Options) -> Result<(), String> {
    let filter = EnvFilter::builder().parse(&options.log).map_err(|error| format!("--log: {error}"))?;
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours).init();
    Ok(())
}

/// What is declared or asked for, and who serves it.
fn addresses(app: &App, options: &Options) -> Result<Vec<Handled>, String> {
    let declared = app.listeners.iter().map(|listener| {
        let address = listener.address.parse();
        address.map(|address| (address, listener.handler.0)).map_err(|_| listener.address)
    });
    let declared: Vec<Handled> = declared
        .collect::<Result<_, _>>()
        .map_err(|wrong| format!("the declared address {wrong:?} is not of the form ADDR:PORT"))?;
    let mut wanted = match options.listen.as_slice() {
        [] => declared,
        given => given
            .iter()
            .enumerate()
            .map(|(at, address)| (*address, declared[at.min(declared.len() - 1)].1))
            .collect(),
    };
    wanted.extend(options.admin.map(|address| (address, Entry::handler::<admin>())));
    Ok(wanted)
}

/// The sockets of each address, one for each worker: those that the build before had, those that whoever started
/// this process had, or new ones.
fn listen(
    wanted: &[SocketAddr],
    handed: &[Sockets],
    inherited: Vec<Inherited>,
    workers: usize,
) -> Result<Vec<Sockets>, String> {
    let inherited = activation::assign(inherited, wanted).map_err(|error| error.to_string())?;
    let mut listeners = Vec::new();
    for ((at, address), inherited) in wanted.iter().enumerate().zip(inherited) {
        // Port 0 was whatever it became.
        let same =
            |(bound, _): &&Sockets| bound == address || address.port() == 0 && bound.ip() == address.ip();
        let handed =
            handed.get(at).filter(same).or_else(|| handed.iter().find(|(bound, _)| bound == address));
        let (bound, sockets) = match (handed, inherited) {
            (Some(sockets), _) => sockets.clone(),
            (None, Some(inherited)) => {
                // All workers accept from the one socket, each by a descriptor of its own.
                let copies: io::Result<Vec<OwnedFd>> =
                    (0..workers).map(|_| inherited.socket.try_clone()).collect();
                let copies = copies.map_err(|error| format!("can't share {address}: {error}"))?;
                let bound = inherited.address.unwrap_or(*address);
                (bound, copies.into_iter().map(IntoRawFd::into_raw_fd).collect())
            }
            (None, None) => {
                let (bound, sockets) = socket::listen(*address, workers)
                    .map_err(|error| format!("can't listen on {address}: {error}"))?;
                (bound, sockets.into_iter().map(IntoRawFd::into_raw_fd).collect())
            }
        };
        eprintln!("listening on {bound}");
        listeners.push((bound, sockets));
    }
    Ok(listeners)
}

/// Settles `auto` once for all workers, by trying.
fn settle(options: &Options) -> Choice {
    if options.poller != Choice::Auto {
        return options.poller;
    }
    if options.workers > 0 && !options.confinement.profile.allows_uring() {
        return Choice::Epoll;
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

/// The exit status of a worker that can't take over now: another one may.
const NOT_NOW: u8 = 3;

impl Plan<'_> {
    /// Runs a worker on the chosen poller; the exit status of its process.
    fn work(&self, what: Work) -> u8 {
        let result = match self.poller {
            Choice::Epoll => Epoll::new().and_then(|poller| self.run(poller, what)),
            Choice::Uring | Choice::Auto => Uring::new().and_then(|poller| self.run(poller, what)),
        };
        match result {
            Ok(status) => status,
            Err(error) => {
                tracing::error!(%error, "a worker can't serve");
                keeper::HOPELESS
            }
        }
    }

    fn run<B: Backend>(&self, poller: B, what: Work) -> io::Result<u8> {
        let config = arena(self.options);
        let seat = if let Work::Kept(_, start) = &what { start.seat } else { 0 };
        let arena = Arena::attach(self.ledger.seat(seat).arena(), &config)?;
        let settings = Settings { max_procs: config.heaps, ledger: self.ledger, worker: seat };
        // Its process ends with it. What it would close here, the keeper closes, and only then is the number free.
        let mut worker =
            ManuallyDrop::new(Worker::new(arena, poller, Some(signals::descriptor(&[])?), settings)?);
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
            Work::Kept(listeners, start) => {
                let sockets: Vec<RawFd> = listeners.iter().map(|(socket, _)| *socket).collect();
                for former in start.formers {
                    match worker.take_over(former, &config, self.app.migrations, &listeners) {
                        Ok((0, 0)) => {}
                        Ok((came, stay)) => tracing::info!(came, stay, "took over from the build before"),
                        Err(error) => {
                            tracing::error!(%error, "can't take over from the build before");
                            return Ok(NOT_NOW);
                        }
                    }
                }
                worker.resume(start.death, &sockets);
                for (socket, handler) in listeners.into_iter().filter(|_| !start.ending) {
                    if !worker.is_listening(socket) {
                        worker.listen(socket, handler)?;
                    }
                }
                affinity::pin(start.place, self.ledger.places());
                confine::worker(&self.options.confinement)?;
                worker.run()?;
                if worker.has_made_way() {
                    return Ok(0);
                }
            }
        }
        worker.check_conservation().map_err(io::Error::other)?;
        Ok(u8::from(worker.has_failed()))
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
