//! Types and variables of a random program.

use crate::dice::Dice;
use std::fmt;

/// A type that variables have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    U64,
    Bool,
    /// `[u8; n]`.
    Bytes(usize),
    /// `[u64; 3]`.
    Words,
    /// `Line<n>`: not `Copy`.
    Line(usize),
    /// `Option<u64>`.
    Maybe,
    /// `(u64, bool)`.
    Pair,
    /// An enum.
    Shape,
    /// A struct with methods that block.
    Cell,
}

/// All of them.
pub const TYPES: [Type; 10] = [
    Type::U64,
    Type::U64,
    Type::Bool,
    Type::Bytes(4),
    Type::Words,
    Type::Line(12),
    Type::Maybe,
    Type::Pair,
    Type::Shape,
    Type::Cell,
];

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::U64 => f.write_str("u64"),
            Type::Bool => f.write_str("bool"),
            Type::Bytes(n) => write!(f, "[u8; {n}]"),
            Type::Words => f.write_str("[u64; 3]"),
            Type::Line(n) => write!(f, "Line<{n}>"),
            Type::Maybe => f.write_str("Option<u64>"),
            Type::Pair => f.write_str("(u64, bool)"),
            Type::Shape => f.write_str("Shape"),
            Type::Cell => f.write_str("Cell"),
        }
    }
}

/// How a name may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A variable with a type, or a parameter by value.
    Owned,
    /// A parameter by reference.
    Reference,
    /// Bound by a pattern that a blocking call has made unusable. It still hides outer names.
    Lost,
}

/// A name in scope.
#[derive(Clone, Debug)]
pub struct Variable {
    pub name: String,
    pub ty: Type,
    pub mutable: bool,
    pub kind: Kind,
}

impl Variable {
    /// The variable as a place.
    pub fn place(&self) -> String {
        match self.kind {
            Kind::Reference => format!("(*{})", self.name),
            _ => self.name.clone(),
        }
    }
}

/// Something that can be read, and perhaps assigned to and borrowed.
#[derive(Clone, Debug)]
pub struct Place {
    pub text: String,
    /// The variable that it is part of.
    pub root: String,
    /// The variable that its index is computed from.
    pub index: Option<String>,
    pub mutable: bool,
}

/// The names in scope, innermost last.
#[derive(Clone, Debug, Default)]
pub struct Scope(Vec<Variable>);

impl Scope {
    pub fn mark(&self) -> usize {
        self.0.len()
    }

    pub fn leave(&mut self, mark: usize) {
        self.0.truncate(mark);
    }

    pub fn declare(&mut self, name: &str, ty: Type, mutable: bool, kind: Kind) {
        self.0.push(Variable { name: name.to_owned(), ty, mutable, kind });
    }

    /// What a blocking call does to bindings of patterns: they only hide.
    pub fn lose(&mut self, name: &str) {
        self.declare(name, Type::U64, false, Kind::Lost);
    }

    /// Names that can be used, each once.
    pub fn visible(&self) -> Vec<&Variable> {
        let mut seen: Vec<&Variable> = Vec::new();
        for variable in self.0.iter().rev() {
            if !seen.iter().any(|known| known.name == variable.name) {
                seen.push(variable);
            }
        }
        seen.retain(|variable| variable.kind != Kind::Lost);
        seen
    }

    /// Places of type `ty` outside of the variables `avoid`.
    pub fn places(&self, ty: Type, avoid: &[String]) -> Vec<Place> {
        let mut places = Vec::new();
        for variable in self.visible() {
            if avoid.contains(&variable.name) {
                continue;
            }
            let base = variable.place();
            let mut add = |part: &str| {
                places.push(Place {
                    text: format!("{base}{part}"),
                    root: variable.name.clone(),
                    index: None,
                    mutable: variable.mutable,
                });
            };
            match (ty, variable.ty) {
                (wanted, found) if wanted == found => add(""),
                (Type::U64, Type::Words) => ["[0]", "[1]", "[2]"].into_iter().for_each(add),
                (Type::U64, Type::Pair) => add(".0"),
                (Type::Bool, Type::Pair) => add(".1"),
                (Type::U64, Type::Cell) => add(".a"),
                (Type::Bytes(4), Type::Cell) => add(".b"),
                (Type::Bool, Type::Cell) => add(".full"),
                _ => {}
            }
        }
        places
    }

    /// One of the places of type `ty` that can be changed.
    pub fn mutable(&self, dice: &mut Dice, ty: Type, avoid: &[String]) -> Option<Place> {
        let mut places = self.places(ty, avoid);
        places.retain(|place| place.mutable);
        if places.is_empty() {
            return None;
        }
        let mut place = dice.pick(&places).clone();
        let counters: Vec<&Variable> =
            self.visible().into_iter().filter(|v| v.ty == Type::U64 && !avoid.contains(&v.name)).collect();
        if let Some(array) = place.text.strip_suffix("[0]")
            && !counters.is_empty()
        {
            let counter = dice.pick(&counters);
            place.text = format!("{array}[({} % 3) as usize]", counter.place());
            place.index = Some(counter.name.clone());
        }
        Some(place)
    }
}
