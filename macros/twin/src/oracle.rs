//! The comparison: both twins on the same script, and what to say when they differ.
//!
//! A failure is shrunk by leaving out input, and then says how to see it again:
//!
//! ```text
//! VK_TWIN_SEED=1 VK_TWIN_BODIES=60 VK_TWIN_REPLAY=body_7:42:16:610a cargo test -p vk-twin
//! ```
//!
//! | variable | meaning |
//! |---|---|
//! | `VK_TWIN_SEED` | the random programs, and the inputs (default 1) |
//! | `VK_TWIN_BODIES` | how many random programs (default 60); the first n are the same for every number |
//! | `VK_TWIN_CASES` | scripts for each body (default 30) |
//! | `VK_TWIN_ONLY` | only bodies whose name contains this |
//! | `VK_TWIN_REPLAY` | `body:seed:piece:input`, the input in hexadecimal: this script only |

use crate::dice::Dice;
use crate::observed::{Observed, Script};
use crate::{blocking, machine};
use std::env;
use std::fmt::{self, Write};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;
use vk_core::Entry;

/// Scripts for each body, unless `VK_TWIN_CASES` says otherwise.
const CASES: u64 = 30;

/// How long all scripts of a body may take, for each of them.
const LIMIT: Duration = Duration::from_secs(2);

/// Differences told in full.
const TOLD: usize = 3;

/// One body, in both worlds.
#[derive(Clone, Copy)]
pub struct Body {
    pub name: &'static str,
    /// The file that its source is in.
    pub file: &'static str,
    pub source: &'static str,
    pub lowered: fn() -> &'static Entry,
    pub plain: fn(&mut blocking::Io) -> io::Result<u64>,
}

/// The same script in both worlds, with different results.
struct Difference {
    script: Script,
    lowered: Observed,
    plain: Observed,
}

impl Body {
    fn compare(&self, script: Script) -> Option<Difference> {
        let lowered = machine::run((self.lowered)(), &script);
        let plain = blocking::run(self.plain, &script);
        (lowered != plain).then_some(Difference { script, lowered, plain })
    }

    /// The same difference, or another one, with as little input as is found quickly.
    fn shrink(&self, mut found: Difference) -> Difference {
        for (seed, piece) in [(0, usize::MAX), (0, 1), (found.script.seed, usize::MAX)] {
            let script = Script { seed, piece, ..found.script.clone() };
            if let Some(simpler) = self.compare(script) {
                found = simpler;
                break;
            }
        }
        let mut cut = found.script.input.len().div_ceil(2);
        while cut > 0 {
            let mut at = 0;
            while at < found.script.input.len() {
                let mut script = found.script.clone();
                script.input.drain(at..script.input.len().min(at + cut));
                match self.compare(script) {
                    Some(simpler) => found = simpler,
                    None => at += cut,
                }
            }
            cut /= 2;
        }
        found
    }
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Holds each body's twins against each other.
///
/// # Panics
/// If they differ.
pub fn check(bodies: &[Body], seed: u64) {
    let only = env::var("VK_TWIN_ONLY").unwrap_or_default();
    let replay = env::var("VK_TWIN_REPLAY").ok();
    let replay = replay.as_deref().map(|text| parse(text).expect("VK_TWIN_REPLAY is body:seed:piece:input"));
    let cases = number("VK_TWIN_CASES", CASES);
    println!("seed {seed}, {} bodies, {cases} cases each", bodies.len());
    let mut failures = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        let scripts: Vec<Script> = match &replay {
            Some((name, script)) if name == body.name => vec![script.clone()],
            Some(_) => continue,
            None if !body.name.contains(&only) => continue,
            None => {
                let mut dice = Dice::new(seed ^ (index as u64) << 32);
                let script = |case| Script::new(if case == 0 { 0 } else { dice.roll() });
                (0..cases).map(script).collect()
            }
        };
        failures.extend(difference(*body, scripts).map(|text| (body.name, text)));
    }
    if !failures.is_empty() {
        let names: Vec<&str> = failures.iter().map(|(name, _)| *name).collect();
        let told: String = failures.iter().take(TOLD).map(|(_, text)| text.as_str()).collect();
        panic!(
            "{told}\n{} of {} bodies differ from their twins: {}",
            names.len(),
            bodies.len(),
            names.join(", ")
        );
    }
}

/// The first difference, as text. A body that doesn't come to an end is left behind in its thread.
fn difference(body: Body, scripts: Vec<Script>) -> Option<String> {
    let limit = LIMIT * (scripts.len() as u32 + 1);
    let current = Arc::new(AtomicU64::new(0));
    let (sender, receiver) = channel();
    let at = current.clone();
    let thread = thread::spawn({
        let scripts = scripts.clone();
        move || {
            for (index, script) in scripts.into_iter().enumerate() {
                at.store(index as u64, Relaxed);
                if let Some(found) = body.compare(script) {
                    let _ = sender.send(tell(&body, &body.shrink(found)));
                    return;
                }
            }
        }
    });
    match receiver.recv_timeout(limit) {
        Ok(text) => Some(text),
        Err(RecvTimeoutError::Disconnected) => {
            thread.join().err().map(|_| format!("\n{}: the harness panicked, see above\n", body.name))
        }
        Err(RecvTimeoutError::Timeout) => {
            let script = &scripts[current.load(Relaxed) as usize];
            Some(format!(
                "\n{} runs for ever\nreplay: {}\n{}\n",
                body.name,
                Replay(&body, script),
                source(&body)
            ))
        }
    }
}

fn tell(body: &Body, found: &Difference) -> String {
    let Difference { script, lowered, plain } = found;
    let show =
        |observed: &Observed| format!("{:?}\n    {}", observed.outcome, observed.output.escape_ascii());
    format!(
        "\n{name} differs from its twin, in {file}\n  input \"{input}\"\n  lowered  {lowered}\n  blocking {plain}\n  \
         replay: {replay}\n{source}\n",
        name = body.name,
        file = body.file,
        input = script.input.escape_ascii(),
        lowered = show(lowered),
        plain = show(plain),
        replay = Replay(body, script),
        source = source(body),
    )
}

/// The source of `body` and, after it, of the functions of its file that it calls.
fn source(body: &Body) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let declared = |rest: &'static str| rest.split(|c| !is_word(c)).next().unwrap_or_default();
    let names: Vec<&str> =
        body.source.split("fn ").skip(1).map(declared).filter(|name| !name.is_empty()).collect();
    let is_called = |name: &str, text: &str| {
        text.match_indices(name).any(|(at, _)| {
            let after = &text[at + name.len()..];
            !text[..at].ends_with(is_word) && (after.starts_with('(') || after.starts_with("::<"))
        })
    };
    let mut wanted = vec![body.name];
    let mut text = String::new();
    let mut at = 0;
    while let Some(function) = wanted.get(at).and_then(|name| function(body.source, name)) {
        at += 1;
        for name in &names {
            if !wanted.contains(name) && is_called(name, function) {
                wanted.push(name);
            }
        }
        let _ = write!(text, "\n{function}");
    }
    text
}

/// The lines of the function `name`.
fn function<'s>(source: &'s str, name: &str) -> Option<&'s str> {
    let declaration = |end| source.find(&format!("fn {name}{end}"));
    let start = declaration('(').or_else(|| declaration('<'))?;
    let line = source[..start].rfind('\n').map_or(0, |at| at + 1);
    let indent = source[line..].len() - source[line..].trim_start().len();
    let end = source[start..].find(&format!("\n{}}}\n", &source[line..line + indent]))? + start;
    Some(&source[line..end + indent + 3])
}

/// How to see a difference again.
struct Replay<'a>(&'a Body, &'a Script);

impl fmt::Display for Replay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Replay(body, Script { seed, piece, input }) = self;
        write!(f, "VK_TWIN_SEED={} VK_TWIN_BODIES={} ", crate::SEED, crate::BODIES)?;
        write!(f, "VK_TWIN_REPLAY={}:{seed}:{piece}:", body.name)?;
        input.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(" cargo test -p vk-twin")
    }
}

fn parse(text: &str) -> Option<(String, Script)> {
    let mut parts = text.split(':');
    let (name, seed, piece, hex) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let input = (0..hex.len()).step_by(2).map(byte).collect::<Option<_>>()?;
    Some((name.to_owned(), Script { seed: seed.parse().ok()?, input, piece: piece.parse().ok()? }))
}

#[test]
fn a_replay_is_read_as_it_is_written() {
    let body = Body {
        name: "body",
        file: "",
        source: "",
        lowered: || unreachable!("it isn't run"),
        plain: |_| unreachable!("it isn't run"),
    };
    let script = Script { seed: 7, input: b"a\n\xff".to_vec(), piece: 3 };
    let text = Replay(&body, &script).to_string();
    let replay = text.split(' ').find_map(|word| word.strip_prefix("VK_TWIN_REPLAY=")).unwrap();
    let (name, read) = parse(replay).unwrap();
    assert_eq!((name.as_str(), read.seed, read.piece, read.input), ("body", 7, 3, script.input));
}
