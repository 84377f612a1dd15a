//! What xtask itself prints. `println!` panics where the reader has gone away or the disk is full, and
//! the status would be the panic's.

use std::{
    fmt::Arguments,
    io::{self, ErrorKind, Write},
    process,
};

/// 128 + SIGPIPE: what a command gets whose reader went away.
pub const STATUS_PIPE: u8 = 141;

/// A line on stdout.
macro_rules! say {
    ($($word:tt)*) => { $crate::out::stdout(format_args!($($word)*)) };
}
/// A line on stderr.
macro_rules! note {
    ($($word:tt)*) => { $crate::out::stderr(format_args!($($word)*)) };
}

/// Ends xtask where stdout takes no more: whatever follows would be for nobody. QEMU ends with xtask.
pub fn stdout(line: Arguments) {
    if let Err(error) = write_line(line) {
        process::exit(lost(&error).into());
    }
}

/// What a guest said, to stdout; ends xtask as above.
pub fn pass_on(bytes: &[u8]) {
    let mut stdout = io::stdout();
    if let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        process::exit(lost(&error).into());
    }
}

/// Says so, unless the reader just had enough; returns the status that this comes to.
fn lost(error: &io::Error) -> u8 {
    if error.kind() == ErrorKind::BrokenPipe {
        return STATUS_PIPE;
    }
    note!("xtask: cannot write to stdout: {error}");
    1
}

/// Losing stderr is no reason to stop.
pub fn stderr(line: Arguments) {
    write_complaint(line).ok();
}

#[cfg(not(test))]
fn write_line(line: Arguments) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

#[cfg(not(test))]
fn write_complaint(line: Arguments) -> io::Result<()> {
    writeln!(io::stderr(), "{line}")
}

/// The harness of the tests keeps what the standard macros say to itself.
#[cfg(test)]
#[expect(clippy::print_stdout)]
fn write_line(line: Arguments) -> io::Result<()> {
    println!("{line}");
    Ok(())
}

#[cfg(test)]
#[expect(clippy::print_stderr)]
fn write_complaint(line: Arguments) -> io::Result<()> {
    eprintln!("{line}");
    Ok(())
}
