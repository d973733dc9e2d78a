//! Reading and changing raw tokens: the arguments of macros, which have no syntax tree.

use proc_macro2::{Delimiter, Group, Ident, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Macro;

/// An identifier of generated code, invisible to the user's code.
pub fn hidden(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// `head`, fit to stand between `match` or `if` and its block: in parentheses where the braces of a struct
/// literal would be taken for that block.
pub fn headed(head: impl ToTokens) -> TokenStream {
    let head = head.into_token_stream();
    let is_brace = |tree: TokenTree| matches!(tree, TokenTree::Group(g) if g.delimiter() == Delimiter::Brace);
    let is_let = matches!(head.clone().into_iter().next(), Some(TokenTree::Ident(first)) if first == "let");
    if is_let || !head.clone().into_iter().any(is_brace) { head } else { quote!((#head)) }
}

/// The beginning of names that only generated code may have.
pub const RESERVED: &str = "__vk_";

/// The first reserved name in `tokens`.
pub fn reserved(tokens: &TokenStream) -> Option<Ident> {
    tokens.clone().into_iter().find_map(|tree| match tree {
        TokenTree::Group(group) => reserved(&group.stream()),
        TokenTree::Ident(ident) => ident.to_string().starts_with(RESERVED).then_some(ident),
        _ => None,
    })
}

/// The last segment of a macro's path, `println` of `std::println`.
pub fn macro_name(mac: &Macro) -> Option<String> {
    mac.path.segments.last().map(|last| last.ident.to_string())
}

/// Whether the tokens in a call of this macro are text or names, and no variables.
pub fn is_text(macro_name: &str) -> bool {
    matches!(
        macro_name,
        "stringify" | "concat" | "env" | "option_env" | "cfg" | "include" | "include_str" | "include_bytes"
    )
}

/// The first use of the variable `name` in `tokens`: not as a field, path segment, or name of a field.
pub fn mention(tokens: &TokenStream, name: &str) -> Option<Ident> {
    let mut found = None;
    variables(tokens, &mut |ident| {
        if found.is_none() && ident == name {
            found = Some(ident.clone());
        }
        None
    });
    found
}

/// Replaces each identifier that may be a variable by what `replace` answers, and leaves the others.
pub fn variables(
    tokens: &TokenStream,
    replace: &mut dyn FnMut(&Ident) -> Option<TokenStream>,
) -> TokenStream {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let punct = |at: Option<usize>, ch: char| {
        at.and_then(|at| trees.get(at))
            .is_some_and(|tree| matches!(tree, TokenTree::Punct(p) if p.as_char() == ch))
    };
    let text = |at: usize| {
        let name = at.checked_sub(2).and_then(|at| trees.get(at));
        punct(at.checked_sub(1), '!')
            && matches!(name, Some(TokenTree::Ident(name)) if is_text(&name.to_string()))
    };
    let joint =
        |at: usize| matches!(trees.get(at), Some(TokenTree::Punct(p)) if p.spacing() == Spacing::Joint);
    let mut out = TokenStream::new();
    for (at, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Group(group) if !text(at) => {
                let mut inner = Group::new(group.delimiter(), variables(&group.stream(), replace));
                inner.set_span(group.span());
                out.extend([TokenTree::Group(inner)]);
            }
            TokenTree::Ident(ident) => {
                let before = at.checked_sub(1);
                let range = punct(at.checked_sub(2), '.');
                let member = punct(before, '.') && !range;
                let segment = punct(before, ':') && punct(at.checked_sub(2), ':');
                let lifetime = punct(before, '\'');
                let path = punct(Some(at + 1), ':') && joint(at + 1);
                let field = punct(Some(at + 1), ':') && !joint(at + 1);
                let first = at == 0 || punct(before, ',');
                let named = first && punct(Some(at + 1), '=') && !joint(at + 1);
                let called = punct(Some(at + 1), '!') && !punct(Some(at + 2), '=');
                if member || segment || lifetime || path || field || named || called {
                    out.extend([tree.clone()]);
                } else {
                    match replace(ident) {
                        Some(new) => out.extend(new),
                        None => out.extend([tree.clone()]),
                    }
                }
            }
            _ => out.extend([tree.clone()]),
        }
    }
    out
}

/// The names that a format string captures: `a`, `width` and `p` of `"{a:width$.p$} {} {0}"`.
pub fn captures(format: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = format;
    while let Some(open) = rest.find('{') {
        rest = &rest[open + 1..];
        if let Some(escaped) = rest.strip_prefix('{') {
            rest = escaped;
            continue;
        }
        let Some(close) = rest.find('}') else { break };
        let (argument, spec) = rest[..close].split_once(':').unwrap_or((&rest[..close], ""));
        names.push(argument.trim().to_owned());
        let mut word = String::new();
        for ch in spec.chars() {
            match ch {
                '$' => names.push(std::mem::take(&mut word)),
                ch if ch == '_' || ch.is_alphabetic() || (!word.is_empty() && ch.is_alphanumeric()) => {
                    word.push(ch)
                }
                _ => word.clear(),
            }
        }
        rest = &rest[close + 1..];
    }
    names.retain(|name| syn::parse_str::<Ident>(name).is_ok());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_are_names_only() {
        assert_eq!(captures("{a:0width$.p$} {} {0} {{no}} {b:?} {c:>8}"), ["a", "width", "p", "b", "c"]);
        assert_eq!(captures("{unclosed {"), Vec::<String>::new());
    }

    #[test]
    fn fields_and_paths_are_no_variables() {
        let tokens: TokenStream =
            "io::x self.io S { io: 1 } io!() io = 3, a..io, stringify!(io)".parse().unwrap();
        let mut count = 0;
        variables(&tokens, &mut |ident| {
            count += usize::from(ident == "io");
            None
        });
        assert_eq!(count, 2, "`io =` not first, and the range's end");
    }

    #[test]
    fn a_struct_literal_does_not_swallow_the_block() {
        for (head, expected) in [
            (quote!(Point { x: 1 }.length()), quote!((Point { x: 1 }.length()))),
            (quote!(f({ 1 })), quote!(f({ 1 }))),
            (quote!(let Some(x) = { y }), quote!(let Some(x) = { y })),
        ] {
            assert_eq!(headed(head).to_string(), expected.to_string());
        }
    }
}
