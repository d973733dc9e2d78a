//! A running application.

use crate::{LIFE, PATIENCE, Process, eventually};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// An application that ends with the test.
#[derive(Debug)]
pub struct App {
    child: Arc<Mutex<Child>>,
    process: Process,
    log: Arc<Mutex<String>>,
    /// Reads the log to its end.
    reader: Option<JoinHandle<()>>,
    /// Dropped when the application is no longer to be ended after its life.
    _life: Sender<()>,
}

impl App {
    /// Starts `command`. What it says on standard error is kept, and shown with the test's own output.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn start(command: &mut Command) -> App {
        App::start_for(LIFE, command)
    }

    /// As [`start`](App::start), to be ended after `life` if it still runs then.
    ///
    /// # Panics
    /// As there.
    pub fn start_for(life: Duration, command: &mut Command) -> App {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the application starts");
        let process = Process(child.id());
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, to) =
            (BufReader::new(child.stderr.take().expect("it is piped")).lines(), Arc::clone(&log));
        let reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                eprintln!("{}: {line}", process.0);
                let mut log = to.lock().expect("nothing panics that holds the log");
                *log += &line;
                log.push('\n');
            }
        });
        let child = Arc::new(Mutex::new(child));
        let (alive, end) = mpsc::channel();
        let at_its_end = Arc::clone(&child);
        thread::spawn(move || {
            if end.recv_timeout(life) == Err(RecvTimeoutError::Timeout) {
                let mut child = at_its_end.lock().unwrap_or_else(PoisonError::into_inner);
                // If it was waited for, the pid may be another process's.
                if let Ok(None) = child.try_wait() {
                    process.kill_tree();
                }
            }
        });
        App { child, process, log, reader: Some(reader), _life: alive }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its process: with workers, the keeper.
    pub fn process(&self) -> Process {
        self.process
    }

    /// What it has said on standard error.
    pub fn log(&self) -> String {
        self.log.lock().expect("nothing panics that holds the log").clone()
    }

    /// The address of its listener number `at`, in the order in which it says them.
    ///
    /// # Panics
    /// If it does not say it.
    #[track_caller]
    pub fn address(&self, at: usize) -> SocketAddr {
        let find = || {
            let log = self.log();
            let mut said = log.lines().filter_map(|line| line.strip_prefix("listening on "));
            said.nth(at).map(|address| address.parse().expect("an address with a port"))
        };
        eventually("a line `listening on ADDR:PORT`", || find().is_some());
        find().expect("it was there")
    }

    /// Connects to its first listener.
    ///
    /// # Panics
    /// If that fails.
    #[track_caller]
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address(0)).expect("the application listens");
        stream.set_nodelay(true).expect("a connected socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a connected socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a connected socket");
        stream
    }

    /// The pipe to its standard input.
    ///
    /// # Panics
    /// If it was not started with one, or it is taken.
    pub fn stdin(&self) -> ChildStdin {
        self.child().stdin.take().expect("a piped standard input, once")
    }

    /// The pipe from its standard output.
    ///
    /// # Panics
    /// If it was not started with one, or it is taken.
    pub fn stdout(&self) -> ChildStdout {
        self.child().stdout.take().expect("a piped standard output, once")
    }

    /// Writes `input` to its standard input, which ends there; returns what came on standard output, and
    /// the exit status.
    ///
    /// # Panics
    /// If it does not end.
    pub fn filter(mut self, input: &[u8]) -> (Vec<u8>, ExitStatus) {
        let (mut stdin, mut output) = (self.stdin(), Vec::new());
        thread::scope(|scope| {
            // That it takes no more is for the caller to judge, by what comes out.
            scope.spawn(move || stdin.write_all(input));
            self.stdout().read_to_end(&mut output).expect("a pipe can be read");
        });
        (output, self.wait())
    }

    /// Waits for its end. All it has said is in the log then.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the application ends", || {
            status = self.child().try_wait().expect("a child of ours");
            status.is_some()
        });
        let reader = self.reader.take();
        eventually("its standard error ends", || reader.as_ref().is_none_or(JoinHandle::is_finished));
        status.expect("it has ended")
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let mut child = self.child();
        if let Ok(None) = child.try_wait() {
            self.process.kill_tree();
            let _ = child.wait();
        }
    }
}
