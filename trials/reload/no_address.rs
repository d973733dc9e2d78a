//! A build that can't serve, which shows only when it runs: it listens at an address that is nobody's.

mod handler;
mod session;

use session::Session;
use vk::vk_app;

/// What `/text` answers.
const TEXT: &str = "no address";

// The second address is kept for examples (RFC 5737).
vk_app! {
    name: "reloadable",
    about: "One of the builds that replace each other",
    listen: "127.0.0.1:0" => handler::serve,
    listen: "192.0.2.1:80" => handler::serve,
    heap: 16384,
}
