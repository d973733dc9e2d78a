//! What is encoded in targets and forms.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// Decodes `%20` and the like, of a path's parameter, say. What isn't UTF-8 then becomes U+FFFD.
///
/// ```
/// assert_eq!(vk_http::decode("a%20b"), "a b");
/// ```
pub fn decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// The names and values of a query, or of a body of `application/x-www-form-urlencoded`, decoded.
///
/// ```
/// let mut pairs = vk_http::pairs(b"q=plain+data&page=%32");
/// assert_eq!(pairs.next(), Some(("q".into(), "plain data".into())));
/// assert_eq!(pairs.next(), Some(("page".into(), "2".into())));
/// ```
pub fn pairs(text: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(text)
}
