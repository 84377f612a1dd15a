//! `diff`: what differs between two files or two trees, byte for byte as GNU diff says it.
//!
//! The comparison is Myers's algorithm with GNU's choices between equally short answers, which no
//! published crate makes; the rest is reading, choosing lines and printing.

mod header;
mod myers;
mod options;
mod output;
mod script;
mod text;
mod tree;

use std::ffi::OsString;
use std::io::{BufWriter, ErrorKind, Write};

/// Exit statuses of diff: the same, different, trouble.
pub const SAME: i32 = 0;
pub const DIFFERENT: i32 = 1;
pub const TROUBLE: i32 = 2;

/// Runs diff; `args` is the whole argument vector, the program's name first.
pub fn run(args: Vec<OsString>) -> i32 {
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let status = run_to(args.into_iter().skip(1).collect(), &mut out);
    match out.flush() {
        Ok(()) => status,
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => status,
        Err(error) => {
            eprintln!("diff: write failed: {}", header::errno_text(&error));
            TROUBLE
        }
    }
}

/// Runs diff on arguments without the program's name, writing to `out`.
pub fn run_to(args: Vec<OsString>, out: &mut dyn Write) -> i32 {
    match options::parse(args) {
        Ok(options::Request::Compare(options, first, second)) => {
            tree::compare_operands(&options, &first, &second, out)
        }
        Ok(options::Request::Print(text)) => match out.write_all(text.as_bytes()) {
            Ok(()) => SAME,
            Err(_) => TROUBLE,
        },
        Err(message) => {
            eprintln!("diff: {message}");
            eprintln!("diff: Try 'diff --help' for more information.");
            TROUBLE
        }
    }
}
