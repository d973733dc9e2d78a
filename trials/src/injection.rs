//! Calls of the kernel that fail in an application under trial, and a clock that steps.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is refused to the processes that were started with it, now: the library `vk-inject` looks at the file.
#[derive(Debug)]
pub struct Injection {
    file: File,
    path: PathBuf,
}

impl Injection {
    /// Nothing is refused yet. The file is in this directory, until this is dropped.
    ///
    /// # Panics
    /// If the directory can't be written.
    pub fn new(directory: &Path) -> Injection {
        let path = directory.join("inject");
        let file = File::create(&path).expect("a directory that can be written");
        file.set_len(24).expect("a file of ours");
        Injection { file, path }
    }

    /// Lets `command` start an application that it has effect on.
    ///
    /// # Panics
    /// If the library is not beside this program, where Cargo puts it.
    pub fn prepare(&self, command: &mut Command) {
        let program = std::env::current_exe().expect("/proc is mounted");
        let library = program.with_file_name("libvk_inject.so");
        assert!(library.exists(), "{} is not there", library.display());
        command.env("LD_PRELOAD", library).env("VK_INJECT", &self.path);
    }

    fn set(&self, word: u64, value: i64) {
        self.file.write_all_at(&value.to_ne_bytes(), 8 * word).expect("a file of ours");
    }

    /// No process and no thread can be started.
    pub fn refuse_processes(&self, refuse: bool) {
        self.set(0, refuse.into());
    }

    /// No ring of io_uring can be made.
    pub fn refuse_uring(&self, refuse: bool) {
        self.set(1, refuse.into());
    }

    /// The wall clock is ahead by so many seconds.
    pub fn step_clock(&self, seconds: i64) {
        self.set(2, seconds);
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
