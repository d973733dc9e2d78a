//! What this place allows the tests to use.

use std::io::ErrorKind;
use vk_poll::Uring;

/// io_uring, unless this place forbids it.
pub fn uring() -> Option<Uring> {
    match Uring::new() {
        Ok(uring) => Some(uring),
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
            eprintln!("left out: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}
