//! Places: variables, fields, elements, and the variables whose assignment has consequences.

use std::rc::Rc;

use crate::array::Key;
use crate::ast::*;
use crate::input::Rs;
use crate::interp::{Eval, Interp, fatal};
use crate::record::Splitter;
use crate::regex::Case;
use crate::str::Str;
use crate::value::{ArrayRc, Value, new_array};

impl<'p> Interp<'p> {
    #[inline]
    pub fn assign(&mut self, lv: &'p LValue, value: Value) -> Eval<()> {
        match lv {
            LValue::Var(Var::Global(slot)) => {
                let place = &mut self.globals[*slot as usize];
                if let Value::Array(_) = place {
                    return self.array_assigned(lv);
                }
                *place = value;
            }
            LValue::Var(Var::Local(slot)) => {
                let place = &mut self.stack[self.base + *slot as usize];
                if let Value::Array(_) = place {
                    return self.array_assigned(lv);
                }
                *place = value;
            }
            LValue::Field(e) => {
                let n = self.field_number(e)?;
                self.set_field(n, value);
            }
            LValue::Index(array, sub) => {
                let key = self.key(sub)?;
                let array = self.array(array)?;
                array.borrow_mut().insert(key, value);
            }
            LValue::Special(slot) => self.set_special(*slot, value)?,
        }
        Ok(())
    }

    #[cold]
    fn array_assigned(&self, lv: &LValue) -> Eval<()> {
        let name = match lv {
            LValue::Var(var) => self.var_name(*var),
            _ => String::new(),
        };
        fatal(format!("attempt to use array `{name}' in a scalar context"))
    }

    pub fn var_name(&self, var: Var) -> String {
        match var {
            Var::Global(slot) => self.prog.globals[slot as usize].clone(),
            Var::Local(slot) => self.local_name(slot),
        }
    }

    /// The parameter names at hand are those of whichever function has this many slots here.
    pub fn local_name(&self, slot: u32) -> String {
        self.prog
            .functions
            .iter()
            .find(|f| {
                f.body
                    .first()
                    .zip(f.body.last())
                    .is_some_and(|(a, z)| (a.line..=z.line).contains(&self.line))
            })
            .and_then(|f| f.params.get(slot as usize).cloned())
            .unwrap_or_default()
    }

    pub fn set_field(&mut self, n: usize, value: Value) {
        if n == 0 {
            let text = value.to_str(self.convfmt.as_bytes());
            self.rec.set_text(text.as_bytes());
        } else {
            self.rec.set_field(n, value);
        }
    }

    pub fn read_lvalue(&mut self, lv: &'p LValue) -> Eval<Value> {
        match lv {
            LValue::Var(Var::Global(slot)) => Ok(self.globals[*slot as usize].clone()),
            LValue::Var(Var::Local(slot)) => Ok(self.stack[self.base + *slot as usize].clone()),
            LValue::Field(e) => {
                let n = self.field_number(e)?;
                Ok(self.field(n))
            }
            LValue::Index(array, sub) => {
                let key = self.key(sub)?;
                self.element(array, key)
            }
            LValue::Special(slot) => Ok(match *slot {
                special::NF => Value::Num(self.rec.nf() as f64),
                special::NR => Value::Num(self.nr),
                special::FNR => Value::Num(self.fnr),
                special::RT => Value::str(&self.rt),
                slot => self.globals[slot as usize].clone(),
            }),
        }
    }

    /// Replaces a number by a function of it; returns the old and the new one.
    #[inline]
    pub fn modify(&mut self, lv: &'p LValue, f: impl FnOnce(f64) -> Eval<f64>) -> Eval<(f64, f64)> {
        match lv {
            LValue::Var(var) => {
                let place = match *var {
                    Var::Global(slot) => &mut self.globals[slot as usize],
                    Var::Local(slot) => &mut self.stack[self.base + slot as usize],
                };
                if let Value::Array(_) = place {
                    self.array_assigned(lv)?;
                    return Ok((0.0, 0.0));
                }
                let old = place.to_num();
                let new = f(old)?;
                *place = Value::Num(new);
                Ok((old, new))
            }
            LValue::Index(ArrayRef::Var(Var::Global(slot)), sub) => {
                let key = self.key(sub)?;
                if !matches!(self.globals[*slot as usize], Value::Array(_)) {
                    self.var_array(Var::Global(*slot))?;
                }
                let Value::Array(array) = &self.globals[*slot as usize] else {
                    return fatal("internal: no array");
                };
                let mut array = array.borrow_mut();
                modify_element(array.entry(key), f)
            }
            LValue::Index(array, sub) => {
                let key = self.key(sub)?;
                let array = self.array(array)?;
                let mut array = array.borrow_mut();
                modify_element(array.entry(key), f)
            }
            LValue::Field(e) => {
                let n = self.field_number(e)?;
                let old = self.field(n).to_num();
                let new = f(old)?;
                self.set_field(n, Value::Num(new));
                Ok((old, new))
            }
            LValue::Special(slot) => {
                let old = self.read_lvalue(lv)?.to_num();
                let new = f(old)?;
                self.set_special(*slot, Value::Num(new))?;
                Ok((old, new))
            }
        }
    }

    // Arrays.

    /// The array that is named, made if the name is untouched.
    #[inline]
    pub fn array(&mut self, a: &'p ArrayRef) -> Eval<ArrayRc> {
        match a {
            ArrayRef::Var(var) => self.var_array(*var),
            ArrayRef::Element(outer, sub) => self.nested(outer, sub),
        }
    }

    #[inline]
    pub fn var_array(&mut self, var: Var) -> Eval<ArrayRc> {
        let place = match var {
            Var::Global(slot) => &mut self.globals[slot as usize],
            Var::Local(slot) => &mut self.stack[self.base + slot as usize],
        };
        match place {
            Value::Array(array) => Ok(array.clone()),
            Value::Uninit => {
                let array = new_array();
                *place = Value::Array(array.clone());
                Ok(array)
            }
            _ => {
                let name = self.var_name(var);
                let what = match var {
                    Var::Local(_) => "scalar parameter",
                    Var::Global(_) => "scalar",
                };
                fatal(format!("attempt to use {what} `{name}' as an array"))
            }
        }
    }

    #[inline(never)]
    fn nested(&mut self, outer: &'p ArrayRef, sub: &'p Expr) -> Eval<ArrayRc> {
        let outer = self.array(outer)?;
        let key = self.key(sub)?;
        let mut outer = outer.borrow_mut();
        let place = outer.entry(key);
        match place {
            Value::Array(array) => Ok(array.clone()),
            Value::Uninit => {
                let array = new_array();
                *place = Value::Array(array.clone());
                Ok(array)
            }
            _ => fatal("attempt to use a scalar value as array"),
        }
    }

    /// An element's value; reading one makes it.
    #[inline]
    pub fn element(&mut self, a: &'p ArrayRef, key: Key) -> Eval<Value> {
        if let ArrayRef::Var(Var::Global(slot)) = a
            && let Value::Array(array) = &self.globals[*slot as usize]
            && let Some(v) = array.borrow().get(&key)
        {
            return Ok(v.clone());
        }
        let array = self.array(a)?;
        let mut array = array.borrow_mut();
        Ok(array.entry(key).clone())
    }

    /// An argument for an array parameter.
    pub fn array_argument(&mut self, arg: &'p Expr, param: &str) -> Eval<Value> {
        let now = match arg {
            Expr::Global(slot) => &self.globals[*slot as usize],
            Expr::Local(slot) => &self.stack[self.base + *slot as usize],
            _ => &Value::Uninit,
        };
        if !matches!(now, Value::Array(_) | Value::Uninit) {
            return fatal(format!(
                "attempt to use scalar parameter `{param}' as an array"
            ));
        }
        Ok(match arg {
            Expr::Global(slot) => Value::Array(self.var_array(Var::Global(*slot))?),
            Expr::Local(slot) => Value::Array(self.var_array(Var::Local(*slot))?),
            Expr::Index(b) => {
                let outer = self.array(&b.0)?;
                let key = self.key(&b.1)?;
                let mut outer = outer.borrow_mut();
                let place = outer.entry(key);
                match place {
                    Value::Array(_) => place.clone(),
                    Value::Uninit => {
                        *place = Value::Array(new_array());
                        place.clone()
                    }
                    _ => return fatal("attempt to use a scalar value as array"),
                }
            }
            e => self.eval(e)?,
        })
    }

    // Variables with consequences.

    pub fn set_special(&mut self, slot: u32, value: Value) -> Eval<()> {
        let text = || value.to_str(b"%.6g");
        match slot {
            special::NF => {
                let n = value.to_num();
                if n < 0.0 {
                    return fatal("NF set to negative value");
                }
                self.rec.set_nf(n as usize);
                // The separator of this moment joins the fields.
                self.join();
            }
            special::NR => self.nr = value.to_num(),
            special::FNR => self.fnr = value.to_num(),
            special::RT => self.rt = text().as_bytes().to_vec(),
            special::OFS => {
                self.join();
                self.ofs = text();
            }
            special::ORS => self.ors = text(),
            special::SUBSEP => self.subsep = text(),
            special::CONVFMT => self.convfmt = text(),
            special::OFMT => self.ofmt = text(),
            special::RS => {
                self.globals[slot as usize] = value;
                self.set_rs()?;
                return self.set_splitter(special::FS);
            }
            special::FS | special::FPAT | special::FIELDWIDTHS => {
                self.globals[slot as usize] = value;
                return self.set_splitter(slot);
            }
            special::IGNORECASE => {
                self.case = if value.to_bool() {
                    Case::Ignored
                } else {
                    Case::Sensitive
                };
                self.regexes.iter_mut().for_each(|r| *r = None);
                self.dynamic.clear();
                self.globals[slot as usize] = value;
                self.set_rs()?;
                return self.set_splitter(special::FS);
            }
            _ => {}
        }
        self.globals[slot as usize] = value;
        Ok(())
    }

    fn set_rs(&mut self) -> Eval<()> {
        let rs = self.globals[special::RS as usize].to_str(b"%.6g");
        self.rs = match rs.as_bytes() {
            b"" => Rs::Paragraph,
            [b] => Rs::Byte(*b),
            _ => Rs::Regex(self.dynamic_regex(&rs)?),
        };
        Ok(())
    }

    /// Splitting by FS, FPAT or FIELDWIDTHS, whichever was assigned last; from the next record on.
    fn set_splitter(&mut self, slot: u32) -> Eval<()> {
        self.rec.split_to(usize::MAX);
        let text = self.globals[slot as usize].to_str(b"%.6g");
        self.rec.splitter = match slot {
            special::FPAT => Splitter::Contents(self.dynamic_regex(&text)?),
            special::FIELDWIDTHS => Splitter::Widths(Rc::new(widths(&text.lossy()))),
            _ => {
                let paragraph = matches!(self.rs, Rs::Paragraph);
                match (self.splitter_for(&text)?, paragraph) {
                    (Splitter::Byte(b), true) => Splitter::ByteOrNewline(b),
                    (Splitter::Regex(_), true) => {
                        let mut both = b"(".to_vec();
                        both.extend_from_slice(text.as_bytes());
                        both.extend_from_slice(b")|\n");
                        Splitter::Regex(self.dynamic_regex(&Str::from_vec(both))?)
                    }
                    (s, _) => s,
                }
            }
        };
        Ok(())
    }

    /// What a separator in the manner of FS means.
    pub fn splitter_for(&mut self, fs: &Str) -> Eval<Splitter> {
        Ok(match fs.as_bytes() {
            b" " => Splitter::Blank,
            b"" => Splitter::Chars,
            b"\\" => Splitter::Byte(b'\\'),
            [b] if self.case == Case::Sensitive || !b.is_ascii_alphabetic() => Splitter::Byte(*b),
            [b'\\', b] if b.is_ascii_punctuation() && !b"<>`'".contains(b) => Splitter::Byte(*b),
            _ => Splitter::Regex(self.dynamic_regex(fs)?),
        })
    }
}

#[inline]
fn modify_element(place: &mut Value, f: impl FnOnce(f64) -> Eval<f64>) -> Eval<(f64, f64)> {
    if let Value::Array(_) = place {
        return fatal("attempt to use an array in a scalar context");
    }
    let old = place.to_num();
    let new = f(old)?;
    *place = Value::Num(new);
    Ok((old, new))
}

/// FIELDWIDTHS: `8 2:4 *`.
fn widths(text: &str) -> Vec<(usize, Option<usize>)> {
    let mut list = Vec::new();
    for word in text.split_whitespace() {
        let (skip, width) = match word.split_once(':') {
            Some((skip, width)) => (skip.parse().unwrap_or(0), width),
            None => (0, word),
        };
        list.push((skip, width.parse().ok()));
    }
    list
}
