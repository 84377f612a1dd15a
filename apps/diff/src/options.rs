//! The command line.

use lexopt::{Arg, Parser, ValueExt};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// How differences are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Normal,
    Unified(usize),
    Context(usize),
}

/// Which white space does not count; each includes those before it but the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blanks {
    Count,
    TrailingIgnored,
    AmountIgnored,
    AllIgnored,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub style: Style,
    pub brief: bool,
    pub report_identical: bool,
    pub recursive: bool,
    pub new_file: bool,
    pub first_new_file: bool,
    pub blanks: Blanks,
    pub tab_expansion: bool,
    pub blank_lines: bool,
    pub case: bool,
    pub text: bool,
    pub strip_cr: bool,
    pub expand_tabs: bool,
    pub initial_tab: bool,
    pub labels: Vec<OsString>,
    pub exclude: Vec<Vec<u8>>,
    /// The options as they were given, shell-quoted, for the lines that announce a file of a tree.
    pub switches: Vec<u8>,
}

impl Options {
    /// True if lines that differ in bytes may count as equal.
    pub fn lenient(&self) -> bool {
        self.blanks != Blanks::Count || self.tab_expansion || self.case || self.strip_cr
    }
}

pub enum Request {
    Compare(Box<Options>, OsString, OsString),
    Print(String),
}

const LONG: &[&str] = &[
    "brief",
    "context",
    "unified",
    "normal",
    "report-identical-files",
    "recursive",
    "new-file",
    "unidirectional-new-file",
    "ignore-all-space",
    "ignore-space-change",
    "ignore-trailing-space",
    "ignore-tab-expansion",
    "ignore-blank-lines",
    "ignore-case",
    "text",
    "label",
    "minimal",
    "speed-large-files",
    "strip-trailing-cr",
    "expand-tabs",
    "initial-tab",
    "exclude",
    "color",
    "no-dereference",
    "no-ignore-file-name-case",
    "help",
    "version",
];

pub fn parse(args: Vec<OsString>) -> Result<Request, String> {
    let mut options = Options {
        style: Style::Normal,
        brief: false,
        report_identical: false,
        recursive: false,
        new_file: false,
        first_new_file: false,
        blanks: Blanks::Count,
        tab_expansion: false,
        blank_lines: false,
        case: false,
        text: false,
        strip_cr: false,
        expand_tabs: false,
        initial_tab: false,
        labels: Vec::new(),
        exclude: Vec::new(),
        switches: Vec::new(),
    };
    let mut style: Option<Style> = None;
    let mut lines: Option<usize> = None;
    let mut digits: Option<usize> = None;
    let mut operands = Vec::new();
    let mut parser = Parser::from_args(args.iter().cloned());
    while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
        let long;
        let arg = match arg {
            Arg::Long(name) => {
                long = full_name(name)?;
                Arg::Long(long)
            }
            other => other,
        };
        match arg {
            Arg::Short(digit @ '0'..='9') => {
                let value = digit as usize - '0' as usize;
                digits = Some(digits.unwrap_or(0).saturating_mul(10).saturating_add(value));
            }
            Arg::Short('q') | Arg::Long("brief") => options.brief = true,
            Arg::Short('s') | Arg::Long("report-identical-files") => {
                options.report_identical = true;
            }
            Arg::Short('r') | Arg::Long("recursive") => options.recursive = true,
            Arg::Short('N') | Arg::Long("new-file") => options.new_file = true,
            Arg::Short('P') | Arg::Long("unidirectional-new-file") => {
                options.first_new_file = true;
            }
            Arg::Short('w') | Arg::Long("ignore-all-space") => options.blanks = Blanks::AllIgnored,
            Arg::Short('b') | Arg::Long("ignore-space-change") => {
                options.blanks = options.blanks.max(Blanks::AmountIgnored);
            }
            Arg::Short('Z') | Arg::Long("ignore-trailing-space") => {
                options.blanks = options.blanks.max(Blanks::TrailingIgnored);
            }
            Arg::Short('E') | Arg::Long("ignore-tab-expansion") => options.tab_expansion = true,
            Arg::Short('B') | Arg::Long("ignore-blank-lines") => options.blank_lines = true,
            Arg::Short('i') | Arg::Long("ignore-case") => options.case = true,
            Arg::Short('a') | Arg::Long("text") => options.text = true,
            Arg::Short('t') | Arg::Long("expand-tabs") => options.expand_tabs = true,
            Arg::Short('T') | Arg::Long("initial-tab") => options.initial_tab = true,
            Arg::Long("strip-trailing-cr") => options.strip_cr = true,
            // Always minimal, always quick, never coloured.
            Arg::Short('d' | 'H') | Arg::Long("minimal" | "speed-large-files") => {}
            Arg::Long("color") => drop(parser.optional_value()),
            Arg::Long("no-dereference" | "no-ignore-file-name-case") => {}
            Arg::Short('L') | Arg::Long("label") => {
                options.labels.push(value(&mut parser)?);
                if options.labels.len() > 2 {
                    return Err("too many file label options".into());
                }
            }
            Arg::Short('x') | Arg::Long("exclude") => {
                options
                    .exclude
                    .push(value(&mut parser)?.as_bytes().to_vec());
            }
            Arg::Short('u') => choose(&mut style, Style::Unified(3))?,
            Arg::Short('c') => choose(&mut style, Style::Context(3))?,
            Arg::Long("normal") => choose(&mut style, Style::Normal)?,
            Arg::Short('U') => {
                choose(&mut style, Style::Unified(3))?;
                lines = Some(lines.unwrap_or(0).max(context(value(&mut parser)?)?));
            }
            Arg::Short('C') => {
                choose(&mut style, Style::Context(3))?;
                lines = Some(lines.unwrap_or(0).max(context(value(&mut parser)?)?));
            }
            Arg::Long(name @ ("unified" | "context")) => {
                let chosen = if name == "unified" {
                    Style::Unified(3)
                } else {
                    Style::Context(3)
                };
                choose(&mut style, chosen)?;
                if let Some(text) = parser.optional_value() {
                    lines = Some(lines.unwrap_or(0).max(context(text)?));
                }
            }
            Arg::Long("help") => return Ok(Request::Print(HELP.into())),
            Arg::Short('v') | Arg::Long("version") => {
                let version = env!("CARGO_PKG_VERSION");
                return Ok(Request::Print(format!("diff (RustOS) {version}\n")));
            }
            Arg::Value(operand) => operands.push(operand),
            Arg::Short(letter) => return Err(format!("invalid option -- '{letter}'")),
            Arg::Long(name) => return Err(format!("unrecognized option '--{name}'")),
        }
    }
    // The obsolete `-NUM` says how much context `-u` and `-c` show.
    let lines = lines.or(digits);
    options.style = match style.unwrap_or(Style::Normal) {
        Style::Unified(default) => Style::Unified(lines.unwrap_or(default)),
        Style::Context(default) => Style::Context(lines.unwrap_or(default)),
        Style::Normal => Style::Normal,
    };
    if operands.len() < 2 {
        let last = operands.last().or(args.last());
        return Err(match last {
            Some(last) => format!("missing operand after '{}'", last.display()),
            None => "missing operand after 'diff'".into(),
        });
    }
    if let Some(extra) = operands.get(2) {
        return Err(format!("extra operand '{}'", extra.display()));
    }
    options.switches = switches(&args, &operands);
    let second = operands.pop().unwrap_or_default();
    let first = operands.pop().unwrap_or_default();
    Ok(Request::Compare(Box::new(options), first, second))
}

/// Long options may be shortened as long as one of them is meant.
fn full_name(name: &str) -> Result<&'static str, String> {
    if let Some(exact) = LONG.iter().find(|long| **long == name) {
        return Ok(exact);
    }
    let mut meant = LONG.iter().filter(|long| long.starts_with(name));
    match (meant.next(), meant.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(format!("unrecognized option '--{name}'")),
        (Some(_), Some(_)) => Err(format!("option '--{name}' is ambiguous")),
    }
}

fn choose(style: &mut Option<Style>, new: Style) -> Result<(), String> {
    match style {
        Some(old) if *old != new => Err("conflicting output style options".into()),
        _ => {
            *style = Some(new);
            Ok(())
        }
    }
}

fn value(parser: &mut Parser) -> Result<OsString, String> {
    parser.value().map_err(|e| e.to_string())
}

fn context(text: OsString) -> Result<usize, String> {
    let shown = text.display().to_string();
    text.parse::<usize>()
        .map_err(|_| format!("invalid context length '{shown}'"))
}

/// Everything that is no operand, each quoted where a shell would need it.
fn switches(args: &[OsString], operands: &[OsString]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut operands = operands.iter().rev().peekable();
    let mut kept = Vec::new();
    for arg in args.iter().rev() {
        if operands.peek() == Some(&arg) {
            operands.next();
        } else {
            kept.push(arg);
        }
    }
    for arg in kept.into_iter().rev() {
        text.push(b' ');
        text.extend(shell_quoted(arg.as_bytes()));
    }
    text
}

/// As a shell would take it back: quoted only if it has to be.
pub fn shell_quoted(word: &[u8]) -> Vec<u8> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"%+,-./:@_{}]".contains(b) || *b >= 0x80;
    if !word.is_empty() && word.iter().all(plain) {
        return word.to_vec();
    }
    let mut quoted = vec![b'\''];
    for &byte in word {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

const HELP: &str = "Usage: diff [OPTION]... FILES
Compare FILES line by line.

      --normal                  output a normal diff (the default)
  -q, --brief                   report only when files differ
  -s, --report-identical-files  report when two files are the same
  -c, -C NUM, --context[=NUM]   output NUM (default 3) lines of copied context
  -u, -U NUM, --unified[=NUM]   output NUM (default 3) lines of unified context
  -L, --label LABEL             use LABEL instead of file name and timestamp
                                (can be repeated)
  -t, --expand-tabs             expand tabs to spaces in output
  -T, --initial-tab             make tabs line up by prepending a tab
  -r, --recursive               recursively compare any subdirectories found
  -N, --new-file                treat absent files as empty
  -P, --unidirectional-new-file treat absent first files as empty
  -x, --exclude=PAT             exclude files that match PAT
  -i, --ignore-case             ignore case differences in file contents
  -E, --ignore-tab-expansion    ignore changes due to tab expansion
  -Z, --ignore-trailing-space   ignore white space at line end
  -b, --ignore-space-change     ignore changes in the amount of white space
  -w, --ignore-all-space        ignore all white space
  -B, --ignore-blank-lines      ignore changes where lines are all blank
      --strip-trailing-cr       strip trailing carriage return on input
  -a, --text                    treat all files as text
  -d, --minimal                 try hard to find a smaller set of changes
      --help                    display this help and exit
  -v, --version                 output version information and exit

FILES are 'FILE1 FILE2' or 'DIR1 DIR2' or 'DIR FILE' or 'FILE DIR'.
If a FILE is '-', read standard input.
Exit status is 0 if inputs are the same, 1 if different, 2 if trouble.
";
