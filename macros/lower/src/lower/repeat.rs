//! Loops that block.

use super::{Lowerer, inner};
use crate::blocking::bare;
use crate::dest::{Dest, Target};
use crate::graph::{Arm, BlockId, Code, Edge, Terminator};
use crate::lending::{Access, reads, root};
use crate::purity::offender;
use crate::refusal::Refusal;
use crate::scope::Binding;
use crate::tokens::hidden;
use quote::{ToTokens, quote};
use syn::{
    Expr, ExprForLoop, ExprLoop, ExprRange, ExprWhile, Label, Lit, Pat, RangeLimits, Stmt, Type, parse_quote,
};

impl Lowerer<'_> {
    fn enter_loop(&mut self, label: Option<&Label>, next: BlockId, exit: BlockId, dest: Dest) {
        let label = label.map(|label| label.name.ident.to_string());
        self.targets.push(Target { label, is_loop: true, exit, next: Some(next), dest });
    }

    /// `loop`.
    pub(super) fn repeat(&mut self, e: &ExprLoop, dest: &Dest) {
        let (head, exit) = (self.new_block(), self.new_block());
        self.goto(head);
        self.start(head);
        self.enter_loop(e.label.as_ref(), head, exit, inner(dest));
        self.statements(&e.body.stmts, &Dest::Ignore, e.body.brace_token.span.close());
        self.targets.pop();
        self.goto(head);
        self.start(exit);
    }

    /// `while` and `while let`.
    pub(super) fn repeat_while(&mut self, e: &ExprWhile, dest: &Dest) {
        let whole = Expr::While(e.clone());
        let end = e.body.brace_token.span.close();
        if !self.blocking.block(&e.body) && self.is_operation(&e.cond) && self.enterable(&e.cond).is_ok() {
            // Entering the loop again is entering its condition again: it stays a loop.
            let resume = self.resume(&e.cond);
            let code = self.code(&whole, resume);
            self.emit(code);
            return self.emit_value(self.unit(end), dest);
        }
        let (head, exit) = (self.new_block(), self.new_block());
        self.goto(head);
        self.start(head);
        self.enter_loop(e.label.as_ref(), head, exit, Dest::Ignore);
        match self.resume_if(&e.cond) {
            Ok(resume) => {
                let then =
                    |lowerer: &mut Self, mark| lowerer.arm(&e.body.stmts, end, mark, &Dest::Ignore, head);
                let (condition, (then, later)) = self.condition_with(&e.cond, resume, then);
                let otherwise = Edge { code: Code::default(), to: Some(exit) };
                self.end(Terminator::Branch { condition, then, otherwise });
                self.pending(later, head);
            }
            Err(_) => {
                let body = self.new_block();
                self.condition(&e.cond, body, exit);
                self.start(body);
                self.statements(&e.body.stmts, &Dest::Ignore, end);
                self.goto(head);
            }
        }
        self.targets.pop();
        self.start(exit);
        self.emit_value(self.unit(end), dest);
    }

    /// Whether the blocking call in `expr` is an operation of `io`, which needs no frame.
    fn is_operation(&self, expr: &Expr) -> bool {
        match self.blocking.first_call(expr) {
            Some(Expr::MethodCall(call)) => self.blocking.is_io(&call.receiver),
            Some(Expr::Macro(_)) => true,
            _ => false,
        }
    }

    /// `for` over a range or a slice.
    pub(super) fn repeat_for(&mut self, e: &ExprForLoop, dest: &Dest) {
        if self.blocking.expr(&e.expr) {
            return self.refusals.push(&e.expr, Refusal::ControlInExpression);
        }
        match bare(&e.expr) {
            Expr::Range(range) if range.start.is_some() && range.end.is_some() => {
                self.over_range(e, range, dest)
            }
            Expr::Reference(slice) if offender(&slice.expr).is_none() => self.over_slice(e, dest),
            Expr::MethodCall(call)
                if (call.method == "iter" || call.method == "iter_mut")
                    && offender(&call.receiver).is_none() =>
            {
                self.over_slice(e, dest);
            }
            slice if self.is_reference(slice) => self.over_slice(e, dest),
            _ => self.refusals.push(&e.expr, Refusal::Iterator),
        }
    }

    /// A byte string or a parameter by reference.
    fn is_reference(&self, slice: &Expr) -> bool {
        match slice {
            Expr::Lit(lit) => matches!(lit.lit, Lit::ByteStr(_)),
            Expr::Path(path) => path
                .path
                .get_ident()
                .is_some_and(|name| matches!(self.scope.get(&name.to_string()), Some(Binding::Reference(_)))),
            _ => false,
        }
    }

    fn over_range(&mut self, e: &ExprForLoop, range: &ExprRange, dest: &Dest) {
        let written = self.taken_over(e);
        let bounds = [&range.start, &range.end].into_iter().flatten();
        let Some(ty) =
            written.clone().or_else(|| bounds.into_iter().find_map(|bound| self.counter_type(bound)))
        else {
            return self.refusals.push(&e.pat, Refusal::CounterType);
        };
        let kept = match range.limits {
            RangeLimits::HalfOpen(_) => parse_quote!(::core::ops::Range<#ty>),
            RangeLimits::Closed(_) => parse_quote!(::core::ops::RangeInclusive<#ty>),
        };
        let range = self.hidden_variable("range", kept);
        let bounds = self.code(bare(&e.expr), None);
        self.emit_value(bounds, &Dest::Let(range));
        let name = hidden("range");
        let next = Code { reads: [range].into(), ..Code::new(quote!(::core::iter::Iterator::next(#name))) };
        let counter = if written.is_none() { Some(ty) } else { None };
        self.over(e, next, counter, Code::default(), dest);
    }

    /// The slice is found again for each element, so nothing may change which one it is.
    fn over_slice(&mut self, e: &ExprForLoop, dest: &Dest) {
        let mut decide = reads(&e.expr, true).into_iter();
        if let Some(place) = decide.find(|place| self.access(root(place)) != Access::Read) {
            return self.refusals.push(&e.expr, Refusal::ChangingSlice(place));
        }
        let index = self.hidden_variable("index", parse_quote!(usize));
        self.emit_value(Code::new(quote!(0)), &Dest::Let(index));
        let slice = self.code(&e.expr, None);
        let (name, tokens) = (hidden("index"), &slice.tokens);
        // Its bound tells slices from what else has the look of one: an iterator would be advanced each time.
        let nth = quote!(::vk::rt::nth(#tokens, *#name));
        let mut next = Code { reads: [index].into(), ..Code::new(nth) };
        next.append_effects(slice);
        self.over(e, next, None, Code::new(quote!(*#name += 1;)), dest);
    }

    /// The loop itself: `next` answers the next element; `counter` is the type of a counter that becomes a
    /// variable of the frame by itself; `step` runs before each body.
    fn over(&mut self, e: &ExprForLoop, next: Code, counter: Option<Type>, step: Code, dest: &Dest) {
        let (head, exit) = (self.new_block(), self.new_block());
        self.goto(head);
        self.start(head);
        self.enter_loop(e.label.as_ref(), head, exit, Dest::Ignore);
        self.block().code.append_effects(next.clone());
        let mark = self.scope.mark();
        self.scope.declare_pattern(&e.pat);
        let mut first = step;
        if let (Some(ty), Pat::Ident(pat)) = (counter, &*e.pat) {
            let name = &pat.ident;
            let id = self.frame_variable(name, &ty, pat.mutability.is_some());
            first.append(self.deliver(Code::new(name.to_token_stream()), &Dest::Let(id)).0);
            self.scope.declare(name.to_string(), Binding::Frame(id));
        }
        let end = e.body.brace_token.span.close();
        let (mut edge, later) = self.arm(&e.body.stmts, end, mark, &Dest::Ignore, head);
        first.append(edge.code);
        edge.code = first;
        self.scope.leave(mark);
        let pat = &e.pat;
        let some = Arm { pattern: quote!(::core::option::Option::Some(#pat)), edge };
        let none = Arm {
            pattern: quote!(::core::option::Option::None),
            edge: Edge { code: Code::default(), to: Some(exit) },
        };
        self.end(Terminator::Match { scrutinee: next.tokens, arms: vec![some, none] });
        self.pending(later, head);
        self.targets.pop();
        self.start(exit);
        self.emit_value(self.unit(end), dest);
    }

    /// The type of the counter as the body's first `let`s take it over: `let i: usize = i;`.
    fn taken_over(&self, e: &ExprForLoop) -> Option<Type> {
        let Pat::Ident(pat) = &*e.pat else { return None };
        let lets = e.body.stmts.iter().take_while(|stmt| !self.blocking.stmt(stmt));
        lets.filter_map(|stmt| match stmt {
            Stmt::Local(local) => Some(local),
            _ => None,
        })
        .find_map(|local| {
            let ty = super::hoist::named(local)?.ty?;
            let init = local.init.as_ref()?;
            matches!(bare(&init.expr), Expr::Path(path) if path.path.is_ident(&pat.ident)).then(|| ty.clone())
        })
    }

    /// The type that a bound shows: `4u32`, `n as u64`, `line.len()`, a variable.
    fn counter_type(&self, bound: &Expr) -> Option<Type> {
        match bare(bound) {
            Expr::Lit(lit) => match &lit.lit {
                Lit::Int(int) if !int.suffix().is_empty() => syn::parse_str(int.suffix()).ok(),
                _ => None,
            },
            Expr::Cast(cast) => Some((*cast.ty).clone()),
            Expr::MethodCall(call) if call.method == "len" => Some(parse_quote!(usize)),
            Expr::Path(path) => match self.scope.get(&path.path.get_ident()?.to_string())? {
                Binding::Frame(id) => Some(self.variables[id.0].ty.clone()),
                _ => None,
            },
            Expr::Binary(binary) => {
                self.counter_type(&binary.left).or_else(|| self.counter_type(&binary.right))
            }
            _ => None,
        }
    }
}
