//! `clear`: an empty terminal screen, cursor at its top.
//!
//! Every terminal that one meets today answers to ECMA-48, so there is no terminfo here.

use crate::args::Program;
use lexopt::Arg;
use std::ffi::OsString;
use std::io::{self, Write};

const PROGRAM: Program = Program {
    name: "clear",
    help: "Usage: clear [-x] [-T TERM]
Clear the terminal screen and, without -x, its scrollback buffer.",
    usage_status: 1,
};

/// Cursor home, erase the display.
const SCREEN: &[u8] = b"\x1b[H\x1b[2J";
/// xterm's extension: erase the lines that have scrolled off.
const SCROLLBACK: &[u8] = b"\x1b[3J";

pub fn run(args: Vec<OsString>) -> i32 {
    let mut parser = PROGRAM.parser(args);
    let mut keep_scrollback = false;
    loop {
        match parser.next() {
            Ok(None) => break,
            Ok(Some(Arg::Short('x'))) => keep_scrollback = true,
            Ok(Some(Arg::Short('T'))) => {
                if let Err(error) = parser.value() {
                    return PROGRAM.bad_value(error).0;
                }
            }
            Ok(Some(other)) => return PROGRAM.leftover(other).0,
            Err(error) => return PROGRAM.bad_value(error).0,
        }
    }
    let mut bytes = SCREEN.to_vec();
    if !keep_scrollback {
        bytes.extend_from_slice(SCROLLBACK);
    }
    match io::stdout()
        .write_all(&bytes)
        .and_then(|()| io::stdout().flush())
    {
        Ok(()) => 0,
        Err(error) => {
            PROGRAM.error(error);
            1
        }
    }
}
