//! awk's dynamic values: uninitialised, number, string, and input that may look like a number.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::rc::Rc;

use crate::array::Array;
use crate::number;
use crate::str::Str;

pub type ArrayRc = Rc<RefCell<Array>>;

pub fn new_array() -> ArrayRc {
    Rc::new(RefCell::new(Array::default()))
}

#[derive(Clone, Default)]
pub enum Value {
    #[default]
    Uninit,
    Num(f64),
    Str(Str),
    /// Text from outside (a field, an operand, the environment): a number if it looks like one.
    Input(Str),
    Array(ArrayRc),
}

impl Value {
    pub fn str(bytes: &[u8]) -> Value {
        Value::Str(Str::new(bytes))
    }

    pub fn bool(b: bool) -> Value {
        Value::Num(if b { 1.0 } else { 0.0 })
    }

    #[inline]
    pub fn to_num(&self) -> f64 {
        match self {
            Value::Num(n) => *n,
            Value::Str(s) | Value::Input(s) => number::prefix(s.as_bytes()),
            Value::Uninit | Value::Array(_) => 0.0,
        }
    }

    #[inline]
    pub fn to_bool(&self) -> bool {
        match self {
            Value::Num(n) => *n != 0.0,
            Value::Str(s) => !s.is_empty(),
            Value::Input(s) => input_truth(s.as_bytes()),
            Value::Uninit | Value::Array(_) => false,
        }
    }

    /// The string value; `fmt` is CONVFMT or OFMT.
    #[inline]
    pub fn to_str(&self, fmt: &[u8]) -> Str {
        match self {
            Value::Str(s) | Value::Input(s) => s.clone(),
            Value::Num(n) => {
                let mut buf = Vec::new();
                if let Some(s) = number::integer_str(*n) {
                    return s;
                }
                number::append(*n, fmt, &mut buf);
                Str::from_vec(buf)
            }
            Value::Uninit | Value::Array(_) => Str::EMPTY,
        }
    }

    #[inline]
    pub fn append_to(&self, fmt: &[u8], out: &mut Vec<u8>) {
        match self {
            Value::Str(s) | Value::Input(s) => out.extend_from_slice(s.as_bytes()),
            Value::Num(n) => number::append(*n, fmt, out),
            Value::Uninit | Value::Array(_) => {}
        }
    }

    /// The number this value compares as, if it compares as one.
    #[inline]
    pub fn as_comparable_num(&self) -> Option<f64> {
        match self {
            Value::Num(n) => Some(*n),
            Value::Input(s) => number::whole(s.as_bytes()),
            Value::Uninit => Some(0.0),
            Value::Str(_) | Value::Array(_) => None,
        }
    }

    /// Whether this is a number for `typeof`, `%c` and sorting by type.
    pub fn is_number(&self) -> bool {
        match self {
            Value::Num(_) => true,
            Value::Input(s) => number::whole(s.as_bytes()).is_some(),
            _ => false,
        }
    }
}

#[inline]
pub fn input_truth(s: &[u8]) -> bool {
    match number::whole(s) {
        Some(n) => n != 0.0,
        None => !s.is_empty(),
    }
}

/// POSIX comparison: numbers if both sides are, else bytes. `None` only with a NaN.
pub fn compare(a: &Value, b: &Value, convfmt: &[u8]) -> Option<Ordering> {
    if let (Some(x), Some(y)) = (a.as_comparable_num(), b.as_comparable_num()) {
        return x.partial_cmp(&y);
    }
    Some(
        a.to_str(convfmt)
            .as_bytes()
            .cmp(b.to_str(convfmt).as_bytes()),
    )
}
