//! People without browsers.

use crate::{kill_workers, start};
use std::io::{Read, Write};
use std::net::TcpStream;
use vk_try::{App, SIGTERM};

struct Person(TcpStream);

impl Person {
    fn join(app: &App) -> Person {
        let mut stream = app.connect();
        let host = app.address(0);
        write!(
            stream,
            "GET /chat HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
        Person(stream)
    }

    /// Sends a frame; its mask is 0.
    fn send(&mut self, first: u8, payload: &[u8]) {
        let head = [first, 0x80 | payload.len() as u8, 0, 0, 0, 0];
        self.0.write_all(&[&head, payload].concat()).unwrap();
    }

    fn says(&mut self, text: &str) {
        self.send(0x81, text.as_bytes());
    }

    /// The next frame's first byte and payload.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        assert!(head[1] < 126);
        let mut payload = vec![0; head[1].into()];
        self.0.read_exact(&mut payload).unwrap();
        (head[0], payload)
    }

    fn hears(&mut self, text: &str) {
        let (first, payload) = self.frame();
        assert_eq!((first, String::from_utf8(payload).unwrap().as_str()), (0x81, text));
    }
}

#[test]
fn everybody_hears_everything_once_whoever_is_killed() {
    let (app, _) = start("sockets");
    let mut people: Vec<Person> = (0..6).map(|_| Person::join(&app)).collect();
    let mut round = |round: usize, kill: &dyn Fn()| {
        for number in 0..people.len() {
            // Half of a frame before, half of it behind.
            let frame = [&[0x81, 0x84, 0, 0, 0, 0][..], format!("{round}: {number}").as_bytes()].concat();
            let frame = &frame[..10];
            people[number].0.write_all(&frame[..7]).unwrap();
            if number == 3 {
                kill();
            }
            people[number].0.write_all(&frame[7..]).unwrap();
            people.iter_mut().for_each(|person| person.hears(&format!("{round}: {number}")));
        }
    };
    round(0, &|| {});
    for number in 1..5 {
        round(number, &|| kill_workers(&app));
    }
    people[0].send(0x89, b"there?");
    assert_eq!(people[0].frame(), (0x8a, b"there?".to_vec()));
    people[0].send(0x88, b"\x03\xe8");
    assert_eq!(people[0].frame(), (0x88, b"\x03\xe8".to_vec()));
    assert_eq!(people[0].0.read(&mut [0]).unwrap(), 0);
}

/// What is said while workers are killed at any moment is written down once, and in order.
#[test]
fn nothing_is_lost_or_said_twice() {
    const WORDS: usize = 300;
    let (app, log) = start("words");
    let mut person = Person::join(&app);
    let mut speaker = Person(person.0.try_clone().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(move || (0..WORDS).for_each(|word| speaker.says(&format!("{word}"))));
        scope.spawn(|| (0..5).for_each(|_| kill_workers(&app)));
        (0..WORDS).for_each(|word| person.hears(&format!("{word}")));
    });
    let log = std::fs::read_to_string(log).unwrap();
    assert_eq!(log.lines().count(), WORDS);
}

#[test]
fn a_drain_says_goodbye() {
    let (mut app, _) = start("drain");
    let mut person = Person::join(&app);
    person.says("one");
    person.hears("one");
    app.process().signal(SIGTERM);
    assert_eq!(person.frame(), (0x88, b"\x03\xe9".to_vec()));
    drop(person);
    assert!(app.wait().success());
}

#[test]
fn strangers_are_refused() {
    let (app, _) = start("strangers");
    let mut stream = app.connect();
    let fields = "Host: a\r\nOrigin: http://b\r\nUpgrade: websocket\r\nConnection: Upgrade, close";
    write!(stream, "GET /chat HTTP/1.1\r\n{fields}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}
