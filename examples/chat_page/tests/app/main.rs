//! The application as its users run it.

mod browser;
mod confined;
mod sockets;

use std::path::{Path, PathBuf};
use vk_try::{App, SIGHUP, SIGKILL, command, eventually};

const BUILD: &str = env!("CARGO_BIN_EXE_chat_page");

/// The application, with a file of its own for the test called `name`, and the file.
fn start(name: &str) -> (App, PathBuf) {
    start_at(Path::new(BUILD), name)
}

/// As [`start`], installed at `path`.
fn start_at(path: &Path, name: &str) -> (App, PathBuf) {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"));
    let _ = std::fs::remove_file(&log);
    let args = ["--listen", "127.0.0.1:0", "--workers", "2", log.to_str().unwrap()];
    (App::start(&mut command(path.to_str().unwrap(), &args)), log)
}

/// Kills all workers, and waits for their successors.
fn kill_workers(app: &App) {
    replaces_workers(app, || app.process().workers().iter().for_each(|worker| worker.signal(SIGKILL)));
}

/// Lets the build that is at its path now take over.
fn reload(app: &App) {
    replaces_workers(app, || app.process().signal(SIGHUP));
}

/// Waits until all workers are others after `act`.
fn replaces_workers(app: &App, act: impl FnOnce()) {
    let workers = app.process().workers();
    act();
    eventually("new workers", || {
        let now = app.process().workers();
        now.len() == workers.len() && now.iter().all(|worker| !workers.contains(worker))
    });
}
