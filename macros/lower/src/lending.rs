//! What a blocking call may change, and what is computed from it in the same statement: that is evaluated again
//! when the call resumes, and must give the same.
//!
//! | argument | lends | reads |
//! |---|---|---|
//! | `&mut words[i]`, `words.get_mut(i)` | `words` | `i` |
//! | `at`, which is a `&mut T` | `at` | |
//! | `self.cell` as the receiver | `self.cell` | |
//! | `n - 1`, `&(n ^ 1)`, `words[n]` | | `n`, `words` |
//! | `n`, `*n`, `n.len()` by value | | nothing: the callee has taken its copy at the start |
//! | `&self.name`, `self.name.as_bytes()` | | nothing: the borrow checker keeps it from being lent |
//!
//! No operation of `io` takes something by value beside what it is lent, so these may be read anew as well.
//!
//! A place is written as in the source, `self.turn`; it ends before an index or a call: `words` of `words[i].x`.

use crate::blocking::{Blocking, arguments, bare, is_camel};
use crate::purity::value_of;
use crate::tokens;
use quote::ToTokens;
use std::collections::BTreeSet;
use syn::visit::{self, Visit};
use syn::{Expr, ExprMacro, ExprMethodCall, ExprReference, UnOp};

/// What a call may do to a variable that it is handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing: it isn't `mut`, or a `&T`.
    Read,
    /// Change it if it is borrowed with `&mut`, or is the receiver.
    Borrow,
    /// Change it in any case: it is a `&mut T`.
    Change,
}

/// What a blocking call is handed beside `io`: its receiver, if that isn't `io`, and its arguments.
pub fn call_arguments(call: &Expr, blocking: &Blocking) -> Vec<Expr> {
    let args: Vec<Expr> = match call {
        Expr::MethodCall(call) => {
            [(*call.receiver).clone()].into_iter().chain(call.args.iter().cloned()).collect()
        }
        Expr::Call(call) => call.args.iter().cloned().collect(),
        Expr::Macro(call) => {
            arguments(&call.mac.tokens).unwrap_or_default().iter().map(|arg| value_of(arg).clone()).collect()
        }
        _ => Vec::new(),
    };
    args.into_iter().filter(|arg| !blocking.is_io(arg)).collect()
}

/// The first argument that is computed from a place that the same call may change, and that place.
pub fn conflict<'a>(
    args: &'a [Expr],
    call: &Expr,
    access: &dyn Fn(&str) -> Access,
) -> Option<(&'a Expr, String)> {
    let lent: Vec<_> = args.iter().map(|arg| lent(arg, call, access)).collect();
    args.iter().enumerate().find_map(|(at, arg)| {
        let all = reads(arg, true);
        // What is lent of a place can't change its length.
        let own = reads(arg, false);
        let found = lent.iter().enumerate().find_map(|(of, lent)| {
            let reads = if of == at { &own } else { &all };
            lent.iter().find_map(|lent| overlapping(lent, reads))
        });
        Some((arg, found?))
    })
}

/// The first of `places` that `place` is part of, or that is part of it.
pub fn overlapping(place: &str, places: &BTreeSet<String>) -> Option<String> {
    let within = |part: &str, whole: &str| {
        part.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    places.iter().find(|other| within(place, other) || within(other, place)).cloned()
}

/// The places that `arg` lets the call change.
pub fn lent(arg: &Expr, call: &Expr, access: &dyn Fn(&str) -> Access) -> BTreeSet<String> {
    let mut lends = Lends(BTreeSet::new());
    lends.visit_expr(arg);
    let is_receiver = matches!(call, Expr::MethodCall(call) if *call.receiver == *arg);
    if let Some((place, true)) = place(arg)
        && access(root(&place)) >= if is_receiver { Access::Borrow } else { Access::Change }
    {
        lends.0.insert(place);
    }
    lends.0
}

/// The variable of a place.
pub fn root(place: &str) -> &str {
    place.split('.').next().unwrap_or(place)
}

/// The place that `expr` is or is part of, and whether it is all of it.
fn place(expr: &Expr) -> Option<(String, bool)> {
    match bare(expr) {
        Expr::Path(path) => Some((path.path.get_ident()?.to_string(), true)),
        Expr::Unary(e) if matches!(e.op, UnOp::Deref(_)) => place(&e.expr),
        Expr::Field(e) => match place(&e.base)? {
            (base, true) => Some((format!("{base}.{}", e.member.to_token_stream()), true)),
            part => Some(part),
        },
        Expr::Index(e) => Some((place(&e.expr)?.0, false)),
        Expr::MethodCall(e) => Some((place(&e.receiver)?.0, false)),
        _ => None,
    }
}

/// The places whose values decide what `arg` is; without `lengths`, `place.len()` isn't one of them.
pub fn reads(arg: &Expr, lengths: bool) -> BTreeSet<String> {
    let mut reads = Reads { places: BTreeSet::new(), lengths };
    reads.value(arg);
    reads.places
}

/// The places that are named in `expr`.
pub fn places(expr: &Expr, found: &mut BTreeSet<String>) {
    let mut reads = Reads { places: std::mem::take(found), lengths: true };
    reads.visit_expr(expr);
    *found = reads.places;
}

/// Collects what is borrowed with `&mut`.
struct Lends(BTreeSet<String>);

impl<'ast> Visit<'ast> for Lends {
    fn visit_expr_reference(&mut self, e: &'ast ExprReference) {
        if e.mutability.is_some() {
            self.0.extend(place(&e.expr).map(|(place, _)| place));
        }
        visit::visit_expr_reference(self, e);
    }

    fn visit_expr_method_call(&mut self, e: &'ast ExprMethodCall) {
        if e.method.to_string().contains("_mut") {
            self.0.extend(place(&e.receiver).map(|(place, _)| place));
        }
        visit::visit_expr_method_call(self, e);
    }
}

/// Collects places: `value` and `borrowed` only those that matter, `visit_expr` all that are named.
struct Reads {
    places: BTreeSet<String>,
    lengths: bool,
}

impl Reads {
    /// Of an argument by value. What it borrows can't be lent as well, but a temporary that it borrows can be made
    /// of that.
    fn value(&mut self, arg: &Expr) {
        match bare(arg) {
            Expr::Path(_) | Expr::Lit(_) => {}
            Expr::Field(e) => self.value(&e.base),
            Expr::Cast(e) => self.value(&e.expr),
            Expr::Unary(e) if matches!(e.op, UnOp::Deref(_)) => self.value(&e.expr),
            Expr::Tuple(e) => e.elems.iter().for_each(|e| self.value(e)),
            Expr::Call(e) if is_constructor(&e.func) => e.args.iter().for_each(|e| self.value(e)),
            Expr::MethodCall(e) if e.method != "abs" => {
                match is_borrowing(e) {
                    true => self.borrowed(&e.receiver),
                    false => self.value(&e.receiver),
                }
                e.args.iter().for_each(|e| self.visit_expr(e));
            }
            Expr::Reference(e) => self.borrowed(&e.expr),
            arg => self.visit_expr(arg),
        }
    }

    /// Of `&expr`: the callee sees it anew each time.
    fn borrowed(&mut self, expr: &Expr) {
        match bare(expr) {
            Expr::Path(_) | Expr::Lit(_) => {}
            Expr::Field(e) => self.borrowed(&e.base),
            Expr::Unary(e) if matches!(e.op, UnOp::Deref(_)) => self.value(&e.expr),
            Expr::Index(e) => {
                self.borrowed(&e.expr);
                self.visit_expr(&e.index);
            }
            Expr::MethodCall(e) if is_borrowing(e) => self.value(bare(expr)),
            Expr::MethodCall(e) if e.method == "unwrap_or" && matches!(*e.receiver, Expr::MethodCall(_)) => {
                self.borrowed(&e.receiver);
                e.args.iter().for_each(|e| self.visit_expr(e));
            }
            expr => self.visit_expr(expr),
        }
    }
}

impl<'ast> Visit<'ast> for Reads {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        match (expr, place(expr)) {
            (Expr::MethodCall(e), _) if e.method == "len" && !self.lengths => {}
            (_, Some((place, true))) => {
                self.places.insert(place);
            }
            _ => visit::visit_expr(self, expr),
        }
    }

    fn visit_expr_macro(&mut self, mac: &'ast ExprMacro) {
        tokens::variables(&mac.mac.tokens, &mut |ident| {
            self.places.insert(ident.to_string());
            None
        });
    }
}

/// `Some`, `Source::Descriptor`.
pub fn is_constructor(func: &Expr) -> bool {
    matches!(bare(func), Expr::Path(path) if path.path.segments.last().is_some_and(|last| is_camel(&last.ident)))
}

/// Whether the value of a view is a reference into its receiver, by its name; else it is a copy.
fn is_borrowing(view: &ExprMethodCall) -> bool {
    let name = view.method.to_string();
    match name.as_str() {
        // A cell's or number's `get` has no argument and copies.
        "get" => !view.args.is_empty(),
        "body" | "fields" | "first" | "host" | "last" | "method" | "param" | "path" | "query" | "target"
        | "trailers" => true,
        _ => ["as_", "iter", "trim"].iter().any(|prefix| name.starts_with(prefix)),
    }
}
