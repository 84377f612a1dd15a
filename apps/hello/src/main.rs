//! An ordinary Rust program, linked into the image as it is: see `apps/README.md`.

use std::env;
use std::fs;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;

const USAGE: &str = "usage: hello [NAME]...        greet
       hello --env [VARIABLE]  show the environment, or one variable
       hello --number FILE     show a file with line numbers
       hello --copy FROM TO    copy a file
       hello --panic           panic: a message and exit status 101";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["--help"] => writeln!(io::stdout(), "{USAGE}"),
        ["--panic"] => panic!("asked for"),
        ["--env"] => env::vars().try_for_each(|(k, v)| writeln!(io::stdout(), "{k}={v}")),
        ["--env", name] => match env::var(name) {
            Ok(value) => writeln!(io::stdout(), "{value}"),
            Err(error) => {
                eprintln!("hello: {name}: {error}");
                return ExitCode::FAILURE;
            }
        },
        ["--number", path] => number(path),
        ["--copy", from, to] => fs::copy(from, to).map(drop),
        [first, ..] if first.starts_with('-') => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
        [] => writeln!(io::stdout(), "Hello, world!"),
        ref names => writeln!(io::stdout(), "Hello, {}!", names.join(" and ")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hello: {error}");
            ExitCode::FAILURE
        }
    }
}

fn number(path: &str) -> io::Result<()> {
    let file = io::BufReader::new(fs::File::open(path)?);
    let mut out = io::stdout().lock();
    for (n, line) in file.lines().enumerate() {
        writeln!(out, "{:6}\t{}", n + 1, line?)?;
    }
    Ok(())
}
