//! Names, generics, lifetimes, modules and attributes at their edges.
#![forbid(unsafe_code)]
#![deny(missing_docs, unused, private_interfaces)]

mod support;

use std::cell::Cell;
use std::time::Duration;
use support::{Comparable, Fine, check, checks, digit, say};
use vk::{Io, Plain};

/// Names that generated code has too.
#[vk::coroutine]
fn taken(io: &mut Io, frame: u32, mut pc: u32, callee: u32, r#type: u32) -> Fine<u32> {
    let value: u32 = frame + pc + callee;
    let generics: u32 = digit(io)?;
    let result: u32 = digit(io)?;
    let range: u32 = value;
    for index in 0..2u32 {
        pc += index + range;
        say(io, "index")?;
    }
    let run: u32 = digit(io)? + r#type;
    say(io, "run")?;
    Ok(pc + generics + result + run + r#type)
}

mod inner {
    use super::*;

    /// A cursor over borrowed bytes: not plain itself.
    pub(crate) struct Cursor<'a, T> {
        pub(crate) bytes: &'a [T],
        pub(crate) at: usize,
    }

    #[vk::coroutine]
    impl<'a, T: Plain + Copy + Into<u32>> Cursor<'a, T> {
        /// The next byte, and a digit.
        pub(crate) fn next<'b>(&self, io: &mut Io, text: &'b str, frame: bool) -> Fine<(&'b str, u32)> {
            io.deadline(Duration::from_secs(3)).kind()?;
            let extra: u32 = digit(io)?;
            let Some(item) = self.bytes.get(self.at) else { return Ok((text, 0)) };
            Ok((text, extra + u32::from(frame) + (*item).into()))
        }
    }

    #[derive(Clone, Copy, Plain)]
    struct Hidden(u32);

    /// Public, with a private type inside.
    #[derive(Plain)]
    pub struct Open {
        hidden: Hidden,
    }

    #[vk::coroutine]
    impl Open {
        /// Without a receiver.
        pub fn open(io: &mut Io, add: u32) -> Fine<Self> {
            let hidden: Hidden = Self::hidden(io, add)?;
            say(io, "open")?;
            Ok(Self { hidden })
        }

        fn hidden(io: &mut Io, add: u32) -> Fine<Hidden> {
            let first: u32 = digit(io)?;
            Ok(Hidden(add + first))
        }

        /// What is hidden.
        pub fn get(&self) -> u32 {
            self.hidden.0
        }
    }
}

#[vk::coroutine]
fn cursors(io: &mut Io) -> Fine<u32> {
    let bytes: [u8; 2] = [100, 200];
    let mut total: u32 = 0;
    let mut at: usize = 0;
    while at < 3 {
        let got: u32 = cursor(io, &bytes, &mut at)?;
        total += got;
    }
    let open: inner::Open = inner::Open::open(io, 5)?;
    Ok(total + open.get())
}

/// A method of a type that borrows: it is a parameter, so that the frame needn't hold it.
#[vk::coroutine]
fn cursor(io: &mut Io, bytes: &[u8], at: &mut usize) -> Fine<u32> {
    *at += 1;
    borrowed::<u8>(io, &inner::Cursor { bytes, at: *at - 1 })
}

#[cfg(any())]
#[vk::coroutine]
fn absent(io: &mut Io) -> Absent {}

#[vk::coroutine]
#[cfg(any())]
fn absent(io: &mut Io) -> Absent {}

/// Attributes.
#[vk::coroutine]
#[inline(never)]
#[allow(clippy::unwrap_used)]
#[must_use]
fn borrowed<T: Plain + Copy + Into<u32>>(io: &mut Io, cursor: &inner::Cursor<'_, T>) -> Fine<u32> {
    let (text, value) = cursor.next(io, "text", true)?;
    assert_eq!(text, "text");
    Ok(value)
}

/// Values from everywhere.
#[vk::coroutine]
fn nested(io: &mut Io) -> Fine<u32> {
    let first: u32 = loop {
        break digit(io)?;
    };
    let mut second: u32 = {
        let third: u32 = digit(io)?;
        say(io, "third")?;
        third
    };
    second = match (first, second) {
        (1, _) => loop {
            if digit(io)? == 0 {
                break 'x'.into();
            }
        },
        (_, n) if n > first => n + 1,
        _ => {
            let first: u32 = digit(io)?;
            say(io, "inner")?;
            first
        }
    };
    let _ = if first > 5 { digit(io)? } else { 0 };
    return match second {
        5 => digit(io),
        _ => Ok(first * 1000 + second),
    };
}

/// A pattern's bindings last until the first blocking call.
#[vk::coroutine]
fn bindings(io: &mut Io) -> Fine<u32> {
    let mut total: u32 = 0;
    for pair in [(1, 2), (3, 4)].iter() {
        let (left, right) = pair;
        total += left;
        if *right == 4 {
            break;
        }
        say(io, "pair")?;
    }
    let (more, text) = (total * 10, String::from("text"));
    total += more + text.len() as u32;
    say(io, "more")?;
    match Some(String::from("some")) {
        Some(text) if text.is_empty() => say(io, "empty")?,
        Some(text) => {
            total += text.len() as u32;
            let length: usize = text.len();
            if length > 9 {
                return Ok(0);
            }
            write!(io, "{length}").kind()?;
        }
        None => {}
    }
    Ok(total)
}

macro_rules! make {
    ($name:ident, $ty:ty, $start:expr) => {
        /// Made by a macro.
        #[vk::coroutine]
        fn $name(io: &mut Io) -> Fine<$ty> {
            let mut total: $ty = $start;
            for _ in 0..3u8 {
                total += digit(io)? as $ty;
            }
            say(io, stringify!($name))?;
            Ok(total)
        }
    };
}

make!(made, u64, 1 + 2);

/// `move` takes a copy, as in the source, and the variable lives on.
#[vk::coroutine]
fn copies(io: &mut Io, mut x: u32) -> Fine<String> {
    let one: u32 = digit(io)?;
    let y: u32 = {
        let mut add = move || {
            x += one;
            x
        };
        add() + add()
    };
    write!(io, "{x} {y}").kind()?;
    let mut list: [u32; 2] = [1, 2].map(move |k| k + x);
    x += std::thread::spawn(move || list[0] + x).join().unwrap_or_default();
    say(io, "between")?;
    let show = &move |k: u32| {
        list[1] += k;
        let inner = move || format!("{x}{k}{}", list[1]);
        inner()
    };
    let text = { *show }(3);
    let mut task = Box::pin(async move { x + one });
    let waker = std::task::Waker::noop();
    match task.as_mut().poll(&mut std::task::Context::from_waker(waker)) {
        std::task::Poll::Ready(sum) => Ok(format!("{text} {sum} {x} {}", list[1])),
        std::task::Poll::Pending => Ok(text),
    }
}

/// Operators whose operand blocks in some branches and has no value in others.
#[vk::coroutine]
fn operands(io: &mut Io, given: Option<u32>) -> Fine<u32> {
    let mut total: u32 = 1;
    total ^= match given {
        None => panic!("{total}"),
        Some(n) if n > 3 => {
            say(io, "more")?;
            5
        }
        Some(3) => todo!(),
        Some(n) => n,
    };
    total *= 'factor: {
        if total == 4 {
            break 'factor 10;
        }
        say(io, "not four")?;
        if total == 9 { unimplemented!() } else { 100 }
    };
    Ok(total)
}

const FIRST: usize = 1;

/// Values of plain blocks go to places whose index is used before and after, and slices are cut by what stays.
#[vk::coroutine]
fn places(io: &mut Io, upto: usize) -> Fine<[u32; 3]> {
    let mut words: [u32; 3] = [1, 2, 3];
    let mut i: usize = 0;
    words[i] = {
        i = 1;
        say(io, "block")?;
        7
    };
    i += 1;
    words[i] += {
        say(io, "other block")?;
        i -= 1;
        10
    };
    i -= 1;
    for word in &mut words[FIRST..upto] {
        *word += 100;
        say(io, "cut")?;
    }
    words[0] += i as u32;
    Ok(words)
}

/// What may be lent beside what is read: other fields, a length, a copy.
#[derive(Clone, Copy, Plain)]
struct Table {
    cells: [u32; 3],
    turn: usize,
    name: [u8; 2],
}

#[vk::coroutine]
impl Table {
    fn fill(&mut self, io: &mut Io) -> Fine<()> {
        let first: usize = self.turn;
        put(io, &mut self.cells[first], &mut self.turn, &self.name)?;
        let mut other: usize = 0;
        put(io, &mut self.cells[self.turn], &mut other, self.name.as_slice())?;
        let end: usize = self.cells.len();
        put(io, &mut self.cells[end - 1], &mut self.turn, &self.name[..1])?;
        let length: u32 = self.length(io, self.name.len())?;
        self.cells[1] += length;
        let mut last: [u32; 3] = self.cells;
        put(io, &mut last[last.len() - 1], &mut self.turn, &self.name)?;
        self.cells = last;
        Ok(())
    }

    fn length(&mut self, io: &mut Io, length: usize) -> Fine<u32> {
        self.name = *b"--";
        io.flush().kind()?;
        Ok(length as u32)
    }
}

#[vk::coroutine]
fn put(io: &mut Io, cell: &mut u32, turn: &mut usize, name: &[u8]) -> Fine<()> {
    *turn = (*turn + 1) % 3;
    io.write_all(name).kind()?;
    *cell += digit(io)?;
    Ok(())
}

/// Passes on what it was lent, and views of it beside: the callee can't change it.
#[vk::coroutine]
fn show(io: &mut Io, table: &mut Table) -> Fine<()> {
    shown(io, table, table.name.get(1..).unwrap_or(b"").trim_ascii(), table.name.len())
}

#[vk::coroutine]
fn shown(io: &mut Io, table: &Table, name: &[u8], length: usize) -> Fine<()> {
    io.write_all(name).kind()?;
    write!(io, "{length}{}", table.turn).kind()
}

#[vk::coroutine]
fn tables(io: &mut Io) -> Fine<[u32; 3]> {
    let mut table: Table = Table { cells: [0; 3], turn: 0, name: *b"ab" };
    table.fill(io)?;
    show(io, &mut table)?;
    say(io, stringify!(table.turn + 1))?;
    Ok(table.cells)
}

/// A cell is read where nothing blocks, in what is taken apart, and by value: the callee has its copy.
#[vk::coroutine]
fn count(io: &mut Io, turn: &Cell<u32>) -> Fine<u32> {
    match turn.get() {
        0 => say(io, "none")?,
        _ => say(io, "some")?,
    }
    if turn.get() == 0 && advance(io, turn, turn.get() as u64, Some(turn.get()))? {
        say(io, "advanced")?;
    }
    Ok(turn.get())
}

#[vk::coroutine]
fn advance(io: &mut Io, turn: &Cell<u32>, before: u64, other: Option<u32>) -> Fine<bool> {
    turn.set(turn.get() + 1);
    io.flush().kind()?;
    let more: u32 = digit(io)?;
    turn.set(turn.get() + more);
    Ok(before == 0 && other == Some(0))
}

#[derive(Clone, Copy, Plain)]
struct Turn(u32);

impl Turn {
    fn as_mut(&mut self) -> &Cell<u32> {
        Cell::from_mut(&mut self.0)
    }
}

#[vk::coroutine]
fn cells(io: &mut Io) -> Fine<(u32, [u8; 3])> {
    let mut turn: Turn = Turn(0);
    count(io, turn.as_mut())?;
    let mut bytes: [u8; 3] = [0; 3];
    io.read_exact(&mut bytes.as_mut_slice()[1..]).kind()?;
    Ok((turn.0, bytes))
}

/// One of many callees: each has a frame of its own size.
#[vk::coroutine]
fn letter<const N: usize>(io: &mut Io) -> Fine<()> {
    let bytes: [u8; N] = [b'@' + N as u8; N];
    io.flush().kind()?;
    io.write_all(&bytes[N - 1..]).kind()
}

/// A coroutine that calls `letter` for each number, and `digit` after it.
macro_rules! many {
    ($name:ident: $($number:tt)*) => {
        /// Frames lie over each other in a type that is not as deep as it has members: rustc's limit is 128.
        #[vk::coroutine]
        fn $name(io: &mut Io) -> Fine<u32> {
            let mut sum: u32 = 0;
            $(letter::<$number>(io)?; sum += digit(io)?;)*
            Ok(sum)
        }
    };
}

many!(alphabet:
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30
    31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60);

#[test]
fn many_callees_take_the_room_of_the_largest() {
    assert_eq!(size_of::<letter<60>>(), 4 + 60);
    assert_eq!(size_of::<alphabet>(), 4 + 4 + size_of::<letter<60>>());
}

checks! {
    many_callees: alphabet() on &"1".repeat(60) => Ok(60), &(b'A'..b'A' + 60).map(char::from).collect::<String>();
    in_cells: cells() on "4ab" => Ok((5, [0, b'a', b'b'])), "none\nadvanced\n";
    names: taken(1, 2, 3, 40) on "123" => Ok(2 + 13 + 3 + 43 + 40), "index\nindex\nrun\n";
    lifetimes_refuse_nothing: cursors() on "1239" => Ok(1 + 101 + 2 + 201 + 14), "open\n";
    nested_loop: nested() on "12340" => Ok(1000 + 120), "third\n";
    nested_guard: nested() on "359" => Ok(3006), "third\n";
    nested_inner: nested() on "7419" => Ok(7001), "third\ninner\n";
    nested_deep: nested() on "74568" => Ok(8), "third\ninner\n";
    binding: bindings() on "" => Ok(4 + 44 + 4), "pair\nmore\n4";
    copied: copies(1) on "2" => Ok("436 6 4 3".to_owned()), "1 8between\n";
    operand_blocks: operands(Some(9)) on "" => Ok(40), "more\n";
    operand_is_there: operands(Some(2)) on "" => Ok(300), "not four\n";
    placed: places(2) on "" => Ok([1, 117, 3]), "block\nother block\ncut\n";
    lent: tables() on "1234" => Ok([1, 4, 7]), "ababa---20table.turn + 1\n";
    by_macro: made() on "123" => Ok(9), "made\n";
}
