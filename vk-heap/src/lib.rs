//! The arena of guarded micro-heaps.
//!
//! ```text
//!            control pages           micro-heaps                        pool
//! memfd  | blocks │ slots | heap 0 | heap 1 | … | heap n-1 | block 0 | block 1 | … |
//!          always open      closed, each open only while it runs (see Guard)
//!
//! heap   | header │ allocation │ hole │ allocation │ … never touched … |
//! ```
//!
//! A worker maps one [`Arena`] of equal slots. A micro-process gets a slot, its *micro-heap*, for its
//! life: [`Arena::create`] gives a [`HeapId`], [`Arena::open`] turns the id into a [`Heap`], through the
//! one gate where bytes that another process may have written are checked. Inside, [`Heap::alloc`] hands
//! out [`Span`]s: places relative to the arena, never addresses, so they mean the same in the next
//! process that maps the memfd. A busy heap is lent blocks of 64 KiB from the pool and gives them back.
//!
//! Invariants:
//! - All that a heap knows is in the memfd: the header, the holes, the two tables of the control pages.
//!   What is outside (which slots are free, which pages are open) can be derived from it, or is about
//!   this process only.
//! - A closed heap is `PROT_NONE`, and closed is the default state, so that all closed heaps are one
//!   mapping of the kernel and `vm.max_map_count` bounds the open ones only.
//! - An id whose heap was destroyed never opens anything.
//! - A process may die at any instruction: whoever [attaches](Arena::attach) next finds each heap as it was at the
//!   end or at the beginning of a [transaction](Arena::begin), and nothing lent to nobody.
//!
//! Deliberately absent: threads (an arena belongs to the one thread of its worker), zeroing (a frame's
//! slots are written before they are read), growth (a quota is a quota).
//!
#![cfg_attr(miri, doc = "```ignore")]
#![cfg_attr(not(miri), doc = "```")]
//! use vk_heap::{Arena, Config, Guard};
//!
//! let mut arena = Arena::new(&Config { heaps: 100, heap_size: 4096, pool_blocks: 8, guard: Guard::default() })?;
//! let id = arena.create().expect("99 more are free");
//! let mut heap = arena.open(id)?;
//! let frame = heap.alloc(200)?;
//! heap.set_root(frame);
//! arena.close(id);     // the end of a dispatch
//! arena.close_all();   // the worker goes to wait
//!
//! assert_eq!(arena.open(id)?.root(), frame);
//! arena.destroy(id);
//! assert!(arena.open(id).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod allocator;
mod area;
mod arena;
mod control;
#[doc(hidden)]
pub mod failpoint;
mod guard;
pub mod hash;
mod header;
mod heap;
mod id;
mod layout;
mod mapping;
mod memory;
mod plain;
mod set;
mod span;
mod undo;

pub use arena::{Arena, OpenError, Usage};
pub use guard::{Guard, ParseGuardError};
pub use heap::{Heap, OutOfHeap};
pub use id::HeapId;
pub use layout::{BLOCK, Config, Layout, LayoutError};
pub use mapping::memfd;
pub use plain::Plain;
pub use span::Span;
