//! Expressions of random programs that block: one call each, and what may stand around it.

use crate::program::{Function, Returns, Writer};
use crate::scope::{Kind, Place, Type};

/// A blocking call and what it leads to.
pub struct Call {
    /// The call without `?`.
    pub text: String,
    /// What it answers.
    pub returns: Returns,
    /// Variables that it may change.
    pub lent: Vec<String>,
}

impl Writer<'_> {
    /// An operation of `io` that answers a `ty`.
    fn operation(&mut self, ty: Option<Type>) -> Option<Call> {
        if !self.pay(1) {
            return None;
        }
        let mut lent = Vec::new();
        let io = self.io;
        let small = self.dice.below(7);
        let text = match (ty, self.dice.below(6)) {
            (Some(Type::U64), 0) => format!("{io}.forward({small})"),
            (Some(Type::U64), 1) => {
                let most = self.pure(Type::U64, &[]);
                format!("{io}.forward({most} % 9)")
            }
            (Some(Type::Bool), 0 | 1) => format!("{io}.eof()"),
            (Some(Type::Bool), 2..) => {
                let line = self.scope.mutable(self.dice, Type::Line(12), &[])?;
                lent.push(line.root);
                format!("{io}.read_line(&mut {})", line.text)
            }
            (None, 0..=2) => {
                let bytes = self.scope.mutable(self.dice, Type::Bytes(4), &[])?;
                let from = self.dice.below(3);
                let range = match self.dice.below(4) {
                    0 => format!("[{from}..]"),
                    1 => format!("[..{}]", 4 - from),
                    2 => {
                        let end = self.pure(Type::U64, std::slice::from_ref(&bytes.root));
                        format!("[..({end} % 5) as usize]")
                    }
                    _ => String::new(),
                };
                lent.push(bytes.root);
                format!("{io}.read_exact(&mut {}{range})", bytes.text)
            }
            (None, 3) => format!("{io}.skip({small})"),
            (None, 4) => {
                let word = self.pure(Type::U64, &[]);
                format!("{io}.write_all(&({word}).to_le_bytes())")
            }
            (None, _) => match self.dice.below(5) {
                0 => format!("{io}.flush()"),
                1 => format!("{io}.sleep(Duration::ZERO)"),
                2 => format!("{io}.sleep(Duration::from_nanos({small}))"),
                3 => format!("{io}.deadline(Duration::from_secs(1000))"),
                _ => format!("{io}.yield_now()"),
            },
            _ => return None,
        };
        Some(Call { text, returns: Returns::Result(ty), lent })
    }

    /// A call of a coroutine that answers a `ty`, in one way or another.
    fn coroutine(&mut self, ty: Option<Type>) -> Option<Call> {
        let fits = |function: &&Function| match function.returns {
            Returns::Result(found) | Returns::Value(found) => found == ty,
            Returns::Maybe => ty == Some(Type::U64),
        };
        let fitting: Vec<&Function> = self.functions.iter().filter(fits).collect();
        if fitting.is_empty() {
            return None;
        }
        let function = (*self.dice.pick(&fitting)).clone();
        let mut lent: Vec<String> = Vec::new();
        let mut shared: Vec<String> = Vec::new();
        let receiver = match function.method {
            None => None,
            Some(mutable) => {
                let mut places = self.scope.places(Type::Cell, &[]);
                places.retain(|place| place.mutable || !mutable);
                if places.is_empty() {
                    return None;
                }
                let place = self.dice.pick(&places).clone();
                if mutable {
                    lent.push(place.root.clone())
                } else {
                    shared.push(place.root.clone())
                }
                Some(place)
            }
        };
        // References first: what is passed by value beside them must not read what they lend.
        let mut arguments = vec![String::new(); function.parameters.len()];
        for (at, parameter) in function.parameters.iter().enumerate() {
            let Some(mutable) = parameter.reference else { continue };
            let avoid: Vec<String> = if mutable { [&lent[..], &shared].concat() } else { lent.clone() };
            if !mutable {
                let places = self.scope.places(parameter.ty, &avoid);
                if places.is_empty() || self.dice.one_in(6) {
                    let value = self.computed(parameter.ty, &avoid, &receiver);
                    arguments[at] = format!("&{value}");
                    // It may be a variable as well as a value: nobody else may change any.
                    shared.extend(
                        self.scope.visible().iter().map(|v| v.name.clone()).filter(|n| !lent.contains(n)),
                    );
                    continue;
                }
                let place = self.dice.pick(&places).clone();
                arguments[at] = format!("&{}", place.text);
                shared.push(place.root);
                continue;
            }
            let place = self.scope.mutable(self.dice, parameter.ty, &avoid)?;
            arguments[at] = format!("&mut {}", place.text);
            shared.extend(place.index);
            lent.push(place.root);
        }
        for (at, parameter) in function.parameters.iter().enumerate() {
            if parameter.reference.is_none() {
                let places = self.scope.places(parameter.ty, &lent);
                let copied =
                    !matches!(parameter.ty, Type::Line(_)) && !places.is_empty() && self.dice.one_in(2);
                if !copied {
                    arguments[at] = self.computed(parameter.ty, &lent, &receiver);
                    continue;
                }
                let place = self.dice.pick(&places).clone();
                arguments[at] = place.text;
                // Without types, what is reached through a reference might be lent as well as copied.
                if self.scope.visible().iter().any(|v| v.name == place.root && v.kind == Kind::Reference) {
                    lent.push(place.root);
                }
            }
        }
        arguments.insert(function.io.min(arguments.len()), self.io.to_owned());
        if !self.pay(function.cost) {
            return None;
        }
        let arguments = arguments.join(", ");
        let name = &function.name;
        let text = match receiver {
            None => format!("{name}({arguments})"),
            Some(place) if place.text == place.root && !self.dice.one_in(3) => {
                format!("{}.{name}({arguments})", place.text)
            }
            Some(place) if function.method == Some(true) => {
                format!("Cell::{name}(&mut {}, {arguments})", place.text)
            }
            Some(place) => format!("Cell::{name}(&{}, {arguments})", place.text),
        };
        Some(Call { text, returns: function.returns, lent })
    }

    /// A value that is computed in an argument: from nothing that the same call may change. Only a plain place
    /// may be that.
    fn computed(&mut self, ty: Type, lent: &[String], receiver: &Option<Place>) -> String {
        let references = self.scope.visible().into_iter().filter(|v| v.kind == Kind::Reference);
        let references = references.map(|v| v.name.clone());
        let receiver = receiver.iter().map(|place| place.root.clone());
        let avoid: Vec<String> = lent.iter().cloned().chain(references).chain(receiver).collect();
        self.pure(ty, &avoid)
    }

    /// A blocking call that answers a `ty`.
    pub fn call(&mut self, ty: Option<Type>) -> Option<Call> {
        if self.quiet {
            return None;
        }
        let first = self.dice.one_in(2);
        let call = if first { self.coroutine(ty) } else { self.operation(ty) };
        match call {
            None if first => self.operation(ty),
            None => self.coroutine(ty),
            some => some,
        }
    }

    /// The value of a call, with what its failure leads to. Statements need none.
    pub fn unwrapped(&mut self, call: &Call, ty: Option<Type>) -> String {
        let text = &call.text;
        let other = ty.map(|ty| self.pure(ty, &call.lent));
        match (call.returns, self.returns, self.dice.below(6)) {
            (Returns::Value(_), _, _) => text.clone(),
            (Returns::Result(_), Returns::Result(_), 0..=3) => format!("{text}?"),
            (Returns::Result(_), Returns::Maybe, 0..=3) => format!("{text}.ok()?"),
            (Returns::Maybe, Returns::Maybe, 0..=3) => format!("{text}?"),
            (Returns::Maybe, Returns::Result(_), 0..=2) => format!("{text}.ok_or(ErrorKind::NotFound)?"),
            (_, _, 4) if ty == Some(Type::U64) => format!("{text}.unwrap_or_default()"),
            _ => match other {
                Some(other) => format!("{text}.unwrap_or({other})"),
                None => format!("{text}.unwrap_or(())"),
            },
        }
    }

    /// An expression of type `ty` that blocks, or one that doesn't if there is none.
    pub fn value(&mut self, ty: Type) -> String {
        let blocks = !self.dice.one_in(3);
        let Some(call) = blocks.then(|| self.call(Some(ty))).flatten() else {
            return self.parts(ty).unwrap_or_else(|| self.free(ty));
        };
        let value = self.unwrapped(&call, Some(ty));
        let before = self.pure(ty, &call.lent);
        let after = self.pure(Type::U64, &[]);
        match (ty, self.dice.below(9)) {
            (Type::U64, 0) => format!("{before} ^ {value}"),
            (Type::U64, 1) => format!("mix({before}, {value})"),
            (Type::U64, 2) => format!("{value}.wrapping_mul({after})"),
            (Type::U64, 3) => format!("mix({value}, mix({after}, 3))"),
            (Type::U64, 4) => format!("[{before}, {value}, {after}][1]"),
            (Type::U64, 5) => format!("match {value} {{ n if n > 3 => n ^ {after}, n => n }}"),
            (Type::Bool, 0) => format!("!{value}"),
            (Type::Bool, 1) => format!("({before} && {value})"),
            (Type::Bool, 2) => format!("({before} || {value})"),
            (Type::Bool, 3) => format!("({value} && {after} % 2 == 0)"),
            (Type::Bool, 4..=6) => match self.call(Some(Type::Bool)) {
                Some(second) => {
                    let second = self.unwrapped(&second, Some(Type::Bool));
                    let operator = self.dice.pick(&["&&", "||"]);
                    let not = self.dice.pick(&["", "!"]);
                    format!("{not}({value} {operator} {second})")
                }
                None => value,
            },
            _ => value,
        }
    }

    /// A value that is put together of one that blocks.
    fn parts(&mut self, ty: Type) -> Option<String> {
        let (wanted, text) = match ty {
            Type::Maybe => (Type::U64, "Some(_)"),
            Type::Pair => (Type::Bool, "(before, _)"),
            Type::Shape => (Type::Bool, "Shape::Box { wide: before, high: _ }"),
            Type::Words => (Type::U64, "[before, _, 3]"),
            Type::Cell => (Type::Bool, "Cell { a: before, full: _, b: *b\"cell\" }"),
            _ => return None,
        };
        let call = self.call(Some(wanted))?;
        let value = self.unwrapped(&call, Some(wanted));
        let before = self.pure(Type::U64, &call.lent);
        Some(text.replace('_', &value).replace("before", &before))
    }
}
