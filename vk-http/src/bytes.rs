//! Classes of bytes, as tables: one look each.

/// Which bytes belong to a class.
pub(crate) struct Class([bool; 256]);

/// `tchar` of RFC 9110, 5.6.2.
pub(crate) const TOKEN: Class = Class::alphanumeric_and(b"!#$%&'*+-.^_`|~");

/// `unreserved` and `sub-delims` of RFC 3986: a host's name, but for what is percent-encoded.
pub(crate) const NAME: Class = Class::alphanumeric_and(b"-._~!$&'()*+,;=");

/// Visible ASCII, as browsers send it in a target: more than RFC 3986 allows, but no fragment.
pub(crate) const TARGET: Class = Class::alphanumeric_and(b"!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~");

impl Class {
    const fn alphanumeric_and(others: &[u8]) -> Class {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let mut at = 0;
        while at < others.len() {
            table[others[at] as usize] = true;
            at += 1;
        }
        Class(table)
    }

    /// Whether `byte` belongs to it.
    #[inline]
    pub(crate) const fn has(&self, byte: u8) -> bool {
        self.0[byte as usize]
    }

    /// Whether all `bytes` do.
    #[inline]
    pub(crate) fn has_all(&self, bytes: &[u8]) -> bool {
        bytes.iter().all(|byte| self.has(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_visible_but_for_the_fragment() {
        for byte in 0..=255u8 {
            assert_eq!(TARGET.has(byte), byte.is_ascii_graphic() && byte != b'#', "{byte:#x}");
        }
    }
}
