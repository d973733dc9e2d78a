//! Whatever the tokens, the macros answer with tokens: they don't panic, what they accept is Rust, and no graph
//! is invalid.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use quote::ToTokens;
use std::str::FromStr;
use syn::Item;

thread_local!(static SEEDS: Vec<TokenStream> = seeds());

/// Sources to start from: the items of the golden pairs and of the run tests, without the attributes.
fn seeds() -> Vec<TokenStream> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let files = ["echo", "calls", "control", "plain", "app", "../../../tests/run", "../../../tests/control"];
    let mut seeds = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(format!("{root}/{file}.rs")).expect("readable");
        for mut item in syn::parse_file(&text).expect("a source").items {
            match &mut item {
                Item::Fn(item) => item.attrs.clear(),
                Item::Impl(item) => item.attrs.clear(),
                _ => {}
            }
            match item {
                Item::Macro(item) => seeds.push(item.mac.tokens),
                Item::Use(_) | Item::Mod(_) => {}
                item => seeds.push(item.to_token_stream()),
            }
        }
    }
    seeds
}

/// Tokens that mean something to the lowering.
const WORDS: &[&str] = &[
    "io",
    "self",
    "Self",
    "n",
    "total",
    "?",
    ";",
    "&",
    "&mut",
    "let",
    "let x: u32 =",
    "let (a, b) =",
    "return",
    "break",
    "break 'outer",
    "continue",
    "'outer:",
    "loop {}",
    "while",
    "if",
    "else",
    "match",
    "=>",
    "&&",
    "||",
    "!",
    "..",
    "0..3u8",
    "_",
    ":",
    ",",
    ".await",
    "async",
    "unsafe",
    "move ||",
    "|x|",
    "io.read(&mut n)?",
    "next(io)",
    "S::new(io)",
    "self.f(io)",
    "write!(io, \"{n}\")",
    "writeln!(io)",
    "format!(\"{n:total$}\")",
    "=",
    "+=",
    "()",
    "{}",
    "[]",
    "#[cfg(x)]",
    "fn f() {}",
    "impl",
    "where",
    "<T>",
    "'a",
    "&'a",
    "Io",
    "const",
    "for i in",
    "in",
    "__vk_jump_3",
    "__vk_counter_99",
    "\"{\"",
    "b\"x\"",
    "union",
    "enum",
    "name: \"x\"",
    "listen: \"a:1\" => f",
    "r#type",
    "1.5",
    "Some(x)",
    "Some(ref x @ 1..)",
    "dyn Fn()",
];

/// One change: at which token, counted over all depths, which kind, and with what.
type Change = (usize, u8, usize);

fn count(tokens: &TokenStream) -> usize {
    let inner = |tree| match tree {
        TokenTree::Group(group) => 1 + count(&group.stream()),
        _ => 1,
    };
    tokens.clone().into_iter().map(inner).sum()
}

fn change(tokens: TokenStream, at: &mut usize, (_, kind, with): Change) -> TokenStream {
    let mut out: Vec<TokenTree> = Vec::new();
    for tree in tokens {
        let here = *at == 0;
        *at = at.wrapping_sub(1);
        if !here {
            out.push(match tree {
                TokenTree::Group(group) => TokenTree::Group(Group::new(
                    group.delimiter(),
                    change(group.stream(), at, (0, kind, with)),
                )),
                tree => tree,
            });
            continue;
        }
        let word = TokenStream::from_str(WORDS[with % WORDS.len()]).expect("words are tokens");
        match kind % 7 {
            0 => {}
            1 => out.extend([tree.clone(), tree]),
            2 => out.extend(word),
            3 => out.extend([tree].into_iter().chain(word)),
            4 => out.extend(word.into_iter().chain([tree])),
            5 => match tree {
                TokenTree::Group(group) => out.extend(group.stream()),
                tree => out.push(TokenTree::Group(Group::new(Delimiter::Brace, tree.into()))),
            },
            _ => {
                let delimiters =
                    [Delimiter::Brace, Delimiter::Parenthesis, Delimiter::Bracket, Delimiter::None];
                out.push(TokenTree::Group(Group::new(delimiters[with % 4], tree.into())));
            }
        }
    }
    out.into_iter().collect()
}

fn check(tokens: &TokenStream) {
    for expanded in [
        vk_lower::coroutine(TokenStream::new(), tokens.clone()),
        vk_lower::plain::derive(tokens.clone()),
        vk_lower::app::app(tokens.clone()),
    ] {
        let text = expanded.to_string();
        assert!(!text.contains("a bug in vk"), "{text}\nfrom {tokens}");
        assert!(syn::parse2::<syn::File>(expanded).is_ok(), "not Rust: {text}\nfrom {tokens}");
    }
}

#[test]
fn seeds_are_lowered() {
    let lowered = |seed: &&TokenStream| {
        syn::parse2(TokenStream::clone(seed)).is_ok_and(|item| vk_lower::graphs(item).is_ok())
    };
    assert!(seeds().iter().filter(lowered).count() >= 20);
}

/// The same cases each time; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` ask for others, and more.
fn config() -> ProptestConfig {
    let given = ProptestConfig::default();
    let rng_seed = match given.rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        fixed => fixed,
    };
    let cases = given.cases.max(3000);
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..given }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn changed_sources(seed in any::<prop::sample::Index>(), changes in prop::collection::vec(any::<Change>(), 1..6)) {
        let mut tokens = SEEDS.with(|seeds| seed.get(seeds).clone());
        for (at, kind, with) in changes {
            let mut at = at % count(&tokens).max(1);
            tokens = change(tokens, &mut at, (0, kind, with));
        }
        check(&tokens);
    }

    #[test]
    fn words_in_a_body(words in prop::collection::vec(prop::sample::select(WORDS), 0..24)) {
        let body = words.join(" ");
        if let Ok(tokens) = TokenStream::from_str(&format!("fn f(io: &mut Io, n: u32) {{ {body} }}")) {
            check(&tokens);
        }
    }
}
