//! Names in scope and what they stand for.

use crate::graph::VariableId;
use std::collections::BTreeSet;
use syn::Pat;
use syn::visit::Visit;

/// What a name in the body stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// A variable of the frame.
    Frame(VariableId),
    /// A parameter by reference, by index.
    Reference(usize),
    /// An ordinary variable of the running segment.
    Local,
    /// A binding of a pattern that an enclosing block loses at a blocking call.
    Lost,
    /// A variable whose `let` was refused: nothing more to say about it.
    Refused,
}

/// The names in scope, innermost last.
#[derive(Clone, Debug, Default)]
pub struct Scope(Vec<(String, Binding)>);

impl Scope {
    /// How many names there are: to return to with [`leave`](Scope::leave).
    pub fn mark(&self) -> usize {
        self.0.len()
    }

    /// Forgets the names declared since `mark`.
    pub fn leave(&mut self, mark: usize) {
        self.0.truncate(mark);
    }

    /// Declares a name.
    pub fn declare(&mut self, name: String, binding: Binding) {
        self.0.push((name, binding));
    }

    /// Declares the names that `pat` binds as ordinary variables.
    pub fn declare_pattern(&mut self, pat: &Pat) {
        for name in names_of(pat) {
            self.declare(name, Binding::Local);
        }
    }

    /// What `name` stands for, if it is a variable.
    pub fn get(&self, name: &str) -> Option<Binding> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, binding)| *binding)
    }

    /// Ordinary variables declared since `mark` don't live on.
    pub fn lose_locals(&mut self, mark: usize) {
        for (_, binding) in &mut self.0[mark..] {
            if *binding == Binding::Local {
                *binding = Binding::Lost;
            }
        }
    }

    /// Whether a segment that goes on after the scope since `mark` would see wrong names, or keep an ordinary
    /// variable of that scope alive.
    pub fn leaks(&self, mark: usize) -> bool {
        self.0[mark..].iter().any(|(name, binding)| match binding {
            Binding::Local | Binding::Lost => true,
            Binding::Frame(_) | Binding::Reference(_) | Binding::Refused => {
                self.0[..mark].iter().any(|(known, _)| known == name)
            }
        })
    }
}

/// The names that `pat` binds.
pub fn names_of(pat: &Pat) -> BTreeSet<String> {
    struct Names(BTreeSet<String>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
            // `None` and `LIMIT` in a pattern are constants.
            if pat.subpat.is_some() || !crate::blocking::is_camel(&pat.ident) {
                self.0.insert(pat.ident.to_string());
            }
            syn::visit::visit_pat_ident(self, pat);
        }
        fn visit_expr(&mut self, _: &'ast syn::Expr) {}
    }
    let mut names = Names(BTreeSet::new());
    names.visit_pat(pat);
    names.0
}
