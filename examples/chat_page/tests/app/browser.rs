//! Two pages in a real browser, driven by the DevTools protocol over a pipe. Left out where there is no Chromium.

use crate::{BUILD, kill_workers, reload, start, start_at};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, thread};
use vk_try::{App, SIGHUP, eventually};

/// Where Chromium is, if it is.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file())
}

/// Two browsers that start at the same time may end each other.
static TURN: Mutex<()> = Mutex::new(());

/// A browser without a window, which ends with the test.
struct Browser {
    _turn: MutexGuard<'static, ()>,
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    last: u64,
}

impl Browser {
    fn start(program: &Path, name: &str) -> Browser {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chromium-{name}"));
        let _ = fs::remove_dir_all(&profile);
        // The protocol is spoken on descriptors 3 and 4. `timeout` ends all that it has started, in any case.
        let script = "exec timeout -k 1 60 \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                // Only one of the pages is seen.
                "--disable-background-timer-throttling",
                "--disable-renderer-backgrounding",
            ])
            .args(["--remote-debugging-pipe", "--user-data-dir"])
            .arg(profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (commands, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Browser { _turn, child, commands, answers, last: 0 }
    }

    /// What the browser answers to a command; `session` is a page's, null for the browser itself.
    fn call(&mut self, session: &Value, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method, "params": params });
        if !session.is_null() {
            command["sessionId"] = session.clone();
        }
        write!(self.commands, "{command}\0").unwrap();
        loop {
            let mut answer = Vec::new();
            self.answers.read_until(0, &mut answer).unwrap();
            assert_eq!(answer.pop(), Some(0), "the browser has ended");
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// Opens a page, and waits until it is connected: its session. It keeps all its WebSockets in `sockets`.
    fn open(&mut self, address: SocketAddr) -> Value {
        let target = self.call(&Value::Null, "Target.createTarget", json!({ "url": "about:blank" }));
        let params = json!({ "targetId": target["targetId"], "flatten": true });
        let page = self.call(&Value::Null, "Target.attachToTarget", params)["sessionId"].clone();
        self.call(&page, "Page.enable", json!({}));
        let script = "window.sockets = []; \
            window.WebSocket = class extends WebSocket { constructor(...a) { super(...a); sockets.push(this); } }";
        self.call(&page, "Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }));
        self.call(&page, "Page.navigate", json!({ "url": format!("http://{address}/") }));
        let state = "document.getElementById('state')?.value";
        eventually("the page is connected", || self.evaluate(&page, state) == "connected");
        page
    }

    /// The page has never been cut off: its first WebSocket is open.
    fn is_undisturbed(&mut self, page: &Value) {
        let state = "`${sockets.length} ${sockets[0].readyState} ${document.getElementById('cuts').value}`";
        assert_eq!(self.evaluate(page, state), "1 1 0");
    }

    /// The value of an expression in a page.
    fn evaluate(&mut self, page: &Value, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true });
        self.call(page, "Runtime.evaluate", params)["result"]["value"].clone()
    }

    fn says(&mut self, page: &Value, text: &str) {
        let script =
            format!("document.getElementById('text').value = '{text}'; document.forms[0].requestSubmit()");
        self.evaluate(page, &script);
    }

    /// Waits until all that was said is on the page.
    fn hears(&mut self, page: &Value, all: &str) {
        let script = "[...document.querySelectorAll('li')].map(line => line.textContent).join('|')";
        eventually(&format!("{all} on the page"), || self.evaluate(page, script) == all);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Closing the pipe ends the browser, and so `timeout`.
        let _ = write!(self.commands, "{{\"id\":0,\"method\":\"Browser.close\"}}\0");
        let _ = self.child.wait();
    }
}

#[test]
fn pages_go_on_when_workers_are_killed() {
    let Some(program) = chromium() else {
        eprintln!("left out: there is no Chromium here");
        return;
    };
    let (app, _) = start("browser");
    let mut browser = Browser::start(&program, "browser");
    let pages = [browser.open(app.address(0)), browser.open(app.address(0))];
    let mut all = String::new();
    for round in 0..3 {
        for (number, page) in pages.iter().enumerate() {
            let text = format!("{round}{number} <b>&amp; µ");
            browser.says(page, &text);
            all += &format!("{}me: {text}", if all.is_empty() { "" } else { "|" });
            pages.iter().for_each(|page| browser.hears(page, &all));
        }
        kill_workers(&app);
    }
    // A cut would be seen by now, and counted.
    browser.says(&pages[0], "end");
    all += "|me: end";
    for page in &pages {
        browser.hears(page, &all);
        browser.is_undisturbed(page);
    }
}

/// Two pages talk without a pause while `happens` does: neither is cut off, and each sees all that was said, once.
fn pages_talk_while(name: &str, installed: &Path, happens: impl FnOnce(&App)) {
    const WORDS: usize = 200;
    let Some(program) = chromium() else {
        eprintln!("left out: there is no Chromium here");
        return;
    };
    let (app, _) = start_at(installed, name);
    let mut browser = Browser::start(&program, name);
    let pages = ["a", "b"].map(|name| (name, browser.open(app.address(0))));
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
        browser.is_undisturbed(page);
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
