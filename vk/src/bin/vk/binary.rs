//! An application's binary, and whether there is another one at its path: inotify(7).
//!
//! The directory is watched, since a build removes the file or renames another one over it. `cargo clean` removes
//! the directory as well, of which nothing is told as long as its binary runs; so whenever the file was touched,
//! or is missing, the directory that lies at the path then is watched.

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What another build differs in: device, inode, size, time of the last change.
type Stamp = (u64, u64, u64, i64, i64);

/// A binary under watch.
#[derive(Debug)]
pub struct Binary {
    path: PathBuf,
    inotify: Inotify,
    /// Whether nothing lies there.
    missing: bool,
    /// The build that was seen last.
    stamp: Option<Stamp>,
}

impl Binary {
    /// The binary that a shell would run.
    pub fn find(command: &OsStr) -> Result<Binary, String> {
        let path = resolve(command).ok_or_else(|| format!("there is no program {}", command.display()))?;
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .map_err(|error| format!("inotify: {}", error.desc()))?;
        let binary = Binary { stamp: stamp(&path), missing: !path.exists(), path, inotify };
        binary.watch().map_err(|error| format!("{}: {}", binary.directory().display(), error.desc()))?;
        Ok(binary)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn directory(&self) -> &Path {
        // None for `/`, which is no program either.
        self.path.parent().unwrap_or(&self.path)
    }

    /// Watches the directory; where it is watched already, this changes nothing.
    fn watch(&self) -> Result<(), Errno> {
        let changes = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_DELETE;
        self.inotify.add_watch(self.directory(), changes).map(drop)
    }

    /// Whether nothing lies there: then [`touched`](Binary::touched) has to look now and then.
    pub fn is_missing(&self) -> bool {
        self.missing
    }

    /// Whether anything has happened to it since the last call.
    pub fn touched(&mut self) -> bool {
        let mut touched = false;
        while let Ok(events) = self.inotify.read_events() {
            // Without a name: the directory itself, or more events than the kernel keeps.
            let is_ours = |name: Option<OsString>| name.is_none() || name.as_deref() == self.path.file_name();
            touched |= events.into_iter().any(|event| is_ours(event.name));
        }
        if touched || self.missing {
            // Where it fails, the file is missing, too.
            let _ = self.watch();
            let missing = !self.path.exists();
            touched |= missing != self.missing;
            self.missing = missing;
        }
        touched
    }

    /// Whether another build has come to lie there, whole as far as one can see: once for each.
    pub fn is_new(&mut self) -> bool {
        let stamp = stamp(&self.path);
        let new = stamp.is_some() && stamp != self.stamp;
        self.stamp = stamp.or(self.stamp);
        new
    }
}

impl AsFd for Binary {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// The build at a path; none if nothing there can be run.
fn stamp(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok().filter(|file| file.is_file() && file.mode() & 0o111 != 0)?;
    Some((file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}

fn resolve(command: &OsStr) -> Option<PathBuf> {
    if command.as_encoded_bytes().contains(&b'/') {
        return Some(command.into());
    }
    let path = std::env::var_os("PATH")?;
    // An empty entry is the directory where we are.
    let mut paths =
        std::env::split_paths(&path).map(|directory| Path::new(".").join(directory).join(command));
    paths.find(|path| stamp(path).is_some())
}
