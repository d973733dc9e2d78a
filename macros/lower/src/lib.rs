//! Lowers blocking-style functions to state machines of plain data: the passes behind `#[coroutine]`.
//!
//! ```text
//!   tokens ─► signature ─► lower (scope, hoist, branch, repeat) ─► graph ─► validate ─► expand ─► tokens
//!                             │                                      │
//!                          refusal: each mistake, at its token     print: Display, dot
//! ```
//!
//! The one rule that everything rests on: *a call on `io`, or a call that is handed `io`, blocks; nothing else
//! does.* So suspension points are found in the syntax (`blocking`), and no types are needed.
//!
//! - A variable whose scope contains a later suspension point lives in the frame; it needs a type.
//! - A statement with a suspension point is evaluated again from its start when it resumes, so only what may
//!   be evaluated twice comes before the call (`purity`), and nothing in it depends on what the call may change
//!   (`lending`). What is pure is told by names, of std and of vk's rooms: a user's type that has a `new`, `from_…`,
//!   `get` or `path` must be pure in it as well. Progress of the operation is kept by `Io`.
//! - What doesn't block stays as the user wrote it: only names of frame variables and jumps change
//!   (`rewrite`).
//! - One deviation from ordinary Rust: temporaries in the value of a `match`, or in the condition of an `if` or
//!   `while`, whose branches block, end before the branch begins.
//!
//! With `VK_DUMP=dir` in the environment of a build, each coroutine's graph and expansion is written to
//! `dir/NAME.txt`.
//!
//! Nothing here panics, whatever the tokens; a mistake of the lowering is found by [`validate`] and reported as
//! an error.

pub mod app;
mod blocking;
mod dest;
mod dump;
mod expand;
mod fingerprint;
pub mod graph;
mod lending;
mod lower;
pub mod plain;
mod print;
mod purity;
pub mod refusal;
mod rewrite;
mod scope;
mod signature;
mod tokens;
pub mod validate;

pub use dump::pretty;
pub use graph::Graph;
pub use refusal::{Refusal, Refusals};

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use signature::Signature;
use syn::{FnArg, ImplItem, ImplItemFn, Item, ItemImpl, Type};

/// Expands `#[coroutine]` on `item`.
pub fn coroutine(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut refusals = Refusals::default();
    if !attribute.is_empty() {
        refusals.push(attribute, Refusal::Arguments);
    }
    if let Some(name) = tokens::reserved(&item) {
        refusals.push(name, Refusal::Reserved);
        return refusals.to_compile_errors();
    }
    let expanded = match syn::parse2::<Item>(item) {
        Ok(Item::Fn(function)) => match Signature::read(function) {
            Ok(signature) => free(&signature, &mut refusals),
            Err(more) => {
                refusals.extend(more);
                TokenStream::new()
            }
        },
        Ok(Item::Impl(block)) => methods(block, &mut refusals),
        Ok(other) => {
            refusals.push(&other, Refusal::NotAFunction);
            other.into_token_stream()
        }
        Err(error) => error.to_compile_error(),
    };
    let errors = refusals.to_compile_errors();
    quote!(#errors #expanded)
}

/// The graphs of the coroutines in `item`, a function or an impl block.
///
/// # Errors
/// What was refused.
pub fn graphs(item: Item) -> Result<Vec<Graph>, Refusals> {
    let signatures = match item {
        Item::Fn(function) => vec![Signature::read(function)?],
        Item::Impl(block) => {
            let coroutines = block.items.iter().filter_map(|item| match item {
                ImplItem::Fn(method) if is_coroutine(method) => Some(method.clone()),
                _ => None,
            });
            coroutines
                .map(|method| Signature::method(method, &block.self_ty, &block.generics))
                .collect::<Result<_, _>>()?
        }
        other => return Err((other, Refusal::NotAFunction).into()),
    };
    signatures.iter().map(lower::lower).collect()
}

fn free(signature: &Signature, refusals: &mut Refusals) -> TokenStream {
    match checked(signature) {
        Ok(graph) => {
            let expanded = expand::function(signature, &graph);
            dump::dump(&graph, &expanded);
            expanded
        }
        Err(more) => {
            refusals.extend(more);
            expand::stub(signature)
        }
    }
}

/// The graph of `signature`, valid.
fn checked(signature: &Signature) -> Result<Graph, Refusals> {
    let graph = lower::lower(signature)?;
    validate::validate(&graph)
        .map_err(|problem| Refusals::from((&signature.name, Refusal::Internal(problem))))?;
    Ok(graph)
}

fn is_coroutine(method: &ImplItemFn) -> bool {
    method.sig.inputs.iter().any(|input| matches!(input, FnArg::Typed(typed) if signature::is_io(&typed.ty)))
}

/// Lowers the coroutines of an impl block and leaves its other items.
fn methods(mut block: ItemImpl, refusals: &mut Refusals) -> TokenStream {
    if let Some((_, path, _)) = &block.trait_ {
        refusals.push(path, Refusal::TraitImpl);
        return block.into_token_stream();
    }
    let has_coroutine =
        block.items.iter().any(|item| matches!(item, ImplItem::Fn(method) if is_coroutine(method)));
    if !has_coroutine || !matches!(&*block.self_ty, Type::Path(path) if path.qself.is_none()) {
        refusals.push(&block.self_ty, Refusal::EmptyImpl);
        return block.into_token_stream();
    }
    let cfgs: Vec<_> =
        block.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect();
    let mut outside = TokenStream::new();
    let mut items = Vec::new();
    for item in std::mem::take(&mut block.items) {
        let mut method = match item {
            ImplItem::Fn(method) if is_coroutine(&method) => method,
            other => {
                items.push(other);
                continue;
            }
        };
        method.attrs.extend(cfgs.iter().cloned());
        let signature = match Signature::method(method, &block.self_ty, &block.generics) {
            Ok(signature) => signature,
            Err(more) => {
                refusals.extend(more);
                continue;
            }
        };
        let Some(receiver) = &signature.receiver else { continue };
        let graph = checked(&signature);
        let (beside, inside) = match &graph {
            Ok(graph) => expand::method(&signature, graph, receiver, &block.generics),
            Err(_) => expand::method(&signature, &expand::empty(&signature), receiver, &block.generics),
        };
        match graph {
            Ok(graph) => dump::dump(&graph, &quote!(#beside impl Methods { #inside })),
            Err(more) => refusals.extend(more),
        }
        outside.extend(beside);
        items.push(ImplItem::Verbatim(inside));
    }
    block.items = items;
    quote!(#block #outside)
}
