//! Conditions of a request on what it is about (RFC 9110, 13), and the part of it that is asked for (14).

use crate::{Request, date};
use std::time::UNIX_EPOCH;

/// What a request's `Range` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Everything.
    Whole,
    /// The bytes from the first number to before the second one, at least one.
    Part(u64, u64),
    /// What isn't there.
    Nothing,
}

impl Request {
    /// Whether the request's conditions decide what is answered, given the present entity tag, with its quotes
    /// (`"v7"`, `W/"v7"`; "" if there is none), and the second since 1970 in which the thing was changed last, if that
    /// is known: 304 to a client that has it already (`If-None-Match`, `If-Modified-Since`), 412 to one that wants to
    /// change something else (`If-Match`, `If-Unmodified-Since`), None to go on.
    ///
    /// An answer of 200 or 304 says the tag in the field `ETag`.
    pub fn condition(&self, tag: &str, modified: Option<u64>) -> Option<u16> {
        // It selects nothing that a condition could be about (RFC 9110, 13.2.1).
        if self.method() == "OPTIONS" {
            return None;
        }
        let reads = matches!(self.method(), "GET" | "HEAD");
        let since = |name: &str| self.only(name).and_then(second).zip(modified);
        // In the order of RFC 9110, 13.2.2.
        if self.has("if-match") {
            if !self.names("if-match", |other| !tag.starts_with("W/") && !tag.is_empty() && other == tag) {
                return Some(412);
            }
        } else if since("if-unmodified-since").is_some_and(|(then, modified)| modified > then) {
            return Some(412);
        }
        if self.has("if-none-match") {
            let same = |other: &str| !tag.is_empty() && opaque(other) == opaque(tag);
            self.names("if-none-match", same).then_some(if reads { 304 } else { 412 })
        } else {
            let old = reads && since("if-modified-since").is_some_and(|(then, modified)| modified <= then);
            old.then_some(304)
        }
    }

    /// Which part of `size` bytes with these validators is asked for. A request for several parts is answered with
    /// the whole, as RFC 9110, 14.2 allows.
    pub(crate) fn range(&self, size: u64, tag: &str, modified: u64) -> Asked {
        let Some(range) = self.only("range").filter(|_| self.method() == "GET") else { return Asked::Whole };
        let same = match self.only("if-range") {
            None => true,
            Some(validator) if validator.contains('"') => validator == tag && !tag.starts_with("W/"),
            // A second may have seen two changes (RFC 9110, 8.8.2.2).
            Some(then) => second(then) == Some(modified) && modified + 1 < date::now(),
        };
        if same { parts(range, size).unwrap_or(Asked::Whole) } else { Asked::Whole }
    }

    fn has(&self, name: &str) -> bool {
        self.fields().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    /// The value of a field that there may be once; "", which says nothing, if it is there twice or isn't text.
    fn only(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let (_, value) = fields.next()?;
        let text = str::from_utf8(value).ok().filter(|_| fields.next().is_none());
        Some(text.unwrap_or(""))
    }

    /// Whether a list of entity tags has `*`, or one that is `wanted`.
    fn names(&self, name: &str, wanted: impl Fn(&str) -> bool) -> bool {
        let fields = self.fields().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let mut values = fields.filter_map(|(_, value)| str::from_utf8(value).ok());
        values.any(|value| value == "*" || tags(value).any(&wanted))
    }
}

/// The entity tags of a list, each with its quotes, as far as they are well-formed.
fn tags(mut list: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        list = list.trim_start_matches([' ', '\t', ',']);
        let quote = list.find('"').filter(|at| matches!(&list[..*at], "" | "W/"))?;
        let end = quote + 1 + list[quote + 1..].find('"')? + 1;
        let tag = &list[..end];
        list = &list[end..];
        Some(tag)
    })
}

/// A tag as the weak comparison sees it.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// The second that a date names.
fn second(text: &str) -> Option<u64> {
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// The part that `bytes=…` asks for; None if that isn't well-formed, or not bytes.
fn parts(range: &str, size: u64) -> Option<Asked> {
    let (unit, list) = range.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut asked = Asked::Nothing;
    for part in list.split(',').map(str::trim_ascii).filter(|part| !part.is_empty()) {
        let part = one(part, size)?;
        asked = match (asked, part) {
            (Asked::Nothing, part) => part,
            (asked, Asked::Nothing) => asked,
            _ => Asked::Whole,
        };
    }
    Some(asked)
}

/// `first-last`, `first-` or `-count`.
fn one(part: &str, size: u64) -> Option<Asked> {
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // What doesn't fit into 64 bits is behind the end of everything.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (from, to) = match part.split_once('-')? {
        ("", count) => match number(count)? {
            0 => (size, size),
            // Of nothing, the last bytes are all of it.
            _ if size == 0 => return Some(Asked::Whole),
            count => (size - count.min(size), size),
        },
        (first, "") => (number(first)?, size),
        (first, last) => match (number(first)?, number(last)?) {
            (first, last) if first > last => return None,
            (first, last) => (first, last.saturating_add(1)),
        },
    };
    Some(if from < size { Asked::Part(from, to.min(size)) } else { Asked::Nothing })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_of_tags() {
        let all = |list| tags(list).collect::<Vec<_>>();
        assert_eq!(all(r#""a", W/"b,c" ,, "" "#), [r#""a""#, r#"W/"b,c""#, r#""""#]);
        assert_eq!(all(r#""a", b, "c""#), [r#""a""#]);
        assert_eq!(all(r#""a"#), Vec::<&str>::new());
    }

    #[test]
    fn ranges() {
        for (range, asked) in [
            ("bytes=0-0", Some(Asked::Part(0, 1))),
            ("Bytes=2-4", Some(Asked::Part(2, 5))),
            ("bytes=2-", Some(Asked::Part(2, 10))),
            ("bytes=-3", Some(Asked::Part(7, 10))),
            ("bytes=-30", Some(Asked::Part(0, 10))),
            ("bytes=9-99999999999999999999", Some(Asked::Part(9, 10))),
            ("bytes=10-", Some(Asked::Nothing)),
            ("bytes=-0", Some(Asked::Nothing)),
            ("bytes=99999999999999999999-", Some(Asked::Nothing)),
            ("bytes=20-10", None),
            ("bytes=0-1, 20-", Some(Asked::Part(0, 2))),
            ("bytes=0-1,3-4", Some(Asked::Whole)),
            ("bytes=4-3", None),
            ("bytes=a-", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
            ("lines=1-2", None),
            ("bytes", None),
        ] {
            assert_eq!(parts(range, 10), asked, "{range}");
        }
        assert_eq!(parts("bytes=-1", 0), Some(Asked::Whole));
        assert_eq!(parts("bytes=0-", 0), Some(Asked::Nothing));
    }

    proptest! {
        /// Whatever is asked for, no byte outside is given.
        #[test]
        fn parts_lie_within(range in "bytes=([0-9]{0,3}-[0-9]{0,3},?){0,3}", size in 0u64..200) {
            if let Some(Asked::Part(from, to)) = parts(&range, size) {
                prop_assert!(from < to && to <= size);
            }
        }
    }
}
