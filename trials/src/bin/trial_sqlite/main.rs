//! A table in SQLite that all workers write: its locks are fcntl(2)'s, which belong to a table of descriptors.
//!
//! `/add=N` adds row N, unless it is there; `/count` tells how many there are. A handler's code may run twice when its worker
//! dies, so what it does is made such that twice is once.

use rusqlite::Connection;
use std::cell::RefCell;
use std::time::Duration as Time;
use vk::prelude::*;
use vk_http::{self as http, Request};

thread_local! {
    static DATABASE: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// Runs `work` on this worker's connection.
fn with<T>(work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> io::Result<T> {
    DATABASE.with_borrow_mut(|database| {
        if database.is_none() {
            let opened = Connection::open(&vk::args()[0]).map_err(io::Error::other)?;
            opened.busy_timeout(Time::from_secs(4)).map_err(io::Error::other)?;
            *database = Some(opened);
        }
        work(database.as_ref().expect("just opened")).map_err(io::Error::other)
    })
}

fn prepare() -> Result<(), String> {
    let path = vk::args().first().ok_or("the path of a database is missing")?;
    let tables = "PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY)";
    Connection::open(path)
        .and_then(|database| database.execute_batch(tables))
        .map_err(|error| error.to_string())
}

#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        if let Some((_, id)) = request.path().split_once('=') {
            with(|database| database.execute("INSERT OR IGNORE INTO rows VALUES (?1)", [id]))?;
            http::json(io, &request, 200, &true)?;
        } else {
            let count: u64 =
                with(|database| database.query_row("SELECT count(*) FROM rows", [], |row| row.get(0)))?;
            http::json(io, &request, 200, &count)?;
        }
    }
    Ok(())
}

vk_app! {
    name: "trial_sqlite",
    about: "Adds rows to a database",
    listen: "127.0.0.1:0" => serve,
    args: "DATABASE",
    check: prepare,
    opens_files: true,
}
