//! A coroutine that blocks is taken over by a newer version of itself: two modules stand for two builds.

use std::io;
use std::time::Duration;
use vk::rt::Coroutine;
use vk::{Deadline, Io, New, Old, Refused, upgrade};

mod v1 {
    use super::*;

    /// Counts lines.
    #[vk::coroutine]
    pub fn count(io: &mut Io, start: u32) -> u32 {
        let mut total: u32 = start;
        let mut byte: [u8; 1] = [0];
        while io.read(&mut byte).unwrap_or(0) > 0 {
            total += 1;
        }
        total
    }

    /// Calls a coroutine, which calls one.
    #[vk::coroutine]
    pub fn nested(io: &mut Io, rounds: u32) -> io::Result<()> {
        let mut round: u32 = 0;
        while round < rounds {
            pair(io, b'a')?;
            round += 1;
        }
        Ok(())
    }

    #[vk::coroutine]
    pub fn pair(io: &mut Io, first: u8) -> io::Result<()> {
        let mark: [u8; 1] = [first];
        one(io)?;
        io.write_all(&mark)
    }

    #[vk::coroutine]
    pub fn one(io: &mut Io) -> io::Result<()> {
        let mut byte: [u8; 1] = [0];
        io.read_exact(&mut byte)?;
        io.write_all(&byte)
    }

    /// The second call is the first one again.
    #[vk::coroutine]
    pub fn twice(io: &mut Io) -> io::Result<()> {
        io.flush()?;
        io.flush()
    }

    #[vk::coroutine]
    pub fn once(io: &mut Io) -> io::Result<()> {
        io.flush()
    }

    /// Has a variable later.
    #[vk::coroutine]
    pub fn late(io: &mut Io) -> u64 {
        let _ = io.flush();
        let step: u64 = 5;
        let _ = io.eof();
        step
    }

    /// Shadows a name.
    #[vk::coroutine]
    pub fn shadows(io: &mut Io) -> u32 {
        let value: u32 = 1;
        let value: u32 = value + 1;
        let _ = io.flush();
        value * 10
    }

    /// Has a deadline, and then calls.
    #[vk::coroutine]
    pub fn bounded(io: &mut Io) -> io::Result<()> {
        io.deadline(Duration::from_secs(5))?;
        io.flush()?;
        one(io)
    }
}

mod v2 {
    use super::*;

    /// Counts bytes in a new order of variables, with one more, and answers otherwise.
    #[vk::coroutine]
    pub fn count(io: &mut Io, start: u32) -> u32 {
        let step: u64 = 1000;
        let mut byte: [u8; 1] = [0];
        let mut total: u32 = start;
        while io.read(&mut byte).unwrap_or(0) > 0 {
            total += step as u32;
        }
        total
    }

    /// Another type of `total`.
    #[vk::coroutine]
    pub fn wider(io: &mut Io, start: u32) -> u64 {
        let mut total: u64 = start.into();
        let mut byte: [u8; 1] = [0];
        while io.read(&mut byte).unwrap_or(0) > 0 {
            total += 1;
        }
        total
    }

    /// The call of `pair` stays; what is called has other variables.
    #[vk::coroutine]
    pub fn nested(io: &mut Io, rounds: u32) -> io::Result<()> {
        let mut round: u32 = 0;
        io.write_all(b"never")?;
        while round < rounds {
            pair(io, b'a')?;
            round += 1;
        }
        io.write_all(b"!")
    }

    #[vk::coroutine]
    pub fn pair(io: &mut Io, first: u8) -> io::Result<()> {
        let more: [u8; 100] = [first; 100];
        v1::one(io)?;
        io.write_all(&more[..2])
    }

    /// The call is another one.
    #[vk::coroutine]
    pub fn once(io: &mut Io) -> io::Result<()> {
        io.eof().map(|_| ())
    }

    #[vk::coroutine]
    pub fn shadows(io: &mut Io) -> u32 {
        let value: u32 = 1;
        let value: u32 = value + 1;
        let _ = io.flush();
        value * 100
    }
}

/// Runs `A` until an operation blocks that comes after this many, and then `B`; what it answers and writes.
fn upgraded<A: Coroutine, B: Coroutine>(
    args: A::Args,
    (input, ready): (&str, usize),
    fill: Option<fn(&Old<'_>, &mut New<'_>)>,
) -> Result<(Deadline, B::Output, String), Refused> {
    let mut script = vec![false; ready];
    script.push(true);
    let mut io = Io::new(input, script);
    let (deadline, output) = upgrade::<A, B>(args, &mut io, fill)?;
    Ok((deadline, output, io.text()))
}

#[test]
fn a_build_takes_over_from_itself() {
    for ready in 0..4 {
        assert_eq!(upgraded::<v1::count, v1::count>((10,), ("abc", ready), None).unwrap().1, 13);
    }
}

#[test]
fn a_new_variable_is_set_by_the_application() {
    let result = upgraded::<v1::count, v2::count>((10,), ("abc", 1), None);
    assert_eq!(result.unwrap_err(), Refused::Unset("step"), "nobody sets it");
    let fill = |_: &Old<'_>, new: &mut New<'_>| assert!(new.set("step", 7_u64));
    let result = upgraded::<v1::count, v2::count>((10,), ("abc", 1), Some(fill));
    assert_eq!(result.unwrap().1, 10 + 1 + 7 + 7, "one byte was counted before");
}

#[test]
fn names_and_types_are_told_apart() {
    let fill = |old: &Old<'_>, new: &mut New<'_>| {
        assert_eq!(old.get::<u32>("total"), Some(11));
        assert_eq!(old.get::<u32>("start"), Some(10));
        assert_eq!(old.get::<i32>("total"), None, "of another type");
        assert_eq!(old.get::<u32>("step"), None, "of another name");
        assert!(!new.set("step", 7_u32) && !new.set("step", 7_i64), "of another type");
        assert!(!new.set("missing", 7_u64), "of another name");
    };
    let result = upgraded::<v1::count, v2::count>((10,), ("abc", 1), Some(fill));
    assert_eq!(result.unwrap_err(), Refused::Unset("step"), "what was not set");
}

#[test]
fn a_variable_is_not_read_before_it_is_written() {
    let before = |old: &Old<'_>, _: &mut New<'_>| assert_eq!(old.get::<u64>("step"), None);
    assert_eq!(upgraded::<v1::late, v1::late>((), ("", 0), Some(before)).unwrap().1, 5);
    let after = |old: &Old<'_>, _: &mut New<'_>| assert_eq!(old.get::<u64>("step"), Some(5));
    assert_eq!(upgraded::<v1::late, v1::late>((), ("", 1), Some(after)).unwrap().1, 5);
}

#[test]
fn a_variable_of_another_type_is_not_copied() {
    let result = upgraded::<v1::count, v2::wider>((10,), ("abc", 2), None);
    assert_eq!(result.unwrap_err(), Refused::Unset("total"));
    let fill = |old: &Old<'_>, new: &mut New<'_>| {
        let total: u32 = old.get("total").expect("it is live");
        new.set("total", u64::from(total));
    };
    let result = upgraded::<v1::count, v2::wider>((10,), ("abc", 2), Some(fill));
    assert_eq!(result.unwrap().1, 13);
}

#[test]
fn shadowed_variables_keep_apart() {
    assert_eq!(upgraded::<v1::shadows, v2::shadows>((), ("", 0), None).unwrap().1, 200);
}

#[test]
fn a_call_is_found_once_or_not_at_all() {
    upgraded::<v1::once, v1::once>((), ("", 0), None).unwrap().1.unwrap();
    for refused in [
        upgraded::<v1::once, v2::once>((), ("", 0), None),
        upgraded::<v1::once, v1::twice>((), ("", 0), None),
        upgraded::<v1::twice, v1::once>((), ("", 1), None),
    ] {
        assert_eq!(refused.unwrap_err(), Refused::Call);
    }
}

#[test]
fn a_callee_begins_again() {
    // One pair is over, and the next one has read nothing when it is taken over.
    let (_, output, text) = upgraded::<v1::nested, v2::nested>((3,), ("xyz", 3), None).unwrap();
    output.unwrap();
    assert_eq!(text, "xayaazaa!");
}

#[test]
fn a_deadline_is_its_owners() {
    let deadline = |result: Result<(Deadline, _, _), _>| result.map(|(deadline, ..)| deadline);
    let stays = upgraded::<v1::bounded, v1::bounded>((), ("x", 1), None);
    assert_eq!(deadline(stays), Ok(Deadline::Stays));
    let unknown = upgraded::<v1::bounded, v1::bounded>((), ("x", 2), None);
    assert_eq!(deadline(unknown), Err(Refused::Deadline), "the callee may have one");
    let begins = upgraded::<v1::once, v1::bounded>((), ("x", 0), None);
    assert_eq!(deadline(begins), Ok(Deadline::Ends));
    let ends = upgraded::<v1::bounded, v1::once>((), ("x", 1), None);
    assert_eq!(deadline(ends), Ok(Deadline::Ends));
}
