//! A real browser, driven by the DevTools protocol over a pipe.

use crate::clients::{left_out, program};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Two browsers that start at the same time may end each other.
static TURN: Mutex<()> = Mutex::new(());

/// A browser without a window, which ends with the test.
#[derive(Debug)]
pub struct Browser {
    _turn: MutexGuard<'static, ()>,
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    last: u64,
}

/// A page of it: the protocol's session.
#[derive(Debug)]
pub struct Page(Value);

impl Browser {
    /// Starts one that keeps what it has below `folder`, once the test's process has no other one; None, and a line that says
    /// so, where there is no Chromium.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn start(folder: &Path) -> Option<Browser> {
        let program = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(program);
        let program = program.or_else(|| left_out("Chromium"))?;
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = folder.join("chromium");
        let _ = std::fs::remove_dir_all(&profile);
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
            .expect("a shell");
        let commands = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Some(Browser { _turn, child, commands, answers, last: 0 })
    }

    /// What the browser answers to a command; `session` is a page's, null for the browser itself.
    fn ask(&mut self, session: &Value, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method, "params": params });
        if !session.is_null() {
            command["sessionId"] = session.clone();
        }
        write!(self.commands, "{command}\0").expect("the browser takes commands");
        loop {
            let mut answer = Vec::new();
            self.answers.read_until(0, &mut answer).expect("the browser answers");
            assert_eq!(answer.pop(), Some(0), "the browser has ended");
            let answer: Value = serde_json::from_slice(&answer).expect("it speaks JSON");
            if answer["id"] == self.last {
                return answer;
            }
        }
    }

    /// Has it obey a command, and returns the result.
    fn call(&mut self, session: &Value, method: &str, params: Value) -> Value {
        let answer = self.ask(session, method, params);
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Opens a page.
    ///
    /// # Panics
    /// If the browser doesn't.
    pub fn open(&mut self, url: &str) -> Page {
        self.open_after("", url)
    }

    /// Opens a page that runs `script` before its own.
    ///
    /// # Panics
    /// If the browser doesn't.
    pub fn open_after(&mut self, script: &str, url: &str) -> Page {
        let target = self.call(&Value::Null, "Target.createTarget", json!({ "url": "about:blank" }));
        let params = json!({ "targetId": target["targetId"], "flatten": true });
        let page = self.call(&Value::Null, "Target.attachToTarget", params)["sessionId"].clone();
        self.call(&page, "Page.enable", json!({}));
        self.call(&page, "Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }));
        self.call(&page, "Page.navigate", json!({ "url": url }));
        Page(page)
    }

    /// Loads a page again, as its user would have it do.
    ///
    /// # Panics
    /// If the browser doesn't.
    pub fn reload(&mut self, page: &Page) {
        self.call(&page.0, "Page.reload", json!({}));
    }

    /// The value of an expression in a page, that of a promise once it is kept; null if it is just leaving for another one.
    ///
    /// # Panics
    /// If the browser has ended.
    pub fn evaluate(&mut self, page: &Page, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        self.ask(&page.0, "Runtime.evaluate", params)["result"]["result"]["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Closing the pipe ends the browser, and so `timeout`.
        let _ = write!(self.commands, "{{\"id\":0,\"method\":\"Browser.close\"}}\0");
        let _ = self.child.wait();
    }
}
