//! `#[derive(Plain)]`: a promise that the compiler checks field by field.

use crate::refusal::{Refusal, Refusals};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
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
    let checks = fields.iter().map(|field| {
        let ty = &field.ty;
        quote_spanned!(ty.span()=> plain::<#ty>();)
    });
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
            // SAFETY: every field is `Plain`, checked below, and nothing needs `Drop`.
            unsafe impl #impl_generics ::vk::rt::Plain for #name #types #clause {}
            #[allow(dead_code)]
            fn fields #impl_generics () #clause {
                fn plain<T: ::vk::rt::Plain>() {}
                #(#checks)*
            }
            #dropless
        };
    })
}
