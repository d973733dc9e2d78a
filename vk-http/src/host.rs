//! `Host` and the authority of a target: `uri-host [ ":" port ]` (RFC 3986, 3.2.2 and 3.2.3).

use crate::bytes::NAME;
use std::net::Ipv6Addr;

/// Whether `text` is a host, with a port or without.
pub(crate) fn is_authority(text: &[u8]) -> bool {
    let (begin, rest) = match text {
        [b'[', inside @ ..] => {
            let Some(end) = memchr::memchr(b']', inside) else { return false };
            if !str::from_utf8(&inside[..end]).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok()) {
                return false;
            }
            (&inside[..end], &inside[end + 1..])
        }
        _ => match name(text) {
            Some(end) => text.split_at(end),
            None => return false,
        },
    };
    !begin.is_empty() && (rest.is_empty() || rest[0] == b':' && rest[1..].iter().all(u8::is_ascii_digit))
}

/// Where a `reg-name`, of which an IPv4 address is one, ends; None if it has a `%` that encodes nothing.
fn name(text: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        end += text[end..].iter().position(|byte| !NAME.has(*byte)).unwrap_or(text.len() - end);
        match &text[end..] {
            [b'%', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => end += 3,
            [b'%', ..] => return None,
            _ => return Some(end),
        }
    }
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
