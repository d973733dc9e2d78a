use crate::{echo, pid, stand_in};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::process::Stdio;
use vk_try::{App, SIGKILL, command, eventually};

/// What it prints.
#[track_caller]
fn ps(args: &[&str]) -> String {
    let args = [&["ps"], args].concat();
    let vk =
        App::start(command(env!("CARGO_BIN_EXE_vk"), &args).stdin(Stdio::piped()).stdout(Stdio::piped()));
    let (output, status) = vk.filter(b"");
    assert!(status.success());
    String::from_utf8(output).expect("text")
}

/// The workers' rows, by title.
fn workers(app: &App) -> Vec<BTreeMap<String, String>> {
    let table = ps(&[&pid(app)]);
    let mut lines = table.lines();
    let keeper = lines.next().expect("the keeper");
    assert!(keeper.starts_with(&format!("keeper {}, up ", pid(app))), "{table}");
    assert!(
        keeper.contains(", reloads 0, refused 0: ") && keeper.contains("examples/echo --listen"),
        "{table}"
    );
    let titles: Vec<_> = lines.next().expect("the titles").split_whitespace().collect();
    let row = |line: &str| {
        let cells: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(cells.len(), titles.len(), "{table}");
        titles.iter().map(|title| title.to_string()).zip(cells).collect()
    };
    lines.map(row).collect()
}

/// One column.
fn column(app: &App, title: &str) -> Vec<u64> {
    workers(app).iter().map(|row| row[title].parse().unwrap_or(0)).collect()
}

/// The workers' processes, once all show themselves.
fn pids(app: &App) -> Vec<u64> {
    let mut pids = Vec::new();
    eventually("the rows are the workers'", || {
        pids = column(app, "PID");
        let children = app.process().workers().into_iter().map(|child| u64::from(child.0));
        pids.len() == 2 && pids.iter().copied().collect::<BTreeSet<_>>() == children.collect()
    });
    pids
}

#[test]
fn workers_are_shown_as_they_are() {
    let app = echo("2");
    let before = pids(&app);
    let live = || column(&app, "LIVE").iter().sum::<u64>();
    let idle = live();
    let mut client = app.connect();
    client.write_all(b"hello\n").expect("it listens");
    client.read_exact(&mut [0; 6]).expect("it answers");
    eventually("the connection is shown", || live() == idle + 1);
    assert!(column(&app, "DISPATCHES").iter().sum::<u64>() > 0);
    assert_eq!(column(&app, "RESTARTS"), [0, 0]);
    for row in workers(&app) {
        assert_eq!((row["RUNNING"].as_str(), row["FAULTS"].as_str()), ("-", "0"));
        assert!(row["MEMORY"].ends_with(['K', 'M']), "{row:?}");
    }
    app.process()
        .workers()
        .into_iter()
        .find(|worker| u64::from(worker.0) == before[1])
        .expect("it is there")
        .signal(SIGKILL);
    eventually("its successor is shown", || column(&app, "RESTARTS") == [0, 1]);
    let after = pids(&app);
    assert!(after[0] == before[0] && after[1] != before[1], "{before:?} {after:?}");
}

#[test]
fn each_keeper_is_shown_once() {
    let (app, alone, keeper) = (echo("2"), echo("0"), stand_in(&[]));
    pids(&app);
    eventually("who serves alone shows itself", || column(&alone, "PID") == [u64::from(alone.process().0)]);
    let table = ps(&[]);
    for app in [&app, &alone, &keeper] {
        let line = format!("keeper {}, up ", pid(app));
        assert_eq!(table.lines().filter(|found| found.starts_with(&line)).count(), 1, "{table}");
    }
    for worker in app.process().workers() {
        assert!(!table.contains(&format!("keeper {},", worker.0)), "{table}");
    }
}
