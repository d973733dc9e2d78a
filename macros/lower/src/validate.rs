//! Checks a graph. What it finds is a mistake of the lowering, never of the user.

use crate::graph::{BlockId, Graph, Terminator, VariableId};
use std::collections::BTreeSet;

/// The first thing that is wrong with `graph`:
///
/// - every jump has a target, and every block but the entry is reached;
/// - the entry doesn't suspend, as program counter 0 means "not begun";
/// - every variable that a block reads has been written on all ways to it;
/// - a block that calls a coroutine is reached, except by its own resume, from a block that enters it.
pub fn validate(graph: &Graph) -> Result<(), String> {
    let count = graph.blocks.len();
    let Some(entry) = graph.blocks.first() else { return Err("there is no entry".into()) };
    if entry.resume {
        return Err("the entry suspends".into());
    }
    for (at, block) in graph.blocks.iter().enumerate() {
        for (to, _) in block.successors() {
            if to.0 >= count {
                return Err(format!("block {at} goes to {to}, of {count}"));
            }
        }
        if let Terminator::Match { arms, .. } = &block.terminator
            && arms.is_empty()
        {
            return Err(format!("block {at} ends in a match without arms"));
        }
    }
    let written = written(graph);
    for (at, block) in graph.blocks.iter().enumerate() {
        let Some(before) = &written[at] else { return Err(format!("block {at} is never reached")) };
        let reads = block.edges().into_iter().flat_map(|edge| &edge.code.reads).chain(&block.code.reads);
        let writes =
            |id| block.code.writes.contains(id) || block.edges().iter().any(|e| e.code.writes.contains(id));
        if let Some(id) = reads.into_iter().find(|id| !before.contains(id) && !writes(id)) {
            return Err(format!("block {at} reads `{}` before it is written", graph.variables[id.0].field));
        }
        if let Some(callee) = block.callee {
            for (from, other) in graph.blocks.iter().enumerate() {
                let leads = other.successors().iter().any(|(to, _)| to.0 == at);
                if leads && !other.code.enters.contains(&callee) {
                    return Err(format!("block {from} goes to {at} without entering its callee"));
                }
            }
        }
    }
    Ok(())
}

/// What has been written on all ways to each block; `None` for blocks that aren't reached.
pub(crate) fn written(graph: &Graph) -> Vec<Option<BTreeSet<VariableId>>> {
    let parameters = graph.variables.iter().enumerate().filter(|(_, variable)| variable.parameter);
    let mut written = vec![None; graph.blocks.len()];
    written[0] = Some(parameters.map(|(id, _)| VariableId(id)).collect::<BTreeSet<_>>());
    let mut open = vec![BlockId(0)];
    while let Some(BlockId(at)) = open.pop() {
        let before = written[at].clone().unwrap_or_default();
        for (to, writes) in graph.blocks[at].successors() {
            let after: BTreeSet<_> = before.union(&writes).copied().collect();
            let joined = match &written[to.0] {
                Some(known) => known.intersection(&after).copied().collect(),
                None => after,
            };
            if written[to.0].as_ref() != Some(&joined) {
                written[to.0] = Some(joined);
                open.push(to);
            }
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::validate;
    use crate::graph::{BlockId, CalleeId, Graph, Terminator, VariableId};
    use syn::parse_quote;

    fn graph() -> Graph {
        let item = parse_quote! {
            fn f(io: &mut Io, n: u32) -> io::Result<u32> {
                let mut total: u32 = n;
                while total > call(io, n)? {
                    io.flush()?;
                    total += 1;
                }
                Ok(total)
            }
        };
        crate::graphs(item).expect("lowered").remove(0)
    }

    fn problem(change: impl FnOnce(&mut Graph)) -> String {
        let mut graph = graph();
        assert_eq!(validate(&graph), Ok(()));
        change(&mut graph);
        validate(&graph).expect_err("broken")
    }

    #[test]
    fn every_invariant_is_checked() {
        assert!(problem(|graph| graph.blocks.clear()).contains("no entry"));
        assert!(problem(|graph| graph.blocks[0].resume = true).contains("the entry suspends"));
        assert!(
            problem(|graph| graph.blocks[0].terminator = Terminator::Goto(BlockId(99)))
                .contains("goes to 99")
        );
        assert!(problem(|graph| graph.blocks[0].terminator = Terminator::Return).contains("never reached"));
        assert!(problem(|graph| graph.blocks[0].code.writes.clear()).contains("reads `total`"));
        assert!(problem(|graph| graph.variables[0].parameter = false).contains("reads `n`"));
        assert!(problem(|graph| graph.blocks[1].code.enters.clear()).contains("without entering"));
        assert!(
            problem(|graph| {
                let call = graph.blocks.iter_mut().find(|block| block.callee == Some(CalleeId(0)));
                let arms = Vec::new();
                call.expect("a call").terminator = Terminator::Match { scrutinee: parse_quote!(x), arms };
            })
            .contains("without arms")
        );
        assert!(graph().blocks.iter().any(|block| block.code.reads.contains(&VariableId(1))));
    }
}
