//! Statements of random programs.

use crate::program::{Returns, Target, Writer};
use crate::scope::{Kind, TYPES, Type};

/// Names of variables: few, so that they often shadow each other.
const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// Types of what control flow and blocks answer.
const VALUES: [Type; 5] = [Type::U64, Type::U64, Type::Bool, Type::Maybe, Type::Shape];

/// How deep statements nest.
const DEEPEST: usize = 4;

impl Writer<'_> {
    /// The whole body of a function: some variables, statements, a result that depends on all of them.
    pub fn function(&mut self) {
        self.line("let mut hash: u64 = 7;");
        self.scope.declare("hash", Type::U64, true, Kind::Owned);
        for ty in [Type::Bytes(4), Type::Line(12), Type::U64] {
            if !self.dice.one_in(3) {
                self.declare(ty);
            }
        }
        self.call_statement();
        while self.left > 0 {
            self.statement();
        }
        self.show();
        let tail = self.dice.below(4);
        match (self.returns, tail) {
            (Returns::Result(ty), 0) => {
                let call = self.call(ty).filter(|call| call.returns == self.returns);
                match call {
                    Some(call) => self.line(&call.text.clone()),
                    None => self.result(),
                }
            }
            (_, 1) => {
                let condition = self.value(Type::Bool);
                self.line(&format!("if {condition} {{"));
                self.branch(|writer| writer.result());
                self.line("} else {");
                self.branch(|writer| writer.result());
                self.line("}");
            }
            _ => self.result(),
        }
    }

    /// What the function returns, as an expression.
    fn returned(&mut self) -> Option<String> {
        match self.returns {
            Returns::Result(_) if self.dice.one_in(8) => {
                let kind = self.dice.pick(&["Other", "InvalidData", "AddrInUse"]);
                Some(format!("Err(ErrorKind::{kind}.into())"))
            }
            Returns::Result(None) => Some("Ok(())".to_owned()),
            Returns::Result(Some(Type::U64)) => Some("Ok(hash)".to_owned()),
            Returns::Result(Some(ty)) => Some(format!("Ok({})", self.free(ty))),
            Returns::Maybe => Some(format!("({}).checked_sub(2)", self.free(Type::U64))),
            Returns::Value(ty) => ty.map(|ty| self.free(ty)),
        }
    }

    fn result(&mut self) {
        if let Some(value) = self.returned() {
            self.line(&value);
        }
    }

    fn branch(&mut self, with: impl FnOnce(&mut Self)) {
        let mark = self.scope.mark();
        self.depth += 1;
        with(self);
        self.depth -= 1;
        self.scope.leave(mark);
    }

    /// A block's statements, and the value at its end.
    fn block(&mut self, value: Option<Type>) {
        self.branch(|writer| writer.inside(value));
    }

    fn inside(&mut self, value: Option<Type>) {
        let count = 1 + self.dice.below(3);
        self.statements(count);
        if let Some(ty) = value {
            let value = self.value(ty);
            self.line(&value);
        }
    }

    fn statements(&mut self, count: usize) {
        for _ in 0..count {
            if self.left > 0 {
                self.statement();
            }
        }
    }

    /// Declares a variable with a value.
    fn declare(&mut self, ty: Type) {
        let value = self.value(ty);
        self.bind(ty, &value);
    }

    fn bind(&mut self, ty: Type, value: &str) {
        let name = *self.dice.pick(&NAMES);
        let mutable = !self.dice.one_in(4);
        self.line(&format!("let {}{name}: {ty} = {value};", if mutable { "mut " } else { "" }));
        self.scope.declare(name, ty, mutable, Kind::Owned);
    }

    fn statement(&mut self) {
        self.left = self.left.saturating_sub(1);
        let nested = self.depth < DEEPEST;
        match self.dice.below(30) {
            0..=2 => {
                let ty = *self.dice.pick(&TYPES);
                self.declare(ty);
            }
            3..=5 => self.assign(),
            6..=8 => self.show(),
            9..=12 => self.call_statement(),
            13 | 14 if nested => self.condition(),
            15 | 16 if nested => self.select(),
            17..=19 if nested => self.repeat(),
            20 | 21 if nested => self.value_of_control(),
            22 if nested => {
                self.line("{");
                self.block(None);
                self.line("}");
            }
            23 => self.let_else(),
            24 => self.leave(),
            25 if nested => self.quiet_part(),
            26 => self.read_part(),
            27 => self.write_part(),
            28 => self.take_apart(),
            _ => {
                let value = self.value(Type::U64);
                // What the call may change isn't read before it.
                match value.contains("&mut hash") {
                    true => self.line(&format!("hash = {value};")),
                    false => self.line(&format!("hash = mix(hash, {value});")),
                }
            }
        }
    }

    /// `place = value;` or `place ^= value;`
    fn assign(&mut self) {
        let ty = *self.dice.pick(&TYPES);
        let Some(place) = self.scope.mutable(self.dice, ty, &[]) else { return };
        match (ty, self.dice.below(3)) {
            (Type::U64, 0) => {
                let value = self.free(ty);
                self.line(&format!("{} ^= {value};", place.text));
            }
            (Type::Line(_), _) => {
                let bytes = self.pure(Type::Bytes(4), &[]);
                self.line(&format!("let _ = {}.extend(&{bytes});", place.text));
            }
            _ => {
                let value = self.value(ty);
                self.line(&format!("{} = {value};", place.text));
            }
        }
    }

    /// Writes variables to the output.
    fn show(&mut self) {
        if self.quiet || !self.pay(1) {
            return;
        }
        let names: Vec<(String, Type, Kind)> = self
            .scope
            .visible()
            .iter()
            .filter(|v| v.name != "self")
            .map(|v| (v.name.clone(), v.ty, v.kind))
            .collect();
        let (mut format, mut arguments) = (String::new(), String::new());
        for _ in 0..1 + self.dice.below(3) {
            let (name, ty, _) = self.dice.pick(&names).clone();
            match (ty, self.dice.below(4)) {
                (Type::U64, 0) => format += &format!("{{{name}:>6}}"),
                (Type::U64, 1) => format += &format!("{{{name}:x}}"),
                (Type::U64, 2) => {
                    let value = self.pure(Type::U64, &[]);
                    format += "{},";
                    arguments += &format!(", {value}");
                }
                _ => format += &format!("{{{name}:?}} "),
            }
        }
        let io = self.io;
        let name = if self.dice.one_in(2) { "write" } else { "writeln" };
        let text = format!("{name}!({io}, \"{format}\"{arguments})");
        let failure = match self.returns {
            Returns::Result(_) => "?",
            Returns::Maybe => ".ok()?",
            Returns::Value(_) => ".unwrap_or(())",
        };
        self.line(&format!("{text}{failure};"));
    }

    /// A blocking call by itself.
    fn call_statement(&mut self) {
        let ty = *self.dice.pick(&[None, None, Some(Type::U64), Some(Type::Bool), Some(Type::Shape)]);
        let Some(call) = self.call(ty) else { return };
        let value = self.unwrapped(&call, ty);
        match (ty, self.dice.below(3)) {
            (Some(Type::U64), 0 | 1) => self.line(&format!("hash = {value};")),
            (_, 0) => self.line(&format!("let _ = {value};")),
            _ => self.line(&format!("{value};")),
        }
    }

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
    fn scrutinee(&mut self, ty: Type) -> String {
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

    fn condition(&mut self) {
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

    fn select(&mut self) {
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
    fn value_of_control(&mut self) {
        let ty = *self.dice.pick(&VALUES);
        let name = *self.dice.pick(&NAMES);
        let place = if self.dice.one_in(3) { self.scope.mutable(self.dice, ty, &[]) } else { None };
        let before = match &place {
            Some(place) if ty == Type::U64 && self.dice.one_in(2) => format!("{} ^= ", place.text),
            Some(place) => format!("{} = ", place.text),
            None => format!("let mut {name}: {ty} = "),
        };
        match self.dice.below(5) {
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
        // With a value in front, the counter can't be declared between.
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
    fn repeat(&mut self) {
        let label = self.label();
        let word = prefix(&label);
        let bound = 1 + self.dice.below(4);
        let name = *self.dice.pick(&NAMES);
        let counter = |writer: &mut Self, ty: &str| {
            writer.scope.lose(name);
            let new = if writer.dice.one_in(3) { *writer.dice.pick(&NAMES) } else { name };
            writer.line(&format!("let mut {new}: u64 = {name}{ty};"));
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
                self.turns(label, bound, None, |writer| counter(writer, ""));
            }
            2 => {
                let end = self.pure(Type::U64, &[]);
                self.line(&format!("{word}for {name} in 0..({end} % {bound}) {{"));
                self.turns(label, bound, None, |writer| counter(writer, ""));
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

    /// `let Some(n) = … else { … };`, where the other way may block.
    fn let_else(&mut self) {
        if self.quiet {
            return;
        }
        let name = *self.dice.pick(&NAMES);
        let value = self.scrutinee(Type::Maybe);
        self.line(&format!("let Some({name}) = {value} else {{"));
        self.branch(|writer| {
            if writer.dice.one_in(2) {
                writer.statement();
            }
            let jump = writer.jump();
            writer.line(&format!("{jump};"));
        });
        self.line("};");
        self.scope.lose(name);
        self.line(&format!("let {name}: u64 = {name};"));
        self.scope.declare(name, Type::U64, false, Kind::Owned);
    }

    /// Leaves a loop, a block or the function under a condition.
    fn leave(&mut self) {
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

    fn jump(&mut self) -> String {
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

    /// A block of ordinary Rust in which nothing blocks: types of all kinds, loops of its own, jumps out of it.
    fn quiet_part(&mut self) {
        let quiet = std::mem::replace(&mut self.quiet, true);
        let word = self.pure(Type::U64, &[]);
        let bytes = self.pure(Type::Bytes(4), &[]);
        self.line("{");
        self.branch(|writer| {
            match writer.dice.below(3) {
                0 => writer
                    .line(&format!("let list: Vec<u64> = (0..{word} % 5).map(|k| mix(k, hash)).collect();")),
                1 => writer.line(&format!("let list = format!(\"{{}}{{hash}}\", {word}).into_bytes();")),
                _ => writer.line(&format!("let list = {bytes}.iter().rev().copied().collect::<Vec<_>>();")),
            }
            if writer.dice.one_in(2) {
                let by = writer.pure(Type::U64, &["hash".to_owned()]);
                writer.line("{");
                writer.line(&format!("    let mut bump = |by: u64| hash = mix(hash, by ^ {by});"));
                writer.line("    bump(1);");
                writer.line("    bump(list.len() as u64);");
                writer.line("}");
            }
            writer.line("for item in &list {");
            writer.targets.push(Target { label: None, is_loop: true, value: None });
            writer.branch(|writer| {
                writer.line("hash = mix(hash, u64::from(*item));");
                writer.leave();
                writer.inside(None);
            });
            writer.targets.pop();
            writer.line("}");
            writer.inside(None);
        });
        self.line("}");
        self.quiet = quiet;
    }

    /// Reads in pieces, of whatever size they come, and goes on with the sum of them.
    fn read_part(&mut self) {
        if self.quiet || !matches!(self.returns, Returns::Result(_)) || !self.pay(6) {
            return;
        }
        let io = self.io;
        let count = 1 + self.dice.below(8);
        if self.dice.one_in(2) {
            let n = self.number();
            let there = format!("there{n}");
            self.line(&format!("let {there}: usize = {io}.fill({count})?.min({count});"));
            self.line(&format!("hash = fold(hash, &{io}.buffered()?[..{there}]);"));
            if self.dice.one_in(2) {
                self.line(&format!("{io}.skip({there} as u64)?;"));
            }
            return;
        }
        for line in [
            "{".to_owned(),
            format!("    let mut part: [u8; {count}] = [0; {count}];"),
            "    let mut got: usize = 0;".to_owned(),
            format!("    while got < {count} {{"),
            format!("        let n = {io}.read(&mut part[got..])?;"),
            "        if n == 0 {".to_owned(),
            "            break;".to_owned(),
            "        }".to_owned(),
            "        got += n;".to_owned(),
            "    }".to_owned(),
            "    hash = fold(hash, &part[..got]);".to_owned(),
            "}".to_owned(),
        ] {
            self.line(&line);
        }
    }

    /// Writes so much that it doesn't fit at once.
    fn write_part(&mut self) {
        if self.quiet || !matches!(self.returns, Returns::Result(_)) || !self.pay(60) {
            return;
        }
        let (io, count) = (self.io, 1 + self.dice.below(1500));
        let byte = self.pure(Type::U64, &[]);
        for line in [
            "{".to_owned(),
            format!("    let part: [u8; {count}] = [({byte} as u8); {count}];"),
            "    let mut at: usize = 0;".to_owned(),
            "    while at < part.len() {".to_owned(),
            format!("        at += {io}.write(&part[at..])?;"),
            "    }".to_owned(),
            "}".to_owned(),
        ] {
            self.line(&line);
        }
    }

    /// A pattern that takes a value apart, and what becomes of its parts.
    fn take_apart(&mut self) {
        let (first, second) = ("x", "y");
        let value = match self.dice.below(2) {
            0 => self.value(Type::Pair),
            _ => self.free(Type::Pair),
        };
        let name = *self.dice.pick(&NAMES);
        self.line(&format!("let ({first}, {second}) = {value};"));
        self.line(&format!("let {name}: u64 = if {second} {{ {first} }} else {{ hash }};"));
        self.scope.declare(name, Type::U64, false, Kind::Owned);
    }
}

fn prefix(label: &Option<String>) -> String {
    label.as_ref().map_or_else(String::new, |label| format!("'{label}: "))
}
