//! Statements of random programs.

use crate::program::{Returns, Target, Writer};
use crate::scope::{Kind, TYPES, Type};

/// Names of variables: few, so that they often shadow each other.
pub const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

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
    pub fn returned(&mut self) -> Option<String> {
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

    /// What is written in a scope of its own, one step to the right.
    pub fn branch(&mut self, with: impl FnOnce(&mut Self)) {
        let mark = self.scope.mark();
        self.depth += 1;
        with(self);
        self.depth -= 1;
        self.scope.leave(mark);
    }

    /// A block's statements, and the value at its end.
    pub fn block(&mut self, value: Option<Type>) {
        self.branch(|writer| writer.inside(value));
    }

    /// The same in a scope that has been entered.
    pub fn inside(&mut self, value: Option<Type>) {
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
        let name = *self.dice.pick(&NAMES);
        let mutable = !self.dice.one_in(4);
        self.line(&format!("let {}{name}: {ty} = {value};", if mutable { "mut " } else { "" }));
        self.scope.declare(name, ty, mutable, Kind::Owned);
    }

    /// One of all kinds of statements, or none if it isn't allowed here.
    pub fn statement(&mut self) {
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
    pub fn show(&mut self) {
        if self.quiet || !self.pay(1) {
            return;
        }
        let names: Vec<(String, Type)> = self
            .scope
            .visible()
            .iter()
            .filter(|v| v.name != "self")
            .map(|v| (v.name.clone(), v.ty))
            .collect();
        let (mut format, mut arguments) = (String::new(), String::new());
        for _ in 0..1 + self.dice.below(3) {
            let (name, ty) = self.dice.pick(&names).clone();
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
    pub fn call_statement(&mut self) {
        let ty = *self.dice.pick(&[None, None, Some(Type::U64), Some(Type::Bool), Some(Type::Shape)]);
        let Some(call) = self.call(ty) else { return };
        let value = self.unwrapped(&call, ty);
        match (ty, self.dice.below(3)) {
            (Some(Type::U64), 0 | 1) => self.line(&format!("hash = {value};")),
            (_, 0) => self.line(&format!("let _ = {value};")),
            _ => self.line(&format!("{value};")),
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
                writer.line("hash = mix(hash, list.len() as u64);");
                let by = writer.pure(Type::U64, &["hash".to_owned()]);
                writer.line("{");
                writer.line(&format!("    let mut bump = |by: u64| hash = mix(hash, by ^ {by});"));
                writer.line("    bump(1);");
                writer.line("    let mut copy = move || {");
                writer.line("        hash ^= 1;");
                writer.line("        hash");
                writer.line("    };");
                writer.line("    let copied = copy() ^ copy();");
                writer.line("    hash = mix(hash, copied);");
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
            let there = format!("there{}", self.number());
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
        let value = match self.dice.below(2) {
            0 => self.value(Type::Pair),
            _ => self.free(Type::Pair),
        };
        let name = *self.dice.pick(&NAMES);
        self.line(&format!("let (x, y) = {value};"));
        self.line(&format!("let {name}: u64 = if y {{ x }} else {{ hash }};"));
        self.scope.declare(name, Type::U64, false, Kind::Owned);
    }
}
