//! Expressions. Each can be asked for a value, a number, a truth or bytes, so that what the
//! context needs is computed directly and nothing is converted twice.

use std::cmp::Ordering;

use crate::array::Key;
use crate::ast::*;
use crate::interp::{Eval, Interp, Stop, fatal};
use crate::number;
use crate::str::Str;
use crate::value::{Value, compare, input_truth};

#[inline]
fn holds(op: Cmp, order: Option<Ordering>) -> bool {
    match (op, order) {
        // Only NaN has no order, and it differs from everything.
        (Cmp::Ne, None) => true,
        (_, None) => false,
        (Cmp::Lt, Some(o)) => o == Ordering::Less,
        (Cmp::Le, Some(o)) => o != Ordering::Greater,
        (Cmp::Eq, Some(o)) => o == Ordering::Equal,
        (Cmp::Ne, Some(o)) => o != Ordering::Equal,
        (Cmp::Gt, Some(o)) => o == Ordering::Greater,
        (Cmp::Ge, Some(o)) => o != Ordering::Less,
    }
}

impl<'p> Interp<'p> {
    pub fn eval(&mut self, e: &'p Expr) -> Eval<Value> {
        Ok(match e {
            Expr::Num(n) => Value::Num(*n),
            Expr::Str(s) => Value::Str(s.clone()),
            Expr::Global(slot) => match &self.globals[*slot as usize] {
                Value::Array(_) => return self.array_as_scalar(e),
                v => v.clone(),
            },
            Expr::Local(slot) => match &self.stack[self.base + *slot as usize] {
                Value::Array(_) => return self.array_as_scalar(e),
                v => v.clone(),
            },
            Expr::FieldConst(0) => {
                self.join();
                Value::Input(Str::new(self.rec.text()))
            }
            Expr::FieldConst(n) => self.rec.value(*n),
            Expr::Field(i) => {
                let n = self.field_number(i)?;
                self.field(n)
            }
            Expr::Special(slot) => self.special(*slot),
            Expr::Index(b) => {
                let key = self.key(&b.1)?;
                self.element(&b.0, key)?
            }
            Expr::Assign(b) => {
                let value = match self.eval(&b.1)? {
                    Value::Array(_) => return self.array_as_scalar(&b.1),
                    v => v,
                };
                self.assign(&b.0, value.clone())?;
                value
            }
            Expr::Cond(b) => {
                let branch = if self.truth(&b.0)? { &b.1 } else { &b.2 };
                self.eval(branch)?
            }
            Expr::Append(b) => {
                self.append_in_place(b)?;
                self.read_lvalue(&b.0)?
            }
            Expr::Concat(_) | Expr::Subscripts(_) => Value::Str(self.string(e)?),
            Expr::Call(f, args) => self.call(*f, args)?,
            Expr::IndirectCall(name, args) => {
                let f = self.indirect(name)?;
                self.call(f, args)?
            }
            Expr::Builtin(b, args) => self.builtin(*b, args)?,
            Expr::Regexed(b, r) => self.regexed(*b, r)?,
            Expr::Getline(g) => Value::Num(self.getline(g)?),
            Expr::AugAssign(..)
            | Expr::PreInc(..)
            | Expr::PostInc(..)
            | Expr::Neg(_)
            | Expr::Plus(_)
            | Expr::Binary(..) => Value::Num(self.num(e)?),
            Expr::Regex(_)
            | Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::Compare(..)
            | Expr::Match(..)
            | Expr::In(..) => Value::bool(self.truth(e)?),
        })
    }

    /// For its effect only.
    #[inline]
    pub fn effect(&mut self, e: &'p Expr) -> Eval<()> {
        match e {
            Expr::Assign(b) => {
                let value = match self.eval(&b.1)? {
                    Value::Array(_) => return self.array_as_scalar(&b.1).map(|_| ()),
                    v => v,
                };
                self.assign(&b.0, value)
            }
            Expr::AugAssign(..) | Expr::PreInc(..) => self.num(e).map(|_| ()),
            Expr::Append(b) => self.append_in_place(b),
            _ => self.eval(e).map(|_| ()),
        }
    }

    pub fn num(&mut self, e: &'p Expr) -> Eval<f64> {
        Ok(match e {
            Expr::Num(n) => *n,
            Expr::Global(slot) => match &self.globals[*slot as usize] {
                Value::Num(n) => *n,
                Value::Array(_) => self.array_as_scalar(e)?.to_num(),
                v => v.to_num(),
            },
            Expr::Local(slot) => match &self.stack[self.base + *slot as usize] {
                Value::Num(n) => *n,
                Value::Array(_) => self.array_as_scalar(e)?.to_num(),
                v => v.to_num(),
            },
            Expr::FieldConst(n) if *n > 0 => self.field_num(*n),
            Expr::Field(i) => {
                let n = self.field_number(i)?;
                if n == 0 {
                    self.field(0).to_num()
                } else {
                    self.field_num(n)
                }
            }
            Expr::Special(special::NF) => self.rec.nf() as f64,
            Expr::Special(special::NR) => self.nr,
            Expr::Special(special::FNR) => self.fnr,
            Expr::Binary(op, b) => {
                let left = self.num(&b.0)?;
                let right = self.num(&b.1)?;
                arithmetic(*op, left, right)?
            }
            Expr::Neg(e) => -self.num(e)?,
            Expr::Plus(e) => self.num(e)?,
            Expr::AugAssign(op, b) => {
                let right = self.num(&b.1)?;
                let op = *op;
                if right == 0.0 && matches!(op, Op::Div | Op::Mod) {
                    let sign = if op == Op::Div { '/' } else { '%' };
                    return fatal(format!("division by zero attempted in `{sign}='"));
                }
                self.modify(&b.0, |old| arithmetic(op, old, right))?.1
            }
            Expr::PreInc(lv, delta) => self.modify(lv, |old| Ok(old + delta))?.1,
            Expr::PostInc(lv, delta) => self.modify(lv, |old| Ok(old + delta))?.0,
            Expr::Cond(b) => {
                let branch = if self.truth(&b.0)? { &b.1 } else { &b.2 };
                self.num(branch)?
            }
            Expr::Regex(_)
            | Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::Compare(..)
            | Expr::Match(..)
            | Expr::In(..) => f64::from(u8::from(self.truth(e)?)),
            Expr::Index(b) => {
                let key = self.key(&b.1)?;
                self.element(&b.0, key)?.to_num()
            }
            _ => self.eval(e)?.to_num(),
        })
    }

    pub fn truth(&mut self, e: &'p Expr) -> Eval<bool> {
        Ok(match e {
            Expr::Regex(i) => {
                let re = self.regex(*i)?;
                self.join();
                re.is_match(self.rec.text())
            }
            Expr::And(b) => self.truth(&b.0)? && self.truth(&b.1)?,
            Expr::Or(b) => self.truth(&b.0)? || self.truth(&b.1)?,
            Expr::Not(e) => !self.truth(e)?,
            Expr::Compare(op, b) => self.comparison(*op, &b.0, &b.1)?,
            Expr::Match(negated, e, p) => self.matches(e, p)? != *negated,
            Expr::In(e, array) => {
                let key = self.key(e)?;
                let array = self.array(array)?;
                array.borrow().contains(&key)
            }
            Expr::FieldConst(n) if *n > 0 => {
                self.rec.split_to(*n);
                match (self.rec.assigned(*n), self.rec.span_text(*n)) {
                    (Some(v), _) => v.to_bool(),
                    (None, Some(text)) => input_truth(text),
                    (None, None) => false,
                }
            }
            Expr::Binary(..) | Expr::AugAssign(..) | Expr::PreInc(..) | Expr::PostInc(..) => {
                self.num(e)? != 0.0
            }
            _ => self.eval(e)?.to_bool(),
        })
    }

    #[inline(never)]
    fn matches(&mut self, e: &'p Expr, p: &'p Pattern) -> Eval<bool> {
        if let Expr::FieldConst(n) = e
            && let Pattern::Const(i) = p
        {
            let re = self.regex(*i)?;
            if *n == 0 {
                self.join();
                return Ok(re.is_match(self.rec.text()));
            }
            self.rec.split_to(*n);
            if self.rec.assigned(*n).is_none() {
                return Ok(re.is_match(self.rec.span_text(*n).unwrap_or(b"")));
            }
        }
        let text = self.string(e)?;
        let re = self.pattern(p)?;
        Ok(re.is_match(text.as_bytes()))
    }

    #[inline(never)]
    fn comparison(&mut self, op: Cmp, a: &'p Expr, b: &'p Expr) -> Eval<bool> {
        // A field against a constant needs no copy of the field.
        if let (Expr::FieldConst(n), Expr::Num(_) | Expr::Str(_)) = (a, b)
            && *n > 0
        {
            self.rec.split_to(*n);
            if self.rec.assigned(*n).is_none()
                && let Some(text) = self.rec.span_text(*n)
            {
                let order = match b {
                    Expr::Str(s) => Some(text.cmp(s.as_bytes())),
                    Expr::Num(y) => match number::whole(text) {
                        Some(x) => x.partial_cmp(y),
                        None => {
                            let y = Value::Num(*y).to_str(self.convfmt.as_bytes());
                            Some(text.cmp(y.as_bytes()))
                        }
                    },
                    _ => None,
                };
                return Ok(holds(op, order));
            }
        }
        if let Some(x) = self.ready_num(a)
            && let Some(y) = self.ready_num(b)
        {
            return Ok(holds(op, x.partial_cmp(&y)));
        }
        let left = self.eval(a)?;
        let right = self.eval(b)?;
        let order = match (&left, &right) {
            (Value::Num(x), Value::Num(y)) => x.partial_cmp(y),
            _ => compare(&left, &right, self.convfmt.as_bytes()),
        };
        Ok(holds(op, order))
    }

    /// The number that a constant or a variable holds, if it holds one.
    #[inline]
    fn ready_num(&self, e: &Expr) -> Option<f64> {
        let value = match e {
            Expr::Num(n) => return Some(*n),
            Expr::Global(slot) => &self.globals[*slot as usize],
            Expr::Local(slot) => &self.stack[self.base + *slot as usize],
            Expr::Special(special::NR) => return Some(self.nr),
            Expr::Special(special::FNR) => return Some(self.fnr),
            _ => return None,
        };
        match value {
            Value::Num(n) => Some(*n),
            _ => None,
        }
    }

    /// A subscript.
    #[inline]
    pub fn key(&mut self, e: &'p Expr) -> Eval<Key> {
        match e {
            Expr::FieldConst(n) if *n > 0 => {
                self.rec.split_to(*n);
                if self.rec.assigned(*n).is_none()
                    && let Some(text) = self.rec.span_text(*n)
                {
                    return Ok(Key::from_bytes(text));
                }
            }
            Expr::Binary(..) | Expr::PreInc(..) | Expr::PostInc(..) | Expr::AugAssign(..) => {
                let n = self.num(e)?;
                return Ok(self.num_key(n));
            }
            _ => {
                if let Some(n) = self.ready_num(e) {
                    return Ok(self.num_key(n));
                }
            }
        }
        Ok(Key::from(self.string(e)?))
    }

    #[inline]
    fn num_key(&self, n: f64) -> Key {
        Key::from_num(n).unwrap_or_else(|| Key::from(Value::Num(n).to_str(self.convfmt.as_bytes())))
    }

    /// The string value, by CONVFMT.
    #[inline]
    pub fn string(&mut self, e: &'p Expr) -> Eval<Str> {
        match e {
            Expr::Str(s) => Ok(s.clone()),
            Expr::FieldConst(n) if *n > 0 => {
                self.rec.split_to(*n);
                Ok(match (self.rec.assigned(*n), self.rec.span_text(*n)) {
                    (Some(v), _) => v.to_str(self.convfmt.as_bytes()),
                    (None, Some(text)) => Str::new(text),
                    (None, None) => Str::EMPTY,
                })
            }
            Expr::Concat(_) | Expr::Subscripts(_) => {
                let mut buf = self.take_spare();
                self.append(e, &mut buf)?;
                let s = Str::new(&buf);
                self.give_spare(buf);
                Ok(s)
            }
            _ => Ok(self.eval(e)?.to_str(self.convfmt.as_bytes())),
        }
    }

    /// Appends the string value to `out`.
    pub fn append(&mut self, e: &'p Expr, out: &mut Vec<u8>) -> Eval<()> {
        match e {
            Expr::Str(s) => out.extend_from_slice(s.as_bytes()),
            Expr::FieldConst(0) => {
                self.join();
                out.extend_from_slice(self.rec.text());
            }
            Expr::FieldConst(n) => {
                self.rec.split_to(*n);
                match (self.rec.assigned(*n), self.rec.span_text(*n)) {
                    (Some(v), _) => v.append_to(self.convfmt.as_bytes(), out),
                    (None, Some(text)) => out.extend_from_slice(text),
                    (None, None) => {}
                }
            }
            Expr::Concat(parts) => {
                for part in parts {
                    self.append(part, out)?;
                }
            }
            Expr::Subscripts(parts) => {
                for (i, part) in parts.iter().enumerate() {
                    if i > 0 {
                        out.extend_from_slice(self.subsep.as_bytes());
                    }
                    self.append(part, out)?;
                }
            }
            Expr::Global(slot) if !matches!(self.globals[*slot as usize], Value::Array(_)) => {
                self.globals[*slot as usize].append_to(self.convfmt.as_bytes(), out);
            }
            _ => self.eval(e)?.append_to(self.convfmt.as_bytes(), out),
        }
        Ok(())
    }

    #[inline(never)]
    fn append_in_place(&mut self, b: &'p (LValue, Vec<Expr>)) -> Eval<()> {
        let mut buf = self.take_spare();
        for part in &b.1 {
            self.append(part, &mut buf)?;
        }
        let slot = match &b.0 {
            LValue::Var(Var::Global(slot)) => &mut self.globals[*slot as usize],
            LValue::Var(Var::Local(slot)) => &mut self.stack[self.base + *slot as usize],
            _ => return fatal("internal: append to something that is no variable"),
        };
        match slot {
            Value::Str(s) => s.push(&buf),
            Value::Array(_) => return fatal("attempt to use an array in a scalar context"),
            Value::Uninit | Value::Num(_) | Value::Input(_) => {
                let mut s = slot.to_str(self.convfmt.as_bytes());
                s.push(&buf);
                *slot = Value::Str(s);
            }
        }
        self.give_spare(buf);
        Ok(())
    }

    // Fields.

    pub fn field_number(&mut self, e: &'p Expr) -> Eval<usize> {
        let n = self.num(e)?;
        if n < 0.0 {
            return fatal(format!("attempt to access field {}", n.trunc()));
        }
        Ok(n as usize)
    }

    pub fn field(&mut self, n: usize) -> Value {
        if n == 0 {
            self.join();
            return Value::Input(Str::new(self.rec.text()));
        }
        self.rec.value(n)
    }

    #[inline]
    fn field_num(&mut self, n: usize) -> f64 {
        self.rec.split_to(n);
        match (self.rec.assigned(n), self.rec.span_text(n)) {
            (Some(v), _) => v.to_num(),
            (None, Some(text)) => number::prefix(text),
            (None, None) => 0.0,
        }
    }

    fn special(&mut self, slot: u32) -> Value {
        match slot {
            special::NF => Value::Num(self.rec.nf() as f64),
            special::NR => Value::Num(self.nr),
            special::FNR => Value::Num(self.fnr),
            special::RT => Value::str(&self.rt),
            _ => self.globals[slot as usize].clone(),
        }
    }

    #[cold]
    fn array_as_scalar(&self, e: &Expr) -> Eval<Value> {
        let (what, name) = match e {
            Expr::Local(slot) => ("array", self.local_name(*slot)),
            Expr::Global(slot) => ("array", self.prog.globals[*slot as usize].clone()),
            _ => ("array", String::from("?")),
        };
        fatal(format!(
            "attempt to use {what} `{name}' in a scalar context"
        ))
    }

    #[inline(never)]
    fn indirect(&mut self, name: &'p Expr) -> Eval<usize> {
        let name = self.string(name)?;
        let name = name.lossy();
        match self.prog.functions.iter().position(|f| f.name == name) {
            Some(f) => Ok(f),
            None => fatal(format!(
                "function called indirectly through `{name}' does not exist"
            )),
        }
    }
}

#[inline]
fn arithmetic(op: Op, a: f64, b: f64) -> Result<f64, Stop> {
    Ok(match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div if b == 0.0 => return fatal("division by zero attempted"),
        Op::Div => a / b,
        Op::Mod if b == 0.0 => return fatal("division by zero attempted in `%'"),
        Op::Mod => a % b,
        Op::Pow => power(a, b),
    })
}

fn power(a: f64, b: f64) -> f64 {
    if b.fract() == 0.0 && b.abs() < 1024.0 {
        a.powi(b as i32)
    } else {
        a.powf(b)
    }
}
