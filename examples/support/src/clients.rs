//! Programs that others have written, where they are installed.

use std::io::Write;
use std::path::PathBuf;

/// Where a program is, if it is in one of the folders of `PATH`.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Says that a part of a test is left out, since `what` is not there. It is seen also where tests' output is not shown.
pub fn left_out<T>(what: &str) -> Option<T> {
    // Who doesn't listen doesn't want to know.
    let _ = writeln!(std::io::stderr(), "left out: there is no {what} here");
    None
}
