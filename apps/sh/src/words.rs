//! Words that can only ever be themselves are expanded without looking for files, and their plain characters all at once.
//!
//! yash splits every word of a command into fields and takes each field for a pattern, and for one that holds nothing special
//! it still asks whether a file of that name exists. After parsing it is plain which words cannot split and cannot match; they
//! are marked to give one field, as yash does with the assignments of `export`.
//!
//! It also expands an unquoted word character by character, each with a future and a string of its own, but a quoted string
//! in one go. Where quoting changes nothing, runs of plain characters get quoted.

use std::rc::Rc;
use yash_syntax::syntax::{
    ExpansionMode, ParamType, RedirBody, SimpleCommand, SpecialParam, Text, TextUnit, Value, Word,
    WordUnit,
};

/// Marks the words of a command whose expansion is one field whatever the files and variables are.
///
/// `is_shown` says that the command's text may be shown to the user: then no quotes are added.
pub fn settle(command: &mut SimpleCommand, is_shown: bool) {
    for (word, mode) in &mut command.words {
        if is_one_field(word) {
            *mode = ExpansionMode::Single;
        }
    }
    if is_shown {
        return;
    }
    for (word, mode) in &mut command.words {
        match mode {
            ExpansionMode::Single => quote_runs(&mut word.units),
            ExpansionMode::Multiple => quote_start(&mut word.units),
        }
    }
    // What is assigned and where is redirected to are one field always.
    for assign in &mut command.assigns {
        if let Value::Scalar(word) = &mut assign.value {
            quote_runs(&mut word.units);
        }
    }
    for redir in Rc::get_mut(&mut command.redirs).into_iter().flatten() {
        if let RedirBody::Normal { operand, .. } = &mut redir.body {
            quote_runs(&mut operand.units);
        }
    }
}

/// Makes one quoted string of each run of plain characters in a word that is one field.
fn quote_runs(units: &mut Vec<WordUnit>) {
    let mut from = 0;
    while from < units.len() {
        quote_run(units, from, |_| true);
        from += 1;
    }
}

/// The same for what a word starts with, which may be a pattern further on: before its first special character and its first
/// expansion, no character can be part of a bracket expression.
fn quote_start(units: &mut Vec<WordUnit>) {
    quote_run(units, 0, |c| !matches!(c, '*' | '?' | '[' | '\\'));
}

/// Puts the plain characters from `from` on in quotes, as far as they are as wanted; a single one is as good as it is.
fn quote_run(units: &mut Vec<WordUnit>, from: usize, is_wanted: impl Fn(char) -> bool) {
    let run: String = units[from..]
        .iter()
        .map_while(|unit| match unit {
            &WordUnit::Unquoted(TextUnit::Literal(c)) if is_wanted(c) => Some(c),
            _ => None,
        })
        .collect();
    let count = run.chars().count();
    if count > 1 {
        units.splice(from..from + count, [WordUnit::SingleQuote(run)]);
    }
}

fn is_one_field(word: &Word) -> bool {
    // An open bracket alone, the command `[`, is no pattern.
    let can_close = word
        .units
        .iter()
        .any(|unit| matches!(unit, WordUnit::Unquoted(TextUnit::Literal(']'))));
    word.units.iter().all(|unit| match unit {
        WordUnit::Unquoted(TextUnit::Literal(c)) => match c {
            '*' | '?' | '\\' => false,
            '[' => !can_close,
            _ => true,
        },
        WordUnit::Unquoted(TextUnit::Backslashed(_)) | WordUnit::SingleQuote(_) => true,
        WordUnit::DoubleQuote(text) => is_one_string(text),
        _ => false,
    })
}

/// Whether a text in double quotes is one field: `$@` is several, and other expansions may hold one.
fn is_one_string(text: &Text) -> bool {
    text.0.iter().all(|unit| match unit {
        TextUnit::Literal(_) | TextUnit::Backslashed(_) => true,
        TextUnit::RawParam { param, .. } => !matches!(
            param.r#type,
            ParamType::Special(SpecialParam::At | SpecialParam::Asterisk)
        ),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_one(word: &str) -> bool {
        is_one_field(&word.parse().expect("a word"))
    }

    #[test]
    fn plain_and_quoted_words_are_one_field() {
        for word in [
            "[",
            "]",
            "-lt",
            "a.b",
            "\\*",
            "'*?'",
            "\"[a] $i\"",
            "''",
            "\"\"",
        ] {
            assert!(is_one(word), "{word}");
        }
    }

    #[test]
    fn patterns_and_expansions_are_left_alone() {
        let mut home: Word = "~".parse().expect("a word");
        home.parse_tilde_front();
        assert!(!is_one_field(&home));
        for word in [
            "*",
            "a?",
            "[a]",
            "[\"a\"]",
            "$i",
            "${i}",
            "\"$@\"",
            "\"$*\"",
            "\"${x+\"$@\"}\"",
            "$(ls)",
            "$((1))",
        ] {
            assert!(!is_one(word), "{word}");
        }
    }

    /// A command after `settle`, and whether its words are one field each.
    fn settled(command: &str, is_shown: bool) -> (String, Vec<ExpansionMode>) {
        let mut command: SimpleCommand = command.parse().expect("a command");
        settle(&mut command, is_shown);
        let modes = command.words.iter().map(|(_, mode)| *mode).collect();
        (command.to_string(), modes)
    }

    #[test]
    fn plain_characters_are_quoted_where_that_changes_nothing() {
        use ExpansionMode::{Multiple, Single};
        for (command, quoted) in [
            ("echo abc", "'echo' 'abc'"),
            ("v=ab$c[d] : >/tmp/$i", "v='ab'$c'[d]' : >'/tmp/'$i"),
            ("/b/c x/y$i-z] x[a-z]", "'/b/c' 'x/y'$i-z] x[a-z]"),
            ("a=(bc de) : 2>&1", "a=(bc de) : 2>&1"),
            ("v=~/ab : <~/cd", "v=~'/ab' : <~'/cd'"),
        ] {
            let (text, _) = settled(command, false);
            assert_eq!(text, quoted, "{command}");
        }
        assert_eq!(settled("ab cd*", false).1, [Single, Multiple]);
    }

    #[test]
    fn a_command_that_is_shown_keeps_its_text() {
        assert_eq!(settled("echo abc", true).0, "echo abc");
    }
}
