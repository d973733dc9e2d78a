//! A build whose frames have another shape: connections of former builds are drained.

mod handler;
mod wider;

use vk::vk_app;
use wider::Session;

/// What `/text` answers.
const TEXT: &str = "other frame";

vk_app! {
    name: "reloadable",
    about: "One of the builds that replace each other",
    listen: "127.0.0.1:0" => handler::serve,
    heap: 16384,
}
