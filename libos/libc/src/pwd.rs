//! `<pwd.h>`: `/etc/passwd`, read anew for each question.

use crate::stdio::{Lines, Room};
use core::ffi::{c_char, c_int};
use core::ptr::null_mut;
use libc::{passwd, uid_t};

const FILE: &core::ffi::CStr = c"/etc/passwd";

/// Cuts off the text before the next `:` (or the end) in place.
pub unsafe fn field(at: &mut *mut c_char) -> *mut c_char {
    let start = *at;
    let mut p = start;
    while *p != 0 && *p != b':' as c_char {
        p = p.add(1);
    }
    if *p != 0 {
        *p = 0;
        p = p.add(1);
    }
    *at = p;
    start
}

pub unsafe fn number(s: *const c_char) -> Option<u32> {
    core::str::from_utf8(crate::string::bytes(s))
        .ok()?
        .parse()
        .ok()
}

/// Splits a line (NUL-ended, in the caller's buffer) into an entry.
unsafe fn parse(line: *mut c_char, out: *mut passwd) -> bool {
    let mut p = line;
    (*out).pw_name = field(&mut p);
    (*out).pw_passwd = field(&mut p);
    let (uid, gid) = (number(field(&mut p)), number(field(&mut p)));
    (*out).pw_gecos = field(&mut p);
    (*out).pw_dir = field(&mut p);
    (*out).pw_shell = field(&mut p);
    match (uid, gid) {
        (Some(u), Some(g)) if *(*out).pw_name != 0 => {
            (*out).pw_uid = u;
            (*out).pw_gid = g;
            true
        }
        _ => false,
    }
}

/// The first entry that `wanted` takes: 0 and `*result`, 0 and null, or an error number.
unsafe fn search(
    out: *mut passwd,
    room: &mut Room,
    result: *mut *mut passwd,
    wanted: impl Fn(*const passwd) -> bool,
) -> c_int {
    *result = null_mut();
    let mut lines = match Lines::open(FILE.as_ptr()) {
        Ok(l) => l,
        Err(libc::ENOENT) => return 0,
        Err(e) => return e,
    };
    loop {
        match lines.next(room) {
            Ok(true) => {
                if parse(room.at, out) && wanted(out) {
                    *result = out;
                    return 0;
                }
            }
            Ok(false) => return 0,
            Err(e) => return e,
        }
    }
}

unsafe fn by_name(
    name: *const c_char,
    out: *mut passwd,
    room: &mut Room,
    result: *mut *mut passwd,
) -> c_int {
    search(out, room, result, |p| {
        crate::string::strcmp((*p).pw_name, name) == 0
    })
}

unsafe fn by_uid(uid: uid_t, out: *mut passwd, room: &mut Room, result: *mut *mut passwd) -> c_int {
    search(out, room, result, |p| (*p).pw_uid == uid)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getpwnam_r(
    name: *const c_char,
    out: *mut passwd,
    buf: *mut c_char,
    len: usize,
    result: *mut *mut passwd,
) -> c_int {
    by_name(name, out, &mut Room::fixed(buf, len), result)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getpwuid_r(
    uid: uid_t,
    out: *mut passwd,
    buf: *mut c_char,
    len: usize,
    result: *mut *mut passwd,
) -> c_int {
    by_uid(uid, out, &mut Room::fixed(buf, len), result)
}

static mut ENTRY: core::mem::MaybeUninit<passwd> = core::mem::MaybeUninit::uninit();
static mut TEXT: Room = Room::growing();

unsafe fn answer(
    ask: impl FnOnce(*mut passwd, &mut Room, *mut *mut passwd) -> c_int,
) -> *mut passwd {
    let mut result = null_mut();
    let e = ask(
        (&raw mut ENTRY).cast(),
        &mut *(&raw mut TEXT),
        &raw mut result,
    );
    if e != 0 {
        crate::errno::set(e);
    }
    result
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getpwnam(name: *const c_char) -> *mut passwd {
    answer(|e, t, r| by_name(name, e, t, r))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getpwuid(uid: uid_t) -> *mut passwd {
    answer(|e, t, r| by_uid(uid, e, t, r))
}

static mut WALK: Option<Lines> = None;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn setpwent() {
    *(&raw mut WALK) = None;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn endpwent() {
    setpwent()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getpwent() -> *mut passwd {
    let walk = &mut *(&raw mut WALK);
    if walk.is_none() {
        *walk = Lines::open(FILE.as_ptr()).ok();
    }
    let Some(lines) = walk else { return null_mut() };
    let room = &mut *(&raw mut TEXT);
    while let Ok(true) = lines.next(room) {
        let entry = (&raw mut ENTRY).cast::<passwd>();
        if parse(room.at, entry) {
            return entry;
        }
    }
    null_mut()
}
