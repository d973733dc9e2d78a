//! What bodies use between blocking calls: the same in both worlds.

/// Takes `value` into a running hash.
pub fn mix(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
}

/// Takes bytes into a running hash; how they are cut into pieces doesn't matter.
pub fn fold(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}

/// The digits at the beginning of `bytes` as a number.
pub fn number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&bytes[..digits.min(9)]).ok()?.parse().ok()
}
