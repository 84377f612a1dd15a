//! `test` and `[`. Up to four arguments are read by POSIX's table of how many there are; more by
//! precedence: `!`, `-a`, `-o`, with parentheses.

use super::{fail, values};
use crate::System;
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use yash_env::Env;
use yash_env::builtin::Result as Outcome;
use yash_env::semantics::{ExitStatus, Field};

pub async fn main(env: &mut Env<System>, args: Vec<Field>) -> Outcome {
    finish(env, "test", &values(args)).await
}

pub async fn bracket(env: &mut Env<System>, args: Vec<Field>) -> Outcome {
    let mut args = values(args);
    if args.pop().as_deref() != Some("]") {
        return fail(env, "[", "missing ]", 2).await;
    }
    finish(env, "[", &args).await
}

async fn finish(env: &mut Env<System>, name: &str, args: &[String]) -> Outcome {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match evaluate(&args) {
        Ok(truth) => Outcome::new(ExitStatus(i32::from(!truth))),
        Err(message) => fail(env, name, &message, 2).await,
    }
}

type Truth = Result<bool, String>;

fn evaluate(args: &[&str]) -> Truth {
    match args {
        [] => Ok(false),
        [word] => Ok(!word.is_empty()),
        ["!", word] => Ok(word.is_empty()),
        [operator, word] => {
            unary(operator, word).unwrap_or_else(|| Err(format!("{operator}: unexpected operator")))
        }
        [left, operator, right] if is_binary(operator) => binary(left, operator, right),
        ["!", rest @ ..] if rest.len() <= 3 => evaluate(rest).map(|truth| !truth),
        ["(", word, ")"] => Ok(!word.is_empty()),
        ["(", inner @ .., ")"] if inner.len() == 2 => evaluate(inner),
        _ => {
            let mut parser = Parser { args };
            let truth = parser.or()?;
            match parser.args {
                [] => Ok(truth),
                [extra, ..] => Err(format!("{extra}: unexpected operator")),
            }
        }
    }
}

/// Recursive descent over what is left of the arguments.
struct Parser<'a> {
    args: &'a [&'a str],
}

impl Parser<'_> {
    fn or(&mut self) -> Truth {
        let mut truth = self.and()?;
        while let ["-o", rest @ ..] = self.args {
            self.args = rest;
            truth |= self.and()?;
        }
        Ok(truth)
    }

    fn and(&mut self) -> Truth {
        let mut truth = self.not()?;
        while let ["-a", rest @ ..] = self.args {
            self.args = rest;
            truth &= self.not()?;
        }
        Ok(truth)
    }

    fn not(&mut self) -> Truth {
        match self.args {
            ["!", rest @ ..]
                if !rest.is_empty() && !matches!(rest, [op, _, ..] if is_binary(op)) =>
            {
                self.args = rest;
                self.not().map(|truth| !truth)
            }
            _ => self.primary(),
        }
    }

    fn primary(&mut self) -> Truth {
        match self.args {
            [] => Err("argument expected".to_owned()),
            [left, operator, right, rest @ ..] if is_binary(operator) => {
                self.args = rest;
                binary(left, operator, right)
            }
            ["(", rest @ ..] if !rest.is_empty() => {
                self.args = rest;
                let truth = self.or()?;
                let [")", rest @ ..] = self.args else {
                    return Err("closing paren expected".to_owned());
                };
                self.args = rest;
                Ok(truth)
            }
            [operator, word, rest @ ..] => {
                if let Some(truth) = unary(operator, word) {
                    self.args = rest;
                    truth
                } else {
                    self.args = &self.args[1..];
                    Ok(!operator.is_empty())
                }
            }
            [word] => {
                self.args = &[];
                Ok(!word.is_empty())
            }
        }
    }
}

/// The truth of a unary primary, or `None` if `operator` is none.
fn unary(operator: &str, word: &str) -> Option<Truth> {
    let file = || fs::metadata(word);
    let kind = |test: fn(fs::FileType) -> bool| file().is_ok_and(|file| test(file.file_type()));
    let mode = |bit: u32| file().is_ok_and(|file| file.mode() & bit != 0);
    // SAFETY: these calls take no pointer.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    Some(Ok(match operator {
        "-b" => kind(|kind| kind.is_block_device()),
        "-c" => kind(|kind| kind.is_char_device()),
        "-d" => kind(|kind| kind.is_dir()),
        "-e" => file().is_ok(),
        "-f" => kind(|kind| kind.is_file()),
        "-g" => mode(libc::S_ISGID),
        "-G" => file().is_ok_and(|file| file.gid() == gid),
        "-h" | "-L" => fs::symlink_metadata(word).is_ok_and(|file| file.is_symlink()),
        "-k" => mode(libc::S_ISVTX),
        "-n" => !word.is_empty(),
        "-O" => file().is_ok_and(|file| file.uid() == uid),
        "-p" => kind(|kind| kind.is_fifo()),
        "-r" => access(word, libc::R_OK),
        "-s" => file().is_ok_and(|file| file.len() > 0),
        "-S" => kind(|kind| kind.is_socket()),
        "-t" => match integer(word) {
            // SAFETY: the call takes no pointer.
            Ok(fd) => i32::try_from(fd).is_ok_and(|fd| unsafe { libc::isatty(fd) } == 1),
            Err(message) => return Some(Err(message)),
        },
        "-u" => mode(libc::S_ISUID),
        "-w" => access(word, libc::W_OK),
        "-x" => access(word, libc::X_OK),
        "-z" => word.is_empty(),
        _ => return None,
    }))
}

/// Whether the effective user may use the file.
fn access(path: &str, mode: i32) -> bool {
    let Ok(path) = CString::new(path) else {
        return false;
    };
    // SAFETY: the path is a C string.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), mode, libc::AT_EACCESS) == 0 }
}

fn is_binary(operator: &str) -> bool {
    matches!(
        operator,
        "=" | "=="
            | "!="
            | "<"
            | ">"
            | "-eq"
            | "-ne"
            | "-gt"
            | "-ge"
            | "-lt"
            | "-le"
            | "-nt"
            | "-ot"
            | "-ef"
    )
}

fn binary(left: &str, operator: &str, right: &str) -> Truth {
    let modified = |path| fs::metadata(path).and_then(|file| file.modified()).ok();
    Ok(match operator {
        "=" | "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        ">" => left > right,
        "-nt" => modified(left) > modified(right),
        "-ot" => modified(left) < modified(right),
        "-ef" => match (fs::metadata(left), fs::metadata(right)) {
            (Ok(left), Ok(right)) => left.dev() == right.dev() && left.ino() == right.ino(),
            _ => false,
        },
        _ => {
            let (left, right) = (integer(left)?, integer(right)?);
            match operator {
                "-eq" => left == right,
                "-ne" => left != right,
                "-gt" => left > right,
                "-ge" => left >= right,
                "-lt" => left < right,
                _ => left <= right,
            }
        }
    })
}

fn integer(word: &str) -> Result<i64, String> {
    let digits = word.trim_matches([' ', '\t', '\n']);
    digits
        .parse()
        .map_err(|error: std::num::ParseIntError| match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                format!("{word}: out of range")
            }
            _ => format!("Illegal number: {word}"),
        })
}

#[cfg(test)]
mod tests {
    use super::evaluate;

    #[test]
    fn the_number_of_arguments_decides_what_is_an_operator() {
        assert_eq!(evaluate(&[]), Ok(false));
        assert_eq!(evaluate(&["-f"]), Ok(true));
        assert_eq!(evaluate(&["!", ""]), Ok(true));
        assert_eq!(evaluate(&["!", "=", "!"]), Ok(true));
        assert_eq!(evaluate(&["(", "=", ")"]), Ok(false));
        assert_eq!(evaluate(&["!", "a", "=", "a"]), Ok(false));
        assert_eq!(evaluate(&["(", "-n", "", ")"]), Ok(false));
        assert!(evaluate(&["-q", "a"]).is_err());
        assert!(evaluate(&["1", "-eq", "x"]).is_err());
    }

    #[test]
    fn longer_expressions_follow_precedence() {
        assert_eq!(evaluate(&["a", "=", "b", "-o", "1", "-lt", "2"]), Ok(true));
        assert_eq!(evaluate(&["a", "-o", "b", "-a", ""]), Ok(true));
        assert_eq!(evaluate(&["(", "a", "-o", "b", ")", "-a", ""]), Ok(false));
        assert_eq!(evaluate(&["!", "a", "=", "b", "-a", "-n", "c"]), Ok(true));
        assert!(evaluate(&["(", "a", "=", "b", "-a", "c"]).is_err());
    }
}
