//! `vk_app!`: the declaration of an application, from which `main` follows.

use crate::refusal::{Refusal, excerpt};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{LitBool, LitInt, LitStr, Path, Token};

/// Expands `vk_app! { name: "echo", listen: "127.0.0.1:7007" => echo }` to `main`.
pub fn app(input: TokenStream) -> TokenStream {
    match syn::parse2::<App>(input) {
        Ok(app) => app.expand(),
        Err(error) => error.to_compile_error(),
    }
}

const KEYS: &str = "name, about, listen, stdio, args, check, heap, max_procs, opens_files, migrate";

#[derive(Default)]
struct App {
    name: Option<LitStr>,
    about: Option<LitStr>,
    listeners: Vec<(LitStr, Path)>,
    stdio: Option<Path>,
    args: Option<LitStr>,
    check: Option<Path>,
    heap: Option<LitInt>,
    max_procs: Option<LitInt>,
    opens_files: Option<LitBool>,
    migrations: Vec<(Path, Path)>,
}

fn refuse<T>(at: impl ToTokens, text: impl Into<String>) -> syn::Result<T> {
    Err(syn::Error::new_spanned(at, Refusal::App(text.into())))
}

impl Parse for App {
    fn parse(input: ParseStream<'_>) -> syn::Result<App> {
        let mut app = App::default();
        while !input.is_empty() {
            let key: Ident = match input.parse() {
                Ok(key) => key,
                Err(error) => {
                    return Err(syn::Error::new(error.span(), format!("expected a key: one of {KEYS}")));
                }
            };
            input.parse::<Token![:]>()?;
            match key.to_string().as_str() {
                "name" => once(&key, &mut app.name, input, "a string, `name: \"echo\"`")?,
                "about" => once(&key, &mut app.about, input, "a string, `about: \"Echoes lines.\"`")?,
                "stdio" => once(&key, &mut app.stdio, input, "the path of a coroutine, `stdio: echo`")?,
                "args" => once(&key, &mut app.args, input, "a string, `args: \"HOST PORT\"`")?,
                "check" => {
                    once(&key, &mut app.check, input, "the path of a function, `check: has_database`")?
                }
                "heap" => once(&key, &mut app.heap, input, "bytes, `heap: 8192`")?,
                "max_procs" => once(&key, &mut app.max_procs, input, "a number, `max_procs: 1000`")?,
                "opens_files" => once(&key, &mut app.opens_files, input, "`opens_files: true`")?,
                "listen" => app.listeners.push(listener(input)?),
                "migrate" => app.migrations.push(migration(input)?),
                _ => return refuse(&key, format!("`{key}` is not a key of vk_app!: one of {KEYS}")),
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        if app.name.is_none() {
            return Err(whole("an application has a name: `name: \"echo\",`"));
        }
        if app.listeners.is_empty() && app.stdio.is_none() {
            return Err(whole(
                "an application listens or serves its standard input: `listen: \"127.0.0.1:7007\" => echo,` or \
                 `stdio: echo,`",
            ));
        }
        Ok(app)
    }
}

/// A mistake of the declaration as a whole.
fn whole(text: &str) -> syn::Error {
    syn::Error::new(Span::call_site(), Refusal::App(text.to_owned()))
}

fn once<T: Parse>(key: &Ident, place: &mut Option<T>, input: ParseStream<'_>, what: &str) -> syn::Result<()> {
    if place.is_some() {
        return refuse(key, format!("`{key}` is given twice: remove one"));
    }
    *place = Some(input.parse().map_err(|error| syn::Error::new(error.span(), format!("expected {what}")))?);
    Ok(())
}

fn listener(input: ParseStream<'_>) -> syn::Result<(LitStr, Path)> {
    let what = "expected an address and a coroutine, `listen: \"127.0.0.1:7007\" => echo`";
    let address: LitStr = input.parse().map_err(|error| syn::Error::new(error.span(), what))?;
    let text = address.value();
    let valid =
        text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !valid {
        let text = excerpt(&address);
        return refuse(&address, format!("{text} is not an address: `HOST:PORT`, as \"127.0.0.1:7007\""));
    }
    input.parse::<Token![=>]>().map_err(|error| syn::Error::new(error.span(), what))?;
    let handler = input.parse().map_err(|error| syn::Error::new(error.span(), what))?;
    Ok((address, handler))
}

fn migration(input: ParseStream<'_>) -> syn::Result<(Path, Path)> {
    let what = "expected a coroutine and a function, `migrate: chat => chat_from_v1`";
    let refused = |error: syn::Error| syn::Error::new(error.span(), what);
    let coroutine = input.parse().map_err(refused)?;
    input.parse::<Token![=>]>().map_err(refused)?;
    Ok((coroutine, input.parse().map_err(refused)?))
}

impl App {
    fn expand(&self) -> TokenStream {
        let App { name, listeners, .. } = self;
        let about = self.about.as_ref().map_or_else(|| quote!(""), |about| about.to_token_stream());
        let listeners = listeners.iter().map(|(address, handler)| {
            quote!(::vk::Listener { address: #address, handler: ::vk::Handler::of::<#handler>() })
        });
        let migrations =
            self.migrations.iter().map(|(coroutine, fill)| quote!(::vk::Migration::of::<#coroutine>(#fill)));
        let stdio = option(self.stdio.as_ref().map(|handler| quote!(::vk::Handler::of::<#handler>())));
        let args = option(self.args.as_ref());
        let check = option(self.check.as_ref());
        let (heap, max_procs) = (option(self.heap.as_ref()), option(self.max_procs.as_ref()));
        let opens_files = self.opens_files.as_ref().is_some_and(LitBool::value);
        quote! {
            fn main() -> ::std::process::ExitCode {
                static APP: ::vk::App = ::vk::App {
                    name: #name,
                    version: ::core::env!("CARGO_PKG_VERSION"),
                    about: #about,
                    listeners: &[#(#listeners),*],
                    stdio: #stdio,
                    args: #args,
                    check: #check,
                    heap: #heap,
                    max_procs: #max_procs,
                    opens_files: #opens_files,
                    migrations: &[#(#migrations),*],
                };
                ::vk::main(&APP)
            }
        }
    }
}

fn option(value: Option<impl ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
