//! `VK_DUMP=dir`: each coroutine's graph and expansion as a file in `dir`, written while the crate is built.

use crate::graph::Graph;
use proc_macro2::TokenStream;
use std::path::Path;

/// Pretty-printed, if it is a sequence of items.
pub fn pretty(tokens: &TokenStream) -> String {
    match syn::parse2(tokens.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(_) => tokens.to_string(),
    }
}

/// Writes `graph` and its expansion if `VK_DUMP` is set. A file that can't be written is left out: the build
/// doesn't depend on it.
pub fn dump(graph: &Graph, expansion: &TokenStream) {
    let Some(dir) = std::env::var_os("VK_DUMP") else { return };
    let text = format!("{graph}\n{}\n{}", graph.to_dot(), pretty(expansion));
    let path = Path::new(&dir).join(format!("{}.txt", graph.name));
    if std::fs::create_dir_all(&dir).is_ok() {
        let _ = std::fs::write(path, text);
    }
}
