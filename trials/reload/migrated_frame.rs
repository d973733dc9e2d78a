//! A build whose frames have another shape, and that knows how to make them from the former one.

mod handler;
#[allow(dead_code)]
mod session;
mod wider;

use vk::{New, Old, vk_app};
use wider::Session;

/// Makes the state of a connection from what the former build has counted.
fn migrate(old: &Old<'_>, new: &mut New<'_>) {
    if let Some(former) = old.get::<session::Session>("session") {
        new.set("session", Session::after(former.requests()));
    }
}

/// What `/text` answers.
const TEXT: &str = "migrated frame";

vk_app! {
    name: "reloadable",
    about: "One of the builds that replace each other",
    listen: "127.0.0.1:0" => handler::serve,
    heap: 16384,
    migrate: handler::serve => migrate,
}
