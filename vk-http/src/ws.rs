//! WebSocket (RFC 6455) in plain blocking code, on a connection that began with HTTP.
//!
//! ```no_run
//! use vk::prelude::*;
//! use vk_http::{self as http, Request, ws};
//!
//! /// Sends each message back.
//! #[vk::coroutine]
//! fn echo(io: &mut Io) -> io::Result<()> {
//!     let mut request: Request = Request::new();
//!     let mut socket: ws::Socket = ws::Socket::new();
//!     while http::read_request(io, &mut request)? {
//!         if ws::accept(io, &request, &mut socket, &[])? {
//!             while let Some(kind) = ws::recv(io, &mut socket)? {
//!                 let kind: ws::Kind = kind;
//!                 ws::send(io, &socket, kind, &socket.message)?;
//!             }
//!         }
//!     }
//!     Ok(())
//! }
//!
//! vk_app! {
//!     name: "echo",
//!     listen: "127.0.0.1:8080" => echo,
//! }
//! ```
//!
//! The way of a message:
//!
//! ```text
//!  ring ── Header ──► Incoming: unmask, check ──► socket.message ──► your handler ──► send, or begin · write · … · end
//!            │            │ ping, close: control
//!            │            ▼
//!            │          owed ──► settled before anything else is read or sent
//!            └─ refused: Close with its code, then the end of messages
//! ```
//!
//! What holds, whatever the peer sends and the handler does:
//! - all state is in the [`Socket`]: a [`recv`](struct@recv) that ends with `TimedOut` is called again and goes on where it stood.
//!   So a handler waits for its client and for something else by turns, with a [deadline](vk_core::Io::deadline) that
//!   it sets in a coroutine around `recv`;
//! - one coroutine receives and sends, since answers to pings and closes go between its own messages;
//! - what is not WebSocket is refused with the code that the RFC names as soon as it can be known, text that is not
//!   UTF-8 within its first wrong character;
//! - frames go out whole: after a `send` that failed nothing more is sent, not even a close;
//! - memory is bounded: one message, of at most [`Limits::message`] bytes.
//!
//! Extensions are not negotiated, so there is no compression.

mod frame;
mod handshake;
mod incoming;
mod receiver;
mod sender;
mod socket;
mod utf8;

pub use handshake::{accept, is_same_origin};
pub use receiver::recv;
pub use sender::{begin, close, end, send, write};
pub use socket::{Kind, Limits, Message, Socket};
