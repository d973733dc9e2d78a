//! A stand-in for vk: just enough of its run-time contract to run lowered code in the tests of the macros.
//!
//! [`Io`] holds all of its input from the beginning; what it answers `Pending` to is scripted. So a coroutine
//! must give the same output whatever the script says.

pub mod rt;

pub use rt::{Io, Plain};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::task::Poll;
use std::time::Duration;
use vk_core::migrate::migrate;
pub use vk_core::migrate::{Deadline, New, Old, Refused};
use vk_core::shape::Claim;
pub use vk_macros::{Plain, coroutine, vk_app};

impl Io {
    /// An `Io` with this input, whose operations answer `Pending` where `script` says `true`.
    pub fn new(input: impl AsRef<[u8]>, script: impl IntoIterator<Item = bool>) -> Io {
        Io {
            input: input.as_ref().iter().copied().collect(),
            output: Vec::new(),
            script: script.into_iter().collect(),
            suspended: 0,
            deadline: 0,
        }
    }

    /// What has been written, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    fn ready(&mut self) -> bool {
        let pending = self.script.pop_front().unwrap_or(false);
        self.suspended += usize::from(pending);
        !pending
    }

    fn answer<T>(&mut self, value: impl FnOnce(&mut Io) -> io::Result<T>) -> Poll<io::Result<T>> {
        if self.ready() { Poll::Ready(value(self)) } else { Poll::Pending }
    }

    /// Reads at least one byte; 0 at the end.
    pub fn read(&mut self, to: &mut [u8]) -> Poll<io::Result<usize>> {
        self.answer(|io| {
            let count = to.len().min(io.input.len());
            to.iter_mut().zip(io.input.drain(..count)).for_each(|(to, byte)| *to = byte);
            Ok(count)
        })
    }

    /// Fills `to`.
    pub fn read_exact(&mut self, to: &mut [u8]) -> Poll<io::Result<()>> {
        if self.input.len() < to.len() {
            return self.answer(|_| Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.read(to).map_ok(|_| ())
    }

    /// Reads a line; `false` at the end.
    pub fn read_line<const N: usize>(&mut self, line: &mut Line<N>) -> Poll<io::Result<bool>> {
        self.answer(|io| {
            line.clear();
            while let Some(byte) = io.input.pop_front() {
                line.push(byte);
                if byte == b'\n' {
                    break;
                }
            }
            Ok(!line.is_empty())
        })
    }

    /// Whether there is no more input.
    pub fn eof(&mut self) -> Poll<io::Result<bool>> {
        self.answer(|io| Ok(io.input.is_empty()))
    }

    /// Writes all bytes.
    pub fn write_all(&mut self, from: &[u8]) -> Poll<io::Result<()>> {
        self.answer(|io| {
            io.output.extend_from_slice(from);
            Ok(())
        })
    }

    /// Writes formatted text.
    pub fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> Poll<io::Result<()>> {
        self.answer(|io| io::Write::write_fmt(&mut io.output, text))
    }

    /// Does nothing.
    pub fn flush(&mut self) -> Poll<io::Result<()>> {
        self.answer(|_| Ok(()))
    }

    /// Does nothing.
    pub fn sleep(&mut self, _: Duration) -> Poll<io::Result<()>> {
        self.answer(|_| Ok(()))
    }

    /// Sets a deadline.
    pub fn deadline(&mut self, limit: Duration) -> Poll<io::Result<()>> {
        self.answer(|io| {
            io.deadline = limit.as_secs();
            Ok(())
        })
    }

    /// The deadline in force.
    pub fn deadline_mark(&mut self) -> [u64; 2] {
        [self.deadline, 0]
    }

    /// Puts a deadline back.
    pub fn deadline_restore(&mut self, [mark, _]: [u64; 2]) {
        self.deadline = mark;
    }
}

/// A line of at most `N` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Line<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

#[allow(unsafe_code)]
// SAFETY: numbers only.
unsafe impl<const N: usize> Plain for Line<N> {}

impl<const N: usize> Line<N> {
    /// An empty one.
    pub fn new() -> Line<N> {
        Line { bytes: [0; N], len: 0 }
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds a byte.
    pub fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }
}

impl<const N: usize> Default for Line<N> {
    fn default() -> Line<N> {
        Line::new()
    }
}

impl<const N: usize> Deref for Line<N> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Runs a coroutine to its end on `io`.
pub fn run<C: rt::Coroutine>(args: C::Args, io: &mut Io) -> C::Output {
    let mut frame = MaybeUninit::uninit();
    C::start(&mut frame, args);
    rt::finish::<C>(&mut frame, io)
}

/// Runs the coroutine `A` until it blocks, makes its frame one of `B`, as if that were `A` in a newer build, and runs
/// `B` to its end.
///
/// # Errors
/// What the migration says.
pub fn upgrade<A: rt::Coroutine, B: rt::Coroutine>(
    args: A::Args,
    io: &mut Io,
    fill: Option<vk_core::migrate::Fill>,
) -> Result<(Deadline, B::Output), Refused> {
    let old = rt::suspend::<A>(args, io);
    let claim =
        Claim::decode(&A::SHAPE.encode(), old.len() as u32).expect("a shape is read as it was written");
    let mut new = vec![MaybeUninit::uninit(); size_of::<B>()];
    #[expect(unsafe_code)]
    // SAFETY: the frame of a suspended `A`, and its shape; then one of `B`, migrated.
    unsafe {
        let deadline = migrate(&claim, &old, B::SHAPE, &mut new, fill)?;
        Ok((deadline, rt::proceed::<B>(&new, io)))
    }
}

/// What `vk_app!` declares.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in vk")]
pub struct App<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub about: &'a str,
    pub listeners: &'a [Listener],
    pub stdio: Option<Handler>,
    pub args: Option<&'a str>,
    pub check: Option<fn() -> Result<(), String>>,
    pub heap: Option<u32>,
    pub max_procs: Option<u32>,
    pub opens_files: bool,
    pub migrations: &'a [Migration],
}

/// An address and what serves it.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in vk")]
pub struct Listener {
    pub address: &'static str,
    pub handler: Handler,
}

/// A coroutine that can serve.
#[derive(Debug)]
pub struct Handler(fn(&mut Io) -> io::Result<()>);

impl Handler {
    /// The handler for this frame.
    pub const fn of<C: rt::Coroutine<Args = (), Output = io::Result<()>>>() -> Handler {
        Handler(|io| run::<C>((), io))
    }
}

/// How a coroutine is migrated.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in vk")]
pub struct Migration {
    pub name: &'static str,
    pub fill: fn(&Old<'_>, &mut New<'_>),
}

impl Migration {
    /// The migration to this frame.
    pub const fn of<C: rt::Coroutine<Output = io::Result<()>>>(
        fill: fn(&Old<'_>, &mut New<'_>),
    ) -> Migration {
        Migration { name: C::NAME, fill }
    }
}

/// Prints the declaration, and serves one line by `stdio`.
pub fn main(app: &App<'_>) -> std::process::ExitCode {
    let App { name, version, about, listeners, stdio, args, check, heap, max_procs, opens_files, migrations } =
        app;
    let addresses: Vec<_> = listeners.iter().map(|listener| listener.address).collect();
    println!(
        "{name} {version} {about:?} {addresses:?} {args:?} {:?} {heap:?} {max_procs:?} {opens_files} {migrations:?}",
        check.map(|check| check())
    );
    let mut io = Io::new("line\n", [true, false, true]);
    let handler = stdio.as_ref().or(listeners.first().map(|listener| &listener.handler));
    match handler.map(|handler| (handler.0)(&mut io)) {
        Some(Ok(())) => {
            print!("{}", io.text());
            std::process::ExitCode::SUCCESS
        }
        _ => std::process::ExitCode::FAILURE,
    }
}
