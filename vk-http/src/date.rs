//! The `Date` field: formatted once a second and thread.

use std::cell::Cell;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vk_core::{Line, Nanos, time};

/// `Sun, 06 Nov 1994 08:49:37 GMT`
pub(crate) type Text = [u8; 29];

thread_local! {
    /// The second that was asked for last, and its text.
    static LAST: Cell<(u64, Text)> = const { Cell::new((u64::MAX, [b' '; 29])) };

    /// The present second, and the monotonic time until which it is the present one.
    static PRESENT: Cell<(u64, Nanos)> = const { Cell::new((0, 0)) };
}

/// What time it is, in seconds since 1970. The wall clock is asked once a second.
pub(crate) fn now() -> u64 {
    let (second, until) = PRESENT.get();
    let now = time::now();
    if now < until {
        return second;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = 1_000_000_000 - Nanos::from(since.subsec_nanos());
    PRESENT.set((since.as_secs(), now + left));
    since.as_secs()
}

/// The text of the present second, as plain data.
pub(crate) fn line() -> Line<29> {
    let mut line = Line::new();
    line.extend(&text(now())).expect("it has room for 29 bytes");
    line
}

/// The text of a second.
pub(crate) fn text(second: u64) -> Text {
    let (last, text) = LAST.get();
    if last == second {
        return text;
    }
    let mut text = [b' '; 29];
    let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
    write!(&mut text[..], "{date}").expect("a date of this format has 29 characters");
    LAST.set((second, text));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_their_own_text() {
        assert_eq!(&text(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&text(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&text(784_111_778), b"Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
