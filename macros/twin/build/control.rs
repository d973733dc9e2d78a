//! Control flow of random programs: branches, loops and the ways out of them, with a value or without.

use crate::program::{Returns, Target, Writer};
use crate::scope::{Kind, Type};
use crate::statement::NAMES;

/// Types of what control flow and blocks answer.
const VALUES: [Type; 5] = [Type::U64, Type::U64, Type::Bool, Type::Maybe, Type::Shape];

impl Writer<'_> {
    /// A condition; what it binds by a pattern is the second.
    fn head(&mut self) -> (String, Option<&'static str>) {
        if !self.dice.one_in(3) {
            return (self.value(Type::Bool), None);
        }
        let name = *self.dice.pick(&NAMES);
        let value = self.scrutinee(Type::Maybe);
        let guard = self.pure(Type::U64, &[name.to_owned()]);
        let chain = match self.dice.below(3) {
            0 => format!(" && {name} != {guard}"),
            _ => String::new(),
        };
        (format!("let Some({name}) = {value}{chain}"), Some(name))
    }

    /// A value to match on: without what would be taken for a block after it.
    pub fn scrutinee(&mut self, ty: Type) -> String {
        let value = match self.dice.below(3) {
            0 => None,
            _ => self.call(Some(ty)),
        };
        match value {
            Some(call) => self.unwrapped(&call, Some(ty)),
            None => format!("({})", self.pure(ty, &[])),
        }
    }

    /// The block after a pattern has bound `name`, a `u64`: it is taken over, or used as it is where nothing
    /// blocks.
    fn bound(&mut self, name: Option<&str>, value: Option<Type>) {
        self.branch(|writer| {
            let quiet = writer.quiet;
            match name {
                Some(name) if !writer.dice.one_in(4) => {
                    let new = if writer.dice.one_in(3) { *writer.dice.pick(&NAMES) } else { name };
                    let mutable = writer.dice.one_in(2);
                    writer.scope.lose(name);
                    let word = if mutable { "mut " } else { "" };
                    let change = if writer.dice.one_in(3) { " ^ 1" } else { "" };
                    writer.line(&format!("let {word}{new}: u64 = {name}{change};"));
                    writer.scope.declare(new, Type::U64, mutable, Kind::Owned);
                }
                Some(name) => {
                    writer.quiet = true;
                    writer.scope.declare(name, Type::U64, false, Kind::Owned);
                }
                None => {}
            }
            writer.inside(value);
            writer.quiet = quiet;
        });
    }

    /// `if` as a statement.
    pub fn condition(&mut self) {
        self.choose("", None, "");
    }

    /// `if`, with a value or without.
    fn choose(&mut self, before: &str, value: Option<Type>, after: &str) {
        let (head, name) = self.head();
        self.line(&format!("{before}if {head} {{"));
        self.bound(name, value);
        while self.dice.one_in(3) && self.left > 0 {
            let (head, name) = self.head();
            self.line(&format!("}} else if {head} {{"));
            self.bound(name, value);
        }
        if value.is_some() || self.dice.one_in(2) {
            self.line("} else {");
            self.block(value);
        }
        self.line(&format!("}}{after}"));
    }

    /// `match` as a statement.
    pub fn select(&mut self) {
        self.choose_arm("", None, "");
    }

    /// `match`, with a value or without.
    fn choose_arm(&mut self, before: &str, value: Option<Type>, after: &str) {
        let kind = self.dice.below(4);
        let (scrutinee, arms): (String, &[(&str, bool)]) = match kind {
            0 => {
                let word = self.scrutinee(Type::U64);
                (format!("{word} % 6"), &[("0 | 5", false), ("_ @ 3..=4", true), ("1", false), ("_", true)])
            }
            1 => (self.scrutinee(Type::Maybe), &[("Some(_)", true), ("None", false), ("Some(_)", false)]),
            2 => (
                self.scrutinee(Type::Shape),
                &[
                    ("Shape::Line(_)", true),
                    ("Shape::Box { wide: _, high: true }", true),
                    ("Shape::Box { wide: _, .. } | Shape::Line(_)", true),
                    ("Shape::Dot", false),
                    ("other", false),
                ],
            ),
            _ => {
                let Some(call) =
                    self.call(Some(Type::U64)).filter(|call| matches!(call.returns, Returns::Result(_)))
                else {
                    return self.choose(before, value, after);
                };
                (
                    call.text,
                    &[
                        ("Ok(_)", true),
                        ("Err(error) if error.kind() == ErrorKind::UnexpectedEof", false),
                        ("Err(_)", false),
                        ("Ok(_)", false),
                    ],
                )
            }
        };
        self.line(&format!("{before}match {scrutinee} {{"));
        self.depth += 1;
        for (pattern, binds) in arms {
            let name = *self.dice.pick(&NAMES);
            let mut pattern = if *binds { pattern.replace('_', name) } else { (*pattern).to_owned() };
            if *binds && kind < 3 && !pattern.contains('|') && pattern != name && self.dice.one_in(3) {
                // Whatever a guard refuses is caught by what follows, or by the last arm.
                let guard = self.pure(Type::U64, &[name.to_owned()]);
                pattern += &format!(" if {name} > {guard}");
            }
            self.line(&format!("{pattern} => {{"));
            self.bound(binds.then_some(name), value);
            self.line("}");
        }
        self.depth -= 1;
        self.line(&format!("}}{after}"));
    }

    /// `let x: T = if …` and the like, or an assignment of it.
    pub fn value_of_control(&mut self) {
        let ty = *self.dice.pick(&VALUES);
        let name = *self.dice.pick(&NAMES);
        let place = if self.dice.one_in(3) { self.scope.mutable(self.dice, ty, &[]) } else { None };
        let before = match &place {
            Some(place) if ty == Type::U64 && self.dice.one_in(2) => format!("{} ^= ", place.text),
            Some(place) => format!("{} = ", place.text),
            None => format!("let mut {name}: {ty} = "),
        };
        match self.dice.below(6) {
            5 => {
                self.line(&format!("{before}{{"));
                self.block(Some(ty));
                self.line("};");
            }
            0 | 1 => self.choose(&before, Some(ty), ";"),
            2 => self.choose_arm(&before, Some(ty), ";"),
            3 => self.labelled(&before, Some(ty), ";"),
            _ => self.endless(&before, Some(ty), ";"),
        }
        if place.is_none() {
            self.scope.declare(name, ty, true, Kind::Owned);
        }
    }

    /// A labelled block.
    fn labelled(&mut self, before: &str, value: Option<Type>, after: &str) {
        let label = format!("l{}", self.number());
        self.line(&format!("{before}'{label}: {{"));
        self.targets.push(Target { label: Some(label), is_loop: false, value });
        self.block(value);
        self.targets.pop();
        self.line(&format!("}}{after}"));
    }

    /// `loop`, which ends after some turns.
    fn endless(&mut self, before: &str, value: Option<Type>, after: &str) {
        let bound = 1 + self.dice.below(4);
        let turns = format!("turns{}", self.number());
        self.line(&format!("let mut {turns}: usize = 0;"));
        let label = self.label();
        self.line(&format!("{before}{}loop {{", prefix(&label)));
        self.turns(label, bound, value, |writer| {
            let last = match value {
                Some(ty) => format!(" {}", writer.pure(ty, &[])),
                None => String::new(),
            };
            writer.line(&format!("if {turns} >= {bound} {{"));
            writer.line(&format!("    break{last};"));
            writer.line("}");
            writer.line(&format!("{turns} += 1;"));
        });
        self.line(&format!("}}{after}"));
    }

    fn label(&mut self) -> Option<String> {
        if self.dice.one_in(2) { Some(format!("l{}", self.number())) } else { None }
    }

    /// The body of a loop that turns at most `bound` times.
    fn turns(
        &mut self,
        label: Option<String>,
        bound: usize,
        value: Option<Type>,
        first: impl FnOnce(&mut Self),
    ) {
        let times = self.times;
        self.times = times * (bound as u64 + 1);
        self.targets.push(Target { label, is_loop: true, value });
        self.branch(|writer| {
            first(writer);
            if !writer.dice.one_in(3) {
                writer.call_statement();
            }
            writer.inside(None);
        });
        self.targets.pop();
        self.times = times;
    }

    /// A loop without a value.
    pub fn repeat(&mut self) {
        let label = self.label();
        let word = prefix(&label);
        let bound = 1 + self.dice.below(4);
        let name = *self.dice.pick(&NAMES);
        let counter = |writer: &mut Self| {
            writer.scope.lose(name);
            let new = if writer.dice.one_in(3) { *writer.dice.pick(&NAMES) } else { name };
            writer.line(&format!("let mut {new}: u64 = {name};"));
            writer.scope.declare(new, Type::U64, true, Kind::Owned);
        };
        match self.dice.below(7) {
            0 => {
                self.line(&format!("{word}for {name} in 0..{bound}u64 {{"));
                // A suffix makes it a variable by itself.
                self.turns(label, bound, None, |writer| {
                    writer.scope.declare(name, Type::U64, false, Kind::Owned)
                });
            }
            1 => {
                self.line(&format!("{word}for {name} in 1..={bound} {{"));
                self.turns(label, bound, None, |writer| counter(writer));
            }
            2 => {
                let end = self.pure(Type::U64, &[]);
                self.line(&format!("{word}for {name} in 0..({end} % {bound}) {{"));
                self.turns(label, bound, None, |writer| counter(writer));
            }
            3 => {
                let Some(place) = self.scope.places(Type::Words, &[]).pop() else { return };
                let view = match self.dice.below(3) {
                    0 => format!("&{}", place.text),
                    1 => format!("&{}[1..]", place.text),
                    _ => format!("{}.iter()", place.text),
                };
                self.line(&format!("{word}for {name} in {view} {{"));
                // Nobody may change the slice while it is gone through.
                let mark = self.scope.mark();
                self.freeze(&place.root);
                self.turns(label, 3, None, |writer| {
                    writer.scope.lose(name);
                    writer.line(&format!("let mut {name}: u64 = *{name};"));
                    writer.scope.declare(name, Type::U64, true, Kind::Owned);
                });
                self.scope.leave(mark);
            }
            4 | 5 => {
                let turns = format!("turns{}", self.number());
                self.line(&format!("let mut {turns}: usize = 0;"));
                let times = self.times;
                self.times *= bound as u64 + 1;
                let (head, bound_name) = self.head();
                self.times = times;
                if bound_name.is_some() {
                    self.line(&format!("{word}while {head} {{"));
                } else if self.dice.one_in(2) {
                    self.line(&format!("{word}while {turns} < {bound} && {head} {{"));
                } else {
                    self.line(&format!("{word}while {head} && {turns} < {bound} {{"));
                }
                self.turns(label, bound, None, |writer| {
                    if let Some(name) = bound_name {
                        writer.scope.lose(name);
                        writer.line(&format!("let mut {name}: u64 = {name};"));
                        writer.scope.declare(name, Type::U64, true, Kind::Owned);
                    }
                    writer.line(&format!("{turns} += 1;"));
                    writer.line(&format!("if {turns} > {bound} {{"));
                    writer.line("    break;");
                    writer.line("}");
                });
            }
            _ => {
                if self.quiet {
                    return;
                }
                return self.endless("", None, "");
            }
        }
        self.line("}");
    }

    /// Makes what is borrowed unchangeable.
    fn freeze(&mut self, name: &str) {
        let frozen = self.scope.visible().into_iter().find(|v| v.name == name).cloned();
        if let Some(variable) = frozen {
            self.scope.declare(name, variable.ty, false, variable.kind);
        }
    }

    /// Leaves a loop, a block or the function under a condition.
    pub fn leave(&mut self) {
        let condition = self.value(Type::Bool);
        self.line(&format!("if {condition} {{"));
        self.branch(|writer| {
            if writer.dice.one_in(3) {
                writer.show();
            }
            let jump = writer.jump();
            writer.line(&format!("{jump};"));
        });
        self.line("}");
    }

    /// `break`, `continue` or `return`.
    pub fn jump(&mut self) -> String {
        if self.targets.is_empty() || self.dice.one_in(6) {
            return match self.returned() {
                Some(value) => format!("return {value}"),
                None => "return".to_owned(),
            };
        }
        let at = self.dice.below(self.targets.len());
        let target = self.targets[at].clone();
        // Without a label only a loop is left, and no labelled block on the way.
        let innermost = target.is_loop && at + 1 == self.targets.len();
        let label = match &target.label {
            Some(label) if !innermost || self.dice.one_in(2) => format!(" '{label}"),
            _ if innermost => String::new(),
            _ => return "return ".to_owned() + &self.returned().unwrap_or_default(),
        };
        if target.is_loop && self.dice.one_in(2) {
            return format!("continue{label}");
        }
        match target.value {
            Some(ty) if self.dice.one_in(2) => format!("break{label} {}", self.value(ty)),
            Some(ty) => format!("break{label} {}", self.pure(ty, &[])),
            None => format!("break{label}"),
        }
    }
}

fn prefix(label: &Option<String>) -> String {
    label.as_ref().map_or_else(String::new, |label| format!("'{label}: "))
}
