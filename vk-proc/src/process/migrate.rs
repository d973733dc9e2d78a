//! A micro-process of another build becomes one of this build.
//!
//! ```text
//! translate   indices of coroutines are this build's; frames stay as they are
//! migrate     the one task's frame is this build's: its variables are carried over by name
//! ```
//!
//! Invariant: each is one transaction of the micro-heap, which is a copy; the original counts until its descriptors are
//! passed.
#![allow(unsafe_code)]

use super::Process;
use crate::listener;
use std::mem::MaybeUninit;
use vk_core::io::bytes_of;
use vk_core::migrate::{Deadline, Fill, Refused, migrate};
use vk_core::registry::Described;
use vk_core::task::{NEVER, Outcome, Request};
use vk_core::{Entry, Wait, World};
use vk_heap::Span;

impl Process {
    /// Gives each coroutine its index in this build: `entry` tells what the former index means. The connections that it
    /// accepts, if it does, are for `handler`. False if a coroutine is not in this build.
    pub fn translate(
        &mut self,
        world: &mut World,
        entry: impl Fn(u32) -> Option<&'static Entry>,
        handler: Option<&'static Entry>,
    ) -> bool {
        world.arena.begin(&self.heap, [Span::EMPTY; 2]);
        let mut span = self.first();
        let mut known = true;
        while !span.is_empty() {
            let task = self.task(span);
            let mut index = |index: &mut u32| match entry(*index) {
                Some(entry) => *index = world.registry.index(entry),
                None => known = false,
            };
            index(&mut task.entry);
            if let Request::Spawn { entry, .. } = &mut task.request {
                index(entry);
            }
            span = task.next;
        }
        if let Some(handler) = handler {
            self.accept_for(world, handler);
        }
        world.arena.commit();
        known
    }

    /// The listener that this is starts `handler` from now on.
    fn accept_for(&mut self, world: &mut World, handler: &'static Entry) {
        let index = world.registry.index(handler);
        let task = self.task(self.main());
        if let Request::Start { entry, .. } = &mut task.request {
            *entry = index;
        }
        let shape = Entry::of::<listener::listener>().shape();
        let field =
            shape.fields.iter().find(|field| field.name == "handler").expect("the listener's one parameter");
        // SAFETY: the frame of a listener, whose layout is this build's; the field is a `u32` in it.
        unsafe { self.heap.ptr(task.frame).add(field.offset as usize).cast::<u32>().write(index) }
    }

    /// Gives its one task, which stands at a checkpoint, a frame of this build, in which the blocking call under way
    /// begins again.
    pub fn migrate(
        &mut self,
        world: &mut World,
        old: &Described,
        new: &'static Entry,
        fill: Option<Fill>,
    ) -> Result<(), Refused> {
        world.arena.begin(&self.heap, [Span::EMPTY; 2]);
        let result = self.migrate_now(world, old, new, fill);
        world.arena.commit();
        result
    }

    fn migrate_now(
        &mut self,
        world: &mut World,
        old: &Described,
        new: &'static Entry,
        fill: Option<Fill>,
    ) -> Result<(), Refused> {
        let span = self.main();
        let task = self.task(span);
        let frame = world.allocate(new.frame_size().max(1)).ok_or(Refused::Size)?;
        // SAFETY: the span was allocated just now, and is not looked at but through this.
        let to = unsafe {
            let first = self.heap.ptr(frame).cast::<MaybeUninit<u8>>();
            std::slice::from_raw_parts_mut(first.as_ptr(), new.frame_size() as usize)
        };
        // SAFETY: a frame that `Process::claim` found to lie in this micro-heap, with as many bytes, of another span; the
        // build before left it as its description says.
        let deadline = unsafe {
            let from = bytes_of(&self.heap, task.frame);
            migrate(&old.shape, &from[..old.size as usize], new.shape(), to, fill)
        }?;
        let former = std::mem::replace(&mut task.frame, frame);
        task.entry = world.registry.index(new);
        (task.progress, task.need, task.wake) = (0, 0, NEVER);
        (task.request, task.outcome) = (Request::None, Outcome::None);
        if deadline == Deadline::Ends {
            (task.deadline, task.outer_deadline) = (NEVER, NEVER);
        }
        if task.wait != Wait::Nothing {
            self.enqueue(span);
        }
        world.release(former);
        Ok(())
    }
}
