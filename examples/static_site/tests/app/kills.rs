//! Downloads go on when workers are killed.

use crate::{Answer, decompressed, start};
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use vk_try::{App, Random, SIGKILL};

/// Reads from the application, and kills its workers after each so many bytes.
struct Murderer<'a> {
    stream: TcpStream,
    app: &'a App,
    each: usize,
    read: usize,
}

impl Read for Murderer<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(to)?;
        let before = self.read / self.each;
        self.read += count;
        if self.read / self.each > before {
            self.app.process().workers_now().iter().for_each(|worker| worker.signal(SIGKILL));
        }
        Ok(count)
    }
}

impl Write for Murderer<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.stream.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A piece that was read into the place of the one before, of which the client had half, was sent in its stead when the
/// worker died just then.
#[test]
fn downloads_go_on_when_workers_are_killed() {
    let site = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("killed-{}", std::process::id()));
    fs::create_dir_all(&site).unwrap();
    // More than the buffers of a connection hold, compressed, too.
    let mut random = Random(1);
    let text: Vec<u8> = (0..20_000_000).map(|_| b'a' + random.below(16) as u8).collect();
    fs::write(site.join("text.txt"), &text).unwrap();
    let app = start(site.to_str());
    for (accept, each) in [("identity", 1_000_000), ("gzip", 500_000)] {
        let stream = Murderer { stream: app.connect(), app: &app, each, read: 0 };
        let answer = Answer::get(stream, "GET", "/text.txt", &[&format!("Accept-Encoding: {accept}")]);
        let body = if accept == "gzip" { decompressed(&answer.body) } else { answer.body };
        assert!(body == text, "{} bytes came, in {accept}", body.len());
    }
    let deaths = app.log().matches("is started again").count();
    assert!(deaths > 10, "only {deaths} workers died");
    fs::remove_dir_all(&site).unwrap();
}
