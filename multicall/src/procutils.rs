//! The tools that read `/proc`: ps, top, free, pgrep and their kin.

use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

type Entry = fn(Vec<String>) -> ExitCode;

macro_rules! tools {
    ($($name:literal => $krate:ident $(, $rewrite:ident)?;)*) => {
        static TOOLS: &[(&str, Entry)] = &[$((
            $name,
            // `-SIGNAL` is no option to clap, so some tools rewrite their arguments first.
            |args| {
                $(let args = $krate::$rewrite(args);)?
                $krate::run($krate::Args::parse_from(args))
            },
        ),)*];
    };
}

tools! {
    "free" => procutils_free;
    "fuser" => procutils_fuser;
    "killall" => procutils_killall, preprocess_argv;
    "pgrep" => procutils_pgrep;
    "pkill" => procutils_pkill, preprocess_argv;
    "pmap" => procutils_pmap;
    "prtstat" => procutils_prtstat;
    "ps" => procutils_ps;
    "pstree" => procutils_pstree;
    "pwdx" => procutils_pwdx;
    "sysctl" => procutils_sysctl;
    "tload" => procutils_tload;
    "top" => procutils_top;
    "vmstat" => procutils_vmstat;
    "w" => procutils_w;
    "watch" => procutils_watch;
}

pub fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|(name, _)| *name)
}

/// Runs tool `name`, or gives `None` if there is none of that name.
pub fn run(name: &str, args: &[OsString]) -> Option<i32> {
    let (_, entry) = TOOLS.iter().find(|(tool, _)| *tool == name)?;
    // These tools take text: what is not UTF-8 cannot name a process, an option or a key.
    let mut args: Vec<String> = args
        .iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    if name == "ps"
        && let Some(letters) = args.get_mut(1)
        && !letters.is_empty()
        && letters
            .chars()
            .all(|letter| matches!(letter, 'a' | 'u' | 'x'))
    {
        // Its help says `ps aux`, and everybody types it, but it only takes `ps -aux`.
        letters.insert(0, '-');
    }
    Some(crate::status(entry(args)))
}
