//! A small service over HTTP.
//!
//! - `GET /user/{id}` is answered with a JSON object.
//! - `POST /sum` takes a form, `a=1&b=2`, and is answered with the sum of its values.
//! - `GET /upper`, with `Upgrade: upper`, goes on with lines that come back in upper case.
//! - Any other path is a file below the directory `public`.

use serde::Serialize;
use vk::prelude::*;
use vk_http::{self as http, Request};

http::routes! {
    /// Answers a request.
    api:
    GET "/user/{id}" => user,
    POST "/sum" => sum,
    GET "/upper" => upper,
    _ => public,
}

/// Answers each request of a connection.
#[vk::coroutine]
fn serve(io: &mut Io) -> io::Result<()> {
    let mut request: Request = Request::new();
    while http::read_request(io, &mut request)? {
        careful(io, &mut request)?;
    }
    Ok(())
}

/// Stands around all answers: a browser takes each for what it is said to be.
#[vk::coroutine]
fn careful(io: &mut Io, request: &mut Request) -> io::Result<()> {
    http::field(io, request, "X-Content-Type-Options", "nosniff")?;
    api(io, request)
}

#[derive(Serialize)]
struct User<'a> {
    id: u64,
    agent: Option<&'a str>,
}

/// Answers with a user.
#[vk::coroutine]
fn user(io: &mut Io, request: &Request) -> io::Result<()> {
    let id: u64 = match request.param("id").and_then(|id| id.parse().ok()) {
        Some(id) => id,
        None => return http::respond_status(io, request, 404),
    };
    http::json(io, request, 200, &User { id, agent: request.get("user-agent") })
}

/// The largest form.
const FORM: usize = 64 * 1024;

#[derive(Serialize)]
struct Sum {
    sum: i64,
}

/// Answers with the sum of a form's values.
#[vk::coroutine]
fn sum(io: &mut Io, request: &mut Request) -> io::Result<()> {
    http::read_whole_body(io, request, FORM)?;
    let sum: Option<i64> = add(&request.body);
    match sum {
        Some(sum) => {
            let sum: i64 = sum;
            http::json(io, request, 200, &Sum { sum })
        }
        None => http::respond_status(io, request, 422),
    }
}

/// The sum of the values; None if one is no number, or they are too many.
fn add(form: &[u8]) -> Option<i64> {
    http::pairs(form).try_fold(0, |sum: i64, (_, value)| sum.checked_add(value.parse().ok()?))
}

/// Leaves HTTP for lines in upper case.
#[vk::coroutine]
fn upper(io: &mut Io, request: &Request) -> io::Result<()> {
    if !request.offers("upper") {
        http::field(io, request, "Upgrade", "upper")?;
        return http::respond_status(io, request, 426);
    }
    http::upgrade(io, request, "upper")?;
    let mut line: Line<1024> = Line::new();
    while io.read_line(&mut line)? {
        line.make_ascii_uppercase();
        io.write_all(&line)?;
    }
    Ok(())
}

/// Answers with a file.
#[vk::coroutine]
fn public(io: &mut Io, request: &Request) -> io::Result<()> {
    http::file(io, request, "public", request.path())
}

vk_app! {
    name: "http_api",
    about: "A small service over HTTP",
    listen: "127.0.0.1:8080" => serve,
    opens_files: true,
}
