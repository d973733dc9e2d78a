//! `Host` and the authority of a target: `uri-host [ ":" port ]` (RFC 3986, 3.2.2 and 3.2.3).

use crate::bytes::NAME;
use std::net::Ipv6Addr;

/// Whether `text` is a host, with a port or without.
pub(crate) fn is_authority(text: &[u8]) -> bool {
    let (host, rest) = match text {
        [b'[', inside @ ..] => {
            let Some(end) = memchr::memchr(b']', inside) else { return false };
            if !str::from_utf8(&inside[..end]).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok()) {
                return false;
            }
            (&inside[..end], &inside[end + 1..])
        }
        _ => {
            let host = text.split_at(memchr::memchr(b':', text).unwrap_or(text.len()));
            if !is_name(host.0) {
                return false;
            }
            host
        }
    };
    !host.is_empty() && (rest.is_empty() || rest[0] == b':' && rest[1..].iter().all(u8::is_ascii_digit))
}

/// `reg-name`, of which an IPv4 address is one.
fn is_name(mut text: &[u8]) -> bool {
    while let Some(at) = text.iter().position(|byte| !NAME.has(*byte)) {
        text = match &text[at..] {
            [b'%', a, b, rest @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => rest,
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::is_authority;

    #[test]
    fn hosts() {
        for good in ["a", "localhost:80", "a_b.example", "127.0.0.1:8080", "[::1]", "[::1]:80", "a%20b", "a:"]
        {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "::1",
            "[::1",
            "[::1]x",
            "[]",
            "[1.2.3.4]",
            "a b",
            "a/b",
            "u@a",
            "a%zz",
            "a%2",
            "\"a\"",
            "a:8x",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
        assert!(!is_authority(b"\xffhost"));
    }
}
