//! What blocks: a call on `io`, or a call that is handed `io`. Nothing else does, so no types are needed.

use crate::refusal::{Refusal, Refusals};
use crate::tokens;
use proc_macro2::TokenStream;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprMacro, Macro, Stmt, Token};

/// Knows the name of the `Io` parameter.
#[derive(Clone, Debug)]
pub struct Blocking {
    io: String,
}

impl Blocking {
    /// For a coroutine whose `Io` is called `io`.
    pub fn new(io: &proc_macro2::Ident) -> Blocking {
        Blocking { io: io.to_string() }
    }

    /// Whether `expr` is `io` itself.
    pub fn is_io(&self, expr: &Expr) -> bool {
        match bare(expr) {
            Expr::Path(path) => path.qself.is_none() && path.path.is_ident(&self.io),
            _ => false,
        }
    }

    /// Whether `expr` itself is a blocking call.
    pub fn is_call(&self, expr: &Expr) -> bool {
        match expr {
            Expr::MethodCall(call) => {
                self.is_io(&call.receiver) || call.args.iter().any(|arg| self.is_io(arg))
            }
            Expr::Call(call) => call.args.iter().any(|arg| self.is_io(arg)),
            Expr::Macro(ExprMacro { mac, .. }) => self.is_write(mac),
            _ => false,
        }
    }

    /// Whether `mac` is `write!(io, …)` or `writeln!(io, …)`.
    pub fn is_write(&self, mac: &Macro) -> bool {
        tokens::macro_name(mac).is_some_and(|name| name == "write" || name == "writeln")
            && arguments(&mac.tokens).is_some_and(|args| args.first().is_some_and(|arg| self.is_io(arg)))
    }

    /// Whether there is a blocking call in `expr`.
    pub fn expr(&self, expr: &Expr) -> bool {
        self.search(|finder| finder.visit_expr(expr))
    }

    /// Whether there is a blocking call in `block`.
    pub fn block(&self, block: &Block) -> bool {
        self.search(|finder| finder.visit_block(block))
    }

    /// Whether there is a blocking call in `stmt`.
    pub fn stmt(&self, stmt: &Stmt) -> bool {
        self.search(|finder| finder.visit_stmt(stmt))
    }

    /// The first blocking call in `expr`.
    pub fn first_call(&self, expr: &Expr) -> Option<Expr> {
        let mut finder = Finder { blocking: self, found: None };
        finder.visit_expr(expr);
        finder.found
    }

    fn search(&self, visit: impl FnOnce(&mut Finder)) -> bool {
        let mut finder = Finder { blocking: self, found: None };
        visit(&mut finder);
        finder.found.is_some()
    }

    /// Refuses every use of `io` that isn't a blocking call, and what can't stand in a coroutine at all.
    pub fn check(&self, body: &Block, refusals: &mut Refusals) {
        Misuse { blocking: self, closures: 0, refusals }.visit_block(body);
    }
}

/// The arguments of a macro call, if they are expressions.
pub fn arguments(tokens: &TokenStream) -> Option<Punctuated<Expr, Token![,]>> {
    use syn::parse::Parser;
    Punctuated::parse_terminated.parse2(tokens.clone()).ok()
}

/// `expr` without parentheses around it.
pub fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(inner) => bare(&inner.expr),
        Expr::Group(inner) => bare(&inner.expr),
        _ => expr,
    }
}

struct Finder<'a> {
    blocking: &'a Blocking,
    found: Option<Expr>,
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        if self.found.is_some() || matches!(expr, Expr::Closure(_) | Expr::Async(_)) {
            return;
        }
        if self.blocking.is_call(expr) {
            self.found = Some(expr.clone());
        } else {
            visit::visit_expr(self, expr);
        }
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
}

struct Misuse<'a> {
    blocking: &'a Blocking,
    closures: usize,
    refusals: &'a mut Refusals,
}

impl Misuse<'_> {
    /// Visits the arguments of a call; one of them may be `io`.
    fn call<'a>(&mut self, mut allowed: usize, args: impl Iterator<Item = &'a Expr>) {
        for arg in args {
            if allowed > 0 && self.blocking.is_io(arg) {
                allowed -= 1;
                self.closure(arg);
            } else {
                self.visit_expr(arg);
            }
        }
    }

    fn closure(&mut self, io: &Expr) {
        if self.closures > 0 {
            self.refusals.push(io, Refusal::IoInClosure);
        }
    }
}

impl<'ast> Visit<'ast> for Misuse<'_> {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        match expr {
            Expr::MethodCall(call) if self.blocking.is_io(&call.receiver) => {
                self.closure(&call.receiver);
                self.call(0, call.args.iter());
            }
            Expr::MethodCall(call) => {
                self.visit_expr(&call.receiver);
                self.call(1, call.args.iter());
            }
            Expr::Call(call) => {
                let constructor = match bare(&call.func) {
                    Expr::Path(path) => path.path.segments.last().is_some_and(|last| is_camel(&last.ident)),
                    _ => false,
                };
                self.visit_expr(&call.func);
                self.call(if constructor { 0 } else { 1 }, call.args.iter());
            }
            Expr::Macro(ExprMacro { mac, .. }) if self.blocking.is_write(mac) => {
                let args = arguments(&mac.tokens).unwrap_or_default();
                let mut visitor = Misuse { refusals: self.refusals, ..*self };
                visitor.call(
                    1,
                    args.iter().map(|arg| match arg {
                        Expr::Assign(named) => &*named.right,
                        _ => arg,
                    }),
                );
            }
            Expr::Macro(ExprMacro { mac, .. }) => {
                if let Some(io) = tokens::mention(&mac.tokens, &self.blocking.io) {
                    self.refusals.push(io, Refusal::IoInMacro);
                }
            }
            Expr::Path(_) if self.blocking.is_io(expr) => {
                self.refusals.push(expr, Refusal::IoMention(self.blocking.io.clone()));
            }
            Expr::Closure(_) | Expr::Async(_) => {
                self.closures += 1;
                visit::visit_expr(self, expr);
                self.closures -= 1;
            }
            Expr::Await(wait) => {
                self.refusals.push(wait.await_token, Refusal::Await);
                self.visit_expr(&wait.base);
            }
            _ => visit::visit_expr(self, expr),
        }
    }

    fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
        if pat.ident == self.blocking.io {
            self.refusals.push(&pat.ident, Refusal::IoShadowed(self.blocking.io.clone()));
        }
        visit::visit_pat_ident(self, pat);
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
}

/// Whether `ident` is written as a type or constructor is: `Session`, not `session` or `LIMIT_`.
pub fn is_camel(ident: &proc_macro2::Ident) -> bool {
    ident.to_string().trim_start_matches("r#").starts_with(char::is_uppercase)
}
