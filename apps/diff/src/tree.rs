//! Files and directories: what is compared with what.

use crate::header::{self, Time};
use crate::options::{Options, Style};
use crate::output::Page;
use crate::script::script;
use crate::text::{self, Text};
use crate::{DIFFERENT, SAME, TROUBLE};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::time::{SystemTime, UNIX_EPOCH};

/// One side of a comparison.
struct Side {
    name: OsString,
    /// `None` is a file that is not there and counts as empty.
    metadata: Option<Metadata>,
}

impl Side {
    fn is_dir(&self) -> bool {
        self.metadata.as_ref().is_some_and(Metadata::is_dir)
    }

    fn is_stdin(&self) -> bool {
        self.name == "-"
    }

    fn time(&self) -> Time {
        match &self.metadata {
            None => (0, 0),
            Some(metadata) if self.is_stdin() && !metadata.is_file() => now(),
            Some(metadata) => header::modified(metadata),
        }
    }
}

fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    (since.as_secs() as i64, i64::from(since.subsec_nanos()))
}

/// Compares the two operands of the command line.
pub fn compare_operands(
    options: &Options,
    first: &OsStr,
    second: &OsStr,
    out: &mut dyn Write,
) -> i32 {
    let (mut first, mut second) = (first.to_os_string(), second.to_os_string());
    // A file and a directory: the file of that name in the directory.
    let is_dir = |name: &OsStr| name != "-" && fs::metadata(name).is_ok_and(|m| m.is_dir());
    match (is_dir(&first), is_dir(&second)) {
        (true, false) if second != "-" => first = inside(&first, base_name(&second)),
        (false, true) if first != "-" => second = inside(&second, base_name(&first)),
        (true, false) | (false, true) => {
            eprintln!("diff: cannot compare '-' to a directory");
            return TROUBLE;
        }
        _ => {}
    }
    let mut missing = Vec::new();
    let sides = [
        look(0, &first, &mut missing),
        look(1, &second, &mut missing),
    ];
    let may_be_missing = |n: usize| options.new_file || (n == 0 && options.first_new_file);
    let both = sides.iter().all(|side| side.metadata.is_none());
    let mut trouble = false;
    for (n, (name, error)) in missing {
        let absent = error.kind() == io::ErrorKind::NotFound;
        if !(absent && may_be_missing(n)) || both {
            eprintln!("diff: {}: {}", name.display(), header::errno_text(&error));
            trouble = true;
        }
    }
    if trouble {
        return TROUBLE;
    }
    compare(options, &sides[0], &sides[1], true, out)
}

type Missing = Vec<(usize, (OsString, io::Error))>;

fn look(position: usize, name: &OsStr, missing: &mut Missing) -> Side {
    let found = if name == "-" {
        use std::os::fd::{AsFd, AsRawFd};
        let fd = io::stdin().as_fd().as_raw_fd();
        fs::metadata(format!("/dev/fd/{fd}")).or_else(|_| fs::metadata("/dev/null"))
    } else {
        fs::metadata(name)
    };
    let metadata = match found {
        Ok(metadata) => Some(metadata),
        Err(error) => {
            missing.push((position, (name.to_os_string(), error)));
            None
        }
    };
    Side {
        name: name.to_os_string(),
        metadata,
    }
}

fn base_name(name: &OsStr) -> &OsStr {
    let bytes = name.as_bytes();
    let end = bytes
        .iter()
        .rposition(|b| *b != b'/')
        .map_or(0, |at| at + 1);
    let start = bytes[..end]
        .iter()
        .rposition(|b| *b == b'/')
        .map_or(0, |at| at + 1);
    OsStr::from_bytes(&bytes[start..end])
}

fn inside(directory: &OsStr, name: &OsStr) -> OsString {
    let mut path = directory.as_bytes().to_vec();
    if path.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend_from_slice(name.as_bytes());
    OsString::from_vec(path)
}

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_file() && metadata.size() == 0 {
        "regular empty file"
    } else if kind.is_file() {
        "regular file"
    } else if kind.is_dir() {
        "directory"
    } else if kind.is_fifo() {
        "fifo"
    } else if kind.is_char_device() {
        "character special file"
    } else if kind.is_block_device() {
        "block special file"
    } else {
        "weird file"
    }
}

/// Compares two things of any kind; `top` for those that the command line names.
fn compare(options: &Options, first: &Side, second: &Side, top: bool, out: &mut dyn Write) -> i32 {
    let dirs = (first.is_dir(), second.is_dir());
    if dirs == (true, true)
        || (dirs.0 || dirs.1) && (first.metadata.is_none() || second.metadata.is_none())
    {
        if !top && !options.recursive {
            let line = line(&[
                b"Common subdirectories: ",
                first.name.as_bytes(),
                b" and ",
                second.name.as_bytes(),
            ]);
            return said(out.write_all(&line), SAME);
        }
        return compare_directories(options, first, second, out);
    }
    let special = |side: &Side| {
        side.metadata
            .as_ref()
            .is_some_and(|m| !m.is_file() && !side.is_stdin())
    };
    if let (Some(a), Some(b)) = (&first.metadata, &second.metadata)
        && !top
        && (special(first) || special(second))
        && (kind(a) != kind(b) || dirs.0 != dirs.1)
    {
        let line = line(&[
            b"File ",
            first.name.as_bytes(),
            b" is a ",
            kind(a).as_bytes(),
            b" while file ",
            second.name.as_bytes(),
            b" is a ",
            kind(b).as_bytes(),
        ]);
        return said(out.write_all(&line), DIFFERENT);
    }
    compare_files(options, first, second, top, out)
}

fn line(parts: &[&[u8]]) -> Vec<u8> {
    let mut line = parts.concat();
    line.push(b'\n');
    line
}

/// The status of a comparison whose result had to be written.
fn said(written: io::Result<()>, status: i32) -> i32 {
    match written {
        Ok(()) => status,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => status,
        Err(error) => {
            eprintln!("diff: write failed: {}", header::errno_text(&error));
            TROUBLE
        }
    }
}

fn entries(side: &Side, options: &Options) -> Result<BTreeSet<OsString>, i32> {
    if side.metadata.is_none() {
        return Ok(BTreeSet::new());
    }
    let list = fs::read_dir(&side.name).and_then(|directory| {
        directory
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<BTreeSet<_>>>()
    });
    match list {
        Ok(mut names) => {
            names.retain(|name| {
                let excluded = |pattern: &Vec<u8>| matches(pattern, name.as_bytes());
                !options.exclude.iter().any(excluded)
            });
            Ok(names)
        }
        Err(error) => {
            eprintln!(
                "diff: {}: {}",
                side.name.display(),
                header::errno_text(&error)
            );
            Err(TROUBLE)
        }
    }
}

/// Shell patterns with `*` and `?`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, name) || name.split_first().is_some_and(|(_, n)| matches(pattern, n))
        }
        (Some((b'?', rest)), Some((_, name))) => matches(rest, name),
        (Some((a, rest)), Some((b, name))) if a == b => matches(rest, name),
        _ => false,
    }
}

fn compare_directories(options: &Options, first: &Side, second: &Side, out: &mut dyn Write) -> i32 {
    let (Ok(a), Ok(b)) = (entries(first, options), entries(second, options)) else {
        return TROUBLE;
    };
    let mut status = SAME;
    for name in a.union(&b) {
        let here = |side: &Side, names: &BTreeSet<OsString>| {
            let path = inside(&side.name, name);
            let metadata = names.contains(name).then(|| fs::metadata(&path));
            (path, metadata)
        };
        let mut sides = Vec::new();
        for (side, names) in [(first, &a), (second, &b)] {
            let (name, metadata) = here(side, names);
            match metadata.transpose() {
                Ok(metadata) => sides.push(Side { name, metadata }),
                Err(error) => {
                    eprintln!("diff: {}: {}", name.display(), header::errno_text(&error));
                    status = TROUBLE;
                }
            }
        }
        let [left, right] = &sides[..] else { continue };
        let only = match (&left.metadata, &right.metadata) {
            (Some(_), None) if !options.new_file => Some(first),
            (None, Some(_)) if !options.new_file && !options.first_new_file => Some(second),
            _ => None,
        };
        let result = match only {
            Some(side) => {
                let line = line(&[b"Only in ", side.name.as_bytes(), b": ", name.as_bytes()]);
                said(out.write_all(&line), DIFFERENT)
            }
            None => compare(options, left, right, false, out),
        };
        status = status.max(result);
    }
    status
}

fn read(side: &Side) -> Result<Vec<u8>, i32> {
    let data = if side.metadata.is_none() {
        Ok(Vec::new())
    } else if side.is_stdin() {
        let mut data = Vec::new();
        io::stdin().lock().read_to_end(&mut data).map(|_| data)
    } else {
        fs::read(&side.name)
    };
    data.map_err(|error| {
        eprintln!(
            "diff: {}: {}",
            side.name.display(),
            header::errno_text(&error)
        );
        TROUBLE
    })
}

fn compare_files(
    options: &Options,
    first: &Side,
    second: &Side,
    top: bool,
    out: &mut dyn Write,
) -> i32 {
    let names = (first.name.as_bytes(), second.name.as_bytes());
    let identical = |out: &mut dyn Write| match options.report_identical {
        true => {
            let line = line(&[b"Files ", names.0, b" and ", names.1, b" are identical"]);
            said(out.write_all(&line), SAME)
        }
        false => SAME,
    };
    if let (Some(a), Some(b)) = (&first.metadata, &second.metadata) {
        if (a.dev(), a.ino()) == (b.dev(), b.ino()) && a.is_file() {
            return identical(out);
        }
        // Sizes alone may settle it.
        let sizes = a.is_file() && b.is_file() && a.len() != b.len();
        if options.brief && sizes && !options.lenient() && !options.blank_lines {
            let line = line(&[b"Files ", names.0, b" and ", names.1, b" differ"]);
            return said(out.write_all(&line), DIFFERENT);
        }
    }
    let (Ok(a), Ok(b)) = (read(first), read(second)) else {
        return TROUBLE;
    };
    if a == b {
        return identical(out);
    }
    let binary = !options.text && (text::is_binary(&a) || text::is_binary(&b));
    if options.brief && !options.lenient() && !options.blank_lines {
        let line = line(&[b"Files ", names.0, b" and ", names.1, b" differ"]);
        return said(out.write_all(&line), DIFFERENT);
    }
    if binary {
        let what: &[u8] = if options.brief {
            b"Files "
        } else {
            b"Binary files "
        };
        let line = line(&[what, names.0, b" and ", names.1, b" differ"]);
        return said(out.write_all(&line), DIFFERENT);
    }
    let (a, b) = (Text::new(&a), Text::new(&b));
    let changes = script(&a, &b, options);
    if changes.iter().all(|change| change.ignored) {
        return identical(out);
    }
    if options.brief {
        let line = line(&[b"Files ", names.0, b" and ", names.1, b" differ"]);
        return said(out.write_all(&line), DIFFERENT);
    }
    if !top {
        let command = [b"diff", &options.switches[..], b" "].concat();
        let (left, right) = (quoted(names.0), quoted(names.1));
        if let Err(error) = out.write_all(&line(&[&command, &left, b" ", &right])) {
            return said(Err(error), TROUBLE);
        }
    }
    let headers = match options.style {
        Style::Normal => [Vec::new(), Vec::new()],
        _ => [title(options, 0, first), title(options, 1, second)],
    };
    let page = Page {
        first: &a,
        second: &b,
        headers,
        options,
    };
    said(page.print(&changes, out), DIFFERENT)
}

fn quoted(name: &[u8]) -> Vec<u8> {
    crate::options::shell_quoted(name)
}

/// The name and time of one side, or its label.
fn title(options: &Options, n: usize, side: &Side) -> Vec<u8> {
    if let Some(label) = options.labels.get(n) {
        return label.as_bytes().to_vec();
    }
    let mut title = header::quoted(side.name.as_bytes());
    title.push(b'\t');
    let stamp = match options.style {
        Style::Context(_) if header::is_c_locale() => header::posix_stamp(side.time()),
        _ => header::stamp(side.time()),
    };
    title.extend_from_slice(stamp.as_bytes());
    title
}
