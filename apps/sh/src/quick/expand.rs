//! Expansion of words that are text, quotes, parameters and sums.
//!
//! Everything here gives `None` for a word that takes more: command substitution, tildes, `$@`, modifiers, an expansion that
//! would be split or may be a pattern, an unset parameter that must be set. Nothing has changed then, and yash expands it.

use super::arithmetic;
use crate::System;
use std::borrow::Cow;
use yash_env::Env;
use yash_env::option::{Off, Unset};
use yash_env::semantics::Field;
use yash_env::source::Location;
use yash_env::variable::{Expansion, IFS, Value};
use yash_syntax::syntax::{
    ExpansionMode, Modifier, Param, ParamType, SpecialParam, Text, TextUnit, Word, WordUnit,
};

/// What separates fields while `$IFS` is unset.
const SEPARATORS: &str = " \t\n";

/// Appends the fields that a word of a command gives.
pub fn fields(
    env: &Env<System>,
    word: &Word,
    mode: ExpansionMode,
    fields: &mut Vec<Field>,
) -> Option<()> {
    let is_split = mode == ExpansionMode::Multiple;
    let mut value = String::new();
    let is_quoted = expand(env, word, is_split, &mut value)?;
    // An expansion that gives nothing is no field, unless quotes hold it.
    if !is_split || is_quoted || !value.is_empty() {
        fields.push(Field {
            value,
            origin: word.location.clone(),
        });
    }
    Some(())
}

/// The string that a word gives where it is one field always: assigned, or redirected to.
pub fn single(env: &Env<System>, word: &Word) -> Option<String> {
    let mut value = String::new();
    expand(env, word, false, &mut value)?;
    Some(value)
}

/// Appends what a word expands to, and tells whether it has quotes. With `is_split` the result is one field if it is any.
fn expand(env: &Env<System>, word: &Word, is_split: bool, value: &mut String) -> Option<bool> {
    let mut is_quoted = false;
    for unit in &word.units {
        match unit {
            WordUnit::Unquoted(TextUnit::Literal(c)) => {
                if is_split && is_special(*c) {
                    return None;
                }
                value.push(*c);
            }
            WordUnit::Unquoted(TextUnit::Backslashed(c)) => {
                is_quoted = true;
                value.push(*c);
            }
            WordUnit::Unquoted(unit) => {
                let start = value.len();
                expand_unit(env, unit, value)?;
                if is_split && !is_one_field(env, &value[start..]) {
                    return None;
                }
            }
            WordUnit::SingleQuote(text) => {
                is_quoted = true;
                value.push_str(text);
            }
            WordUnit::DoubleQuote(text) => {
                is_quoted = true;
                for unit in &text.0 {
                    match unit {
                        TextUnit::Literal(c) | TextUnit::Backslashed(c) => value.push(*c),
                        unit => expand_unit(env, unit, value)?,
                    }
                }
            }
            _ => return None,
        }
    }
    Some(is_quoted)
}

/// Whether a character makes a pattern of what it stands in.
fn is_special(c: char) -> bool {
    matches!(c, '*' | '?' | '[' | '\\')
}

/// Whether the value of an unquoted expansion is neither split nor a pattern.
fn is_one_field(env: &Env<System>, value: &str) -> bool {
    let separators = match env.variables.get(IFS) {
        None => SEPARATORS,
        Some(variable) => match &variable.value {
            Some(Value::Scalar(separators)) => separators,
            _ => return false,
        },
    };
    !value.contains(|c| is_special(c) || separators.contains(c))
}

fn expand_unit(env: &Env<System>, unit: &TextUnit, value: &mut String) -> Option<()> {
    match unit {
        TextUnit::RawParam { param, location } => {
            value.push_str(&parameter(env, param, location)?);
        }
        TextUnit::BracedParam(braced) => {
            let parameter = parameter(env, &braced.param, &braced.location)?;
            match braced.modifier {
                Modifier::None => value.push_str(&parameter),
                Modifier::Length => value.push_str(&parameter.chars().count().to_string()),
                _ => return None,
            }
        }
        TextUnit::Arith { content, location } => {
            let expression = expression(env, content)?;
            value.push_str(&arithmetic::evaluate(env, &expression, location)?);
        }
        _ => return None,
    }
    Some(())
}

/// The text of an arithmetic expression.
fn expression(env: &Env<System>, content: &Text) -> Option<String> {
    let mut text = String::new();
    for unit in &content.0 {
        match unit {
            TextUnit::Literal(c) => text.push(*c),
            unit => expand_unit(env, unit, &mut text)?,
        }
    }
    Some(text)
}

/// The value of a parameter that is one string, where it stands at `location`.
fn parameter<'a>(env: &'a Env<System>, param: &Param, location: &Location) -> Option<Cow<'a, str>> {
    let value = match param.r#type {
        ParamType::Variable => match env.variables.get(param.id.as_str()) {
            None => None,
            // `$LINENO` depends on where it stands.
            Some(variable) if variable.quirk.is_some() => match variable.expand(location) {
                Expansion::Scalar(line) => return Some(line),
                _ => return None,
            },
            Some(variable) => match &variable.value {
                None => None,
                Some(Value::Scalar(value)) => Some(value.as_str()),
                Some(Value::Array(_)) => return None,
            },
        },
        ParamType::Positional(0) => None,
        ParamType::Positional(index) => {
            let parameters = env.variables.positional_params();
            parameters.values.get(index - 1).map(String::as_str)
        }
        ParamType::Special(SpecialParam::Question) => {
            return Some(env.exit_status.to_string().into());
        }
        ParamType::Special(SpecialParam::Number) => {
            let count = env.variables.positional_params().values.len();
            return Some(count.to_string().into());
        }
        ParamType::Special(SpecialParam::Dollar) => return Some(env.main_pid.to_string().into()),
        ParamType::Special(SpecialParam::Zero) => Some(env.arg0.as_str()),
        ParamType::Special(_) => return None,
    };
    match value {
        Some(value) => Some(value.into()),
        None if env.options.get(Unset) == Off => None,
        None => Some("".into()),
    }
}
