//! The hand-written bodies: every feature of the language, one after the other.
//!
//! A body is a `pub fn name(io: &mut Io) -> io::Result<u64>`; what else stands here is called by bodies. The
//! build script writes this file's twin by leaving out the lines `#[vk_macros::coroutine]`.

use super::*;
use crate::tools::{fold, mix, number};
use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::time::Duration;

// Reading and writing.

#[vk_macros::coroutine]
pub fn lines(io: &mut Io) -> io::Result<u64> {
    let mut line: Line<24> = Line::new();
    let mut count: u64 = 0;
    while io.read_line(&mut line)? {
        io.write_all(&line)?;
        count += 1;
    }
    Ok(count)
}

#[vk_macros::coroutine]
pub fn receiving(io: &mut Io) -> io::Result<u64> {
    let mut hash: u64 = 0;
    let mut four: [u8; 4] = [0; 4];
    io.read_exact(&mut four)?;
    hash = fold(hash, &four);
    io.read_exact(&mut four[1..3])?;
    io.read_exact(&mut [])?;
    hash = fold(hash, &four);
    io.skip(3)?;
    io.skip(0)?;
    let seen: usize = io.peek(&mut four[..1])?;
    hash = mix(hash, seen as u64 + u64::from(four[0]));
    let there: usize = io.fill(10)?.min(10);
    hash = fold(hash, &io.buffered()?[..there]);
    write!(io, "{hash:x} {there}\n")?;
    let none: usize = io.read(&mut [])?;
    let mut part: [u8; 50] = [0; 50];
    let mut total: usize = none;
    while total < part.len() {
        let count = io.read(&mut part[total..])?;
        if count == 0 {
            break;
        }
        total += count;
    }
    hash = fold(hash, &part[..total]);
    if !io.eof()? {
        let moved: u64 = io.forward(20)?;
        hash = mix(hash, moved);
    }
    io.read_hangup()?;
    let end = io.eof()?;
    Ok(mix(hash, u64::from(end)))
}

#[vk_macros::coroutine]
pub fn filling(io: &mut Io) -> io::Result<u64> {
    let mut hash: u64 = 0;
    for count in 1..12u64 {
        let count: usize = count as usize * 20;
        let there: usize = io.fill(count)?.min(count);
        hash = fold(hash, &io.buffered()?[..there]);
        io.skip(there as u64 / 2)?;
        let again: usize = io.fill(0)?.min(0);
        write!(io, "{there} {again},")?;
    }
    match io.fill(65_537) {
        Ok(_) => Ok(hash),
        Err(error) => Err(error),
    }
}

#[vk_macros::coroutine]
pub fn sending(io: &mut Io) -> io::Result<u64> {
    let text: [u8; 700] = [b'x'; 700];
    let mut at: usize = 0;
    while at < text.len() {
        at += io.write(&text[at..])?;
    }
    for round in 0..4u64 {
        io.write_all(&text)?;
        writeln!(io, "{round:>9000}|{:<3}|{0:?}", round ^ 1)?;
        io.flush()?;
    }
    writeln!(io)?;
    io.write_all(b"")?;
    let moved: u64 = io.forward(u64::MAX)?;
    io.shutdown()?;
    io.shutdown()?;
    io.flush()?;
    match io.write(b"late") {
        Ok(_) => Ok(0),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            let refused: bool = io.hangup().is_err();
            Ok(moved + u64::from(refused))
        }
        Err(error) => Err(error),
    }
}

#[vk_macros::coroutine]
pub fn hanging_up(io: &mut Io) -> io::Result<u64> {
    io.write_all(b"end")?;
    io.hangup()?;
    let moved: Result<u64, ErrorKind> = io.forward(4).map_err(|error| error.kind());
    write!(io, "{moved:?}")?;
    Ok(1)
}

#[vk_macros::coroutine]
pub fn waiting(io: &mut Io) -> io::Result<u64> {
    io.deadline(Duration::from_secs(3600))?;
    io.checkpoint("begin")?;
    for turn in 0..3u32 {
        io.yield_now()?;
        io.sleep(Duration::ZERO)?;
        io.sleep(Duration::from_nanos(50))?;
        write!(io, "{turn}")?;
    }
    patient(io).or_else(|error| if error.kind() == ErrorKind::UnexpectedEof { Ok(9) } else { Err(error) })
}

#[vk_macros::coroutine]
fn patient(io: &mut Io) -> io::Result<u64> {
    io.deadline(Duration::from_secs(1800))?;
    let mut byte: [u8; 1] = [0];
    io.read_exact(&mut byte)?;
    Ok(u64::from(byte[0]))
}

#[vk_macros::coroutine]
pub fn heap_bytes(io: &mut Io) -> io::Result<u64> {
    let mut bytes: HeapBytes = io.alloc(100)?;
    let mut none: HeapBytes = HeapBytes::EMPTY;
    bytes.fill(7);
    let mut got: usize = 0;
    while got < 80 {
        let n: usize = io.read(&mut bytes[got..80])?;
        if n == 0 {
            break;
        }
        got += n;
    }
    io.write_all(&bytes[..got])?;
    let hash: u64 = fold(0, &bytes);
    io.free(&mut bytes)?;
    io.free(&mut none)?;
    Ok(mix(hash, bytes.len() as u64))
}

// Control flow.

#[vk_macros::coroutine]
pub fn loops(io: &mut Io) -> io::Result<u64> {
    let mut hash: u64 = 1;
    let mut turns: u32 = 0;
    let last: u8 = loop {
        turns += 1;
        if turns > 40 {
            break 0;
        }
        let mut byte: [u8; 1] = [0];
        if io.read(&mut byte)? == 0 {
            break 1;
        }
        if byte[0] == b'\n' {
            continue;
        }
        io.write_all(&byte)?;
        hash = fold(hash, &byte);
        if byte[0] == b'z' {
            break byte[0];
        }
    };
    while !io.eof()? && turns < 60 {
        turns += 1;
        io.skip(1)?;
    }
    while turns % 7 != 0 {
        turns += 1;
        io.yield_now()?;
        if turns == 65 {
            return Err(ErrorKind::Other.into());
        }
    }
    Ok(mix(hash, u64::from(last) + u64::from(turns)))
}

#[vk_macros::coroutine]
pub fn labels(io: &mut Io) -> io::Result<u64> {
    let mut hash: u64 = 0;
    let mut byte: [u8; 1] = [0];
    'outer: for i in 0..5u64 {
        'inner: for j in 0..=i {
            if io.read(&mut byte)? == 0 {
                break 'outer;
            }
            match byte[0] {
                b'0'..=b'2' => continue 'outer,
                b'3'..=b'4' => continue 'inner,
                b'5' => break,
                b'6' => break 'inner,
                b'7' => continue,
                other => {
                    let other: u8 = other;
                    write!(io, "{i}{j}{}", other as char)?;
                    hash = mix(hash, i << 8 | j);
                }
            }
            'block: {
                if byte[0] & 1 == 0 {
                    break 'block;
                }
                io.write_all(b"odd ")?;
                if byte[0] & 2 == 0 {
                    break 'inner;
                }
                hash = mix(hash, 1);
            }
            // A loop that doesn't block leaves one that does.
            for k in byte.iter().cycle().take(8) {
                if *k == b'a' {
                    continue 'outer;
                }
                if *k == b'b' {
                    break 'outer;
                }
                if *k == b'c' {
                    break;
                }
                hash = mix(hash, u64::from(*k));
            }
        }
        hash = mix(hash, i);
    }
    Ok(hash)
}

#[vk_macros::coroutine]
pub fn counting(io: &mut Io) -> io::Result<u64> {
    let mut hash: u64 = 0;
    let mut bytes: [u8; 6] = [1, 2, 3, 4, 5, 6];
    let top: u64 = 3;
    for i in 0..top {
        let i: u64 = i;
        write!(io, "{i},")?;
    }
    for i in (top - 1)..=top {
        let doubled: u64 = i * 2;
        io.yield_now()?;
        hash = mix(hash, doubled);
    }
    for mut i in 1..4u32 {
        i += 10;
        io.yield_now()?;
        i += 1;
        hash = mix(hash, u64::from(i));
    }
    for _ in 0..2u8 {
        io.write_all(b".")?;
    }
    for i in 5..5u64 {
        io.write_all(b"never")?;
    }
    let mut end: usize = 2;
    for i in 0..end {
        // The range is evaluated once.
        end += 1;
        io.write_all(&bytes[i..end])?;
    }
    for x in &bytes {
        let x: u8 = *x;
        write!(io, "{x}")?;
    }
    for x in bytes.iter() {
        let x: u8 = *x;
        io.yield_now()?;
        hash = mix(hash, u64::from(x));
    }
    for x in &mut bytes[1..3] {
        let old: u8 = std::mem::replace(x, 4);
        io.write_all(&[old])?;
    }
    for x in bytes.iter_mut() {
        *x += 1;
    }
    let empty: [u64; 0] = [];
    for x in &empty {
        let x: u64 = *x;
        io.write_all(b"never")?;
    }
    let pairs: [(u8, u64); 2] = [(1, 10), (2, 20)];
    for (a, b) in &pairs {
        let sum: u64 = u64::from(*a) + *b;
        io.yield_now()?;
        hash = mix(hash, sum);
    }
    Ok(fold(hash, &bytes))
}

#[vk_macros::coroutine]
pub fn conditions(io: &mut Io) -> io::Result<u64> {
    let mut hash: u64 = 0;
    let mut turns: u64 = 0;
    while turns < 12 && !io.eof()? {
        turns += 1;
        if is(io, b'a')? && is(io, b'b')? {
            io.write_all(b"ab")?;
        } else if is(io, b'0')? || is(io, b'1')? || turns > 9 {
            io.write_all(b"01")?;
        } else if !(is(io, b'2')? || is(io, b'3')? && turns % 2 == 0) {
            io.skip(1)?;
            hash = mix(hash, turns);
        } else {
            let rest: bool = is(io, b'4')? || turns > 5 && !is(io, b'5')?;
            write!(io, "{rest}")?;
            if rest {
                io.skip(1)?
            }
        }
        if turns == 7 || io.eof()? {
            hash = mix(hash, 7);
        }
    }
    Ok(hash)
}

/// Takes the next byte if it is `wanted`.
#[vk_macros::coroutine]
fn is(io: &mut Io, wanted: u8) -> io::Result<bool> {
    let mut byte: [u8; 1] = [0];
    let count: usize = io.peek(&mut byte)?;
    if count == 0 || byte[0] != wanted {
        return Ok(false);
    }
    io.skip(1)?;
    Ok(true)
}

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
enum Token {
    End,
    Word(u8),
    Number { value: u64, digits: u8 },
    Pair(Option<u8>, Result<u8, bool>),
}

#[vk_macros::coroutine]
fn token(io: &mut Io) -> io::Result<Token> {
    let mut byte: [u8; 1] = [0];
    if io.read(&mut byte)? == 0 {
        return Ok(Token::End);
    }
    let token: Token = match byte[0] {
        digit @ b'0'..=b'9' => {
            let mut value: u64 = u64::from(digit - b'0');
            let mut digits: u8 = 1;
            while digits < 9 && io.peek(&mut byte)? > 0 && byte[0].is_ascii_digit() {
                value = value * 10 + u64::from(byte[0] - b'0');
                digits += 1;
                io.skip(1)?;
            }
            Token::Number { value, digits }
        }
        b'-' | b' ' => {
            let first: Option<u8> = if io.peek(&mut byte)? > 0 { Some(byte[0]) } else { None };
            Token::Pair(first, if first == Some(b'-') { Err(true) } else { first.ok_or(false) })
        }
        other => Token::Word(other),
    };
    Ok(token)
}

#[vk_macros::coroutine]
pub fn matching(io: &mut Io) -> io::Result<u64> {
    let mut hash: u64 = 0;
    for turn in 0..20u64 {
        match token(io)? {
            Token::End => break,
            Token::Word(letter) if letter.is_ascii_control() => hash = mix(hash, 1),
            Token::Word(letter) if letter == b'a' || hash % 5 == 0 => {
                let letter: char = letter as char;
                io.write_all(b"word ")?;
                write!(io, "{letter:?}")?;
            }
            Token::Word(_) => io.yield_now()?,
            Token::Number { value: value @ (0 | 10..=99), .. } => {
                let value: u64 = value;
                write!(io, "<{value}>")?;
            }
            Token::Number { value, digits } => {
                let twice: u64 = value * 2;
                let long: bool = digits > 3;
                hash = mix(hash, twice);
                if long {
                    io.write_all(b"long")?;
                }
            }
            Token::Pair(Some(a), Ok(_)) | Token::Pair(Some(a), Err(_))
                if let Some(b) = a.checked_sub(b'5') =>
            {
                let sum: u64 = u64::from(a) + u64::from(b);
                io.yield_now()?;
                hash = mix(hash, sum);
            }
            pair @ Token::Pair(..) => {
                let pair: Token = pair;
                write!(io, "{pair:?}")?;
            }
        }
        let name: u64 = match (turn % 3, io.eof()?) {
            (0, false) => 5,
            (n, true) => n,
            (1 | 2, _) if hash % 2 == 0 => 6,
            _ => return Ok(hash),
        };
        hash = mix(hash, name);
    }
    Ok(hash)
}

#[vk_macros::coroutine]
pub fn letting(io: &mut Io) -> io::Result<u64> {
    let mut hash: u64 = 0;
    for turn in 0..6u64 {
        let Token::Number { value, digits: 1.. } = token(io)? else {
            io.write_all(b"no number")?;
            if io.eof()? {
                break;
            }
            continue;
        };
        let value: u64 = value;
        let (low, high) = (value % 10, value / 10);
        let low: u64 = low;
        let high: u64 = high;
        io.yield_now()?;
        let Some(high) = high.checked_sub(3) else { return Ok(mix(hash, low)) };
        let high: u64 = high;
        write!(io, "{low} {high:>4}")?;
        let _ = io.eof()?;
        let _: bool = io.eof()?;
        let (a, b) = (low, io.eof()?);
        hash = mix(hash, a + u64::from(b));
    }
    let last = io.eof()?;
    Ok(mix(hash, u64::from(last)))
}

#[vk_macros::coroutine]
pub fn choosing(io: &mut Io) -> io::Result<u64> {
    let mut hash: u64 = 0;
    let mut slot: Option<u64> = Some(3);
    while let Some(n) = slot {
        let n: u64 = n;
        write!(io, "{n}")?;
        slot = n.checked_sub(1);
    }
    let mut turns: u64 = 0;
    while let Token::Word(letter) | Token::Pair(Some(letter), _) = token(io)? {
        let letter: u8 = letter;
        turns += 1;
        if turns > 30 {
            break;
        }
        if let Some(n) = number(&[letter]) {
            let n: u64 = n;
            io.yield_now()?;
            hash = mix(hash, n);
        } else if let (b'a', rest) | (b'b', rest) = (letter, io.eof()?) {
            hash = mix(hash, u64::from(rest));
        } else if let Token::Word(w) = token(io)?
            && w > b'a'
        {
            let w: u8 = w;
            io.yield_now()?;
            hash = mix(hash, u64::from(w));
        } else {
            io.write_all(&[letter])?;
            continue;
        }
        io.write_all(b";")?;
    }
    Ok(mix(hash, turns))
}

#[vk_macros::coroutine]
pub fn values(io: &mut Io) -> io::Result<u64> {
    let first: u64 = if io.eof()? {
        1
    } else {
        let mut byte: [u8; 1] = [0];
        io.read_exact(&mut byte)?;
        u64::from(byte[0])
    };
    let second: u64 = match first % 4 {
        0 => patient(io)?,
        1 => {
            let a: u64 = patient(io)?;
            let b: u64 = patient(io)?;
            a << 8 | b
        }
        n if io::Result::Ok(n)? == 2 => n,
        _ => 77,
    };
    let mut third: u64 = 'found: {
        for i in 0..4u64 {
            if is(io, b'a')? {
                break 'found i;
            }
            if is(io, b'b')? {
                break 'found patient(io)?;
            }
        }
        io.write_all(b"none")?;
        first ^ second
    };
    third ^= loop {
        if io.eof()? {
            break 5;
        }
        let n: u64 = patient(io)?;
        if n % 2 == 0 {
            break n;
        }
    };
    let block: u64 = {
        let first: u64 = second;
        io.yield_now()?;
        first + 1
    };
    let tuple: (u64, bool) = (block, io.eof()?);
    let list: [u64; 2] = [third, u64::from(tuple.1)];
    let spot: Spot = Spot { at: list[0], ..Spot::NEW };
    let both: bool = io.eof()? && is(io, b'c')?;
    let neither: bool = !(io.eof()? || both);
    third = match io.fill(2)?.min(2) {
        0 => 0,
        n => {
            let n: u64 = n as u64;
            io.skip(n)?;
            n
        }
    };
    Ok([first, second, third, block, list[1], spot.at, u64::from(both), u64::from(neither)]
        .iter()
        .fold(0, |hash, value| mix(hash, *value)))
}

#[vk_macros::coroutine]
pub fn shadowing(io: &mut Io) -> io::Result<u64> {
    let x: u64 = 3;
    let x: u32 = (x + 1) as u32;
    io.yield_now()?;
    let mut hash: u64 = u64::from(x);
    {
        let x: [u8; 2] = [x as u8; 2];
        io.write_all(&x)?;
        {
            let x: bool = io.eof()?;
            io.yield_now()?;
            hash = mix(hash, u64::from(x));
        }
        let x = x.len();
        hash = mix(hash, x as u64);
    }
    hash = mix(hash, u64::from(x));
    for x in 0..x {
        let x: u32 = x * 2;
        io.yield_now()?;
        let x: u64 = u64::from(x) + 1;
        write!(io, "{x}")?;
    }
    if let Some(x) = number(b"42") {
        let x: u64 = x + u64::from(hash % 2 == 0);
        io.yield_now()?;
        hash = mix(hash, x);
    }
    {
        let twice = |x: u64| x * 2 + hash % 3;
        hash = mix(twice(u64::from(x)), 0);
    }
    match x {
        x @ 4 => {
            let x: u32 = x + 1;
            io.write_all(b"four")?;
            hash = mix(hash, u64::from(x));
        }
        x => hash = mix(hash, u64::from(x)),
    }
    let x: u64 = mix(u64::from(x), hash);
    write!(io, "{x:x}")?;
    let r#type: u64 = x;
    io.yield_now()?;
    Ok(r#type)
}

// Calls.

#[vk_macros::coroutine]
fn sum(mut count: u64, io: &mut Io, total: &mut u64, line: &Line<8>) -> io::Result<usize> {
    let mut byte: [u8; 1] = [0];
    while count > 0 && io.read(&mut byte)? > 0 {
        count -= 1;
        *total = mix(*total, u64::from(byte[0]));
        io.write_all(line)?;
        if byte[0] == b'\n' {
            return Ok(line.len());
        }
    }
    Ok(count as usize)
}

#[vk_macros::coroutine]
fn pass_on(io: &mut Io, total: &mut u64, line: &mut Line<8>) -> io::Result<()> {
    io.read_line(line)?;
    let left: usize = sum(2, io, total, line)?;
    *total = mix(*total, left as u64);
    let count: u64 = *total % 4;
    let left: usize = sum(count, io, &mut *total, &*line)?;
    line.clear();
    write!(io, "{left}{line:?}")
}

#[vk_macros::coroutine]
pub fn parameters(io: &mut Io) -> io::Result<u64> {
    let mut totals: [u64; 3] = [0, 1, 2];
    let mut line: Line<8> = Line::new();
    for i in 0..3usize {
        pass_on(io, &mut totals[i], &mut line)?;
        if sum(i as u64, io, &mut totals[(i + 1) % 3], &line)? > 1 {
            io.write_all(b"more")?;
        }
    }
    let count: u64 = totals[0] % 5;
    let mut copy: u64 = count;
    // The parameter by value is the one of the first call, whatever becomes of the variable.
    let _ = sum(copy, io, &mut copy, &line)?;
    Ok(fold(mix(copy, totals[1]), &totals[2].to_le_bytes()))
}

#[vk_macros::coroutine]
fn nothing(io: &mut Io) {
    if io.yield_now().is_err() {
        return;
    }
    if let Ok(true) = io.eof() {
        return;
    }
    let _ = io.write_all(b"(");
}

#[vk_macros::coroutine]
fn maybe(io: &mut Io, wanted: Option<u64>) -> Option<u64> {
    let wanted: u64 = wanted?;
    let mut four: [u8; 4] = [0; 4];
    io.read_exact(&mut four).ok()?;
    let found: u64 = number(&four)?;
    nothing(io);
    if found == wanted { None } else { Some(found.checked_sub(wanted)?) }
}

#[vk_macros::coroutine]
pub fn options(io: &mut Io) -> io::Result<u64> {
    let mut hash: u64 = 0;
    let mut wanted: Option<u64> = Some(0);
    for turn in 0..8u64 {
        let found: Option<u64> = maybe(io, wanted);
        write!(io, "{found:?} ")?;
        wanted = Some(turn);
        match maybe(io, found) {
            Some(n) => hash = mix(hash, n),
            None if turn > 5 => return found.ok_or(ErrorKind::InvalidInput.into()),
            None => wanted = found,
        }
    }
    Ok(hash)
}

#[derive(Debug)]
enum Trouble {
    World(ErrorKind),
    Value(u8),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::World(error.kind())
    }
}

impl From<Trouble> for io::Error {
    fn from(trouble: Trouble) -> io::Error {
        match trouble {
            Trouble::World(kind) => kind.into(),
            Trouble::Value(value) => io::Error::new(ErrorKind::InvalidData, format!("{value}")),
        }
    }
}

#[vk_macros::coroutine]
fn strict(io: &mut Io) -> Result<u8, Trouble> {
    let mut byte: [u8; 1] = [0];
    io.read_exact(&mut byte)?;
    if byte[0] == b'9' {
        return Err(Trouble::Value(byte[0]));
    }
    if byte[0] == b'8' {
        Err(io::Error::from(ErrorKind::AddrInUse))?;
    }
    Ok(byte[0])
}

#[vk_macros::coroutine]
pub fn errors(io: &mut Io) -> io::Result<u64> {
    let mut hash: u64 = 0;
    loop {
        match strict(io) {
            Ok(value) if value % 16 == 0 => return Err(Trouble::Value(value).into()),
            Ok(value) => hash = mix(hash, u64::from(value)),
            Err(Trouble::World(ErrorKind::UnexpectedEof)) => break,
            Err(Trouble::World(kind)) => {
                let kind: ErrorKind = kind;
                write!(io, "{kind:?}")?;
            }
            Err(Trouble::Value(value)) => {
                let value: u8 = value;
                io.write_all(&[value, value])?;
                strict(io).map_err(io::Error::from)?;
                strict(io)?;
            }
        }
    }
    Ok(hash)
}

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
struct Spot {
    at: u64,
    seen: [u8; 3],
}

impl Spot {
    const NEW: Spot = Spot { at: 1, seen: [0; 3] };
}

#[vk_macros::coroutine]
impl Spot {
    fn step(&mut self, io: &mut Io, by: u64) -> io::Result<bool> {
        let index: usize = (self.at % 3) as usize;
        let got: usize = io.read(&mut self.seen[index..index + 1])?;
        self.at += by;
        self.show(io)?;
        if self.pure() % 2 == 0 {
            Self::tell(io, self.at)?
        } else {
            Spot::tell(io, 0)?
        }
        Ok(got > 0)
    }

    fn show(&self, io: &mut Io) -> io::Result<()> {
        write!(io, "{}{:?}", self.at, self.seen)?;
        let mark: [u8; 1] = if self.at > 4 { *b"!" } else { *b"?" };
        io.write_all(&mark)
    }

    fn tell(io: &mut Io, what: u64) -> io::Result<()> {
        write!(io, "[{what}]")
    }

    fn pure(&self) -> u64 {
        self.at * 3
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
struct Board {
    spots: [Spot; 2],
    turn: usize,
}

#[vk_macros::coroutine]
impl Board {
    fn play(&mut self, io: &mut Io) -> io::Result<u64> {
        for round in 0..4u64 {
            let round: u64 = round + 1;
            let turn: usize = self.turn;
            if !Spot::step(&mut self.spots[turn], io, round)? {
                break;
            }
            self.turn = 1 - self.turn;
            if self.turn == 1 && Spot::step(&mut self.spots[0], io, 2)? {
                self.spots[1].at ^= 1;
            }
        }
        Ok(self.spots.iter().fold(0, |hash, spot| fold(mix(hash, spot.at), &spot.seen)))
    }
}

#[vk_macros::coroutine]
pub fn methods(io: &mut Io) -> io::Result<u64> {
    let mut board: Board = Board { spots: [Spot::NEW; 2], turn: 0 };
    let first: u64 = board.play(io)?;
    let mut spot: Spot = board.spots[1];
    while spot.step(io, first % 4)? && spot.at < 20 {
        spot.show(io)?;
    }
    let mut other: Spot = Spot { seen: spot.seen, ..board.spots[0] };
    other.step(io, 1)?;
    board.spots[0] = other;
    let second: u64 = Board::play(&mut board, io)?;
    Ok(mix(first, second))
}

trait Small: Copy + 'static {
    const SIZE: usize;
    fn of(bytes: &[u8]) -> Self;
    fn wide(self) -> u64;
}

impl Small for u8 {
    const SIZE: usize = 1;
    fn of(bytes: &[u8]) -> u8 {
        bytes[0]
    }
    fn wide(self) -> u64 {
        self.into()
    }
}

impl Small for u32 {
    const SIZE: usize = 4;
    fn of(bytes: &[u8]) -> u32 {
        u32::from_be_bytes(bytes.try_into().expect("four bytes"))
    }
    fn wide(self) -> u64 {
        self.into()
    }
}

#[vk_macros::coroutine]
fn value<T: Small + vk::Plain>(io: &mut Io, default: T) -> io::Result<T> {
    let mut bytes: [u8; 8] = [0; 8];
    let mut result: T = default;
    if !io.eof()? {
        io.read_exact(&mut bytes[..T::SIZE])?;
        result = T::of(&bytes[..T::SIZE]);
        io.yield_now()?;
    }
    Ok(result)
}

#[vk_macros::coroutine]
fn array<T, const N: usize>(io: &mut Io, to: &mut [T; N]) -> io::Result<usize>
where
    T: Small + vk::Plain,
{
    for i in 0..N {
        let i: usize = i;
        to[i] = value::<T>(io, to[i])?;
    }
    Ok(N)
}

#[vk_macros::coroutine]
pub fn generics(io: &mut Io) -> io::Result<u64> {
    let mut small: [u8; 3] = [1, 2, 3];
    let mut large: [u32; 2] = [4, 5];
    let one: u32 = value::<u32>(io, 7)?;
    let mut count: usize = array::<u8, 3>(io, &mut small)?;
    write!(io, "{small:?}{one}")?;
    count += array::<u32, 2>(io, &mut large)?;
    let two: u8 = value::<u8>(io, small[1])?;
    let numbers = large.iter().map(|n| n.wide()).chain([one.wide(), two.wide(), count as u64]);
    Ok(fold(numbers.fold(0, mix), &small))
}

#[vk_macros::coroutine]
fn longer<'a>(io: &mut Io, a: &'a [u8], b: &'a mut [u8; 4]) -> io::Result<&'a [u8]> {
    io.read_exact(&mut b[..2])?;
    Ok(if b[0] % 2 == 0 { a } else { &b[1..] })
}

#[vk_macros::coroutine]
fn in_module_of(io: &mut Io, n: u64) -> io::Result<u64> {
    let m: u64 = inner::deep(io, n)?;
    inner::more::deep(io, m)
}

mod inner {
    use super::*;

    #[vk_macros::coroutine]
    /// Has the name of another one.
    pub fn deep(io: &mut Io, n: u64) -> io::Result<u64> {
        write!(io, "{n} ")?;
        Ok(n + 1)
    }

    pub mod more {
        use super::*;

        #[vk_macros::coroutine]
        #[inline]
        pub(crate) fn deep(stream: &mut Io, n: u64) -> io::Result<u64> {
            let over: bool = stream.eof()?;
            if over { Ok(n) } else { super::deep(stream, n) }
        }
    }
}

#[vk_macros::coroutine]
pub fn borrowing(io: &mut Io) -> io::Result<u64> {
    let mut four: [u8; 4] = *b"wxyz";
    let mut hash: u64 = 0;
    for turn in 0..3u64 {
        let length: usize = longer(io, b"constant", &mut four)?.len();
        hash = fold(hash, longer(io, &[1, 2, 3], &mut four)?);
        write!(io, "{length}")?;
        hash = in_module_of(io, hash % 100)?;
    }
    Ok(hash)
}

// What doesn't block.

struct Note<'a>(&'a RefCell<String>, char);

impl Drop for Note<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}

#[vk_macros::coroutine]
pub fn dropping(io: &mut Io) -> io::Result<u64> {
    let mut noted: Line<64> = Line::new();
    let mut byte: [u8; 1] = [0];
    for turn in 0..6u64 {
        let got: usize = io.read(&mut byte)?;
        {
            let notes = RefCell::new(String::new());
            {
                let _a = Note(&notes, 'a');
                let b = Note(&notes, 'b');
                let _ = Note(&notes, 'c');
                for round in 0..2 {
                    let _d = Note(&notes, 'd');
                    if byte[0] % 3 == round {
                        continue;
                    }
                    drop(Note(&notes, 'e'));
                }
                match Note(&notes, 'f').1 {
                    'f' if got > 0 => notes.borrow_mut().push('1'),
                    _ => notes.borrow_mut().push('2'),
                }
                drop(b);
            }
            noted.clear();
            noted.extend(notes.borrow().as_bytes()).expect("it is short");
            if turn == 4 && got == 0 {
                break;
            }
        }
        writeln!(io, "{noted:?}")?;
    }
    Ok(fold(0, &noted))
}

#[vk_macros::coroutine]
pub fn closures(io: &mut Io) -> io::Result<u64> {
    let mut hash: u64 = 9;
    let mut line: Line<30> = Line::new();
    let limit: usize = 3;
    while hash % 31 != 0 && io.read_line(&mut line)? {
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').filter(|word| word.len() > limit).collect();
        let mut bump = |by: u64| {
            hash = mix(hash, by);
            hash
        };
        bump(words.len() as u64);
        let text: String = words.iter().map(|word| (word.len() as u64 ^ bump(1)).to_string()).collect();
        let try_it = || -> Option<u64> {
            let first = words.first()?;
            if first.len() > 8 {
                return None;
            }
            number(first)
        };
        let found = try_it().unwrap_or(hash);
        let limit = text.len() + limit;
        hash = match found {
            n if n % 2 == 0 => mix(n, limit as u64),
            n => n.wrapping_mul(hash),
        };
        let mut copied: Line<200> = Line::new();
        copied.extend(&text.as_bytes()[..text.len().min(200)]).expect("it fits");
        if matches!(found, 0..=5 if hash % 3 > 0) {
            return Err(ErrorKind::Unsupported.into());
        }
        assert!(hash != 0 || limit > 0, "{limit} {hash}");
        drop(text);
        drop(words);
        hash = mix(hash, copied.len() as u64);
    }
    Ok(hash)
}

#[vk_macros::coroutine]
pub fn formats(io: &mut Io) -> io::Result<u64> {
    let mut count: usize = 5;
    let mut line: Line<16> = Line::new();
    let flag: bool = io.read_line(&mut line)?;
    let spot: Spot = Spot { at: count as u64, seen: [1; 3] };
    let count: usize = {
        count += 1;
        count
    };
    writeln!(io, "{count} {flag:?} {line:?} {spot:#?}")?;
    let width: usize = 7;
    let p: usize = 2;
    write!(io, "{{{count:>width$}}} {flag:<width$} {0:.p$} {0:1$} {x:?}", 1.5f64, width, x = spot.at)?;
    let mut copied: Line<20> = Line::new();
    {
        let text = format!("{width}{p:02}{}", spot.seen[0]);
        copied.extend(text.as_bytes()).expect("it fits");
    }
    io.write_all(&copied)?;
    Ok(number(b"12").unwrap_or(count as u64))
}

#[vk_macros::coroutine]
pub fn leaving(io: &mut Io) -> io::Result<u64> {
    let mut hash: u64 = 0;
    let mut line: Line<40> = Line::new();
    'lines: while io.read_line(&mut line)? {
        for (at, byte) in line.iter().enumerate() {
            let Some(digit) = (*byte as char).to_digit(10) else { continue };
            match digit {
                7 => continue 'lines,
                8 => break 'lines,
                9 => return Ok(at as u64),
                0 if at > 3 => Err(ErrorKind::NotFound)?,
                1..=3 => {
                    hash = mix(hash, u64::from(digit));
                    break;
                }
                _ => {}
            }
        }
        {
            let mut spare = vec![1u64; line.len()];
            while let Some(last) = spare.pop() {
                hash = mix(hash, last);
                if spare.len() == 4 {
                    if hash % 2 == 0 { continue 'lines } else { break }
                }
            }
            hash = mix(hash, spare.len() as u64);
        }
        let value: u64 = 'parse: {
            let Some(n) = number(&line) else { break 'parse 4 };
            n
        };
        write!(io, "{value};")?;
    }
    Ok(hash)
}

#[vk_macros::coroutine]
pub fn places(io: &mut Io) -> io::Result<u64> {
    let mut grid: [[u8; 4]; 3] = [[0; 4]; 3];
    let mut spots: [Spot; 2] = [Spot::NEW; 2];
    let mut at: (usize, usize) = (0, 0);
    let mut wide: u64 = 0;
    for turn in 0..5u64 {
        io.read_exact(&mut grid[at.0][1..])?;
        at.0 = (at.0 + 1) % 3;
        io.read_exact(&mut spots[at.1].seen)?;
        at = (at.0, 1 - at.1);
        wide += patient(io)?;
        spots[at.1].at = patient(io)?;
        grid[at.0][at.1] ^= is(io, b'a')? as u8;
        spots[at.1].at = if wide % 2 == 0 {
            at.1 = 1 - at.1;
            io.yield_now()?;
            wide
        } else {
            io.yield_now()?;
            1
        };
        wide -= { if is(io, b'b')? { 1 } else { 0 } };
        grid.swap(0, 2);
        let Spot { at, seen } = spots[at.1];
        let kept: Spot = Spot { seen, at };
        io.write_all(&kept.seen)?;
        let (ref first, ref mut second) = (1u8, 2u8);
        *second += first;
        wide = mix(wide, kept.at + u64::from(*second));
    }
    io.write_all(&grid[2][..at.0 + 1])?;
    Ok(mix(wide, spots[0].at ^ spots[1].at))
}

// What people write.

#[derive(Clone, Copy, Debug, Default, PartialEq, Plain)]
struct Header(u8, Option<(i64, char)>);

#[vk_macros::coroutine]
fn header(io: &mut Io, line: &mut Line<32>, into: &mut [Header; 3]) -> Result<usize, ErrorKind> {
    let mut used: usize = 0;
    loop {
        match io.read_line(line) {
            Ok(true) if line.trim_end().is_empty() => break,
            Ok(true) => {}
            Ok(false) => return Err(ErrorKind::UnexpectedEof),
            Err(error) => return Err(error.kind()),
        }
        let Some(slot) = into.get_mut(used) else {
            write!(io, "too many ").map_err(|error| error.kind())?;
            return Ok(used);
        };
        *slot = match line.split_first() {
            None => Header::default(),
            Some((&first @ b'0'..=b'9', rest)) => Header(first, number(rest).map(|n| (n as i64 - 5, 'n'))),
            Some((first, [])) => Header(*first, None),
            Some((first, [.., last])) => Header(*first, Some((-1, *last as char))),
        };
        used += 1;
    }
    Ok(used)
}

#[vk_macros::coroutine]
pub fn idioms(io: &mut Io) -> io::Result<u64> {
    let mut headers: [Header; 3] = [Header::default(); 3];
    let mut line: Line<32> = Line::new();
    let mut byte: [u8; 1] = [0];
    let mut wide: u128 = 1;
    let mut ratio: f64 = 0.5;
    let count: usize = header(io, &mut line, &mut headers)?;
    for i in 0..count {
        let Header(first, rest) = headers[i];
        let first: u8 = first;
        let rest: Option<(i64, char)> = rest;
        if let Header(b'a'..=b'c', Some((n, 'n' | 'b'))) = headers[i] {
            let n: i64 = n;
            write!(io, "{n:+}")?;
        }
        headers[i].0 = first.wrapping_add(1);
        ratio /= f64::from(rest.map_or(2, |(n, _)| n as i32) | 1);
    }
    while let 1.. = io.read(&mut byte)? {
        wide = wide.wrapping_mul(u128::from(byte[0]) << 70 | 3);
        if byte[0] == b'\n' {
            break;
        }
        ratio = -ratio;
    }
    let mut rest: usize = 0;
    let result: Result<u64, ErrorKind> = loop {
        let n: usize = match io.read(&mut byte) {
            Ok(0) if line.is_empty() => break Ok(1),
            Ok(0) => break Err(ErrorKind::WouldBlock),
            Ok(n) => n,
            Err(error) => return Err(error),
        };
        rest += n;
        match (&mut headers[rest % 3], rest) {
            (Header(_, Some((n, _))), _) if *n < 0 => *n += 1,
            (Header(first, slot @ None), 3..) => *slot = Some((i64::from(*first), 'x')),
            (_, 12..) => break Ok(io.forward(2)?),
            _ => {
                if !io.read_line(&mut line)? {
                    break Err(ErrorKind::WriteZero);
                }
            }
        }
        if rest > 6 {
            io.write_all(&line)?;
            line.clear();
        }
    };
    write!(io, "{ratio:e} {wide}")?;
    Ok(result?)
}

// Names.

#[vk_macros::coroutine]
pub fn names(io: &mut Io) -> io::Result<u64> {
    let pc: u64 = 1;
    let mut callee: u64 = 2;
    let frame: u64 = 3;
    let value: u64 = 4;
    let line: u64 = 5;
    let line_2: u64 = 6;
    io.yield_now()?;
    let line: u64 = line + line_2;
    let range: u64 = 7;
    let index: u64 = 8;
    let generics: u64 = 9;
    let r#match: u64 = 10;
    let outer_deadline: u64 = 11;
    io.deadline(Duration::from_secs(500))?;
    let step: () = io.yield_now()?;
    let at: u64 = pc + callee + frame;
    let seen: [u8; 3] = [value as u8, line as u8, range as u8];
    for i in 0..2u64 {
        for x in &[index, generics] {
            let x: u64 = *x;
            let token: Token = token(io)?;
            let name: u64 = if let Token::Number { value, .. } = token { value } else { value };
            callee += x + i + name;
            let written = write!(io, "{value}{callee}");
            written?;
        }
    }
    io.write_all(&seen)?;
    let spot: Spot = Spot { at, seen };
    write!(io, "{spot:?}")?;
    let resume: u64 = nested_labels(io)?;
    Ok(callee + r#match + outer_deadline + resume + line)
}

#[vk_macros::coroutine]
fn nested_labels(io: &mut Io) -> io::Result<u64> {
    let mut count: u64 = 0;
    'a: while count < 5 {
        count += 1;
        for i in 0..3u64 {
            if io.eof()? || {
                count += 1;
                count > 4
            } {
                break 'a;
            }
            if i == 1 {
                continue 'a;
            }
            io.skip(1)?;
        }
        io.write_all(b"'a")?;
    }
    'a: loop {
        count += 1;
        let done: bool = 'b: {
            if count > 12 {
                break 'a;
            }
            if io.eof()? {
                break 'b true;
            }
            io.skip(1)?;
            count % 2 == 0
        };
        if done {
            break;
        }
    }
    Ok(count)
}

#[vk_macros::coroutine]
pub fn bindings(io: &mut Io) -> io::Result<u64> {
    let mut slot: Option<u64> = Some(5);
    let mut word: [u8; 4] = *b"abcd";
    let mut hash: u64 = 0;
    while !io.eof()? && hash % 17 != 4 {
        match slot {
            Some(ref mut n) if *n > 3 => *n -= 1,
            Some(n @ 0..=2) => {
                slot = None;
                let n: u64 = n;
                write!(io, "{n}")?;
            }
            Some(_) => slot = Some(patient(io)? % 6),
            None => slot = number(&word),
        }
        if let Some(n) = slot
            && !io.eof()?
            && n > 1
        {
            let m: u64 = n;
            io.write_all(b">1")?;
            hash = mix(hash, m);
        }
        match word {
            [first, .., last] if first == last => {}
            [b'a', rest @ ..] => {
                let rest: [u8; 3] = rest;
                io.read_exact(&mut word[1..2])?;
                hash = fold(hash, &rest);
            }
            [.., _] => io.read_exact(&mut word)?,
        }
        if let Some(hash) = slot {
            let shown = format!("{hash} {word:?}");
            slot = shown.len().checked_sub(20).map(|n| n as u64 + hash);
        }
        word.rotate_left((hash % 4) as usize);
        word[(hash % 4) as usize] ^= word.len() as u8;
        hash = mix(hash, word.iter().map(|byte| u64::from(*byte)).sum());
    }
    Ok(hash)
}

#[vk_macros::coroutine]
fn read_some(io: &mut Io, to: &mut [u8], text: &str) -> io::Result<usize> {
    let mut at: usize = 0;
    while at < to.len() {
        let (_, rest) = to.split_at_mut(at);
        let count: usize = rest.len().min(3);
        read_piece(io, &mut to[at..][..count])?;
        io.write_all(text.as_bytes())?;
        at += count;
        if io.eof()? {
            break;
        }
    }
    read_piece(io, to)?;
    Ok(at)
}

#[vk_macros::coroutine]
fn read_piece(io: &mut Io, to: &mut [u8]) -> io::Result<()> {
    let mut at: usize = 0;
    for i in 0..to.len() {
        if io.read(&mut to[i..=i])? == 0 {
            return Ok(());
        }
        at = i;
    }
    write!(io, "{at}")
}

#[vk_macros::coroutine]
pub fn slices(io: &mut Io) -> io::Result<u64> {
    let mut bytes: [u8; 10] = [0; 10];
    let mut hash: u64 = 0;
    for n in 0..3usize {
        let got: usize = read_some(io, &mut bytes[n * 2..], "text")?;
        hash = fold(mix(hash, got as u64), &bytes);
    }
    Ok(hash)
}

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
struct Window<T> {
    last: [T; 2],
}

#[vk_macros::coroutine]
impl<T> Window<T>
where
    T: Small + vk::Plain,
{
    fn slide(&mut self, io: &mut Io, by: T) -> io::Result<u64> {
        self.last = [self.last[1], by];
        let first: T = value::<T>(io, by)?;
        self.last[0] = first;
        Ok(self.last.iter().fold(0, |hash, item| mix(hash, item.wide())))
    }
}

#[vk_macros::coroutine]
pub fn generic_methods(io: &mut Io) -> io::Result<u64> {
    let mut small: Window<u8> = Window { last: [1, 2] };
    let mut large: Window<u32> = Window { last: [3, 4] };
    let mut hash: u64 = small.slide(io, 9)?;
    for i in 0..2u32 {
        hash = mix(hash, large.slide(io, i)?);
        hash = mix(hash, Window::<u8>::slide(&mut small, io, i as u8)?);
    }
    Ok(hash)
}

// What the twins once found.

/// A `move` closure copies what it names, and `stringify!` sees what was written.
#[vk_macros::coroutine]
pub fn copying(io: &mut Io) -> io::Result<u64> {
    let mut count: u64 = 1;
    io.yield_now()?;
    let sum: u64 = {
        let mut bump = move || {
            count += 1;
            count
        };
        bump() + bump()
    };
    count += (0..3).map(move |n| n ^ count).sum::<u64>();
    io.write_all(stringify!(count + 1).as_bytes())?;
    Ok(mix(count, sum))
}

/// An arm that never ends has the type of the others; an index is read when the value is there.
#[vk_macros::coroutine]
pub fn assigning(io: &mut Io) -> io::Result<u64> {
    let mut words: [u64; 2] = [1, 2];
    let mut at: usize = 0;
    words[at] ^= match number(b"5") {
        Some(n) if n > 3 => {
            io.yield_now()?;
            5
        }
        None => 7,
        _ => unreachable!(),
    };
    words[at] = {
        at = 1;
        io.yield_now()?;
        7
    };
    at = 0;
    words[at] = io.forward(3)?;
    io.yield_now()?;
    Ok(mix(words[0], words[1]))
}

/// A slice is evaluated once.
#[vk_macros::coroutine]
pub fn going_through(io: &mut Io) -> io::Result<u64> {
    let words: [u64; 3] = [7, 8, 9];
    let end: usize = 2;
    let mut count: usize = 0;
    for x in &words[..end] {
        let x: u64 = *x;
        count += 1;
        for y in &[end as u64, x] {
            let y: u64 = *y;
            count += end;
            write!(io, "{x}{y} ")?;
        }
    }
    let from: usize = count % 3;
    for x in words[from..].iter() {
        let x: u64 = *x;
        count = 9;
        write!(io, "{x} ")?;
    }
    Ok(count as u64)
}

// Size.

#[vk_macros::coroutine]
pub fn large(io: &mut Io) -> io::Result<u64> {
    let mut total: u64 = 0;
    for round in 0..3u32 {
        let block: [u8; 3000] = [b'a' + round as u8; 3000];
        io.write_all(&block)?;
        total += io.forward(900)?;
        let mut back: [u8; 2500] = [0; 2500];
        match io.read_exact(&mut back) {
            Ok(()) => total = fold(total, &back),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => total = mix(total, 2),
            Err(error) => return Err(error),
        }
        io.write_all(&back[..100])?;
    }
    Ok(total)
}

#[vk_macros::coroutine]
fn three(io: &mut Io, n: u64) -> io::Result<u64> {
    let mut local: u64 = 0;
    let before: u64 = n;
    io.yield_now()?;
    local += before;
    Ok(local)
}

#[vk_macros::coroutine]
fn two(io: &mut Io, n: u64) -> io::Result<u64> {
    let a: u64 = three(io, n)?;
    let b: u64 = three(io, a + 1)?;
    is(io, b'q')?;
    three(io, a ^ b)
}

#[vk_macros::coroutine]
pub fn nesting(io: &mut Io) -> io::Result<u64> {
    let mut hash: u64 = 0;
    for i in 0..3u64 {
        hash = mix(hash, two(io, i)?);
        let n: u64 = three(io, hash)?;
        let zero: u64 = three(io, 0)?;
        if two(io, n)? == zero {
            write!(io, "same")?;
        }
        hash = match two(io, i) {
            Ok(n) => {
                let n: u64 = n;
                mix(n, three(io, n)?)
            }
            Err(_) => 0,
        };
    }
    Ok(hash)
}
