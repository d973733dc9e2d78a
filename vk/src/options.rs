//! The command line of every application.

use crate::app::App;
use clap::builder::{FalseyValueParser, ValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, value_parser};
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::{ParseFloatError, ParseIntError};
use std::time::Duration;
use vk_heap::Guard;
use vk_poll::Choice;
use vk_proc::confine::{Confinement, Profile, User};

/// Bytes of a micro-heap, unless the application or the command line says otherwise: one page.
const HEAP: u32 = 4096;

/// Micro-processes of a worker, likewise. What isn't used costs address space only.
const MAX_PROCS: u32 = 65_536;

/// How long a dispatch may take, unless the command line says otherwise.
const DISPATCH_LIMIT: Duration = Duration::from_secs(5);

/// What the command line says.
#[derive(Debug)]
pub struct Options {
    /// Replaces the declared addresses, if not empty.
    pub listen: Vec<SocketAddr>,
    pub workers: usize,
    pub guard: Guard,
    pub poller: Choice,
    pub heap: u32,
    pub max_procs: u32,
    /// How long a dispatch may take.
    pub dispatch_limit: Option<Duration>,
    /// Where the counters are shown.
    pub admin: Option<SocketAddr>,
    /// What workers give up.
    pub confinement: Confinement,
    pub stdio: bool,
    pub log: String,
    pub args: Vec<String>,
}

/// Reads the command line and the environment.
pub fn parse(app: &App) -> Result<Options, Error> {
    let mut command = command(app);
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    let options = read(app, &matches);
    if options.stdio && app.stdio().is_none() {
        return Err(command.error(ErrorKind::ArgumentConflict, "this application has no handler for --stdio"));
    }
    if options.poller == Choice::Uring && !options.confinement.profile.allows_uring() {
        return Err(
            command.error(ErrorKind::ArgumentConflict, "--confine strict allows no io_uring, only epoll")
        );
    }
    if app.opens_files && options.confinement.profile == Profile::Strict {
        let message =
            "--confine strict lets no worker open files, and this application does: --confine basic serves";
        return Err(command.error(ErrorKind::ArgumentConflict, message));
    }
    let (given, declared) = (options.listen.len(), app.listeners.len());
    if declared == 0 && given > 0 || declared > 1 && given > 0 && given != declared {
        let message = format!("--listen is given {given} times, and {declared} listeners are declared");
        return Err(command.error(ErrorKind::WrongNumberOfValues, message));
    }
    Ok(options)
}

fn read(app: &App, matches: &ArgMatches) -> Options {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    Options {
        listen: matches.get_many("listen").map_or(Vec::new(), |given| given.copied().collect()),
        workers: matches.get_one("workers").copied().unwrap_or_else(cores),
        guard: matches.get_one("guard").copied().unwrap_or_default(),
        poller: matches.get_one("poller").copied().unwrap_or(Choice::Auto),
        heap: matches.get_one("heap").copied().or(app.heap).unwrap_or(HEAP),
        max_procs: matches.get_one("max-procs").copied().or(app.max_procs).unwrap_or(MAX_PROCS),
        dispatch_limit: matches.get_one("dispatch-limit").copied().unwrap_or(Some(DISPATCH_LIMIT)),
        admin: matches.get_one("admin").copied(),
        confinement: Confinement {
            profile: matches.get_one("confine").copied().unwrap_or_default(),
            user: matches.get_one("user").copied(),
            core_dumps: matches.get_flag("core-dumps"),
        },
        stdio: matches.get_flag("stdio") || app.listeners.is_empty(),
        log: matches.get_one::<String>("log").cloned().unwrap_or_else(|| "info".into()),
        args: match app.args {
            Some(_) => matches.get_many("args").map_or(Vec::new(), |args| args.cloned().collect()),
            None => Vec::new(),
        },
    }
}

fn command(app: &App) -> Command {
    let argument = |name: &'static str, help: &'static str| {
        let variable = format!("VK_{}", name.replace('-', "_").to_uppercase());
        Arg::new(name).long(name).env(variable).help(help)
    };
    let option = |name: &'static str, value: &'static str, parser: ValueParser, help: &'static str| {
        argument(name, help).value_name(value).value_parser(parser)
    };
    let flag = |name: &'static str, help: &'static str| {
        argument(name, help).action(ArgAction::SetTrue).value_parser(FalseyValueParser::new())
    };
    let mut command = Command::new(app.name)
        .version(app.version)
        .about(app.about)
        .arg(
            option(
                "listen",
                "ADDR:PORT",
                ValueParser::new(address),
                "Listens here instead of where the application declares; port 0 takes a free one",
            )
            .action(ArgAction::Append)
            .value_delimiter(','),
        )
        .arg(option(
            "workers",
            "N",
            value_parser!(usize).into(),
            "Worker processes [default: one per core]; 0 serves in this process, without a keeper",
        ))
        .arg(option(
            "guard",
            "GUARD",
            ValueParser::new(str::parse::<Guard>),
            "When micro-heaps are closed: strict, after each dispatch; epoch:N, after N dispatches or \
             10 ms; off, never [default: epoch:1024]",
        ))
        .arg(option(
            "poller",
            "POLLER",
            ValueParser::new(str::parse::<Choice>),
            "How to wait for the kernel: auto, uring or epoll [default: auto]",
        ))
        .arg(option(
            "heap",
            "SIZE",
            ValueParser::new(size),
            "Bytes of a micro-heap, with k or m for KiB or MiB; whole pages [default: 4k, or as declared]",
        ))
        .arg(option(
            "max-procs",
            "N",
            value_parser!(u32).range(2..).into(),
            "Micro-processes of a worker; further connections wait until idle ones are ended [default: 65536, or as declared]",
        ))
        .arg(option(
            "dispatch-limit",
            "SECONDS",
            ValueParser::new(seconds),
            "How long a handler may run without blocking before it is ended; 0 for ever [default: 5]",
        ))
        .arg(option(
            "admin",
            "ADDR:PORT",
            ValueParser::new(address),
            "Shows the workers' counters here, over HTTP, in Prometheus's text format",
        ))
        .arg(option(
            "confine",
            "PROFILE",
            ValueParser::new(str::parse::<Profile>),
            "What workers give up: off, nothing; basic, to signal or trace others and to change the machine; \
             strict, files, programs, listening and io_uring as well [default: basic]",
        ))
        .arg(option(
            "user",
            "USER[:GROUP]",
            ValueParser::new(str::parse::<User>),
            "Workers run as this user, by name or number; the keeper needs to be root",
        ))
        .arg(flag(
            "core-dumps",
            "Lets a worker that dies leave a core dump, which holds what clients have sent",
        ))
        .arg(flag("stdio", "Serves standard input and output instead of connections, then ends"))
        .arg(option(
            "log",
            "LEVEL",
            value_parser!(String),
            "error, warn, info, debug, trace, or a filter by module [default: info]",
        ))
        .after_help("Each option can be given in the environment, too: VK_LISTEN, VK_WORKERS, …");
    if let Some(usage) = app.args {
        command = command.arg(Arg::new("args").value_name(usage).num_args(0..));
    }
    command
}

/// A time of up to a year: `5`, `0.5`; none for `0`.
fn seconds(text: &str) -> Result<Option<Duration>, String> {
    let seconds: f64 = text.parse().map_err(|error: ParseFloatError| error.to_string())?;
    if !(0.0..=31_536_000.0).contains(&seconds) {
        return Err("out of range".into());
    }
    Ok(Some(Duration::from_secs_f64(seconds)).filter(|time| !time.is_zero()))
}

/// `ADDR:PORT`, where the address may be a name.
fn address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().map_err(|error| error.to_string())?;
    found.min_by_key(SocketAddr::is_ipv6).ok_or_else(|| "no address of that name".into())
}

/// A number of bytes: `8192`, `8k`, `1m`.
fn size(text: &str) -> Result<u32, String> {
    let (digits, unit) = match text.to_ascii_lowercase() {
        text if text.ends_with('k') => (text.trim_end_matches('k').to_owned(), 1 << 10),
        text if text.ends_with('m') => (text.trim_end_matches('m').to_owned(), 1 << 20),
        text => (text, 1),
    };
    let count: u32 = digits.parse().map_err(|error: ParseIntError| error.to_string())?;
    count.checked_mul(unit).filter(|bytes| *bytes > 0).ok_or_else(|| "out of range".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("8192"), Ok(8192));
        assert_eq!(size("8k"), Ok(8192));
        assert_eq!(size("2M"), Ok(2 << 20));
        for wrong in ["", "k", "0", "-1", "1g", "5000m", "9999999999"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    const APP: App = App {
        name: "app",
        version: "1",
        about: "",
        listeners: &[],
        stdio: None,
        args: Some("FILE"),
        check: None,
        heap: None,
        max_procs: None,
        opens_files: false,
        migrations: &[],
    };

    #[test]
    fn times_are_seconds() {
        assert_eq!(seconds("0.5"), Ok(Some(Duration::from_millis(500))));
        assert_eq!(seconds("0"), Ok(None));
        for wrong in ["", "-1", "nan", "inf", "1e99", "5s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_is_consistent() {
        command(&APP).debug_assert();
    }

    #[test]
    fn what_workers_give_up_is_chosen() {
        let read = |args: &[&str]| {
            let matches = command(&APP).try_get_matches_from([&["app"], args].concat());
            matches.map(|matches| read(&APP, &matches).confinement).map_err(|error| error.to_string())
        };
        let basic = Confinement { profile: Profile::Basic, user: None, core_dumps: false };
        assert_eq!(read(&[]), Ok(basic));
        assert_eq!(read(&["--confine", "off"]), Ok(Confinement { profile: Profile::Off, ..basic }));
        assert_eq!(read(&["--confine=strict"]), Ok(Confinement { profile: Profile::Strict, ..basic }));
        assert_eq!(read(&["--core-dumps"]), Ok(Confinement { core_dumps: true, ..basic }));
        assert!(read(&["--confine", "some"]).unwrap_err().contains("off, basic or strict is expected"));
        assert!(read(&["--user", "no-such-user"]).unwrap_err().contains("there is no user \"no-such-user\""));
    }
}
