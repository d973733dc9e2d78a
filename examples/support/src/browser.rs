//! A real browser, driven by the DevTools protocol over a pipe.

use crate::clients::{left_out, program};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A browser without a window, which ends with the test.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    last: u64,
}

impl Browser {
    /// Starts a browser that keeps its files in `profile`; None if there is no Chromium here, which is said.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn start(profile: &Path) -> Option<Browser> {
        let program = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(program);
        let program = program.or_else(|| left_out("Chromium"))?;
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
            .expect("a shell");
        let commands = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Some(Browser { child, commands, answers, last: 0 })
    }

    /// What the browser answers to a command; `session` is a page's, null for the browser itself.
    fn call(&mut self, session: &Value, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method, "params": params });
        if !session.is_null() {
            command["sessionId"] = session.clone();
        }
        write!(self.commands, "{command}\0").expect("the browser listens");
        loop {
            let mut answer = Vec::new();
            self.answers.read_until(0, &mut answer).expect("a pipe can be read");
            assert_eq!(answer.pop(), Some(0), "the browser has ended");
            let answer: Value = serde_json::from_slice(&answer).expect("an answer in JSON");
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// Opens the page at the root of a server: its session.
    ///
    /// # Panics
    /// If the browser has ended, or refuses.
    pub fn open(&mut self, address: SocketAddr) -> Value {
        let url = format!("http://{address}/");
        let target = self.call(&Value::Null, "Target.createTarget", json!({ "url": url }));
        let params = json!({ "targetId": target["targetId"], "flatten": true });
        self.call(&Value::Null, "Target.attachToTarget", params)["sessionId"].clone()
    }

    /// The value of an expression in a page; that of a promise once it is kept.
    ///
    /// # Panics
    /// If the browser has ended, or refuses.
    pub fn evaluate(&mut self, page: &Value, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        self.call(page, "Runtime.evaluate", params)["result"]["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Closing the pipe ends the browser, and so `timeout`.
        let _ = write!(self.commands, "{{\"id\":0,\"method\":\"Browser.close\"}}\0");
        let _ = self.child.wait();
    }
}
