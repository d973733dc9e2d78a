//! `let`s: which ones go into the frame, and how pattern bindings are taken over.

use super::Lowerer;
use crate::blocking::bare;
use crate::dest::Dest;
use crate::graph::{Code, Jump, Mark, Terminator, VariableId};
use crate::refusal::Refusal;
use crate::rewrite::Resume;
use crate::scope::Binding;
use crate::signature;
use crate::tokens::hidden;
use proc_macro2::Ident;
use quote::{ToTokens, quote};
use syn::{Expr, Local, Pat, Stmt, Type};

/// A `let` of one name.
pub(super) struct Named<'l> {
    pub name: &'l Ident,
    pub mutable: bool,
    pub ty: Option<&'l Type>,
}

/// Reads `let name` and `let name: T`, with or without `mut`.
pub(super) fn named(local: &Local) -> Option<Named<'_>> {
    let (pat, ty) = match &local.pat {
        Pat::Type(typed) => (&*typed.pat, Some(&*typed.ty)),
        pat => (pat, None),
    };
    match pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => {
            Some(Named { name: &pat.ident, mutable: pat.mutability.is_some(), ty })
        }
        _ => None,
    }
}

impl Lowerer<'_> {
    /// Whether a `let` that blocks, and has no blocking call after it in its block, can stay an ordinary one.
    pub(super) fn is_plain_local(&self, stmt: &Stmt) -> bool {
        let Stmt::Local(Local { init: Some(init), .. }) = stmt else { return false };
        let quiet = init.diverge.as_ref().is_none_or(|(_, diverge)| !self.blocking.expr(diverge));
        quiet && self.enterable(&init.expr).is_ok()
    }

    /// Makes the `let` that begins the rest of a block one that can be entered again.
    pub(super) fn resume_local(&mut self, stmt: &Stmt) -> Option<Resume> {
        match stmt {
            Stmt::Local(Local { init: Some(init), .. }) => self.resume(&init.expr),
            _ => None,
        }
    }

    /// A `let` among statements that block. `crosses`: a later statement of its block blocks.
    pub(super) fn local(&mut self, local: &Local, crosses: bool) {
        if let Some(Named { name, mutable, ty }) = named(local)
            && local.init.as_ref().is_none_or(|init| init.diverge.is_none())
        {
            let Some(init) = &local.init else {
                return self.refusals.push(name, Refusal::NeedsValue(name.to_string()));
            };
            let Some(ty) = ty else {
                match self.enterable(&init.expr) {
                    Err(stop) if !crosses && !stop.is_all_of(bare(&init.expr)) => {
                        stop.refuse(&mut self.refusals)
                    }
                    _ => self.refusals.push(name, Refusal::NeedsType(name.to_string())),
                }
                return self.scope.declare(name.to_string(), Binding::Refused);
            };
            let id = self.frame_variable(name, ty, mutable);
            self.expr(&init.expr, &Dest::Let(id));
            return self.scope.declare(name.to_string(), Binding::Frame(id));
        }
        self.pattern(local);
    }

    pub(super) fn frame_variable(&mut self, name: &Ident, ty: &Type, mutable: bool) -> VariableId {
        if let Some(inferred) = signature::inferred_in(ty) {
            self.refusals.push(inferred, Refusal::InferredType);
        } else if let Some(borrow) = signature::borrow_in(ty) {
            self.refusals.push(borrow, Refusal::Reference);
        }
        self.variable(name.clone(), ty.clone(), mutable)
    }

    /// `let (a, b) = …;` and `let Some(n) = … else { … };`: stays a `let` of the running segment.
    fn pattern(&mut self, local: &Local) {
        let Some(init) = &local.init else {
            return self.refusals.push(&local.pat, Refusal::NeedsValue("value".to_owned()));
        };
        if let (Pat::Wild(_), None) = (&local.pat, &init.diverge)
            && self.enterable(&init.expr).is_err()
        {
            return self.expr(&init.expr, &Dest::Ignore);
        }
        let resume = if self.blocking.expr(&init.expr) {
            if let Err(stop) = self.enterable(&init.expr) {
                return stop.refuse(&mut self.refusals);
            }
            self.resume(&init.expr)
        } else {
            None
        };
        let mut local = local.clone();
        local.attrs.clear();
        let failed = match &mut local.init {
            Some(init) => match &mut init.diverge {
                Some((_, diverge)) if self.blocking.expr(diverge) => {
                    let failed = self.new_block();
                    let jump = Mark::Jump(failed);
                    let block = std::mem::replace(&mut **diverge, Expr::Verbatim(quote!({ #jump })));
                    Some((failed, block))
                }
                _ => None,
            },
            None => None,
        };
        let mut stmts = [Stmt::Local(local.clone())];
        let ((), mut code, _) = self.rewrite(resume, |rewriter| rewriter.statements(&mut stmts));
        code.tokens = stmts[0].to_token_stream();
        if let Some((failed, _)) = &failed {
            code.jumps.push(Jump { to: *failed, writes: Default::default() });
        }
        self.emit(code);
        if let Some((failed, Expr::Block(block))) = failed {
            // What follows the `let` stays in this block, beside which the other way is lowered.
            let here = self.current;
            self.start(failed);
            let end = block.block.brace_token.span.close();
            self.statements(&block.block.stmts, &Dest::Never, end);
            self.end(Terminator::Return);
            self.current = here;
        }
        self.scope.declare_pattern(&local.pat);
    }

    /// What a branch that blocks does before it blocks: it runs where the pattern's bindings are. Answers how many
    /// statements that are, and their code.
    pub(super) fn heads(&mut self, stmts: &[Stmt], bindings: usize) -> (usize, Code) {
        let mut code = Code::default();
        let mut count = 0;
        for stmt in stmts {
            if self.blocking.stmt(stmt) {
                break;
            }
            let next = match stmt {
                Stmt::Local(local) => match (named(local), &local.init) {
                    (Some(Named { name, mutable, ty: Some(ty) }), Some(init)) if init.diverge.is_none() => {
                        let value = self.code(&init.expr, None);
                        let id = self.frame_variable(name, ty, mutable);
                        let (write, _) = self.deliver(value, &Dest::Let(id));
                        self.scope.declare(name.to_string(), Binding::Frame(id));
                        write
                    }
                    (None, Some(_)) => {
                        let mut stmts = [stmt.clone()];
                        let ((), mut code, _) =
                            self.rewrite(None, |rewriter| rewriter.statements(&mut stmts));
                        code.tokens = stmts[0].to_token_stream();
                        self.scope.declare_pattern(&local.pat);
                        code
                    }
                    _ => break,
                },
                Stmt::Expr(expr, semi) => {
                    let mut code = self.code(expr, None);
                    code.tokens.extend(semi.to_token_stream());
                    code
                }
                Stmt::Item(_) | Stmt::Macro(_) => break,
            };
            self.check_statements(std::slice::from_ref(stmt));
            code.append(next);
            count += 1;
        }
        self.scope.lose_locals(bindings);
        (count, code)
    }

    /// A variable of the frame that the user didn't write.
    pub(super) fn hidden_variable(&mut self, name: &str, ty: Type) -> VariableId {
        self.variable(hidden(name), ty, true)
    }
}
