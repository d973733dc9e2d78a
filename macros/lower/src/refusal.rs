//! The catalogue of what the macros refuse: one variant per mistake, each with the rewrite that works.

use proc_macro2::TokenStream;
use quote::ToTokens;
use std::fmt;

/// A mistake in the user's source. Its `Display` says what is wrong and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `#[vk::coroutine]` on something that is neither a function nor an impl block.
    NotAFunction,
    /// `#[vk::coroutine(…)]`.
    Arguments,
    /// No parameter `io: &mut Io`.
    NoIo,
    /// More than one parameter of type `&mut Io`.
    ManyIo,
    /// `#[vk::coroutine]` on a method instead of its impl block.
    MethodAlone,
    /// `self` taken by value or with a type of its own.
    SelfByValue,
    /// `async fn`, `const fn`, `unsafe fn`, `extern fn`.
    Qualifier(&'static str),
    /// `impl Trait` as a parameter or result.
    ImplTrait,
    /// A name that generated code uses.
    Reserved,
    /// A parameter that is a pattern.
    PatternParameter,
    /// A parameter by value whose type borrows.
    BorrowedParameter,
    /// `mut name: &T`.
    MutReference(String),
    /// A reference without a named lifetime in the result.
    ElidedResult,
    /// Type parameters of a method.
    MethodGenerics,
    /// `impl Trait for Type` with coroutines in it.
    TraitImpl,
    /// An impl block without a coroutine, or of a type that has no name.
    EmptyImpl,
    /// An attribute that has no meaning on a coroutine.
    Attribute(String),
    /// A `let` that lives across a blocking call and has no type.
    NeedsType(String),
    /// A `let` that lives across a blocking call and has no initialiser.
    NeedsValue(String),
    /// `_` in the type of a frame variable.
    InferredType,
    /// A reference or lifetime in the type of a frame variable.
    Reference,
    /// A binding of a pattern, used by or after a blocking call.
    PatternBinding(String),
    /// `io` used for something else than a blocking call.
    IoMention(String),
    /// A variable that has the name of the `Io` parameter.
    IoShadowed(String),
    /// `io` in a closure or async block.
    IoInClosure,
    /// `io` in a macro call other than `write!` and `writeln!`.
    IoInMacro,
    /// A variable of the frame in a macro call of unknown syntax with `move` in it.
    MoveInMacro(String),
    /// `.await`.
    Await,
    /// An argument of a blocking call that would be computed again on resume.
    ImpureArgument(String),
    /// `&mut` of a value that isn't kept anywhere.
    Temporary(String),
    /// A blocking call as an argument of a blocking call.
    NestedCall,
    /// Something evaluated before a blocking call in the same statement.
    ImpureBefore(String),
    /// A variable read before a blocking call that may change it, in one statement.
    ReadBefore(String),
    /// An argument computed from a variable that the same call may change.
    ReadBeside(String),
    /// Two blocking calls in one expression.
    SecondCall,
    /// Control flow with blocking calls inside of a bigger expression.
    ControlInExpression,
    /// A match guard that blocks.
    Guard,
    /// `unsafe`, `const` or similar blocks around a blocking call.
    SpecialBlock,
    /// A `for` with a blocking body over something else than a range or slice.
    Iterator,
    /// A slice that is computed from a variable that can change.
    ChangingSlice(String),
    /// A range loop with a blocking body whose counter has no type.
    CounterType,
    /// A method coroutine called on something whose type isn't written.
    Receiver(String),
    /// A coroutine called through a value.
    Callee,
    /// A coroutine that calls itself.
    Recursion(String),
    /// `let` in a condition that is taken apart.
    LetChain,
    /// `break` or `continue` without a loop.
    OutsideLoop,
    /// An item declared in a block that blocks.
    Item,
    /// `#[cfg]` inside of a block that blocks.
    Cfg,
    /// `#[derive(Plain)]` on a union.
    PlainUnion,
    /// `#[derive(Plain)]` on a type with a lifetime.
    PlainLifetime,
    /// A mistake in `vk_app!`.
    App(String),
    /// A mistake of the lowering itself.
    Internal(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Refusal::*;
        match self {
            NotAFunction => f.write_str("#[vk::coroutine] goes on a `fn` with a body or on an `impl` block"),
            Arguments => f.write_str("#[vk::coroutine] takes no arguments: write `#[vk::coroutine]`"),
            NoIo => f.write_str("a coroutine has a parameter `io: &mut Io`: add it, or remove #[vk::coroutine]"),
            ManyIo => f.write_str("a coroutine has one parameter of type `&mut Io`: remove the others"),
            MethodAlone => f.write_str("a method is lowered with its impl block: put #[vk::coroutine] on the `impl`"),
            SelfByValue => f.write_str("a coroutine takes `&self` or `&mut self`: its caller keeps the value"),
            Qualifier(word) => write!(f, "a coroutine can't be `{word}`: remove the word"),
            ImplTrait => f.write_str(
                "a frame needs the name of every type: write a type parameter, `fn f<T: Trait>(…: T)`, \
                 instead of `impl Trait`",
            ),
            Reserved => f.write_str("names that begin with `__vk_` are taken by generated code: choose another"),
            PatternParameter => {
                f.write_str("a coroutine's parameter is a plain name: take it apart with a `let` in the body")
            }
            BorrowedParameter => f.write_str(
                "a parameter by value lives in the frame and can't borrow: pass the whole by reference, \
                 `&mut Option<T>` instead of `Option<&mut T>`",
            ),
            MutReference(name) => write!(
                f,
                "`mut {name}` would forget what is assigned to it when the coroutine resumes: remove `mut` and \
                 keep a position in a variable, `let mut at: usize = 0;`"
            ),
            ElidedResult => {
                f.write_str("which parameter does the result borrow from? Name the lifetime, `&'a T`")
            }
            MethodGenerics => f.write_str(
                "a method that is a coroutine has no type parameters of its own: put them on the impl block, \
                 or write a free coroutine",
            ),
            TraitImpl => f.write_str(
                "coroutines are inherent methods: write `impl Type { … }`, not `impl Trait for Type { … }`",
            ),
            EmptyImpl => f.write_str(
                "nothing to lower: #[vk::coroutine] goes on `impl Type { … }` with a method that has a parameter \
                 `io: &mut Io`",
            ),
            Attribute(name) => write!(f, "`#[{name}]` has no meaning on a coroutine: remove it"),
            NeedsType(name) => write!(
                f,
                "`{name}` is alive across a blocking call, so it lives in the frame and needs a type: \
                 `let {name}: T = …`, or end its block before the call"
            ),
            NeedsValue(name) => write!(
                f,
                "`{name}` is alive across a blocking call and needs a value at once: `let {name}: T = …`"
            ),
            InferredType => f.write_str(
                "the type of a variable that is alive across a blocking call is written out: replace `_`",
            ),
            Reference => f.write_str(
                "what borrows can't be kept across a blocking call: keep a copy of the value or an index and borrow \
                 again after the call, or end its block before the call",
            ),
            PatternBinding(name) => write!(
                f,
                "`{name}` is bound by a pattern and ends at the first blocking call: take it over with a type before \
                 that, `let {name}: T = {name};`"
            ),
            IoMention(name) => write!(
                f,
                "`{name}` is used in two ways only: `{name}.operation(…)` and `coroutine({name}, …)`, as an \
                 argument by itself"
            ),
            IoShadowed(name) => write!(f, "`{name}` is this coroutine's `Io`: give this variable another name"),
            IoInClosure => f.write_str("a closure or async block can't block: call `io` outside of it"),
            IoInMacro => f.write_str(
                "only `write!` and `writeln!` block: bind the value before the macro, \
                 `let value: T = …;`",
            ),
            MoveInMacro(name) => write!(
                f,
                "what `move` takes can't be seen in this macro: copy `{name}` in a `let` before it, or make the closure \
                 there"
            ),
            Await => f.write_str("a blocking call needs no `.await`: remove it"),
            ImpureArgument(text) => write!(
                f,
                "`{text}` would be computed again when the call resumes: bind it first, `let value: T = {};`",
                short(text)
            ),
            Temporary(text) => write!(
                f,
                "`{text}` would borrow a new value each time the call resumes: bind it first, `let mut value: T = …;`, \
                 and pass `&mut value`"
            ),
            NestedCall => f.write_str(
                "a blocking call can't be an argument of another one: bind it first, `let value: T = …;`",
            ),
            ImpureBefore(text) => write!(
                f,
                "`{text}` would run again when the blocking call after it resumes: bind it first, \
                 `let value: T = {};`",
                short(text)
            ),
            ReadBefore(name) => write!(
                f,
                "`{name}` is read before this blocking call, which may change it: bind it first, \
                 `let value: T = {name};`"
            ),
            ReadBeside(place) => write!(
                f,
                "this is computed again when the call resumes, and the call may have changed `{place}` by then: bind \
                 what is needed of it first, `let value: T = …;`"
            ),
            SecondCall => f.write_str(
                "two blocking calls in one expression: bind the first, `let value: T = …;`, then use `value`",
            ),
            ControlInExpression => f.write_str(
                "control flow that blocks can't be part of a bigger expression: bind it first, \
                 `let value: T = …;`",
            ),
            Guard => f.write_str("a guard can't block: bind its value before the `match`, `let value: bool = …;`"),
            SpecialBlock => f.write_str("this kind of block can't block: end it before the blocking call"),
            Iterator => f.write_str(
                "a `for` with blocking calls in its body goes over a range, or a slice or array by reference: \
                 use one of them, or `while let` with a counter",
            ),
            ChangingSlice(place) => write!(
                f,
                "the slice is computed again for each element, and the body may have changed `{place}` by then: bind \
                 what is needed of it first, `let value: T = …;`"
            ),
            CounterType => f.write_str(
                "the counter is alive across a blocking call and needs a type: `0..n` with a suffix, `0u32..n`, \
                 or `let i: usize = i;` as first statement of the body",
            ),
            Receiver(method) => write!(
                f,
                "the frame of `{method}` is found by its type: write `Type::{method}(&mut place, io)`, or call \
                 it on `self` or on a variable with a written type"
            ),
            Callee => f.write_str("a coroutine is called by its path: `module::name(io, …)`"),
            Recursion(name) => write!(
                f,
                "`{name}` would contain its own frame: use a loop with a stack of fixed size, or spawn it"
            ),
            LetChain => f.write_str(
                "a condition with `let` and several blocking calls can't be taken apart: nest the `if`s",
            ),
            OutsideLoop => f.write_str("there is no loop around this"),
            Item => f.write_str("items can't stand in a block that blocks: move this beside the coroutine"),
            Cfg => f.write_str(
                "`#[cfg]` can't stand in a block that blocks: use `if cfg!(…)`, or two coroutines with `#[cfg]`",
            ),
            PlainUnion => f.write_str(
                "a union isn't Plain: which of its fields is valid can't be known. Write an enum",
            ),
            PlainLifetime => f.write_str("a Plain type borrows nothing: remove the lifetime, keep values or indices"),
            App(text) => f.write_str(text),
            Internal(text) => write!(f, "a bug in vk's lowering, please report it: {text}"),
        }
    }
}

/// An excerpt for the second time in one message.
fn short(text: &str) -> &str {
    if text.ends_with('…') { "…" } else { text }
}

/// The refusals of one macro call, each at its tokens.
#[derive(Debug, Default)]
pub struct Refusals(Vec<(Refusal, syn::Error)>);

impl Refusals {
    /// Adds a refusal that points at `tokens`.
    pub fn push(&mut self, tokens: impl ToTokens, refusal: Refusal) {
        let error = syn::Error::new_spanned(tokens, &refusal);
        self.0.push((refusal, error));
    }

    /// Adds the refusals of another pass.
    pub fn extend(&mut self, more: Refusals) {
        self.0.extend(more.0);
    }

    /// Whether nothing was refused.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was refused, in the order of the source's walk.
    pub fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.0.iter().map(|(refusal, _)| refusal)
    }

    /// `compile_error!` calls, one for each refusal.
    pub fn to_compile_errors(&self) -> TokenStream {
        self.0.iter().map(|(_, error)| error.to_compile_error()).collect()
    }
}

/// A refusal as the only one.
impl<T: ToTokens> From<(T, Refusal)> for Refusals {
    fn from((tokens, refusal): (T, Refusal)) -> Refusals {
        let mut refusals = Refusals::default();
        refusals.push(tokens, refusal);
        refusals
    }
}

/// The source of `node` on one line, with the spaces that people leave out left out.
pub fn source(node: &impl ToTokens) -> String {
    const SPACED: [&str; 18] = [
        " . ", " ( ", " (", "( ", " )", " ,", " :: ", "& ", " ?", " ;", " [", "[ ", " ]", "* ", " < ", " >",
        " !", ":: ",
    ];
    let text = node.to_token_stream().to_string();
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for spaced in SPACED {
        text = text.replace(spaced, spaced.trim());
    }
    text.replace(" : ", ": ")
        .replace("match(", "match (")
        .replace("if(", "if (")
        .replace("=(", "= (")
        .replace("mut[", "mut [")
        .replace("mut(", "mut (")
        .replace("return::", "return ::")
}

/// The source of `node`, shortened for a message.
pub fn excerpt(node: &impl ToTokens) -> String {
    const LONGEST: usize = 40;
    let text = source(node);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
