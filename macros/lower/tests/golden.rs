//! Source beside expansion: `golden/NAME.rs`, `golden/NAME.expanded.rs` and the graph in `golden/NAME.graph`.
//! `VK_BLESS=1` writes them anew.

use proc_macro2::TokenStream;
use quote::ToTokens;
use std::fs;
use std::path::Path;
use syn::{Attribute, Item, parse_quote};

/// Takes the attribute `#[vk::name]` off.
fn take(attributes: &mut Vec<Attribute>, name: &str) -> bool {
    let before = attributes.len();
    attributes.retain(|attribute| attribute.path().segments.last().is_none_or(|last| last.ident != name));
    attributes.len() < before
}

fn expand(mut item: Item, graphs: &mut String) -> TokenStream {
    let marked = match &mut item {
        Item::Fn(item) => take(&mut item.attrs, "coroutine"),
        Item::Impl(item) => take(&mut item.attrs, "coroutine"),
        _ => false,
    };
    if marked {
        for graph in vk_lower::graphs(item.clone()).expect("a golden source is lowered") {
            vk_lower::validate::validate(&graph).expect("its graph is valid");
            graphs.push_str(&format!("{graph}\n"));
        }
        return vk_lower::coroutine(TokenStream::new(), item.into_token_stream());
    }
    match item {
        Item::Macro(app) => vk_lower::app::app(app.mac.tokens),
        Item::Struct(mut item) => {
            let plain: Attribute = parse_quote!(#[derive(vk::Plain)]);
            if !item.attrs.contains(&plain) {
                return item.into_token_stream();
            }
            item.attrs.retain(|attribute| *attribute != plain);
            let derived = vk_lower::plain::derive(item.to_token_stream());
            [item.into_token_stream(), derived].into_iter().collect()
        }
        other => other.into_token_stream(),
    }
}

fn compare(path: &Path, text: &str) {
    if std::env::var_os("VK_BLESS").is_some() {
        fs::write(path, text).expect("golden files are writable");
    }
    let known = fs::read_to_string(path).unwrap_or_default();
    assert!(known == text, "{} differs: look at it with VK_BLESS=1 and git diff", path.display());
}

#[test]
fn golden() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut count = 0;
    for entry in fs::read_dir(dir).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if !name.ends_with(".rs") || name.ends_with(".expanded.rs") {
            continue;
        }
        let source = fs::read_to_string(&path).expect("a source");
        let file = syn::parse_file(&source).expect("it parses");
        let mut graphs = String::new();
        let expanded = file.items.into_iter().map(|item| expand(item, &mut graphs)).collect();
        compare(&path.with_extension("expanded.rs"), &vk_lower::pretty(&expanded));
        if !graphs.is_empty() {
            compare(&path.with_extension("graph"), &graphs);
        }
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn drawing() {
    let item = parse_quote! {
        fn f(io: &mut Io) -> io::Result<()> {
            while io.read(&mut [])? > 0 { say(io, "\"")?; }
            Ok(())
        }
    };
    let dot = vk_lower::graphs(item).expect("lowered")[0].to_dot();
    assert!(dot.starts_with("digraph \"f\" {") && dot.ends_with("}\n"));
    assert!(dot.contains("1 -> 1 [style=dashed];"), "a resume point is drawn:\n{dot}");
}
