//! What a worker has done so far.

/// Counters of one worker since it began. All count events but [`live`](Stats::live).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Micro-processes that exist now.
    pub live: u64,
    /// Micro-processes started.
    pub started: u64,
    /// Micro-processes ended, for whatever reason.
    pub ended: u64,
    /// Those that ended by a panic.
    pub panics: u64,
    /// Those that ended since their micro-heap was damaged or too small.
    pub faults: u64,
    /// Dispatches.
    pub dispatches: u64,
    /// Bytes received from descriptors.
    pub received: u64,
    /// Bytes sent to descriptors.
    pub sent: u64,
    /// Times a micro-process had to wait for room: for a micro-heap or a descriptor to come free.
    pub starved: u64,
    /// Idle connections that were ended to make room.
    pub shed: u64,
}
