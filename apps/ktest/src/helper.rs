//! What this binary is when a test executes it: a program that tells what it was given.

use std::ffi::CString;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::os::fd::AsRawFd;
use std::process::ExitCode;

use crate::support::{c, pipe, set_of, wait};

/// First argument of the helper; a second one says what it is to do.
pub const SWITCH: &str = "--as-helper";

pub fn main(words: &[String]) -> ExitCode {
    let text = match words.first().map(String::as_str) {
        Some("arguments") => words[1..].iter().map(|word| format!("{word}\n")).collect(),
        Some("environment") => std::env::vars()
            .map(|(k, v)| format!("{k}={v}\n"))
            .collect(),
        Some("state") => state(),
        Some("exit") => {
            let status = words.get(1).and_then(|word| word.parse().ok());
            return ExitCode::from(status.unwrap_or(99));
        }
        Some("ready") => {
            println!();
            loop {
                sys!(pause());
            }
        }
        Some("sleep") => loop {
            sys!(pause());
        },
        _ => format!("unknown helper {words:?}\n"),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What exec(2) keeps and what it resets, one `name value` a line.
fn state() -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "{name} {value}").expect("a String");
    line("pid", std::process::id().to_string());
    line("tid", sys!(syscall(libc::SYS_gettid)).to_string());
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    line("threads", threads.to_string());
    line(
        "cwd",
        std::env::current_dir().map_or("?".into(), |d| d.display().to_string()),
    );
    let mask = sys!(umask(0));
    line("umask", format!("{mask:o}"));
    let open: Vec<String> = (3..100)
        .filter(|&fd| sys!(fcntl(fd, libc::F_GETFD)) != -1)
        .map(|fd| fd.to_string())
        .collect();
    line("open", open.join(","));
    let mut blocked = set_of(&[]);
    sys!(sigprocmask(libc::SIG_BLOCK, std::ptr::null(), &mut blocked));
    line(
        "blocked-usr1",
        sys!(sigismember(&blocked, libc::SIGUSR1)).to_string(),
    );
    for (name, signal) in [("usr1", libc::SIGUSR1), ("usr2", libc::SIGUSR2)] {
        let mut action: libc::sigaction = crate::support::zeroed();
        sys!(sigaction(signal, std::ptr::null(), &mut action));
        line(name, action.sa_sigaction.to_string());
    }
    let mut pending = set_of(&[]);
    sys!(sigpending(&mut pending));
    line(
        "pending-usr1",
        sys!(sigismember(&pending, libc::SIGUSR1)).to_string(),
    );
    line("alarm", sys!(alarm(0)).to_string());
    let (mut r, mut e, mut s) = (0, 0, 0);
    sys!(getresuid(&mut r, &mut e, &mut s));
    line("users", format!("{r},{e},{s}"));
    line("secure", sys!(getauxval(libc::AT_SECURE)).to_string());
    line("auxv-euid", sys!(getauxval(libc::AT_EUID)).to_string());
    let mut death = 0;
    sys!(prctl(libc::PR_GET_PDEATHSIG, &raw mut death));
    line("death-signal", death.to_string());
    text
}

/// This binary.
pub fn path() -> String {
    std::env::current_exe()
        .expect("/proc/self/exe")
        .display()
        .to_string()
}

/// C's form of a list of strings: the pointers are good as long as the owner lives.
pub struct Strings {
    _owner: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    pub fn new(words: &[&str]) -> Self {
        let owner: Vec<CString> = words.iter().map(|word| c(word)).collect();
        let pointers = owner
            .iter()
            .map(|word| word.as_ptr())
            .chain([std::ptr::null()])
            .collect();
        Self {
            _owner: owner,
            pointers,
        }
    }

    pub fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}

/// execve of `path`; returns only if that fails.
pub fn exec(path: &str, args: &[&str], env: &[&str]) -> i32 {
    let (args, env) = (Strings::new(args), Strings::new(env));
    sys!(execve(c(path).as_ptr(), args.as_ptr(), env.as_ptr()))
}

/// Becomes the helper.
pub fn become_helper(words: &[&str]) -> i32 {
    let path = path();
    let mut args = vec!["ktest", SWITCH];
    args.extend(words);
    exec(&path, &args, &["A=1"])
}

/// What a child writes to its standard output before it ends well.
#[track_caller]
pub fn output_of(body: impl FnOnce() -> i32) -> String {
    let (mut reader, writer) = pipe();
    let pid = crate::support::spawn(|| {
        sys!(dup2(writer.as_raw_fd(), 1));
        sys!(close(writer.as_raw_fd()));
        sys!(close(reader.as_raw_fd()));
        let status = body();
        if status == -1 { 99 } else { status }
    });
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("a pipe of text");
    let end = wait(pid);
    assert_eq!(
        end,
        crate::support::End::Exit(0),
        "the child that wrote {text:?}"
    );
    text
}
