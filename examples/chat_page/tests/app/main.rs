//! The application as its users run it.

mod browser;
mod sockets;

use std::path::{Path, PathBuf};
use vk_try::{App, SIGKILL, command, eventually};

/// The application, with a file of its own for the test called `name`, and the file.
fn start(name: &str) -> (App, PathBuf) {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"));
    let _ = std::fs::remove_file(&log);
    let args = ["--listen", "127.0.0.1:0", "--workers", "2", log.to_str().unwrap()];
    (App::start(&mut command(env!("CARGO_BIN_EXE_chat_page"), &args)), log)
}

/// Kills all workers, and waits for their successors.
fn kill_workers(app: &App) {
    let workers = app.process().children();
    workers.iter().for_each(|worker| worker.signal(SIGKILL));
    eventually("new workers", || {
        let now = app.process().children();
        now.len() == workers.len() && now.iter().all(|worker| !workers.contains(worker))
    });
}
