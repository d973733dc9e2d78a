//! A build whose workers die as soon as they take a connection over.

mod handler;
mod wider;

use vk::{New, Old, vk_app};
use wider::Session;

/// Is the worker's end.
fn migrate(_: &Old<'_>, _: &mut New<'_>) {
    std::process::abort();
}

/// What `/text` answers.
const TEXT: &str = "falls";

vk_app! {
    name: "reloadable",
    about: "One of the builds that replace each other",
    listen: "127.0.0.1:0" => handler::serve,
    heap: 16384,
    migrate: handler::serve => migrate,
}
