//! Lines of `/etc/fstab` and `/proc/mounts`, which share their format (fstab(5)).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// One file system: what is, or is to be, mounted where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub source: OsString,
    pub target: OsString,
    pub kind: String,
    pub options: String,
}

/// The entries of a table; comments and lines with too few fields are none.
pub fn entries(table: &[u8]) -> Vec<Entry> {
    table.split(|b| *b == b'\n').filter_map(entry).collect()
}

fn entry(line: &[u8]) -> Option<Entry> {
    let mut fields = line
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty());
    let source = fields.next().filter(|field| field[0] != b'#')?;
    let target = fields.next()?;
    let kind = fields.next()?;
    let options = fields.next().unwrap_or(b"defaults");
    Some(Entry {
        source: unescape(source),
        target: unescape(target),
        kind: String::from_utf8_lossy(kind).into_owned(),
        options: String::from_utf8_lossy(options).into_owned(),
    })
}

/// Blanks and backslashes stand in these tables as `\` and three octal digits.
fn unescape(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'\\'
            && let Some(digits) = tail.get(..3)
            && digits.iter().all(|d| (b'0'..=b'7').contains(d))
        {
            let code = digits.iter().fold(0u32, |n, d| n * 8 + u32::from(d - b'0'));
            bytes.push(code as u8);
            rest = &tail[3..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    OsString::from_vec(bytes)
}

/// The last entry mounted on `path`, or made from it: later mounts hide earlier ones.
pub fn find<'a>(entries: &'a [Entry], path: &OsStr) -> Option<&'a Entry> {
    let path = without_trailing_slash(path);
    entries
        .iter()
        .rev()
        .find(|entry| entry.target.as_bytes() == path)
        .or_else(|| entries.iter().rev().find(|e| e.source.as_bytes() == path))
}

fn without_trailing_slash(path: &OsStr) -> &[u8] {
    let bytes = path.as_bytes();
    match bytes.iter().rposition(|b| *b != b'/') {
        Some(last) => &bytes[..=last],
        None => &bytes[..bytes.len().min(1)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"# comment\nproc /proc proc rw 0 0\n\ntmpfs /a\\040b tmpfs\nbroken\n\
        /dev/vda / ext4 ro 0 1\n/dev/vdb /mnt ext4 ro\ntmp /mnt tmpfs rw\n";

    #[test]
    fn comments_and_short_lines_are_skipped() {
        let entries = entries(TABLE);
        assert_eq!(entries.len(), 5);
        assert_eq!(entries[1].target, "/a b");
        assert_eq!(entries[1].options, "defaults");
    }

    #[test]
    fn the_last_mount_on_a_place_counts() {
        let entries = entries(TABLE);
        assert_eq!(find(&entries, OsStr::new("/mnt/")).unwrap().kind, "tmpfs");
        assert_eq!(find(&entries, OsStr::new("/dev/vdb")).unwrap().kind, "ext4");
        assert_eq!(find(&entries, OsStr::new("/")).unwrap().source, "/dev/vda");
        assert_eq!(find(&entries, OsStr::new("/nowhere")), None);
    }
}
