//! The end of a micro-process that has failed: whom it was talking to is told.
#![allow(unsafe_code)]

use super::Process;
use std::iter::once;
use std::mem::replace;
use vk_core::task::{Mark, NEVER, Outcome, Request, Task};
use vk_core::{LastWords, Port, Wait, World};
use vk_heap::Span;

impl Process {
    /// Lets nothing more happen, after everything since the last commit was undone, but that what is unsent is sent, and
    /// behind it the [last words](LastWords). False if there is nothing of either: it is to end.
    pub fn fail(&mut self, world: &mut World) -> bool {
        self.begin(world);
        let task = self.task(self.main());
        let speaks = self.begin_last_words(world);
        if !speaks {
            self.dismiss(world);
            task.wait = Wait::Ended;
        }
        task.failure = libc::ECHILD;
        world.arena.commit();
        speaks || !task.tx.is_empty() && !task.is_output_over()
    }

    /// Lets the last words be said by the task that it began with; in a transaction. False if there is nothing to say,
    /// or nobody to hear it: nothing has changed then.
    pub(super) fn begin_last_words(&mut self, world: &mut World) -> bool {
        let main = self.main();
        let has_words = |span: &Span| self.task(*span).last_words != LastWords::NONE;
        let Some(speaker) = once(main).chain(self.spans()).find(has_words) else { return false };
        let Task { sink, last_words, .. } = *self.task(speaker);
        // The two ends of the connection, wherever they are now.
        let listener = once(main).chain(self.spans()).find(|span| self.task(*span).source == sink);
        let asks = |listener| {
            let listener = self.task(listener);
            listener.rx_error == 0 && (self.task(main).checkpoint == 0 || !listener.rx.is_empty())
        };
        let hears = matches!(sink, Port::Descriptor(_)) && !self.task(speaker).is_output_over();
        if !hears || !listener.is_none_or(asks) {
            return false;
        }
        let Some(entry) = last_words.entry() else { return false };
        let task = self.task(main);
        if task.frame.len() < entry.frame_size() {
            let Some(frame) = world.allocate(entry.frame_size()) else { return false };
            world.release(replace(&mut task.frame, frame));
        }
        if speaker != main {
            task.exchange_outputs(self.task(speaker));
        }
        if let Some(listener) = listener.filter(|listener| *listener != main) {
            task.exchange_inputs(self.task(listener));
        }
        // Who fails in them has nothing more to say.
        task.last_words = LastWords::NONE;
        // SAFETY: the frame is as large as the entry's, and its former coroutine does not run and will not.
        unsafe { entry.start(self.heap.ptr(task.frame)) };
        task.entry = world.registry.index(entry);
        (task.rx_mark, task.tx_mark) = (Mark::None, Mark::None);
        (task.need, task.progress, task.checkpoint) = (0, 0, 0);
        (task.deadline, task.outer_deadline, task.wake) = (NEVER, NEVER, NEVER);
        (task.request, task.outcome) = (Request::None, Outcome::None);
        self.dismiss(world);
        self.enqueue(main);
        world.tally.tasks += 1;
        true
    }

    /// Removes every task but the one that it began with, and empties the run queue. What the others had unsent is lost;
    /// their descriptors are closed in the end.
    fn dismiss(&mut self, world: &mut World) {
        let main = self.main();
        for gone in self.spans().filter(|span| *span != main) {
            let Task { rx_storage, tx_storage, frame, .. } = *self.task(gone);
            [rx_storage, tx_storage, frame, gone].into_iter().for_each(|span| world.release(span));
        }
        self.removed = true;
        let record = self.record();
        (record.tasks, record.head, record.tail) = (main, Span::EMPTY, Span::EMPTY);
        let task = self.task(main);
        task.next = Span::EMPTY;
        if matches!(task.source, Port::Task(_)) {
            (task.source, task.rx_ended) = (Port::Nothing, true);
        }
        if matches!(task.sink, Port::Task(_)) {
            (task.sink, task.tx_ended) = (Port::Nothing, true);
        }
    }
}
