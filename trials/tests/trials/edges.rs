//! What runs out or is refused costs what it must, and no more.

use crate::{TRIAL, free_address};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use std::{fs, thread};
use vk_trials::{Chaos, Crowd, Load, Probe, Setup, Trial, kills, seed};
use vk_try::{App, PATIENCE, Process, Random, SIGHUP, SIGKILL, eventually, pollers};

const SQLITE: &str = env!("CARGO_BIN_EXE_trial_sqlite");

/// A table of descriptors as small as this leaves nothing over when it is full.
const SMALL: &str = "64";

/// Starts the trial application by a shell that runs `before` first, at fixed addresses, since its log may not be seen: below
/// those that the kernel gives to others.
fn start_by_shell(before: &str, after: &str, poller: &str) -> (App, SocketAddr) {
    let addresses: Vec<SocketAddr> = (0..5).map(|_| free_address()).collect();
    let listen: String = addresses.iter().map(|address| format!(" --listen {address}")).collect();
    let line = format!("{before} exec {TRIAL} --workers 2 --poller {poller}{listen} {after}");
    let app = App::start(Command::new("sh").args(["-c", &line]));
    eventually("it serves", || Probe::try_to(addresses[1]).is_ok_and(|mut probe| probe.try_check().is_ok()));
    (app, addresses[1])
}

fn kill_each(keeper: Process) {
    for worker in keeper.workers() {
        worker.signal(SIGKILL);
        eventually("another worker", || {
            let now = keeper.workers();
            now.len() == 2 && !now.contains(&worker)
        });
    }
}

/// A worker that dies while its table is full is started again, and no connection is lost.
#[test]
fn no_descriptor_is_left() {
    for poller in pollers() {
        let (app, address) = start_by_shell(&format!("ulimit -n {SMALL};"), "", poller);
        // At work, so that they don't make way for the others, which fill the tables, and the backlog.
        let mut served: Vec<Probe> = (0..40).map(|_| Probe::to(address)).collect();
        served.iter_mut().for_each(|probe| probe.get("/sleep?ms=4000").expect("it is taken in"));
        let waiting: Vec<Probe> = (0..100).map(|_| Probe::to(address)).collect();
        thread::sleep(Duration::from_millis(300));
        for _ in 0..3 {
            kill_each(app.process());
        }
        app.process().signal(SIGHUP);
        eventually("a reload is over", || {
            app.log().contains("this build serves") || app.log().contains("refused")
        });
        for probe in &mut served {
            let length = probe.incoming.head(200).expect("it is answered");
            probe.incoming.body(length, b"slept").expect("all of it");
        }
        drop((served, waiting));
        eventually("newcomers are served", || {
            Probe::try_to(address).is_ok_and(|mut probe| probe.try_check().is_ok())
        });
    }
}

/// A log that can't be written, since its disk is full, stops nobody.
#[test]
fn the_disk_of_the_log_is_full() {
    for poller in pollers() {
        let (app, address) = start_by_shell("", "2>/dev/full", poller);
        let mut idle = Probe::to(address);
        idle.check();
        kill_each(app.process());
        let before = app.process().workers();
        app.process().signal(SIGHUP);
        eventually("another build serves", || {
            let now = app.process().workers();
            now.len() == 2 && now.iter().all(|worker| !before.contains(worker))
        });
        idle.check();
        Probe::fire(address, "/panic");
        idle.check();
    }
}

/// A handler that does not return keeps a reload from taking over: it is refused, and the rest is served on.
#[test]
fn a_reload_during_a_dispatch_without_end() {
    let setup = Setup { workers: 2, dispatch_limit: Some("0"), ..Setup::DEFAULT };
    let trial = Trial::start(TRIAL, &setup);
    let mut innocent: Vec<Probe> = (0..40).map(|_| Probe::to(trial.http())).collect();
    innocent.iter_mut().for_each(Probe::check);
    let mut spinning = Probe::to(trial.http());
    spinning.get("/spin").expect("it is taken in");
    thread::sleep(Duration::from_millis(100));
    trial.keeper().signal(SIGHUP);
    eventually("the reload is refused", || trial.log().contains("reload refused"));
    let served = thread::scope(|scope| {
        let asked: Vec<_> =
            innocent.iter_mut().map(|probe| scope.spawn(|| probe.try_check().is_ok())).collect();
        asked.into_iter().map(|asked| asked.join().expect("no panic")).filter(|served| *served).count()
    });
    assert!(served > 0, "the other worker serves on");
}

/// fcntl locks exclude the workers from one another: what was acknowledged is there, once.
#[test]
fn sqlite() {
    let mut random = Random(seed());
    let path = format!("{}/sqlite-{}.db", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let setup = Setup { workers: 4, ..Setup::DEFAULT };
    let trial = Trial::start_with(SQLITE, &setup, 1, |command| _ = command.arg(&path));
    let (address, over) = (trial.http(), AtomicBool::new(false));
    let acknowledged: u64 = thread::scope(|scope| {
        let clients: Vec<_> = (0..16_u64)
            .map(|client| {
                let over = &over;
                scope.spawn(move || {
                    let (mut probe, mut count) = (Probe::to(address), 0);
                    while !over.load(SeqCst) {
                        probe.get(&format!("/add={}", client << 32 | count)).expect("it stands");
                        let length = probe.incoming.head(200).expect("it is written");
                        probe.incoming.body(length, b"true").expect("an answer");
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        // Slower than a write: a handler that is killed eight times in one turn is taken for the cause.
        for _ in 0..kills().min(100) {
            thread::sleep(Duration::from_millis(20 + random.below(100)));
            let workers = trial.workers();
            if !workers.is_empty() {
                workers[random.below(workers.len() as u64) as usize].signal(SIGKILL);
            }
        }
        over.store(true, SeqCst);
        clients.into_iter().map(|client| client.join().expect("each write is acknowledged")).sum()
    });
    Probe::to(address).asks("/count", acknowledged.to_string().as_bytes()).expect("each row is there, once");
    drop(trial);
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{path}{suffix}"));
    }
}

/// Urgent data is in the stream, at its place, whether its worker dies before, between or after.
#[test]
fn urgent_data() {
    const TEXT: &[u8] = b"0123456789";
    for poller in pollers() {
        let trial = Trial::start(TRIAL, &Setup { workers: 1, poller, ..Setup::DEFAULT });
        for (position, kill) in
            (0..TEXT.len()).flat_map(|at| [None, Some(at / 2), Some(at)].map(|kill| (at, kill)))
        {
            let mut client = TcpStream::connect(trial.addresses()[0]).expect("it listens");
            client.set_read_timeout(Some(PATIENCE)).expect("a socket");
            client.set_nodelay(true).expect("a socket");
            for (at, byte) in TEXT.iter().enumerate() {
                if kill == Some(at) {
                    trial.workers()[0].signal(SIGKILL);
                }
                if at == position {
                    SockRef::from(&client).send_out_of_band(&[*byte]).expect("it stands");
                } else {
                    client.write_all(&[*byte]).expect("it stands");
                }
            }
            client.shutdown(Shutdown::Write).expect("it stands");
            let mut back = Vec::new();
            client
                .read_to_end(&mut back)
                .unwrap_or_else(|error| panic!("urgent at {position}, kill {kill:?}: {error}"));
            assert_eq!(back, TEXT, "urgent at {position}, kill {kill:?}");
        }
        trial.end();
    }
}

/// Resets, kills and reloads together leave nothing behind.
#[test]
fn a_storm_of_resets() {
    let mut random = Random(seed());
    let trial = Trial::start(TRIAL, &Setup::LONG);
    let before = trial.descriptors();
    let mut crowd = Some(Crowd::gather(&trial, 50, random.number()));
    let load = Load::start(trial.addresses(), 16, random.number());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            let (address, over) = (trial.http(), &over);
            scope.spawn(move || {
                while !over.load(SeqCst) {
                    let Ok(mut probe) = Probe::try_to(address) else { continue };
                    let _ = probe.get("/plaintext");
                    probe.outgoing.reset_on_drop();
                }
            });
        }
        for round in 0..kills() / 20 + 1 {
            if round == 10 {
                // Who is half-way in a body for half a minute is ended.
                crowd.take().into_iter().for_each(Crowd::finish);
            }
            Chaos::new(trial.keeper(), random.number()).run(10, || load.has_failed());
            trial.keeper().signal(SIGHUP);
            thread::sleep(Duration::from_millis(300));
        }
        over.store(true, SeqCst);
    });
    load.finish();
    crowd.into_iter().for_each(Crowd::finish);
    trial.settles_at(before);
    trial.end();
}
