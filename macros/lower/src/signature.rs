//! The signature of a coroutine: what its frame, `resume` and callers need to know.

use crate::refusal::{Refusal, Refusals};
use proc_macro2::Ident;
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Block, FnArg, GenericParam, Generics, ItemFn, Pat, PatIdent, ReturnType,
    Signature as SynSignature, Type, TypePath, TypeReference, Visibility, WherePredicate, parse_quote,
};

/// A parameter of a coroutine, in the order of its declaration, `self` not among them.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: Ident,
    /// Its type as written.
    pub ty: Type,
    /// How it reaches the body.
    pub passing: Passing,
}

/// How a parameter reaches the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// The one `io: &mut Io`.
    Io,
    /// `&T` or `&mut T`: passed again at each resume.
    Reference {
        /// `&mut`.
        mutable: bool,
    },
    /// Stored in the frame at the start.
    Value {
        /// `mut name`.
        mutable: bool,
    },
}

/// The type whose method a coroutine is.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// `Self`.
    pub ty: Type,
    /// `&self` or `&mut self` as written.
    pub this: Option<syn::Receiver>,
}

/// A coroutine that has been read and whose body hasn't.
#[derive(Clone, Debug)]
pub struct Signature {
    /// Attributes as written, without `#[coroutine]`.
    pub attributes: Vec<Attribute>,
    /// Visibility of the coroutine.
    pub visibility: Visibility,
    /// Name of the function or method.
    pub name: Ident,
    /// Name of the frame's type.
    pub frame: Ident,
    /// Type and const parameters of the frame.
    pub generics: Generics,
    /// Lifetime parameters, and predicates that mention them: of `resume`, not of the frame.
    pub lifetimes: Generics,
    /// The parameters.
    pub parameters: Vec<Parameter>,
    /// Result type, `()` if none is written.
    pub output: Type,
    /// For methods and associated functions of a type.
    pub receiver: Option<Receiver>,
    /// The body.
    pub body: Block,
}

impl Signature {
    /// Reads a free function.
    pub fn read(item: ItemFn) -> Result<Signature, Refusals> {
        if let Some(this) = item.sig.receiver() {
            return Err((this, Refusal::MethodAlone).into());
        }
        Signature::new(item.attrs, item.vis, item.sig, *item.block, None)
    }

    /// Reads a method of `impl<generics> ty`.
    pub fn method(method: syn::ImplItemFn, ty: &Type, generics: &Generics) -> Result<Signature, Refusals> {
        let mut refusals = Refusals::default();
        for param in method.sig.generics.params.iter().filter(|p| !matches!(p, GenericParam::Lifetime(_))) {
            refusals.push(param, Refusal::MethodGenerics);
        }
        if let Some(this) = method.sig.receiver()
            && (this.reference.is_none() || this.colon_token.is_some())
        {
            refusals.push(this, Refusal::SelfByValue);
        }
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let receiver = Receiver { ty: ty.clone(), this: method.sig.receiver().cloned() };
        let mut signature =
            Signature::new(method.attrs, method.vis, method.sig, method.block, Some(receiver))?;
        // Methods keep their own lifetimes where they stand; the frame has the block's types.
        signature.generics = split(generics).0;
        Ok(signature)
    }

    fn new(
        attributes: Vec<Attribute>,
        visibility: Visibility,
        sig: SynSignature,
        body: Block,
        receiver: Option<Receiver>,
    ) -> Result<Signature, Refusals> {
        let mut refusals = Refusals::default();
        for (word, span) in [
            ("const", sig.constness.map(|t| t.span())),
            ("async", sig.asyncness.map(|t| t.span())),
            ("unsafe", sig.unsafety.map(|t| t.span())),
            ("extern", sig.abi.as_ref().map(|t| t.span())),
            ("variadic", sig.variadic.as_ref().map(|t| t.span())),
        ] {
            if let Some(span) = span {
                refusals.push(Ident::new("here", span), Refusal::Qualifier(word));
            }
        }
        check_attributes(&attributes, &mut refusals);
        let mut parameters = Vec::new();
        for input in &sig.inputs {
            let FnArg::Typed(typed) = input else { continue };
            let Pat::Ident(PatIdent { by_ref: None, subpat: None, mutability, ident, .. }) = &*typed.pat
            else {
                refusals.push(&typed.pat, Refusal::PatternParameter);
                continue;
            };
            let ty = (*typed.ty).clone();
            let passing = if is_io(&ty) {
                Passing::Io
            } else if let Type::Reference(reference) = &ty {
                if mutability.is_some() {
                    refusals.push(mutability, Refusal::MutReference(ident.to_string()));
                }
                Passing::Reference { mutable: reference.mutability.is_some() }
            } else {
                if let Some(borrow) = borrow_in(&ty) {
                    refusals.push(borrow, Refusal::BorrowedParameter);
                }
                Passing::Value { mutable: mutability.is_some() }
            };
            if let Some(opaque) = opaque_in(&ty) {
                refusals.push(opaque, Refusal::ImplTrait);
            }
            parameters.push(Parameter { name: ident.clone(), ty, passing });
        }
        let mut ios = parameters.iter().filter(|parameter| parameter.passing == Passing::Io);
        if ios.next().is_none() && refusals.is_empty() {
            refusals.push(&sig.ident, Refusal::NoIo);
        }
        for extra in ios {
            refusals.push(&extra.ty, Refusal::ManyIo);
        }
        let output = match &sig.output {
            ReturnType::Default => parse_quote!(()),
            ReturnType::Type(_, ty) => (**ty).clone(),
        };
        if let Some(opaque) = opaque_in(&output) {
            refusals.push(opaque, Refusal::ImplTrait);
        }
        let by_self = receiver.as_ref().is_some_and(|receiver| receiver.this.is_some());
        if !by_self && let Some(elided) = elided_in(&output) {
            refusals.push(elided, Refusal::ElidedResult);
        }
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let frame = match &receiver {
            Some(receiver) => format_ident!("__{}_{}", type_name(&receiver.ty), sig.ident),
            None => sig.ident.clone(),
        };
        let (generics, lifetimes) = split(&sig.generics);
        Ok(Signature {
            attributes,
            visibility,
            name: sig.ident,
            frame,
            generics,
            lifetimes,
            parameters,
            output,
            receiver,
            body,
        })
    }

    /// The name of the `Io` parameter.
    pub fn io(&self) -> &Ident {
        let io = self.parameters.iter().find(|parameter| parameter.passing == Passing::Io);
        io.map_or(&self.name, |parameter| &parameter.name)
    }

    /// Whether the declared result is an `Option`, on which `?` needs help in a function that polls.
    pub fn is_option(&self) -> bool {
        matches!(&self.output, Type::Path(path) if path.path.segments.last().is_some_and(|s| s.ident == "Option"))
    }

    /// Whether it is a method that takes `&mut self`.
    pub fn changes_self(&self) -> bool {
        let this = self.receiver.as_ref().and_then(|receiver| receiver.this.as_ref());
        this.is_some_and(|this| this.mutability.is_some())
    }

    /// Whether the result may borrow from a parameter.
    pub fn borrows(&self) -> bool {
        borrow_in(&self.output).is_some()
    }

    /// `ty` with `Self` replaced by the type it stands for.
    pub fn without_self(&self, mut ty: Type) -> Type {
        if let Some(receiver) = &self.receiver {
            ReplaceSelf(&receiver.ty).visit_type_mut(&mut ty);
        }
        ty
    }
}

struct ReplaceSelf<'a>(&'a Type);

impl VisitMut for ReplaceSelf<'_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        match ty {
            Type::Path(TypePath { qself: None, path }) if path.is_ident("Self") => *ty = self.0.clone(),
            Type::Path(TypePath { qself: qself @ None, path })
                if path.segments.first().is_some_and(|first| first.ident == "Self") =>
            {
                let this = self.0;
                let rest = path.segments.iter().skip(1);
                let replaced: TypePath = parse_quote!(<#this>::#(#rest)::*);
                *qself = replaced.qself;
                *path = replaced.path;
            }
            _ => visit_mut::visit_type_mut(self, ty),
        }
    }
}

/// `&mut Io`, by its last path segment.
pub fn is_io(ty: &Type) -> bool {
    match ty {
        Type::Reference(TypeReference { mutability: Some(_), elem, .. }) => match &**elem {
            Type::Path(path) => {
                path.path.segments.last().is_some_and(|last| last.ident == "Io" && last.arguments.is_none())
            }
            _ => false,
        },
        Type::Group(group) => is_io(&group.elem),
        _ => false,
    }
}

/// The last segment of a type's path, `Session` of `app::Session<T>`.
fn type_name(ty: &Type) -> String {
    match ty {
        Type::Path(path) => path.path.segments.last().map_or_else(String::new, |last| last.ident.to_string()),
        _ => String::new(),
    }
}

/// Separates the lifetimes of `generics`, and the predicates that mention them, from types and consts. All
/// bounds become predicates.
fn split(generics: &Generics) -> (Generics, Generics) {
    let (mut types, mut lifetimes) = (Generics::default(), Generics::default());
    let mut place = |predicate: WherePredicate| {
        let side = if mentions_lifetime(&predicate) { &mut lifetimes } else { &mut types };
        side.make_where_clause().predicates.push(predicate);
    };
    for param in &generics.params {
        if let GenericParam::Type(ty) = param {
            let name = &ty.ident;
            for bound in &ty.bounds {
                place(parse_quote!(#name: #bound));
            }
        }
    }
    for predicate in generics.where_clause.iter().flat_map(|clause| &clause.predicates) {
        place(predicate.clone());
    }
    for param in &generics.params {
        match param {
            GenericParam::Lifetime(_) => lifetimes.params.push(param.clone()),
            GenericParam::Type(ty) => {
                let mut ty = ty.clone();
                (ty.bounds, ty.colon_token, ty.default, ty.eq_token) = Default::default();
                types.params.push(GenericParam::Type(ty));
            }
            GenericParam::Const(_) => types.params.push(param.clone()),
        }
    }
    (types, lifetimes)
}

fn mentions_lifetime(predicate: &WherePredicate) -> bool {
    struct Search(bool);
    impl<'ast> Visit<'ast> for Search {
        fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
            self.0 |= lifetime.ident != "static";
        }
        fn visit_bound_lifetimes(&mut self, _: &'ast syn::BoundLifetimes) {}
    }
    let mut search = Search(false);
    search.visit_where_predicate(predicate);
    search.0 && !quote!(#predicate).to_string().contains("for <")
}

/// Tokens of the first part of `ty` that `matches`.
fn find_type(ty: &Type, matches: fn(&Type) -> bool) -> Option<Type> {
    struct Search(fn(&Type) -> bool, Option<Type>);
    impl<'ast> Visit<'ast> for Search {
        fn visit_type(&mut self, ty: &'ast Type) {
            if self.1.is_none() && (self.0)(ty) {
                self.1 = Some(ty.clone());
            } else if !matches!(ty, Type::BareFn(_)) {
                visit::visit_type(self, ty);
            }
        }
        fn visit_parenthesized_generic_arguments(&mut self, _: &'ast syn::ParenthesizedGenericArguments) {}
    }
    let mut search = Search(matches, None);
    search.visit_type(ty);
    search.1
}

/// The first reference or lifetime in `ty`.
pub fn borrow_in(ty: &Type) -> Option<Type> {
    find_type(ty, |ty| match ty {
        Type::Reference(_) => true,
        Type::Path(path) => path.path.segments.iter().any(|segment| match &segment.arguments {
            syn::PathArguments::AngleBracketed(args) => {
                args.args.iter().any(|arg| matches!(arg, syn::GenericArgument::Lifetime(_)))
            }
            _ => false,
        }),
        _ => false,
    })
}

/// The first `_` in `ty`.
pub fn inferred_in(ty: &Type) -> Option<Type> {
    find_type(ty, |ty| matches!(ty, Type::Infer(_)))
}

/// The first `impl Trait` in `ty`.
fn opaque_in(ty: &Type) -> Option<Type> {
    find_type(ty, |ty| matches!(ty, Type::ImplTrait(_)))
}

/// The first reference without a name for its lifetime in `ty`.
fn elided_in(ty: &Type) -> Option<Type> {
    find_type(ty, |ty| match ty {
        Type::Reference(reference) => {
            reference.lifetime.as_ref().is_none_or(|lifetime| lifetime.ident == "_")
        }
        Type::Path(path) => path.path.segments.iter().any(|segment| match &segment.arguments {
            syn::PathArguments::AngleBracketed(args) => args
                .args
                .iter()
                .any(|arg| matches!(arg, syn::GenericArgument::Lifetime(lifetime) if lifetime.ident == "_")),
            _ => false,
        }),
        _ => false,
    })
}

/// Attributes that mean the same on a coroutine as on a function.
const ATTRIBUTES: [&str; 10] =
    ["doc", "cfg", "cfg_attr", "allow", "warn", "deny", "deprecated", "must_use", "inline", "cold"];

fn check_attributes(attributes: &[Attribute], refusals: &mut Refusals) {
    for attribute in attributes {
        let name = attribute.path().segments.first().map(|first| first.ident.to_string());
        if !name.as_deref().is_some_and(|name| ATTRIBUTES.contains(&name)) {
            refusals.push(attribute, Refusal::Attribute(name.unwrap_or_default()));
        }
    }
}
