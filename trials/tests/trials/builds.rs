//! Builds of one application, and the place where it is installed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;
use vk_proc::control::Snapshot;
use vk_try::Process;

/// The first build.
pub const FIRST: &str = env!("CARGO_BIN_EXE_re_load_able_app");
/// The same with another text, which its connections resume in.
pub const OTHER_TEXT: &str = env!("CARGO_BIN_EXE_re-load_able_app");
/// One with other frames, which it can make from the former ones.
pub const MIGRATED_FRAME: &str = env!("CARGO_BIN_EXE_re_load-able_app");
/// One with other frames.
pub const OTHER_FRAME: &str = env!("CARGO_BIN_EXE_re_load_able-app");

/// One that can't listen where it is to.
pub const NO_ADDRESS: &str = env!("CARGO_BIN_EXE_re-load-able_app");
/// One whose workers die while they take over.
pub const FALLS: &str = env!("CARGO_BIN_EXE_re-load_able-app");

/// A directory with an application, that is removed with the test.
pub struct Installation(PathBuf);

impl Installation {
    /// Installs the first build, in a place of its own for `test`.
    pub fn new(test: &str) -> Installation {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", process::id()));
        fs::create_dir_all(&directory).expect("a directory for temporary files");
        let installation = Installation(directory);
        installation.install(FIRST);
        installation
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// The installed application.
    pub fn path(&self) -> PathBuf {
        self.0.join("app")
    }

    fn next(&self) -> PathBuf {
        self.0.join("next")
    }

    /// Replaces the application, at once: whoever runs keeps its file.
    pub fn install(&self, build: &str) {
        // A copy would be open for writing for a while, also in each child that another test starts meanwhile, and
        // can't be executed then (ETXTBSY). Two links to one file can't replace each other; they need not.
        fs::hard_link(build, self.next()).expect("a build, and a directory on the same file system");
        self.put_in_place();
        let _ = fs::remove_file(self.next());
    }

    /// Replaces the application by a text, which may be a script.
    pub fn install_text(&self, text: &str) {
        fs::write(self.next(), text).expect("a writable directory");
        fs::set_permissions(self.next(), fs::Permissions::from_mode(0o755)).expect("a file of ours");
        self.put_in_place();
    }

    fn put_in_place(&self) {
        fs::rename(self.next(), self.path()).expect("both are in one directory");
    }

    /// Removes the application.
    pub fn remove(&self) {
        fs::remove_file(self.path()).expect("it is installed");
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        // What can't be removed is in a directory for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How often a keeper has gone on with another build, and has refused to: what `vk reload` ends with 0 and 1 for.
pub fn reloads(keeper: Process) -> (u32, u32) {
    let snapshot = Snapshot::of(keeper.0).expect("a keeper").expect("its control page");
    (snapshot.reloads, snapshot.refused)
}
