//! The first build with another text outside of the handler: connections resume in it.

mod handler;
mod session;

use session::Session;
use vk::vk_app;

/// What `/text` answers.
const TEXT: &str = "other text";

vk_app! {
    name: "reloadable",
    about: "One of the builds that replace each other",
    listen: "127.0.0.1:0" => handler::serve,
    heap: 16384,
}
