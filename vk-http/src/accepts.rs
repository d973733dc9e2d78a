//! What a client accepts: `Accept-Encoding` (RFC 9110, 12.5.3).

use crate::Request;

/// Whether the client takes a content coding: true if it names it, or `*`, with a weight above 0, false if with 0;
/// None if it says nothing about it.
pub(crate) fn encoding(request: &Request, coding: &str) -> Option<bool> {
    let fields = request.fields().filter(|(name, _)| name.eq_ignore_ascii_case("accept-encoding"));
    let values = fields.filter_map(|(_, value)| str::from_utf8(value).ok());
    let mut any = None;
    for item in values.flat_map(|value| value.split(',')) {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(coding) || name.eq_ignore_ascii_case("x-gzip") && coding == "gzip" {
            return Some(has_weight(weight));
        }
        if name == "*" {
            any = Some(has_weight(weight));
        }
    }
    any
}

/// Whether a weight, `q=0.5`, is above 0; none is 1.
fn has_weight(text: &str) -> bool {
    match text.trim_ascii().split_once('=') {
        Some((q, weight)) if q.trim_ascii_end().eq_ignore_ascii_case("q") => {
            weight.trim_ascii().bytes().any(|byte| matches!(byte, b'1'..=b'9'))
        }
        _ => true,
    }
}
