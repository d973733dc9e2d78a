//! The lowering answers any tokens: with code or with a refusal, never with a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proc_macro2::TokenStream;

fuzz_target!(|text: &str| {
    if let Ok(tokens) = text.parse::<TokenStream>() {
        let _ = vk_lower::coroutine(TokenStream::new(), tokens.clone());
        let _ = vk_lower::plain::derive(tokens.clone());
        let _ = vk_lower::app::app(tokens);
    }
});
