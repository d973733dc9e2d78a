//! `http` URLs (RFC 9110, 4.2.1).

use crate::bytes::TARGET;
use crate::host;
use std::io::{self, ErrorKind};

/// A URL's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Url<'a> {
    /// The host, with its port if one is named: what `Host` says.
    pub(crate) authority: &'a str,
    /// The host: a name, or an address without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// The path and the query, as they stand: perhaps nothing, or a query alone.
    pub(crate) path: &'a str,
}

impl Url<'_> {
    /// As [`parse`](Url::parse), for what was parsed before.
    pub(crate) fn from_checked(text: &str) -> Url<'_> {
        Url::parse(text).unwrap_or(Url { authority: "", host: "", port: 80, path: "" })
    }

    /// # Errors
    /// `Unsupported` for another scheme than `http`; `InvalidInput` if it is no URL.
    pub(crate) fn parse(text: &str) -> io::Result<Url<'_>> {
        let mistake = || io::Error::new(ErrorKind::InvalidInput, "this is no URL");
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => {
                return Err(io::Error::new(ErrorKind::Unsupported, "a URL of another scheme than http"));
            }
            None => return Err(mistake()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if !host::is_authority(authority.as_bytes()) || !TARGET.has_all(path.as_bytes()) {
            return Err(mistake());
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, ""),
        };
        let port = if port.is_empty() { 80 } else { port.parse().map_err(|_| mistake())? };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Url { authority, host, port, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, authority, host, port, path) in [
            ("http://a", "a", "a", 80, ""),
            ("HTTP://a:8080/b?c#d", "a:8080", "a", 8080, "/b?c"),
            ("http://[::1]:81?q", "[::1]:81", "::1", 81, "?q"),
            ("http://[::1]", "[::1]", "::1", 80, ""),
            ("http://a:/", "a:", "a", 80, "/"),
        ] {
            assert_eq!(Url::parse(text).unwrap(), Url { authority, host, port, path }, "{text}");
        }
        for text in [
            "",
            "a",
            "/a",
            "http://",
            "http:///a",
            "http://u@a/",
            "http://a:99999/",
            "http://a/\u{e9}",
            "http://a/ b",
        ] {
            assert_eq!(Url::parse(text).unwrap_err().kind(), ErrorKind::InvalidInput, "{text}");
        }
        assert_eq!(Url::parse("https://a").unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
