//! Runs lowered code: whatever suspends where, the output is the same.
#![deny(missing_docs, unsafe_code, unused_must_use)]

mod support;

use std::io;
use support::{Comparable, Fine, byte, check, checks, digit, say};
use vk::{Io, Line, Plain};

#[vk::coroutine]
fn echo(io: &mut Io) -> Fine<()> {
    let mut line: Line<64> = Line::new();
    while io.read_line(&mut line).kind()? {
        io.write_all(&line).kind()?;
        io.flush().kind()?;
    }
    Ok(())
}

#[vk::coroutine]
fn sum(io: &mut Io, start: u32, mut count: u32) -> Fine<u32> {
    let mut total: u32 = start;
    while count > 0 {
        total += digit(io)?;
        count -= 1;
    }
    write!(io, "{total}:{}", count).kind()?;
    Ok(total)
}

#[vk::coroutine]
fn words(io: &mut Io) -> Fine<()> {
    say(io, "begin")?;
    loop {
        let next: Option<u8> = byte(io);
        match next {
            None => break,
            Some(b' ') => continue,
            Some(letter) if letter.is_ascii_digit() => {
                let value: u8 = letter - b'0';
                let doubled: u8 = value * 2;
                write!(io, "<{}>", doubled).kind()?;
            }
            Some(letter) => {
                let letter: u8 = letter;
                io.write_all(&[letter, letter]).kind()?;
            }
        }
    }
    say(io, "end")
}

/// A state with coroutines for methods.
#[derive(Clone, Copy, Debug, Plain)]
struct Session {
    seen: u32,
    last: Option<u8>,
}

#[vk::coroutine]
impl Session {
    fn new() -> Session {
        Session { seen: 0, last: None }
    }

    /// Takes a byte.
    fn take(&mut self, io: &mut Io, twice: bool) -> Option<u8> {
        let byte: u8 = byte(io)?;
        self.seen += 1;
        self.last = Some(byte);
        if twice {
            io.write_all(&[byte]).ok()?;
        }
        io.write_all(&[byte]).ok()?;
        Some(byte)
    }

    fn all(&mut self, io: &mut Io) -> u32 {
        while let Some(byte) = self.take(io, true) {
            let byte: u8 = byte;
            if byte == b'.' {
                Self::stop(self, io);
                break;
            }
        }
        self.seen
    }

    fn stop(&self, io: &mut Io) {
        let Some(last) = self.last else { return };
        let last: u8 = last;
        let _ = write!(io, "|{}", last as char);
        let _ = write!(io, "|{}", self.seen);
    }
}

#[vk::coroutine]
fn session(io: &mut Io) -> u32 {
    let mut session: Session = Session::new();
    session.take(io, false);
    let count: u32 = session.all(io);
    session.stop(io);
    Session::stop(&session, io);
    count + session.seen
}

checks! {
    echoes: echo() on "a\nbc\nd" => Ok(()), "a\nbc\nd";
    sums: sum(10, 3) on "1234" => Ok(16), "16:0";
    fails: sum(10, 3) on "1x" => Err(io::ErrorKind::InvalidData), "";
    ends: sum(0, 3) on "1" => Err(io::ErrorKind::UnexpectedEof), "";
    matches: words() on "a 1b" => Ok(()), "begin\naa<2>bbend\n";
    methods: session() on "ab.x" => 6, "abb..|.|3|.|3|.|3";
}
