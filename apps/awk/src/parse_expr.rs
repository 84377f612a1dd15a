//! Expressions, by POSIX's table of precedences.

use crate::ast::*;
use crate::lexer::{SyntaxError, Tok, Word};
use crate::parser::{Ctx, Parse, Parser, is_pure};
use crate::str::Str;

impl Parser {
    pub(crate) fn expr_list(&mut self, ctx: Ctx) -> Parse<Vec<Expr>> {
        let mut list = vec![self.expr(ctx)?];
        while self.eat(",") {
            self.newlines();
            list.push(self.expr(ctx)?);
        }
        Ok(list)
    }

    pub(crate) fn expr(&mut self, ctx: Ctx) -> Parse<Expr> {
        let cond = self.or(ctx)?;
        if !self.is("?") {
            return Ok(cond);
        }
        self.bump();
        self.newlines();
        let yes = self.expr(ctx)?;
        self.newlines();
        self.expect(":")?;
        self.newlines();
        let no = self.expr(ctx)?;
        Ok(Expr::Cond(Box::new((cond, yes, no))))
    }

    fn or(&mut self, ctx: Ctx) -> Parse<Expr> {
        let mut left = self.and(ctx)?;
        while self.eat("||") {
            self.newlines();
            left = Expr::Or(Box::new((left, self.and(ctx)?)));
        }
        Ok(left)
    }

    fn and(&mut self, ctx: Ctx) -> Parse<Expr> {
        let mut left = self.member(ctx)?;
        while self.eat("&&") {
            self.newlines();
            left = Expr::And(Box::new((left, self.member(ctx)?)));
        }
        Ok(left)
    }

    fn member(&mut self, ctx: Ctx) -> Parse<Expr> {
        let mut left = self.matching(ctx)?;
        while !ctx.no_in && self.is_word(Word::In) {
            self.bump();
            let array = self.array_operand()?;
            left = Expr::In(Box::new(left), Box::new(array));
        }
        Ok(left)
    }

    fn array_operand(&mut self) -> Parse<ArrayRef> {
        let at = self.offset();
        let Tok::Name(name) = self.bump() else {
            return Err(SyntaxError::new(at, "syntax error"));
        };
        let mut array = self.array_var(&name)?;
        while self.is("[") {
            let sub = self.subscript()?;
            array = ArrayRef::Element(Box::new(array), Box::new(sub));
        }
        Ok(array)
    }

    fn matching(&mut self, ctx: Ctx) -> Parse<Expr> {
        let mut left = self.comparison(ctx)?;
        loop {
            let negated = match self.tok() {
                Tok::Punct("~") => false,
                Tok::Punct("!~") => true,
                _ => return Ok(left),
            };
            self.bump();
            let right = self.comparison(ctx)?;
            let pattern = self.pattern(right);
            left = Expr::Match(negated, Box::new(left), pattern);
        }
    }

    pub(crate) fn pattern(&mut self, e: Expr) -> Pattern {
        match e {
            Expr::Regex(i) => Pattern::Const(i),
            Expr::Str(s) => Pattern::Const(self.regex(s.as_bytes().to_vec())),
            other => Pattern::Dynamic(Box::new(other)),
        }
    }

    fn comparison(&mut self, ctx: Ctx) -> Parse<Expr> {
        let mut left = self.piped(ctx)?;
        loop {
            let op = match self.tok() {
                Tok::Punct("<") => Cmp::Lt,
                Tok::Punct("<=") => Cmp::Le,
                Tok::Punct("==") => Cmp::Eq,
                Tok::Punct("!=") => Cmp::Ne,
                Tok::Punct(">") if !ctx.no_gt => Cmp::Gt,
                Tok::Punct(">=") => Cmp::Ge,
                _ => return Ok(left),
            };
            self.bump();
            let right = self.piped(ctx)?;
            left = Expr::Compare(op, Box::new((left, right)));
        }
    }

    /// `command | getline [lvalue]`.
    fn piped(&mut self, ctx: Ctx) -> Parse<Expr> {
        let mut left = self.concat(ctx)?;
        while self.is("|") && *self.ahead(1) == Tok::Word(Word::Getline) {
            self.bump();
            self.bump();
            let target = self.optional_lvalue()?;
            left = Expr::Getline(Box::new(Getline {
                source: Source::Command(left),
                target,
            }));
        }
        Ok(left)
    }

    pub(crate) fn concat(&mut self, ctx: Ctx) -> Parse<Expr> {
        let first = self.additive(ctx)?;
        if !self.starts_operand() {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.starts_operand() {
            parts.push(self.additive(ctx)?);
        }
        Ok(Expr::Concat(parts))
    }

    fn starts_operand(&self) -> bool {
        match self.tok() {
            Tok::Num(_)
            | Tok::Str(_)
            | Tok::Regex(_)
            | Tok::Name(_)
            | Tok::FuncName(_)
            | Tok::Builtin(_) => true,
            Tok::Punct(p) => matches!(*p, "$" | "!" | "(" | "-" | "+" | "++" | "--" | "@"),
            _ => false,
        }
    }

    fn additive(&mut self, ctx: Ctx) -> Parse<Expr> {
        let mut left = self.multiplicative(ctx)?;
        loop {
            let op = match self.tok() {
                Tok::Punct("+") => Op::Add,
                Tok::Punct("-") => Op::Sub,
                _ => return Ok(left),
            };
            self.bump();
            let right = self.multiplicative(ctx)?;
            left = self.binary(op, left, right)?;
        }
    }

    fn multiplicative(&mut self, ctx: Ctx) -> Parse<Expr> {
        let mut left = self.unary(ctx)?;
        loop {
            let op = match self.tok() {
                Tok::Punct("*") => Op::Mul,
                Tok::Punct("/") => Op::Div,
                Tok::Punct("%") => Op::Mod,
                _ => return Ok(left),
            };
            self.bump();
            let right = self.unary(ctx)?;
            left = self.binary(op, left, right)?;
        }
    }

    pub(crate) fn unary(&mut self, ctx: Ctx) -> Parse<Expr> {
        match self.tok() {
            Tok::Punct("!") => {
                self.bump();
                Ok(Expr::Not(Box::new(self.unary(ctx)?)))
            }
            Tok::Punct("-") => {
                self.bump();
                Ok(match self.unary(ctx)? {
                    Expr::Num(n) => Expr::Num(-n),
                    e => Expr::Neg(Box::new(e)),
                })
            }
            Tok::Punct("+") => {
                self.bump();
                Ok(Expr::Plus(Box::new(self.unary(ctx)?)))
            }
            _ => self.power(ctx),
        }
    }

    fn power(&mut self, ctx: Ctx) -> Parse<Expr> {
        let base = self.postfix(ctx)?;
        if !self.is("^") && !self.is("**") {
            return Ok(base);
        }
        self.bump();
        let exponent = match self.tok() {
            Tok::Punct("-") => {
                self.bump();
                Expr::Neg(Box::new(self.power_operand(ctx)?))
            }
            Tok::Punct("+") => {
                self.bump();
                self.power_operand(ctx)?
            }
            Tok::Punct("!") => {
                self.bump();
                Expr::Not(Box::new(self.power_operand(ctx)?))
            }
            _ => self.power(ctx)?,
        };
        self.binary(Op::Pow, base, exponent)
    }

    fn power_operand(&mut self, ctx: Ctx) -> Parse<Expr> {
        if self.is("-") || self.is("+") || self.is("!") {
            return self.unary(ctx);
        }
        self.power(ctx)
    }

    /// Increments, decrements and assignments, which all need an lvalue.
    fn postfix(&mut self, ctx: Ctx) -> Parse<Expr> {
        if self.is("++") || self.is("--") {
            let delta = if self.is("++") { 1.0 } else { -1.0 };
            self.bump();
            let at = self.offset();
            let e = self.primary(ctx)?;
            return match self.place(e) {
                Ok(lv) => Ok(Expr::PreInc(Box::new(lv), delta)),
                Err(_) => Err(SyntaxError::new(at, "syntax error")),
            };
        }
        let e = self.primary(ctx)?;
        let Tok::Punct(p) = *self.tok() else {
            return Ok(e);
        };
        let op = match p {
            "=" => None,
            "+=" => Some(Op::Add),
            "-=" => Some(Op::Sub),
            "*=" => Some(Op::Mul),
            "/=" => Some(Op::Div),
            "%=" => Some(Op::Mod),
            "^=" | "**=" => Some(Op::Pow),
            "++" | "--" => {
                return Ok(match self.place(e) {
                    Ok(lv) => {
                        self.bump();
                        Expr::PostInc(Box::new(lv), if p == "++" { 1.0 } else { -1.0 })
                    }
                    Err(e) => e,
                });
            }
            _ => return Ok(e),
        };
        let Ok(lv) = self.place(e) else {
            return self.unexpected();
        };
        self.bump();
        self.newlines();
        let value = self.expr(ctx)?;
        Ok(match op {
            Some(op) => Expr::AugAssign(op, Box::new((lv, value))),
            None => assign(lv, value),
        })
    }

    pub(crate) fn lvalue_of(&self, var: Var) -> LValue {
        match var {
            Var::Global(slot) if special::is_hooked(slot) => LValue::Special(slot),
            var => LValue::Var(var),
        }
    }

    /// The place an expression names, or the expression back.
    fn place(&self, e: Expr) -> Result<LValue, Expr> {
        Ok(match e {
            Expr::Global(slot) => self.lvalue_of(Var::Global(slot)),
            Expr::Local(slot) => LValue::Var(Var::Local(slot)),
            Expr::Special(slot) => LValue::Special(slot),
            Expr::FieldConst(n) => LValue::Field(Expr::Num(n as f64)),
            Expr::Field(e) => LValue::Field(*e),
            Expr::Index(b) => LValue::Index(b.0, b.1),
            other => return Err(other),
        })
    }

    fn optional_lvalue(&mut self) -> Parse<Option<LValue>> {
        if !matches!(self.tok(), Tok::Name(_) | Tok::Punct("$")) {
            return Ok(None);
        }
        let e = self.primary(Ctx::default())?;
        match self.place(e) {
            Ok(lv) => Ok(Some(lv)),
            Err(_) => self.unexpected(),
        }
    }

    /// `[a, b]` at the cursor.
    pub(crate) fn subscript(&mut self) -> Parse<Expr> {
        self.expect("[")?;
        let mut subs = self.expr_list(Ctx::default())?;
        self.expect("]")?;
        Ok(if subs.len() == 1 {
            subs.remove(0)
        } else {
            Expr::Subscripts(subs)
        })
    }

    fn primary(&mut self, ctx: Ctx) -> Parse<Expr> {
        let tok = self.tok().clone();
        match tok {
            Tok::Num(n) => {
                self.bump();
                Ok(Expr::Num(n))
            }
            Tok::Str(s) => {
                self.bump();
                Ok(Expr::Str(Str::from_vec(s)))
            }
            Tok::Regex(text) => {
                self.bump();
                Ok(Expr::Regex(self.regex(text)))
            }
            Tok::Punct("$") => {
                self.bump();
                self.field(ctx)
            }
            Tok::Punct("(") => self.group(),
            Tok::Punct("-" | "+" | "!") => self.unary(ctx),
            Tok::Punct("@") => {
                self.bump();
                let Tok::FuncName(name) = self.bump() else {
                    return self.unexpected();
                };
                let callee = self.variable(&name)?;
                let args = self.call_args()?;
                Ok(Expr::IndirectCall(Box::new(callee), args))
            }
            Tok::Name(name) => {
                self.bump();
                if !self.is("[") {
                    return self.variable(&name);
                }
                let mut array = self.array_var(&name)?;
                let mut sub = self.subscript()?;
                while self.is("[") {
                    array = ArrayRef::Element(Box::new(array), Box::new(sub));
                    sub = self.subscript()?;
                }
                Ok(Expr::Index(Box::new((array, sub))))
            }
            Tok::FuncName(name) => {
                let f = self.function_index(&name);
                self.bump();
                let at = self.offset();
                let args = self.call_args()?;
                self.calls.push((f, args.len(), at));
                for (i, arg) in args.iter().enumerate() {
                    if let Expr::Local(param) = arg {
                        self.note_pass(*param, f, i);
                    }
                }
                Ok(Expr::Call(f, args))
            }
            Tok::Builtin(b) => {
                self.bump();
                self.builtin(b)
            }
            Tok::Word(Word::Getline) => {
                self.bump();
                let target = self.optional_lvalue()?;
                let source = if self.eat("<") {
                    Source::File(self.postfix_operand()?)
                } else {
                    Source::Main
                };
                Ok(Expr::Getline(Box::new(Getline { source, target })))
            }
            _ => self.unexpected(),
        }
    }

    /// The operand of `getline <`: concatenation binds looser.
    fn postfix_operand(&mut self) -> Parse<Expr> {
        self.primary(Ctx::default())
    }

    fn variable(&mut self, name: &str) -> Parse<Expr> {
        Ok(match self.var(name)? {
            Var::Global(slot) if special::is_computed(slot) => Expr::Special(slot),
            Var::Global(slot) => Expr::Global(slot),
            Var::Local(slot) => Expr::Local(slot),
        })
    }

    fn field(&mut self, ctx: Ctx) -> Parse<Expr> {
        let operand = if self.is("++") || self.is("--") {
            let delta = if self.is("++") { 1.0 } else { -1.0 };
            self.bump();
            let e = self.primary(ctx)?;
            match self.place(e) {
                Ok(lv) => Expr::PreInc(Box::new(lv), delta),
                Err(_) => return self.unexpected(),
            }
        } else if self.eat("-") {
            Expr::Neg(Box::new(self.primary(ctx)?))
        } else {
            self.primary(ctx)?
        };
        Ok(match operand {
            Expr::Num(n) if (0.0..1e6).contains(&n) => Expr::FieldConst(n as usize),
            e => Expr::Field(Box::new(e)),
        })
    }

    /// A parenthesised expression, or a list of subscripts before `in`.
    fn group(&mut self) -> Parse<Expr> {
        self.bump();
        self.newlines();
        let mut list = self.expr_list(Ctx::default())?;
        self.newlines();
        self.expect(")")?;
        if list.len() == 1 {
            return Ok(list.remove(0));
        }
        if !self.is_word(Word::In) {
            return self.unexpected();
        }
        self.bump();
        let array = self.array_operand()?;
        Ok(Expr::In(Box::new(Expr::Subscripts(list)), Box::new(array)))
    }

    fn call_args(&mut self) -> Parse<Vec<Expr>> {
        self.expect("(")?;
        self.newlines();
        if self.eat(")") {
            return Ok(Vec::new());
        }
        let args = self.expr_list(Ctx::default())?;
        self.newlines();
        self.expect(")")?;
        Ok(args)
    }

    fn builtin(&mut self, b: Builtin) -> Parse<Expr> {
        let args = if self.is("(") {
            self.call_args()?
        } else if b == Builtin::Length {
            Vec::new()
        } else {
            return self.unexpected();
        };
        let (name, least, most) = arity(b);
        if args.len() < least || args.len() > most {
            let message = format!(
                "{} is invalid as number of arguments for {name}",
                args.len()
            );
            return Err(SyntaxError::new(self.behind(), message));
        }
        self.shape(b, args)
    }

    /// Sorts out which arguments are arrays, patterns and places.
    fn shape(&mut self, b: Builtin, args: Vec<Expr>) -> Parse<Expr> {
        let mut args = args.into_iter();
        let mut r = Regexed {
            pattern: None,
            args: Vec::new(),
            target: None,
            arrays: Vec::new(),
        };
        match b {
            Builtin::Sub | Builtin::Gsub => {
                r.pattern = args.next().map(|e| self.pattern(e));
                r.args.extend(args.next());
                r.target = match args.next() {
                    None => None,
                    Some(e) => match self.place(e) {
                        Ok(lv) => Some(lv),
                        Err(e) => {
                            // The result of the substitution has nowhere to go but is counted.
                            r.args.push(e);
                            None
                        }
                    },
                };
            }
            Builtin::Gensub => {
                r.pattern = args.next().map(|e| self.pattern(e));
                r.args.extend(args);
            }
            Builtin::Match => {
                r.args.extend(args.next());
                r.pattern = args.next().map(|e| self.pattern(e));
                for e in args {
                    r.arrays.push(self.array_arg(e)?);
                }
            }
            Builtin::Split | Builtin::Patsplit => {
                r.args.extend(args.next());
                if let Some(e) = args.next() {
                    r.arrays.push(self.array_arg(e)?);
                }
                r.pattern = args.next().map(|e| match e {
                    // A single character separates literally, a blank as FS does.
                    Expr::Str(s) if b == Builtin::Split => Pattern::Dynamic(Box::new(Expr::Str(s))),
                    e => self.pattern(e),
                });
                for e in args {
                    r.arrays.push(self.array_arg(e)?);
                }
            }
            Builtin::Asort | Builtin::Asorti => {
                for e in args {
                    if r.arrays.len() < 2
                        && matches!(e, Expr::Global(_) | Expr::Local(_) | Expr::Index(_))
                    {
                        r.arrays.push(self.array_arg(e)?);
                    } else {
                        r.args.push(e);
                    }
                }
            }
            _ => return Ok(Expr::Builtin(b, args.collect())),
        }
        Ok(Expr::Regexed(b, Box::new(r)))
    }

    fn array_arg(&mut self, e: Expr) -> Parse<ArrayRef> {
        match e {
            Expr::Global(slot) => Ok(ArrayRef::Var(Var::Global(slot))),
            Expr::Local(slot) => {
                self.mark_array(Var::Local(slot));
                Ok(ArrayRef::Var(Var::Local(slot)))
            }
            Expr::Index(b) => Ok(ArrayRef::Element(Box::new(b.0), Box::new(b.1))),
            _ => Err(SyntaxError::new(
                self.offset(),
                "fatal: argument is not an array",
            )),
        }
    }

    fn binary(&self, op: Op, left: Expr, right: Expr) -> Parse<Expr> {
        if let (Expr::Num(a), Expr::Num(b)) = (&left, &right) {
            let zero = |tail: &str| {
                let message = format!("error: division by zero attempted{tail}");
                Err(SyntaxError::new(self.offset(), message))
            };
            match op {
                Op::Add => return Ok(Expr::Num(a + b)),
                Op::Sub => return Ok(Expr::Num(a - b)),
                Op::Mul => return Ok(Expr::Num(a * b)),
                Op::Div if *b == 0.0 => return zero(""),
                Op::Mod if *b == 0.0 => return zero(" in `%'"),
                Op::Div => return Ok(Expr::Num(a / b)),
                _ => {}
            }
        }
        Ok(Expr::Binary(op, Box::new((left, right))))
    }
}

/// `v = v a b` appends in place when the rest cannot touch `v`.
fn assign(lv: LValue, value: Expr) -> Expr {
    if let (LValue::Var(var), Expr::Concat(parts)) = (&lv, &value) {
        let same = match (var, &parts[0]) {
            (Var::Global(a), Expr::Global(b)) | (Var::Local(a), Expr::Local(b)) => a == b,
            _ => false,
        };
        if same && parts[1..].iter().all(is_pure) {
            let Expr::Concat(mut parts) = value else {
                unreachable!("matched above")
            };
            parts.remove(0);
            return Expr::Append(Box::new((lv, parts)));
        }
    }
    Expr::Assign(Box::new((lv, value)))
}
