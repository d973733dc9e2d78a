//! From graph to Rust: the frame, how to begin it, and the machine.
//!
//! ```text
//! fn step(frame, io, …) -> Poll<R> {        // blocks nest, so that going forward is leaving a label
//!     let mut pc = frame.pc;
//!     'run: loop {
//!         'b2: {
//!             'b1: {
//!                 match pc { 0 => {} 1 => break 'b1, 2 => break 'b2, _ => … }
//!                 { block 0: falls through }
//!             }
//!             { block 1: falls through, or suspends with `frame.pc = 1; return Pending` }
//!         }
//!         { block 2: goes back with `pc = 1; continue 'run` }
//!     }
//! }
//! ```
//!
//! Each block first borrows the variables that it uses from their slots, which costs nothing, so that the
//! borrow checker sees ordinary places; nothing borrowed reaches another block.

use crate::dest::operand;
use crate::fingerprint::{self, hash};
use crate::graph::{
    Block, BlockId, Code, Edge, Graph, Mark, Terminator, Variable, VariableId, replace_marks,
};
use crate::rewrite::get_slot;
use crate::signature::{Parameter, Passing, Receiver, Signature};
use crate::tokens::{headed, hidden};
use crate::validate::written;
use proc_macro2::{Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use std::collections::BTreeSet;
use syn::spanned::Spanned;
use syn::{Attribute, Generics, Ident, Lifetime, Type, parse_quote};

/// The items that a free coroutine becomes.
pub fn function(signature: &Signature, graph: &Graph) -> TokenStream {
    let frame = frame(signature, graph);
    let parts = Parts::new(signature, graph);
    let Parts { name, attributes: cfg, visibility, .. } = &parts;
    let (impl_generics, types, clause) = signature.generics.split_for_impl();
    let resume = parts.resume(&parse_quote!(resume), &quote!(&mut self), &quote!(self), quote!(Self::step));
    let hidden_frame = hidden("frame");
    let step = parts.steps(&format_ident!("step"), &quote!(#hidden_frame: &mut Self));
    let fingerprints = parts.fingerprints(&step);
    let coroutine = parts.coroutine();
    let lints = lints();
    quote! {
        #frame
        #fingerprints
        #(#cfg)*
        #lints
        impl #impl_generics #name #types #clause {
            #[doc(hidden)]
            #[inline]
            #visibility fn enter(&mut self) {
                self.pc = 0;
            }
            #[doc(hidden)]
            #[inline]
            #resume
            #step
        }
        #coroutine
    }
}

/// The items of a coroutine whose body was refused, so that its callers aren't refused as well.
pub fn stub(signature: &Signature) -> TokenStream {
    function(signature, &empty(signature))
}

/// A graph without blocks, for a body that was refused.
pub fn empty(signature: &Signature) -> Graph {
    let name = signature.frame.to_string();
    Graph { name, variables: Vec::new(), callees: Vec::new(), blocks: Vec::new(), deadline: None }
}

/// What a method becomes: items beside its impl block, whose generics are `block`, and items inside of it.
pub fn method(
    signature: &Signature,
    graph: &Graph,
    receiver: &Receiver,
    block: &Generics,
) -> (TokenStream, TokenStream) {
    let item = frame(signature, graph);
    let parts = Parts::new(signature, graph);
    let Parts { name: frame, attributes: cfg, .. } = &parts;
    let (impl_generics, types, clause) = signature.generics.split_for_impl();
    let (block_generics, _, block_clause) = block.split_for_impl();
    let (ty, hash) = (&receiver.ty, Literal::u64_suffixed(hash(&signature.name.to_string())));
    let attributes = &signature.attributes;
    let step = format_ident!("__{}_step", signature.name);
    let this = receiver.this.as_ref().map(|this| quote!(#this,));
    let pass = receiver.this.as_ref().map(|this| quote_spanned!(this.self_token.span=> self,));
    let hidden_frame = hidden("frame");
    let resume =
        parts.method(&quote!(#this), &quote!(#hidden_frame: &mut #frame #types), &quote!(#pass), &step);
    let steps = parts.steps(&step, &quote!(#this #hidden_frame: &mut #frame #types));
    let fingerprints = parts.fingerprints(&steps);
    let outside = quote! {
        #item
        #fingerprints
        #(#cfg)*
        impl #impl_generics #frame #types #clause {
            #[doc(hidden)]
            #[inline]
            pub fn enter(&mut self) {
                self.pc = 0;
            }
        }
        #(#cfg)*
        impl #block_generics ::vk::rt::Method<#hash> for #ty #block_clause {
            type Frame = #frame #types;
        }
    };
    let inside = quote!(#(#attributes)* #[allow(clippy::all)] #resume #steps);
    (outside, inside)
}

/// Lints that generated code would raise on the user's tokens.
fn lints() -> TokenStream {
    quote! {
        #[allow(
            clippy::all, clippy::pedantic, clippy::nursery, clippy::undocumented_unsafe_blocks,
            unreachable_code, unused_assignments, unused_braces, unused_labels, unused_mut, unused_parens,
            unused_unsafe, unused_variables, unused_qualifications, non_snake_case
        )]
    }
}

/// Attributes that go on every generated item.
fn shared(attributes: &[Attribute]) -> Vec<&Attribute> {
    let is_shared = |a: &&Attribute| ["cfg", "allow", "warn", "deny"].iter().any(|n| a.path().is_ident(n));
    attributes.iter().filter(is_shared).collect()
}

/// The frame's type.
fn frame(signature: &Signature, graph: &Graph) -> TokenStream {
    let Signature { frame, generics, attributes, receiver, .. } = signature;
    let (declared, _, clause) = generics.split_for_impl();
    let fields = graph.variables.iter().map(|variable| {
        let (field, ty) = (&variable.field, &variable.ty);
        let slot = quote_spanned!(ty.span()=> ::vk::rt::Slot<#ty>);
        quote!(#field: #slot,)
    });
    let callees = overlay(&graph.callees, 0).map(|overlay| quote!(callee: #overlay,));
    let names: Vec<&Ident> = generics.type_params().map(|param| &param.ident).collect();
    let used = (!names.is_empty()).then(|| {
        // Pointers, as the types may be unsized.
        quote!(generics: ::core::marker::PhantomData<fn() -> (#(*const #names,)*)>,)
    });
    let on_struct = |attribute: &&Attribute| {
        !["inline", "cold"].iter().any(|name| attribute.path().is_ident(name))
            && (receiver.is_none() || !attribute.path().is_ident("doc"))
    };
    let attributes = attributes.iter().filter(on_struct);
    let (visibility, doc) = match receiver {
        None => (signature.visibility.to_token_stream(), None),
        // As public as the type may be: it is the value of an associated type.
        Some(_) => (quote!(pub), Some(quote!(#[doc(hidden)]))),
    };
    quote! {
        #(#attributes)*
        #doc
        #[allow(non_camel_case_types, missing_debug_implementations, clippy::all)]
        #[repr(C)]
        #visibility struct #frame #declared #clause {
            pc: u32,
            #(#fields)*
            #callees
            #used
        }
    }
}

/// The frames of the callee `root` and of those below it; see `vk::rt::Overlay`.
fn overlay(callees: &[Type], root: usize) -> Option<TokenStream> {
    let callee = callees.get(root)?;
    let left = overlay(callees, 2 * root + 1).into_iter();
    let right = overlay(callees, 2 * root + 2).into_iter();
    Some(quote!(::vk::rt::Overlay<#callee #(, #left)* #(, #right)*>))
}

/// A coroutine on its way to Rust.
struct Parts<'a> {
    signature: &'a Signature,
    graph: &'a Graph,
    name: &'a Ident,
    attributes: Vec<&'a Attribute>,
    visibility: &'a syn::Visibility,
}

impl<'a> Parts<'a> {
    fn new(signature: &'a Signature, graph: &'a Graph) -> Parts<'a> {
        let Signature { frame: name, visibility, .. } = signature;
        Parts { signature, graph, name, attributes: shared(&signature.attributes), visibility }
    }

    fn values(&self) -> impl Iterator<Item = &'a Parameter> {
        self.signature
            .parameters
            .iter()
            .filter(|parameter| matches!(parameter.passing, Passing::Value { .. }))
    }

    /// Parameters that are passed again at each resume: `io` and references.
    fn passed(&self) -> Vec<&'a Parameter> {
        let is_passed = |parameter: &&Parameter| !matches!(parameter.passing, Passing::Value { .. });
        self.signature.parameters.iter().filter(is_passed).collect()
    }

    /// Writes the parameters by value if this is the beginning.
    fn begin(&self, frame: &TokenStream) -> Option<TokenStream> {
        // The graph of a stub has no variables.
        let fields: Vec<_> = self.graph.variables.iter().filter(|v| v.parameter).map(|v| &v.field).collect();
        let names = self.values().take(fields.len()).map(|parameter| &parameter.name);
        (!fields.is_empty()).then(|| quote!(if #frame.pc == 0 { #(#frame.#fields.write(#names);)* }))
    }

    /// What callers call: all parameters each time.
    fn resume(
        &self,
        name: &Ident,
        this: &TokenStream,
        frame: &TokenStream,
        step: TokenStream,
    ) -> TokenStream {
        let Signature { visibility, output, lifetimes, parameters, .. } = self.signature;
        let (generics, _, clause) = lifetimes.split_for_impl();
        let parameters = parameters.iter().map(|Parameter { name, ty, .. }| quote!(#name: #ty));
        let begin = self.begin(frame);
        let passed = self.passed().into_iter().map(|parameter| &parameter.name);
        quote! {
            #visibility fn #name #generics (#this, #(#parameters),*) -> ::vk::rt::Poll<#output> #clause {
                #begin
                #step(#frame, #(#passed),*)
            }
        }
    }

    /// The same for a method: it keeps its name and place, and the frame comes last.
    fn method(
        &self,
        this: &TokenStream,
        last: &TokenStream,
        pass: &TokenStream,
        step: &Ident,
    ) -> TokenStream {
        let Signature { visibility, output, lifetimes, parameters, name, .. } = self.signature;
        let (generics, _, clause) = lifetimes.split_for_impl();
        let parameters = parameters.iter().map(|Parameter { name, ty, .. }| quote!(#name: #ty));
        let frame = hidden("frame");
        let begin = self.begin(&quote!(#frame));
        let passed = self.passed().into_iter().map(|parameter| &parameter.name);
        quote! {
            #visibility fn #name #generics (#this #(#parameters,)* #last) -> ::vk::rt::Poll<#output> #clause {
                #begin
                Self::#step(#pass #frame, #(#passed),*)
            }
        }
    }

    /// The machine: `step`, and if the coroutine sets a deadline, what puts the caller's back at the end.
    fn steps(&self, name: &Ident, first: &TokenStream) -> TokenStream {
        let io = self.signature.io();
        let Some(deadline) = self.graph.deadline else {
            let body = self.machine();
            return self.step(name, first, body);
        };
        let run = format_ident!("{}_run", name);
        let run_step = self.step(&run, first, self.machine());
        let (frame, result) = (hidden("frame"), hidden("result"));
        let this = self.signature.receiver.as_ref().and_then(|receiver| receiver.this.as_ref());
        let this = this.map(|this| quote_spanned!(this.self_token.span=> self,));
        let passed = self.passed().into_iter().map(|parameter| &parameter.name);
        let mark = get_slot(&self.graph.variables[deadline.0]);
        let restore = quote! {
            let #result = Self::#run(#this #frame, #(#passed),*);
            if #result.is_ready() {
                #io.deadline_restore(*#mark);
            }
            #result
        };
        let outer = self.step(name, first, restore);
        quote!(#outer #run_step)
    }

    fn step(&self, name: &Ident, first: &TokenStream, body: TokenStream) -> TokenStream {
        let Signature { output, lifetimes, attributes, .. } = self.signature;
        const SMALL: usize = 4;
        let inline = attributes.iter().filter(|a| a.path().is_ident("inline") || a.path().is_ident("cold"));
        let small =
            self.graph.blocks.len() <= SMALL && !attributes.iter().any(|a| a.path().is_ident("inline"));
        let inline = if small { quote!(#[inline]) } else { quote!(#(#inline)*) };
        let (generics, _, clause) = lifetimes.split_for_impl();
        let passed = self.passed().into_iter().map(|Parameter { name, ty, .. }| quote!(#name: #ty));
        let lints = self.signature.receiver.as_ref().map(|_| {
            let lints = lints();
            quote!(#[doc(hidden)] #lints)
        });
        quote! {
            #lints
            #inline
            fn #name #generics (#first, #(#passed),*) -> ::vk::rt::Poll<#output> #clause {
                #body
            }
        }
    }

    /// What other builds compare; `steps` is what runs.
    fn fingerprints(&self, steps: &TokenStream) -> TokenStream {
        let Parts { name, attributes: cfg, graph, .. } = self;
        let (impl_generics, types, clause) = self.signature.generics.split_for_impl();
        let fields = graph.variables.iter().enumerate().map(|(id, Variable { field, ty, .. })| {
            // Its caller's deadline: no variable of the user has that name.
            let name =
                if graph.deadline == Some(VariableId(id)) { "io.deadline".into() } else { field.to_string() };
            // The one place where the compiler checks that what lives in a frame is `Plain`, so that it says so once.
            let of = quote_spanned!(ty.span()=> ::vk::rt::Field::of::<#ty>);
            quote!(#of(#name, ::core::mem::offset_of!(Self, #field)))
        });
        let body = Literal::u64_suffixed(fingerprint::tokens(steps));
        let consts = self.signature.generics.const_params().map(|param| &param.ident);
        let callees = &graph.callees;
        let lints = lints();
        quote! {
            #(#cfg)*
            #lints
            // SAFETY: `repr(C)` with the program counter first; the other fields are slots, frames and unions of such.
            unsafe impl #impl_generics ::vk::rt::Frame for #name #types #clause {
                const FIELDS: &'static [::vk::rt::Field] = &[#(#fields),*];
                const LAYOUT: u64 = ::vk::rt::layout::<Self>(&[#(::vk::rt::layout_of::<#callees>()),*]);
                const BODY: u64 = ::vk::rt::hash::numbers(
                    &[#body, #(#consts as u64,)* #(::vk::rt::body_of::<#callees>()),*]
                );
            }
        }
    }

    /// The places where it blocks.
    fn points(&self) -> TokenStream {
        // A stub has no blocks.
        let written = if self.graph.blocks.is_empty() { Vec::new() } else { written(self.graph) };
        let blocks =
            self.graph.blocks.iter().zip(&written).enumerate().filter(|(_, (block, _))| block.resume);
        let points = blocks.map(|(pc, (block, live))| {
            let (pc, anchor) = (Literal::usize_unsuffixed(pc), Literal::u64_unsuffixed(block.anchor));
            let calls = block.callee.is_some();
            let live = live.iter().flatten().map(|VariableId(id)| Literal::usize_unsuffixed(*id));
            let line = quote_spanned!(block.span => ::core::line!());
            quote!(::vk::rt::Point { pc: #pc, anchor: #anchor, line: #line, calls: #calls, live: &[#(#live),*] })
        });
        quote!(&[#(#points),*])
    }

    /// Coroutines without reference parameters can be started on their own.
    fn coroutine(&self) -> Option<TokenStream> {
        let Signature { frame, generics, lifetimes, parameters, output, .. } = self.signature;
        let alone =
            parameters.iter().all(|parameter| !matches!(parameter.passing, Passing::Reference { .. }));
        if !alone || !lifetimes.params.is_empty() || lifetimes.where_clause.is_some() {
            return None;
        }
        let mut generics = generics.clone();
        let names: Vec<Ident> = generics.type_params().map(|param| param.ident.clone()).collect();
        for name in names {
            generics.make_where_clause().predicates.push(parse_quote!(#name: 'static));
        }
        let (impl_generics, types, clause) = generics.split_for_impl();
        let args = self.values().map(|parameter| &parameter.ty);
        let fields =
            self.graph.variables.iter().filter(|variable| variable.parameter).map(|variable| &variable.field);
        let numbers = (0..).map(Literal::usize_unsuffixed);
        let name = frame.to_string();
        let cfg = &self.attributes;
        let points = self.points();
        let entry = generics.params.is_empty().then(|| {
            quote! {
                const ENTRY: ::core::option::Option<&'static ::core::option::Option<::vk::rt::Entry>> =
                    ::vk::rt::register!(#frame);
            }
        });
        Some(quote! {
            #(#cfg)*
            #[allow(clippy::all)]
            impl #impl_generics ::vk::rt::Coroutine for #frame #types #clause {
                type Args = (#(#args,)*);
                type Output = #output;
                const NAME: &'static str = ::core::concat!(::core::module_path!(), "::", #name);
                const SHAPE: &'static ::vk::rt::Shape =
                    &::vk::rt::Shape { fields: <Self as ::vk::rt::Frame>::FIELDS, points: #points, file: ::core::file!() };
                #entry
                #[inline]
                fn start(frame: &mut ::core::mem::MaybeUninit<Self>, args: Self::Args) {
                    // SAFETY: once `pc` is written every field is valid: the others are slots, which may be
                    // uninitialised.
                    let frame = unsafe {
                        (&raw mut (*frame.as_mut_ptr()).pc).write(0);
                        frame.assume_init_mut()
                    };
                    #(frame.#fields.write(args.#numbers);)*
                }
                #[inline]
                fn resume(&mut self, io: &mut ::vk::rt::Io) -> ::vk::rt::Poll<Self::Output> {
                    Self::step(self, io)
                }
            }
        })
    }

    /// The blocks.
    fn machine(&self) -> TokenStream {
        let name = &self.graph.name;
        let (frame, pc) = (hidden("frame"), hidden("pc"));
        let (run, blocks) = (lifetime("'run"), lifetime("'blocks"));
        let entered = self.entered();
        let labels: BTreeSet<BlockId> = self.forward().union(&entered).copied().collect();
        let arms = entered.iter().map(|id| {
            let (number, label) = (Literal::usize_unsuffixed(id.0), label(*id));
            quote!(#number => break #label,)
        });
        let mut all = quote! {
            match #pc {
                0 => {}
                #(#arms)*
                _ => ::vk::rt::resumed_after_end(#name),
            }
        };
        for (at, block) in self.graph.blocks.iter().enumerate() {
            let id = BlockId(at);
            if labels.contains(&id) {
                let label = label(id);
                all = quote!(#label: { #all });
            }
            let block = self.block(id, block);
            all.extend(quote!({ #block }));
        }
        let operands: BTreeSet<usize> =
            self.graph.blocks.iter().flat_map(|block| block.effects().operands).collect();
        let operands = operands.into_iter().map(operand);
        quote! {
            #(let mut #operands;)*
            let mut #pc = #frame.pc;
            #frame.pc = ::vk::rt::DONE;
            #run: loop {
                // A `break` or `continue` out of a macro of the user's, whose loop is gone, is an error in here
                // (E0695); it would be one of this loop otherwise.
                #blocks: {
                    #all
                }
            }
        }
    }

    /// Blocks that are entered through the program counter: resumed ones, and those that are gone back to.
    fn entered(&self) -> BTreeSet<BlockId> {
        let blocks = self.graph.blocks.iter().enumerate();
        let mut entered: BTreeSet<BlockId> = BTreeSet::new();
        for (at, block) in blocks {
            if block.resume {
                entered.insert(BlockId(at));
            }
            entered.extend(block.successors().into_iter().map(|(to, _)| to).filter(|to| to.0 <= at));
        }
        entered
    }

    /// Blocks that are jumped to from a block before, other than by falling into them.
    fn forward(&self) -> BTreeSet<BlockId> {
        let mut found = BTreeSet::new();
        for (at, block) in self.graph.blocks.iter().enumerate() {
            let falls = BlockId(at + 1);
            let jumps = block.edges().into_iter().flat_map(|edge| &edge.code.jumps).chain(&block.code.jumps);
            let ends = match block.terminator {
                Terminator::Goto(to) => vec![to],
                _ => block.edges().iter().filter_map(|edge| edge.to).collect(),
            };
            found.extend(jumps.map(|jump| jump.to));
            found.extend(ends.into_iter().filter(|to| *to != falls));
        }
        found
    }

    /// An expression that goes to `to` from the block `from`.
    fn jump(from: BlockId, to: BlockId) -> TokenStream {
        if to > from {
            let label = label(to);
            quote!(break #label)
        } else {
            let (pc, run, number) = (hidden("pc"), lifetime("'run"), Literal::usize_unsuffixed(to.0));
            quote!({ #pc = #number; continue #run })
        }
    }

    fn block(&self, id: BlockId, block: &Block) -> TokenStream {
        let bindings = self.bindings(&block.effects());
        let code = &block.code.tokens;
        let end = |to: BlockId| {
            let jump = Self::jump(id, to);
            (to.0 != id.0 + 1).then(|| quote!(#jump;))
        };
        let edge = |edge: &Edge| {
            let (code, to) = (&edge.code.tokens, edge.to.and_then(end));
            quote!({ #code #to })
        };
        let terminator = match &block.terminator {
            Terminator::Goto(to) => end(*to),
            Terminator::Return => None,
            Terminator::Branch { condition, then, otherwise } => {
                let (condition, then, otherwise) = (headed(condition), edge(then), edge(otherwise));
                Some(quote!(if #condition #then else #otherwise;))
            }
            Terminator::Match { scrutinee, arms } => {
                let arms = arms.iter().map(|arm| {
                    let (pattern, edge) = (&arm.pattern, edge(&arm.edge));
                    quote!(#pattern => #edge)
                });
                let scrutinee = headed(scrutinee);
                Some(quote!(match #scrutinee { #(#arms)* };))
            }
        };
        replace_marks(&quote!(#bindings #code #terminator), &|mark| match mark {
            Mark::Jump(to) => Self::jump(id, to),
            Mark::Counter(BlockId(number)) => Literal::usize_unsuffixed(number).to_token_stream(),
        })
    }

    /// Borrows what a block uses.
    fn bindings(&self, effects: &Code) -> TokenStream {
        let mut bindings = TokenStream::new();
        for VariableId(id) in effects.reads.difference(&effects.writes) {
            let variable = &self.graph.variables[*id];
            let (name, get) = (&variable.name, get_slot(variable));
            let shared = (!variable.mutable).then(|| quote!(&*));
            bindings.extend(quote!(let #name = #shared #get;));
        }
        if !self.signature.borrows() {
            for id in &effects.references {
                let Parameter { name, passing, .. } = &self.signature.parameters[*id];
                if *passing == (Passing::Reference { mutable: true }) {
                    bindings.extend(quote!(let #name = &mut *#name;));
                }
            }
        }
        bindings
    }
}

fn lifetime(name: &str) -> Lifetime {
    Lifetime::new(name, Span::mixed_site())
}

fn label(BlockId(number): BlockId) -> Lifetime {
    lifetime(&format!("'b{number}"))
}
