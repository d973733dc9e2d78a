//! Random programs: coroutines that call each other, in the part of the language that the macro accepts.
//!
//! They end by construction: every loop has a bound, and a function is only called where the bounds of the
//! loops around, times what it may cost, stay below a limit. They don't panic: arithmetic can't overflow, and
//! indices are in range. What they do depends on the bytes they read, not on how many come at once.

use crate::dice::Dice;
use crate::scope::{Kind, Scope, TYPES, Type};
use std::fmt::Write;

/// Blocking operations that a body may do.
const MOST_COST: u64 = 1500;

/// Functions that a body may call, the last ones.
const CALLABLE: usize = 14;

/// What a function returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// `io::Result<T>`; `None` is `io::Result<()>`.
    Result(Option<Type>),
    /// `Option<u64>`.
    Maybe,
    /// The value itself; `None` is nothing.
    Value(Option<Type>),
}

/// A parameter beside `io`.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub ty: Type,
    /// `None`: by value. `Some(mutable)`: by reference.
    pub reference: Option<bool>,
}

/// A function that can be called.
#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    pub parameters: Vec<Parameter>,
    /// Where `io` stands among the parameters.
    pub io: usize,
    pub returns: Returns,
    /// A method of `Cell`, by `&mut self` or not.
    pub method: Option<bool>,
    pub cost: u64,
}

/// A loop or block that can be left.
#[derive(Clone, Debug)]
pub struct Target {
    pub label: Option<String>,
    pub is_loop: bool,
    /// The type of the value that `break` takes along.
    pub value: Option<Type>,
}

/// Writes one function.
pub struct Writer<'a> {
    pub dice: &'a mut Dice,
    pub functions: &'a [Function],
    pub scope: Scope,
    pub targets: Vec<Target>,
    pub returns: Returns,
    /// The name of the `Io` parameter.
    pub io: &'static str,
    /// What it does so far, and how often what is being written may run.
    pub cost: u64,
    pub times: u64,
    /// Statements that may still be written.
    pub left: usize,
    pub depth: usize,
    /// Nothing may block here.
    pub quiet: bool,
    pub numbers: usize,
    pub text: String,
}

impl Writer<'_> {
    /// Writes a line.
    pub fn line(&mut self, line: &str) {
        let indent = 4 * (self.depth + 1);
        writeln!(self.text, "{:indent$}{line}", "").expect("a string");
    }

    /// A number for a name that is used once.
    pub fn number(&mut self) -> usize {
        self.numbers += 1;
        self.numbers
    }

    /// Notes something that costs `cost` each time; false if it is too much.
    pub fn pay(&mut self, cost: u64) -> bool {
        let cost = cost * self.times;
        let allowed = self.cost + cost <= MOST_COST;
        if allowed {
            self.cost += cost;
        }
        allowed
    }
}

/// What every program begins with.
const PRELUDE: &str = "\
use crate::tools::{fold, mix, number};
use std::io::{self, ErrorKind};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
pub enum Shape {
    Dot,
    Line(u64),
    Box { wide: u64, high: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
pub struct Cell {
    pub a: u64,
    pub b: [u8; 4],
    pub full: bool,
}
";

/// The text of `count` bodies and what they call.
pub fn programs(seed: u64, count: u64) -> String {
    let mut text = PRELUDE.to_owned();
    let mut functions: Vec<Function> = Vec::new();
    for body in 0..count {
        let mut dice = Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(body));
        for _ in 0..dice.below(3) {
            let number = functions.len();
            let (function, source) = helper(number, &mut dice, &functions);
            text += &source;
            functions.push(function);
        }
        text += &self::body(body, &mut dice, &functions);
    }
    text
}

/// A function with parameters, which others call.
fn helper(number: usize, dice: &mut Dice, functions: &[Function]) -> (Function, String) {
    let by_value = |dice: &mut Dice| Parameter { ty: *dice.pick(&TYPES), reference: None };
    let by_reference =
        |dice: &mut Dice| Parameter { ty: *dice.pick(&TYPES), reference: Some(!dice.one_in(3)) };
    let parameters: Vec<Parameter> = (0..dice.below(4))
        .map(|_| if dice.one_in(2) { by_value(dice) } else { by_reference(dice) })
        .collect();
    let returns = match dice.below(8) {
        0..=2 => Returns::Result(Some(Type::U64)),
        3 => Returns::Result(Some(*dice.pick(&[Type::Bool, Type::Maybe, Type::Shape, Type::Cell]))),
        4 => Returns::Result(None),
        5 => Returns::Maybe,
        6 => Returns::Value(Some(*dice.pick(&[Type::U64, Type::Shape, Type::Pair]))),
        _ => Returns::Value(None),
    };
    let method = dice.one_in(4).then(|| !dice.one_in(3));
    let io = if dice.one_in(3) { dice.below(parameters.len() + 1) } else { 0 };
    let name = format!("helper_{number}");
    let mut function = Function { name, parameters, io, returns, method, cost: 0 };
    let (text, cost) = write(&function, dice, functions);
    function.cost = cost + 1;
    let text = match method {
        None => format!("\n#[vk_macros::coroutine]\n{text}"),
        Some(_) => format!("\n#[vk_macros::coroutine]\nimpl Cell {{\n{text}}}\n"),
    };
    (function, text)
}

/// A function that the oracle calls.
fn body(number: u64, dice: &mut Dice, functions: &[Function]) -> String {
    let function = Function {
        name: format!("body_{number}"),
        parameters: Vec::new(),
        io: 0,
        returns: Returns::Result(Some(Type::U64)),
        method: None,
        cost: 0,
    };
    format!("\n#[vk_macros::coroutine]\npub {}", write(&function, dice, functions).0)
}

/// The source of `function`, and what it costs.
fn write(function: &Function, dice: &mut Dice, functions: &[Function]) -> (String, u64) {
    let io = if function.name.starts_with("body") { "io" } else { *dice.pick(&["io", "io", "stream"]) };
    let left = 6 + dice.below(18);
    let functions = &functions[functions.len().saturating_sub(CALLABLE)..];
    let mut writer = Writer {
        dice,
        functions,
        scope: Scope::default(),
        targets: Vec::new(),
        returns: function.returns,
        io,
        cost: 0,
        times: 1,
        left,
        depth: 0,
        quiet: false,
        numbers: 0,
        text: String::new(),
    };
    let mut parameters = Vec::new();
    if let Some(mutable) = function.method {
        parameters.push(if mutable { "&mut self".to_owned() } else { "&self".to_owned() });
        writer.scope.declare("self", Type::Cell, mutable, Kind::Reference);
    }
    for (at, parameter) in function.parameters.iter().enumerate() {
        if at == function.io {
            parameters.push(format!("{io}: &mut Io"));
        }
        let (ty, name) = (parameter.ty, format!("p{at}"));
        match parameter.reference {
            None => {
                let mutable = writer.dice.one_in(2);
                parameters.push(format!("{}{name}: {ty}", if mutable { "mut " } else { "" }));
                writer.scope.declare(&name, ty, mutable, Kind::Owned);
            }
            Some(mutable) => {
                parameters.push(format!("{name}: &{}{ty}", if mutable { "mut " } else { "" }));
                writer.scope.declare(&name, ty, mutable, Kind::Reference);
            }
        }
    }
    if function.io >= function.parameters.len() {
        parameters.push(format!("{io}: &mut Io"));
    }
    let returns = match function.returns {
        Returns::Result(None) => " -> io::Result<()>".to_owned(),
        Returns::Result(Some(ty)) => format!(" -> io::Result<{ty}>"),
        Returns::Maybe => " -> Option<u64>".to_owned(),
        Returns::Value(None) => String::new(),
        Returns::Value(Some(ty)) => format!(" -> {ty}"),
    };
    writer.function();
    let (text, cost) = (std::mem::take(&mut writer.text), writer.cost);
    (format!("fn {}({}){returns} {{\n{text}}}\n", function.name, parameters.join(", ")), cost)
}
