//! Which frame a blocking call runs on.

use super::Lowerer;
use crate::blocking::{bare, is_camel};
use crate::fingerprint::hash;
use crate::graph::CalleeId;
use crate::refusal::Refusal;
use crate::scope::Binding;
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::visit_mut::VisitMut;
use syn::{Expr, Lifetime, Type, parse_quote};

impl Lowerer<'_> {
    /// The callee of a blocking call; `None` is an operation of `io`.
    pub(super) fn callee(&mut self, call: &Expr) -> Result<Option<CalleeId>, (TokenStream, Refusal)> {
        let frame = match call {
            Expr::MethodCall(call) if self.blocking.is_io(&call.receiver) => return Ok(None),
            Expr::MethodCall(call) => {
                let ty = self.type_of(&call.receiver).ok_or_else(|| {
                    (call.receiver.to_token_stream(), Refusal::Receiver(call.method.to_string()))
                })?;
                self.method(&ty, &call.method)?
            }
            Expr::Call(call) => self.function(&call.func)?,
            _ => return Ok(None),
        };
        let text = frame.to_token_stream().to_string();
        let known = self.callees.iter().position(|ty| ty.to_token_stream().to_string() == text);
        Ok(Some(CalleeId(known.unwrap_or_else(|| {
            self.callees.push(frame);
            self.callees.len() - 1
        }))))
    }

    /// The frame of `path(io, …)`: the type of the same path, or a method's.
    fn function(&mut self, func: &Expr) -> Result<Type, (TokenStream, Refusal)> {
        let refused = || (func.to_token_stream(), Refusal::Callee);
        let Expr::Path(path) = bare(func) else { return Err(refused()) };
        let segments = &path.path.segments;
        let Some(last) = segments.last() else { return Err(refused()) };
        if let Some(qself) = &path.qself {
            if qself.position > 0 || segments.len() != 1 {
                return Err(refused());
            }
            return self.method(&qself.ty, &last.ident);
        }
        if segments.len() == 1 {
            if self.scope.get(&last.ident.to_string()).is_some() {
                return Err(refused());
            }
            if self.signature.receiver.is_none() && last.ident == self.signature.name {
                return Err((func.to_token_stream(), Refusal::Recursion(last.ident.to_string())));
            }
        }
        if segments.len() > 1 && is_camel(&segments[segments.len() - 2].ident) {
            let mut owner = path.path.clone();
            owner.segments.pop();
            owner.segments.pop_punct();
            return self.method(&Type::Path(syn::TypePath { qself: None, path: owner }), &last.ident);
        }
        let path = &path.path;
        Ok(parse_quote!(#path))
    }

    /// The frame of a method of `ty`.
    fn method(&self, ty: &Type, method: &Ident) -> Result<Type, (TokenStream, Refusal)> {
        let ty = self.signature.without_self(ty.clone());
        if let Some(receiver) = &self.signature.receiver
            && *method == self.signature.name
            && ty == receiver.ty
        {
            return Err((method.to_token_stream(), Refusal::Recursion(method.to_string())));
        }
        Ok(method_frame(&ty, method))
    }

    /// The written type of a receiver: `self`, or a variable.
    fn type_of(&self, receiver: &Expr) -> Option<Type> {
        let Expr::Path(path) = bare(receiver) else { return None };
        let name = path.path.get_ident()?;
        if name == "self" {
            return self.signature.receiver.as_ref().map(|receiver| receiver.ty.clone());
        }
        match self.scope.get(&name.to_string())? {
            Binding::Frame(id) => Some(self.variables[id.0].ty.clone()),
            Binding::Reference(index) => match &self.signature.parameters[index].ty {
                Type::Reference(reference) => Some((*reference.elem).clone()),
                _ => None,
            },
            Binding::Local | Binding::Lost | Binding::Refused => None,
        }
    }
}

/// Makes every lifetime `'static`: a method's frame is the same for all of them.
struct Static;

impl VisitMut for Static {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        *lifetime = Lifetime::new("'static", lifetime.span());
    }
}

/// `<ty as Method<HASH>>::Frame`, the name of the method as a const parameter.
fn method_frame(ty: &Type, method: &Ident) -> Type {
    let mut ty = ty.clone();
    Static.visit_type_mut(&mut ty);
    let hash = Literal::u64_suffixed(hash(&method.to_string()));
    let frame = quote_spanned!(method.span()=> Frame);
    let path = quote!(<#ty as ::vk::rt::Method<#hash>>::#frame);
    parse_quote!(#path)
}
