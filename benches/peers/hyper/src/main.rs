//! hyper 1 on a tokio runtime of one thread: HTTP/1, `TCP_NODELAY`, pipelined answers flushed together.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use clap::Parser;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    listen: peer_listen::Listen,
}

fn main() -> io::Result<()> {
    let listener = Options::parse().listen.bind()?;
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(serve(listener))
}

async fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(stream), service_fn(hello));
            // A client that goes away in the middle is its own affair.
            let _ = connection.await;
        });
    }
}

async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"Hello, World!")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}
