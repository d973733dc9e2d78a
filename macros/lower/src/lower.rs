//! Lowers a body to its graph: statements are walked in order, and each one that blocks starts a block of its
//! own, so that it can be entered again. What doesn't block stays as structured as the user wrote it.
//!
//! ```text
//!   statements ──► does it block? ── no ──► rewritten into the current block
//!                        │ yes
//!                        ├─ enterable again from its start ──► new block, rewritten into it
//!                        ├─ control flow ──► blocks of its branches (branch, repeat)
//!                        └─ otherwise ──► refused, with the rewrite that works
//! ```
//!
//! Invariants: a block that suspends starts with the statement that does; every frame variable is written by
//! the `let` that declares it, before its name comes into scope.

mod branch;
mod call;
mod hoist;
mod repeat;

use crate::blocking::{Blocking, bare};
use crate::dest::{self, Dest, Target};
use crate::fingerprint;
use crate::graph::{Block, BlockId, CalleeId, Code, Edge, Graph, Terminator, Variable, VariableId};
use crate::lending::Access;
use crate::purity::{self, Stop};
use crate::refusal::{Refusal, Refusals};
use crate::rewrite::{self, Context, Resume, Rewriter};
use crate::scope::{Binding, Scope};
use crate::signature::{Passing, Signature};
use crate::tokens::hidden;
use proc_macro2::{Ident, Span};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, Stmt, Type, parse_quote};

/// Lowers the body of `signature`.
pub fn lower(signature: &Signature) -> Result<Graph, Refusals> {
    let mut refusals = Refusals::default();
    let blocking = Blocking::new(signature.io());
    let mut body = signature.body.clone();
    Normalise.visit_block_mut(&mut body);
    blocking.check(&body, &mut refusals);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut lowerer = Lowerer {
        signature,
        blocking,
        refusals,
        variables: Vec::new(),
        callees: Vec::new(),
        blocks: Vec::new(),
        order: Vec::new(),
        current: BlockId(0),
        scope: Scope::default(),
        targets: Vec::new(),
        operands: 0,
    };
    let deadline = lowerer.begin(&body);
    lowerer.statements(&body.stmts, &Dest::Return, body.brace_token.span.close());
    lowerer.finish(deadline)
}

/// A block whose terminator may not be known yet.
struct Draft {
    block: Block,
    open: bool,
}

struct Lowerer<'a> {
    signature: &'a Signature,
    blocking: Blocking,
    refusals: Refusals,
    variables: Vec<Variable>,
    callees: Vec<Type>,
    blocks: Vec<Draft>,
    /// In which the blocks were started.
    order: Vec<BlockId>,
    current: BlockId,
    scope: Scope,
    targets: Vec<Target>,
    /// How many `place += …` have an operand that blocks in branches.
    operands: usize,
}

impl Lowerer<'_> {
    /// The parameters, the entry block, and the variable for the caller's deadline if the body sets one.
    fn begin(&mut self, body: &syn::Block) -> Option<VariableId> {
        for (index, parameter) in self.signature.parameters.iter().enumerate() {
            let name = parameter.name.to_string();
            match parameter.passing {
                Passing::Io => {}
                Passing::Reference { .. } => self.scope.declare(name, Binding::Reference(index)),
                Passing::Value { mutable } => {
                    let id = self.variable(parameter.name.clone(), parameter.ty.clone(), mutable);
                    self.variables[id.0].parameter = true;
                    self.scope.declare(name, Binding::Frame(id));
                }
            }
        }
        let entry = self.new_block();
        self.start(entry);
        sets_deadline(body, &self.blocking).then(|| {
            let id = self.variable(hidden("outer_deadline"), parse_quote!([u64; 2]), false);
            let (frame, field, io) =
                (hidden("frame"), self.variables[id.0].field.clone(), self.signature.io());
            let mut code = Code::new(quote!(#frame.#field.write(#io.deadline_mark());));
            code.writes.insert(id);
            self.emit(code);
            id
        })
    }

    fn finish(self, deadline: Option<VariableId>) -> Result<Graph, Refusals> {
        if !self.refusals.is_empty() {
            return Err(self.refusals);
        }
        let mut graph = Graph {
            name: self.signature.frame.to_string(),
            variables: self.variables,
            callees: self.callees,
            blocks: self.blocks.into_iter().map(|draft| draft.block).collect(),
            deadline,
        };
        graph.arrange(&self.order);
        Ok(graph)
    }

    fn new_block(&mut self) -> BlockId {
        let terminator = Terminator::Return;
        let block = Block {
            code: Code::default(),
            resume: false,
            anchor: 0,
            span: Span::call_site(),
            callee: None,
            terminator,
        };
        self.blocks.push(Draft { block, open: true });
        BlockId(self.blocks.len() - 1)
    }

    /// From now on code goes to `id`.
    fn start(&mut self, id: BlockId) {
        self.order.push(id);
        self.current = id;
    }

    fn block(&mut self) -> &mut Block {
        &mut self.blocks[self.current.0].block
    }

    fn emit(&mut self, code: Code) {
        self.block().code.append(code);
    }

    /// Ends the current block; what follows can't be reached unless a block is started.
    fn end(&mut self, terminator: Terminator) {
        let draft = &mut self.blocks[self.current.0];
        if std::mem::replace(&mut draft.open, false) {
            draft.block.terminator = terminator;
        }
        let nowhere = self.new_block();
        self.start(nowhere);
    }

    fn goto(&mut self, to: BlockId) {
        self.end(Terminator::Goto(to));
    }

    /// Goes on in a new block.
    fn cut(&mut self) {
        let next = self.new_block();
        self.goto(next);
        self.start(next);
    }

    fn variable(&mut self, name: Ident, ty: Type, mutable: bool) -> VariableId {
        let base = name.to_string();
        let base = base.trim_start_matches("r#");
        let taken = |field: &str| {
            matches!(field, "pc" | "callee" | "generics")
                || self.variables.iter().any(|known| known.field == field)
        };
        let number = (1..).find(|&n| !taken(&numbered(base, n))).unwrap_or(1);
        let field = field_ident(&numbered(base, number), name.span());
        let ty = self.signature.without_self(ty);
        self.variables.push(Variable { name, field, ty, mutable, parameter: false });
        VariableId(self.variables.len() - 1)
    }

    fn context<'c>(
        signature: &'c Signature,
        blocking: &'c Blocking,
        variables: &'c [Variable],
        targets: &'c [Target],
    ) -> Context<'c> {
        Context { blocking, io: signature.io(), is_option: signature.is_option(), variables, targets }
    }

    /// Runs `with` on a rewriter for the current scope; answers what the rewritten code does, and the scope
    /// with what it declared.
    fn rewrite<T>(
        &mut self,
        resume: Option<Resume>,
        with: impl FnOnce(&mut Rewriter<'_>) -> T,
    ) -> (T, Code, Scope) {
        let context = Self::context(self.signature, &self.blocking, &self.variables, &self.targets);
        let mut rewriter = Rewriter::new(context, self.scope.clone(), resume, &mut self.refusals);
        let value = with(&mut rewriter);
        (value, rewriter.code, rewriter.scope)
    }

    /// `expr` rewritten.
    fn code(&mut self, expr: &Expr, resume: Option<Resume>) -> Code {
        let mut expr = expr.clone();
        let ((), mut code, _) = self.rewrite(resume, |rewriter| rewriter.visit_expr_mut(&mut expr));
        code.tokens = expr.into_token_stream();
        code
    }

    fn deliver(&self, value: Code, dest: &Dest) -> (Code, bool) {
        dest::deliver(value, dest, &self.variables)
    }

    /// Sends `value` to `dest` in the current block.
    fn emit_value(&mut self, value: Code, dest: &Dest) {
        let (code, returns) = self.deliver(value, dest);
        self.emit(code);
        if returns {
            self.end(Terminator::Return);
        }
    }

    fn unit(&self, span: Span) -> Code {
        Code::new(quote_spanned!(span=> ()))
    }

    /// The body of a block, whose value goes to `dest`. `end` is where an error about a missing value points.
    fn statements(&mut self, stmts: &[Stmt], dest: &Dest, end: Span) {
        let outer = self.scope.mark();
        let last = stmts.iter().rposition(|stmt| self.blocking.stmt(stmt));
        let mut rest = 0;
        if let Some(last) = last {
            self.check_statements(&stmts[..=last]);
            for (at, stmt) in stmts[..=last].iter().enumerate() {
                if self.blocking.stmt(stmt) {
                    self.scope.lose_locals(outer);
                }
                rest = at + 1;
                match stmt {
                    Stmt::Local(_) if at == last && self.is_plain_local(stmt) => rest = at,
                    Stmt::Local(local) => self.local(local, at < last),
                    Stmt::Expr(expr, semi) if at + 1 == stmts.len() && semi.is_none() => {
                        self.expr(expr, dest);
                        self.leave(outer);
                        return;
                    }
                    Stmt::Expr(expr, _) => self.expr(expr, &Dest::Ignore),
                    Stmt::Item(_) | Stmt::Macro(_) => {}
                }
            }
        }
        let run = &stmts[rest..];
        let resume = match run.first() {
            Some(first) if self.blocking.stmt(first) => self.resume_local(first),
            _ => None,
        };
        let (code, returns) = self.run(run, dest, resume, end);
        self.emit(code);
        if returns {
            self.end(Terminator::Return);
        }
        self.leave(outer);
    }

    /// Leaves the scope since `outer`; the segment must not see its names after that.
    fn leave(&mut self, outer: usize) {
        let leaks = self.scope.leaks(outer);
        self.scope.leave(outer);
        if leaks && !self.block().code.is_empty() {
            self.cut();
        }
    }

    /// Statements up to the end of a block that don't block, except for the first one if `resume` is given, as
    /// one piece that sends its value to `dest`.
    fn run(&mut self, stmts: &[Stmt], dest: &Dest, resume: Option<Resume>, end: Span) -> (Code, bool) {
        let mut stmts = stmts.to_vec();
        let ((), mut code, _) = self.rewrite(resume, |rewriter| rewriter.statements(&mut stmts));
        let declares = stmts.iter().any(|stmt| matches!(stmt, Stmt::Local(_) | Stmt::Item(_)));
        let tail = match stmts.last() {
            Some(Stmt::Expr(tail, None)) => Some(tail.clone()),
            _ => None,
        };
        if matches!(dest, Dest::Ignore) {
            let tail = tail.filter(|tail| !is_statement(tail)).map(|_| quote!(;));
            code.tokens = if declares { quote!({ #(#stmts)* #tail }) } else { quote!(#(#stmts)* #tail) };
            return (code, false);
        }
        let tokens = match (&tail, stmts.len()) {
            (_, 0) => quote_spanned!(end=> ()),
            (Some(tail), 1) => tail.to_token_stream(),
            (Some(tail), n) if matches!(dest, Dest::Return) => {
                let before = &stmts[..n - 1];
                let value = Code::new(tail.to_token_stream());
                let (value, _) = self.deliver(value, dest);
                let value = value.tokens;
                code.tokens = quote!(#(#before)* #value);
                return (code, true);
            }
            _ => {
                let mut block = proc_macro2::Group::new(proc_macro2::Delimiter::Brace, quote!(#(#stmts)*));
                block.set_span(end);
                block.to_token_stream()
            }
        };
        code.tokens = tokens;
        self.deliver(code, dest)
    }

    /// Refuses what can't stand among statements that become blocks.
    fn check_statements(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            let attributes = match stmt {
                Stmt::Item(item) => {
                    self.refusals.push(item, Refusal::Item);
                    continue;
                }
                Stmt::Local(local) => &local.attrs,
                Stmt::Expr(expr, _) => attributes(expr),
                Stmt::Macro(stmt) => &stmt.attrs,
            };
            for attribute in attributes {
                if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
                    self.refusals.push(attribute, Refusal::Cfg);
                }
            }
        }
    }

    /// Whether `expr` can be entered again from its start.
    fn enterable(&self, expr: &Expr) -> Result<(), Stop> {
        purity::enterable(expr, &self.blocking, &|name| self.access(name))
    }

    /// What a call may do to the variable `name`.
    fn access(&self, name: &str) -> Access {
        let changed = |mutable: bool, access| if mutable { access } else { Access::Read };
        match self.scope.get(name) {
            Some(Binding::Reference(index)) => {
                let mutable = Passing::Reference { mutable: true };
                changed(self.signature.parameters[index].passing == mutable, Access::Change)
            }
            Some(Binding::Frame(id)) => changed(self.variables[id.0].mutable, Access::Borrow),
            Some(Binding::Local | Binding::Lost | Binding::Refused) => Access::Borrow,
            None => changed(name == "self" && self.signature.changes_self(), Access::Change),
        }
    }

    /// Makes the next statement, which contains the blocking call of `expr`, one that can be entered again.
    fn resume(&mut self, expr: &Expr) -> Option<Resume> {
        let call = self.blocking.first_call(expr)?;
        let callee = match self.callee(&call) {
            Ok(callee) => callee,
            Err((at, refusal)) => {
                self.refusals.push(at, refusal);
                None
            }
        };
        if let Some(callee) = callee {
            self.enter(callee);
        }
        let entry = self.current == BlockId(0);
        if entry || !self.block().code.is_empty() {
            self.cut();
        }
        let block = self.current;
        self.block().resume = true;
        self.block().anchor = fingerprint::tokens(&call.to_token_stream());
        self.block().span = call.span();
        self.block().callee = callee;
        Some(Resume { block, callee })
    }

    /// The current block sets the frame of `callee` to its beginning.
    fn enter(&mut self, callee: CalleeId) {
        let frame = rewrite::callee_frame(callee);
        let mut code = Code::new(quote!(#frame.enter();));
        code.enters.insert(callee);
        self.emit(code);
    }

    /// An expression as a statement of its own, whose value goes to `dest`.
    fn expr(&mut self, expr: &Expr, dest: &Dest) {
        let expr = bare(expr);
        if self.leaves(expr) {
            return;
        }
        if !self.blocking.expr(expr) {
            let code = self.code(expr, None);
            return match dest {
                Dest::Ignore if is_statement(expr) => self.emit(code),
                _ => self.emit_value(code, dest),
            };
        }
        match self.enterable(expr) {
            Ok(()) => {
                let resume = self.resume(expr);
                let code = self.code(expr, resume);
                match dest {
                    Dest::Ignore if is_statement(expr) => self.emit(code),
                    _ => self.emit_value(code, dest),
                }
            }
            Err(stop) => self.control(expr, dest, stop),
        }
    }

    /// `return`, `break` and `continue` as statements.
    fn leaves(&mut self, expr: &Expr) -> bool {
        match expr {
            Expr::Return(e) => {
                match &e.expr {
                    Some(value) => self.expr(value, &Dest::Return),
                    None => self.emit_value(self.unit(e.return_token.span), &Dest::Return),
                }
                true
            }
            Expr::Break(e) => {
                let Some(target) = self.target(e.label.as_ref()) else { return false };
                match &e.expr {
                    Some(value) => self.expr(value, &inner(&target.dest)),
                    None => self.emit_value(self.unit(e.break_token.span), &inner(&target.dest)),
                }
                self.goto(target.exit);
                true
            }
            Expr::Continue(e) => {
                let Some(next) = self.target(e.label.as_ref()).and_then(|target| target.next) else {
                    return false;
                };
                self.goto(next);
                true
            }
            _ => false,
        }
    }

    /// The lowered loop or block that a `break` or `continue` means.
    fn target(&self, label: Option<&syn::Lifetime>) -> Option<Target> {
        let label = label.map(|label| label.ident.to_string());
        dest::find_target(&self.targets, label.as_deref()).cloned()
    }

    /// Control flow that blocks in its branches.
    fn control(&mut self, expr: &Expr, dest: &Dest, stop: Stop) {
        match (expr, &stop) {
            (Expr::If(e), _) => self.branch(e, dest),
            (Expr::Match(e), Stop::Control(_)) => self.select(e, dest),
            (Expr::Match(e), Stop::Refused(_, refusal)) if *refusal != Refusal::Guard => self.select(e, dest),
            (Expr::Block(e), _) => self.labelled(e, dest),
            (Expr::Loop(e), _) => self.repeat(e, dest),
            (Expr::While(e), _) => self.repeat_while(e, dest),
            (Expr::ForLoop(e), _) if self.blocking.block(&e.body) => self.repeat_for(e, dest),
            (Expr::Assign(e), _) if !self.blocking.expr(&e.left) => {
                let place = self.assignment(&e.left, e.eq_token.to_token_stream());
                self.assign(&e.right, Dest::Assign(place));
            }
            (Expr::Binary(e), _) if purity::is_assignment(&e.op) && purity::offender(&e.left).is_none() => {
                let place = self.assignment(&e.left, e.op.to_token_stream());
                self.operands += 1;
                self.assign(&e.right, Dest::Operate(place, self.operands));
            }
            (_, _) if is_condition(expr) => self.condition_value(expr, dest),
            _ => stop.refuse(&mut self.refusals),
        }
    }

    /// Sends `value` to the place of `dest`, which borrows from the frame anew: what follows doesn't see that.
    fn assign(&mut self, value: &Expr, dest: Dest) {
        self.expr(value, &dest);
        if !self.block().code.is_empty() {
            self.cut();
        }
    }

    /// `place =`.
    fn assignment(&mut self, place: &Expr, operator: proc_macro2::TokenStream) -> Code {
        let mut place = place.clone();
        let ((), mut code, _) = self.rewrite(None, |rewriter| rewriter.place(&mut place));
        code.tokens = quote!(#place #operator);
        code
    }

    /// A labelled block, or a plain one.
    fn labelled(&mut self, e: &syn::ExprBlock, dest: &Dest) {
        let Some(label) = &e.label else {
            return self.statements(&e.block.stmts, dest, e.block.brace_token.span.close());
        };
        let exit = self.new_block();
        let dest = inner(dest);
        self.targets.push(Target {
            label: Some(label.name.ident.to_string()),
            is_loop: false,
            exit,
            next: None,
            dest: dest.clone(),
        });
        self.statements(&e.block.stmts, &dest, e.block.brace_token.span.close());
        self.targets.pop();
        self.goto(exit);
        self.start(exit);
    }

    fn edge(&self, (code, returns): (Code, bool), to: BlockId) -> Edge {
        Edge { code, to: (!returns).then_some(to) }
    }
}

/// `dest` as the branches of control flow see it: the variable is seen after they join.
fn inner(dest: &Dest) -> Dest {
    match dest {
        Dest::Let(id) => Dest::Slot(*id),
        _ => dest.clone(),
    }
}

/// Whether `expr` is a statement without a semicolon.
fn is_statement(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::If(_)
            | Expr::Match(_)
            | Expr::Block(_)
            | Expr::Loop(_)
            | Expr::While(_)
            | Expr::ForLoop(_)
            | Expr::Unsafe(_)
    )
}

/// `&&`, `||` and `!` over something.
fn is_condition(expr: &Expr) -> bool {
    match bare(expr) {
        Expr::Binary(e) => matches!(e.op, syn::BinOp::And(_) | syn::BinOp::Or(_)),
        Expr::Unary(e) => matches!(e.op, syn::UnOp::Not(_)) && is_condition(&e.expr),
        _ => false,
    }
}

fn attributes(expr: &Expr) -> &[syn::Attribute] {
    match expr {
        Expr::If(e) => &e.attrs,
        Expr::Match(e) => &e.attrs,
        Expr::Block(e) => &e.attrs,
        Expr::Loop(e) => &e.attrs,
        Expr::While(e) => &e.attrs,
        Expr::ForLoop(e) => &e.attrs,
        Expr::Call(e) => &e.attrs,
        Expr::MethodCall(e) => &e.attrs,
        Expr::Macro(e) => &e.attrs,
        Expr::Assign(e) => &e.attrs,
        Expr::Try(e) => &e.attrs,
        _ => &[],
    }
}

fn numbered(base: &str, number: usize) -> String {
    if number == 1 { base.to_owned() } else { format!("{base}_{number}") }
}

fn field_ident(name: &str, span: Span) -> Ident {
    match syn::parse_str::<Ident>(name) {
        Ok(_) => Ident::new(name, span),
        Err(_) => Ident::new(&format!("{name}_"), span),
    }
}

/// Whether the body sets a deadline, which ends with the coroutine.
fn sets_deadline(body: &syn::Block, blocking: &Blocking) -> bool {
    struct Search<'a>(&'a Blocking, bool);
    impl<'ast> syn::visit::Visit<'ast> for Search<'_> {
        fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
            self.1 |= call.method == "deadline" && self.0.is_io(&call.receiver);
            syn::visit::visit_expr_method_call(self, call);
        }
    }
    let mut search = Search(blocking, false);
    syn::visit::Visit::visit_block(&mut search, body);
    search.1
}

/// Makes macro statements expressions, as `write!(io, …);` is one.
struct Normalise;

impl VisitMut for Normalise {
    fn visit_stmt_mut(&mut self, stmt: &mut Stmt) {
        if let Stmt::Macro(mac) = stmt {
            let syn::StmtMacro { attrs, mac, semi_token } = mac.clone();
            *stmt = Stmt::Expr(Expr::Macro(syn::ExprMacro { attrs, mac }), semi_token);
        }
        visit_mut::visit_stmt_mut(self, stmt);
    }

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}
