//! What descriptors stand for, the faults, and the clock.
//!
//! Invariants: descriptors are numbered from the lowest free one, as a kernel does, so that a stale number soon
//! is somebody else's; a fault that hides readiness is followed by an event, as the contract of `Backend` asks.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::RawFd;

use libc::{EAGAIN, EBADF, EINTR, EINVAL, EPOLLIN, EPOLLOUT};

use super::Faults;
use super::dice::Dice;
use super::link::{End, Links, take};
use crate::epoll::decode;
use crate::{Event, Nanos, Positions, Token, Watch};

/// The first descriptor: high enough to be no real one, should a number escape to a system call.
const FIRST: RawFd = 1000;

/// Where the clock starts: not at 0, which hides bugs.
const DAWN: Nanos = 1_000_000_000;

/// What a wait costs that finds something ready.
const TICK: Nanos = 1_000;

#[derive(Debug)]
pub enum Kind {
    /// The clients' ends of connections not accepted yet.
    Listener(VecDeque<End>),
    Stream(End),
    Regular(VecDeque<u8>),
}

#[derive(Debug)]
struct File {
    kind: Kind,
    token: Option<Token>,
    /// What has become ready; streams note theirs in their link.
    changes: u32,
}

#[derive(Debug)]
pub struct World {
    pub now: Nanos,
    pub operations: u64,
    pub failure: Option<(u64, i32)>,
    pub links: Links,
    faults: Faults,
    dice: Dice,
    files: Vec<Option<File>>,
    connecting: Vec<(End, Option<i32>)>,
    servers: Vec<(SocketAddr, VecDeque<End>)>,
    ready: Vec<RawFd>,
}

fn failed<T>(errno: i32) -> io::Result<T> {
    Err(io::Error::from_raw_os_error(errno))
}

impl World {
    pub fn new(seed: u64, faults: Faults) -> World {
        World {
            now: DAWN,
            operations: 0,
            failure: None,
            links: Links::default(),
            faults,
            dice: Dice::new(seed),
            files: Vec::new(),
            connecting: Vec::new(),
            servers: Vec::new(),
            ready: Vec::new(),
        }
    }

    fn file(&mut self, fd: RawFd) -> io::Result<&mut File> {
        let index = usize::try_from(fd - FIRST).ok();
        match index.and_then(|index| self.files.get_mut(index)?.as_mut()) {
            Some(file) => Ok(file),
            None => failed(EBADF),
        }
    }

    pub fn is_open(&mut self, fd: RawFd) -> bool {
        self.file(fd).is_ok()
    }

    pub fn is_stream(&mut self, fd: RawFd) -> bool {
        self.end(fd).is_ok()
    }

    fn end(&mut self, fd: RawFd) -> io::Result<End> {
        match self.file(fd)?.kind {
            Kind::Stream(end) => Ok(end),
            _ => failed(libc::ENOTSOCK),
        }
    }

    pub fn open(&mut self, kind: Kind) -> RawFd {
        let index = self.files.iter().position(Option::is_none).unwrap_or(self.files.len());
        if index == self.files.len() {
            self.files.push(None);
        }
        self.files[index] = Some(File { kind, token: None, changes: 0 });
        FIRST + index as RawFd
    }

    pub fn close_all_but(&mut self, is_kept: impl Fn(RawFd) -> bool) {
        let open = self.files.iter().enumerate().filter(|(_, file)| file.is_some());
        let numbers: Vec<RawFd> = open.map(|(index, _)| FIRST + index as RawFd).collect();
        numbers.into_iter().filter(|number| !is_kept(*number)).for_each(|number| self.close(number));
    }

    pub fn descriptors(&self) -> usize {
        self.files.iter().flatten().count()
    }

    pub fn stream(&mut self) -> (RawFd, End) {
        let end = self.links.open();
        (self.open(Kind::Stream(end)), end.other())
    }

    /// A client comes to `listener`: its end.
    pub fn arrive(&mut self, listener: RawFd) -> End {
        let end = self.links.open();
        match self.file(listener) {
            Ok(File { kind: Kind::Listener(backlog), changes, .. }) => {
                backlog.push_back(end);
                *changes |= EPOLLIN as u32;
            }
            _ => panic!("no listener: {listener}"),
        }
        end
    }

    pub fn serve(&mut self, addr: SocketAddr) {
        self.servers.push((addr, VecDeque::new()));
    }

    pub fn served(&mut self, addr: &SocketAddr) -> Option<End> {
        self.servers.iter_mut().find(|(at, _)| at == addr)?.1.pop_front()
    }

    /// Counts an operation (on `fd`) and lets it fail if that is asked for.
    pub fn begin(&mut self, fd: Option<RawFd>) -> io::Result<()> {
        self.operations += 1;
        match self.failure {
            Some((at, errno)) if at == self.operations && errno != EINTR => {
                if let (EAGAIN, Some(fd)) = (errno, fd) {
                    self.remind(fd, (EPOLLIN | EPOLLOUT) as u32);
                }
                failed(errno)
            }
            _ => Ok(()),
        }
    }

    /// Begins a wait: whether a signal ends it at once.
    pub fn interrupted(&mut self) -> io::Result<bool> {
        self.begin(None)?;
        let demanded = self.failure == Some((self.operations, EINTR));
        Ok(demanded || self.dice.percent(self.faults.interrupts))
    }

    /// Lets an event follow.
    fn remind(&mut self, fd: RawFd, mask: u32) {
        match self.file(fd) {
            Ok(&mut File { kind: Kind::Stream(end), .. }) => self.links.remind(end, mask),
            Ok(file) => file.changes |= mask,
            Err(_) => {}
        }
    }

    /// Whether the operation says `WouldBlock` for no reason.
    fn balks(&mut self, fd: RawFd, mask: libc::c_int) -> bool {
        let balks = self.dice.percent(self.faults.would_block);
        if balks {
            self.remind(fd, mask as u32);
        }
        balks
    }

    pub fn add(&mut self, fd: RawFd, token: Token) -> io::Result<Watch> {
        let file = self.file(fd)?;
        if file.token.is_some() {
            return failed(libc::EEXIST);
        }
        match &file.kind {
            Kind::Regular(_) => return Ok(Watch::Always),
            Kind::Listener(backlog) => file.changes = if backlog.is_empty() { 0 } else { EPOLLIN as u32 },
            Kind::Stream(_) => {}
        }
        file.token = Some(token);
        if let Ok(end) = self.end(fd) {
            let mask = self.links.readiness(end);
            self.links.take_changes(end);
            self.links.remind(end, mask);
        }
        Ok(Watch::Edge)
    }

    pub fn forget(&mut self, fd: RawFd) {
        if let Ok(file) = self.file(fd) {
            file.token = None;
        }
    }

    pub fn forget_all(&mut self) {
        self.files.iter_mut().flatten().for_each(|file| file.token = None);
    }

    pub fn close(&mut self, fd: RawFd) {
        let file =
            self.file(fd).map(|file| std::mem::replace(&mut file.kind, Kind::Regular(VecDeque::new())));
        match file.unwrap_or_else(|_| panic!("closed, but not open: {fd}")) {
            Kind::Stream(end) => self.links.close(end),
            Kind::Listener(backlog) => backlog.into_iter().for_each(|client| self.links.abort(client)),
            Kind::Regular(_) => {}
        }
        self.files[(fd - FIRST) as usize] = None;
    }

    /// Collects what is ready: whether there is anything.
    pub fn collect(&mut self, events: &mut Vec<Event>) -> bool {
        for (end, refused) in self.connecting.drain(..) {
            self.links.decide(end, refused);
        }
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        for (index, file) in self.files.iter().enumerate() {
            let Some(File { kind, token: Some(_), changes }) = file else { continue };
            let changed = matches!(kind, Kind::Stream(end) if self.links.has_changes(*end));
            if changed || *changes != 0 {
                ready.push(FIRST + index as RawFd);
            }
        }
        self.dice.shuffle(&mut ready);
        if ready.len() > 1 && self.dice.percent(self.faults.partial_batches) {
            ready.truncate(1 + self.dice.below(ready.len() - 1));
        }
        for &fd in &ready {
            self.report(fd, 0, events);
        }
        if !self.files.is_empty() && self.dice.percent(self.faults.spurious_events) {
            let fd = FIRST + self.dice.below(self.files.len()) as RawFd;
            self.report(fd, (EPOLLIN | EPOLLOUT) as u32, events);
        }
        self.ready = ready;
        if !events.is_empty() {
            self.now += TICK;
        }
        !events.is_empty()
    }

    /// Reports the changes of `fd` and what is invented in addition, if it is watched.
    fn report(&mut self, fd: RawFd, invented: u32, events: &mut Vec<Event>) {
        let Ok(&mut File { token: Some(token), ref kind, ref mut changes }) = self.file(fd) else { return };
        let mut mask = std::mem::take(changes) | invented;
        if let &Kind::Stream(end) = kind {
            mask |= self.links.take_changes(end);
        }
        events.push(decode(token, mask));
    }

    pub fn read(&mut self, fd: RawFd, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let end = match &mut self.file(fd)?.kind {
            Kind::Listener(_) => return failed(EINVAL),
            Kind::Regular(bytes) => return Ok(bufs.iter_mut().map(|buf| take(bytes, buf)).sum()),
            &mut Kind::Stream(end) => end,
        };
        if self.balks(fd, EPOLLIN) {
            return failed(EAGAIN);
        }
        let asked: usize = bufs.iter().map(|buf| buf.len()).sum();
        let mut limit = asked;
        let available = asked.min(self.links.arrived(end));
        if available > 1 && self.dice.percent(self.faults.short_reads) {
            limit = 1 + self.dice.below(available - 1);
            self.links.remind(end, EPOLLIN as u32);
        }
        let mut total = 0;
        for buf in bufs {
            let room = buf.len().min(limit - total);
            if room == 0 {
                continue;
            }
            match self.links.receive(end, &mut buf[..room]) {
                // What went before is what this read returns; the next one meets the error or the end again.
                Err(_) if total > 0 => break,
                result => total += result?,
            }
        }
        Ok(total)
    }

    pub fn write(&mut self, fd: RawFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let end = match &mut self.file(fd)?.kind {
            Kind::Listener(_) => return failed(EINVAL),
            Kind::Regular(bytes) => {
                bufs.iter().for_each(|buf| bytes.extend(buf.iter()));
                return Ok(bufs.iter().map(|buf| buf.len()).sum());
            }
            &mut Kind::Stream(end) => end,
        };
        if self.balks(fd, EPOLLOUT) {
            return failed(EAGAIN);
        }
        let offered: usize = bufs.iter().map(|buf| buf.len()).sum();
        let mut limit = offered;
        if offered > 1 && self.dice.percent(self.faults.short_writes) {
            limit = 1 + self.dice.below(offered - 1);
            self.links.remind(end, EPOLLOUT as u32);
        }
        let mut total = 0;
        for buf in bufs {
            let part = &buf[..buf.len().min(limit - total)];
            if part.is_empty() {
                continue;
            }
            match self.links.send(end, part) {
                Err(_) if total > 0 => break,
                result => total += result?,
            }
        }
        Ok(total)
    }

    pub fn accept(&mut self, fd: RawFd) -> io::Result<RawFd> {
        if !matches!(self.file(fd)?.kind, Kind::Listener(_)) {
            return failed(EINVAL);
        }
        if self.balks(fd, EPOLLIN) {
            return failed(EAGAIN);
        }
        let lacks = self.dice.percent(self.faults.no_descriptor);
        let Kind::Listener(backlog) = &mut self.file(fd)?.kind else { unreachable!("looked at above") };
        match backlog.front() {
            None => failed(EAGAIN),
            Some(_) if lacks => failed(libc::EMFILE),
            Some(&client) => {
                backlog.pop_front();
                Ok(self.open(Kind::Stream(client.other())))
            }
        }
    }

    pub fn connect(&mut self, addr: &SocketAddr) -> RawFd {
        let end = self.links.open();
        self.links.connecting(end);
        let server = self.servers.iter_mut().find(|(at, _)| at == addr);
        let refused = match server {
            Some((_, queue)) => {
                queue.push_back(end.other());
                None
            }
            None => Some(libc::ECONNREFUSED),
        };
        self.connecting.push((end, refused));
        self.open(Kind::Stream(end))
    }

    pub fn outcome(&mut self, fd: RawFd) -> io::Result<()> {
        let end = self.end(fd)?;
        self.links.outcome(end)
    }

    pub fn positions(&mut self, fd: RawFd) -> io::Result<Option<Positions>> {
        match self.end(fd) {
            Ok(end) => Ok(Some(self.links.positions(end))),
            Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn shutdown(&mut self, fd: RawFd) -> io::Result<()> {
        match self.end(fd) {
            Ok(end) => self.links.shutdown(end),
            Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
