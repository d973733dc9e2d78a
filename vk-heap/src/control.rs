//! The two tables of the control pages: which life each slot is in, and who owns each block.
//!
//! They are in the memfd, so that the next process knows, and zero is their state of rest, so that a page
//! of them that was never needed is never there. A number that names a slot or a block is kept plus one.
//!
//! ```text
//! slot   | generation: odd = live | lent ─┐
//! block  | owner | run | next ─┐ <────────┘      one chain of extents per slot; an extent is
//! block  | owner |              │                 `run` neighbouring blocks, its first one keeps
//! block  | owner | run | next=0 <┘                 `run` and `next`
//! ```
//!
//! The control pages are always open, so a stray write may hit them: what is read is checked where it is
//! used ([`Control::extents`] bounds every step).

use crate::failpoint;
use crate::memory::Memory;
use crate::undo::Undo;
use crate::{HeapId, Layout};
use std::sync::atomic::{Ordering, compiler_fence};

/// Nobody, nothing: as an owner or at the end of a chain.
const NONE: u32 = 0;

/// One per slot.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct SlotRecord {
    /// Even while the slot is free. One store of it gives or takes the slot.
    generation: u32,
    /// The first block of the extent lent last, plus one.
    lent: u32,
}

/// One per block of the pool.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct BlockRecord {
    /// The index of the slot it is lent to, plus one.
    owner: u32,
    /// Blocks of the extent that starts here.
    run: u32,
    /// The first block of the owner's next extent, plus one.
    next: u32,
    reserved: u32,
}
const _: () = assert!(size_of::<SlotRecord>() == 8 && size_of::<BlockRecord>() == 16);

/// Neighbouring blocks lent together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) first: u32,
    pub(crate) run: u32,
}

impl Extent {
    pub(crate) fn blocks(self) -> std::ops::Range<u32> {
        self.first..self.first + self.run
    }
}

/// A chain that leads out of the table, to somebody else's block, or in a circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadChain;

/// The tables, mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    memory: Memory,
    /// What is written during a dispatch is kept here first.
    undo: Undo,
    slots_at: usize,
    heaps: u32,
    blocks: u32,
}

impl Control {
    /// `memory` is the whole arena.
    pub(crate) fn new(memory: Memory, layout: &Layout) -> Control {
        Control {
            memory: memory.part(0, layout.heap_at(0)),
            undo: Undo::new(memory, layout.log_at()),
            slots_at: layout.slots_at(),
            heaps: layout.heaps(),
            blocks: layout.blocks(),
        }
    }

    #[inline]
    fn slot_at(&self, index: u32) -> usize {
        self.slots_at + index as usize * size_of::<SlotRecord>()
    }

    #[inline]
    fn slot(&self, index: u32) -> SlotRecord {
        self.memory.read(self.slot_at(index))
    }

    #[inline]
    fn set_slot(&mut self, index: u32, record: SlotRecord) {
        let at = self.slot_at(index);
        self.keep(at, size_of::<SlotRecord>());
        // A process may be killed between any two stores: when a slot says so, it is so.
        compiler_fence(Ordering::Release);
        self.memory.write(at, record);
        failpoint!("slot");
    }

    #[inline]
    fn set_block(&mut self, block: u32, record: BlockRecord) {
        self.keep(block_at(block), size_of::<BlockRecord>());
        self.memory.write(block_at(block), record);
        failpoint!("block");
    }

    #[inline]
    fn keep(&self, at: usize, len: usize) {
        assert!(self.undo.keep(at..at + len), "a dispatch has changed more than the undo log holds");
    }

    /// The life that the slot is in; None while it is free.
    pub(crate) fn life(&self, index: u32) -> Option<HeapId> {
        let id = HeapId::new(index, self.slot(index).generation);
        self.is_live(id).then_some(id)
    }

    /// Whether the slot has ever been a heap.
    pub(crate) fn has_lived(&self, index: u32) -> bool {
        self.slot(index).generation != 0
    }

    /// Whether there is such a slot.
    pub(crate) fn is_slot(&self, index: u32) -> bool {
        index < self.heaps
    }

    /// True while that life of that slot lasts.
    #[inline]
    pub(crate) fn is_live(&self, id: HeapId) -> bool {
        self.is_slot(id.index())
            && id.generation() % 2 == 1
            && self.slot(id.index()).generation == id.generation()
    }

    /// The id of the life that a free slot would begin.
    pub(crate) fn next_life(&self, index: u32) -> HeapId {
        // `| 1`: even if a stray write made the record of this free slot odd, the id is one that can live.
        HeapId::new(index, self.slot(index).generation.wrapping_add(1) | 1)
    }

    /// Begins the life `id`, with one store.
    pub(crate) fn begin_life(&mut self, id: HeapId) {
        self.set_slot(id.index(), SlotRecord { generation: id.generation(), lent: NONE });
    }

    /// Begins the life `id` with what was lent to its slot before, with one store.
    pub(crate) fn begin_life_with_loans(&mut self, id: HeapId) {
        let record = self.slot(id.index());
        self.set_slot(id.index(), SlotRecord { generation: id.generation(), ..record });
    }

    /// Forgets what was lent to a slot that is free.
    pub(crate) fn forget_loans(&mut self, index: u32) {
        if self.has_extents(index) {
            self.set_slot(index, SlotRecord { lent: NONE, ..self.slot(index) });
        }
    }

    /// Ends the life `id`, with one store; what was lent to it is for the caller to clear.
    pub(crate) fn end_life(&mut self, id: HeapId) {
        let generation = id.generation().wrapping_add(1);
        self.set_slot(id.index(), SlotRecord { generation, lent: NONE });
    }

    /// True when something is lent to that slot.
    #[inline]
    pub(crate) fn has_extents(&self, slot: u32) -> bool {
        self.slot(slot).lent != NONE
    }

    /// What is lent to that slot, the latest first; ends after an error.
    pub(crate) fn extents(&self, slot: u32) -> Extents {
        Extents { control: *self, owner: slot + 1, next: self.slot(slot).lent, left: self.blocks }
    }

    /// Notes that `extent`, which is free, is lent to that slot now.
    pub(crate) fn lend(&mut self, slot: u32, extent: Extent) {
        let record = self.slot(slot);
        for block in extent.blocks() {
            let first = block == extent.first;
            self.set_block(
                block,
                BlockRecord {
                    owner: slot + 1,
                    run: if first { extent.run } else { 0 },
                    next: if first { record.lent } else { NONE },
                    reserved: 0,
                },
            );
        }
        let lent = extent.first + 1;
        self.set_slot(slot, SlotRecord { lent, ..record });
    }

    /// Takes `extent` from that slot; false when it was not lent to it.
    #[must_use]
    pub(crate) fn give_back(&mut self, slot: u32, extent: Extent) -> bool {
        let mut prev = None;
        for at in self.extents(slot) {
            let Ok(at) = at else { return false };
            if at != extent {
                prev = Some(at.first);
                continue;
            }
            let next = block(self.memory, at.first).next;
            match prev {
                None => {
                    let record = self.slot(slot);
                    self.set_slot(slot, SlotRecord { lent: next, ..record });
                }
                Some(prev) => {
                    let record = block(self.memory, prev);
                    self.set_block(prev, BlockRecord { next, ..record });
                }
            }
            self.clear(extent);
            return true;
        }
        false
    }

    /// Makes the blocks nobody's.
    pub(crate) fn clear(&mut self, extent: Extent) {
        extent.blocks().for_each(|block| self.clear_block(block));
    }

    /// Makes a block nobody's.
    pub(crate) fn clear_block(&mut self, index: u32) {
        if block(self.memory, index).owner != NONE {
            self.set_block(index, BlockRecord { owner: NONE, run: 0, next: NONE, reserved: 0 });
        }
    }
}

/// Where the record of a block is: the table of blocks comes first.
#[inline]
const fn block_at(block: u32) -> usize {
    block as usize * size_of::<BlockRecord>()
}

#[inline]
fn block(memory: Memory, index: u32) -> BlockRecord {
    memory.read(block_at(index))
}

/// True when that block is lent to that slot. `memory` is the arena.
#[inline]
pub(crate) fn is_lent(memory: Memory, index: u32, slot: u32) -> bool {
    block(memory, index).owner == slot + 1
}

/// See [`Control::extents`].
pub(crate) struct Extents {
    control: Control,
    owner: u32,
    next: u32,
    /// Blocks that the rest of the chain can have at most: a circle ends here.
    left: u32,
}

impl Iterator for Extents {
    type Item = Result<Extent, BadChain>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.next.checked_sub(1)?;
        self.next = NONE;
        if first >= self.control.blocks {
            return Some(Err(BadChain));
        }
        let record = block(self.control.memory, first);
        let extent = Extent { first, run: record.run };
        let sound = record.run >= 1
            && record.run <= self.left
            && record.run <= self.control.blocks - first
            && extent.blocks().all(|at| block(self.control.memory, at).owner == self.owner);
        if !sound {
            return Some(Err(BadChain));
        }
        self.left -= record.run;
        self.next = record.next;
        Some(Ok(extent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::buffer::Buffer;
    use crate::{Config, Guard};

    fn tables() -> (Buffer, Control) {
        let config = Config { heaps: 3, heap_size: 4096, pool_blocks: 8, guard: Guard::Off };
        let layout = Layout::calculate(&config).unwrap();
        let buffer = Buffer::new(layout.heap_at(0));
        let control = Control::new(buffer.memory(), &layout);
        (buffer, control)
    }

    #[test]
    fn lives() {
        let (_buffer, mut control) = tables();
        assert!(!control.is_live(HeapId::NONE));
        let first = control.next_life(1);
        assert!(!control.is_live(first));
        control.begin_life(first);
        assert!(control.is_live(first));
        control.end_life(first);
        assert!(!control.is_live(first));
        let free = HeapId::new(1, first.generation() + 1);
        assert!(!control.is_live(free), "a free slot is nobody's");
        let second = control.next_life(1);
        assert_eq!(second.generation(), first.generation() + 2);
        assert!(!control.is_live(HeapId::new(u32::MAX, 1)));
    }

    #[test]
    fn chains() {
        let (buffer, mut control) = tables();
        let extents = [(0, 1), (4, 3), (1, 2)].map(|(first, run)| Extent { first, run });
        extents.iter().for_each(|extent| control.lend(1, *extent));
        control.lend(2, Extent { first: 3, run: 1 });
        let chain = |control: &Control| control.extents(1).map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(chain(&control), [extents[2], extents[1], extents[0]]);
        assert!(is_lent(buffer.memory(), 6, 1) && !is_lent(buffer.memory(), 7, 1));

        for (first, run) in [(0, 2), (4, 2), (5, 1), (3, 1), (7, 1), (8, 1), (u32::MAX, 1), (0, 0)] {
            assert!(!control.give_back(1, Extent { first, run }), "{first} {run}");
        }
        assert!(control.give_back(1, extents[1]));
        assert_eq!(chain(&control), [extents[2], extents[0]]);
        assert!(control.give_back(1, extents[2]) && control.give_back(1, extents[0]));
        assert_eq!(chain(&control), []);
        assert!(!is_lent(buffer.memory(), 0, 1) && is_lent(buffer.memory(), 3, 2));
    }

    /// Whatever is written over the tables, a walk ends, inside the pool.
    #[test]
    fn overwritten_chains() {
        for bit in (0..8 * 16 * 8).filter(|bit| !cfg!(miri) || bit % 13 == 0) {
            let (buffer, mut control) = tables();
            control.lend(1, Extent { first: 0, run: 2 });
            control.lend(1, Extent { first: 4, run: 3 });
            control.lend(2, Extent { first: 2, run: 2 });
            buffer.flip(bit);
            let blocks: Vec<u32> = control.extents(1).flatten().flat_map(Extent::blocks).collect();
            assert!(blocks.len() <= 8);
            assert!(
                blocks.iter().all(|block| *block < 8 && is_lent(buffer.memory(), *block, 1)),
                "bit {bit}"
            );
        }
        let (_buffer, mut control) = tables();
        control.lend(1, Extent { first: 0, run: 1 });
        control.set_block(0, BlockRecord { next: 1, ..block(control.memory, 0) });
        assert!(control.extents(1).count() <= 9, "a circle");

        // An extent that reaches into the table of slots, which happens to look like a block of the owner.
        let (_buffer, mut control) = tables();
        control.set_slot(0, SlotRecord { generation: 2, lent: NONE });
        control.lend(1, Extent { first: 7, run: 1 });
        control.set_block(7, BlockRecord { run: 2, ..block(control.memory, 7) });
        assert_eq!(control.extents(1).next(), Some(Err(BadChain)));
    }
}
