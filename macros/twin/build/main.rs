//! Writes the random programs, and the twin of every body: the same text without `#[vk_macros::coroutine]`.
//!
//! | file | content |
//! |---|---|
//! | `seed.rs` | the seed and the number of random programs |
//! | `random.rs` | the random programs |
//! | `hand_plain.rs`, `random_plain.rs` | the bodies without the attribute |
//! | `handlers.rs` | a handler for each body: a coroutine that calls it and reports its result |
//! | `table.rs` | the list of bodies |
//!
//! A body is a `pub fn name(io: &mut Io) -> io::Result<u64>`.

mod call;
mod control;
#[path = "../src/dice.rs"]
#[allow(dead_code)]
mod dice;
mod expression;
mod program;
mod scope;
mod statement;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

const HAND: &str = "src/bodies.rs";

fn main() {
    for changed in ["build", "src/dice.rs", HAND] {
        println!("cargo::rerun-if-changed={changed}");
    }
    let (seed, count) = (number("VK_TWIN_SEED", 1), number("VK_TWIN_BODIES", 60));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let hand = fs::read_to_string(HAND).expect("the bodies are there");
    let random = program::programs(seed, count);
    let write =
        |name: &str, text: &str| fs::write(out.join(name), text).expect("the target directory is writable");
    write("seed.rs", &format!("const SEED: u64 = {seed};\nconst BODIES: u64 = {count};\n"));
    write("random.rs", &random);
    write("hand_plain.rs", &plain(&hand));
    write("random_plain.rs", &plain(&random));
    let mut handlers =
        "use super::Io;\nuse crate::machine::report;\nuse crate::observed::Outcome;\nuse std::io;\n"
            .to_owned();
    let mut table = String::new();
    for (module, source, file) in
        [("hand", &hand, Path::new(HAND)), ("random", &random, &out.join("random.rs"))]
    {
        let list = module.to_uppercase();
        writeln!(table, "const {list}: &[oracle::Body] = &[").expect("a string");
        for name in bodies(source) {
            handlers += &format!(
                "#[vk_macros::coroutine]\npub fn {module}_{name}(io: &mut Io) -> io::Result<()> {{\n    \
                 report(Outcome::of(super::{module}::{name}(io)));\n    Ok(())\n}}\n"
            );
            table += &format!(
                "    oracle::Body {{\n        name: {name:?},\n        file: {file:?},\n        \
                 source: {list}_SOURCE,\n        \
                 lowered: || vk_core::Entry::handler::<lowered::handlers::{module}_{name}>(),\n        \
                 plain: plain::{module}::{name},\n    }},\n"
            );
        }
        table += &format!("];\nconst {list}_SOURCE: &str = {source:?};\n");
    }
    write("handlers.rs", &handlers);
    write("table.rs", &table);
}

fn number(name: &str, default: u64) -> u64 {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// `source` without the attribute; lines keep their numbers.
fn plain(source: &str) -> String {
    let lines = source.lines().map(|line| if line.trim() == "#[vk_macros::coroutine]" { "" } else { line });
    // An included file can't begin with comments on the module.
    let lines = lines.map(|line| if line.starts_with("//!") { "" } else { line });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The names of the bodies in `source`.
fn bodies(source: &str) -> impl Iterator<Item = &str> {
    source
        .lines()
        .filter_map(|line| line.strip_prefix("pub fn ")?.strip_suffix("(io: &mut Io) -> io::Result<u64> {"))
}
