//! Time zones: `TZ` as a POSIX string (`CET-1CEST,M3.5.0,M10.5.0/3`) or a file's name, else
//! `/etc/localtime`, else UTC.
//!
//! A zone file (TZif, RFC 8536) is a table of changes and, in its footer, the POSIX string for the
//! time after the last. It is mapped and read in place.
//!
//! A `tm` may outlive the zone that it was made in, so the names of zones that programs get are never freed.

use super::rule::{Posix, UTC, is_summer, parse_posix};
use crate::lock::Lock;
use crate::malloc::{free, malloc};
use crate::string::{bytes, put, strcmp};
use core::ffi::{c_char, c_int, c_long};

pub struct Zone {
    pub posix: Posix,
    /// The mapped file, empty when there is none.
    pub file: &'static [u8],
    /// The value of TZ that this was made from.
    made_from: [u8; 128],
    made_len: usize,
    ready: bool,
}

pub static LOCK: Lock = Lock::new();
static mut ZONE: Zone = Zone {
    posix: UTC,
    file: &[],
    made_from: [0; 128],
    made_len: 0,
    ready: false,
};

#[unsafe(no_mangle)]
pub static mut timezone: c_long = 0;
#[unsafe(no_mangle)]
pub static mut daylight: c_int = 0;
#[unsafe(no_mangle)]
pub static mut tzname: [*mut c_char; 2] = [c"UTC".as_ptr() as *mut c_char; 2];

fn be32(f: &[u8], at: usize) -> i64 {
    f.get(at..at + 4)
        .map_or(0, |b| i32::from_be_bytes([b[0], b[1], b[2], b[3]]) as i64)
}

fn be64(f: &[u8], at: usize) -> i64 {
    be32(f, at) << 32 | (be32(f, at + 4) & 0xffff_ffff)
}

/// The second (64-bit) part of a zone file: times, kinds, types, names, footer.
struct Table<'a> {
    file: &'a [u8],
    times: usize,
    n: usize,
    types: usize,
    ntypes: usize,
    names: usize,
    footer: &'a [u8],
}

fn table(f: &[u8]) -> Option<Table<'_>> {
    if f.len() < 88 || &f[..4] != b"TZif" || f[4] < b'2' {
        return None;
    }
    let count = |at: usize, i: usize| be32(f, at + 20 + 4 * i) as usize;
    // isutc, isstd, leap, time, type, char
    let skip = 44
        + count(0, 3) * 5
        + count(0, 4) * 6
        + count(0, 5)
        + count(0, 2) * 8
        + count(0, 1)
        + count(0, 0);
    if f.get(skip..skip + 4)? != b"TZif" {
        return None;
    }
    let (n, ntypes, chars) = (count(skip, 3), count(skip, 4), count(skip, 5));
    let times = skip + 44;
    let types = times + 9 * n;
    let names = types + 6 * ntypes;
    let footer = names + chars + count(skip, 2) * 12 + count(skip, 1) + count(skip, 0);
    let footer = f.get(footer + 1..)?;
    let end = footer.iter().position(|&c| c == b'\n')?;
    Some(Table {
        file: f,
        times,
        n,
        types,
        ntypes,
        names,
        footer: &footer[..end],
    })
}

/// What holds at an instant: offset, summer time or not, and the zone's name.
pub struct Local {
    pub offset: i64,
    pub dst: bool,
    pub name: *const c_char,
}

fn by_rule(zone: &Posix, t: i64) -> Local {
    let i = is_summer(zone, t) as usize;
    Local {
        offset: zone.offsets[i],
        dst: i == 1,
        name: zone.names[i].as_ptr(),
    }
}

struct Name {
    older: *const Name,
    text: [c_char; 16],
}
static mut NAMES: *const Name = core::ptr::null();

/// Under [`LOCK`]: the name, at a place where it stays. Without memory for one it is empty.
pub unsafe fn lasting(name: *const c_char) -> *const c_char {
    let mut known = NAMES;
    while !known.is_null() {
        if strcmp((*known).text.as_ptr(), name) == 0 {
            return (*known).text.as_ptr();
        }
        known = (*known).older;
    }
    let new = malloc(size_of::<Name>()).cast::<Name>();
    if new.is_null() || !put(bytes(name), (*new).text.as_mut_ptr(), 16) {
        free(new.cast());
        return c"".as_ptr();
    }
    (*new).older = NAMES;
    NAMES = new;
    (*new).text.as_ptr()
}

/// Under [`LOCK`]: what holds at `t`.
pub unsafe fn local(t: i64) -> Local {
    let zone = &*(&raw const ZONE);
    let Some(table) = table(zone.file) else {
        return by_rule(&zone.posix, t);
    };
    let time = |i: usize| be64(table.file, table.times + 8 * i);
    if table.n > 0 && t >= time(table.n - 1) && !table.footer.is_empty() {
        return by_rule(&zone.posix, t);
    }
    // The last change not after `t`.
    let (mut lo, mut hi) = (0, table.n);
    while lo < hi {
        let mid = (lo + hi) / 2;
        if time(mid) <= t {
            lo = mid + 1
        } else {
            hi = mid
        }
    }
    let kind = if lo == 0 {
        0
    } else {
        table
            .file
            .get(table.times + 8 * table.n + lo - 1)
            .copied()
            .unwrap_or(0) as usize
    };
    let kind = kind.min(table.ntypes.saturating_sub(1));
    let at = table.types + 6 * kind;
    let name = table.names + table.file.get(at + 5).copied().unwrap_or(0) as usize;
    Local {
        offset: be32(table.file, at),
        dst: table.file.get(at + 4).copied().unwrap_or(0) != 0,
        name: table
            .file
            .get(name..)
            .map_or(c"".as_ptr(), |s| s.as_ptr().cast()),
    }
}

unsafe fn map_file(path: *const c_char) -> &'static [u8] {
    let fd = door!(
        openat,
        libc::AT_FDCWD,
        path,
        libc::O_RDONLY | libc::O_CLOEXEC,
        0
    );
    if fd < 0 {
        return &[];
    }
    let mut s: libc::stat = core::mem::zeroed();
    let mut file: &'static [u8] = &[];
    if door!(fstat, fd, &raw mut s) == 0 && s.st_size > 0 && s.st_size < 1 << 20 {
        let map = door!(
            mmap,
            0usize,
            s.st_size,
            libc::PROT_READ,
            libc::MAP_PRIVATE,
            fd,
            0usize
        );
        if map > 0 {
            file = core::slice::from_raw_parts(map as *const u8, s.st_size as usize);
        }
    }
    door!(close, fd);
    file
}

/// Under [`LOCK`]: reads `TZ` again if it changed.
pub unsafe fn refresh() {
    let zone = &mut *(&raw mut ZONE);
    let tz = crate::env::getenv(c"TZ".as_ptr());
    let text: &[u8] = if tz.is_null() {
        b"/etc/localtime"
    } else {
        bytes(tz)
    };
    if zone.ready && text == &zone.made_from[..zone.made_len] {
        return;
    }
    if !zone.file.is_empty() {
        door!(munmap, zone.file.as_ptr(), zone.file.len());
    }
    zone.file = &[];
    zone.posix = UTC;
    zone.made_len = text.len().min(128);
    zone.made_from[..zone.made_len].copy_from_slice(&text[..zone.made_len]);
    zone.ready = text.len() <= 128;
    let name = text.strip_prefix(b":").unwrap_or(text);
    if let Some(posix) = parse_posix(name) {
        zone.posix = posix;
    } else if !name.is_empty() && name.len() < 200 && !name.windows(2).any(|w| w == b"..") {
        let mut path = [0 as c_char; 256];
        let dir: &[u8] = if name[0] == b'/' {
            b""
        } else {
            b"/usr/share/zoneinfo/"
        };
        if put(dir, path.as_mut_ptr(), 256) && put(name, path.as_mut_ptr().add(dir.len()), 220) {
            zone.file = map_file(path.as_ptr());
        }
        match table(zone.file) {
            Some(t) => zone.posix = parse_posix(t.footer).unwrap_or(UTC),
            None if !zone.file.is_empty() => {
                door!(munmap, zone.file.as_ptr(), zone.file.len());
                zone.file = &[];
            }
            None => {}
        }
    }
    timezone = -zone.posix.offsets[0];
    daylight = zone.posix.summer.is_some() as c_int;
    tzname = zone
        .posix
        .names
        .each_ref()
        .map(|name| lasting(name.as_ptr()).cast_mut());
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tzset() {
    LOCK.lock();
    refresh();
    LOCK.unlock();
}
