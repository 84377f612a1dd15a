//! Tools that are not part of coreutils: grep, sed, find, xargs, cmp and the editor.

use std::ffi::OsString;

pub const NAMES: &[&str] = &[
    "cmp", "egrep", "fgrep", "find", "grep", "kibi", "sed", "vi", "xargs",
];

/// Runs tool `name`, or gives `None` if there is none of that name.
pub fn run(name: &str, args: Vec<OsString>) -> Option<i32> {
    Some(match name {
        "grep" | "egrep" | "fgrep" => {
            // The uucore that grep is built with keeps messages of its own.
            if let Err(error) = uucore_grep::locale::setup_localization("grep") {
                eprintln!("{name}: cannot load messages: {error}");
                return Some(99);
            }
            uu_grep::uumain(with_mode(name, args).into_iter())
        }
        "sed" => {
            crate::localise("sed");
            sed::sed::uumain(args.into_iter())
        }
        "find" => with_text(&args, |args| {
            findutils::find::find_main(args, &findutils::find::StandardDependencies::new())
        }),
        "xargs" => with_text(&args, findutils::xargs::xargs_main),
        "cmp" => crate::status(diffutilslib::cmp::main(std::env::args_os().peekable())),
        "kibi" | "vi" => edit(&args),
        _ => return None,
    })
}

/// `egrep` is `grep -E` and `fgrep` is `grep -F`, without the warning of newer GNU versions.
fn with_mode(name: &str, mut args: Vec<OsString>) -> Vec<OsString> {
    match name {
        "egrep" => args.insert(1, "-E".into()),
        "fgrep" => args.insert(1, "-F".into()),
        _ => {}
    }
    args
}

/// findutils takes `str` arguments; one that is not UTF-8 is refused by name.
fn with_text(args: &[OsString], main: impl Fn(&[&str]) -> i32) -> i32 {
    let mut text = Vec::with_capacity(args.len());
    for arg in args {
        let Some(arg) = arg.to_str() else {
            let name = crate::basename(text.first().copied().unwrap_or("find"));
            eprintln!(
                "{name}: invalid (non-UTF-8) argument: {}",
                arg.to_string_lossy()
            );
            return 1;
        };
        text.push(arg);
    }
    main(&text)
}

fn edit(args: &[OsString]) -> i32 {
    let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let file = match &args[1..] {
        [] => None,
        [option] if option == "--version" => {
            println!("kibi 0.3.3");
            return 0;
        }
        [option, ..] if option.starts_with('-') && option != "--" => {
            eprintln!("kibi: unknown option {option}\nUsage: kibi [FILE]");
            return 2;
        }
        [dashes, file] | [file, dashes] if dashes == "--" => Some(&**file),
        [file] => Some(&**file),
        _ => {
            eprintln!("kibi: too many arguments\nUsage: kibi [FILE]");
            return 2;
        }
    };
    let run = || kibi::run(file, &mut kibi::stdin()?);
    match run() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("kibi: {error:?}");
            1
        }
    }
}
