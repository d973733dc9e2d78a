//! Expressions of random programs that don't block.

use crate::program::Writer;
use crate::scope::Type;

impl Writer<'_> {
    /// A value that may be computed twice: what arguments of blocking calls are made of. It reads none of the
    /// variables `avoid`.
    pub fn pure(&mut self, ty: Type, avoid: &[String]) -> String {
        self.pure_to(ty, avoid, 2)
    }

    fn pure_to(&mut self, ty: Type, avoid: &[String], depth: usize) -> String {
        let places = self.scope.places(ty, avoid);
        let line = matches!(ty, Type::Line(_));
        if !places.is_empty() && !self.dice.one_in(3) {
            let place = &self.dice.pick(&places).text;
            return if line { format!("{place}.clone()") } else { place.clone() };
        }
        let deeper = depth > 0 && self.dice.one_in(2);
        let depth = depth.saturating_sub(1);
        match ty {
            Type::U64 if deeper => {
                let (a, b) = (self.pure_to(Type::U64, avoid, depth), self.pure_to(Type::U64, avoid, depth));
                match self.dice.below(9) {
                    0 => format!("({a} ^ {b})"),
                    1 => format!("({a} & {b})"),
                    2 => format!("({a} | 5)"),
                    3 => format!("({a} % 7)"),
                    4 => format!("({a} >> 3)"),
                    5 => format!("{a}.min({b})"),
                    6 => format!("(!{a})"),
                    7 => {
                        let b = self.pure_to(Type::Bool, avoid, 0);
                        format!("({b} as u64)")
                    }
                    _ => {
                        let maybe = self.pure_to(Type::Maybe, avoid, 0);
                        format!("{maybe}.unwrap_or({b})")
                    }
                }
            }
            Type::U64 => match self.scope.places(Type::Bytes(4), avoid).first() {
                Some(bytes) if self.dice.one_in(3) => {
                    format!("({}[{}] as u64)", bytes.text, self.dice.below(4))
                }
                _ => format!("{}u64", self.dice.below(12)),
            },
            Type::Bool if deeper => {
                let (a, b) = (self.pure_to(Type::U64, avoid, depth), self.pure_to(Type::U64, avoid, depth));
                let c = self.pure_to(Type::Bool, avoid, depth);
                match self.dice.below(5) {
                    0 => format!("({a} < {b})"),
                    1 => format!("({a} % 2 == 0)"),
                    2 => format!("({a} == {b})"),
                    3 => format!("!{c}"),
                    _ => format!("({a} % 3 > 0 && {c})"),
                }
            }
            Type::Bool => self.dice.pick(&["true", "false"]).to_string(),
            Type::Bytes(n) => format!("[({} as u8); {n}]", self.pure_to(Type::U64, avoid, depth)),
            Type::Words => format!(
                "[{}, {}, 8]",
                self.pure_to(Type::U64, avoid, depth),
                self.pure_to(Type::U64, avoid, depth)
            ),
            Type::Line(n) => format!("Line::<{n}>::new()"),
            Type::Maybe => match self.dice.below(3) {
                0 => "None::<u64>".to_owned(),
                _ => format!("Some({})", self.pure_to(Type::U64, avoid, depth)),
            },
            Type::Pair => format!(
                "({}, {})",
                self.pure_to(Type::U64, avoid, depth),
                self.pure_to(Type::Bool, avoid, depth)
            ),
            Type::Shape => match self.dice.below(3) {
                0 => "Shape::Dot".to_owned(),
                1 => format!("Shape::Line({})", self.pure_to(Type::U64, avoid, 0)),
                _ => {
                    let wide = self.pure_to(Type::U64, avoid, 0);
                    let high = self.pure_to(Type::Bool, avoid, 0);
                    format!("Shape::Box {{ wide: {wide}, high: {high} }}")
                }
            },
            Type::Cell => {
                let (a, full) =
                    (self.pure_to(Type::U64, avoid, depth), self.pure_to(Type::Bool, avoid, depth));
                format!("Cell {{ a: {a}, b: [1; 4], full: {full} }}")
            }
        }
    }

    /// Any value that doesn't block.
    pub fn free(&mut self, ty: Type) -> String {
        let choice = self.dice.below(12);
        let (a, b) = (self.pure(Type::U64, &[]), self.pure(Type::U64, &[]));
        let condition = self.pure(Type::Bool, &[]);
        match (ty, choice) {
            (Type::U64, 0) => format!("{a}.wrapping_mul({b})"),
            (Type::U64, 1) => format!("mix({a}, {b})"),
            (Type::U64, 2) => {
                let bytes = self.pure(Type::Bytes(4), &[]);
                format!("fold({a}, &{bytes})")
            }
            (Type::U64, 3) => {
                let line = self.pure(Type::Line(12), &[]);
                format!("number(&{line}).unwrap_or({a})")
            }
            (Type::U64, 4) => {
                let maybe = self.pure(Type::Maybe, &[]);
                format!("match {maybe} {{ Some(n) if {condition} => n ^ {a}, Some(n) => n, None => {b} }}")
            }
            (Type::U64, 5) => format!("(|k: u64| k ^ {a})({b})"),
            (Type::U64, 6) => {
                let words = self.pure(Type::Words, &[]);
                format!("{words}.iter().fold({a}, |hash, word| mix(hash, *word))")
            }
            (Type::U64, 7) => format!("{{ let t = {a}; t ^ {b} }}"),
            (Type::Bool, 0) => {
                let shape = self.pure(Type::Shape, &[]);
                format!("matches!({shape}, Shape::Line(1..=6) | Shape::Box {{ .. }} if {condition})")
            }
            (Type::Bool, 1) => format!("mix({a}, {b}) % 3 == 1"),
            (Type::Maybe, 0) => format!("{a}.checked_sub({b})"),
            (Type::Maybe, 1) => {
                let maybe = self.pure(Type::Maybe, &[]);
                format!("{maybe}.map(|n| n ^ {a}).filter(|n| n % 2 == 0)")
            }
            (_, 8 | 9) => {
                let (yes, no) = (self.pure(ty, &[]), self.pure(ty, &[]));
                format!("if {condition} {{ {yes} }} else {{ {no} }}")
            }
            (_, 10) => {
                let (one, two, three) = (self.pure(ty, &[]), self.pure(ty, &[]), self.pure(ty, &[]));
                format!("match {a} {{ 0..=3 => {one}, n if n % 2 == 0 => {two}, _ => {three} }}")
            }
            _ => self.pure(ty, &[]),
        }
    }
}
