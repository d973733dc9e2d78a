//! What may be evaluated twice: a block is entered again at its statement when its blocking call resumes, so
//! everything up to and including the call's arguments must be a place, a literal or a pure view of one.

use crate::blocking::{Blocking, arguments, bare, is_camel};
use crate::lending::{Access, call_arguments, conflict, is_constructor, lent, overlapping, places};
use crate::refusal::{Refusal, Refusals, excerpt};
use crate::tokens;
use std::collections::BTreeSet;
use syn::{BinOp, Expr, ExprMacro, UnOp};

/// Methods that only look at their receiver, by what std and vk's rooms call so. A type of the user's that has one of
/// them with an effect has the effect again at each resume; `coroutine`'s documentation says so.
#[rustfmt::skip]
const VIEWS: &[&str] = &[
    "abs", "as_bytes", "as_deref", "as_deref_mut", "as_mut", "as_mut_slice", "as_ref", "as_slice", "as_str", "as_u16", "body",
    "body_length", "capacity", "clone", "cloned", "condition", "copied", "fields", "first", "get", "get_mut", "host",
    "is_empty", "is_err", "is_none", "is_ok", "is_some", "iter", "iter_mut", "last", "len", "max", "method", "min",
    "minor_version", "offers", "param", "path", "query", "target", "to_be_bytes", "to_le_bytes", "to_ne_bytes",
    "trailers", "trim", "trim_ascii", "trim_ascii_end", "trim_ascii_start", "trim_end", "trim_start", "unwrap_or",
    "unwrap_or_default", "vacant",
];

/// Associated functions that only make a value of their type, `Duration::from_secs`, `Line::new`: by name as well.
fn is_maker(name: &str) -> bool {
    matches!(name, "new" | "from" | "default") || name.starts_with("from_")
}

/// Macros whose value depends on their arguments only.
const MACROS: &[&str] = &[
    "column",
    "concat",
    "env",
    "file",
    "format_args",
    "include_bytes",
    "include_str",
    "line",
    "module_path",
    "stringify",
];

/// The first part of `expr` that must not be evaluated twice.
pub fn offender(expr: &Expr) -> Option<&Expr> {
    let all = |list: &[&'_ Expr]| -> bool { list.iter().all(|e| offender(e).is_none()) };
    match expr {
        Expr::Lit(_) | Expr::Path(_) | Expr::Infer(_) => None,
        Expr::Paren(e) => offender(&e.expr),
        Expr::Group(e) => offender(&e.expr),
        Expr::Field(e) => offender(&e.base),
        Expr::Reference(e) => {
            offender(&e.expr).or_else(|| (e.mutability.is_some() && !is_place(&e.expr)).then_some(expr))
        }
        Expr::RawAddr(e) => offender(&e.expr),
        Expr::Cast(e) => offender(&e.expr),
        Expr::Unary(e) if matches!(e.op, UnOp::Deref(_) | UnOp::Not(_) | UnOp::Neg(_)) => offender(&e.expr),
        Expr::Index(e) => offender(&e.expr).or_else(|| offender(&e.index)),
        Expr::Binary(e) if !is_assignment(&e.op) => offender(&e.left).or_else(|| offender(&e.right)),
        Expr::Range(e) => {
            e.start.as_deref().and_then(offender).or_else(|| e.end.as_deref().and_then(offender))
        }
        Expr::Tuple(e) => e.elems.iter().find_map(offender),
        Expr::Array(e) => e.elems.iter().find_map(offender),
        Expr::Repeat(e) => offender(&e.expr).or_else(|| offender(&e.len)),
        Expr::Struct(e) => e
            .fields
            .iter()
            .find_map(|field| offender(&field.expr))
            .or_else(|| e.rest.as_deref().and_then(offender)),
        Expr::Let(e) => offender(&e.expr),
        Expr::Call(e) if is_pure_path(&e.func) => e.args.iter().find_map(offender),
        Expr::MethodCall(e) if is_cell_get(expr) => offender(&e.receiver).or(Some(expr)),
        Expr::MethodCall(e) if VIEWS.contains(&e.method.to_string().as_str()) => {
            offender(&e.receiver).or_else(|| e.args.iter().find_map(offender))
        }
        Expr::Macro(ExprMacro { mac, .. }) => {
            let name = tokens::macro_name(mac).unwrap_or_default();
            let args = arguments(&mac.tokens).unwrap_or_default();
            let values: Vec<&Expr> = args.iter().map(value_of).collect();
            let pure = MACROS.contains(&name.as_str()) && all(&values);
            (!pure).then_some(expr)
        }
        _ => Some(expr),
    }
}

/// As [`offender`], for an argument by value of a coroutine: it takes its copy at the start, so it is no matter what a
/// cell has in it later.
fn offending_argument(arg: &Expr) -> Option<&Expr> {
    match bare(arg) {
        Expr::Field(e) => offending_argument(&e.base),
        Expr::Cast(e) => offending_argument(&e.expr),
        Expr::Tuple(e) => e.elems.iter().find_map(offending_argument),
        Expr::Call(e) if is_constructor(&e.func) => e.args.iter().find_map(offending_argument),
        Expr::MethodCall(e) if is_cell_get(bare(arg)) => offender(&e.receiver),
        arg => offender(arg),
    }
}

/// `state.at.get()`: of a `Cell`, which may be set through any reference to it.
fn is_cell_get(expr: &Expr) -> bool {
    matches!(expr, Expr::MethodCall(e) if e.method == "get" && e.args.is_empty())
}

/// Whether a `&mut` to `expr` means the same at each evaluation, and not a new temporary.
pub fn is_place(expr: &Expr) -> bool {
    match bare(expr) {
        Expr::Path(path) => path.path.segments.last().is_some_and(|last| !is_camel(&last.ident)),
        Expr::Field(e) => is_part(&e.base),
        Expr::Index(e) => is_part(&e.expr),
        Expr::Unary(e) => matches!(e.op, UnOp::Deref(_)) && is_part(&e.expr),
        Expr::Array(e) => e.elems.is_empty(),
        _ => false,
    }
}

/// Whether `expr` is a place, or a `&mut` to one by a method's name: `words.as_mut_slice()` of `words.as_mut_slice()[i]`.
fn is_part(expr: &Expr) -> bool {
    match bare(expr) {
        Expr::MethodCall(e) => {
            matches!(e.method.to_string().as_str(), "as_mut" | "as_mut_slice" | "get_mut")
                && is_part(&e.receiver)
        }
        expr => is_place(expr),
    }
}

/// The value of a format argument, `n + 1` of `count = n + 1`.
pub fn value_of(arg: &Expr) -> &Expr {
    match arg {
        Expr::Assign(named) => &named.right,
        _ => arg,
    }
}

/// `Some`, `Source::Descriptor`, `Duration::from_secs`.
fn is_pure_path(func: &Expr) -> bool {
    let Expr::Path(path) = bare(func) else { return false };
    let segments = &path.path.segments;
    let last = segments.last().map(|last| &last.ident);
    let owner = segments.len().checked_sub(2).and_then(|at| segments.get(at));
    last.is_some_and(is_camel)
        || owner.is_some_and(|owner| is_camel(&owner.ident))
            && last.is_some_and(|name| is_maker(&name.to_string()))
}

/// `+=` and the like.
pub fn is_assignment(op: &BinOp) -> bool {
    use BinOp::*;
    matches!(
        op,
        AddAssign(_)
            | SubAssign(_)
            | MulAssign(_)
            | DivAssign(_)
            | RemAssign(_)
            | BitXorAssign(_)
            | BitAndAssign(_)
            | BitOrAssign(_)
            | ShlAssign(_)
            | ShrAssign(_)
    )
}

/// Why a statement can't be evaluated again from its start until its blocking call.
#[derive(Clone, Debug)]
pub enum Stop {
    /// A mistake, at this expression.
    Refused(Box<Expr>, Refusal),
    /// Control flow with blocking calls in its branches: needs blocks of its own.
    Control(Box<Expr>),
}

impl Stop {
    /// Whether `expr` itself is the control flow.
    pub fn is_all_of(&self, expr: &Expr) -> bool {
        matches!(self, Stop::Control(control) if **control == *expr)
    }

    /// Refuses it, where no blocks of its own can help.
    pub fn refuse(self, refusals: &mut Refusals) {
        match self {
            Stop::Refused(expr, refusal) => refusals.push(*expr, refusal),
            Stop::Control(expr) => {
                let refusal = match *expr {
                    Expr::Unsafe(_) | Expr::Const(_) | Expr::TryBlock(_) => Refusal::SpecialBlock,
                    _ => Refusal::ControlInExpression,
                };
                refusals.push(*expr, refusal);
            }
        }
    }
}

/// Checks that `expr`, which blocks, can be entered again from its start: it has one blocking call, and only
/// what may be evaluated twice comes before it. `access` tells what a call may do to a variable.
pub fn enterable(expr: &Expr, blocking: &Blocking, access: &dyn Fn(&str) -> Access) -> Result<(), Stop> {
    Scan { blocking, access, called: false, impure: None, read: BTreeSet::new() }.expr(expr)
}

struct Scan<'a> {
    blocking: &'a Blocking,
    access: &'a dyn Fn(&str) -> Access,
    called: bool,
    impure: Option<Expr>,
    read: BTreeSet<String>,
}

impl Scan<'_> {
    /// Walks `expr` in the order of evaluation.
    fn expr(&mut self, expr: &Expr) -> Result<(), Stop> {
        if !self.blocking.expr(expr) {
            self.before(expr);
            return Ok(());
        }
        if self.blocking.is_call(expr) {
            return self.call(expr);
        }
        match expr {
            Expr::Paren(e) => self.expr(&e.expr),
            Expr::Group(e) => self.expr(&e.expr),
            Expr::Field(e) => self.expr(&e.base),
            Expr::Reference(e) => self.expr(&e.expr),
            Expr::Cast(e) => self.expr(&e.expr),
            Expr::Try(e) => self.expr(&e.expr),
            Expr::Unary(e) => self.expr(&e.expr),
            Expr::Let(e) => self.expr(&e.expr),
            Expr::Index(e) => self.all([&*e.expr, &e.index]),
            Expr::Assign(e) => self.all([&*e.right, &e.left]),
            Expr::Binary(e) => self.all([&*e.left, &e.right]),
            Expr::Range(e) => self.all(e.start.as_deref().into_iter().chain(e.end.as_deref())),
            Expr::Return(e) => self.all(e.expr.as_deref()),
            Expr::Break(e) => self.all(e.expr.as_deref()),
            Expr::Tuple(e) => self.all(&e.elems),
            Expr::Array(e) => self.all(&e.elems),
            Expr::Repeat(e) => self.expr(&e.expr),
            Expr::Struct(e) => self.all(e.fields.iter().map(|field| &field.expr).chain(e.rest.as_deref())),
            Expr::Call(e) => self.all([&*e.func].into_iter().chain(&e.args)),
            Expr::MethodCall(e) => self.all([&*e.receiver].into_iter().chain(&e.args)),
            Expr::If(e) => {
                if self.blocking.block(&e.then_branch)
                    || e.else_branch.as_ref().is_some_and(|(_, branch)| self.blocking.expr(branch))
                {
                    return Err(Stop::Control(Box::new(expr.clone())));
                }
                self.expr(&e.cond)
            }
            Expr::Match(e) => {
                for arm in &e.arms {
                    if let Some((_, guard)) = &arm.guard
                        && self.blocking.expr(guard)
                    {
                        return Err(Stop::Refused(guard.clone(), Refusal::Guard));
                    }
                }
                if e.arms.iter().any(|arm| self.blocking.expr(&arm.body)) {
                    return Err(Stop::Control(Box::new(expr.clone())));
                }
                self.expr(&e.expr)
            }
            Expr::ForLoop(e) if !self.blocking.block(&e.body) => self.expr(&e.expr),
            _ => Err(Stop::Control(Box::new(expr.clone()))),
        }
    }

    fn all<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) -> Result<(), Stop> {
        exprs.into_iter().try_for_each(|expr| self.expr(expr))
    }

    /// Notes what is evaluated before the blocking call.
    fn before(&mut self, expr: &Expr) {
        if self.called {
            return;
        }
        if let Some(found) = offender(expr) {
            self.impure.get_or_insert_with(|| found.clone());
        }
        places(expr, &mut self.read);
    }

    fn call(&mut self, call: &Expr) -> Result<(), Stop> {
        let refused = |at: &Expr, refusal| Err(Stop::Refused(Box::new(at.clone()), refusal));
        if self.called {
            return refused(call, Refusal::SecondCall);
        }
        let args = call_arguments(call, self.blocking);
        for arg in &args {
            if self.blocking.expr(arg) {
                return refused(arg, Refusal::NestedCall);
            }
            let found = match call {
                // What is written is formatted anew at each resume.
                Expr::Macro(_) => offender(arg),
                _ => offending_argument(arg),
            };
            if let Some(found) = found {
                let text = excerpt(found);
                let temporary = matches!(found, Expr::Reference(_));
                let refusal =
                    if temporary { Refusal::Temporary(text) } else { Refusal::ImpureArgument(text) };
                return refused(found, refusal);
            }
        }
        if let Some(found) = &self.impure {
            return refused(found, Refusal::ImpureBefore(excerpt(found)));
        }
        for arg in &args {
            for place in lent(arg, call, self.access) {
                if let Some(read) = overlapping(&place, &self.read) {
                    return refused(arg, Refusal::ReadBefore(read));
                }
            }
        }
        if let Some((arg, place)) = conflict(&args, call, self.access) {
            return refused(arg, Refusal::ReadBeside(place));
        }
        self.called = true;
        Ok(())
    }
}
