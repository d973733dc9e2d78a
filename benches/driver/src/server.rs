//! A server under measurement: started on its CPU, checked, ended with SIGTERM.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::cpus::{self, Cpus};
use crate::target::Target;
use crate::{Failure, client};

/// How long a server may take to listen.
pub const START: Duration = Duration::from_secs(10);
/// How long a server may take to end after SIGTERM: it has no clients left.
const END: Duration = Duration::from_secs(5);
/// How often an ending server is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// What every server says on stderr when it is ready.
const READY: &str = "listening on ";

/// Ended when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts a server with `more` arguments, waits until it listens, and sees that it answers as all must.
    ///
    /// # Errors
    /// It doesn't start, doesn't listen in time, or answers something else.
    pub fn start(target: &Target, more: &[&str], cpus: &Cpus) -> Result<Self, Failure> {
        let mut command = Command::new(&target.program);
        command.args(["--listen", "127.0.0.1:0"]).args(&target.args).args(more);
        Self::run(command, address, cpus)
    }

    /// Starts `command`; `listening` reads from the lines of its stderr, or finds out otherwise, where it listens.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn run(
        mut command: Command,
        listening: impl FnOnce(&Receiver<String>) -> Result<SocketAddr, Failure>,
        cpus: &Cpus,
    ) -> Result<Self, Failure> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child =
            cpus::on(&cpus.server, || command.spawn()).map_err(|error| format!("start: {error}"))?;
        let lines = child.stderr.take().map(lines).ok_or("stderr is not piped")?;
        let nowhere = SocketAddr::from(([0; 4], 0));
        let mut server = Self { child, address: nowhere };
        server.address = listening(&lines)?;
        let mut stream = TcpStream::connect(server.address).map_err(|error| format!("connect: {error}"))?;
        client::ask(&mut stream)?;
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let asked = Instant::now();
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            // It may have ended by itself: then this fails, and the wait below returns at once.
            let _ = kill_process(pid, Signal::TERM);
        }
        while let Ok(None) = self.child.try_wait() {
            if asked.elapsed() > END {
                eprintln!("the server did not end within {END:?} of SIGTERM: killed");
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(LOOK);
        }
    }
}

/// The lines of a server's stderr, read to the end so that it never blocks. Those that come after the
/// receiver is gone are passed on to ours: they tell why a run failed.
fn lines(stderr: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Err(unheard) = sender.send(line) {
                eprintln!("    {}", unheard.0);
            }
        }
    });
    receiver
}

fn address(lines: &Receiver<String>) -> Result<SocketAddr, Failure> {
    let started = Instant::now();
    let mut said = Vec::new();
    while let Ok(line) = lines.recv_timeout(START.saturating_sub(started.elapsed())) {
        if let Some((_, address)) = line.split_once(READY) {
            return address.trim().parse().map_err(|error| format!("{line}: {error}"));
        }
        said.push(line);
    }
    Err(format!("did not listen; it said: {}", said.join(" | ")))
}

/// Raises our limit of descriptors, which servers inherit, as far as it goes.
///
/// # Errors
/// The limit can't be set.
pub fn raise_descriptor_limit() -> Result<(), Failure> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .map_err(|error| format!("setrlimit: {error}"))
}
