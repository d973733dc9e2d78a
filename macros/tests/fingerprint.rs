//! What changes a coroutine's fingerprints, and what doesn't; and which variables are live where it blocks.

#![allow(dead_code, reason = "most of the coroutines are only looked at")]

use std::io;
use vk::Io;
use vk::rt::{Coroutine, Frame, Plain};

/// One body that is given its pieces: a literal, the type of a variable, a callee.
macro_rules! build {
    ($module:ident: $literal:literal, $ty:ty, $field:ty, $callee:literal) => {
        mod $module {
            use super::*;

            #[derive(vk::Plain)]
            pub struct Place {
                pub at: $field,
            }

            #[derive(Clone, Copy, vk::Plain)]
            pub enum State {
                Idle,
                Busy($field),
            }

            #[vk::coroutine]
            pub fn plain(io: &mut Io) -> io::Result<()> {
                let count: $ty = 1;
                let text: [u8; 2] = *$literal;
                io.write_all(&text)?;
                let _ = count;
                io.flush()
            }

            #[vk::coroutine]
            pub fn calls_plain(io: &mut Io) -> io::Result<()> {
                plain(io)
            }

            #[vk::coroutine]
            pub fn placed(io: &mut Io) -> io::Result<()> {
                let place: Place = Place { at: 1 };
                io.flush()?;
                let _ = place.at;
                Ok(())
            }

            #[vk::coroutine]
            pub fn stated(io: &mut Io) -> io::Result<()> {
                let mut state: State = State::Idle;
                io.flush()?;
                state = if let State::Busy(_) = state { State::Idle } else { state };
                io.flush()?;
                let _ = state;
                Ok(())
            }

            #[vk::coroutine]
            pub fn inner(io: &mut Io, text: &[u8]) -> io::Result<()> {
                io.write_all(text)?;
                io.write_all($callee)
            }

            #[vk::coroutine]
            pub fn outer(io: &mut Io) -> io::Result<()> {
                middle(io)
            }

            #[vk::coroutine]
            pub fn middle(io: &mut Io) -> io::Result<()> {
                inner(io, b"x")
            }
        }
    };
}

build!(first: b"ab", u32, u32, b"c");
build!(same: b"ab", u32, u32, b"c");
build!(literal: b"ac", u32, u32, b"c");
build!(typed: b"ab", i32, u32, b"c");
build!(field: b"ab", u32, i32, b"c");
build!(callee: b"ab", u32, u32, b"d");

/// Frame and body of each coroutine.
macro_rules! prints {
    ($module:ident) => {
        [
            prints::<$module::plain>(),
            prints::<$module::calls_plain>(),
            prints::<$module::placed>(),
            prints::<$module::stated>(),
            prints::<$module::inner>(),
            prints::<$module::outer>(),
        ]
    };
}

fn prints<F: Frame>() -> (u64, u64) {
    (F::LAYOUT, F::BODY)
}

/// Which of the coroutines have another frame, and which another body.
fn changed(prints: [(u64, u64); 6]) -> ([bool; 6], [bool; 6]) {
    let first = prints!(first);
    (
        std::array::from_fn(|at| prints[at].0 != first[at].0),
        std::array::from_fn(|at| prints[at].1 != first[at].1),
    )
}

#[test]
fn each_change_shows_where_it_is() {
    const NONE: [bool; 6] = [false; 6];
    assert_eq!(changed(prints!(same)), (NONE, NONE));
    assert_eq!(changed(prints!(literal)), (NONE, [true, true, false, false, false, false]));
    assert_eq!(changed(prints!(typed)), ([true, true, false, false, false, false], NONE));
    assert_eq!(changed(prints!(field)), ([false, false, true, true, false, false], NONE));
    assert_eq!(changed(prints!(callee)), (NONE, [false, false, false, false, true, true]));
}

mod formatted {
    use super::*;

    #[vk::coroutine]
    pub fn one(io: &mut Io, limit: u32) -> io::Result<()> {
        for i in 0..limit {
            if i == 3 && limit > 4 {
                write!(io, "{i} {}", limit + 1)?;
            }
        }
        io.flush()
    }

    #[rustfmt::skip]
    pub mod other {
        use super::*;

        /// The same, said differently.
        #[vk::coroutine]
        pub fn one(
            io: &mut Io,
            limit: u32,
        ) -> io::Result<()> {
            for i in   0  ..  limit { // from 0
                if i==3&&limit>4 {
                    write!(
                        io,
                        "{i} {}",   /* one more */
                        limit+1,
                    )?;
                }
            }

            io.flush()
        }
    }
}

#[test]
fn comments_and_formatting_do_not_count() {
    assert_eq!(prints::<formatted::one>(), prints::<formatted::other::one>());
}

mod generic {
    use super::*;

    #[vk::coroutine]
    pub fn filled<T: Plain + Copy, const N: usize>(io: &mut Io, value: T) -> io::Result<()> {
        let _ = value;
        say(io, N)
    }

    #[vk::coroutine]
    pub fn say(io: &mut Io, number: usize) -> io::Result<()> {
        write!(io, "{number}")
    }

    pub struct Session<T>(pub T);

    #[vk::coroutine]
    impl<T: Plain + Copy> Session<T> {
        pub fn run(&mut self, io: &mut Io) -> io::Result<()> {
            let copy: T = self.0;
            self.end(io)?;
            self.0 = copy;
            Ok(())
        }

        fn end(&mut self, io: &mut Io) -> io::Result<()> {
            io.flush()
        }
    }

    /// By the methods' frames.
    #[vk::coroutine]
    pub fn session(io: &mut Io) -> io::Result<()> {
        let mut session: Session<[u8; 2]> = Session([1, 2]);
        session.run(io)
    }

    /// The same name, and another type.
    #[vk::coroutine]
    pub fn session_of_four(io: &mut Io) -> io::Result<()> {
        let mut session: Session<u32> = Session(1);
        session.run(io)
    }

    #[allow(unsafe_code)]
    // SAFETY: plain itself.
    unsafe impl<T: Plain> Plain for Session<T> {
        const LAYOUT: u64 = T::LAYOUT;
    }
}

#[test]
fn generic_coroutines_have_fingerprints_of_their_own() {
    use generic::*;
    assert_ne!(prints::<filled<u32, 1>>().0, prints::<filled<i32, 1>>().0);
    assert_eq!(prints::<filled<u32, 1>>().1, prints::<filled<i32, 1>>().1);
    assert_ne!(prints::<filled<u32, 1>>().1, prints::<filled<u32, 2>>().1, "what it does depends on it");
    assert_ne!(prints::<session>().0, prints::<session_of_four>().0);
}

/// Names of the variables that are live at each point.
fn live<C: Coroutine>() -> Vec<Vec<&'static str>> {
    let name = |index: &u16| C::SHAPE.fields[usize::from(*index)].name;
    C::SHAPE.points.iter().map(|point| point.live.iter().map(name).collect()).collect()
}

#[vk::coroutine]
fn branches(io: &mut Io, start: bool) -> io::Result<()> {
    let mut total: u32 = 0;
    if start {
        let inside: u32 = 1;
        io.flush()?;
        total += inside;
    } else {
        io.eof()?;
    }
    io.read(&mut [])?;
    for i in 0..total {
        let twice: u32 = 2 * i;
        let twice: u64 = twice.into();
        write!(io, "{twice} {i}")?;
        io.sleep(std::time::Duration::ZERO)?;
    }
    Ok(())
}

#[test]
fn live_is_what_was_written_on_all_ways() {
    let names: Vec<_> = branches::SHAPE.fields.iter().map(|field| field.name).collect();
    assert_eq!(names, ["start", "total", "inside", "range", "i", "twice", "twice_2"]);
    assert_eq!(
        live::<branches>(),
        [
            vec!["start", "total", "inside"],
            vec!["start", "total"],
            vec!["start", "total"],
            vec!["start", "total", "range", "i", "twice", "twice_2"],
            vec!["start", "total", "range", "i", "twice", "twice_2"],
        ]
    );
}

#[test]
fn fields_lie_where_the_shape_says() {
    for shape in [branches::SHAPE, <first::plain as Coroutine>::SHAPE, <generic::session as Coroutine>::SHAPE]
    {
        let mut end = 4;
        for field in shape.fields {
            assert!(field.offset >= end, "{field:?} begins behind the one before");
            end = field.offset + field.size;
        }
        assert!(shape.points.iter().is_sorted_by_key(|point| point.pc));
    }
}
