//! Every kind of control flow around blocking calls, and every kind of name in between.
#![deny(missing_docs, unsafe_code, unused_must_use)]

mod support;

use std::fmt::Display;
use std::io;
use std::time::Duration;
use support::{Comparable, Fine, byte, check, checks, digit, say};
use vk::{Io, Plain};

/// `loop` as a value, labels, `break` and `continue` across loops, from native loops and nested choices.
#[vk::coroutine]
fn loops(io: &mut Io) -> Fine<u32> {
    let mut rounds: u32 = 0;
    let found: u32 = 'outer: loop {
        rounds += 1;
        'inner: while !io.eof().kind()? {
            let Some(next) = byte(io) else { break };
            let next: u8 = next;
            for skip in b" \t".iter() {
                let skip: u8 = *skip;
                if next == skip {
                    say(io, "skip")?;
                    continue 'inner;
                }
            }
            for end in b".!" {
                if next == *end {
                    break 'outer u32::from(next);
                }
            }
            if next == b'\n' {
                continue 'outer;
            }
            io.write_all(&[next]).kind()?;
        }
        if rounds > 2 {
            break rounds;
        }
        say(io, "again")?;
    };
    Ok(found * 100 + rounds)
}

/// Values of `if`, `match`, blocks, labelled blocks and conditions.
#[vk::coroutine]
fn values(io: &mut Io) -> Fine<(u32, u32)> {
    let first: u32 = if io.eof().kind()? { 0 } else { digit(io)? };
    let mut second: u32 = match first {
        0 => return Ok((0, 0)),
        1 | 2 => {
            let more: u32 = digit(io)?;
            more + first
        }
        n if n > 7 => {
            let n: u32 = n;
            say(io, "big")?;
            n
        }
        n => n * 2,
    };
    second += if first == 5 { digit(io)? } else { 1 };
    let third: u32 = 'block: {
        if first == 3 {
            break 'block 30;
        }
        let next: u32 = digit(io)?;
        if next == 9 {
            break 'block 90;
        }
        say(io, "not nine")?;
        next
    };
    let both: bool = digit(io)? > 3 && digit(io)? > 3 || !(digit(io)? > 3 && first > 0);
    second = {
        if both {
            say(io, "both")?
        } else {
            say(io, "not both")?
        }
        second + third
    };
    if digit(io)? == 1 || digit(io)? == 1 {
        say(io, "one")?;
    } else if digit(io)? == 2 && !io.eof().kind()? {
        say(io, "two")?;
    }
    Ok((first, second))
}

/// Ranges and slices.
#[vk::coroutine]
fn counts(io: &mut Io, upto: u8) -> Fine<u32> {
    let mut table: [u32; 3] = [1, 2, 3];
    let mut total: u32 = 0;
    for i in 0..upto {
        if i == 1 {
            continue;
        }
        write!(io, "{i}").kind()?;
    }
    for i in 1..=2u32 {
        for j in 0..i {
            let j: u32 = j;
            write!(io, "({i}{j})").kind()?;
        }
    }
    for cell in &table {
        let cell: u32 = *cell;
        total += digit(io)? * cell;
    }
    for cell in &mut table {
        *cell += 1;
    }
    for cell in table[1..].iter() {
        let cell: u32 = *cell;
        write!(io, "[{cell}]").kind()?;
        if cell == 3 {
            break;
        }
    }
    for _ in 0..table.len() {
        io.write_all(b".").kind()?;
    }
    let mut n: usize = 0;
    while n < 2 && byte(io).is_some() {
        n += 1;
    }
    while io.eof().kind()? {
        n += 10;
        if n > 20 {
            break;
        }
    }
    Ok(total + n as u32)
}

/// A pair.
#[derive(Clone, Copy, Debug, PartialEq, Plain)]
struct Pair {
    left: u32,
    right: u32,
}

/// Names: shadowing, shorthand, captures, closures, macros, patterns.
#[vk::coroutine]
fn names(io: &mut Io, left: u32, width: usize) -> Fine<Pair> {
    let right: u32 = digit(io)?;
    let mut pair: Pair = Pair { left, right };
    let left: u32 = left + 1;
    {
        let left: u32 = left * 10;
        write!(io, "{left:>width$}|{right}|{}|", pair.left).kind()?;
        let right = |left: u32| left + right + pair.right;
        pair.right = right(left);
    }
    let (a, b) = (left, format!("{left}{right:0width$}"));
    let a: u32 = a + 1;
    let length: usize = b.len();
    say(io, "between")?;
    assert_eq!(a, left + 1, "{a} {left}");
    assert!(matches!(pair, Pair { left: 7, right: n } if n > right), "{pair:?}");
    let all = vec![left, a, right];
    let zero = vec![left; width].iter().map(|left| left + right).sum::<u32>();
    let Pair { left: inner, .. } = pair;
    if let [first, .., last] = all[..]
        && first == left
    {
        pair.left = last + inner;
    }
    pair.right += zero + length as u32;
    Ok(pair)
}

/// `let … else`, with and without blocking on the way out.
#[vk::coroutine]
fn otherwise(io: &mut Io) -> Fine<u32> {
    let Some(first) = byte(io) else {
        say(io, "nothing")?;
        return Ok(0);
    };
    let first: u8 = first;
    say(io, "first")?;
    let mut second: u32 = 5;
    loop {
        let (Some(next), true) = (char::from(first).to_digit(10), second > 0) else {
            say(io, "no digit")?;
            if second > 3 {
                break;
            }
            return Err(io::ErrorKind::InvalidData);
        };
        let next: u32 = next;
        second = next;
        if io.eof().kind()? {
            return Ok(second);
        }
        let Ok(third) = digit(io) else { continue };
        let third: u32 = third;
        say(io, "third")?;
        second += third;
        break;
    }
    let Some(last) = byte(io) else {
        say(io, "short")?;
        return Ok(second);
    };
    Ok(second + u32::from(last))
}

/// Type and const parameters, bounds and lifetimes.
#[vk::coroutine]
fn show<'a, T: Plain + Display, const N: usize>(io: &mut Io, value: T, list: &'a [u32; N]) -> Fine<&'a u32>
where
    T: Copy,
{
    write!(io, "{value}").kind()?;
    for item in list.iter() {
        let item: u32 = *item;
        write!(io, ",{item}").kind()?;
    }
    let copy: T = value;
    writeln!(io, " {copy}").kind()?;
    writeln!(io).kind()?;
    Ok(&list[0])
}

#[vk::coroutine]
fn generic(io: &mut Io) -> Fine<u32> {
    let list: [u32; 2] = [4, 2];
    let first: u32 = *show::<char, 2>(io, 'x', &list)?;
    let second: u32 = *show::<u8, 2>(io, 7, &list)?;
    Ok(first + second)
}

/// Takes apart a number, by reference.
#[vk::coroutine]
fn digits(io: &mut Io, number: &mut u32, seen: &mut [u32]) -> bool {
    let mut at: usize = 0;
    while *number > 0 {
        let low: u32 = *number % 10;
        *number /= 10;
        let slot: usize = at;
        at += 1;
        let _ = io.write_all(&[b'0' + low as u8]);
        if let Some(place) = seen.get_mut(slot) {
            *place = low;
        }
        let _ = io.flush();
    }
    std::convert::identity(seen).iter().sum::<u32>() > 10
}

#[vk::coroutine]
fn references(io: &mut Io, start: u32) -> (bool, u32, [u32; 3]) {
    let mut number: u32 = start;
    let mut seen: [u32; 3] = [0; 3];
    let large: bool = digits(io, &mut number, &mut seen[1..]);
    let mut other: u32 = 7;
    digits(io, &mut other, &mut []);
    (large, number + other, seen)
}

/// The deadline lasts until the coroutine that set it returns.
#[vk::coroutine]
fn inner_deadline(io: &mut Io, early: bool) -> Fine<()> {
    io.deadline(Duration::from_secs(7)).kind()?;
    if early {
        return Err(io::ErrorKind::TimedOut);
    }
    io.flush().kind()
}

#[vk::coroutine]
fn deadlines(io: &mut Io) -> Fine<()> {
    io.deadline(Duration::from_secs(3)).kind()?;
    let _ = inner_deadline(io, true);
    inner_deadline(io, false)?;
    Ok(())
}

thread_local!(static DROPS: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) });

struct Noise(&'static str);

impl Drop for Noise {
    fn drop(&mut self) {
        DROPS.with_borrow_mut(|drops| drops.push_str(self.0));
    }
}

/// Ordinary variables are dropped where they are in ordinary Rust.
#[vk::coroutine]
fn drops(io: &mut Io) -> Fine<String> {
    DROPS.take();
    {
        let _a = Noise("a");
        let _b = Noise("b");
        DROPS.with_borrow_mut(|drops| drops.push('<'));
    }
    {
        io.flush().kind()?;
        let _c = Noise("c");
        DROPS.with_borrow_mut(|drops| drops.push('-'));
    }
    DROPS.with_borrow_mut(|drops| drops.push('>'));
    io.flush().kind()?;
    let _d = Noise("d");
    let text: String = DROPS.with_borrow(Clone::clone);
    Ok(text)
}

checks! {
    loops_end: loops() on "a b." => Ok(4601), "askip\nb";
    loops_go_on: loops() on "a\n\nb" => Ok(303), "ab";
    loops_run_out: loops() on "" => Ok(303), "again\nagain\n";
    values_none: values() on "" => Ok((0, 0)), "";
    values_one: values() on "1294441" => Ok((1, 3 + 1 + 90)), "both\none\n";
    values_big: values() on "8529922 " => Ok((8, 8 + 1 + 5)), "big\nnot nine\nnot both\ntwo\n";
    values_three: values() on "3105622!" => Ok((3, 6 + 1 + 30)), "both\ntwo\n";
    counting: counts(3) on "123ab" => Ok(1 + 4 + 9 + 22), "02(10)(20)(21)[3]...";
    naming: names(7, 4) on "3" => Ok(Pair { left: 3 + 7, right: 80 + 3 + 3 + 44 + 5 }), "  80|3|7|between\n";
    otherwise_none: otherwise() on "" => Ok(0), "nothing\n";
    otherwise_letter: otherwise() on "x" => Ok(5), "first\nno digit\nshort\n";
    otherwise_end: otherwise() on "7" => Ok(7), "first\n";
    otherwise_long: otherwise() on "4x2!" => Ok(6 + 33), "first\nthird\n";
    generics: generic() on "" => Ok(8), "x,4,2 x\n\n7,4,2 7\n\n";
    by_reference: references(8431) on "" => (false, 0, [0, 1, 3]), "13487";
    deadline: deadlines() on "" => Ok(()), "";
    dropping: drops() on "" => Ok("<ba-c>".to_owned()), "";
}
