//! A coroutine's body as a control-flow graph of plain data.
//!
//! ```text
//!   block 0 (entry) ──goto──► block 1 (resume) ──branch──► block 2 …
//!                                 ▲     suspends here and comes back here
//! ```
//!
//! A block is straight-line code that runs to its end, except that it may answer `Pending` at the blocking
//! call it starts with, if it has one, and is then entered again at its beginning. Blocks are in the order of
//! the source, so falling into the next one is free; a block's index is its program counter.
//!
//! Code refers to blocks by marks (see [`Mark`]) until expansion, which knows the order.

use crate::tokens::RESERVED;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident};
use std::collections::BTreeSet;
use std::fmt;
use syn::Type;

/// A variable of the frame, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableId(pub usize);

/// A block, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(pub usize);

/// A coroutine that the body calls, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CalleeId(pub usize);

/// A variable that lives in the frame.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name in the body.
    pub name: Ident,
    /// Its field in the frame: the name, or the name with a number.
    pub field: Ident,
    /// Its type.
    pub ty: Type,
    /// Declared `mut`.
    pub mutable: bool,
    /// A parameter by value: written before the entry.
    pub parameter: bool,
}

/// A piece of code and what it does to the frame.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// The code; uses of frame variables are `(*name)`, jumps are marks.
    pub tokens: TokenStream,
    /// Frame variables that it reads or changes through their binding.
    pub reads: BTreeSet<VariableId>,
    /// Parameters by reference that it uses, by index.
    pub references: BTreeSet<usize>,
    /// Frame variables that it initialises.
    pub writes: BTreeSet<VariableId>,
    /// Frames of callees that it sets to their beginning.
    pub enters: BTreeSet<CalleeId>,
    /// Operands that go through a variable of the machine on their way to `place +=`, by number.
    pub operands: BTreeSet<usize>,
    /// Jumps inside of the tokens.
    pub jumps: Vec<Jump>,
}

impl Code {
    /// Code without effects on the frame.
    pub fn new(tokens: TokenStream) -> Code {
        Code { tokens, ..Code::default() }
    }

    /// Adds `next`, which runs after this.
    pub fn append(&mut self, next: Code) {
        self.tokens.extend(next.tokens.clone());
        self.append_effects(next);
    }

    /// Adds what `next` does, but not its tokens.
    pub fn append_effects(&mut self, next: Code) {
        self.jumps.extend(next.jumps.into_iter().map(|mut jump| {
            jump.writes.extend(&self.writes);
            jump
        }));
        self.reads.extend(next.reads);
        self.references.extend(next.references);
        self.writes.extend(next.writes);
        self.enters.extend(next.enters);
        self.operands.extend(next.operands);
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

/// A jump out of structured code.
#[derive(Clone, Debug)]
pub struct Jump {
    /// Where to.
    pub to: BlockId,
    /// What has been written by then, in this block.
    pub writes: BTreeSet<VariableId>,
}

/// One way out of a block.
#[derive(Clone, Debug)]
pub struct Edge {
    /// What runs on the way.
    pub code: Code,
    /// Where it leads; `None` if the code returns.
    pub to: Option<BlockId>,
}

/// One arm of a [`Terminator::Match`].
#[derive(Clone, Debug)]
pub struct Arm {
    /// Pattern and guard.
    pub pattern: TokenStream,
    /// Its way out.
    pub edge: Edge,
}

/// How a block ends.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a graph has few blocks")]
pub enum Terminator {
    /// Always to that block.
    Goto(BlockId),
    /// By a condition, which may bind (`let Some(n) = …`).
    Branch {
        /// The condition.
        condition: TokenStream,
        /// If it holds.
        then: Edge,
        /// If not.
        otherwise: Edge,
    },
    /// By a value.
    Match {
        /// The value.
        scrutinee: TokenStream,
        /// The ways out.
        arms: Vec<Arm>,
    },
    /// The block's code returns.
    Return,
}

/// Straight-line code.
#[derive(Clone, Debug)]
pub struct Block {
    /// What it does, the terminator's conditions included in the effects.
    pub code: Code,
    /// Starts with a blocking call and is entered again when that call resumes.
    pub resume: bool,
    /// The hash of that call as it is written: the same call in another build has the same. 0 without one.
    pub anchor: u64,
    /// Where that call stands in the source.
    pub span: Span,
    /// The coroutine called by that blocking call, if it is one.
    pub callee: Option<CalleeId>,
    /// How it ends.
    pub terminator: Terminator,
}

impl Block {
    /// The ways out at the end, each with what it writes beyond the block's code.
    pub fn edges(&self) -> Vec<&Edge> {
        match &self.terminator {
            Terminator::Goto(_) | Terminator::Return => Vec::new(),
            Terminator::Branch { then, otherwise, .. } => vec![then, otherwise],
            Terminator::Match { arms, .. } => arms.iter().map(|arm| &arm.edge).collect(),
        }
    }

    /// What the block does, on all ways out of it.
    pub fn effects(&self) -> Code {
        let mut effects = self.code.clone();
        self.edges().into_iter().for_each(|edge| effects.append_effects(edge.code.clone()));
        effects
    }

    /// All blocks that may follow, with what is written on the way.
    pub fn successors(&self) -> Vec<(BlockId, BTreeSet<VariableId>)> {
        let all = |more: &BTreeSet<VariableId>| self.code.writes.union(more).copied().collect();
        let mut found: Vec<_> = self.code.jumps.iter().map(|jump| (jump.to, jump.writes.clone())).collect();
        if let Terminator::Goto(to) = self.terminator {
            found.push((to, self.code.writes.clone()));
        }
        for edge in self.edges() {
            found.extend(edge.to.map(|to| (to, all(&edge.code.writes))));
            found.extend(edge.code.jumps.iter().map(|jump| (jump.to, all(&jump.writes))));
        }
        found
    }
}

/// A coroutine's body.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The name of its frame.
    pub name: String,
    /// Variables of the frame; parameters by value come first, in their order.
    pub variables: Vec<Variable>,
    /// Frame types of the coroutines that it calls.
    pub callees: Vec<Type>,
    /// The blocks; 0 is the entry.
    pub blocks: Vec<Block>,
    /// The variable that keeps the caller's deadline, if the body sets one.
    pub deadline: Option<VariableId>,
}

/// Names of blocks in code, before the order is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// An expression that jumps to the block.
    Jump(BlockId),
    /// The block's program counter.
    Counter(BlockId),
}

impl Mark {
    /// The mark as an identifier.
    pub fn ident(self) -> Ident {
        match self {
            Mark::Jump(BlockId(id)) => format_ident!("__vk_jump_{}", id),
            Mark::Counter(BlockId(id)) => format_ident!("__vk_counter_{}", id),
        }
    }

    /// The mark that `ident` is, if it is one.
    pub fn read(ident: &Ident) -> Option<Mark> {
        let text = ident.to_string();
        let text = text.strip_prefix(RESERVED)?;
        if let Some(id) = text.strip_prefix("jump_") {
            return Some(Mark::Jump(BlockId(id.parse().ok()?)));
        }
        Some(Mark::Counter(BlockId(text.strip_prefix("counter_")?.parse().ok()?)))
    }
}

impl ToTokens for Mark {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.ident().to_tokens(tokens);
    }
}

impl Graph {
    /// Drops the blocks that can't be reached and joins those that only follow one another, then numbers the
    /// rest in `order`, marks included.
    pub(crate) fn arrange(&mut self, order: &[BlockId]) {
        self.join();
        let reached = self.reached();
        let order: Vec<BlockId> = order.iter().copied().filter(|id| reached.contains(id)).collect();
        let mut numbers = vec![BlockId(usize::MAX); self.blocks.len()];
        for (number, id) in order.iter().enumerate() {
            numbers[id.0] = BlockId(number);
        }
        let mut old: Vec<Option<Block>> = self.blocks.drain(..).map(Some).collect();
        self.blocks = order.iter().filter_map(|id| old[id.0].take()).collect();
        for block in &mut self.blocks {
            block.renumber(&numbers);
        }
    }

    fn reached(&self) -> BTreeSet<BlockId> {
        let mut reached = BTreeSet::new();
        let mut open = vec![BlockId(0)];
        while let Some(id) = open.pop() {
            if reached.insert(id) {
                open.extend(self.blocks[id.0].successors().into_iter().map(|(to, _)| to));
            }
        }
        reached
    }

    /// Sends every way that leads to an empty block on to where that block goes.
    fn join(&mut self) {
        let target = |blocks: &[Block], mut id: BlockId| {
            for _ in 0..blocks.len() {
                match &blocks[id.0] {
                    Block { code, resume: false, terminator: Terminator::Goto(next), .. }
                        if code.is_empty() && code.writes.is_empty() && id.0 != 0 =>
                    {
                        id = *next;
                    }
                    _ => break,
                }
            }
            id
        };
        let targets: Vec<BlockId> =
            (0..self.blocks.len()).map(|id| target(&self.blocks, BlockId(id))).collect();
        for block in &mut self.blocks {
            block.renumber(&targets);
        }
    }
}

impl Block {
    fn renumber(&mut self, numbers: &[BlockId]) {
        self.code.renumber(numbers);
        match &mut self.terminator {
            Terminator::Goto(to) => *to = numbers[to.0],
            Terminator::Return => {}
            Terminator::Branch { condition, then, otherwise } => {
                *condition = renumbered(condition, numbers);
                then.renumber(numbers);
                otherwise.renumber(numbers);
            }
            Terminator::Match { scrutinee, arms } => {
                *scrutinee = renumbered(scrutinee, numbers);
                for arm in arms {
                    arm.pattern = renumbered(&arm.pattern, numbers);
                    arm.edge.renumber(numbers);
                }
            }
        }
    }
}

impl Edge {
    fn renumber(&mut self, numbers: &[BlockId]) {
        self.code.renumber(numbers);
        self.to = self.to.map(|to| numbers[to.0]);
    }
}

impl Code {
    fn renumber(&mut self, numbers: &[BlockId]) {
        self.tokens = renumbered(&self.tokens, numbers);
        for jump in &mut self.jumps {
            jump.to = numbers[jump.to.0];
        }
    }
}

fn renumbered(tokens: &TokenStream, numbers: &[BlockId]) -> TokenStream {
    replace_marks(tokens, &|mark| {
        let number = |BlockId(id)| numbers.get(id).copied().unwrap_or(BlockId(id));
        match mark {
            Mark::Jump(id) => Mark::Jump(number(id)).into_token_stream(),
            Mark::Counter(id) => Mark::Counter(number(id)).into_token_stream(),
        }
    })
}

/// Replaces every mark in `tokens`.
pub(crate) fn replace_marks(tokens: &TokenStream, replace: &dyn Fn(Mark) -> TokenStream) -> TokenStream {
    use proc_macro2::{Group, TokenTree};
    let mut out = TokenStream::new();
    for tree in tokens.clone() {
        match &tree {
            TokenTree::Ident(ident) if let Some(mark) = Mark::read(ident) => out.extend(replace(mark)),
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), replace_marks(&group.stream(), replace));
                inner.set_span(group.span());
                out.extend([TokenTree::Group(inner)]);
            }
            _ => out.extend([tree]),
        }
    }
    out
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
