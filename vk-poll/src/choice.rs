//! Which backend an operator asks for.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// Which backend to use: `auto`, `uring` or `epoll` on a command line.
///
/// ```
/// use vk_poll::Choice;
/// assert_eq!("uring".parse(), Ok(Choice::Uring));
/// assert_eq!(Choice::default().to_string(), "auto");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// io_uring where [`Uring::new`](crate::Uring::new) succeeds, epoll elsewhere.
    #[default]
    Auto,
    /// io_uring or nothing.
    Uring,
    /// epoll.
    Epoll,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Choice::Auto => "auto",
            Choice::Uring => "uring",
            Choice::Epoll => "epoll",
        })
    }
}

impl FromStr for Choice {
    type Err = UnknownChoice;

    fn from_str(name: &str) -> Result<Choice, UnknownChoice> {
        match name {
            "auto" => Ok(Choice::Auto),
            "uring" => Ok(Choice::Uring),
            "epoll" => Ok(Choice::Epoll),
            _ => Err(UnknownChoice),
        }
    }
}

/// No backend has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownChoice;

impl fmt::Display for UnknownChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the poller is one of auto, uring, epoll")
    }
}

impl Error for UnknownChoice {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for choice in [Choice::Auto, Choice::Uring, Choice::Epoll] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert_eq!("kqueue".parse::<Choice>(), Err(UnknownChoice));
    }
}
