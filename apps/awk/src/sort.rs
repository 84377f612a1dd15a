//! `asort`, `asorti` and PROCINFO["sorted_in"]: the predefined orders, and functions of the
//! program's own.

use std::cmp::Ordering;

use crate::array::{Array, Key};
use crate::ast::*;
use crate::interp::{Eval, Interp, fatal};
use crate::str::Str;
use crate::value::{ArrayRc, Value};

type Pair = (Str, Value);

fn number_order(a: &Value, b: &Value) -> Ordering {
    a.to_num().total_cmp(&b.to_num())
}

fn rank(v: &Value) -> u8 {
    match v {
        Value::Array(_) => 2,
        v if v.is_number() || matches!(v, Value::Uninit) => 0,
        _ => 1,
    }
}

/// Numbers before strings before arrays.
fn type_order(a: &Value, b: &Value) -> Ordering {
    rank(a).cmp(&rank(b)).then_with(|| match rank(a) {
        0 => number_order(a, b),
        1 => string_order(a, b),
        _ => Ordering::Equal,
    })
}

fn string_order(a: &Value, b: &Value) -> Ordering {
    a.to_str(b"%.6g")
        .as_bytes()
        .cmp(b.to_str(b"%.6g").as_bytes())
}

/// Indices as numbers; those that are none count as zero, and ties go by the text.
fn index_number_order(a: &Pair, b: &Pair) -> Ordering {
    let n = |p: &Pair| crate::number::prefix(p.0.as_bytes());
    n(a).total_cmp(&n(b))
        .then_with(|| a.0.as_bytes().cmp(b.0.as_bytes()))
}

fn predefined(name: &[u8]) -> Option<fn(&Pair, &Pair) -> Ordering> {
    Some(match name {
        b"@ind_str_asc" => |a, b| a.0.as_bytes().cmp(b.0.as_bytes()),
        b"@ind_str_desc" => |a, b| b.0.as_bytes().cmp(a.0.as_bytes()),
        b"@ind_num_asc" => index_number_order,
        b"@ind_num_desc" => |a, b| index_number_order(b, a),
        b"@val_str_asc" => |a, b| string_order(&a.1, &b.1).then_with(|| index_number_order(a, b)),
        b"@val_str_desc" => |a, b| string_order(&b.1, &a.1).then_with(|| index_number_order(b, a)),
        b"@val_num_asc" => |a, b| {
            number_order(&a.1, &b.1)
                .then_with(|| string_order(&a.1, &b.1))
                .then_with(|| index_number_order(a, b))
        },
        b"@val_num_desc" => |a, b| {
            number_order(&b.1, &a.1)
                .then_with(|| string_order(&b.1, &a.1))
                .then_with(|| index_number_order(b, a))
        },
        b"@val_type_asc" => |a, b| type_order(&a.1, &b.1).then_with(|| index_number_order(a, b)),
        b"@val_type_desc" => |a, b| type_order(&b.1, &a.1).then_with(|| index_number_order(b, a)),
        _ => return None,
    })
}

impl<'p> Interp<'p> {
    pub fn asort(&mut self, b: Builtin, r: &'p Regexed) -> Eval<Value> {
        let source = self.array(&r.arrays[0])?;
        let order = match r.args.first() {
            Some(e) => Some(self.string(e)?),
            None => None,
        };
        let mut pairs: Vec<Pair> = source
            .borrow()
            .iter()
            .map(|(k, v)| (k, v.clone()))
            .collect();
        let default: &[u8] = if b == Builtin::Asort {
            b"@val_type_asc"
        } else {
            b"@ind_str_asc"
        };
        let order = order.unwrap_or_else(|| Str::new(default));
        self.sort_pairs(&mut pairs, &order)?;
        let mut sorted = Array::default();
        for (i, (key, value)) in pairs.into_iter().enumerate() {
            let value = if b == Builtin::Asort {
                value
            } else {
                Value::Str(key)
            };
            sorted.insert(Key::Int(i + 1), value);
        }
        let n = sorted.len();
        let target = match r.arrays.get(1) {
            Some(a) => self.array(a)?,
            None => source,
        };
        *target.borrow_mut() = sorted;
        Ok(Value::Num(n as f64))
    }

    pub fn sort_keys(&mut self, keys: &mut [Str], array: &ArrayRc, order: &Str) -> Eval<()> {
        if order.as_bytes() == b"@unsorted" || order.is_empty() {
            return Ok(());
        }
        let mut pairs: Vec<Pair> = {
            let array = array.borrow();
            keys.iter()
                .map(|k| {
                    (
                        k.clone(),
                        array
                            .get(&Key::from(k.clone()))
                            .cloned()
                            .unwrap_or_default(),
                    )
                })
                .collect()
        };
        self.sort_pairs(&mut pairs, order)?;
        for (key, pair) in keys.iter_mut().zip(pairs) {
            *key = pair.0;
        }
        Ok(())
    }

    fn sort_pairs(&mut self, pairs: &mut Vec<Pair>, order: &Str) -> Eval<()> {
        if order.as_bytes() == b"@unsorted" {
            return Ok(());
        }
        if let Some(f) = predefined(order.as_bytes()) {
            pairs.sort_by(f);
            return Ok(());
        }
        let name = order.lossy();
        let Some(f) = self.prog.functions.iter().position(|f| f.name == name) else {
            return fatal(format!("sort comparison function `{name}' is not defined"));
        };
        let all = std::mem::take(pairs);
        *pairs = self.merge_sort(f, all)?;
        Ok(())
    }

    /// The program's own comparison may fail or be inconsistent; a merge sort minds neither.
    fn merge_sort(&mut self, f: usize, mut pairs: Vec<Pair>) -> Eval<Vec<Pair>> {
        if pairs.len() < 2 {
            return Ok(pairs);
        }
        let right = pairs.split_off(pairs.len() / 2);
        let mut left = self.merge_sort(f, pairs)?.into_iter().peekable();
        let mut right = self.merge_sort(f, right)?.into_iter().peekable();
        let mut out = Vec::with_capacity(left.len() + right.len());
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            let args = vec![
                Value::Str(a.0.clone()),
                a.1.clone(),
                Value::Str(b.0.clone()),
                b.1.clone(),
            ];
            let order = self.call_values(f, args)?.to_num();
            out.extend(if order <= 0.0 {
                left.next()
            } else {
                right.next()
            });
        }
        out.extend(left);
        out.extend(right);
        Ok(out)
    }
}
