//! `if`, `match` and conditions whose branches block.

use super::{Lowerer, inner};
use crate::blocking::bare;
use crate::dest::Dest;
use crate::graph::{Arm, BlockId, Code, Edge, Terminator};
use crate::purity::Stop;
use crate::refusal::Refusal;
use crate::rewrite::Resume;
use crate::scope::Scope;
use proc_macro2::Span;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{BinOp, Expr, ExprIf, ExprMatch, Stmt, UnOp};

/// A branch that blocks, to be lowered once the block that chooses it has ended.
pub(super) struct Pending {
    block: BlockId,
    scope: Scope,
    stmts: Vec<Stmt>,
    end: Span,
    dest: Dest,
}

impl Lowerer<'_> {
    /// The resume point for `expr` if it blocks, or why it can't have one.
    pub(super) fn resume_if(&mut self, expr: &Expr) -> Result<Option<Resume>, Stop> {
        if !self.blocking.expr(expr) {
            return Ok(None);
        }
        self.enterable(expr)?;
        Ok(self.resume(expr))
    }

    /// `if`.
    pub(super) fn branch(&mut self, e: &ExprIf, dest: &Dest) {
        let dest = inner(dest);
        let join = self.new_block();
        let end = e.then_branch.brace_token.span.close();
        match self.resume_if(&e.cond) {
            Ok(resume) => {
                let then =
                    |lowerer: &mut Self, mark| lowerer.arm(&e.then_branch.stmts, end, mark, &dest, join);
                let (condition, then) = self.condition_with(&e.cond, resume, then);
                let otherwise = match &e.else_branch {
                    Some((_, branch)) => {
                        let mark = self.scope.mark();
                        self.arm(&body_of(branch), branch.span(), mark, &dest, join)
                    }
                    None => (self.edge(self.deliver(self.unit(end), &dest), join), None),
                };
                self.end(Terminator::Branch { condition, then: then.0, otherwise: otherwise.0 });
                self.pending(then.1, join);
                self.pending(otherwise.1, join);
            }
            Err(_) => {
                let (then, otherwise) = (self.new_block(), self.new_block());
                self.condition(&e.cond, then, otherwise);
                self.start(then);
                self.statements(&e.then_branch.stmts, &dest, end);
                self.goto(join);
                self.start(otherwise);
                match &e.else_branch {
                    Some((_, branch)) => self.expr(branch, &dest),
                    None => self.emit_value(self.unit(end), &dest),
                }
                self.goto(join);
            }
        }
        self.start(join);
    }

    /// Rewrites a condition and runs `then` with what it binds in scope, from the mark on.
    pub(super) fn condition_with<T>(
        &mut self,
        condition: &Expr,
        resume: Option<Resume>,
        then: impl FnOnce(&mut Self, usize) -> T,
    ) -> (proc_macro2::TokenStream, T) {
        let mut condition = condition.clone();
        let ((), code, bound) = self.rewrite(resume, |rewriter| rewriter.visit_expr_mut(&mut condition));
        self.block().code.append_effects(code);
        let mark = self.scope.mark();
        let outside = std::mem::replace(&mut self.scope, bound);
        let then = then(self, mark);
        self.scope = outside;
        (condition.into_token_stream(), then)
    }

    /// `match`.
    pub(super) fn select(&mut self, e: &ExprMatch, dest: &Dest) {
        for arm in &e.arms {
            if let Some((_, guard)) = &arm.guard
                && self.blocking.expr(guard)
            {
                return self.refusals.push(guard, Refusal::Guard);
            }
            if let Some(cfg) = arm.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
                return self.refusals.push(cfg, Refusal::Cfg);
            }
        }
        let resume = match self.resume_if(&e.expr) {
            Ok(resume) => resume,
            Err(stop) => return stop.refuse(&mut self.refusals),
        };
        let dest = inner(dest);
        let join = self.new_block();
        let scrutinee = self.code(&e.expr, resume);
        self.block().code.append_effects(scrutinee.clone());
        let (mut arms, mut pending) = (Vec::new(), Vec::new());
        for arm in &e.arms {
            let mut guard = arm.guard.as_ref().map(|(_, guard)| (**guard).clone());
            let mark = self.scope.mark();
            self.scope.declare_pattern(&arm.pat);
            let ((), code, bound) = self.rewrite(None, |rewriter| {
                if let Some(guard) = &mut guard {
                    rewriter.visit_expr_mut(guard);
                }
            });
            self.block().code.append_effects(code);
            // A guard may bind as well.
            self.scope = bound;
            let (edge, later) = self.arm(&body_of(&arm.body), arm.body.span(), mark, &dest, join);
            self.scope.leave(mark);
            let (pat, guard) = (&arm.pat, guard.map(|guard| quote!(if #guard)));
            arms.push(Arm { pattern: quote!(#pat #guard), edge });
            pending.push(later);
        }
        self.end(Terminator::Match { scrutinee: scrutinee.tokens, arms });
        for later in pending {
            self.pending(later, join);
        }
        self.start(join);
    }

    /// One way out of a choice: the whole branch if it doesn't block, else its head, and the rest for later.
    /// Names bound by the pattern are in scope from `bindings` on.
    pub(super) fn arm(
        &mut self,
        stmts: &[Stmt],
        end: Span,
        bindings: usize,
        dest: &Dest,
        to: BlockId,
    ) -> (Edge, Option<Pending>) {
        if let [Stmt::Expr(expr, _)] = stmts
            && let Some(edge) = self.leaving(expr)
        {
            return (edge, None);
        }
        if !stmts.iter().any(|stmt| self.blocking.stmt(stmt)) {
            let code = self.run(stmts, dest, None, end);
            return (self.edge(code, to), None);
        }
        let outer = self.scope.clone();
        let (count, code) = self.heads(stmts, bindings);
        let scope = std::mem::replace(&mut self.scope, outer);
        let block = self.new_block();
        let later = Pending { block, scope, stmts: stmts[count..].to_vec(), end, dest: dest.clone() };
        (Edge { code, to: Some(block) }, Some(later))
    }

    /// The way out for a branch that is nothing but `return`, `break` or `continue`.
    fn leaving(&mut self, expr: &Expr) -> Option<Edge> {
        if self.blocking.expr(expr) {
            return None;
        }
        let (value, dest, to) = match expr {
            Expr::Return(e) => (&e.expr, Dest::Return, BlockId(0)),
            Expr::Break(e) => {
                let target = self.target(e.label.as_ref())?;
                (&e.expr, inner(&target.dest), target.exit)
            }
            Expr::Continue(e) => {
                let to = self.target(e.label.as_ref())?.next?;
                return Some(Edge { code: Code::default(), to: Some(to) });
            }
            _ => return None,
        };
        let value = match value {
            Some(value) => self.code(value, None),
            None => self.unit(expr.span()),
        };
        Some(self.edge(self.deliver(value, &dest), to))
    }

    /// Lowers the rest of a branch, which goes on at `to`.
    pub(super) fn pending(&mut self, later: Option<Pending>, to: BlockId) {
        let Some(Pending { block, scope, stmts, end, dest }) = later else { return };
        self.start(block);
        let outside = std::mem::replace(&mut self.scope, scope);
        self.statements(&stmts, &dest, end);
        self.scope = outside;
        self.goto(to);
    }

    /// Goes to `then` or `otherwise`; the parts of the condition become blocks.
    pub(super) fn condition(&mut self, e: &Expr, then: BlockId, otherwise: BlockId) {
        let e = bare(e);
        let whole = if self.blocking.expr(e) { self.enterable(e) } else { Ok(()) };
        match (e, whole) {
            (Expr::Let(_), _) => self.refusals.push(e, Refusal::LetChain),
            (_, Ok(())) => {
                let resume = if self.blocking.expr(e) { self.resume(e) } else { None };
                let condition = self.code(e, resume);
                self.block().code.append_effects(condition.clone());
                let to = |to| Edge { code: Code::default(), to: Some(to) };
                let (then, otherwise) = (to(then), to(otherwise));
                self.end(Terminator::Branch { condition: condition.tokens, then, otherwise });
            }
            (Expr::Binary(binary), _) if matches!(binary.op, BinOp::And(_) | BinOp::Or(_)) => {
                let right = self.new_block();
                match binary.op {
                    BinOp::And(_) => self.condition(&binary.left, right, otherwise),
                    _ => self.condition(&binary.left, then, right),
                }
                self.start(right);
                self.condition(&binary.right, then, otherwise);
            }
            (Expr::Unary(unary), _) if matches!(unary.op, UnOp::Not(_)) => {
                self.condition(&unary.expr, otherwise, then);
            }
            (_, Err(stop)) => stop.refuse(&mut self.refusals),
        }
    }

    /// `&&`, `||` and `!` over blocking calls, as a value.
    pub(super) fn condition_value(&mut self, e: &Expr, dest: &Dest) {
        let dest = inner(dest);
        let (yes, no, join) = (self.new_block(), self.new_block(), self.new_block());
        self.condition(e, yes, no);
        for (block, value) in [(yes, true), (no, false)] {
            self.start(block);
            self.emit_value(Code::new(quote_spanned!(e.span()=> #value)), &dest);
            self.goto(join);
        }
        self.start(join);
    }
}

/// The statements of a branch.
fn body_of(expr: &Expr) -> Vec<Stmt> {
    match expr {
        Expr::Block(block) if block.label.is_none() => block.block.stmts.clone(),
        _ => vec![Stmt::Expr(expr.clone(), None)],
    }
}
