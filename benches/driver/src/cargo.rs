//! Building what is measured.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Manifest of the workspace of the peers.
pub const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../peers/Cargo.toml");
/// Manifest of the workspace of our own servers.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// Runs `cargo build --release` with these arguments and returns the path of each binary it made, by name.
/// What it complains about goes to stderr; binaries that failed are missing.
pub fn build(args: &[&str]) -> HashMap<String, PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--message-format=json-render-diagnostics"])
        .args(args)
        .stderr(Stdio::inherit())
        .output();
    match output {
        Ok(output) => binaries(&String::from_utf8_lossy(&output.stdout)),
        Err(error) => {
            eprintln!("cargo could not be run: {error}");
            HashMap::new()
        }
    }
}

/// The binaries that cargo's messages (one JSON object per line) tell of.
fn binaries(messages: &str) -> HashMap<String, PathBuf> {
    let binary = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        Some((message["target"]["name"].as_str()?.to_owned(), message["executable"].as_str()?.into()))
    };
    messages.lines().filter_map(binary).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_messages_of_executables_count() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"a_lib"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"a_bin"},"executable":"/t/release/a_bin"}"#,
            "\nnot json\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let binaries = super::binaries(messages);
        assert_eq!(binaries.len(), 1);
        assert_eq!(binaries["a_bin"].to_str(), Some("/t/release/a_bin"));
    }
}
