//! `#[derive(Plain)]`: a promise that the compiler checks field by field.

use crate::fingerprint;
use crate::refusal::{Refusal, Refusals};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, GenericParam, parse_quote};

/// Implements `Plain` for a struct or enum whose fields are all `Plain`.
pub fn derive(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    expand(&input).unwrap_or_else(|refusals| refusals.to_compile_errors())
}

fn expand(input: &DeriveInput) -> Result<TokenStream, Refusals> {
    let fields: Vec<&syn::Field> = match &input.data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(data) => return Err((data.union_token, Refusal::PlainUnion).into()),
    };
    if let Some(lifetime) = input.generics.lifetimes().next() {
        return Err((lifetime, Refusal::PlainLifetime).into());
    }
    let name = &input.ident;
    let mut generics = input.generics.clone();
    for param in &mut generics.params {
        if let GenericParam::Type(param) = param {
            param.bounds.push(parse_quote!(::vk::rt::Plain));
        }
    }
    let (impl_generics, types, clause) = generics.split_for_impl();
    let layout = layout(input);
    let dropless = if generics.params.is_empty() {
        let message = format!("`{name}` is Plain, so it may not implement Drop");
        // A field with `Drop` isn't Plain and has been reported.
        let fields = fields.iter().map(|field| &field.ty);
        quote_spanned! {name.span()=>
            const _: () = ::core::assert!(
                !::core::mem::needs_drop::<#name>() #(|| ::core::mem::needs_drop::<#fields>())*,
                #message
            );
        }
    } else {
        // Can't be evaluated for a generic type: an overlap of impls says the same.
        quote! {
            trait PlainTypesMustNotImplementDrop {}
            #[allow(drop_bounds)]
            impl<T: ::core::ops::Drop + ?::core::marker::Sized> PlainTypesMustNotImplementDrop for T {}
            impl #impl_generics PlainTypesMustNotImplementDrop for #name #types #clause {}
        }
    };
    Ok(quote! {
        #[doc(hidden)]
        #[allow(clippy::all, clippy::pedantic, clippy::undocumented_unsafe_blocks, non_local_definitions)]
        const _: () = {
            // SAFETY: every field is `Plain`, checked in `LAYOUT`, and nothing needs `Drop`.
            unsafe impl #impl_generics ::vk::rt::Plain for #name #types #clause {
                const LAYOUT: u64 = #layout;
            }
            const fn plain<T: ::vk::rt::Plain>() -> u64 {
                T::LAYOUT
            }
            #dropless
        };
    })
}

/// The fingerprint, field by field, where the compiler checks that each is `Plain`. Where the fields of an enum lie is the
/// compiler's choice, and goes into it as that.
fn layout(input: &DeriveInput) -> TokenStream {
    let name = input.ident.to_string();
    let field = |field: &syn::Field| {
        let (ty, name) = (&field.ty, field.ident.as_ref().map(ToString::to_string).unwrap_or_default());
        let layout = quote_spanned!(ty.span()=> plain::<#ty>());
        quote!(::vk::rt::hash::text(#name), ::core::mem::size_of::<#ty>() as u64, #layout)
    };
    let (kind, parts): (_, Vec<_>) = match &input.data {
        Data::Enum(data) => {
            let units = data.variants.iter().all(|variant| matches!(variant.fields, syn::Fields::Unit));
            let variants = data.variants.iter().map(|variant| {
                let (ident, fields) = (&variant.ident, variant.fields.iter().map(field));
                let name = ident.to_string();
                let discriminant = match &variant.discriminant {
                    _ if units => quote!(Self::#ident as u64),
                    Some((_, value)) => fingerprint::tokens(&value.to_token_stream()).to_token_stream(),
                    None => quote!(0),
                };
                quote!(::vk::rt::hash::text(#name), #discriminant #(, #fields)*)
            });
            (quote!(opaque), variants.collect())
        }
        Data::Struct(data) => {
            let fields = data.fields.iter().zip(data.fields.members()).map(|(it, member)| {
                let field = field(it);
                quote!(::core::mem::offset_of!(Self, #member) as u64, #field)
            });
            (quote!(named), fields.collect())
        }
        // Refused.
        Data::Union(_) => (quote!(opaque), Vec::new()),
    };
    quote!(::vk::rt::hash::numbers(&[::vk::rt::hash::#kind::<Self>(#name), #(#parts),*]))
}
