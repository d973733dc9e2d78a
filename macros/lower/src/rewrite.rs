//! Rewrites user code of one segment: variables of the frame, blocking calls, and jumps out of it.
//!
//! | in the source | in the segment |
//! |---|---|
//! | `line` (in the frame) | `(*line)`, where `line: &mut Line` borrows the slot |
//! | `io.read(…)` | `(match io.read(…) { Ready(v) => v, Pending => { frame.pc = 3; return Pending } })` |
//! | `return v` | `return Poll::Ready(v)` |
//! | `break`, `continue` to a lowered loop | a jump to its block |
//! | `e?` where the result is an `Option` | `match e { Some(v) => v, None => return Ready(None) }` |

use crate::blocking::{Blocking, arguments, bare};
use crate::graph::{BlockId, CalleeId, Code, Jump, Mark, Variable};
use crate::refusal::{Refusal, Refusals};
use crate::scope::{Binding, Scope};
use crate::tokens::{self, hidden};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprMacro, FieldValue, Lifetime, Lit, Macro, Member, Pat, Stmt, Token, parse_quote_spanned};

/// Where a value goes.
#[derive(Clone, Debug)]
pub enum Dest {
    /// Nowhere: a statement.
    Ignore,
    /// To the caller.
    Return,
    /// To a variable of the frame; the segment goes on and sees it.
    Let(crate::graph::VariableId),
    /// To a variable of the frame that is seen from the next block on.
    Slot(crate::graph::VariableId),
    /// To a place: `place =`, `place +=`, with what evaluating it does.
    Assign(Code),
    /// There is no value: it must not come so far.
    Never,
}

/// A lowered loop or labelled block that can be left from inside.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its label, without the apostrophe.
    pub label: Option<String>,
    /// Whether it is a loop: unlabelled `break` and `continue` mean it.
    pub is_loop: bool,
    /// Where `break` goes.
    pub exit: BlockId,
    /// Where `continue` goes.
    pub next: Option<BlockId>,
    /// Where the value of `break` goes.
    pub dest: Dest,
}

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
        Rewriter { context, scope, resume, code: Code::default(), refusals, native: vec![], closures: 0, places: false }
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
                let variable = &self.context.variables[id.0];
                let span = ident.span();
                if self.places {
                    let (frame, field) = (hidden("frame"), &variable.field);
                    let get = get_slot(&quote!(#frame.#field), Span::mixed_site());
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
                let mut args = arguments(&mac.tokens).unwrap_or_default().into_iter().skip(1).collect::<Vec<_>>();
                if newline {
                    match args.first_mut() {
                        Some(first) => match literal(first) {
                            Some(text) => {
                                let text = syn::LitStr::new(&(text + "\n"), first.span());
                                *first = parse_quote_spanned!(first.span()=> #text);
                            }
                            None => *first = parse_quote_spanned!(first.span()=> ::core::concat!(#first, "\n")),
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
        let at = Span::mixed_site().located_at(span);
        *expr = Expr::Verbatim(quote_spanned! {at=>
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

    fn jump(&mut self, tokens: impl ToTokens, label: Option<&Lifetime>, again: bool) -> Option<(BlockId, Dest)> {
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

    /// Rewrites inside of a macro call.
    fn mac(&mut self, mac: &mut Macro) {
        let name = tokens::macro_name(mac).unwrap_or_default();
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
    fn format(&mut self, mut args: Punctuated<Expr, Token![,]>, format: usize) -> Punctuated<Expr, Token![,]> {
        let mut names = args.get(format).and_then(literal).map_or_else(Vec::new, |text| tokens::captures(&text));
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
        let alone: Vec<String> = if log { lone_names(tokens) } else { Vec::new() };
        tokens::variables(tokens, &mut |ident| {
            let value = self.variable(ident)?;
            (!alone.contains(&ident.to_string())).then(|| value.into_token_stream())
        })
    }
}

/// Macros with a format string, and which argument it is.
const FORMATS: &[(&str, usize)] = &[
    ("format", 0), ("format_args", 0), ("print", 0), ("println", 0), ("eprint", 0), ("eprintln", 0), ("panic", 0),
    ("unreachable", 0), ("todo", 0), ("unimplemented", 0), ("dbg", usize::MAX), ("write", 1), ("writeln", 1),
    ("assert", 1), ("debug_assert", 1), ("assert_eq", 2), ("assert_ne", 2), ("debug_assert_eq", 2),
    ("debug_assert_ne", 2), ("trace", 0), ("debug", 0), ("info", 0), ("warn", 0), ("error", 0),
];

/// Logging macros, where a lone name is the name of a field too.
const LOGS: &[&str] = &["trace", "debug", "info", "warn", "error", "event", "span"];

fn literal(expr: &Expr) -> Option<String> {
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

/// The target that a `break` with this label means.
pub fn find_target<'t>(targets: &'t [Target], label: Option<&str>) -> Option<&'t Target> {
    targets.iter().rev().find(|target| match label {
        Some(label) => target.label.as_deref() == Some(label),
        None => target.is_loop,
    })
}

/// `Type::method`, not `module::function`.
pub fn is_associated(func: &Expr) -> bool {
    let Expr::Path(path) = bare(func) else { return false };
    let segments = &path.path.segments;
    path.qself.is_some()
        || segments.len().checked_sub(2).is_some_and(|owner| crate::blocking::is_camel(&segments[owner].ident))
}

/// `unsafe { slot.get() }`.
pub fn get_slot(slot: &TokenStream, span: Span) -> TokenStream {
    quote_spanned!(span=> unsafe { #slot.get() })
}

/// `unsafe { frame.callee.rest().first() }`.
pub fn callee_frame(CalleeId(number): CalleeId) -> TokenStream {
    let frame = hidden("frame");
    let rest = std::iter::repeat_n(quote!(.rest()), number);
    quote_spanned!(Span::mixed_site()=> unsafe { #frame.callee #(#rest)* .first() })
}

/// Sends `value` to `dest`; answers whether that leaves the function.
pub fn deliver(value: Code, dest: &Dest, variables: &[Variable]) -> (Code, bool) {
    let v = &value.tokens;
    let frame = hidden("frame");
    let unit = v.to_string() == "()";
    let mut code = value.clone();
    code.tokens = match dest {
        Dest::Ignore if unit => TokenStream::new(),
        Dest::Ignore => quote!(#v;),
        Dest::Return => quote_spanned!(Span::mixed_site()=> return ::vk::rt::Poll::Ready(#v);),
        Dest::Let(id) => {
            let Variable { name, field, mutable, .. } = &variables[id.0];
            code.writes.insert(*id);
            if *mutable {
                quote!(let #name = #frame.#field.write(#v);)
            } else {
                quote!(let #name = &*#frame.#field.write(#v);)
            }
        }
        Dest::Slot(id) => {
            let field = &variables[id.0].field;
            code.writes.insert(*id);
            quote!(#frame.#field.write(#v);)
        }
        Dest::Assign(place) => {
            let mut all = place.clone();
            all.tokens.extend(quote!(#v;));
            let tokens = all.tokens.clone();
            code.append_effects(all);
            tokens
        }
        Dest::Never => quote!(let _: ::core::convert::Infallible = #v;),
    };
    (code, matches!(dest, Dest::Return))
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
            Expr::Closure(closure) => self.scoped(|this| {
                closure.inputs.iter().for_each(|pat| this.scope.declare_pattern(pat));
                this.closures += 1;
                this.visit_expr_mut(&mut closure.body);
                this.closures -= 1;
            }),
            Expr::Async(_) => {
                self.closures += 1;
                visit_mut::visit_expr_mut(self, expr);
                self.closures -= 1;
            }
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
                let (inner, value) = (&e.expr, hidden("value"));
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
