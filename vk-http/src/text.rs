//! Text of bounded length, as plain data.

use std::fmt;
use std::ops::Deref;
use vk_core::{Line, Plain};

/// At most `N` bytes of text in place: a field's value that is put together, say, and may live in a frame.
///
/// ```
/// use std::fmt::Write;
/// use vk_http::Text;
/// let mut tag: Text<16> = Text::new();
/// write!(tag, "\"{:x}\"", 255).unwrap();
/// assert_eq!(tag.as_str(), "\"ff\"");
/// assert!(write!(tag, "too long for this").is_err());
/// ```
#[derive(Clone, Plain)]
pub struct Text<const N: usize>(Line<N>);

impl<const N: usize> Text<N> {
    /// No text.
    pub const fn new() -> Text<N> {
        Text(Line::new())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Only text was written to it.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    /// # Errors
    /// If there is no room for all of `text`; nothing of it is written then.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

impl<const N: usize> Deref for Text<N> {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Text<N> {
        Text::new()
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
