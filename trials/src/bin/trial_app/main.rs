//! What is tried: one application with all that can be lost when its worker dies.
//!
//! | listener | what it does |
//! |---|---|
//! | 1 | gives back each byte: [`streams::raw`] |
//! | 2 | HTTP, with state and with faults: [`pages::serve`] |
//! | 3 | gives back each byte, changed by a second coroutine: [`streams::changed`] |
//! | 4 | gives back each line: [`streams::lines`] |
//! | 5 | WebSocket, with state: [`sockets::talk`] |

mod attacks;
mod faults;
mod pages;
mod sockets;
mod streams;

use vk::prelude::*;

vk_app! {
    name: "trial_app",
    about: "What is tried: streams, state and faults",
    listen: "127.0.0.1:0" => streams::raw,
    listen: "127.0.0.1:0" => pages::serve,
    listen: "127.0.0.1:0" => streams::changed,
    listen: "127.0.0.1:0" => streams::lines,
    listen: "127.0.0.1:0" => sockets::talk,
    heap: 16384,
}
