//! The gate: what another worker has left becomes a micro-process.
//!
//! ```text
//! root ─► Record ─► Task ─► Task ─► …     each span lies in the micro-heap, and has the right size
//!            │        └─ frame, rings     the frame has room for the coroutine that is named
//!            └─ run queue, main           lead to tasks that were found, and come to an end
//! ```
//!
//! Invariant: nothing is followed before it was found to lie in the micro-heap, and no list for ever.
#![allow(unsafe_code)]

use super::{Process, Record};
use vk_core::Port;
use vk_core::task::Task;
use vk_heap::{Heap, Span};

impl Process {
    /// The gate: the micro-process that another worker has left in an open micro-heap, if all of it is what it
    /// should be. None for one that was not finished, or is damaged.
    ///
    /// `frame_size` tells the bytes of the frame of a coroutine by its index, if there is one.
    pub fn claim(heap: Heap, frame_size: impl Fn(u32) -> Option<u32>) -> Option<Process> {
        let record = heap.claim(heap.root()).filter(|_| heap.root().len() as usize == size_of::<Record>())?;
        let process = Process { heap, record: record.cast(), removed: false, alone: false };
        let &mut Record { main, tasks, head, .. } = process.record();
        let task = |span: Span| {
            let place = heap.claim(span).filter(|_| span.len() as usize == size_of::<Task>())?;
            // SAFETY: `Heap::claim` found as many bytes in memory of this micro-heap; nobody writes them here.
            let task = unsafe { Task::claimed(place) }?;
            let size = frame_size(task.entry)?;
            heap.claim(task.frame).filter(|_| task.frame.len() >= size)?;
            [task.rx_storage, task.tx_storage]
                .map(|storage| heap.claim(storage))
                .iter()
                .all(Option::is_some)
                .then_some(task)
        };
        let follow = |first: Span, next: fn(&Task) -> Span| {
            let mut spans = Vec::new();
            let mut span = first;
            while !span.is_empty() {
                let found = task(span).filter(|_| !spans.contains(&span))?;
                spans.push(span);
                span = next(found);
            }
            Some(spans)
        };
        let all = follow(tasks, |task| task.next)?;
        let queue = follow(head, |task| task.next_runnable)?;
        let known = |span: &Span| all.contains(span);
        let is_known = |port: &Port| !matches!(port, Port::Task(other) if !known(other));
        let ports = all.iter().flat_map(|span| [process.task(*span).source, process.task(*span).sink]);
        (known(&main) && queue.iter().all(known) && ports.into_iter().all(|port| is_known(&port)))
            .then_some(process)
    }
}
