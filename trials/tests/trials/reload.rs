//! SIGHUP: another build takes over, and nobody notices.

use crate::TRIAL;
use crate::builds::{
    FALLS, FIRST, Installation, MIGRATED_FRAME, NO_ADDRESS, OTHER_FRAME, OTHER_TEXT, reloads,
};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use vk_trials::{Load, Probe, Setup, Trial, Wrong, seed};
use vk_try::{Random, SIGHUP, SIGKILL, SIGTERM, eventually};

const SETUP: Setup = Setup { life: Duration::from_secs(300), ..Setup::DEFAULT };

/// Connections of the closed loop.
const LOOPS: usize = 16;

/// What a restart may cost who waits for an answer, on a machine that does much else.
const SHORT: Duration = Duration::from_secs(1);

/// In which time a reload that hangs is given up.
const GIVEN_UP: Duration = Duration::from_secs(60);

fn start(installation: &Installation) -> Trial {
    Trial::start_with(installation.path(), &SETUP, 1, |_| ())
}

/// Asks the keeper to reload, and waits until none of `workers` is left.
fn reload(trial: &Trial) {
    let before = trial.workers();
    trial.keeper().signal(SIGHUP);
    eventually("other workers after a reload", || {
        let now = trial.workers();
        now.len() == SETUP.workers && !now.iter().any(|worker| before.contains(worker))
    });
}

/// What a new connection is told.
fn text(address: SocketAddr) -> Result<String, Wrong> {
    let mut probe = Probe::to(address);
    probe.get("/text")?;
    let length = probe.incoming.head(200)?;
    let texts = ["first", "other text", "other frame", "migrated frame"];
    let found = texts.iter().find(|text| Some(text.len()) == length).expect("the length of one of the texts");
    probe.incoming.body(length, found.as_bytes())?;
    Ok((*found).to_owned())
}

#[track_caller]
fn says(trial: &Trial, expected: &str) {
    eventually(&format!("new connections are told {expected:?}"), || {
        text(trial.http()).expect("no new connection fails") == expected
    });
}

/// Asks without a pause on [`LOOPS`] connections while `act` runs.
fn in_a_loop(trial: &Trial, act: impl FnOnce()) {
    let (stop, answered, worst) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let address = trial.http();
    let ask = |n: usize| {
        let mut probe = Probe::to(address);
        let mut count = 0;
        while !stop.load(Relaxed) {
            count += 1;
            let begin = Instant::now();
            let state = format!("{count:08}");
            let result = probe.asks("/state", state.as_bytes());
            result.unwrap_or_else(|wrong| panic!("request {count} on connection {n} has failed: {wrong:?}"));
            worst.fetch_max(begin.elapsed().as_micros() as u64, Relaxed);
            answered.fetch_add(1, Relaxed);
        }
    };
    thread::scope(|scope| {
        let asking: Vec<_> = (0..LOOPS).map(|n| scope.spawn(move || ask(n))).collect();
        // The loops end if this panics, too.
        let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        stop.store(true, Relaxed);
        asking
            .into_iter()
            .for_each(|asking| asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        stopped.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let worst = Duration::from_micros(worst.into_inner());
    eprintln!("{} answers, the slowest after {worst:?}", answered.into_inner());
    assert!(worst < SHORT, "an answer took {worst:?}");
}

/// Connections that stand in the middle of something.
struct Halves {
    head: Probe,
    body: Probe,
    length: Option<usize>,
    sleeper: Probe,
}

const BODY: &[u8] = &[b'x'; 100_000];

impl Halves {
    fn begin(address: SocketAddr) -> Result<Halves, Wrong> {
        let [mut head, mut body, mut sleeper] = [(); 3].map(|()| Probe::to(address));
        head.asks("/state", b"00000001")?;
        head.outgoing.send(b"GET /state HT")?;
        let text =
            format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", BODY.len());
        body.outgoing.send(text.as_bytes())?;
        body.outgoing.send(&BODY[..BODY.len() / 2])?;
        let length = body.incoming.head(200)?;
        sleeper.get("/sleep")?;
        Ok(Halves { head, body, length, sleeper })
    }

    /// What was begun is done, and answered.
    fn go_on(&mut self) -> Result<(), Wrong> {
        self.sleeper.incoming.answer();
        let length = self.sleeper.incoming.head(200)?;
        self.sleeper.incoming.body(length, b"slept")?;
        self.body.outgoing.send(&BODY[BODY.len() / 2..])?;
        self.body.incoming.body(self.length, BODY)?;
        self.head.outgoing.send(b"TP/1.1\r\nHost: localhost\r\n\r\n")?;
        let length = self.head.incoming.head(200)?;
        self.head.incoming.body(length, b"00000002")
    }
}

/// From the first build to `build`, once `is_there`: who stands in the middle of something finishes it.
fn halves_go_on(test: &str, build: &str, is_there: impl FnOnce(&Trial)) {
    let installation = Installation::new(test);
    let trial = start(&installation);
    let halves: Vec<_> = (0..20).map(|_| Halves::begin(trial.http()).expect("it is served")).collect();
    installation.install(build);
    is_there(&trial);
    for (n, mut halves) in halves.into_iter().enumerate() {
        halves.go_on().unwrap_or_else(|wrong| panic!("{n} was in the middle of something: {wrong:?}"));
    }
    trial.end();
}

#[test]
fn halves_go_on_in_the_same_build() {
    halves_go_on("same", FIRST, reload);
}

#[test]
fn halves_go_on_with_another_text() {
    halves_go_on("text", OTHER_TEXT, |trial| {
        trial.keeper().signal(SIGHUP);
        says(trial, "other text");
    });
}

/// They are drained by the former build, or resumed; never misread.
#[test]
fn halves_go_on_beside_other_frames() {
    halves_go_on("frame", OTHER_FRAME, |trial| {
        trial.keeper().signal(SIGHUP);
        says(trial, "other frame");
    });
}

/// Who is drained is told which answer is the last one, and nobody else is.
#[test]
fn drained_connections_are_told() {
    let installation = Installation::new("told");
    let mut trial = start(&installation);
    let mut halves = Halves::begin(trial.http()).expect("it is served");
    installation.install(OTHER_FRAME);
    trial.keeper().signal(SIGHUP);
    says(&trial, "other frame");
    halves.go_on().expect("it is drained");
    // Its answer had begun before: it is told with the next one.
    halves.body.asks("/state", b"00000002").expect("it is drained, too");
    for mut drained in [halves.sleeper, halves.head, halves.body] {
        assert!(drained.incoming.is_last(), "a client does not know that its connection ends");
        drained.incoming.end().expect("it ends");
    }
    let mut new = Probe::to(trial.http());
    new.check();
    assert!(!new.incoming.is_last(), "the new build has just begun");
    new.check();
    trial.keeper().signal(SIGTERM);
    trial.wait();
}

#[test]
fn halves_go_on_where_frames_are_migrated() {
    halves_go_on("halves-migrated", MIGRATED_FRAME, |trial| {
        trial.keeper().signal(SIGHUP);
        says(trial, "migrated frame");
    });
}

/// A connection that waits between two requests goes on in another build, with what it has counted.
#[test]
fn idle_connections_are_migrated() {
    let installation = Installation::new("migrated");
    let trial = start(&installation);
    let mut idle: Vec<_> = (0..50).map(|_| Probe::to(trial.http())).collect();
    for probe in &mut idle {
        probe.asks("/state", b"00000001").expect("it is served");
    }
    installation.install(MIGRATED_FRAME);
    reload(&trial);
    for probe in &mut idle {
        probe.asks("/text", b"migrated frame").expect("the new build serves it");
        probe.asks("/state", b"00000003").expect("it has counted on");
    }
    trial.end();
}

/// Forth and back, a hundred times: no request fails, no descriptor is left over.
#[test]
fn a_hundred_reloads() {
    let installation = Installation::new("hundred");
    let trial = start(&installation);
    let before = trial.descriptors();
    in_a_loop(&trial, || {
        for n in 0..100 {
            let (build, text) = if n % 2 == 0 { (OTHER_TEXT, "other text") } else { (FIRST, "first") };
            installation.install(build);
            reload(&trial);
            says(&trial, text);
        }
    });
    trial.settles_at(before);
    trial.end();
}

/// Everything that is spoken goes on, WebSockets and streamed bodies with it.
#[test]
fn a_load_goes_on_over_reloads() {
    let seed = seed();
    let trial = Trial::start(TRIAL, &SETUP);
    let before = trial.descriptors();
    let load = Load::start(trial.addresses(), 40, seed);
    for _ in 0..10 {
        reload(&trial);
    }
    let summary = load.finish();
    assert!(summary.answered > 100 && summary.cut == 0, "{summary:?}");
    trial.settles_at(before);
    trial.end();
}

/// Whoever asks while a build is about to follow gets the one that lies there when he asks.
#[test]
fn the_last_build_is_the_one_that_serves() {
    let installation = Installation::new("last");
    let trial = start(&installation);
    for delay in 0..40 {
        let texts = [(OTHER_TEXT, "other text"), (FIRST, "first")];
        for (build, _) in texts {
            installation.install(build);
            trial.keeper().signal(SIGHUP);
            thread::sleep(Duration::from_millis(delay));
        }
        says(&trial, texts[1].1);
        installation.install(OTHER_TEXT);
        trial.keeper().signal(SIGHUP);
        says(&trial, "other text");
    }
    trial.end();
}

/// Ten in a second, and workers that die in between.
#[test]
fn reloads_without_patience() {
    let mut random = Random(seed());
    let installation = Installation::new("impatient");
    let trial = start(&installation);
    let before = trial.descriptors();
    installation.install(OTHER_TEXT);
    in_a_loop(&trial, || {
        for _ in 0..10 {
            trial.keeper().signal(SIGHUP);
            thread::sleep(Duration::from_millis(random.below(100)));
            let workers = trial.keeper().workers_now();
            if !workers.is_empty() && random.below(2) == 0 {
                workers[random.below(workers.len() as u64) as usize].signal(SIGKILL);
            }
        }
        says(&trial, "other text");
    });
    eventually("no workers but those that serve", || trial.workers().len() == SETUP.workers);
    trial.settles_at(before);
    trial.end();
}

/// What can't serve does not: the build that does goes on, says so, and can be replaced by a good one later.
#[test]
fn broken_builds_change_nothing() {
    let installation = Installation::new("broken");
    let trial = start(&installation);
    let before = trial.descriptors();
    in_a_loop(&trial, || {
        // One that ends at once, one that ends well, one that takes other options, one that is none.
        for text in ["#!/bin/false\n", "#!/bin/true\n", "#!/bin/ls\n", "not a program\n"] {
            installation.install_text(text);
            is_refused(&trial);
        }
        installation.remove();
        is_refused(&trial);
    });
    installation.install(OTHER_TEXT);
    reload(&trial);
    says(&trial, "other text");
    trial.settles_at(before);
    trial.end();
}

/// What fails only after exec has turned the keeper into it, or its workers: the build before comes back, from where
/// both have come, and can be replaced by a good one later.
fn comes_back(test: &str, broken: &str) {
    let installation = Installation::new(test);
    let trial = Trial::start_with(installation.path(), &SETUP, 0, |_| ());
    let before = trial.descriptors();
    let mut idle: Vec<_> = (0..50).map(|_| Probe::to(trial.http())).collect();
    for probe in &mut idle {
        probe.asks("/state", b"00000001").expect("it is served");
    }
    let halves: Vec<_> = (0..10).map(|_| Halves::begin(trial.http()).expect("it is served")).collect();
    installation.install(broken);
    in_a_loop(&trial, || {
        for _ in 0..3 {
            is_refused(&trial);
        }
    });
    eventually("each is counted", || reloads(trial.keeper()) == (0, 3));
    for probe in &mut idle {
        probe.asks("/state", b"00000002").expect("it goes on in the first build");
    }
    installation.install(OTHER_TEXT);
    reload(&trial);
    says(&trial, "other text");
    eventually("it is counted", || reloads(trial.keeper()) == (1, 3));
    for probe in &mut idle {
        probe.asks("/text", b"other text").expect("it goes on in the build after the broken one");
        probe.asks("/state", b"00000004").expect("it has counted on");
    }
    for mut halves in halves {
        halves.go_on().expect("it goes on where it was");
    }
    drop(idle);
    trial.settles_at(before);
    trial.end();
}

#[test]
fn a_build_that_can_not_listen_goes_back() {
    comes_back("listen", NO_ADDRESS);
}

#[test]
fn a_build_whose_workers_die_taking_over_goes_back() {
    comes_back("falls", FALLS);
}

/// A reload that must fail: it is told, and the first build serves.
fn is_refused(trial: &Trial) {
    let told = trial.log().len();
    trial.keeper().signal(SIGHUP);
    eventually("a line of the log with an error of the reload", || {
        trial.log()[told..].lines().any(|line| line.contains("ERROR") && line.contains("reload"))
    });
    assert!(trial.keeper().is_alive(), "the keeper has ended");
    assert_eq!(text(trial.http()).expect("it serves"), "first");
}

/// Nobody needs the file of what runs.
#[test]
fn an_application_that_is_deleted_serves_on() {
    let installation = Installation::new("deleted");
    let trial = start(&installation);
    installation.remove();
    in_a_loop(&trial, || {
        for _ in 0..3 {
            let workers = trial.workers();
            workers.iter().for_each(|worker| worker.signal(SIGKILL));
            workers.iter().for_each(|worker| trial.is_replaced(*worker, SETUP.workers));
        }
    });
    trial.end();
}

/// A build that never is ready.
#[test]
fn a_build_that_hangs_is_given_up() {
    let installation = Installation::new("hangs");
    let trial = start(&installation);
    installation.install_text("#!/bin/sh\nexec sleep 1000\n");
    in_a_loop(&trial, || {
        trial.keeper().signal(SIGHUP);
        let end = Instant::now() + GIVEN_UP;
        eventually("it is tried", || hangs(&trial));
        while hangs(&trial) {
            assert!(Instant::now() < end, "what hangs is not given up within {GIVEN_UP:?}");
            assert_eq!(text(trial.http()).expect("it serves"), "first");
            thread::sleep(Duration::from_millis(100));
        }
    });
    installation.install(OTHER_TEXT);
    reload(&trial);
    says(&trial, "other text");
    trial.end();
}

/// Whether a child of the keeper runs the program that hangs.
fn hangs(trial: &Trial) -> bool {
    trial.keeper().children().into_iter().any(|child| child.name() == "sleep")
}
