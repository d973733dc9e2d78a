//! `#[derive(Plain)]`.

use vk::Plain;

/// With type and const parameters and a bound.
#[derive(Plain, Clone, Copy)]
pub struct Grid<T: Copy, const N: usize>
where
    T: PartialEq,
{
    /// Cells.
    pub cells: [[T; N]; N],
    /// A place.
    pub at: (usize, usize),
}

/// Every kind of variant.
#[derive(Plain)]
pub enum Choice<T> {
    /// No fields.
    None,
    /// Unnamed.
    One(T),
    /// Named.
    Two {
        /// First.
        first: T,
        /// Second.
        second: Option<Grid<u8, 3>>,
    },
}

#[derive(Plain)]
struct Unit;

#[derive(Plain)]
enum Never {}

fn plain<T: Plain>() {}

#[test]
fn derived() {
    plain::<Grid<char, 2>>();
    plain::<Choice<Choice<u32>>>();
    plain::<Unit>();
    plain::<Never>();
}
