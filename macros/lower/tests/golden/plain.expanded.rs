/// Where a request stands.
pub struct Request {
    pub length: u64,
    pub path: Line<64>,
}
#[doc(hidden)]
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks,
    non_local_definitions
)]
const _: () = {
    unsafe impl ::vk::rt::Plain for Request {
        const LAYOUT: u64 = ::vk::rt::hash::numbers(
            &[
                ::vk::rt::hash::named::<Self>("Request"),
                ::core::mem::offset_of!(Self, length) as u64,
                ::vk::rt::hash::text("length"),
                ::core::mem::size_of::<u64>() as u64,
                plain::<u64>(),
                ::core::mem::offset_of!(Self, path) as u64,
                ::vk::rt::hash::text("path"),
                ::core::mem::size_of::<Line<64>>() as u64,
                plain::<Line<64>>(),
            ],
        );
    }
    const fn plain<T: ::vk::rt::Plain>() -> u64 {
        T::LAYOUT
    }
    const _: () = ::core::assert!(
        ! ::core::mem::needs_drop:: < Request > () || ::core::mem::needs_drop:: < u64 >
        () || ::core::mem::needs_drop:: < Line < 64 > > (),
        "`Request` is Plain, so it may not implement Drop"
    );
};
struct Pair<A, B: Copy>(A, B);
#[doc(hidden)]
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks,
    non_local_definitions
)]
const _: () = {
    unsafe impl<A: ::vk::rt::Plain, B: Copy + ::vk::rt::Plain> ::vk::rt::Plain
    for Pair<A, B> {
        const LAYOUT: u64 = ::vk::rt::hash::numbers(
            &[
                ::vk::rt::hash::named::<Self>("Pair"),
                ::core::mem::offset_of!(Self, 0) as u64,
                ::vk::rt::hash::text(""),
                ::core::mem::size_of::<A>() as u64,
                plain::<A>(),
                ::core::mem::offset_of!(Self, 1) as u64,
                ::vk::rt::hash::text(""),
                ::core::mem::size_of::<B>() as u64,
                plain::<B>(),
            ],
        );
    }
    const fn plain<T: ::vk::rt::Plain>() -> u64 {
        T::LAYOUT
    }
    trait PlainTypesMustNotImplementDrop {}
    #[allow(drop_bounds)]
    impl<T: ::core::ops::Drop + ?::core::marker::Sized> PlainTypesMustNotImplementDrop
    for T {}
    impl<A: ::vk::rt::Plain, B: Copy + ::vk::rt::Plain> PlainTypesMustNotImplementDrop
    for Pair<A, B> {}
};
