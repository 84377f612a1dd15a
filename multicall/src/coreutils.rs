//! The utilities of uutils coreutils, and the `coreutils NAME` form of calling them.
//!
//! Mirrors what the `main` of the coreutils crate does around each utility: the messages are
//! localised under the utility's own name first, or `--help` prints message ids.

use std::ffi::OsString;
use std::io::Write as _;

type Args = std::vec::IntoIter<OsString>;
type Entry = fn(Args) -> i32;

/// The version of the crates that `--version` reports.
const VERSION: &str = "0.12.0";

macro_rules! utilities {
    ($($name:literal => $krate:ident,)*) => {
        /// Every utility by name, sorted.
        static UTILITIES: &[(&str, Entry)] = &[$(($name, |args| $krate::uumain(args)),)*];
    };
}

utilities! {
    "[" => uu_test,
    "arch" => uu_arch,
    "b2sum" => uu_b2sum,
    "base32" => uu_base32,
    "base64" => uu_base64,
    "basename" => uu_basename,
    "basenc" => uu_basenc,
    "cat" => uu_cat,
    "chgrp" => uu_chgrp,
    "chmod" => uu_chmod,
    "chown" => uu_chown,
    "chroot" => uu_chroot,
    "cksum" => uu_cksum,
    "comm" => uu_comm,
    "cp" => uu_cp,
    "csplit" => uu_csplit,
    "cut" => uu_cut,
    "date" => uu_date,
    "dd" => uu_dd,
    "df" => uu_df,
    "dir" => uu_dir,
    "dircolors" => uu_dircolors,
    "dirname" => uu_dirname,
    "du" => uu_du,
    "echo" => uu_echo,
    "env" => uu_env,
    "expand" => uu_expand,
    "expr" => uu_expr,
    "factor" => uu_factor,
    "false" => uu_false,
    "fmt" => uu_fmt,
    "fold" => uu_fold,
    "groups" => uu_groups,
    "head" => uu_head,
    "hostid" => uu_hostid,
    "hostname" => uu_hostname,
    "id" => uu_id,
    "install" => uu_install,
    "join" => uu_join,
    "kill" => uu_kill,
    "link" => uu_link,
    "ln" => uu_ln,
    "logname" => uu_logname,
    "ls" => uu_ls,
    "md5sum" => uu_md5sum,
    "mkdir" => uu_mkdir,
    "mkfifo" => uu_mkfifo,
    "mknod" => uu_mknod,
    "mktemp" => uu_mktemp,
    "more" => uu_more,
    "mv" => uu_mv,
    "nice" => uu_nice,
    "nl" => uu_nl,
    "nohup" => uu_nohup,
    "nproc" => uu_nproc,
    "numfmt" => uu_numfmt,
    "od" => uu_od,
    "paste" => uu_paste,
    "pathchk" => uu_pathchk,
    "pinky" => uu_pinky,
    "pr" => uu_pr,
    "printenv" => uu_printenv,
    "printf" => uu_printf,
    "ptx" => uu_ptx,
    "pwd" => uu_pwd,
    "readlink" => uu_readlink,
    "realpath" => uu_realpath,
    "rm" => uu_rm,
    "rmdir" => uu_rmdir,
    "seq" => uu_seq,
    "sha1sum" => uu_sha1sum,
    "sha224sum" => uu_sha224sum,
    "sha256sum" => uu_sha256sum,
    "sha384sum" => uu_sha384sum,
    "sha512sum" => uu_sha512sum,
    "shred" => uu_shred,
    "shuf" => uu_shuf,
    "sleep" => uu_sleep,
    "sort" => uu_sort,
    "split" => uu_split,
    "stat" => uu_stat,
    "stty" => uu_stty,
    "sum" => uu_sum,
    "sync" => uu_sync,
    "tac" => uu_tac,
    "tail" => uu_tail,
    "tee" => uu_tee,
    "test" => uu_test,
    "timeout" => uu_timeout,
    "touch" => uu_touch,
    "tr" => uu_tr,
    "true" => uu_true,
    "truncate" => uu_truncate,
    "tsort" => uu_tsort,
    "tty" => uu_tty,
    "uname" => uu_uname,
    "unexpand" => uu_unexpand,
    "uniq" => uu_uniq,
    "unlink" => uu_unlink,
    "uptime" => uu_uptime,
    "users" => uu_users,
    "vdir" => uu_vdir,
    "wc" => uu_wc,
    "who" => uu_who,
    "whoami" => uu_whoami,
    "yes" => uu_yes,
}

pub fn names() -> impl Iterator<Item = &'static str> {
    UTILITIES.iter().map(|(name, _)| *name)
}

/// Runs utility `name`, or gives `None` if there is none of that name.
pub fn run(name: &str, args: Vec<OsString>) -> Option<i32> {
    let index = UTILITIES
        .binary_search_by_key(&name, |(name, _)| name)
        .ok()?;
    // Without arguments these two have nothing to say, and scripts call them often.
    let is_silent = matches!(name, "true" | "false") && args.len() < 2;
    if !is_silent {
        crate::localise(canonical(name));
    }
    Some((UTILITIES[index].1)(args.into_iter()))
}

/// `coreutils NAME args`, `coreutils --list`, `--version`, `--help`.
pub fn multicall(args: Vec<OsString>) -> i32 {
    let mut args = args.into_iter();
    let this = args.next();
    let this = this
        .as_deref()
        .map_or("coreutils".into(), |name| name.to_string_lossy());
    let this = crate::basename(&this);
    let Some(name) = args.next() else {
        eprintln!("coreutils: missing argument");
        return 1;
    };
    let text = name.to_string_lossy().into_owned();
    match text.as_str() {
        "--list" if args.next().is_some() => {
            eprintln!("coreutils: invalid argument");
            1
        }
        "--list" => print(&names().map(|name| format!("{name}\n")).collect::<String>()),
        "--version" | "-V" => print(&format!("coreutils {VERSION} (multi-call binary)\n")),
        "--help" | "-h" => print(&usage(this)),
        option if option.starts_with('-') => {
            eprintln!("{this}: unrecognized option '{option}'");
            1
        }
        util => {
            uucore::set_utility_is_second_arg();
            let args = std::iter::once(name).chain(args).collect();
            run(util, args).unwrap_or_else(|| {
                eprintln!("coreutils: unknown program '{util}'");
                1
            })
        }
    }
}

fn usage(name: &str) -> String {
    let mut text = format!(
        "{name} {VERSION} (multi-call binary)\n\n\
         Usage: {name} [function [arguments...]]\n       {name} --list\n\n\
         Options:\n      --list    lists all defined functions, one per row\n\n\
         Currently defined functions:\n\n"
    );
    let mut line = String::from("   ");
    let last = UTILITIES.len() - 1;
    for (index, name) in names().enumerate() {
        if line.len() + name.len() > 74 {
            text.push_str(line.trim_end());
            text.push('\n');
            line = String::from("   ");
        }
        line.push(' ');
        line.push_str(name);
        if index != last {
            line.push(',');
        }
    }
    text + &line + "\n"
}

fn print(text: &str) -> i32 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("coreutils: {error}");
            1
        }
        _ => 0,
    }
}

/// Whose messages a name uses: some utilities are another one under a second name.
fn canonical(name: &str) -> &str {
    match name {
        "[" => "test",
        "dir" | "vdir" => "ls",
        _ => name,
    }
}
