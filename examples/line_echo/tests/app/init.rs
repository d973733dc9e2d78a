//! The application as the first process of a container, with pid 1: orphans become its children, and signals
//! that it doesn't act on don't reach it.

use crate::{Client, LINE_ECHO};
use std::path::Path;
use std::process::{Command, Stdio};
use vk_try::{App, Process, SIGKILL, SIGTERM, command, eventually};

const NAMESPACES: [&str; 4] = ["--pid", "--fork", "--mount-proc", "--kill-child"];

/// Starts it as pid 1 of a new namespace; none where that isn't permitted. Returns its keeper, too.
fn start() -> Option<(App, Process)> {
    let permitted = Command::new("unshare").args(NAMESPACES).arg("true").output();
    if !permitted.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no namespace of its own: {permitted:?}");
        return None;
    }
    let args = [&NAMESPACES[..], &[LINE_ECHO, "--listen", "127.0.0.1:0", "--workers", "2"]].concat();
    let app = App::start(&mut command("unshare", &args));
    app.address(0);
    let keeper = app.process().children()[0];
    eventually("both workers", || keeper.children().len() == 2);
    Some((app, keeper))
}

#[test]
fn pid_1_drains_at_sigterm() {
    let Some((mut app, keeper)) = start() else { return };
    let mut client = Client::of(&app);
    client.check("served\n");
    keeper.signal(SIGTERM);
    assert_eq!(client.rest(), b"");
    assert_eq!(app.wait().code(), Some(0));
}

#[test]
fn pid_1_buries_orphans() {
    let Some((app, keeper)) = start() else { return };
    let workers = keeper.children();
    // A shell that ends before what it has started.
    let shell = Command::new("nsenter")
        .args(["--pid", "--target", &keeper.0.to_string(), "sh", "-c", "sleep 30 &"])
        .stdin(Stdio::null())
        .status();
    assert!(shell.expect("util-linux has both").success());
    let orphan = || keeper.children().into_iter().find(|child| !workers.contains(child));
    eventually("an orphan is its child", || orphan().is_some());
    let orphan = orphan().expect("it was there");
    orphan.signal(SIGKILL);
    eventually("the orphan is waited for", || !Path::new(&format!("/proc/{}", orphan.0)).exists());
    assert_eq!(keeper.children(), workers);
    Client::of(&app).check("served\n");
}
