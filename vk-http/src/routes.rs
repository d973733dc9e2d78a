//! Which handler answers a request: by its method and the pattern of its path.
//!
//! ```text
//!   GET /user/7 ── router: pattern ──► its methods ──► row 1 ──► match in the coroutine: user(io, request)
//!                    │ none              │ none
//!                    └► fallback, or 404 └► OPTIONS: 204, else 405 or 501, with Allow
//! ```
//!
//! The router is made once, before workers are, which share it; a table that contradicts itself ends the program there.
//! A call of a handler is an ordinary one.

use crate::Request;
use crate::answer::{respond, respond_status};
use crate::redirect::is_plain;
use crate::request::{PARAMETERS, hash};
use crate::said::field;
use crate::text::Text;
use matchit::{InsertError, Router};
use std::fmt::Write;
use std::io;
use std::ops::Deref;
use std::sync::LazyLock;
use vk_core::{Io, Plain};

/// A row of the table: methods and the pattern of a path.
pub type Row = (&'static [&'static str], &'static str);

/// The routes of one coroutine, made by [`routes!`](crate::routes).
#[derive(Debug)]
pub struct Routes {
    router: Router<Node>,
    /// All methods, for `OPTIONS *`.
    all: Allow,
}

/// The routes of one coroutine: made before the program serves, or at the first request where nobody
/// [prepares](vk_core::preparation) it.
#[derive(Debug)]
pub struct Prepared(LazyLock<Result<Routes, String>>);

impl Prepared {
    /// What `make` will make.
    pub const fn new(make: fn() -> Result<Routes, String>) -> Prepared {
        Prepared(LazyLock::new(make))
    }

    /// Makes them.
    ///
    /// # Errors
    /// Those of [`Routes::new`].
    pub fn prepare(&self) -> Result<(), String> {
        self.0.as_ref().map(|_| ()).map_err(String::clone)
    }
}

impl Deref for Prepared {
    type Target = Routes;
    fn deref(&self) -> &Routes {
        self.0.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Bytes of an `Allow` field.
type Allow = Text<256>;

/// What answers the paths of one pattern.
#[derive(Debug)]
struct Node {
    methods: Vec<(&'static str, u16)>,
    allow: Allow,
}

/// Where a request is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
pub enum Route {
    /// To the handler of this row.
    Row(u16),
    /// To nobody: no pattern fits.
    Nowhere,
    /// Its path fits, but not its method.
    Dismissed,
    /// To the path that says [plainly](crate::plainly) what its path encodes.
    Encoded,
}

/// What is answered with 405 rather than 501: the methods of RFC 9110 and RFC 5789 that come this far.
const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

impl Routes {
    /// Makes the router.
    ///
    /// # Errors
    /// If a pattern is none or can't be told from another one, has more than four parameters, or has the same method
    /// twice.
    pub fn new(table: &'static [Row]) -> Result<Routes, String> {
        let mut patterns: Vec<&str> = table.iter().map(|row| row.1).collect();
        patterns.sort_unstable();
        patterns.dedup();
        let mut router = Router::new();
        for pattern in patterns {
            if !pattern.starts_with('/') {
                return Err(format!("the path {pattern} does not begin with a slash"));
            }
            let names = pattern.matches('{').count() - 2 * pattern.matches("{{").count();
            if names > PARAMETERS {
                return Err(format!("the path {pattern} has more than {PARAMETERS} parameters"));
            }
            let rows = table.iter().enumerate().filter(|(_, row)| row.1 == pattern);
            let methods: Vec<(&str, u16)> =
                rows.flat_map(|(n, row)| row.0.iter().map(move |method| (*method, n as u16))).collect();
            let allow = allow(methods.iter().map(|method| method.0));
            let node = Node { allow: allow.map_err(|error| format!("the path {pattern} {error}"))?, methods };
            router.insert(pattern, node).map_err(|error| match error {
                InsertError::Conflict { with } => {
                    format!("the paths {pattern} and {with} can't be told apart")
                }
                error => format!("the path {pattern}: {error}"),
            })?;
        }
        let mut all: Vec<&str> = table.iter().flat_map(|row| row.0).copied().collect();
        all.sort_unstable();
        all.dedup();
        Ok(Routes { router, all: allow(all.into_iter()).map_err(|error| format!("the table {error}"))? })
    }

    /// The row of `method` and `pattern` in `table`.
    pub const fn row(table: &[Row], method: &str, pattern: &str) -> u16 {
        let mut at = 0;
        while !(equal(table[at].0[0], method) && equal(table[at].1, pattern)) {
            at += 1;
        }
        at as u16
    }

    /// Finds out where `request` is to go, and its parameters.
    pub fn route(&self, request: &mut Request) -> Route {
        if !is_plain(request.path()) {
            return Route::Encoded;
        }
        let Ok(found) = self.router.at(request.path()) else {
            return if request.path() == "*" { Route::Dismissed } else { Route::Nowhere };
        };
        let row =
            |method: &str| found.value.methods.iter().find(|known| known.0 == method).map(|known| known.1);
        let method = request.method();
        let Some(row) = row(method).or_else(|| (method == "HEAD").then(|| row("GET"))?) else {
            return Route::Dismissed;
        };
        if !found.params.is_empty() {
            let mut parameters = [(0, 0, 0); PARAMETERS];
            let begin = request.bytes.as_ptr().addr();
            for (to, (name, value)) in parameters.iter_mut().zip(found.params.iter()) {
                let from = value.as_ptr().addr() - begin;
                *to = (hash(name), from as u16, (from + value.len()) as u16);
            }
            request.parameters = parameters;
        }
        Route::Row(row)
    }

    fn allow(&self, request: &Request) -> &Allow {
        self.router.at(request.path()).map_or(&self.all, |found| &found.value.allow)
    }
}

/// The value of `Allow`; an error continues a sentence.
fn allow<'a>(methods: impl Iterator<Item = &'a str>) -> Result<Allow, String> {
    let mut text = Allow::new();
    let mut methods: Vec<&str> = methods.collect();
    let declared = methods.clone();
    let more = [("HEAD", declared.contains(&"GET")), ("OPTIONS", true)];
    methods.extend(more.iter().filter(|more| more.1 && !declared.contains(&more.0)).map(|more| more.0));
    for (n, method) in methods.iter().enumerate() {
        if methods[..n].contains(method) {
            return Err(format!("has the method {method} twice"));
        }
        let separator = if n == 0 { "" } else { ", " };
        write!(text, "{separator}{method}").map_err(|_| "has methods of more than 256 bytes")?;
    }
    Ok(text)
}

const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// Answers a request whose path has no handler for its method (RFC 9110, 9.3.7, 15.5.6 and 15.6.2).
#[doc(hidden)]
#[vk::coroutine]
pub fn dismiss(io: &mut Io, request: &mut Request, routes: &Routes) -> io::Result<()> {
    let allow: Allow = routes.allow(request).clone();
    let known: bool = KNOWN.contains(&request.method());
    field(io, request, "Allow", &allow)?;
    match request.method() {
        "OPTIONS" => respond(io, request, 204, "", b""),
        _ if known => respond_status(io, request, 405),
        _ => respond_status(io, request, 501),
    }
}

/// Answers with 404.
///
/// # Errors
/// As [`respond_status`].
#[vk::coroutine]
pub fn not_found(io: &mut Io, request: &mut Request) -> io::Result<()> {
    respond_status(io, request, 404)
}

/// Declares a coroutine that hands a request to the handler of its method and path.
///
/// ```
/// use vk::prelude::*;
/// use vk_http::{self as http, Limits, Request};
///
/// http::routes! {
///     /// Answers a request.
///     api:
///     GET "/user/{id}" => user,
///     PUT | PATCH "/user/{id}" => update,
///     PUT "/upload" within PATIENT => upload,
///     GET "/static/{*path}" => file,
///     _ => http::not_found,
/// }
///
/// /// For those who send much.
/// const PATIENT: Limits = Limits { body_secs: 300, ..Limits::DEFAULT };
///
/// /// Answers each request of a connection.
/// #[vk::coroutine]
/// fn serve(io: &mut Io) -> io::Result<()> {
///     let mut request: Request = Request::new();
///     while http::read_request(io, &mut request)? {
///         api(io, &mut request)?;
///     }
///     Ok(())
/// }
/// # #[vk::coroutine] fn user(io: &mut Io, request: &Request) -> io::Result<()> { http::respond_status(io, request, 200) }
/// # #[vk::coroutine] fn update(io: &mut Io, request: &mut Request) -> io::Result<()> { http::respond_status(io, request, 200) }
/// # #[vk::coroutine] fn upload(io: &mut Io, request: &mut Request) -> io::Result<()> { http::respond_status(io, request, 200) }
/// # #[vk::coroutine] fn file(io: &mut Io, request: &Request) -> io::Result<()> { http::respond_status(io, request, 200) }
/// ```
///
/// A handler is a coroutine with the parameters `io: &mut Io` and `request: &mut Request`, or `&Request`, and the
/// result `io::Result<()>`. So is what is declared: routes, handlers and what stands around them, a check of a login
/// say, are made of each other.
///
/// Patterns are [`matchit`](https://docs.rs/matchit)'s: `{id}` is one segment, `{*path}` the rest; of two that fit, the
/// one with more literal text wins. Paths are compared as they were sent, not decoded; one that encodes what needs no
/// encoding, `/%75ser/7`, is redirected to the plain one (308), so that no pattern is passed by with it. A pattern has at
/// most four parameters: see [`Request::param`].
///
/// `within` gives a route [limits](crate::Limits) of its own: they are set in [`Request::limits`] before the handler runs,
/// instead of those that the request was read within.
///
/// `HEAD` goes where `GET` does. A method that the path doesn't have is answered with 405 and `Allow`, one that nobody
/// knows with 501, `OPTIONS` with 204 and `Allow`. Where no pattern fits, the handler of `_` answers, else 404.
///
/// A table that contradicts itself, with two patterns that nobody can tell apart or the same method for one of them twice,
/// is found when the program starts, which ends with one line about it; so a build with one never follows another.
#[macro_export]
macro_rules! routes {
    (
        $(#[$meta:meta])* $vis:vis $name:ident:
        $($($method:ident)|+ $pattern:literal $(within $limits:expr)? => $($handler:ident)::+),+ $(,)?
    ) => {
        $crate::routes! {
            $(#[$meta])* $vis $name:
            $($($method)|+ $pattern $(within $limits)? => $($handler)::+,)+
            _ => $crate::not_found
        }
    };
    (
        $(#[$meta:meta])* $vis:vis $name:ident:
        $($($method:ident)|+ $pattern:literal $(within $limits:expr)? => $($handler:ident)::+,)+
        _ => $fallback:path $(,)?
    ) => {
        $(#[$meta])*
        #[::vk::coroutine]
        $vis fn $name(io: &mut ::vk::Io, request: &mut $crate::Request) -> ::std::io::Result<()> {
            let route: $crate::Route = $name::ROUTES.route(request);
            match route {
                $($crate::Route::Row(row) if row == const {
                    $crate::Routes::row($name::TABLE, [$(stringify!($method)),+][0], $pattern)
                } => {
                    $(request.limits = $limits;)?
                    $($handler)::+(io, request)
                })+
                $crate::Route::Encoded => $crate::plainly(io, request),
                $crate::Route::Dismissed => $crate::dismiss(io, request, $name::ROUTES),
                _ => $fallback(io, request),
            }
        }

        impl $name {
            const TABLE: &[$crate::Row] = &[$((&[$(stringify!($method)),+], $pattern)),+];
            const ROUTES: &$crate::Prepared = {
                static ROUTES: $crate::Prepared = $crate::Prepared::new(|| {
                    let routes = $crate::Routes::new($name::TABLE);
                    routes.map_err(|error| {
                        ::std::format!("the routes {}::{}: {error}", ::std::module_path!(), ::std::stringify!($name))
                    })
                });
                #[::vk::rt::linkme::distributed_slice(::vk::rt::PREPARATIONS)]
                #[linkme(crate = ::vk::rt::linkme)]
                static PREPARATION: fn() -> ::std::result::Result<(), ::std::string::String> = || ROUTES.prepare();
                &ROUTES
            };
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_contradict_themselves_are_refused() {
        fn is_refused(table: &'static [Row]) -> bool {
            Routes::new(table).is_err()
        }
        assert!(!is_refused(&[
            (&["GET"], "/a/{b}"),
            (&["PUT", "POST"], "/a/{b}"),
            (&["GET"], "/a/c"),
            (&["GET"], "/{*d}")
        ]));
        assert!(!is_refused(&[(&["GET"], "/{a}/{b}/{c}/{d}/{{e}}")]));
        assert!(is_refused(&[(&["GET"], "/a/{b}"), (&["GET"], "/a/{c}")]));
        assert!(is_refused(&[(&["GET"], "/a"), (&["PUT", "GET"], "/a")]));
        assert!(is_refused(&[(&["GET"], "/{a}/{b}/{c}/{d}/{e}")]));
        assert!(is_refused(&[(&["GET"], "a")]));
        assert!(is_refused(&[(&["GET"], "/{a")]));
    }

    #[test]
    fn rows_have_numbers() {
        const TABLE: &[Row] = &[(&["GET", "PUT"], "/a"), (&["POST"], "/a"), (&["GET"], "/ab")];
        assert_eq!(
            [("GET", "/a"), ("POST", "/a"), ("GET", "/ab")].map(|row| Routes::row(TABLE, row.0, row.1)),
            [0, 1, 2]
        );
    }
}
