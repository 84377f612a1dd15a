//! Arithmetic that changes nothing.

use crate::System;
use std::cell::OnceCell;
use yash_arith::{Env as Variables, eval};
use yash_env::Env;
use yash_env::option::{Off, Unset};
use yash_env::source::Location;
use yash_env::variable::Expansion;

/// The value of an expression without assignments; `None` also for an error, which yash finds again and explains.
pub fn evaluate(env: &Env<System>, expression: &str, location: &Location) -> Option<String> {
    let variable = |name: &str| env.variables.get_scalar(name);
    if let Some(value) = sum(expression, variable) {
        return Some(value.to_string());
    }
    if assigns(expression.as_bytes()) {
        return None;
    }
    let mut variables = ReadOnly {
        env,
        location,
        line: OnceCell::new(),
    };
    let value = eval(expression, &mut variables).ok()?;
    Some(value.to_string())
}

/// The value of two numbers or variables and a `+`, `-` or `*`, as most counting is: without the tokens and the tree that
/// an expression in general takes.
fn sum<'a>(expression: &'a str, variable: impl Fn(&'a str) -> Option<&'a str>) -> Option<i64> {
    let operand = |text: &'a str| match text.as_bytes().first()? {
        b'0'..=b'9' => number(text),
        _ => number(variable(text)?),
    };
    let is_operator = |byte: u8| matches!(byte, b'+' | b'-' | b'*');
    let at = expression.bytes().position(is_operator)?;
    let (left, right) = (
        expression[..at].trim_ascii(),
        expression[at + 1..].trim_ascii(),
    );
    let is_operand = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    if !is_operand(left) || !is_operand(right) {
        return None;
    }
    let (left, right) = (operand(left)?, operand(right)?);
    match expression.as_bytes()[at] {
        b'+' => left.checked_add(right),
        b'-' => left.checked_sub(right),
        _ => left.checked_mul(right),
    }
}

/// A decimal number; a leading zero would make it another.
fn number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit());
    match is_decimal && (digits == "0" || !digits.starts_with('0')) {
        true => text.parse().ok(),
        false => None,
    }
}

/// Whether an expression may hold one of the operators `=`, `+=`, `<<=`, … or `++` and `--`.
fn assigns(expression: &[u8]) -> bool {
    let mut before = [0; 2];
    for (index, &byte) in expression.iter().enumerate() {
        let after = expression.get(index + 1).copied();
        let is_comparison = after == Some(b'=')
            || matches!(before, [_, b'=' | b'!'])
            || matches!(before, [outer, b'<' | b'>'] if outer != before[1]);
        if byte == b'=' && !is_comparison || matches!(byte, b'+' | b'-') && after == Some(byte) {
            return true;
        }
        before = [before[1], byte];
    }
    false
}

struct ReadOnly<'a> {
    env: &'a Env<System>,
    location: &'a Location,
    /// The value of `LINENO`, which is none of its own but depends on where the expression stands.
    line: OnceCell<String>,
}

impl ReadOnly<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        let variable = self.env.variables.get(name)?;
        if variable.quirk.is_none() {
            return self.env.variables.get_scalar(name);
        }
        match variable.expand(self.location) {
            Expansion::Scalar(line) => Some(self.line.get_or_init(|| line.into_owned())),
            _ => None,
        }
    }
}

/// A variable that is not set although it must be, or one that would be set.
#[derive(Debug)]
struct Refused;

impl Variables for ReadOnly<'_> {
    type GetVariableError = Refused;
    type AssignVariableError = Refused;

    fn get_variable(&self, name: &str) -> Result<Option<&str>, Refused> {
        match self.value(name) {
            None if self.env.options.get(Unset) == Off => Err(Refused),
            value => Ok(value),
        }
    }

    fn assign_variable(
        &mut self,
        _name: &str,
        _value: String,
        _range: std::ops::Range<usize>,
    ) -> Result<(), Refused> {
        Err(Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::{assigns, sum};

    #[test]
    fn sums_of_two_are_taken_alone() {
        let variable = |name: &str| match name {
            "i" => Some("41"),
            "minus" => Some("-5"),
            "octal" => Some("010"),
            "text" => Some("i"),
            "max" => Some("9223372036854775807"),
            _ => None,
        };
        for (expression, value) in [
            ("i+1", 42),
            (" i - 50 ", -9),
            ("minus*minus", 25),
            ("2*3", 6),
            ("0+i", 41),
        ] {
            assert_eq!(sum(expression, variable), Some(value), "{expression}");
        }
        // These are for yash: other operators, other numbers, errors.
        for expression in [
            "i", "i++", "i+=1", "i+-1", "i+1+1", "(i)+1", "-i", "octal+1", "1+010", "text+1",
            "max+1", "1x+1", "nosuch+1", "i +", "0x1f+1", "i/2", "",
        ] {
            assert_eq!(sum(expression, variable), None, "{expression}");
        }
    }

    #[test]
    fn assignments_are_told_from_comparisons() {
        for expression in [
            "i+1", "a==b", "a!=b", "a<=b", "a>=b", "a - -b", "+ +a", "a<<2", "1==1==1",
        ] {
            assert!(!assigns(expression.as_bytes()), "{expression}");
        }
        for expression in [
            "i=1", "i+=1", "i++", "--i", "a<<=1", "a>>=1", "a|=b", "a = b", "a*=2",
        ] {
            assert!(assigns(expression.as_bytes()), "{expression}");
        }
    }
}
