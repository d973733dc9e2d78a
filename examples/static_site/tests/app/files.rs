//! Answers, field by field, and what is never one.

use crate::{Answer, SITE, decompressed, start};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

#[test]
fn files_say_what_they_are() {
    let app = start(None);
    let get = |target: &str, fields: &[&str]| Answer::get(app.connect(), "GET", target, fields);
    for (target, file, kind) in [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/notes/", "notes/index.html", "text/html; charset=utf-8"),
        ("/style.css?v=1", "style.css", "text/css; charset=utf-8"),
        ("/main.js", "main.js", "text/javascript; charset=utf-8"),
        ("/mark.svg", "mark.svg", "image/svg+xml"),
        ("/dusk.png", "dusk.png", "image/png"),
    ] {
        let file = fs::read(format!("{SITE}/{file}")).unwrap();
        let answer = get(target, &[]);
        assert_eq!((answer.status, answer.field("content-type")), (200, Some(kind)));
        assert_eq!(answer.field("cache-control"), Some("no-cache"));
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.body, file);

        let head = Answer::get(app.connect(), "HEAD", target, &[]);
        assert_eq!((head.status, head.body.len()), (200, 0));
        let but_date = |answer: &Answer| -> Vec<_> {
            answer.fields.iter().filter(|field| field.0 != "date").cloned().collect()
        };
        assert_eq!(but_date(&head), but_date(&answer));

        let compressed = get(target, &["Accept-Encoding: gzip, deflate, br"]);
        let text = kind.starts_with("text/") && file.len() >= 1024;
        assert_eq!(compressed.field("content-encoding"), text.then_some("gzip"), "{target}");
        assert_eq!(compressed.field("vary"), text.then_some("Accept-Encoding"));
        assert_eq!(answer.field("vary"), text.then_some("Accept-Encoding"));
        if text {
            assert!(
                compressed.body.len() < file.len() && compressed.field("etag").unwrap().starts_with("W/")
            );
            assert_eq!(decompressed(&compressed.body), file);
        }
        for answer in [answer, compressed] {
            let known = format!("If-None-Match: {}", answer.field("etag").unwrap());
            let since = format!("If-Modified-Since: {}", answer.field("last-modified").unwrap());
            for field in [known.as_str(), since.as_str()] {
                let again = get(target, &[field]);
                assert_eq!((again.status, again.body.len()), (304, 0), "{target} {field}");
            }
        }
    }
}

#[test]
fn directories_have_a_slash_and_what_is_missing_a_page() {
    let app = start(None);
    let get = |target: &str| Answer::get(app.connect(), "GET", target, &[]);
    let moved = get("/notes?x=1");
    assert_eq!((moved.status, moved.field("location")), (301, Some("/notes/?x=1")));
    let page = fs::read(format!("{SITE}/404.html")).unwrap();
    let missing = get("/nowhere");
    assert_eq!((missing.status, missing.field("content-type")), (404, Some("text/html; charset=utf-8")));
    assert_eq!(missing.body, page);
    let posted = Answer::get(app.connect(), "POST", "/", &["Content-Length: 0"]);
    assert_eq!((posted.status, posted.field("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn what_is_no_directory_is_not_served() {
    let mut app = start(Some("/no/such/directory"));
    assert_eq!(app.wait().code(), Some(1));
    assert_eq!(app.log(), "static_site: /no/such/directory is no directory\n");
}

#[test]
fn parts_are_parts() {
    let app = start(None);
    let file = fs::read(format!("{SITE}/dusk.png")).unwrap();
    let part =
        |range: &str| Answer::get(app.connect(), "GET", "/dusk.png", &[&format!("Range: bytes={range}")]);
    let size = file.len();
    for (range, from, to) in
        [("0-99", 0, 100), ("100-", 100, size), ("-10", size - 10, size), ("0-99999", 0, size)]
    {
        let answer = part(range);
        assert_eq!(answer.status, 206);
        assert_eq!(answer.field("content-range"), Some(format!("bytes {from}-{}/{size}", to - 1).as_str()));
        assert_eq!(answer.body, file[from..to]);
    }
    let answer = part(&format!("{size}-"));
    assert_eq!(
        (answer.status, answer.field("content-range")),
        (416, Some(format!("bytes */{size}").as_str()))
    );
}

#[test]
fn what_is_outside_stays_there() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("static_site-{}", std::process::id()));
    let site = place.join("site");
    fs::create_dir_all(site.join("folder/.git")).unwrap();
    fs::write(place.join("secret"), "secret").unwrap();
    for hidden in [".env", "folder/.git/config"] {
        fs::write(site.join(hidden), "secret").unwrap();
    }
    fs::write(site.join("open"), "open").unwrap();
    fs::write(site.join("folder/open"), "open").unwrap();
    symlink("../secret", site.join("out")).unwrap();
    symlink(place.join("secret"), site.join("far")).unwrap();
    symlink("../..", site.join("folder/up")).unwrap();
    symlink("/proc/self/root/etc/passwd", site.join("magic")).unwrap();
    symlink("../open", site.join("folder/inside")).unwrap();
    symlink("loop", site.join("loop")).unwrap();
    let app = start(site.to_str());
    for target in ["/open", "/%6fpen", "/folder/open", "/folder/inside", "http://other/open"] {
        let answer = Answer::get(app.connect(), "GET", target, &[]);
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"open"[..]), "{target}");
    }
    let long = format!("/{}", "a".repeat(5000));
    for target in [
        "/../secret",
        "/folder/../../secret",
        "/%2e%2e/secret",
        "/%2E%2e/secret",
        "/.%2e/secret",
        "/..%2fsecret",
        "/folder/..%2f..%2fsecret",
        "/%252e%252e/secret",
        "/..%5csecret",
        "/..\\secret",
        "/folder/up/secret",
        "/out",
        "/far",
        "/magic",
        "/loop",
        "/open%00",
        "/open%00.html",
        "/open/",
        "/.env",
        "/%2eenv",
        "/folder/.git/config",
        "/folder/.git/",
        "//etc/passwd",
        "//open",
        "/folder//open",
        "/./open",
        "/folder/",
        "http://other/../secret",
        &long,
    ] {
        let answer = Answer::get(app.connect(), "GET", target, &[]);
        // Where it has a backslash it is no target at all.
        assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.status);
        assert!(!answer.body.windows(6).any(|bytes| bytes == b"secret"), "{target}");
    }
    fs::remove_dir_all(&place).unwrap();
}
