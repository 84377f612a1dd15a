//! `dmesg`: the kernel log.

use crate::args::{Program, Stop, errno_text};
use crate::kernel_log::{FACILITIES, LEVELS, Record, records};
use lexopt::{Arg, ValueExt};
use std::ffi::OsString;
use std::io::{self, Write};
use std::ptr;

const PROGRAM: Program = Program {
    name: "dmesg",
    help: "Usage: dmesg [OPTION]...
Show or control the kernel log.

  -C, --clear                 clear the log
  -c, --read-clear            show the log and clear it
  -D, --console-off           no messages on the console
  -E, --console-on            messages on the console again
  -n, --console-level LEVEL   messages up to LEVEL on the console
  -f, --facility LIST         only these facilities
  -k, --kernel                only messages of the kernel
  -l, --level LIST            only these levels
  -u, --userspace             only messages of programs
  -r, --raw                   the log as the kernel gives it
  -S, --syslog                read by syslog(2), as always
  -t, --notime                no time stamps
  -x, --decode                facility and level in words
  -d, --show-delta            the time since the message before

Levels: emerg alert crit err warn notice info debug
Facilities: kern user mail daemon auth syslog lpr news uucp cron authpriv ftp",
    usage_status: 1,
};

/// Where the log also is, for a kernel that has no syslog(2).
const LOG_FILE: &str = "/var/log/messages";

/// Actions of syslog(2).
mod action {
    pub const READ_ALL: libc::c_int = 3;
    pub const CLEAR: libc::c_int = 5;
    pub const CONSOLE_OFF: libc::c_int = 6;
    pub const CONSOLE_ON: libc::c_int = 7;
    pub const CONSOLE_LEVEL: libc::c_int = 8;
    pub const SIZE_BUFFER: libc::c_int = 10;
}

#[derive(Default)]
struct Options {
    control: Option<(libc::c_int, libc::c_int)>,
    clear_after: bool,
    levels: Option<Vec<u8>>,
    facilities: Option<Vec<u8>>,
    only_programs: bool,
    raw: bool,
    no_time: bool,
    decode: bool,
    delta: bool,
}

pub fn run(args: Vec<OsString>) -> i32 {
    match parse(args).and_then(|options| execute(&options)) {
        Ok(()) => 0,
        Err(Stop(status)) => status,
    }
}

fn parse(args: Vec<OsString>) -> Result<Options, Stop> {
    let mut options = Options::default();
    let mut parser = PROGRAM.parser(args);
    while let Some(arg) = parser.next().map_err(|e| PROGRAM.bad_value(e))? {
        match arg {
            Arg::Short('C') | Arg::Long("clear") => options.control = Some((action::CLEAR, 0)),
            Arg::Short('c') | Arg::Long("read-clear") => options.clear_after = true,
            Arg::Short('D') | Arg::Long("console-off") => {
                options.control = Some((action::CONSOLE_OFF, 0));
            }
            Arg::Short('E') | Arg::Long("console-on") => {
                options.control = Some((action::CONSOLE_ON, 0));
            }
            Arg::Short('n') | Arg::Long("console-level") => {
                let word = value(&mut parser)?;
                let level = console_level(&word)
                    .ok_or_else(|| PROGRAM.usage(format_args!("unknown level '{word}'")))?;
                options.control = Some((action::CONSOLE_LEVEL, level));
            }
            Arg::Short('l') | Arg::Long("level") => {
                options.levels = Some(list(&value(&mut parser)?, &LEVELS, "level")?);
            }
            Arg::Short('f') | Arg::Long("facility") => {
                options.facilities = Some(list(&value(&mut parser)?, &FACILITIES, "facility")?);
            }
            Arg::Short('k') | Arg::Long("kernel") => options.facilities = Some(vec![0]),
            Arg::Short('u') | Arg::Long("userspace") => options.only_programs = true,
            Arg::Short('r') | Arg::Long("raw") => options.raw = true,
            Arg::Short('t') | Arg::Long("notime") => options.no_time = true,
            Arg::Short('x') | Arg::Long("decode") => options.decode = true,
            Arg::Short('d') | Arg::Long("show-delta") => options.delta = true,
            // Asked for what happens anyway: syslog(2), no pager, no colour.
            Arg::Short('S' | 'P') | Arg::Long("syslog" | "nopager" | "force-prefix") => {}
            Arg::Short('L') | Arg::Long("color") => drop(parser.optional_value()),
            other => return Err(PROGRAM.leftover(other)),
        }
    }
    Ok(options)
}

fn value(parser: &mut lexopt::Parser) -> Result<String, Stop> {
    parser
        .value()
        .and_then(ValueExt::string)
        .map_err(|e| PROGRAM.bad_value(e))
}

/// `err`, or a number as syslog(2) counts: messages *below* it reach the console.
fn console_level(word: &str) -> Option<libc::c_int> {
    match LEVELS.iter().position(|level| *level == word) {
        Some(level) => Some(level as libc::c_int + 1),
        None => word.parse().ok().filter(|n| (1..=8).contains(n)),
    }
}

fn list(words: &str, names: &[&str], kind: &str) -> Result<Vec<u8>, Stop> {
    words
        .split(',')
        .map(|word| {
            names
                .iter()
                .position(|name| *name == word)
                .map(|at| at as u8)
                .ok_or_else(|| PROGRAM.usage(format_args!("unknown {kind} '{word}'")))
        })
        .collect()
}

fn execute(options: &Options) -> Result<(), Stop> {
    if let Some((what, argument)) = options.control {
        // SAFETY: these actions take no buffer.
        let result = unsafe { libc::klogctl(what, ptr::null_mut(), argument) };
        return if result < 0 {
            Err(failed("klogctl failed"))
        } else {
            Ok(())
        };
    }
    let log = read_log().map_err(|()| failed("read kernel buffer failed"))?;
    let text = format(&log, options);
    if let Err(error) = io::stdout().write_all(&text) {
        PROGRAM.error(format_args!("write failed: {}", errno_text(&error)));
        return Err(Stop(1));
    }
    if options.clear_after {
        // SAFETY: CLEAR takes no buffer.
        let result = unsafe { libc::klogctl(action::CLEAR, ptr::null_mut(), 0) };
        if result < 0 {
            return Err(failed("klogctl failed"));
        }
    }
    Ok(())
}

/// Reports errno; must come right after the call that set it.
fn failed(what: &str) -> Stop {
    let error = io::Error::last_os_error();
    PROGRAM.error(format_args!("{what}: {}", errno_text(&error)));
    Stop(1)
}

/// The whole log; on an error errno says which.
fn read_log() -> Result<Vec<u8>, ()> {
    // SAFETY: SIZE_BUFFER takes no buffer.
    let size = unsafe { libc::klogctl(action::SIZE_BUFFER, ptr::null_mut(), 0) };
    let mut log = vec![0u8; usize::try_from(size).unwrap_or(1 << 18).max(4096)];
    let room = libc::c_int::try_from(log.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the buffer is writable for `room` bytes.
    let length = unsafe { libc::klogctl(action::READ_ALL, log.as_mut_ptr().cast(), room) };
    if let Ok(length) = usize::try_from(length) {
        log.truncate(length);
        return Ok(log);
    }
    if io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
        return std::fs::read(LOG_FILE).map_err(drop);
    }
    Err(())
}

fn format(log: &[u8], options: &Options) -> Vec<u8> {
    let mut out = Vec::with_capacity(log.len());
    let mut before = 0;
    for record in records(log) {
        if !wanted(&record, options) {
            continue;
        }
        if options.raw {
            let priority = u32::from(record.facility) * 8 + u32::from(record.level);
            out.extend_from_slice(format!("<{priority}>").as_bytes());
        } else if options.decode {
            let facility = FACILITIES.get(usize::from(record.facility)).unwrap_or(&"?");
            let level = LEVELS[usize::from(record.level)];
            out.extend_from_slice(format!("{facility:<6}:{level:<6}: ").as_bytes());
        }
        if let Some(micros) = record.micros
            && (options.raw || !options.no_time)
        {
            let text = if options.delta && !options.raw {
                let delta = stamp(micros.saturating_sub(before));
                format!("[{} <{delta}>] ", stamp(micros))
            } else {
                format!("[{}] ", stamp(micros))
            };
            out.extend_from_slice(text.as_bytes());
            before = micros;
        }
        out.extend_from_slice(record.text);
        out.push(b'\n');
    }
    out
}

fn wanted(record: &Record<'_>, options: &Options) -> bool {
    let listed = |list: &Option<Vec<u8>>, value| list.as_ref().is_none_or(|l| l.contains(&value));
    listed(&options.levels, record.level)
        && listed(&options.facilities, record.facility)
        && !(options.only_programs && record.facility == 0)
}

fn stamp(micros: u64) -> String {
    format!("{:5}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &[u8] =
        b"<6>[    0.000000] Booting\n<4>[    1.500000] odd\n<30>[   12.000001] daemon: hi\n";

    fn shown(args: &[&str]) -> String {
        let options = parse(args.iter().map(OsString::from).collect()).unwrap();
        String::from_utf8(format(LOG, &options)).unwrap()
    }

    #[test]
    fn plain_output_has_no_priorities() {
        assert_eq!(
            shown(&[]),
            "[    0.000000] Booting\n[    1.500000] odd\n[   12.000001] daemon: hi\n"
        );
    }

    #[test]
    fn raw_output_is_the_kernels() {
        assert_eq!(shown(&["-r"]).as_bytes(), LOG);
    }

    #[test]
    fn levels_and_facilities_select() {
        assert_eq!(shown(&["-l", "warn,err"]), "[    1.500000] odd\n");
        assert_eq!(shown(&["-t", "-u"]), "daemon: hi\n");
        assert_eq!(shown(&["-t", "-k"]), "Booting\nodd\n");
        assert_eq!(shown(&["-t", "-f", "daemon"]), "daemon: hi\n");
    }

    #[test]
    fn decoded_words_are_padded() {
        assert_eq!(
            shown(&["-x", "-t", "-f", "daemon"]),
            "daemon:info  : daemon: hi\n"
        );
        assert_eq!(shown(&["-x", "-t", "-l", "warn"]), "kern  :warn  : odd\n");
    }

    #[test]
    fn deltas_are_to_the_message_before() {
        assert_eq!(
            shown(&["-d", "-l", "warn"]),
            "[    1.500000 <    1.500000>] odd\n"
        );
    }

    #[test]
    fn console_levels_are_one_above() {
        assert_eq!(console_level("err"), Some(4));
        assert_eq!(console_level("1"), Some(1));
        assert_eq!(console_level("9"), None);
    }
}
