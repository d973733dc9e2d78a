//! The declaration of an application, as `vk_app!` writes it, and its `main`.

use crate::{options, serve};
use std::io;
use std::process::ExitCode;
use std::sync::OnceLock;
use vk_core::rt::Coroutine;
use vk_core::{Entry, Migration};

/// A coroutine that serves connections.
#[derive(Clone, Copy, Debug)]
pub struct Handler(pub(crate) &'static Entry);

impl Handler {
    /// The handler that is this coroutine.
    pub const fn of<C: Coroutine<Args = (), Output = io::Result<()>>>() -> Handler {
        Handler(Entry::handler::<C>())
    }
}

/// An address, and who serves it.
#[derive(Clone, Copy, Debug)]
pub struct Listener {
    /// `ADDR:PORT`.
    pub address: &'static str,
    /// Who serves its connections.
    pub handler: Handler,
}

/// An application.
#[derive(Clone, Copy, Debug)]
pub struct App {
    /// Its name, on the command line and in logs.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it does, in one line, for `--help`.
    pub about: &'static str,
    /// Where it listens.
    pub listeners: &'static [Listener],
    /// What `--stdio` runs, the first listener's handler if none; an application without listeners always runs
    /// it.
    pub stdio: Option<Handler>,
    /// The names of its positional arguments, if it takes any.
    pub args: Option<&'static str>,
    /// Whether the application can serve as it was called: if not, the line that it ends with.
    pub check: Option<fn() -> Result<(), String>>,
    /// Bytes of a micro-heap.
    pub heap: Option<u32>,
    /// Micro-processes at a time in one worker.
    pub max_procs: Option<u32>,
    /// Whether its handlers open files: then it can't serve where workers may not, under `--confine strict`.
    pub opens_files: bool,
    /// How variables of older builds' coroutines are carried over that can't be copied.
    pub migrations: &'static [Migration],
}

impl App {
    /// What `--stdio` runs.
    pub(crate) fn stdio(&self) -> Option<Handler> {
        self.stdio.or_else(|| self.listeners.first().map(|listener| listener.handler))
    }
}

static ARGS: OnceLock<Vec<String>> = OnceLock::new();

/// The positional arguments of the command line.
pub fn args() -> &'static [String] {
    ARGS.get().map_or(&[], Vec::as_slice)
}

/// Runs an application: reads the command line, listens, serves until a signal ends it.
///
/// The exit status is 0 after a drain, and 1, with one line that says why, if it can't begin.
pub fn main(app: &App) -> ExitCode {
    let options = match options::parse(app) {
        Ok(options) => options,
        // `--help` and `--version` come here, too: clap knows where they are printed and how they exit.
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    ARGS.get_or_init(|| options.args.clone());
    match serve::serve(app, &options) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("{}: {error}", app.name);
            ExitCode::FAILURE
        }
    }
}
