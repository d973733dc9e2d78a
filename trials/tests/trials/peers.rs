//! What clients do while nobody serves them.

use crate::TRIAL;
use std::thread;
use std::time::Duration;
use vk_trials::{Crowd, Probe, Setup, Trial, seed};
use vk_try::{Random, SIGCONT, SIGKILL, SIGSTOP};

/// Stops all workers, lets `act` do something, kills the workers, and waits for the next ones.
fn between_workers(trial: &Trial, act: impl FnOnce()) {
    let (workers, holders) = (trial.workers(), trial.holders());
    // A holder continues a worker that was stopped.
    holders.iter().chain(&workers).for_each(|process| process.signal(SIGSTOP));
    act();
    workers.iter().for_each(|worker| worker.signal(SIGKILL));
    holders.iter().for_each(|holder| holder.signal(SIGCONT));
    workers.iter().for_each(|worker| trial.is_replaced(*worker, workers.len()));
}

/// Resets, ends of stream and requests that arrive while the worker is dead are noticed by the next one.
#[test]
fn what_peers_did_meanwhile_is_noticed() {
    let trial = Trial::start(TRIAL, &Setup::DEFAULT);
    let mut witness = Probe::to(trial.http());
    witness.check();
    let before = trial.descriptors();
    let crowd = Crowd::gather(&trial, 100, seed());
    let served = || {
        let mut probe = Probe::to(trial.http());
        probe.check();
        probe
    };
    let [resets, ends, mut asks] = [(); 3].map(|()| (0..20).map(|_| served()).collect::<Vec<_>>());
    between_workers(&trial, || {
        resets.iter().for_each(|probe| probe.outgoing.reset_on_drop());
        drop(resets);
        ends.iter().for_each(|probe| probe.outgoing.hang_up());
        for probe in &mut asks {
            probe.get("/state").expect("the kernel takes it in");
            probe.outgoing.hang_up();
        }
    });
    for mut probe in ends {
        probe.incoming.end().expect("the end is answered with the end");
    }
    for mut probe in asks {
        let length = probe.incoming.head(200).expect("what was asked is answered");
        probe.incoming.body(length, b"2").expect("the connection is the same");
        probe.incoming.end().expect("the end is answered with the end");
    }
    crowd.finish();
    trial.settles_at(before);
    witness.check();
    trial.end();
}

/// A client that reads nothing while workers come and go gets all of a large answer.
#[test]
fn a_slow_reader_gets_everything() {
    const BODY: usize = 8 << 20;
    let mut random = Random(seed());
    let trial = Trial::start(TRIAL, &Setup { workers: 1, ..Setup::DEFAULT });
    let body: Vec<u8> = (0..BODY).map(|_| random.number() as u8).collect();
    let mut slow = Probe::to(trial.http());
    let sent = body.clone();
    let mut sender = slow.outgoing.share();
    let sending = thread::spawn(move || {
        let head = format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {BODY}\r\n\r\n");
        sender.send(head.as_bytes()).and_then(|()| sender.send(&sent))
    });
    // All buffers fill up, and stay so.
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(random.below(300)));
        between_workers(&trial, || ());
    }
    let length = slow.incoming.head(200).expect("the answer has begun");
    slow.incoming.body(length, &body).expect("it goes on");
    sending.join().expect("it reports").expect("all is taken in");
    slow.asks("/state", b"2").expect("the connection is the same");
    trial.end();
}
