//! From the options to running workers.

use crate::admin::admin;
use crate::app::App;
use crate::options::Options;
use std::io::{self, IsTerminal, Write};
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::thread;
use tracing_subscriber::EnvFilter;
use vk_core::{Entry, preparation, registry};
use vk_heap::{Arena, Config, Layout};
use vk_poll::{Backend, Choice, Epoll, Uring, set_nonblocking};
use vk_proc::activation::{self, Inherited};
use vk_proc::board::Board;
use vk_proc::build::{self, Handover, Program, Sockets};
use vk_proc::control::Control;
use vk_proc::holder::{HOPELESS, NOT_NOW, Start};
use vk_proc::keeper::{self, Keeping};
use vk_proc::ledger::Ledger;
use vk_proc::takeover::{Listener, Takeover};
use vk_proc::{Settings, Worker, adopt, affinity, confine, limits, signals, socket, sweep};

/// Blocks of 64 KiB that micro-processes borrow while they stream: address space, not memory.
const POOL_BLOCKS: u32 = 65_536;

/// What the workers show: the admin handler prints it.
pub static BOARD: OnceLock<&'static Board> = OnceLock::new();

/// An address, and the handler of its connections.
type Handled = (SocketAddr, &'static Entry);

/// What is settled before any worker starts.
struct Plan<'a> {
    app: &'a App,
    options: &'a Options,
    poller: Choice,
    /// How many workers there are.
    workers: usize,
}

/// Serves until a signal ends it, or standard input does.
pub fn serve(app: &App, options: &Options) -> Result<ExitCode, String> {
    // Before anybody is told that it listens.
    Layout::calculate(&arena(options)).map_err(|error| error.to_string())?;
    let wanted = addresses(app, options)?;
    if wanted.len() > Ledger::LISTENERS {
        return Err(format!("{} listeners: {} are possible", wanted.len(), Ledger::LISTENERS));
    }
    if build::is_probe() {
        prepare(app)?;
        println!("{}", build::probe_answer());
        return Ok(ExitCode::SUCCESS);
    }
    let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let handover = Handover::take().map_err(failed("the build before left something else"))?;
    let inherited = activation::take().map_err(failed("the sockets that were handed over"))?;
    log(options)?;
    signals::block().map_err(failed("can't block signals"))?;
    limits::raise();
    // Standard input and output have one worker, in this process.
    if options.stdio || options.workers == 0 {
        return alone(app, options, &wanted, inherited);
    }
    let addresses: Vec<SocketAddr> = wanted.iter().map(|(address, _)| *address).collect();
    let program = Program::this(handover.as_ref()).map_err(failed("no /proc"))?;
    let (control, before, handed, refused) = match handover {
        Some(Handover { control, before, listeners, refused, .. }) => {
            (control, Some(before), listeners, refused)
        }
        None => {
            prepare(app)?;
            let (control, listeners) = begin(app, options, &addresses).map_err(failed("no shared memory"))?;
            (control, None, listeners, false)
        }
    };
    BOARD.get_or_init(|| control.board);
    let listeners = match (listen(&addresses, &handed, inherited, control.places()), &before) {
        (Ok(listeners), _) => listeners,
        (Err(error), Some(before)) if !refused => {
            tracing::error!("this build can't serve, the one before it comes back: {error}");
            return Err(failed("it can't come back")(program.exec(&control, &handed, Some(before))));
        }
        (Err(error), _) => return Err(error),
    };
    let plan = Plan { app, options, poller: settle(options), workers: control.places() };
    let handlers: Vec<&'static Entry> = wanted.iter().map(|(_, handler)| *handler).collect();
    registry::image();
    let keeping = Keeping {
        control,
        application: adopt::application(app.name),
        arena: &|| Arena::memfd(&arena(options)),
        limit: options.dispatch_limit,
        profile: options.confinement.profile,
        program,
        listeners: &listeners,
        handed,
        before,
        refused,
    };
    let status = keeper::keep(keeping, |start| plan.work(start.ledger, Work::Kept(&handlers, start)));
    status.map_err(failed("the keeper failed"))
}

/// Makes the application's tables, and asks it whether it can serve. A build that follows another one has been asked as a
/// probe, just before.
///
/// In a thread of its own: what the application's code keeps in its thread, a generator of random numbers say, is not copied
/// into each worker, and a panic of it is a line like any other error.
fn prepare(app: &App) -> Result<(), String> {
    let check = || preparation::prepare().and_then(|()| app.check.map_or(Ok(()), |check| check()));
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, check);
        let thread = thread.map_err(|error| format!("no thread for the application's check: {error}"))?;
        thread.join().unwrap_or_else(|_| Err("the application's check has panicked".into()))
    })
}

/// The control page of a keeper that is started, and the listeners of workers that it adopts since their keeper has died.
fn begin(app: &App, options: &Options, addresses: &[SocketAddr]) -> io::Result<(Control, Vec<Sockets>)> {
    let orphans = adopt::find(app.name, addresses);
    // As many as there are now: none of the workers that serve is left out.
    let places = orphans.last().map_or(0, |last| last.place + 1).max(options.workers);
    let mut control = Control::new(places)?;
    let mut listeners: Vec<Sockets> = Vec::new();
    for orphan in orphans {
        tracing::info!(worker = orphan.place, "a worker without a keeper is adopted");
        for (address, socket) in orphan.listeners {
            let at = listeners.iter().position(|(bound, _)| *bound == address).unwrap_or_else(|| {
                listeners.push((address, vec![NONE; places]));
                listeners.len() - 1
            });
            listeners[at].1[orphan.place] = socket.into_raw_fd();
        }
        control.adopt_worker(orphan.place, orphan.arena, orphan.ledger)?;
    }
    for (address, sockets) in &mut listeners {
        for socket in sockets.iter_mut().filter(|socket| **socket == NONE) {
            *socket = socket::join(*address)?.into_raw_fd();
        }
    }
    Ok((control, listeners))
}

/// No descriptor yet.
const NONE: RawFd = -1;

/// Serves in this process, without a keeper.
fn alone(
    app: &App,
    options: &Options,
    wanted: &[Handled],
    inherited: Vec<Inherited>,
) -> Result<ExitCode, String> {
    let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    prepare(app)?;
    let control = Control::new(0).map_err(failed("no shared memory"))?;
    let memfd = Arena::memfd(&arena(options)).map_err(failed("no memory for micro-heaps"))?;
    let number = memfd.as_raw_fd();
    let slot = control.occupy(0, memfd).map_err(failed("no shared memory"))?;
    let ledger = control.ledger(slot).map_err(failed("no shared memory"))?;
    ledger.set_base(&[number]);
    BOARD.get_or_init(|| control.board);
    let plan = Plan { app, options, poller: settle(options), workers: 0 };
    if options.stdio {
        let handler = app.stdio().expect("checked with the options").0;
        return Ok(plan.work(ledger, Work::Stdio(handler)).into());
    }
    let addresses: Vec<SocketAddr> = wanted.iter().map(|(address, _)| *address).collect();
    let sockets = listen(&addresses, &[], inherited, 1)?;
    let listeners: Vec<Listener> =
        sockets.iter().zip(wanted).map(|((_, sockets), (_, handler))| (sockets[0], *handler)).collect();
    Ok(plan.work(ledger, Work::Alone(listeners)).into())
}

/// What a worker serves.
enum Work<'a> {
    /// Standard input and output, in this process.
    Stdio(&'static Entry),
    /// Connections, in this process.
    Alone(Vec<Listener>),
    /// Connections that these handlers serve, in a process of its own, going on with what the worker before it has left.
    Kept(&'a [&'static Entry], Start),
}

fn log(options: &Options) -> Result<(), String> {
    let filter = EnvFilter::builder().parse(&options.log).map_err(|error| format!("--log: {error}"))?;
    let colours = io::stderr().is_terminal();
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours);
    // A line that can't be written, to a disk that is full say, is lost: to complain of it on the same stream would panic.
    subscriber.log_internal_errors(false).init();
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
        // Where it can't be written, it serves all the same.
        let _ = writeln!(io::stderr(), "listening on {bound}");
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

impl Plan<'_> {
    /// Runs a worker on the chosen poller; the exit status of its process.
    fn work(&self, ledger: &'static Ledger, what: Work<'_>) -> u8 {
        let takeover = match &what {
            Work::Kept(_, Start { former: Some(former), .. }) => match Takeover::begin(*former, ledger) {
                Ok(takeover) => Some(takeover),
                Err(error) => {
                    tracing::error!(%error, "can't take over from the worker before");
                    return NOT_NOW;
                }
            },
            _ => None,
        };
        let result = match self.poller {
            Choice::Epoll => Epoll::new().and_then(|poller| self.run(poller, ledger, what, takeover)),
            Choice::Uring | Choice::Auto => match Uring::new() {
                // It was there when the application started: what has changed may stay so, and connections wait.
                Err(error) if self.options.poller == Choice::Auto => {
                    tracing::warn!(%error, "no io_uring any more: epoll serves");
                    Epoll::new().and_then(|poller| self.run(poller, ledger, what, takeover))
                }
                poller => poller.and_then(|poller| self.run(poller, ledger, what, takeover)),
            },
        };
        result.unwrap_or_else(|error| {
            tracing::error!(%error, "a worker can't serve");
            HOPELESS
        })
    }

    fn run<B: Backend>(
        &self,
        poller: B,
        ledger: &'static Ledger,
        what: Work<'_>,
        takeover: Option<Takeover>,
    ) -> io::Result<u8> {
        let config = arena(self.options);
        let arena = Arena::attach(ledger.arena(), &config)?;
        let holder = matches!(what, Work::Kept(..)).then(std::os::unix::process::parent_id);
        let resolves = holder.is_none() || self.options.confinement.profile != confine::Profile::Strict;
        let settings = Settings { max_procs: config.heaps, ledger, holder, resolves };
        // Its process ends with it.
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
            Work::Kept(handlers, start) => {
                self.keep_on(&mut worker, handlers, &start, takeover)?;
                if worker.has_made_way() {
                    ledger.end_in_order();
                    return Ok(0);
                }
            }
        }
        worker.check_conservation().map_err(io::Error::other)?;
        ledger.end_in_order();
        Ok(u8::from(worker.has_failed()))
    }

    /// Goes on with what the worker before this one has left, and serves.
    fn keep_on<B: Backend>(
        &self,
        worker: &mut Worker<B>,
        handlers: &[&'static Entry],
        start: &Start,
        takeover: Option<Takeover>,
    ) -> io::Result<()> {
        let base = start.ledger.numbers_of_base();
        let listeners: Vec<Listener> =
            start.ledger.listeners().into_iter().zip(handlers.iter().copied()).collect();
        if let Some(takeover) = takeover {
            let config = arena(self.options);
            let (came, stay) = takeover.finish(worker, &config, self.app.migrations, &listeners)?;
            tracing::info!(came, stay, "took over from the worker before");
        }
        let was_opening = start.ledger.is_opening();
        worker.resume(start.death, &start.ledger.listeners());
        if was_opening {
            sweep::sweep_sockets(start.ledger, &[&base[..], &[0, 1, 2]].concat());
        }
        if !start.ending && !start.ledger.has_handed_over() {
            for (socket, handler) in listeners {
                if !worker.is_listening(socket)
                    && let Err(error) = worker.listen(socket, handler)
                {
                    worker.lose_listener(&error);
                }
            }
        }
        affinity::pin(start.place, self.workers);
        confine::worker(&self.options.confinement)?;
        limits::reserve()?;
        worker.run()
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
