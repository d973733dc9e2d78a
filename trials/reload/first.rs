//! The first build.

mod handler;
mod session;

use session::Session;
use vk::vk_app;

/// What `/text` answers.
const TEXT: &str = "first";

vk_app! {
    name: "reloadable",
    about: "One of the builds that replace each other",
    listen: "127.0.0.1:0" => handler::serve,
    heap: 16384,
}
