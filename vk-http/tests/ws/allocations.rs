//! After warm-up a message costs no allocation.

use crate::counting::{COUNT, COUNTED};
use crate::frames::{HELLO, WELCOME, echo, masked, plain};
use crate::harness;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::Relaxed;

/// Asserts that `question` is answered with `answer`.
fn ask(client: &mut UnixStream, question: &[u8], answer: &[u8]) {
    client.write_all(question).unwrap();
    let mut bytes = vec![0; answer.len()];
    client.read_exact(&mut bytes).unwrap();
    assert!(bytes == answer);
}

fn round(client: &mut UnixStream) {
    for length in [0, 10, 400, 3000, 100_000] {
        let bytes = vec![7; length];
        let (whole, halves) = (masked(0x82, &bytes), [masked(0x02, &bytes), masked(0x80, b"")].concat());
        ask(client, &whole, &plain(0x82, &bytes));
        ask(client, &halves, &plain(0x82, &bytes));
    }
    ask(client, &masked(0x81, "µ".as_bytes()), &plain(0x81, "µ".as_bytes()));
    ask(client, &masked(0x89, b"there?"), &plain(0x8a, b"there?"));
}

#[test]
fn messages_cost_no_allocation() {
    let (mut client, worker) = harness::serve::<echo>(|| COUNTED.set(true));
    client.write_all(HELLO.as_bytes()).unwrap();
    let mut welcome = vec![0; WELCOME.len() + "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n".len()];
    client.read_exact(&mut welcome).unwrap();
    (0..10).for_each(|_| round(&mut client));
    let before = COUNT.load(Relaxed);
    assert!(before > 0, "the worker's preparations are counted");
    (0..300).for_each(|_| round(&mut client));
    assert_eq!(COUNT.load(Relaxed), before);
    drop(client);
    worker.join().unwrap();
}
