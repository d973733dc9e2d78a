//! Where everything in the memfd is: calculated first, mapped afterwards.
//!
//! ```text
//! | blocks: 16 bytes each │ slots: 8 bytes each │ notes │ to a page | log | heap 0 | … | heap n-1 | block 0 | … |
//! 0                       slots_at              notes_at            log_at  heaps_at         pool_at         size
//! ```
//!
//! Invariants ([`Layout::check`] states them in code): the parts follow one another and don't overlap, heaps
//! and pool lie on pages, every place can be named by a [`Span`](crate::Span).

use crate::Guard;
use crate::control::{BlockRecord, SlotRecord};
use crate::span::UNIT;
use crate::undo::LOG;
use std::fmt;

/// Bytes of a block of the pool: what a streaming ring is lent, and a multiple of every page size.
pub const BLOCK: u32 = 64 << 10;

/// The usual page, in bytes. Some aarch64 kernels have larger ones.
const PAGE: u32 = 4 << 10;

/// Bytes for what the arena's user notes beside the micro-heaps; what was never needed has no memory.
pub(crate) const NOTES: u32 = if cfg!(miri) { 4 << 10 } else { 1 << 20 };

/// The largest micro-heap, in bytes.
const MAX_HEAP: u32 = 16 << 20;

/// The largest arena, in bytes: as far as a span reaches.
const MAX_ARENA: u64 = UNIT as u64 * (1 << 32);

/// What an arena is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Micro-heaps, at least 1.
    pub heaps: u32,
    /// Bytes of each, header included; rounded up to whole pages, at least one and at most 16 MiB.
    pub heap_size: u32,
    /// Blocks of [`BLOCK`] bytes in the pool; may be 0.
    pub pool_blocks: u32,
    /// When micro-heaps are closed.
    pub guard: Guard,
}

/// Why a [`Config`] has no layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// `heaps` is 0.
    NoHeaps,
    /// `heap_size` is above 16 MiB.
    HeapTooLarge,
    /// All in all it is above 64 GiB.
    ArenaTooLarge,
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LayoutError::NoHeaps => "an arena needs at least 1 micro-heap",
            LayoutError::HeapTooLarge => "a micro-heap has at most 16 MiB",
            LayoutError::ArenaTooLarge => "heaps and pool together are above 64 GiB",
        })
    }
}

impl std::error::Error for LayoutError {}

/// Where everything in the memfd is. All offsets are bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    page: u32,
    heaps: u32,
    heap_size: u32,
    blocks: u32,
    slots_at: usize,
    notes_at: usize,
    log_at: usize,
    heaps_at: usize,
    pool_at: usize,
    size: usize,
}

impl Layout {
    /// The layout on pages of 4 KiB.
    ///
    /// # Errors
    /// Whatever of `config` is out of its range.
    ///
    /// ```
    /// use vk_heap::{Config, Guard, Layout};
    /// let layout = Layout::calculate(&Config { heaps: 1000, heap_size: 5000, pool_blocks: 2, guard: Guard::Off })?;
    /// assert_eq!(layout.heap_size(), 8192);
    /// assert_eq!(layout.size(), layout.heap_at(0) + 1000 * 8192 + 2 * 65536);
    /// # Ok::<(), vk_heap::LayoutError>(())
    /// ```
    pub fn calculate(config: &Config) -> Result<Layout, LayoutError> {
        Layout::on_pages(config, PAGE)
    }

    /// The layout on pages of `page` bytes: a power of two up to [`BLOCK`].
    pub(crate) fn on_pages(config: &Config, page: u32) -> Result<Layout, LayoutError> {
        assert!(page.is_power_of_two() && (PAGE..=BLOCK).contains(&page), "pages of {page} bytes");
        let &Config { heaps, heap_size, pool_blocks: blocks, guard: _ } = config;
        if heaps == 0 {
            return Err(LayoutError::NoHeaps);
        }
        if heap_size > MAX_HEAP {
            return Err(LayoutError::HeapTooLarge);
        }
        let heap_size = heap_size.max(1).next_multiple_of(page);
        // 64 bits hold the sum of the largest of each term: below 2³⁶ + 2³⁵ + 2²⁶ + 2⁵⁶ + 2⁴⁸.
        let slots_at = u64::from(blocks) * size_of::<BlockRecord>() as u64;
        let tables = slots_at + u64::from(heaps) * size_of::<SlotRecord>() as u64;
        let notes_at = tables.next_multiple_of(u64::from(UNIT));
        let log_at = (notes_at + u64::from(NOTES)).next_multiple_of(u64::from(page));
        let heaps_at = (log_at + u64::from(LOG)).next_multiple_of(u64::from(page));
        let pool_at = heaps_at + u64::from(heaps) * u64::from(heap_size);
        let size = pool_at + u64::from(blocks) * u64::from(BLOCK);
        if size > MAX_ARENA {
            return Err(LayoutError::ArenaTooLarge);
        }
        let layout = Layout {
            page,
            heaps,
            heap_size,
            blocks,
            slots_at: slots_at as usize,
            notes_at: notes_at as usize,
            log_at: log_at as usize,
            heaps_at: heaps_at as usize,
            pool_at: pool_at as usize,
            size: size as usize,
        };
        layout.check();
        Ok(layout)
    }

    /// The one statement of the invariants; panics where one does not hold.
    fn check(&self) {
        let page = self.page as usize;
        let parts = [
            (0, self.blocks as usize * size_of::<BlockRecord>()),
            (self.slots_at, self.heaps as usize * size_of::<SlotRecord>()),
            (self.notes_at, NOTES as usize),
            (self.log_at, LOG as usize),
            (self.heaps_at, self.heaps as usize * self.heap_size as usize),
            (self.pool_at, self.blocks as usize * BLOCK as usize),
            (self.size, 0),
        ];
        for [(at, len), (next, _)] in parts.array_windows() {
            assert!(at + len <= *next, "{self:?}: parts overlap");
        }
        assert!(self.slots_at.is_multiple_of(align_of::<SlotRecord>()));
        assert!(self.heap_size >= self.page && self.heap_size <= MAX_HEAP);
        for at in [self.log_at, self.heaps_at, self.pool_at, self.size, self.heap_size as usize] {
            assert!(at.is_multiple_of(page), "{self:?}: not on a page");
        }
        assert!(self.size as u64 <= MAX_ARENA, "{self:?}: out of a span's reach");
    }

    /// Micro-heaps.
    #[inline]
    pub const fn heaps(&self) -> u32 {
        self.heaps
    }

    /// Bytes of one micro-heap, whole pages.
    #[inline]
    pub const fn heap_size(&self) -> u32 {
        self.heap_size
    }

    /// Blocks of the pool.
    #[inline]
    pub const fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Bytes of the whole memfd, whole pages.
    #[inline]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Where the table of slots starts; the table of blocks starts at 0.
    #[inline]
    pub(crate) const fn slots_at(&self) -> usize {
        self.slots_at
    }

    /// Where the notes of the arena's user start.
    #[inline]
    pub(crate) const fn notes_at(&self) -> usize {
        self.notes_at
    }

    /// Where the undo log starts.
    #[inline]
    pub(crate) const fn log_at(&self) -> usize {
        self.log_at
    }

    /// Where micro-heap `index` starts; `heaps()` gives the end of the last one.
    #[inline]
    pub const fn heap_at(&self, index: u32) -> usize {
        self.heaps_at + index as usize * self.heap_size as usize
    }

    /// Where block `index` of the pool starts; `blocks()` gives the end of the last one.
    #[inline]
    pub const fn block_at(&self, index: u32) -> usize {
        self.pool_at + index as usize * BLOCK as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(heaps: u32, heap_size: u32, pool_blocks: u32) -> Config {
        Config { heaps, heap_size, pool_blocks, guard: Guard::Off }
    }

    #[test]
    fn limits() {
        let error = |config| Layout::calculate(&config).unwrap_err();
        assert_eq!(error(config(0, 4096, 0)), LayoutError::NoHeaps);
        assert_eq!(error(config(1, MAX_HEAP + 1, 0)), LayoutError::HeapTooLarge);
        assert_eq!(error(config(u32::MAX, MAX_HEAP, u32::MAX)), LayoutError::ArenaTooLarge);
        assert_eq!(error(config(1, 0, 1 << 20)), LayoutError::ArenaTooLarge);
        assert!(Layout::calculate(&config(4000, MAX_HEAP, 0)).is_ok());
        let one = Layout::calculate(&config(1, 0, 0)).unwrap();
        assert_eq!((one.heap_size(), one.size()), (4096, one.heap_at(0) + 4096));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 16 } else { 2048 }) })]
        /// Every configuration has a layout that passes its check, or an error; heaps and blocks don't overlap.
        #[test]
        fn total(
            heaps in prop_oneof![any::<u32>(), 0..100_000u32],
            heap_size in prop_oneof![any::<u32>(), 0..100_000u32],
            blocks in prop_oneof![any::<u32>(), 0..10_000u32],
            page in 12..17u32,
        ) {
            let Ok(layout) = Layout::on_pages(&config(heaps, heap_size, blocks), 1 << page) else {
                prop_assert!(heaps == 0 || heap_size > MAX_HEAP
                    || u64::from(heaps) * u64::from(heap_size.max(1 << page)) + u64::from(blocks) * u64::from(BLOCK)
                        + u64::from(NOTES) + u64::from(LOG) + 2 * u64::from(BLOCK)
                        + u64::from(heaps) * u64::from(1u32 << page) + u64::from(blocks) * 16 + u64::from(heaps) * 8 > MAX_ARENA);
                return Ok(());
            };
            layout.check();
            prop_assert!(layout.heap_size() >= heap_size && layout.heap_size() - heap_size <= 1 << page);
            prop_assert_eq!(layout.heap_at(heaps), layout.block_at(0));
            prop_assert_eq!(layout.block_at(blocks), layout.size());
            prop_assert!(layout.slots_at() + heaps as usize * size_of::<SlotRecord>() <= layout.heap_at(0));
        }
    }
}
