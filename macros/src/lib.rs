//! The macros of vk: a shim over [`vk_lower`], where the passes are.

use proc_macro::TokenStream;

/// Lowers a blocking-style function, or the methods of an `impl` block that have a parameter `io: &mut Io`, to a
/// state machine whose state is plain data.
///
/// A call on `io`, or a call that is handed `io`, blocks; nothing else does. A variable that is alive across
/// such a call carries a type, which is `Plain`. The function's name becomes the type of its frame; other
/// coroutines call it as the function that it was.
#[proc_macro_attribute]
pub fn coroutine(attribute: TokenStream, item: TokenStream) -> TokenStream {
    vk_lower::coroutine(attribute.into(), item.into()).into()
}

/// Implements `Plain` for a struct or enum whose fields are all `Plain`.
#[proc_macro_derive(Plain)]
pub fn plain(input: TokenStream) -> TokenStream {
    vk_lower::plain::derive(input.into()).into()
}

/// Declares an application: its name, listeners and limits. Expands to `main`.
///
/// Keys: `name`, and optionally `about`, `listen: "ADDR:PORT" => coroutine` (repeatable), `stdio: coroutine`,
/// `args: "USAGE"`, `heap: BYTES`, `max_procs: N`; at least one of `listen` and `stdio`.
#[proc_macro]
pub fn vk_app(input: TokenStream) -> TokenStream {
    vk_lower::app::app(input.into()).into()
}
