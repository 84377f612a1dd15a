//! The command line: options, program text, operands.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::streams::{assignment, reason};

/// What the command line asks for.
#[derive(Default)]
pub struct Options {
    pub fs: Option<Vec<u8>>,
    pub assigns: Vec<(Vec<u8>, Vec<u8>)>,
    /// Program texts with their names, empty for the command line's.
    pub sources: Vec<(String, Vec<u8>)>,
    pub operands: Vec<Vec<u8>>,
}

/// The command line ends the run at once: text, whether it is an error, and the status.
pub struct Early {
    pub text: String,
    pub status: i32,
}

const USAGE: &str = "\
Usage: awk [POSIX or GNU style options] -f progfile [--] file ...
Usage: awk [POSIX or GNU style options] [--] 'program' file ...
POSIX options:          GNU long options:
    -f progfile         --file=progfile
    -F fs               --field-separator=fs
    -v var=val          --assign=var=val
Short options:          GNU long options:
    -e 'program-text'   --source='program-text'
    -h                  --help
    -V                  --version
";

fn error(text: impl Into<String>, status: i32) -> Early {
    Early {
        text: format!("awk: {}\n", text.into()),
        status,
    }
}

pub fn parse(args: Vec<OsString>) -> Result<Options, Early> {
    let mut options = Options::default();
    let mut args = args.into_iter().skip(1).map(OsString::into_vec).peekable();
    while let Some(arg) = args.next() {
        if arg == b"--" {
            break;
        }
        if arg.len() < 2 || arg[0] != b'-' {
            return finish(options, Some(arg), args.collect());
        }
        if let Some(long) = arg.strip_prefix(b"--") {
            let (name, inline) = match memchr::memchr(b'=', long) {
                Some(at) => (&long[..at], Some(long[at + 1..].to_vec())),
                None => (long, None),
            };
            let name = String::from_utf8_lossy(name).into_owned();
            let letter = long_option(&name)?;
            if let Some(letter) = letter {
                let takes = matches!(letter, b'f' | b'F' | b'v' | b'e');
                let value = if takes {
                    match inline.or_else(|| args.next()) {
                        Some(v) => v,
                        None => {
                            return Err(error(
                                format!("option '--{name}' requires an argument\n{USAGE}"),
                                1,
                            ));
                        }
                    }
                } else {
                    Vec::new()
                };
                apply(&mut options, letter, value)?;
            }
            continue;
        }
        let mut i = 1;
        while i < arg.len() {
            let letter = arg[i];
            i += 1;
            match letter {
                b'f' | b'F' | b'v' | b'e' => {
                    let value = if i < arg.len() {
                        arg[i..].to_vec()
                    } else {
                        args.next().ok_or_else(|| {
                            let c = char::from(letter);
                            error(format!("option requires an argument -- '{c}'\n{USAGE}"), 1)
                        })?
                    };
                    apply(&mut options, letter, value)?;
                    break;
                }
                b'h' | b'V' => apply(&mut options, letter, Vec::new())?,
                // Modes that change nothing here.
                b'b' | b'c' | b'O' | b'P' | b'r' | b's' | b't' | b'n' | b'N' => {}
                b'L' => break,
                other => {
                    let c = char::from(other);
                    return Err(error(format!("invalid option -- '{c}'\n{USAGE}"), 1));
                }
            }
        }
    }
    finish(options, None, args.collect())
}

fn long_option(name: &str) -> Result<Option<u8>, Early> {
    Ok(Some(match name {
        "file" => b'f',
        "field-separator" => b'F',
        "assign" => b'v',
        "source" => b'e',
        "help" => b'h',
        "version" => b'V',
        "characters-as-bytes"
        | "traditional"
        | "posix"
        | "re-interval"
        | "optimize"
        | "no-optimize"
        | "lint"
        | "lint-old"
        | "non-decimal-data"
        | "use-lc-numeric" => {
            return Ok(None);
        }
        _ => return Err(error(format!("unrecognized option '--{name}'\n{USAGE}"), 1)),
    }))
}

fn apply(options: &mut Options, letter: u8, value: Vec<u8>) -> Result<(), Early> {
    match letter {
        b'F' => {
            options.fs = Some(unescape_fs(&value));
        }
        b'v' => match assignment(&value) {
            Some((name, text)) => options.assigns.push((name.to_vec(), text.to_vec())),
            None if value.contains(&b'=') => {
                let name = value.split(|&b| b == b'=').next().unwrap_or_default();
                let shown = String::from_utf8_lossy(name);
                return Err(error(
                    format!("fatal: `{shown}' is not a legal variable name"),
                    2,
                ));
            }
            None => {
                let shown = String::from_utf8_lossy(&value);
                return Err(error(
                    format!("`{shown}' argument to `-v' not in `var=value' form\n\n{USAGE}"),
                    1,
                ));
            }
        },
        b'f' => {
            let shown = String::from_utf8_lossy(&value).into_owned();
            let text = read_source(&value).map_err(|e| {
                let why = reason(&e);
                error(
                    format!("fatal: cannot open source file `{shown}' for reading: {why}"),
                    2,
                )
            })?;
            options.sources.push((shown, text));
        }
        b'e' => options.sources.push((String::new(), value)),
        b'h' => {
            return Err(Early {
                text: USAGE.into(),
                status: 0,
            });
        }
        _ => {
            return Err(Early {
                text: format!("awk (RustOS) {}\n", env!("CARGO_PKG_VERSION")),
                status: 0,
            });
        }
    }
    Ok(())
}

/// Escapes of a separator: what they do not concern keeps its backslash for the regex.
fn unescape_fs(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut i = 0;
    while i < value.len() {
        if value[i] == b'\\' && i + 1 < value.len() {
            if let Some((byte, used)) = crate::lexer::simple_escape(&value[i + 1..]) {
                out.push(byte);
                i += 1 + used;
                continue;
            }
            if value[i + 1] == b'\\' {
                out.push(b'\\');
                i += 2;
                continue;
            }
        }
        out.push(value[i]);
        i += 1;
    }
    out
}

fn read_source(name: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if name == b"-" || name == b"/dev/stdin" {
        std::io::stdin().read_to_end(&mut text)?;
    } else {
        text = std::fs::read(std::ffi::OsStr::from_bytes(name))?;
    }
    Ok(text)
}

fn finish(
    mut options: Options,
    first: Option<Vec<u8>>,
    rest: Vec<Vec<u8>>,
) -> Result<Options, Early> {
    let mut operands: Vec<Vec<u8>> = first.into_iter().chain(rest).collect();
    if options.sources.is_empty() {
        if operands.is_empty() {
            return Err(Early {
                text: USAGE.into(),
                status: 1,
            });
        }
        options.sources.push((String::new(), operands.remove(0)));
    }
    options.operands = operands;
    Ok(options)
}
