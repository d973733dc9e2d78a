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
    unsafe impl ::vk::rt::Plain for Request {}
    #[allow(dead_code)]
    fn fields() {
        fn plain<T: ::vk::rt::Plain>() {}
        plain::<u64>();
        plain::<Line<64>>();
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
    for Pair<A, B> {}
    #[allow(dead_code)]
    fn fields<A: ::vk::rt::Plain, B: Copy + ::vk::rt::Plain>() {
        fn plain<T: ::vk::rt::Plain>() {}
        plain::<A>();
        plain::<B>();
    }
    trait PlainTypesMustNotImplementDrop {}
    #[allow(drop_bounds)]
    impl<T: ::core::ops::Drop + ?::core::marker::Sized> PlainTypesMustNotImplementDrop
    for T {}
    impl<A: ::vk::rt::Plain, B: Copy + ::vk::rt::Plain> PlainTypesMustNotImplementDrop
    for Pair<A, B> {}
};
