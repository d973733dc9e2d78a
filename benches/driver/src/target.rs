//! Which servers are compared.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::{Failure, cargo};

/// The server that all others are compared with.
pub const REFERENCE: &str = "null_epoll";

/// Our own server, in the root workspace.
const OURS: &str = "http_echo";
const GUARDS: [&str; 3] = ["strict", "epoch:1024", "off"];
const POLLERS: [&str; 2] = ["epoll", "uring"];

/// A server under one set of options.
pub struct Target {
    /// `http_echo/strict/epoll`, or the name of a peer.
    pub name: String,
    /// The name of its binary, replaced by its path when it is built.
    pub program: PathBuf,
    pub args: Vec<String>,
}

impl Target {
    /// The null servers read no header, so they are told on their command line to close each connection.
    pub fn is_null(&self) -> bool {
        self.name.starts_with("null_")
    }
}

/// The targets whose names begin with one of `only`; all if that is empty.
///
/// # Errors
/// A name that no target begins with.
pub fn chosen(only: &[String]) -> Result<Vec<Target>, Failure> {
    let all = all();
    if let Some(unknown) = only.iter().find(|&name| !all.iter().any(|target| target.name.starts_with(name))) {
        let names: Vec<&str> = all.iter().map(|target| target.name.as_str()).collect();
        return Err(format!("no server is named {unknown}; there are {}", names.join(", ")));
    }
    let wanted = |target: &Target| only.is_empty() || only.iter().any(|name| target.name.starts_with(name));
    Ok(all.into_iter().filter(wanted).collect())
}

fn all() -> Vec<Target> {
    let peer = |name: &str| Target { name: name.into(), program: name.into(), args: Vec::new() };
    let ours = GUARDS.into_iter().flat_map(|guard| {
        POLLERS.map(|poller| Target {
            name: format!("{OURS}/{guard}/{poller}"),
            program: OURS.into(),
            args: ["--workers", "0", "--guard", guard, "--poller", poller].map(String::from).into(),
        })
    });
    let mut targets = vec![peer(REFERENCE), peer("null_uring")];
    targets.extend(ours);
    targets.extend([peer("peer_hyper"), peer("peer_may")]);
    targets
}

/// Our server, built, without any options; none if it does not build.
pub fn ours() -> Option<Target> {
    built(vec![Target { name: OURS.into(), program: OURS.into(), args: Vec::new() }]).pop()
}

/// Builds what the targets need. What does not build is left out, with a line that says so.
pub fn built(targets: Vec<Target>) -> Vec<Target> {
    let ours = |target: &Target| target.name.starts_with(OURS);
    let mut programs = HashMap::new();
    if targets.iter().any(|target| !ours(target)) {
        programs.extend(cargo::build(&["--manifest-path", cargo::PEERS, "--keep-going"]));
    }
    if targets.iter().any(ours) {
        programs.extend(cargo::build(&["--manifest-path", cargo::ROOT, "-p", OURS]));
    }
    let built = |mut target: Target| match programs.get(&*target.program.to_string_lossy()) {
        Some(path) => {
            target.program.clone_from(path);
            Some(target)
        }
        None => {
            eprintln!("skipped {}: {} did not build", target.name, target.program.display());
            None
        }
    };
    targets.into_iter().filter_map(built).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_selects_by_prefix_and_refuses_unknown_names() {
        let names = |only: &[&str]| -> Result<Vec<String>, Failure> {
            let only: Vec<String> = only.iter().map(|&name| name.into()).collect();
            Ok(chosen(&only)?.into_iter().map(|target| target.name).collect())
        };
        assert_eq!(names(&[]).unwrap().len(), 10);
        assert_eq!(names(&["null"]).unwrap(), ["null_epoll", "null_uring"]);
        assert_eq!(names(&["http_echo/off"]).unwrap(), ["http_echo/off/epoll", "http_echo/off/uring"]);
        assert!(names(&["nginx"]).unwrap_err().contains("peer_may"));
    }
}
