//! `vk_app!` writes `main`.

use std::io;
use vk::Io;

mod service {
    use super::*;

    /// Upper case.
    #[vk::coroutine]
    pub fn shout(io: &mut Io) -> io::Result<()> {
        let mut byte: [u8; 1] = [0];
        while io.read(&mut byte)? > 0 {
            byte.make_ascii_uppercase();
            io.write_all(&byte)?;
        }
        Ok(())
    }

    /// Whether it has a voice.
    pub fn is_rested() -> Result<(), String> {
        Ok(())
    }

    /// The first version had no buffer.
    pub fn shout_from_v1(_: &vk::Old<'_>, new: &mut vk::New<'_>) {
        new.set("byte", [0_u8; 1]);
    }
}

vk::vk_app! {
    name: "shout",
    listen: "127.0.0.1:7007" => service::shout,
    listen: "[::1]:7007" => service::shout,
    about: "Shouts.",
    args: "HOST PORT",
    check: service::is_rested,
    heap: 8192,
    max_procs: 1000,
    opens_files: true,
    migrate: service::shout => service::shout_from_v1,
}

#[test]
fn main_succeeds() {
    // `ExitCode` can't be compared.
    assert_eq!(format!("{:?}", main()), format!("{:?}", std::process::ExitCode::SUCCESS));
}
