//! HTTP/1.1 in plain blocking code.
//!
//! ```no_run
//! use vk::prelude::*;
//! use vk_http::{self as http, Request};
//!
//! /// Answers each request of a connection.
//! #[vk::coroutine]
//! fn hello(io: &mut Io) -> io::Result<()> {
//!     let mut request: Request = Request::new();
//!     while http::read_request(io, &mut request)? {
//!         match (request.method(), request.path()) {
//!             ("GET" | "HEAD", "/") => http::respond(io, &request, 200, "text/plain", b"Hello, World!")?,
//!             _ => http::respond_status(io, &request, 404)?,
//!         }
//!     }
//!     Ok(())
//! }
//!
//! vk_app! {
//!     name: "hello",
//!     listen: "127.0.0.1:8080" => hello,
//! }
//! ```
//!
//! The way of a request:
//!
//! ```text
//!  read_request ── head ──► Request ──► your handler ──► field · … · respond, or begin · write · … · end
//!    ▲   │ scan, parse        │ routes!   │ body: read_body, read_whole_body, forward_body
//!    │   └─ refused: answered, lingered, closed
//!    └── what the handler left of the body is skipped; the connection goes on, or ends in order
//! ```
//!
//! More than a few paths are a table, [`routes!`]. Between head and answer are values, [`json`](struct@json), [`file`](struct@file), conditions
//! ([`Request::condition`]) and other protocols ([`upgrade`](struct@upgrade)).
//!
//! What holds, whatever the peer sends and the handler does:
//! - a request that could be read in two ways is refused, never guessed at (RFC 9112, RFC 9110);
//! - a refusal is answered with its status if nothing was answered yet, and ends the connection in a way
//!   that lets the answer arrive; the handler learns of it as an error or as the end of requests;
//! - each request has one answer, framed as it was announced: a handler that does otherwise gets an error,
//!   and its connection is closed rather than out of step;
//! - a request whose handler fails before it answers, by an error, a panic, a fault or without end, is answered with 500,
//!   and the connection ends;
//! - memory is bounded: the head by 16 KiB (see [`Limits`]), a body taken whole by the limit given, a streamed one by the
//!   rings it goes through.
#![forbid(unsafe_code)]

extern crate vk_core as vk;

/// The programs of the README, which are complete.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

mod accepts;
mod answer;
mod body;
mod bytes;
mod chunked;
pub mod client;
mod close;
mod conditions;
mod date;
mod files;
mod forms;
mod gzip;
#[cfg(test)]
#[path = "../tests/harness/mod.rs"]
mod harness;
mod head;
mod host;
mod limits;
mod made;
mod protocol;
mod read;
mod redirect;
mod request;
mod response;
mod routes;
mod said;
mod scan;
mod scratch;
mod status;
mod text;
mod typed;
pub mod ws;

/// The crate `http`, whose types libraries have in common: [`Request::head`] makes them, and its constants are names and
/// statuses, `header::ETAG.as_str()`, `StatusCode::NOT_FOUND.as_u16()`, wherever these are asked for.
pub use ::http as types;

pub use answer::{begin, end, respond, respond_status, write};
pub use body::{forward_body, read_body, read_whole_body};
pub use close::refuse;
pub use files::{file, file_compressed};
pub use forms::{decode, pairs};
pub use limits::Limits;
pub use made::{json, print, respond_compressed, to_json};
pub use protocol::upgrade;
pub use read::{read_request, read_request_within};
#[doc(hidden)]
pub use redirect::plainly;
pub use request::{Body, Request};
pub use routes::not_found;
#[doc(hidden)]
pub use routes::{Prepared, Route, Routes, Row, dismiss};
pub use said::field;
pub use text::Text;
