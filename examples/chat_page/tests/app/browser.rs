//! Two pages in a real browser, driven by the DevTools protocol over a pipe. Left out where there is no Chromium.

use crate::{kill_workers, start};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use vk_try::eventually;

/// Where Chromium is, if it is.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file())
}

/// A browser without a window, which ends with the test.
struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    last: u64,
}

impl Browser {
    fn start(program: &Path) -> Browser {
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chromium");
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
            ])
            .args(["--remote-debugging-pipe", "--user-data-dir"])
            .arg(profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (commands, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Browser { child, commands, answers, last: 0 }
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

    /// Opens a page: its session.
    fn open(&mut self, address: SocketAddr) -> Value {
        let url = format!("http://{address}/");
        let target = self.call(&Value::Null, "Target.createTarget", json!({ "url": url }));
        let params = json!({ "targetId": target["targetId"], "flatten": true });
        self.call(&Value::Null, "Target.attachToTarget", params)["sessionId"].clone()
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
    let mut browser = Browser::start(&program);
    let pages = [browser.open(app.address(0)), browser.open(app.address(0))];
    for page in &pages {
        let state = "document.getElementById('state')?.value";
        eventually("the page is connected", || browser.evaluate(page, state) == "connected");
    }
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
        let state = "`${document.getElementById('state').value} ${document.getElementById('cuts').value}`";
        assert_eq!(browser.evaluate(page, state), "connected 0");
    }
}
