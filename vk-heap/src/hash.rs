//! Fingerprints: FNV-1a, 64 bits, computed by the compiler and the same in every build.
//! (Fowler, Noll, Vo: <https://datatracker.ietf.org/doc/draft-eastlake-fnv/>.)
//!
//! ```
//! use vk_heap::hash;
//! const IDLE: u64 = hash::text("idle");
//! assert_eq!(IDLE, hash::text("idle"));
//! ```

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Of bytes.
#[inline]
pub const fn bytes(bytes: &[u8]) -> u64 {
    let (mut hash, mut at) = (OFFSET, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(PRIME);
        at += 1;
    }
    hash
}

/// Of text.
#[inline]
pub const fn text(text: &str) -> u64 {
    bytes(text.as_bytes())
}

/// Of numbers, each as eight bytes, the low one first.
pub const fn numbers(numbers: &[u64]) -> u64 {
    let (mut hash, mut at) = (OFFSET, 0);
    while at < numbers.len() {
        let (bytes, mut byte) = (numbers[at].to_le_bytes(), 0);
        while byte < bytes.len() {
            hash = (hash ^ bytes[byte] as u64).wrapping_mul(PRIME);
            byte += 1;
        }
        at += 1;
    }
    hash
}

/// Of a type by its name, its size and its alignment.
pub const fn named<T>(name: &str) -> u64 {
    numbers(&[text(name), size_of::<T>() as u64, align_of::<T>() as u64])
}

/// Of a type whose layout inside is the compiler's choice, as an enum's is: [`named`], and the compiler.
pub const fn opaque<T>(name: &str) -> u64 {
    numbers(&[named::<T>(name), text(env!("VK_RUSTC"))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_fnv_1a() {
        // Test vectors of the algorithm's authors.
        assert_eq!(text(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(text("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(text("foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(numbers(&[0x61]), bytes(b"a\0\0\0\0\0\0\0"));
    }
}
