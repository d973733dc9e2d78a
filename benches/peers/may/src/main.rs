//! may_minihttp on one worker thread.

use std::io;
use std::net::TcpListener;

use clap::Parser;
use may_minihttp::{HttpServer, HttpService, Request, Response};

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    listen: peer_listen::Listen,
}

#[derive(Clone)]
struct Hello;

impl HttpService for Hello {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        response.header("Content-Type: text/plain").body("Hello, World!");
        // may_minihttp leaves the end of a connection to the client, who needs to be told.
        let headers = request.headers();
        if headers.iter().any(|h| h.name.eq_ignore_ascii_case("connection") && h.value == b"close") {
            response.header("Connection: close");
        }
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    // Pinned from outside, if at all.
    may::config().set_workers(1).set_worker_pin(false);
    // may_minihttp binds by itself and doesn't say where, so a free port is found for it first.
    let address = TcpListener::bind(options.listen.address)?.local_addr()?;
    let server = HttpServer(Hello).start(address)?;
    peer_listen::announce(address);
    server.join().map_err(|_| io::Error::other("the server's coroutine panicked"))
}
