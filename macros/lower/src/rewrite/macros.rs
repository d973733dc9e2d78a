//! Macro calls in user code: the arguments of known ones are expressions, those of others are tokens.

use super::Rewriter;
use crate::blocking::{arguments, bare};
use crate::refusal::Refusal;
use crate::tokens::{self, hidden};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{Expr, Lit, Macro, Token, parse_quote_spanned};

impl Rewriter<'_> {
    /// Rewrites inside of a macro call.
    pub(super) fn mac(&mut self, mac: &mut Macro) {
        let name = tokens::macro_name(mac).unwrap_or_default();
        if tokens::is_text(&name) {
            return;
        }
        let known = FORMATS.iter().find(|(known, _)| *known == name);
        if name == "matches" {
            if let Ok((mut value, rest)) = mac.parse_body_with(split_first) {
                self.visit_expr_mut(&mut value);
                let rest = self.raw(&rest, false);
                mac.tokens = quote!(#value, #rest);
                return;
            }
        } else if name == "vec" {
            if let Ok(mut repeat) = mac.parse_body_with(parse_repeat) {
                self.visit_expr_mut(&mut repeat.0);
                self.visit_expr_mut(&mut repeat.1);
                let (value, count) = repeat;
                mac.tokens = quote!(#value; #count);
                return;
            }
            if let Some(mut args) = arguments(&mac.tokens) {
                args.iter_mut().for_each(|arg| self.visit_expr_mut(arg));
                mac.tokens = args.into_token_stream();
                return;
            }
        } else if let Some((_, format)) = known
            && let Some(args) = arguments(&mac.tokens)
            && (!LOGS.contains(&name.as_str()) || args.first().is_some_and(|arg| literal(arg).is_some()))
        {
            mac.tokens = self.format(args, *format).into_token_stream();
            return;
        }
        let log = LOGS.contains(&name.as_str());
        mac.tokens = self.raw(&mac.tokens.clone(), log);
    }

    /// Arguments of a macro like `format!`, whose format string is the argument number `format`.
    fn format(
        &mut self,
        mut args: Punctuated<Expr, Token![,]>,
        format: usize,
    ) -> Punctuated<Expr, Token![,]> {
        let mut names =
            args.get(format).and_then(literal).map_or_else(Vec::new, |text| tokens::captures(&text));
        let span = args.get(format).map_or_else(Span::call_site, |text| text.span());
        for arg in &mut args {
            match arg {
                Expr::Assign(named) => {
                    if let Expr::Path(path) = &*named.left {
                        names.retain(|name| !path.path.is_ident(name));
                    }
                    self.visit_expr_mut(&mut named.right);
                }
                _ => self.visit_expr_mut(arg),
            }
        }
        names.sort();
        names.dedup();
        for name in names {
            let ident = syn::parse_str::<Ident>(&name).unwrap_or_else(|_| hidden("unreachable"));
            let ident = Ident::new(&ident.to_string(), span);
            if let Some(value) = self.variable(&ident) {
                args.push(parse_quote_spanned!(span=> #ident = #value));
            }
        }
        args
    }

    /// Tokens of a macro that isn't known: replaces what may be a variable.
    fn raw(&mut self, tokens: &TokenStream, log: bool) -> TokenStream {
        for name in string_captures(tokens) {
            // Formats the reference, which shows the same.
            self.variable(&Ident::new(&name, Span::call_site()));
        }
        let mut moves = tokens::mention(tokens, "move");
        let alone: Vec<String> = if log { lone_names(tokens) } else { Vec::new() };
        tokens::variables(tokens, &mut |ident| {
            let value = self.variable(ident)?;
            if let Some(moves) = moves.take() {
                self.refusals.push(moves, Refusal::MoveInMacro(ident.to_string()));
            }
            (!alone.contains(&ident.to_string())).then(|| value.into_token_stream())
        })
    }
}

/// Macros with a format string, and which argument it is.
#[rustfmt::skip]
const FORMATS: &[(&str, usize)] = &[
    ("format", 0), ("format_args", 0), ("print", 0), ("println", 0), ("eprint", 0), ("eprintln", 0), ("panic", 0),
    ("unreachable", 0), ("todo", 0), ("unimplemented", 0), ("dbg", usize::MAX), ("write", 1), ("writeln", 1),
    ("assert", 1), ("debug_assert", 1), ("assert_eq", 2), ("assert_ne", 2), ("debug_assert_eq", 2),
    ("debug_assert_ne", 2), ("trace", 0), ("debug", 0), ("info", 0), ("warn", 0), ("error", 0),
];

/// Logging macros, where a lone name is the name of a field too.
const LOGS: &[&str] = &["trace", "debug", "info", "warn", "error", "event", "span"];

pub(super) fn literal(expr: &Expr) -> Option<String> {
    match bare(expr) {
        Expr::Lit(syn::ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

fn split_first(input: syn::parse::ParseStream<'_>) -> syn::Result<(Expr, TokenStream)> {
    let value = input.parse()?;
    input.parse::<Token![,]>()?;
    Ok((value, input.parse()?))
}

fn parse_repeat(input: syn::parse::ParseStream<'_>) -> syn::Result<(Expr, Expr)> {
    let value = input.parse()?;
    input.parse::<Token![;]>()?;
    Ok((value, input.parse()?))
}

fn string_captures(tokens: &TokenStream) -> Vec<String> {
    let literals = tokens.clone().into_iter().filter_map(|tree| match tree {
        proc_macro2::TokenTree::Literal(literal) => match Lit::new(literal) {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    literals.flat_map(|text| tokens::captures(&text)).filter(|name| !name.starts_with("r#")).collect()
}

/// Names that are a whole argument by themselves.
fn lone_names(tokens: &TokenStream) -> Vec<String> {
    let args = arguments(tokens).unwrap_or_default();
    let lone = args.iter().filter_map(|arg| match arg {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        _ => None,
    });
    lone.collect()
}
