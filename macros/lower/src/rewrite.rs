//! Rewrites user code of one segment: variables of the frame, blocking calls, and jumps out of it.
//!
//! | in the source | in the segment |
//! |---|---|
//! | `line` (in the frame) | `(*line)`, where `line: &mut Line` borrows the slot |
//! | `io.read(…)` | `(match io.read(…) { Ready(v) => v, Pending => { frame.pc = 3; return Pending } })` |
//! | `move \|\| line.len()` | `({ let line = *line; move \|\| line.len() })`: a copy, as in the source |
//! | `return v` | `return Poll::Ready(v)` |
//! | `break`, `continue` to a lowered loop | a jump to its block |
//! | `e?` where the result is an `Option` | `match e { Some(v) => v, None => return Ready(None) }` |

mod macros;

use crate::blocking::{Blocking, arguments, bare};
use crate::dest::{Dest, Target, deliver, find_target};
use crate::graph::{BlockId, CalleeId, Code, Jump, Mark, Variable, VariableId};
use crate::refusal::{Refusal, Refusals};
use crate::scope::{Binding, Scope};
use crate::tokens::{self, hidden};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use std::collections::BTreeMap;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprMacro, FieldValue, Lifetime, Member, Pat, Stmt, Token, parse_quote_spanned};

/// The blocking call of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Resume {
    /// The block that is entered again.
    pub block: BlockId,
    /// The callee, if it isn't an operation of `io`.
    pub callee: Option<CalleeId>,
}

/// What rewriting needs to know of the coroutine.
pub struct Context<'a> {
    /// Knows what blocks.
    pub blocking: &'a Blocking,
    /// The name of the `Io` parameter.
    pub io: &'a Ident,
    /// Whether `?` works on options.
    pub is_option: bool,
    /// The frame's variables.
    pub variables: &'a [Variable],
    /// The lowered loops around.
    pub targets: &'a [Target],
}

/// Rewrites syntax trees in place and notes what they do.
pub struct Rewriter<'a> {
    /// The coroutine.
    pub context: Context<'a>,
    /// Names in scope; changed by `let`s on the way.
    pub scope: Scope,
    /// The blocking call expected, if any.
    pub resume: Option<Resume>,
    /// What was found; its tokens are not used.
    pub code: Code,
    /// Mistakes found.
    pub refusals: &'a mut Refusals,
    native: Vec<(Option<String>, bool)>,
    closures: usize,
    /// In a `move` closure: the variables that it takes with it, each as it is first named.
    taken: Option<BTreeMap<VariableId, Ident>>,
    places: bool,
}

impl<'a> Rewriter<'a> {
    /// A rewriter for code in `scope`.
    pub fn new(
        context: Context<'a>,
        scope: Scope,
        resume: Option<Resume>,
        refusals: &'a mut Refusals,
    ) -> Rewriter<'a> {
        Rewriter {
            context,
            scope,
            resume,
            code: Code::default(),
            refusals,
            native: vec![],
            closures: 0,
            taken: None,
            places: false,
        }
    }

    /// Rewrites a place so that it needs no binding of this segment: `(*unsafe { frame.x.get() })`.
    pub fn place(&mut self, place: &mut Expr) {
        self.places = true;
        self.visit_expr_mut(place);
        self.places = false;
    }

    /// Rewrites statements; their declarations stay in scope.
    pub fn statements(&mut self, stmts: &mut [Stmt]) {
        for stmt in stmts {
            match stmt {
                Stmt::Local(local) => {
                    if let Some(init) = &mut local.init {
                        self.visit_expr_mut(&mut init.expr);
                        if let Some((_, diverge)) = &mut init.diverge {
                            self.visit_expr_mut(diverge);
                        }
                    }
                    self.scope.declare_pattern(&local.pat);
                }
                Stmt::Item(_) => {}
                Stmt::Expr(expr, _) => self.visit_expr_mut(expr),
                Stmt::Macro(stmt) => self.mac(&mut stmt.mac),
            }
        }
    }

    fn variable(&mut self, ident: &Ident) -> Option<Expr> {
        match self.context_binding(ident)? {
            Binding::Frame(id) => {
                if let Some(taken) = &mut self.taken {
                    taken.entry(id).or_insert_with(|| ident.clone());
                    return None;
                }
                let variable = &self.context.variables[id.0];
                let span = ident.span();
                if self.places {
                    let get = get_slot(variable);
                    let get = if variable.mutable { get } else { quote!(&*#get) };
                    return Some(parse_quote_spanned!(span=> (*#get)));
                }
                self.code.reads.insert(id);
                Some(parse_quote_spanned!(span=> (*#ident)))
            }
            Binding::Reference(id) => {
                self.code.references.insert(id);
                None
            }
            Binding::Local | Binding::Refused => None,
            Binding::Lost => {
                self.refusals.push(ident, Refusal::PatternBinding(ident.to_string()));
                None
            }
        }
    }

    /// A closure or async block with `move`: copies of the variables that it names are bound before it.
    fn moving(&mut self, expr: &mut Expr, visit: impl FnOnce(&mut Self, &mut Expr)) {
        let outer = self.taken.replace(BTreeMap::new());
        visit(self, expr);
        let taken = std::mem::replace(&mut self.taken, outer).unwrap_or_default();
        let copies: Vec<_> = taken
            .into_iter()
            .filter_map(|(id, ident)| {
                let value = self.variable(&ident)?;
                let Variable { name, mutable, .. } = &self.context.variables[id.0];
                let mutable = mutable.then(|| quote!(mut));
                Some(quote_spanned!(ident.span()=> let #mutable #name = #value;))
            })
            .collect();
        if !copies.is_empty() {
            *expr = Expr::Verbatim(quote!(({ #(#copies)* #expr })));
        }
    }

    /// A closure or async block: it has a `return` and `?` of its own.
    fn closure(&mut self, expr: &mut Expr) {
        self.closures += 1;
        self.scoped(|this| match expr {
            Expr::Closure(closure) => {
                closure.inputs.iter().for_each(|pat| this.scope.declare_pattern(pat));
                this.visit_expr_mut(&mut closure.body);
            }
            _ => visit_mut::visit_expr_mut(this, expr),
        });
        self.closures -= 1;
    }

    fn context_binding(&self, ident: &Ident) -> Option<Binding> {
        self.scope.get(&ident.to_string())
    }

    /// The blocking call `expr`.
    fn call(&mut self, expr: &mut Expr) {
        let span = expr.span();
        let called = match expr {
            Expr::MethodCall(call) => {
                let operation = self.context.blocking.is_io(&call.receiver);
                if !operation {
                    self.visit_expr_mut(&mut call.receiver);
                }
                call.args.iter_mut().for_each(|arg| self.visit_expr_mut(arg));
                if !operation && let Some(frame) = self.callee_frame() {
                    call.args.push(Expr::Verbatim(frame));
                }
                call.to_token_stream()
            }
            Expr::Call(call) => {
                call.args.iter_mut().for_each(|arg| self.visit_expr_mut(arg));
                let frame = self.callee_frame().unwrap_or_default();
                if is_associated(&call.func) {
                    call.args.push(Expr::Verbatim(frame));
                    call.to_token_stream()
                } else {
                    let args = &call.args;
                    // The user's parentheses carry the span of a mismatch in their number.
                    let resume = Ident::new("resume", Span::mixed_site().located_at(call.func.span()));
                    quote_spanned!(call.paren_token.span.join()=> #frame.#resume(#args))
                }
            }
            Expr::Macro(ExprMacro { mac, .. }) => {
                let newline = tokens::macro_name(mac).is_some_and(|name| name == "writeln");
                self.mac(mac);
                let io = self.context.io;
                let mut args =
                    arguments(&mac.tokens).unwrap_or_default().into_iter().skip(1).collect::<Vec<_>>();
                if newline {
                    match args.first_mut() {
                        Some(first) => match macros::literal(first) {
                            Some(text) => {
                                let text = syn::LitStr::new(&(text + "\n"), first.span());
                                *first = parse_quote_spanned!(first.span()=> #text);
                            }
                            None => {
                                *first = parse_quote_spanned!(first.span()=> ::core::concat!(#first, "\n"))
                            }
                        },
                        None => args.push(parse_quote_spanned!(mac.path.span()=> "\n")),
                    }
                }
                let format = quote_spanned!(mac.path.span()=> ::core::format_args!(#(#args),*));
                quote_spanned!(mac.path.span()=> #io.write_fmt(#format))
            }
            _ => return,
        };
        let Some(Resume { block, .. }) = self.resume else { return };
        let counter = Mark::Counter(block);
        let (frame, value) = (hidden("frame"), hidden("value"));
        // With the user's span outside, so that an unused result is reported there.
        *expr = Expr::Verbatim(quote_spanned! {span=>
            (match #called {
                ::vk::rt::Poll::Ready(#value) => #value,
                ::vk::rt::Poll::Pending => {
                    #frame.pc = #counter;
                    return ::vk::rt::Poll::Pending;
                }
            })
        });
    }

    /// The frame of the callee of this segment.
    fn callee_frame(&self) -> Option<TokenStream> {
        self.resume?.callee.map(callee_frame)
    }

    fn jump(
        &mut self,
        tokens: impl ToTokens,
        label: Option<&Lifetime>,
        again: bool,
    ) -> Option<(BlockId, Dest)> {
        let label = label.map(|label| label.ident.to_string());
        let inside = match &label {
            Some(label) => self.native.iter().any(|(known, _)| known.as_ref() == Some(label)),
            None => self.native.iter().any(|(_, is_loop)| *is_loop),
        };
        if inside {
            return None;
        }
        let Some(target) = find_target(self.context.targets, label.as_deref()) else {
            if label.is_none() {
                self.refusals.push(tokens, Refusal::OutsideLoop);
            }
            return None;
        };
        if again { Some((target.next?, Dest::Ignore)) } else { Some((target.exit, target.dest.clone())) }
    }

    fn leave(&mut self, to: BlockId, span: Span, before: Option<Code>) -> Expr {
        let jump = Mark::Jump(to);
        let jump = quote_spanned!(span=> #jump);
        let mut code = before.unwrap_or_default();
        code.jumps.push(Jump { to, writes: code.writes.clone() });
        let tokens = code.tokens.clone();
        code.writes.clear();
        self.code.append_effects(code);
        if tokens.is_empty() { Expr::Verbatim(jump) } else { Expr::Verbatim(quote!({ #tokens #jump })) }
    }

    fn scoped(&mut self, visit: impl FnOnce(&mut Self)) {
        let mark = self.scope.mark();
        visit(self);
        self.scope.leave(mark);
    }

    fn native(&mut self, label: Option<&syn::Label>, is_loop: bool, visit: impl FnOnce(&mut Self)) {
        self.native.push((label.map(|label| label.name.ident.to_string()), is_loop));
        visit(self);
        self.native.pop();
    }
}

/// `Type::method`, not `module::function`.
pub fn is_associated(func: &Expr) -> bool {
    let Expr::Path(path) = bare(func) else { return false };
    let segments = &path.path.segments;
    path.qself.is_some()
        || segments
            .len()
            .checked_sub(2)
            .is_some_and(|owner| crate::blocking::is_camel(&segments[owner].ident))
}

/// `unsafe { frame.field.get() }`.
pub fn get_slot(variable: &Variable) -> TokenStream {
    let (frame, field) = (hidden("frame"), &variable.field);
    let get = Ident::new("get", Span::mixed_site().located_at(variable.name.span()));
    quote_spanned!(Span::mixed_site()=> unsafe { #frame.#field.#get() })
}

/// `unsafe { frame.callee.left().right().first() }`: the way down the tree that `vk::rt::Overlay` is.
pub fn callee_frame(CalleeId(number): CalleeId) -> TokenStream {
    let frame = hidden("frame");
    let place = number + 1;
    let way = (0..place.ilog2()).rev().map(|level| match place >> level & 1 {
        0 => quote!(.left()),
        _ => quote!(.right()),
    });
    quote_spanned!(Span::mixed_site()=> unsafe { #frame.callee #(#way)* .first() })
}

impl VisitMut for Rewriter<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        if self.closures == 0 && self.context.blocking.is_call(expr) {
            return self.call(expr);
        }
        match expr {
            Expr::Path(path) if path.qself.is_none() => {
                if let Some(ident) = path.path.get_ident()
                    && let Some(value) = self.variable(&ident.clone())
                {
                    *expr = value;
                }
            }
            Expr::Macro(mac) => self.mac(&mut mac.mac),
            Expr::Closure(closure) if closure.capture.is_some() => self.moving(expr, Self::closure),
            Expr::Async(block) if block.capture.is_some() => self.moving(expr, Self::closure),
            Expr::Closure(_) | Expr::Async(_) => self.closure(expr),
            Expr::Block(block) => {
                self.native(block.label.as_ref(), false, |this| this.visit_block_mut(&mut block.block));
            }
            Expr::Loop(e) => self.native(e.label.as_ref(), true, |this| this.visit_block_mut(&mut e.body)),
            Expr::While(e) => self.native(e.label.as_ref(), true, |this| {
                this.scoped(|this| {
                    this.visit_expr_mut(&mut e.cond);
                    this.visit_block_mut(&mut e.body);
                });
            }),
            Expr::ForLoop(e) => {
                self.visit_expr_mut(&mut e.expr);
                self.native(e.label.as_ref(), true, |this| {
                    this.scoped(|this| {
                        this.scope.declare_pattern(&e.pat);
                        this.visit_block_mut(&mut e.body);
                    });
                });
            }
            Expr::If(e) => {
                self.scoped(|this| {
                    this.visit_expr_mut(&mut e.cond);
                    this.visit_block_mut(&mut e.then_branch);
                });
                if let Some((_, branch)) = &mut e.else_branch {
                    self.visit_expr_mut(branch);
                }
            }
            Expr::Let(e) => {
                self.visit_expr_mut(&mut e.expr);
                self.scope.declare_pattern(&e.pat);
            }
            Expr::Match(e) => {
                self.visit_expr_mut(&mut e.expr);
                for arm in &mut e.arms {
                    self.scoped(|this| {
                        this.scope.declare_pattern(&arm.pat);
                        if let Some((_, guard)) = &mut arm.guard {
                            this.visit_expr_mut(guard);
                        }
                        this.visit_expr_mut(&mut arm.body);
                    });
                }
            }
            Expr::Return(e) if self.closures == 0 => {
                let value = match e.expr.take() {
                    Some(mut value) => {
                        self.visit_expr_mut(&mut value);
                        value.into_token_stream()
                    }
                    None => quote!(()),
                };
                let span = Span::mixed_site().located_at(e.return_token.span);
                *expr = Expr::Verbatim(quote_spanned!(span=> return ::vk::rt::Poll::Ready(#value)));
            }
            Expr::Break(e) if self.closures == 0 => {
                if let Some(value) = &mut e.expr {
                    self.visit_expr_mut(value);
                }
                if let Some((exit, dest)) = self.jump(e.break_token, e.label.as_ref(), false) {
                    let span = e.break_token.span;
                    let value = e.expr.take().map_or_else(|| quote!(()), |value| value.into_token_stream());
                    let (code, returns) = deliver(Code::new(value), &dest, self.context.variables);
                    *expr = if returns {
                        let tokens = code.tokens;
                        Expr::Verbatim(quote!({ #tokens }))
                    } else {
                        self.leave(exit, span, Some(code))
                    };
                }
            }
            Expr::Continue(e) if self.closures == 0 => {
                if let Some((next, _)) = self.jump(e.continue_token, e.label.as_ref(), true) {
                    *expr = self.leave(next, e.continue_token.span, None);
                }
            }
            Expr::Try(e) if self.closures == 0 && self.context.is_option => {
                self.visit_expr_mut(&mut e.expr);
                let (inner, value) = (tokens::headed(&e.expr), hidden("value"));
                let span = Span::mixed_site().located_at(e.question_token.span);
                *expr = Expr::Verbatim(quote_spanned! {span=>
                    (match #inner {
                        ::core::option::Option::Some(#value) => #value,
                        ::core::option::Option::None => {
                            return ::vk::rt::Poll::Ready(::core::option::Option::None)
                        }
                    })
                });
            }
            _ => visit_mut::visit_expr_mut(self, expr),
        }
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        self.scoped(|this| this.statements(&mut block.stmts));
    }

    fn visit_field_value_mut(&mut self, field: &mut FieldValue) {
        let short = field.colon_token.is_none();
        self.visit_expr_mut(&mut field.expr);
        if short
            && let Member::Named(name) = &field.member
            && !matches!(field.expr, Expr::Path(_))
        {
            field.colon_token = Some(Token![:](name.span()));
        }
    }

    fn visit_pat_mut(&mut self, _: &mut Pat) {}
    fn visit_type_mut(&mut self, _: &mut syn::Type) {}
    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}
