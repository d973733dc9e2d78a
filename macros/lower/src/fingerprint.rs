//! Tokens as a number that is the same in every build: what a fingerprint of a coroutine's body is made of.

use proc_macro2::{Delimiter, Punct, Spacing, TokenStream, TokenTree};
use std::fmt::Write;

/// FNV-1a, 64 bits.
pub(crate) fn hash(text: &str) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    text.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// The hash of `tokens`, whatever stands between them. A comma before a closing delimiter counts as formatting: `(a,)` is
/// not told from `(a)`, but the types of such values are, by other means.
pub(crate) fn tokens(tokens: &TokenStream) -> u64 {
    let mut text = String::new();
    write(&mut text, tokens);
    hash(&text)
}

/// Each token on a line of its own, the punctuation of one operator together.
fn write(text: &mut String, tokens: &TokenStream) {
    let mut trees = tokens.clone().into_iter().peekable();
    while let Some(tree) = trees.next() {
        let next = trees.peek();
        match &tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(\n", ")\n"),
                    Delimiter::Brace => ("{\n", "}\n"),
                    Delimiter::Bracket => ("[\n", "]\n"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(text, &group.stream());
                text.push_str(close);
            }
            TokenTree::Punct(punct) if punct.as_char() == ',' && next.is_none() => {}
            TokenTree::Punct(punct) if is_joined(punct, next) => text.push(punct.as_char()),
            // Writing to a string doesn't fail.
            tree => drop(writeln!(text, "{tree}")),
        }
    }
}

/// Whether `punct` and what follows are written together and belong together: `&&`, not `+-`.
fn is_joined(punct: &Punct, next: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Punct(next)) = next else { return punct.as_char() == '\'' };
    let pair = matches!(
        (punct.as_char(), next.as_char()),
        ('&', '&')
            | ('|', '|')
            | ('<', '<')
            | ('>', '>')
            | ('-' | '=', '>')
            | (':', ':')
            | ('.', '.')
            | (_, '=')
    );
    punct.spacing() == Spacing::Joint && pair
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_fnv_1a() {
        // Test vectors of the algorithm's authors.
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn formatting_does_not_count_and_tokens_do() {
        let of = |text: &str| tokens(&text.parse().expect("tokens"));
        for (one, other) in [
            ("f(a, b)", "f(\n    a, // the first\n    b, /* the second */\n)"),
            ("[a,b]", "[a, b,]"),
            ("a+-b", "a + -b"),
            ("x!{ y=>1, }", "x! {y => 1}"),
            ("'a: loop { break 'a }", "'a : loop{break'a}"),
        ] {
            assert_eq!(of(one), of(other), "{one} and {other}");
        }
        for (one, other) in [
            ("f(1)", "f(2)"),
            ("f(1)", "f(\"1\")"),
            ("a && b", "a & &b"),
            ("a <<= b", "a << b"),
            ("f(a)(b)", "f(a, b)"),
            ("f((a))", "f(a)"),
            ("a b", "ab"),
            ("a, b", "b, a"),
        ] {
            assert_ne!(of(one), of(other), "{one} and {other}");
        }
    }
}
