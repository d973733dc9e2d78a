//! A graph as text, and as a drawing for Graphviz.

use crate::graph::{Block, Code, Edge, Graph, Terminator, Variable};
use proc_macro2::{Group, TokenStream, TokenTree};
use quote::ToTokens;
use std::fmt::{self, Write};

/// Tokens on one line, nearly as one would write them; a blocking call without what makes it suspend.
fn line(tokens: &impl ToTokens) -> String {
    crate::refusal::source(&calls(tokens.to_token_stream()))
}

/// `io.read(…)` for `(match io.read(…) { Ready(value) => value, Pending => { … } })`.
fn calls(tokens: TokenStream) -> TokenStream {
    let tree = |tree| match tree {
        TokenTree::Group(group) => match suspension(&group) {
            Some(call) => calls(call),
            None => TokenTree::Group(Group::new(group.delimiter(), calls(group.stream()))).into(),
        },
        other => other.into(),
    };
    tokens.into_iter().map(tree).collect::<Vec<TokenStream>>().into_iter().collect()
}

/// The call of a group that is a blocking call as the lowering writes it.
fn suspension(group: &Group) -> Option<TokenStream> {
    let trees: Vec<TokenTree> = group.stream().into_iter().collect();
    let [TokenTree::Ident(word), call @ .., TokenTree::Group(arms)] = &trees[..] else { return None };
    let suspends = arms.stream().to_string().contains("return :: vk :: rt :: Poll :: Pending");
    (word == "match" && suspends).then(|| call.iter().cloned().collect())
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "coroutine {}", self.name)?;
        for Variable { field, ty, parameter, .. } in &self.variables {
            writeln!(f, "  {} {field}: {}", if *parameter { "parameter" } else { "variable" }, line(ty))?;
        }
        for callee in &self.callees {
            writeln!(f, "  callee {}", line(callee))?;
        }
        for (at, block) in self.blocks.iter().enumerate() {
            let kind = match (at, block.resume) {
                (0, _) => " entry",
                (_, true) => " resume",
                _ => "",
            };
            writeln!(f, "{at}:{kind}")?;
            for text in self.block_lines(block) {
                writeln!(f, "    {text}")?;
            }
        }
        Ok(())
    }
}

impl Graph {
    /// The graph in the language of Graphviz: `dot -Tsvg`.
    pub fn to_dot(&self) -> String {
        let mut out = format!("digraph \"{}\" {{\n  node [shape=box, fontname=monospace];\n", self.name);
        for (at, block) in self.blocks.iter().enumerate() {
            let text = self.block_lines(block).join("\n");
            let label =
                format!("{at}\n{text}\n").replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\l");
            let style = if block.resume { ", style=bold" } else { "" };
            let _ = writeln!(out, "  {at} [label=\"{label}\"{style}];");
            for (to, _) in block.successors() {
                let _ = writeln!(out, "  {at} -> {to};");
            }
            if block.resume {
                let _ = writeln!(out, "  {at} -> {at} [style=dashed];");
            }
        }
        out.push_str("}\n");
        out
    }

    fn block_lines(&self, block: &Block) -> Vec<String> {
        let mut lines = Vec::new();
        let names = |code: &Code| -> Vec<String> {
            code.reads.iter().map(|id| self.variables[id.0].field.to_string()).collect()
        };
        if !names(&block.code).is_empty() {
            lines.push(format!("reads {}", names(&block.code).join(", ")));
        }
        if !block.code.is_empty() {
            lines.push(line(&block.code.tokens));
        }
        let edge = |edge: &Edge| {
            let code = line(&edge.code.tokens);
            let to = edge.to.map_or_else(|| "end".to_owned(), |to| to.to_string());
            if code.is_empty() { format!("→ {to}") } else { format!("{code} → {to}") }
        };
        match &block.terminator {
            Terminator::Goto(to) => lines.push(format!("→ {to}")),
            Terminator::Return => lines.push("end".to_owned()),
            Terminator::Branch { condition, then, otherwise } => {
                lines.push(format!("if {} {}", line(condition), edge(then)));
                lines.push(format!("else {}", edge(otherwise)));
            }
            Terminator::Match { scrutinee, arms } => {
                lines.push(format!("match {}", line(scrutinee)));
                for arm in arms {
                    lines.push(format!("  {} {}", line(&arm.pattern), edge(&arm.edge)));
                }
            }
        }
        lines
    }
}
