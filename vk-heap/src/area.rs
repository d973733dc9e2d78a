//! A row of equal places that are opened and closed: the micro-heaps, or the blocks of the pool.
//!
//! Invariants: a place stamped with the current epoch is open. All open places are in `low..high`, so one
//! call closes them all, and a new epoch forgets every stamp at once.

use crate::mapping::Mapping;
use std::io;
use std::ops::Range;

#[derive(Debug)]
pub(crate) struct Area {
    /// Where the first place starts in the mapping, bytes.
    at: usize,
    /// Bytes of a place, whole pages.
    size: usize,
    /// Per place the last epoch in which it was opened.
    stamps: Vec<u64>,
    /// The epoch; 0 = everything is open, and stays open.
    epoch: u64,
    low: u32,
    high: u32,
    /// Places opened in this epoch.
    open: u32,
    /// Calls of the kernel so far.
    pub(crate) opens: u64,
    pub(crate) closes: u64,
}

impl Area {
    /// `count` places of `size` bytes from `at`, all open now: for ever, or closed before this returns.
    pub(crate) fn new(mapping: &Mapping, at: usize, size: u32, count: u32, closed: bool) -> io::Result<Area> {
        let size = size as usize;
        if closed {
            mapping.protect(at..at + count as usize * size, false)?;
        }
        Ok(Area {
            at,
            size,
            stamps: vec![0; count as usize],
            epoch: u64::from(closed),
            low: u32::MAX,
            high: 0,
            open: 0,
            opens: 0,
            closes: 0,
        })
    }

    #[inline]
    pub(crate) fn is_open(&self, place: u32) -> bool {
        self.stamps[place as usize] == self.epoch
    }

    /// Places opened in this epoch.
    #[inline]
    pub(crate) fn open_count(&self) -> u32 {
        self.open
    }

    /// Opens the places, with one call; some of them may be open.
    pub(crate) fn open(&mut self, mapping: &Mapping, places: Range<u32>) -> io::Result<()> {
        if places.clone().all(|place| self.is_open(place)) {
            return Ok(());
        }
        self.low = self.low.min(places.start);
        self.high = self.high.max(places.end);
        if let Err(error) = mapping.protect(self.bytes(&places), true) {
            // It may have opened the first half: that counts until `close_all`.
            self.open += 1;
            return Err(error);
        }
        self.opens += 1;
        for place in places {
            self.open += u32::from(!self.is_open(place));
            self.stamps[place as usize] = self.epoch;
        }
        Ok(())
    }

    /// Forgets that a place is open, so that it will be opened again. Its pages are open, and count, until
    /// `close_all`.
    pub(crate) fn forget(&mut self, place: u32) {
        self.stamps[place as usize] = 0;
    }

    /// Closes the places, with one call, or none if none is open. False when it failed (the kernel has no
    /// memory for one more mapping): they are open until the next `close_all`.
    pub(crate) fn close(&mut self, mapping: &Mapping, places: Range<u32>) -> bool {
        if self.epoch == 0 || !places.clone().any(|place| self.is_open(place)) {
            return true;
        }
        if mapping.protect(self.bytes(&places), false).is_err() {
            return false;
        }
        self.closes += 1;
        for place in places {
            self.open -= u32::from(self.is_open(place));
            self.stamps[place as usize] = 0;
        }
        if self.open == 0 {
            (self.low, self.high) = (u32::MAX, 0);
        }
        true
    }

    /// Closes everything with one call, or none if nothing is open. False when it failed: everything is as
    /// it was.
    pub(crate) fn close_all(&mut self, mapping: &Mapping) -> bool {
        if self.low >= self.high {
            return true;
        }
        if mapping.protect(self.bytes(&(self.low..self.high)), false).is_err() {
            return false;
        }
        self.closes += 1;
        self.epoch += 1;
        (self.low, self.high, self.open) = (u32::MAX, 0, 0);
        true
    }

    /// How many places, at least one, have `bytes` bytes.
    pub(crate) fn places_in(&self, bytes: usize) -> u32 {
        (bytes / self.size).max(1) as u32
    }

    /// Where the places are in the mapping.
    pub(crate) fn bytes(&self, places: &Range<u32>) -> Range<usize> {
        self.at + places.start as usize * self.size..self.at + places.end as usize * self.size
    }
}
