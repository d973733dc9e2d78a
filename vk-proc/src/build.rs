//! One build of the program after another, in the same process: what is handed over by exec(2).
//!
//! ```text
//! probe     the binary at the path, run beside: does it start, and speak of the same formats?
//!   │ yes
//! exec ──►  the next build: same pid, same children, the keeper's descriptors; VK_HANDOVER says what they are
//!   │ its workers can't take over
//!   └────►  exec of the build before, whose binary is still open, and whose workers have never stopped
//! ```
#![allow(unsafe_code)]

use crate::control::{Control, FORMAT};
use crate::keeper::Before;
use std::env;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::linux::fs::MetadataExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::ptr;

/// The variable by which a build learns what the one before it hands over.
const HANDOVER: &str = "VK_HANDOVER";

/// The variable by which a build learns that it is only to say whether it could start.
const PROBE: &str = "VK_PROBE";

/// How the program is run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where its binary lies, and the next one will: a link is not followed until then.
    path: PathBuf,
    args: Vec<OsString>,
    /// The binary that runs, which may no longer lie there.
    running: RawFd,
}

/// The sockets of a listener, one for each worker.
pub type Sockets = (SocketAddr, Vec<RawFd>);

/// What the build before this one hands over.
#[derive(Debug)]
pub struct Handover {
    /// Workers and their slots.
    pub control: Control,
    /// The build before.
    pub before: Before,
    /// What it listens on.
    pub listeners: Vec<Sockets>,
    /// Whether it has refused to go on, and this is the build before that one.
    pub refused: bool,
    path: PathBuf,
}

/// Whether this process is only asked whether it could start.
pub fn is_probe() -> bool {
    env::var_os(PROBE).is_some()
}

/// What a probe says.
pub fn probe_answer() -> String {
    format!("vk {FORMAT}")
}

impl Handover {
    /// Takes what is handed over, if anything is. This process has one thread yet.
    ///
    /// # Errors
    /// `InvalidData` if it can't be understood.
    pub fn take() -> io::Result<Option<Handover>> {
        let Some(text) = env::var_os(HANDOVER) else { return Ok(None) };
        // SAFETY: no other thread exists that could read the environment, as the caller promises.
        unsafe { env::remove_var(HANDOVER) };
        let text = text.into_vec();
        let mut parts = text.splitn(8, |byte| *byte == b' ');
        let mut next = || parts.next().ok_or(io::ErrorKind::InvalidData);
        let mut number = || -> io::Result<RawFd> {
            let text = str::from_utf8(next()?).map_err(io::Error::other)?;
            text.parse().map_err(|_| io::ErrorKind::InvalidData.into())
        };
        let [pid, page, board, binary] = [number()?, number()?, number()?, number()?];
        let [build, back] = [number()?, number()?].map(i32::cast_unsigned);
        if u32::try_from(pid) != Ok(std::process::id()) {
            // It was meant for another process, which let a child of its have it.
            return Ok(None);
        }
        let listeners = str::from_utf8(next()?).map_err(io::Error::other)?.to_owned();
        let path = PathBuf::from(OsString::from_vec(next()?.to_vec()));
        // SAFETY: the build before opened them, in this process, and left them to nobody else.
        let [page, board, binary] =
            [page, board, binary].map(|number| unsafe { OwnedFd::from_raw_fd(number) });
        let listeners = listeners.split(';').filter(|listener| !listener.is_empty());
        let listeners = listeners.map(|listener| parse(listener).ok_or(io::ErrorKind::InvalidData));
        let mut control = Control::adopt(page, board)?;
        let refused = back != 0;
        if refused {
            // The build that comes back goes on with the workers that it has.
            control.go_back_to(back);
        }
        Ok(Some(Handover {
            control,
            before: Before { binary, build },
            listeners: listeners.collect::<Result<_, _>>()?,
            refused,
            path,
        }))
    }
}

/// `ADDR:PORT=FD,FD,…`
fn parse(listener: &str) -> Option<Sockets> {
    let (address, sockets) = listener.rsplit_once('=')?;
    let sockets = sockets.split(',').map(|socket| socket.parse().ok()).collect::<Option<_>>()?;
    Some((address.parse().ok()?, sockets))
}

fn print(listeners: &[Sockets]) -> String {
    let print = |(address, sockets): &Sockets| {
        let sockets: Vec<String> = sockets.iter().map(RawFd::to_string).collect();
        format!("{address}={}", sockets.join(","))
    };
    listeners.iter().map(print).collect::<Vec<_>>().join(";")
}

impl Program {
    /// The program that runs in this process: at the path that `handover` says, or where its binary lies.
    ///
    /// # Errors
    /// If /proc is not there.
    pub fn this(handover: Option<&Handover>) -> io::Result<Program> {
        let path = match handover {
            Some(handover) => handover.path.clone(),
            None => called_path().map_or_else(env::current_exe, Ok)?,
        };
        let running = std::os::fd::IntoRawFd::into_raw_fd(File::open("/proc/self/exe")?);
        Ok(Program { path, args: env::args_os().collect(), running })
    }

    /// Begins to ask the binary that lies at the path now whether it could start.
    pub(crate) fn probe(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.path);
        command.args(self.args.iter().skip(1)).env(PROBE, "1").stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn()
    }

    /// Makes this process one of the binary that lies at the path now, or of the build before, which comes `back`. Returns
    /// only if that fails; then nothing has changed.
    pub fn exec(&self, control: &Control, listeners: &[Sockets], back: Option<&Before>) -> io::Error {
        let handed = |pass: bool| {
            shared(control, listeners).chain([self.running]).for_each(|number| inherit(number, pass));
        };
        handed(true);
        // The build that comes back opens its binary by itself.
        back.inspect(|back| inherit(back.binary.as_raw_fd(), false));
        let ([page, board], running, pid) = (control.memfds(), self.running, std::process::id());
        let (build, back_to, listeners) =
            (control.build(), back.map_or(0, |back| back.build), print(listeners));
        let mut handover =
            format!("{HANDOVER}={pid} {page} {board} {running} {build} {back_to} {listeners} ").into_bytes();
        handover.extend(self.path.as_os_str().as_bytes());
        let path = match back {
            Some(back) => format!("/proc/self/fd/{}", back.binary.as_raw_fd()).into_bytes(),
            None => self.path.as_os_str().as_bytes().to_vec(),
        };
        let error = execute(path, &self.args, handover);
        handed(false);
        error
    }
}

/// The path that this process was called by, if it is one: a link to the binary may lead to the next one later.
fn called_path() -> Option<PathBuf> {
    let called = PathBuf::from(env::args_os().next()?);
    let is_path = called.as_os_str().as_bytes().contains(&b'/');
    let identity = |path: &Path| path.metadata().map(|file| (file.st_dev(), file.st_ino())).ok();
    let is_this = identity(&called)? == identity(Path::new("/proc/self/exe"))?;
    std::path::absolute(called).ok().filter(|_| is_path && is_this)
}

/// Whether the probe says yes: it has ended well, with the right answer.
pub(crate) fn is_willing(mut probe: Child, success: bool) -> bool {
    let Some(out) = probe.stdout.take().filter(|_| success) else { return false };
    // What it said is there. Whom it has left behind may keep the pipe open, and is not waited for.
    let mut answer = [0; 64];
    let read = vk_poll::set_nonblocking(out.as_raw_fd(), true).and_then(|_| { out }.read(&mut answer));
    read.is_ok_and(|count| answer[..count].trim_ascii_end() == probe_answer().as_bytes())
}

/// execve(2), with the environment of this process and one variable more. The signals that are blocked stay so, in
/// the new program too.
fn execute(path: Vec<u8>, args: &[OsString], variable: Vec<u8>) -> io::Error {
    let strings =
        |strings: Vec<Vec<u8>>| strings.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>();
    let variables = env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let environment: Vec<Vec<u8>> = variables.chain([variable]).collect();
    let args = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
    let (Ok(path), Ok(args), Ok(environment)) = (CString::new(path), strings(args), strings(environment))
    else {
        return io::ErrorKind::InvalidInput.into();
    };
    let pointers = |strings: &[CString]| {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect::<Vec<_>>()
    };
    // SAFETY: a C string and two lists of them, each ending with null, which live until the call returns.
    unsafe { libc::execve(path.as_ptr(), pointers(&args).as_ptr(), pointers(&environment).as_ptr()) };
    io::Error::last_os_error()
}

/// Whether a program that is executed has the descriptor, too.
fn inherit(number: RawFd, inherit: bool) {
    // SAFETY: no memory is involved; where the number is not open, it is an error that changes nothing.
    unsafe { libc::fcntl(number, libc::F_SETFD, if inherit { 0 } else { libc::FD_CLOEXEC }) };
}

/// What one build leaves to the next: the control page and what it leads to, and the listeners.
fn shared(control: &Control, listeners: &[Sockets]) -> impl Iterator<Item = RawFd> {
    let sockets = listeners.iter().flat_map(|(_, sockets)| sockets.iter().copied());
    control.descriptors().into_iter().chain(sockets)
}

/// No program that is executed later has what was handed over: that is this build's to say.
pub(crate) fn keep_to_itself(control: &Control, listeners: &[Sockets], before: Option<&Before>) {
    let binary = before.map(|before| before.binary.as_raw_fd());
    shared(control, listeners).chain(binary).for_each(|number| inherit(number, false));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_read_as_they_are_printed() {
        let listeners =
            vec![("[::1]:80".parse().unwrap(), vec![3, 44]), ("0.0.0.0:1".parse().unwrap(), vec![5])];
        let text = print(&listeners);
        assert_eq!(text.split(';').map(parse).collect::<Option<Vec<_>>>(), Some(listeners));
        assert!(
            ["", "x", "1.2.3.4:5", "1.2.3.4:5=", "1.2.3.4:5=a"].into_iter().all(|text| parse(text).is_none())
        );
    }
}
