//! Heads as the crate `http` has them, for libraries that take its types.
//!
//! They are full of pointers, so they live between two blocking calls, never in a frame.

use crate::Request;
use crate::client::Client;
use http::{HeaderMap, HeaderName, HeaderValue, Version};

impl Request {
    /// The head as a value of the crate [`http`](crate::types), for libraries that take its types: checks of signatures,
    /// tokens or caching rules. It allocates; [`get`](Request::get) and its like do not.
    ///
    /// ```
    /// # use vk::prelude::*;
    /// # use vk_http::{self as http, Request};
    /// use http::types::{HeaderMap, StatusCode, header};
    ///
    /// /// As a library has it.
    /// fn is_known(fields: &HeaderMap) -> bool {
    ///     fields.get(header::AUTHORIZATION).is_some_and(|value| value == "Bearer secret")
    /// }
    ///
    /// #[vk::coroutine]
    /// fn private(io: &mut Io, request: &Request) -> io::Result<()> {
    ///     let known: bool = request.head().is_ok_and(|head| is_known(head.headers()));
    ///     if known {
    ///         return http::respond(io, request, 200, "text/plain", b"Welcome back.");
    ///     }
    ///     http::field(io, request, header::WWW_AUTHENTICATE.as_str(), "Bearer")?;
    ///     http::respond_status(io, request, StatusCode::UNAUTHORIZED.as_u16())
    /// }
    /// ```
    ///
    /// # Errors
    /// If `http` takes something for no part of a head that is one here: a target with `<` in it, say.
    pub fn head(&self) -> http::Result<http::Request<()>> {
        let mut head = http::Request::builder().method(self.method()).uri(self.target()).body(())?;
        *head.version_mut() = version(self);
        *head.headers_mut() = fields(self)?;
        Ok(head)
    }
}

impl Client {
    /// The answer's head as a value of the crate [`http`](crate::types): see [`Request::head`].
    ///
    /// # Errors
    /// As there, and before the first answer.
    pub fn head(&self) -> http::Result<http::Response<()>> {
        let mut head = http::Response::builder().status(self.status()).body(())?;
        *head.version_mut() = version(self.message());
        *head.headers_mut() = fields(self.message())?;
        Ok(head)
    }
}

fn version(message: &Request) -> Version {
    if message.minor_version() == 0 { Version::HTTP_10 } else { Version::HTTP_11 }
}

fn fields(message: &Request) -> http::Result<HeaderMap> {
    let mut fields = HeaderMap::new();
    for (name, value) in message.fields() {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        fields.try_append(name, HeaderValue::from_bytes(value)?)?;
    }
    Ok(fields)
}
