//! Moving bytes: within their storage, to another ring, to another storage.

use crate::{Vectoring, seam};

impl Vectoring<'_> {
    /// The unread bytes as one slice. Nothing is moved unless the ring is wrapped, and nothing is allocated.
    ///
    /// A wrapped ring that is at most half full is copied into its own free bytes, which costs what its
    /// length costs, whatever its capacity. The old bytes stay as they are: to a copy of the [`Ring`] taken
    /// before, nothing has happened. One that is more than half full is rotated as a whole, after which
    /// such a copy is worth nothing; where that matters, [`rehouse`](Self::rehouse) it instead.
    ///
    /// ```
    /// # use vk_vectoring::Ring;
    /// # let (mut ring, mut storage) = (Ring::new(8), [0; 8]);
    /// # let mut bytes = ring.over(&mut storage);
    /// bytes.write(b"abcdefg");
    /// bytes.skip(6);
    /// bytes.write(b"hi");
    /// assert_eq!(bytes.readable(), [b"gh", &b"i"[..]]);
    /// assert_eq!(bytes.contiguous(), b"ghi");
    /// ```
    ///
    /// [`Ring`]: crate::Ring
    pub fn contiguous(&mut self) -> &[u8] {
        let [first, second] = self.readable().map(<[u8]>::len);
        if second > 0 {
            let at = self.ring.at();
            let new_at = if self.ring.len() <= self.ring.free() {
                // The free bytes are those from `second` to `at`.
                self.storage.copy_within(at.., second);
                self.storage.copy_within(..second, second + first);
                second
            } else {
                self.storage.rotate_left(at);
                0
            };
            self.ring.relocate(new_at as u32, self.storage.len() as u32);
        }
        self.readable()[0]
    }

    /// Moves bytes from one ring to the other, up to `max`, and returns how many that were: 0 if this one is
    /// full or `from` is empty. Each byte is copied once, from storage to storage.
    #[inline]
    pub fn splice(&mut self, from: &mut Vectoring<'_>, max: usize) -> usize {
        let n = seam::copy(seam::before(from.readable(), max), self.writable());
        self.produced(n);
        from.consumed(n);
        n
    }

    /// Moves the unread bytes to another storage, larger or smaller, whose length is the ring's capacity
    /// from then on. They stand at the start of it, at the same positions of the stream. The bytes of the
    /// old storage stay as they are.
    ///
    /// ```
    /// # use vk_vectoring::Ring;
    /// let (mut ring, mut small, mut large) = (Ring::new(4), vec![0; 4], vec![0; 64]);
    /// ring.over(&mut small).write(b"full");
    /// ring.over(&mut small).rehouse(&mut large);
    /// assert_eq!((ring.head(), ring.len(), ring.free()), (0, 4, 60));
    /// assert_eq!(ring.over(&mut large).readable()[0], b"full");
    /// ```
    ///
    /// # Panics
    ///
    /// If the unread bytes don't fit, or `new_storage` is larger than a ring can be (`u32::MAX` bytes).
    pub fn rehouse(self, new_storage: &mut [u8]) {
        assert!(self.ring.len() <= new_storage.len(), "a storage too small for the bytes it is to take over");
        let capacity = u32::try_from(new_storage.len()).expect("a storage larger than a ring can be");
        seam::copy(self.readable(), [new_storage, &mut []]);
        self.ring.relocate(0, capacity);
    }
}
