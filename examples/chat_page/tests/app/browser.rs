//! Two pages in a real browser. Left out where there is no Chromium.

use crate::{BUILD, kill_workers, reload, start, start_at};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;
use vk_try::{App, Browser, Page, SIGHUP, eventually};

fn browser() -> Option<Browser> {
    Browser::start(Path::new(env!("CARGO_TARGET_TMPDIR")))
}

/// Opens the chat, and waits until it is connected. It keeps all its WebSockets in `sockets`.
fn open(browser: &mut Browser, app: &App) -> Page {
    let script = "window.sockets = []; \
        window.WebSocket = class extends WebSocket { constructor(...a) { super(...a); sockets.push(this); } }";
    let page = browser.open_after(script, &format!("http://{}/", app.address(0)));
    let state = "document.getElementById('state')?.value";
    eventually("the page is connected", || browser.evaluate(&page, state) == "connected");
    page
}

/// The page has never been cut off: its first WebSocket is open.
fn is_undisturbed(browser: &mut Browser, page: &Page) {
    let state = "`${sockets.length} ${sockets[0].readyState} ${document.getElementById('cuts').value}`";
    assert_eq!(browser.evaluate(page, state), "1 1 0");
}

fn says(browser: &mut Browser, page: &Page, text: &str) {
    let script =
        format!("document.getElementById('text').value = '{text}'; document.forms[0].requestSubmit()");
    browser.evaluate(page, &script);
}

/// Waits until all that was said is on the page.
fn hears(browser: &mut Browser, page: &Page, all: &str) {
    let script = "[...document.querySelectorAll('li')].map(line => line.textContent).join('|')";
    eventually(&format!("{all} on the page"), || browser.evaluate(page, script) == all);
}

#[test]
fn pages_go_on_when_workers_are_killed() {
    let Some(mut browser) = browser() else { return };
    let (app, _) = start("browser");
    let pages = [open(&mut browser, &app), open(&mut browser, &app)];
    let mut all = String::new();
    for round in 0..3 {
        for (number, page) in pages.iter().enumerate() {
            let text = format!("{round}{number} <b>&amp; µ");
            says(&mut browser, page, &text);
            all += &format!("{}me: {text}", if all.is_empty() { "" } else { "|" });
            pages.iter().for_each(|page| hears(&mut browser, page, &all));
        }
        kill_workers(&app);
    }
    // A cut would be seen by now, and counted.
    says(&mut browser, &pages[0], "end");
    all += "|me: end";
    for page in &pages {
        hears(&mut browser, page, &all);
        is_undisturbed(&mut browser, page);
    }
}

/// Two pages talk without a pause while `happens` does: neither is cut off, and each sees all that was said, once.
fn pages_talk_while(name: &str, installed: &Path, happens: impl FnOnce(&App)) {
    const WORDS: usize = 200;
    let Some(mut browser) = browser() else { return };
    let (app, _) = start_at(installed, name);
    let pages = ["a", "b"].map(|name| (name, open(&mut browser, &app)));
    for (name, page) in &pages {
        let script = format!(
            "document.getElementById('name').value = '{name}'; window.n = 0; \
             window.talk = setInterval(() => {{ \
                 document.getElementById('text').value = n++; document.forms[0].requestSubmit(); \
                 if (n == {WORDS}) clearInterval(talk); }}, 10)"
        );
        browser.evaluate(page, &script);
    }
    happens(&app);
    let lines = "[...document.querySelectorAll('li')].map(line => line.textContent)";
    let said = pages.each_ref().map(|(_, page)| {
        let mut said = Value::Null;
        eventually("all that was said is on the page", || {
            said = browser.evaluate(page, lines);
            said.as_array().is_some_and(|said| said.len() >= 2 * WORDS)
        });
        said
    });
    // What would come twice would have come by now.
    thread::sleep(Duration::from_millis(200));
    for (name, page) in &pages {
        assert_eq!(browser.evaluate(page, lines), said[0]);
        let all = said[0].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
        let of_one: Vec<&str> = all.filter(|line| line.starts_with(name)).collect();
        let expected: Vec<String> = (0..WORDS).map(|n| format!("{name}: {n}")).collect();
        assert_eq!(of_one, expected);
        is_undisturbed(&mut browser, page);
    }
    assert_eq!(said[0], said[1]);
}

#[test]
fn pages_talk_while_workers_are_killed() {
    pages_talk_while("killed", Path::new(BUILD), |app| {
        for _ in 0..8 {
            kill_workers(app);
            thread::sleep(Duration::from_millis(100));
        }
    });
}

#[test]
fn pages_talk_while_it_is_reloaded() {
    pages_talk_while("reloaded", Path::new(BUILD), |app| (0..5).for_each(|_| reload(app)));
}

/// The next build has another page, and its workers are killed, too.
#[test]
fn pages_talk_while_the_next_build_comes() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("build");
    let (path, next) = (directory.join("chat_page"), directory.join("next"));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    fs::hard_link(BUILD, &path).unwrap();
    let (before, after) = (b"<title>Chat</title>", b"<title>Talk</title>");
    let mut build = fs::read(BUILD).unwrap();
    let place =
        build.windows(before.len()).position(|bytes| bytes == before).expect("it has the page's title");
    build[place..place + after.len()].copy_from_slice(after);
    fs::copy(BUILD, &next).unwrap();
    fs::write(&next, build).unwrap();
    pages_talk_while("next", &path, |app| {
        fs::rename(&next, &path).unwrap();
        // Another test may just start a process, which has the file open for writing until it executes something else.
        eventually("the next build's page", || {
            app.process().signal(SIGHUP);
            thread::sleep(Duration::from_millis(300));
            let mut stream = app.connect();
            write!(stream, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
            let mut page = String::new();
            stream.read_to_string(&mut page).unwrap();
            page.contains("<title>Talk</title>")
        });
        kill_workers(app);
    });
}
