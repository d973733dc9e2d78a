//! Where values and jumps go.

use crate::graph::{BlockId, Code, Variable, VariableId};
use crate::tokens::hidden;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};

/// Where a value goes.
#[derive(Clone, Debug)]
pub enum Dest {
    /// Nowhere: a statement.
    Ignore,
    /// To the caller.
    Return,
    /// To a variable of the frame; the segment goes on and sees it.
    Let(VariableId),
    /// To a variable of the frame that is seen from the next block on.
    Slot(VariableId),
    /// To a place: `place =`, with what evaluating it does.
    Assign(Code),
    /// To a place by an operator: `place +=`. The operand goes through a variable of the machine, so that its type is
    /// that of all branches, also for those that end in `panic!()`.
    Operate(Code, usize),
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

/// The target that a `break` with this label means.
pub fn find_target<'t>(targets: &'t [Target], label: Option<&str>) -> Option<&'t Target> {
    targets.iter().rev().find(|target| match label {
        Some(label) => target.label.as_deref() == Some(label),
        None => target.is_loop,
    })
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
            let shared = (!mutable).then(|| quote!(&*));
            let write = Ident::new("write", Span::mixed_site().located_at(name.span()));
            quote!(let #name = #shared #frame.#field.#write(#v);)
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
        Dest::Operate(place, number) => {
            let value = operand(*number);
            code.operands.insert(*number);
            code.append_effects(place.clone());
            let place = &place.tokens;
            quote!(#value = #v; #place #value;)
        }
        Dest::Never => quote!(let _: ::core::convert::Infallible = #v;),
    };
    (code, matches!(dest, Dest::Return))
}

/// The variable of the machine for the operand with this number.
pub fn operand(number: usize) -> Ident {
    hidden(&format!("operand_{number}"))
}
