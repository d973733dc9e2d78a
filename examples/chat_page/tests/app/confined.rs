//! Where it can't work, it does not begin.

use crate::BUILD;
use std::process::Stdio;
use vk_try::{App, command};

#[test]
fn workers_that_may_open_no_file_are_none() {
    let mut command = command(BUILD, &["--listen", "127.0.0.1:0", "--confine", "strict"]);
    let mut app = App::start(command.stdout(Stdio::null()));
    assert_eq!(app.wait().code(), Some(1));
    let log = app.log();
    assert!(
        log.contains("--confine strict lets no worker open files") && !log.contains("listening"),
        "{log}"
    );
}
