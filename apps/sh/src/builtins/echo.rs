//! `echo` as POSIX with XSI and dash have it: `-n` alone is an option, escapes are interpreted.

use super::{values, write};
use crate::System;
use yash_env::Env;
use yash_env::builtin::Result;
use yash_env::semantics::{ExitStatus, Field};

pub async fn main(env: &mut Env<System>, args: Vec<Field>) -> Result {
    let output = echo(&values(args));
    write(env, "echo", &output, ExitStatus::SUCCESS).await
}

fn echo(mut args: &[String]) -> Vec<u8> {
    let mut newline = true;
    while args.first().is_some_and(|arg| arg == "-n") {
        newline = false;
        args = &args[1..];
    }
    let mut output = Vec::new();
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            output.push(b' ');
        }
        if let Escapes::Stop = unescape(arg.as_bytes(), &mut output) {
            return output;
        }
    }
    if newline {
        output.push(b'\n');
    }
    output
}

/// Whether `\c` asked for an end of all output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Escapes {
    Done,
    Stop,
}

/// Copies `text` to `output` with the escapes of `echo` and `printf %b` interpreted.
pub fn unescape(text: &[u8], output: &mut Vec<u8>) -> Escapes {
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            output.push(byte);
            continue;
        }
        let Some((&escape, after)) = rest.split_first() else {
            output.push(b'\\');
            break;
        };
        rest = after;
        match escape {
            b'c' => return Escapes::Stop,
            b'0' => rest = octal(rest, 3, output),
            b'1'..=b'7' => rest = octal(&text[text.len() - rest.len() - 1..], 3, output),
            _ => match simple(escape) {
                Some(byte) => output.push(byte),
                None => output.extend([b'\\', escape]),
            },
        }
    }
    Escapes::Done
}

/// What a one-letter escape stands for.
pub fn simple(escape: u8) -> Option<u8> {
    Some(match escape {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        _ => return None,
    })
}

/// Takes up to `limit` octal digits off `text` and appends the byte that they name.
pub fn octal<'a>(text: &'a [u8], limit: usize, output: &mut Vec<u8>) -> &'a [u8] {
    let digits = text
        .iter()
        .take(limit)
        .take_while(|byte| (b'0'..=b'7').contains(byte))
        .count();
    let value = text[..digits]
        .iter()
        .fold(0u32, |value, byte| value * 8 + u32::from(byte - b'0'));
    output.push(value as u8);
    &text[digits..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> String {
        let args: Vec<_> = args.iter().map(|arg| arg.to_string()).collect();
        String::from_utf8(echo(&args)).unwrap()
    }

    #[test]
    fn only_a_leading_n_is_an_option() {
        assert_eq!(run(&["-n", "a", "-n"]), "a -n");
        assert_eq!(run(&["-e", "a"]), "-e a\n");
    }

    #[test]
    fn escapes_are_interpreted() {
        assert_eq!(run(&["a\\tb\\0101\\101\\q\\"]), "a\tbAA\\q\\\n");
        assert_eq!(run(&["a\\cb", "c"]), "a");
    }
}
