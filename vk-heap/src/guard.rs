//! When micro-heaps are closed: the policy. [`Arena`](crate::Arena) carries it out.

use std::fmt;
use std::str::FromStr;

/// When a micro-heap that does not run is closed (`PROT_NONE`), so that a stray access to it is a fault of
/// the offender.
///
/// Written `strict`, `epoch:N` or `off`. It stops stray accesses, not hostile code, which could open what
/// it likes.
///
/// What a dispatch pays for opening and closing its page, in a virtual machine, against a heap that is open
/// already (10 ns):
///
/// | | neighbours, in a batch of 128 | scattered, each by itself |
/// |---|---|---|
/// | `off` | × 1 | × 1 |
/// | `epoch:1024` | × 8 | × 250 |
/// | `strict` | × 330 | × 330 |
///
/// (`cargo bench -p vk-heap`.) A call of the kernel costs as much as 30 pages more in the same call. That is why
/// slots are filled from the lowest, and why batches are worth opening together.
///
/// ```
/// use vk_heap::Guard;
/// assert_eq!("epoch:64".parse(), Ok(Guard::Epoch(64)));
/// assert_eq!(Guard::default().to_string(), "epoch:1024");
/// assert!("epoch:0".parse::<Guard>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// As soon as its dispatch ends. Two calls of the kernel per dispatch.
    Strict,
    /// After that many dispatches (at least 1) or a time that the worker sets (10 ms), all with one call; or
    /// when that many are open and another is wanted.
    Epoch(u32),
    /// Never: everything is open from the start.
    Off,
}

impl Guard {
    /// The default epoch: so many dispatches share the price of closing, some nanoseconds each; and a stray
    /// access can only hit a micro-heap that ran some milliseconds ago.
    pub const EPOCH: u32 = 1024;

    /// How many heaps may be open when none runs.
    pub(crate) fn limit(self) -> u32 {
        match self {
            Guard::Strict => 0,
            Guard::Epoch(limit) => limit.max(1),
            Guard::Off => u32::MAX,
        }
    }
}

impl Default for Guard {
    fn default() -> Guard {
        Guard::Epoch(Guard::EPOCH)
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Guard::Strict => f.write_str("strict"),
            Guard::Epoch(limit) => write!(f, "epoch:{limit}"),
            Guard::Off => f.write_str("off"),
        }
    }
}

/// The text is none of `strict`, `epoch:N` with N ≥ 1, `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseGuardError;

impl fmt::Display for ParseGuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a guard is `strict`, `epoch:N` (N at least 1) or `off`")
    }
}

impl std::error::Error for ParseGuardError {}

impl FromStr for Guard {
    type Err = ParseGuardError;

    fn from_str(text: &str) -> Result<Guard, ParseGuardError> {
        match text {
            "strict" => Ok(Guard::Strict),
            "off" => Ok(Guard::Off),
            _ => match text.strip_prefix("epoch:").map(u32::from_str) {
                Some(Ok(limit)) if limit > 0 => Ok(Guard::Epoch(limit)),
                _ => Err(ParseGuardError),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for guard in [Guard::Strict, Guard::Epoch(1), Guard::Epoch(u32::MAX), Guard::Off] {
            assert_eq!(guard.to_string().parse(), Ok(guard));
        }
        for text in ["", "Strict", "epoch", "epoch:", "epoch:0", "epoch:-1", "epoch:4294967296"] {
            assert_eq!(text.parse::<Guard>(), Err(ParseGuardError), "{text}");
        }
    }
}
