//! The tool `vk` as its users run it: on an application, and on a stand-in for a keeper whose answers are chosen.

mod ps;
mod reload;
mod watch;

use std::path::PathBuf;
use vk_try::{App, command, eventually};

/// The tool.
fn vk(args: &[&str]) -> App {
    App::start(&mut command(env!("CARGO_BIN_EXE_vk"), args))
}

/// Runs it to its end: exit status, and what it says on standard error.
#[track_caller]
fn run(args: &[&str]) -> (Option<i32>, String) {
    let mut vk = vk(args);
    let status = vk.wait();
    (status.code(), vk.log())
}

/// One of this package's examples, which `cargo test` builds.
fn example(name: &str) -> String {
    let mut path = PathBuf::from(env!("CARGO_BIN_EXE_vk"));
    path.set_file_name("examples");
    path.push(name);
    path.into_os_string().into_string().expect("a path in UTF-8")
}

fn stand_in(answers: &[&str]) -> App {
    let app = App::start(&mut command(&example("stand_in"), answers));
    eventually("the stand-in is ready", || app.log().contains("ready"));
    app
}

/// The application `echo` on a free port.
fn echo(workers: &str) -> App {
    let app = App::start(&mut command(&example("echo"), &["--listen", "127.0.0.1:0", "--workers", workers]));
    app.address(0);
    app
}

fn pid(app: &App) -> String {
    app.process().0.to_string()
}
