//! Which types may live in a micro-heap.
//!
//! `unsafe` here is the promise of each impl, nothing else.
#![allow(unsafe_code)]

use crate::hash;
use std::cell::Cell;
use std::cmp::Ordering;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{NonZero, Saturating, Wrapping};
use std::ops::{Bound, Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};
use std::time::Duration;

/// Types that may live in a micro-heap, across blocking calls and across processes.
///
/// Derive it (`#[derive(Plain)]`) for structs and enums of plain fields. Not plain, and refused: references,
/// `Vec`, `String`, `Box`, function pointers, anything with a `Drop`. Such a value goes into a block that
/// ends before the blocking call.
///
/// ```compile_fail
/// fn lives_in_a_frame<T: vk_heap::Plain>() {}
/// lives_in_a_frame::<Vec<u8>>();
/// ```
/// ```compile_fail
/// fn lives_in_a_frame<T: vk_heap::Plain>() {}
/// lives_in_a_frame::<fn()>();
/// ```
/// ```compile_fail
/// fn lives_in_a_frame<T: vk_heap::Plain>() {}
/// lives_in_a_frame::<&'static str>();
/// ```
/// ```
/// fn lives_in_a_frame<T: vk_heap::Plain>() {}
/// lives_in_a_frame::<(u32, Option<[u8; 16]>)>();
/// ```
///
/// # Safety
///
/// The type holds no pointer, no reference, no handle of the operating system and no `Drop`, and bytes that
/// were a valid value once are a valid value in any other process that runs the same type, at any address.
#[diagnostic::on_unimplemented(
    message = "`{Self}` may not live across a blocking call",
    label = "is not `Plain`",
    note = "what is alive across a blocking call is kept in the micro-heap as plain data: \
            `#[derive(Plain)]` on a type of plain fields, or end the value's block before the call"
)]
pub unsafe trait Plain: Sized + 'static {
    /// A fingerprint of how a value lies in memory: where it is equal, bytes that another build wrote are a value here.
    ///
    /// `#[derive(Plain)]` writes it from names, offsets and the fields' own. The default knows only size and
    /// alignment: a type that is made `Plain` by hand says more, [`hash::named`](crate::hash::named) with a name that
    /// changes with the fields' meaning.
    const LAYOUT: u64 = hash::named::<Self>("");
}

macro_rules! plain {
    ($kind:ident: $($type:ty),* $(,)?) => { $(
        // SAFETY: made of numbers only; neither address nor handle nor `Drop` in it.
        unsafe impl Plain for $type {
            const LAYOUT: u64 = hash::$kind::<$type>(stringify!($type));
        }
    )* };
}

plain!(
    named:
    crate::HeapId,
    crate::Span,
    (),
    bool,
    char,
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    f32,
    f64,
    RangeFull,
    Ipv4Addr,
    Ipv6Addr,
);

plain!(
    opaque:
    NonZero<u8>,
    NonZero<u16>,
    NonZero<u32>,
    NonZero<u64>,
    NonZero<u128>,
    NonZero<usize>,
    NonZero<i8>,
    NonZero<i16>,
    NonZero<i32>,
    NonZero<i64>,
    NonZero<i128>,
    NonZero<isize>,
    Duration,
    Ordering,
    std::io::ErrorKind,
    IpAddr,
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
);

macro_rules! plain_of {
    ($($type:ident),* $(,)?) => { $(
        // SAFETY: a value of it is a plain value or two, and plain numbers beside them.
        unsafe impl<T: Plain> Plain for $type<T> {
            const LAYOUT: u64 = hash::numbers(&[hash::opaque::<Self>(stringify!($type)), T::LAYOUT]);
        }
    )* };
}

plain_of!(
    Cell,
    Option,
    Wrapping,
    Saturating,
    Bound,
    Range,
    RangeFrom,
    RangeInclusive,
    RangeTo,
    RangeToInclusive,
);

// SAFETY: one of two plain values and a plain discriminant.
unsafe impl<T: Plain, E: Plain> Plain for Result<T, E> {
    const LAYOUT: u64 = hash::numbers(&[hash::opaque::<Self>("Result"), T::LAYOUT, E::LAYOUT]);
}
// SAFETY: plain values side by side.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {
    const LAYOUT: u64 = hash::numbers(&[hash::named::<Self>("array"), N as u64, T::LAYOUT]);
}
// SAFETY: no bytes at all.
unsafe impl<T: ?Sized + 'static> Plain for PhantomData<T> {
    const LAYOUT: u64 = hash::named::<Self>("PhantomData");
}

macro_rules! plain_tuple {
    ($first:ident $($rest:ident)*) => {
        // SAFETY: plain values side by side.
        unsafe impl<$first: Plain, $($rest: Plain),*> Plain for ($first, $($rest,)*) {
            const LAYOUT: u64 =
                hash::numbers(&[hash::opaque::<Self>("tuple"), $first::LAYOUT, $($rest::LAYOUT),*]);
        }
        plain_tuple!($($rest)*);
    };
    () => {};
}

plain_tuple!(A B C D E F G H I J K L);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn layouts_tell_types_apart() {
        let layouts = [
            u32::LAYOUT,
            i32::LAYOUT,
            f32::LAYOUT,
            char::LAYOUT,
            NonZero::<u32>::LAYOUT,
            Wrapping::<u32>::LAYOUT,
            <[u32; 1]>::LAYOUT,
            <[u8; 4]>::LAYOUT,
            <[i8; 4]>::LAYOUT,
            <(u32,)>::LAYOUT,
            <(u16, u16)>::LAYOUT,
            <(i16, u16)>::LAYOUT,
            Option::<u32>::LAYOUT,
            Option::<f32>::LAYOUT,
            Option::<Option<u32>>::LAYOUT,
            Result::<u32, ()>::LAYOUT,
            Result::<(), u32>::LAYOUT,
            Range::<u32>::LAYOUT,
            RangeInclusive::<u32>::LAYOUT,
            <[[u8; 0]; 2]>::LAYOUT,
            <[u8; 0]>::LAYOUT,
            <[u16; 0]>::LAYOUT,
        ];
        assert_eq!(layouts.iter().collect::<BTreeSet<_>>().len(), layouts.len());
    }
}
