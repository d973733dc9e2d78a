//! A build whose frames have another shape, and that knows how to make them from the former one.

mod handler;
mod wider;

use vk::vk_app;
use wider::Session;

// Needs the key `migrate` of vk_app!, declared as
//     migrate: handler::serve => migrate,
// with the former build's state beside this one's (`mod session;`):
//     fn migrate(old: &session::Session, new: &mut Session) { *new = Session::after(old.requests()); }

/// What `/text` answers.
const TEXT: &str = "migrated frame";

vk_app! {
    name: "reloadable",
    about: "One of the builds that replace each other",
    listen: "127.0.0.1:0" => handler::serve,
    heap: 16384,
}
