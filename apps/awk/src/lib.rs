//! POSIX awk with gawk's everyday extensions.
//!
//! A program goes through `lexer` and `parser` to a resolved tree (`ast`), which `interp` and
//! `eval` walk. Regular expressions have POSIX leftmost-longest semantics (`ere`, `regex`).
//! Standard: IEEE Std 1003.1, XCU awk; extensions as the gawk manual has them.

mod array;
mod ast;
mod builtins;
mod cli;
mod ere;
mod eval;
mod format;
mod input;
mod interp;
mod lexer;
mod lvalue;
mod number;
mod output;
mod parse_expr;
mod parse_stmt;
mod parser;
mod record;
mod regex;
mod sort;
mod source;
mod str;
mod streams;
mod subst;
mod time;
mod value;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use ast::special;
use interp::{Interp, Stop};
use output::Out;
use source::Sources;
use str::Str;
use value::Value;

/// Runs awk with `args`, the program's name first; returns its exit status.
pub fn run(args: Vec<OsString>) -> i32 {
    let options = match cli::parse(args) {
        Ok(options) => options,
        Err(early) => {
            if early.status == 0 {
                print!("{}", early.text);
            } else {
                eprint!("{}", early.text);
            }
            return early.status;
        }
    };
    let sources = Sources::new(&options.sources);
    let (warnings, parsed) = parser::parse(&sources.text);
    for (at, message) in warnings {
        eprintln!("awk: {}{message}", sources.place_of_offset(at));
    }
    let mut prog = match parsed {
        Ok(prog) => prog,
        Err(e) => {
            eprint!("{}", sources.explain(&e));
            return if e.message.starts_with("fatal: ") {
                2
            } else {
                1
            };
        }
    };
    prog.sources = sources;
    let stdout = match Out::stdout() {
        Ok(out) => out,
        Err(e) => {
            eprintln!("awk: fatal: no standard output: {}", streams::reason(&e));
            return 2;
        }
    };
    let mut interp = Interp::new(&prog, stdout);
    let result = match set_up(&mut interp, options) {
        Ok(()) => interp.run(),
        Err(Stop::Fatal(message)) => Err(message.0),
        Err(_) => Ok(0),
    };
    let place = interp.place();
    let closed = interp.close_all();
    let failure = match (result, closed) {
        (Ok(code), Ok(())) => return if code == 0 { interp.exit_code } else { code },
        (Err(message), _) | (Ok(_), Err(message)) => message,
    };
    if failure.is_empty() {
        // The reader of the standard output went away.
        return interp.exit_code;
    }
    eprintln!("awk: {place}fatal: {failure}");
    2
}

fn set_up(interp: &mut Interp, options: cli::Options) -> Result<(), Stop> {
    let environ = std::env::vars_os()
        .map(|(k, v)| (k.into_vec(), Value::Input(Str::from_vec(v.into_vec()))))
        .collect();
    interp.fill_array(special::ENVIRON, environ);
    let argc = options.operands.len() + 1;
    let mut argv = vec![(b"0".to_vec(), Value::str(b"awk"))];
    for (i, operand) in options.operands.into_iter().enumerate() {
        let value = Value::Input(Str::from_vec(operand));
        argv.push(((i + 1).to_string().into_bytes(), value));
    }
    interp.fill_array(special::ARGV, argv);
    interp.globals[special::ARGC as usize] = Value::Num(argc as f64);
    let pid = f64::from(std::process::id());
    let procinfo = vec![
        (b"version".to_vec(), Value::str(b"5.2.1")),
        (b"pid".to_vec(), Value::Num(pid)),
        (b"platform".to_vec(), Value::str(b"posix")),
        (b"FS".to_vec(), Value::str(b"FS")),
    ];
    interp.fill_array(special::PROCINFO, procinfo);
    for (name, value) in options.assigns {
        interp.assign_operand(&name, &value)?;
    }
    if let Some(fs) = options.fs {
        interp.set_special(special::FS, Value::Str(Str::from_vec(fs)))?;
    }
    Ok(())
}
