//! The application as its users run it, over standard input and output.

use std::path::Path;
use std::process::{Command, Stdio};
use vk_try::App;

/// What is answered to `requests`, without dates, on one line.
fn answers(requests: &str) -> String {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(directory.join("public/directory")).unwrap();
    std::fs::write(directory.join("public/hello.txt"), "hello").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_http_api"));
    command.arg("--stdio").current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
    let (answers, status) = App::start(&mut command).filter(requests.as_bytes());
    assert!(status.success());
    let answers = String::from_utf8(answers).unwrap();
    let lines = answers.split("\r\n").filter(|line| !line.starts_with("Date: "));
    lines.collect::<Vec<_>>().join("|").replace("|X-Content-Type-Options: nosniff", "")
}

#[test]
fn requests_are_answered() {
    let json = "HTTP/1.1 200 OK|Content-Type: application/json|Content-Length:";
    assert_eq!(
        answers(
            "GET /user/7 HTTP/1.1\r\nHost: a\r\nUser-Agent: me\r\n\r\n\
             POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\na=40&b=%2B2"
        ),
        format!("{json} 21||{{\"id\":7,\"agent\":\"me\"}}{json} 10||{{\"sum\":42}}")
    );
    let refused = answers(
        "GET /user/me HTTP/1.1\r\nHost: a\r\n\r\n\
         PUT /sum HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na=b\
         GET /upper HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /../hello.txt HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let statuses: Vec<&str> = refused.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["404", "405", "422", "426", "404"]);
    assert!(refused.contains("|Connection: Upgrade|Upgrade: upper|"));
    assert!(answers("GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n").ends_with("||hello"));
    let long = "q".repeat(8150);
    let answer = answers(&format!("GET /directory?{long} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
}

#[test]
fn the_protocol_changes() {
    let answer =
        answers("GET /upper HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: upper\r\n\r\none\ntwo");
    assert_eq!(answer, "HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: upper||ONE\nTWO");
}
