//! The same directory by this server and by nginx. Where both may choose they may differ: in tags, in what they say to
//! people, in ranges that are none, in paths with `..` or `//`, which nginx tidies up. Left out where there is no nginx.

use crate::{Answer, SITE, decompressed, start};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use vk_try::{eventually, left_out};

/// An nginx that ends with the test.
struct Nginx {
    child: Child,
    folder: PathBuf,
}

impl Nginx {
    /// Starts one that serves the site on a socket in its folder.
    fn start() -> Option<Nginx> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nginx-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let at = folder.to_str().unwrap();
        let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};\n"))
            .concat();
        let settings = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error;
             events {{}}
             http {{
                 {places} access_log off; include /etc/nginx/mime.types; charset utf-8; charset_types text/css;
                 gzip on; gzip_vary on; gzip_min_length 1024; gzip_types text/css;
                 server {{
                     listen unix:{at}/socket; root {SITE}; absolute_redirect off;
                     error_page 404 /404.html; location ~ /\\. {{ return 404; }}
                 }}
             }}"
        );
        fs::write(folder.join("settings"), settings).unwrap();
        let child = Command::new("nginx")
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(folder.join("settings"))
            .stderr(Stdio::null())
            .spawn();
        let child = child.ok().or_else(|| left_out("nginx"))?;
        let nginx = Nginx { child, folder };
        eventually("nginx listens", || UnixStream::connect(nginx.folder.join("socket")).is_ok());
        Some(nginx)
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect(self.folder.join("socket")).unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Whether an answer's body is a text for people, which each server writes its own.
fn has_own_text(answer: &Answer) -> bool {
    matches!(answer.status, 301 | 405 | 412 | 416)
}

fn body(answer: &Answer) -> Vec<u8> {
    match answer.field("content-encoding") {
        _ if has_own_text(answer) => Vec::new(),
        Some(_) if !answer.body.is_empty() => decompressed(&answer.body),
        _ => answer.body.clone(),
    }
}

/// What the heads of two servers have in common: all but their tags, of which only the strength is.
fn head(answer: &Answer) -> Vec<Option<String>> {
    let own_text = has_own_text(answer);
    let field = |name: &str| answer.field(name).map(str::to_owned);
    // `application/javascript` is the former name (RFC 9239).
    let kind = field("content-type").filter(|_| !own_text);
    let kind = kind.map(|kind| kind.replace("application/javascript", "text/javascript; charset=utf-8"));
    // In a 304, nginx says the tag of what is not compressed, whatever it would be sent as.
    let tag = answer.field("etag").filter(|_| matches!(answer.status, 200 | 206));
    let is_whole = answer.status == 200;
    vec![
        Some(answer.status.to_string()),
        kind,
        field("content-length").filter(|_| !own_text),
        field("location"),
        field("content-range"),
        field("content-encoding"),
        field("last-modified").filter(|_| is_whole),
        field("accept-ranges").filter(|_| is_whole),
        field("vary").filter(|_| is_whole),
        tag.map(|tag| if tag.starts_with("W/") { "weak" } else { "strong" }.to_owned()),
    ]
}

#[test]
fn both_answer_alike() {
    let Some(nginx) = Nginx::start() else { return };
    let app = start(None);
    let gzip = "Accept-Encoding: gzip";
    for (method, target, fields) in [
        ("GET", "/", &[][..]),
        ("GET", "/", &[gzip]),
        ("HEAD", "/", &[]),
        ("HEAD", "/", &[gzip]),
        ("GET", "/index.html", &[]),
        ("GET", "/style.css", &[]),
        ("GET", "/style.css?x=y", &[gzip]),
        ("GET", "/style.css", &[gzip, "If-None-Match: *"]),
        ("GET", "/main.js", &[]),
        ("GET", "/mark.svg", &[gzip]),
        ("GET", "/dusk.png", &[gzip]),
        ("GET", "/dusk.png", &["Range: bytes=0-99"]),
        ("GET", "/dusk.png", &["Range: bytes=-99"]),
        ("GET", "/dusk.png", &["Range: bytes=5-", "If-Range: \"other\""]),
        ("GET", "/dusk.png", &["Range: bytes=99999-"]),
        ("GET", "/dusk.png", &["Range: pages=0-1"]),
        ("GET", "/dusk.png", &["If-Unmodified-Since: Fri, 20 Nov 2020 12:00:00 GMT"]),
        ("GET", "/dusk.png", &["If-Match: \"other\""]),
        ("GET", "/dusk.png", &["If-Modified-Since: Fri, 20 Nov 2020 12:00:00 GMT"]),
        ("GET", "/notes", &[]),
        ("GET", "/notes?x=y", &[]),
        ("GET", "/notes/", &[]),
        ("GET", "/nowhere", &[]),
        ("GET", "/nowhere/", &[]),
        ("GET", "/style.css/", &[]),
        ("GET", "/.hidden", &[]),
        ("POST", "/", &["Content-Length: 0"]),
        ("DELETE", "/", &[]),
    ] {
        let ours = Answer::get(app.connect(), method, target, fields);
        let theirs = Answer::get(nginx.connect(), method, target, fields);
        assert_eq!(head(&ours), head(&theirs), "{method} {target} {fields:?}");
        assert!(body(&ours) == body(&theirs), "{method} {target} {fields:?}");
    }
}
