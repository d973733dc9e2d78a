//! The macros of vk: a shim over [`vk_lower`], where the passes are.
//!
//! `coroutine` is also the name of an unstable attribute of the compiler, so it is written with its path,
//! `#[vk::coroutine]`: with a `use`, rustc would call the name ambiguous (E0659).

use proc_macro::TokenStream;

/// Lowers a blocking-style function, or the methods of an `impl` block that have a parameter `io: &mut Io`, to a
/// state machine whose state is plain data.
///
/// A call on `io`, or a call that is handed `io`, blocks; nothing else does. A variable that is alive across
/// such a call carries a type, which is `Plain`. The function's name becomes the type of its frame; other
/// coroutines call it as the function that it was.
///
/// Arguments of a blocking call are evaluated again each time it resumes, so they are places, literals, and views and
/// values made from them. Which methods and functions are pure is told by their names: views as `len`, `get`,
/// `as_bytes`, `path`; makers as `Type::new` and `Type::from_…`. **One of your own types that has such a name must be
/// pure**: a `Type::new` that draws from a counter would draw again at each resume. Bind its value first:
/// `let id: Id = Id::new();`. A cell's `get()` is accepted as an argument by value, of which the callee takes its copy at
/// the start, and refused elsewhere.
///
/// A `move` closure takes copies, as ever; a type that isn't `Copy` can't be moved out of the frame.
///
/// ```
/// use std::io;
/// use vk::{Io, Line};
///
/// /// Echoes each line until the client hangs up.
/// #[vk::coroutine]
/// fn echo(io: &mut Io) -> io::Result<()> {
///     let mut line: Line<1024> = Line::new();
///     while io.read_line(&mut line)? {
///         io.write_all(&line)?;
///         io.flush()?;
///     }
///     Ok(())
/// }
/// ```
///
/// # Errors
/// What can't be lowered is refused on the token that is wrong, with the rewrite that works: see
/// [`vk_lower::Refusal`].
#[proc_macro_attribute]
pub fn coroutine(attribute: TokenStream, item: TokenStream) -> TokenStream {
    vk_lower::coroutine(attribute.into(), item.into()).into()
}

/// Implements `Plain` for a struct or enum whose fields are all `Plain`: what may live in a frame.
///
/// ```
/// #[derive(vk::Plain)]
/// struct Request {
///     length: u64,
///     keep_alive: Option<bool>,
/// }
/// ```
///
/// # Errors
/// Fields that aren't `Plain`, lifetimes, unions, and types that implement `Drop`.
#[proc_macro_derive(Plain)]
pub fn plain(input: TokenStream) -> TokenStream {
    vk_lower::plain::derive(input.into()).into()
}

/// Declares an application: its name, listeners and limits. Expands to `main`.
///
/// Keys: `name`, and optionally `about`, `listen: "ADDR:PORT" => coroutine` (repeatable), `stdio: coroutine`,
/// `args: "USAGE"`, `check: function`, `heap: BYTES`, `max_procs: N`, `opens_files: true`,
/// `migrate: coroutine => function` (repeatable); at least one of `listen` and `stdio`.
///
/// The function of `check` is an `fn() -> Result<(), String>`, called before the application serves, and when it is asked
/// whether it could: with an error, a line that says what is wrong, it does not, and as the next build it is refused. It may
/// leave neither a thread running nor a descriptor open.
///
/// An application whose handlers open files by their names says so by `opens_files`: under `--confine strict` a worker
/// can't, and it is better not to begin than to fail at the first request.
///
/// The function of `migrate` is an `fn(&Old, &mut New)`. When this build takes over a micro-process that runs an older
/// version of the coroutine and waits at a checkpoint, variables of the same name and type are carried over; it sets the
/// others.
///
/// ```
/// # use std::io;
/// # use vk::Io;
/// # #[vk::coroutine]
/// # fn echo(io: &mut Io) -> io::Result<()> { io.flush() }
/// vk::vk_app! {
///     name: "echo",
///     about: "Echoes lines.",
///     listen: "127.0.0.1:7007" => echo,
/// }
/// ```
///
/// # Errors
/// A malformed declaration is refused on its token, with what to write.
#[proc_macro]
pub fn vk_app(input: TokenStream) -> TokenStream {
    vk_lower::app::app(input.into()).into()
}
