//! What this binary is when a step executes it: a small program with an exact ending.

use std::io::{Read, Write};
use std::process::ExitCode;

pub const SWITCH: &str = "--as-child";

pub fn main(words: &[String]) -> ExitCode {
    match (words.first().map(String::as_str), words.get(1)) {
        (Some("exit"), Some(status)) => ExitCode::from(status.parse().unwrap_or(99)),
        (Some("copy"), _) => copy(),
        (Some("allocate"), Some(bytes)) => {
            let block = vec![7u8; bytes.parse().unwrap_or(1)];
            ExitCode::from(u8::from(
                std::hint::black_box(&block).iter().any(|&b| b != 7),
            ))
        }
        (Some("sleep"), _) => loop {
            sys!(pause());
        },
        _ => ExitCode::from(98),
    }
}

/// Standard input to standard output.
fn copy() -> ExitCode {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut buffer = [0; 5000];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return ExitCode::SUCCESS,
            Ok(count) if output.write_all(&buffer[..count]).is_ok() => {}
            _ => return ExitCode::from(97),
        }
    }
}
