//! `<grp.h>`: `/etc/group`, read anew for each question.

use crate::malloc::{free, realloc};
use crate::pwd::{field, number};
use crate::stdio::{Lines, Room};
use core::ffi::{c_char, c_int};
use core::ptr::null_mut;
use libc::{gid_t, group};

const FILE: &core::ffi::CStr = c"/etc/group";

/// Splits a line; the list of members goes behind it.
unsafe fn parse(room: &mut Room, out: *mut group) -> Result<bool, c_int> {
    let line = crate::string::bytes(room.at);
    let used = line.len() + 1;
    // One member more than commas, the null, and what aligns it.
    let pointers = line.iter().filter(|&&c| c == b',').count() + 3;
    room.ensure(used + pointers * size_of::<*mut c_char>())?;
    let mut p = room.at;
    (*out).gr_name = field(&mut p);
    (*out).gr_passwd = field(&mut p);
    let Some(gid) = number(field(&mut p)) else {
        return Ok(false);
    };
    (*out).gr_gid = gid;
    let mut m = field(&mut p);
    let list = room.at.add(used).map_addr(|a| (a + 7) & !7);
    let mut list = list.cast::<*mut c_char>();
    (*out).gr_mem = list;
    while *m != 0 {
        *list = m;
        list = list.add(1);
        while *m != 0 && *m != b',' as c_char {
            m = m.add(1);
        }
        if *m != 0 {
            *m = 0;
            m = m.add(1);
        }
    }
    *list = null_mut();
    Ok(*(*out).gr_name != 0)
}

unsafe fn search(
    out: *mut group,
    room: &mut Room,
    result: *mut *mut group,
    wanted: impl Fn(*const group) -> bool,
) -> c_int {
    *result = null_mut();
    let mut lines = match Lines::open(FILE.as_ptr()) {
        Ok(l) => l,
        Err(libc::ENOENT) => return 0,
        Err(e) => return e,
    };
    loop {
        match lines.next(room) {
            Ok(true) => match parse(room, out) {
                Ok(true) if wanted(out) => {
                    *result = out;
                    return 0;
                }
                Ok(_) => {}
                Err(e) => return e,
            },
            Ok(false) => return 0,
            Err(e) => return e,
        }
    }
}

unsafe fn by_name(
    name: *const c_char,
    out: *mut group,
    room: &mut Room,
    result: *mut *mut group,
) -> c_int {
    search(out, room, result, |g| {
        crate::string::strcmp((*g).gr_name, name) == 0
    })
}

unsafe fn by_gid(gid: gid_t, out: *mut group, room: &mut Room, result: *mut *mut group) -> c_int {
    search(out, room, result, |g| (*g).gr_gid == gid)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getgrnam_r(
    name: *const c_char,
    out: *mut group,
    buf: *mut c_char,
    len: usize,
    result: *mut *mut group,
) -> c_int {
    by_name(name, out, &mut Room::fixed(buf, len), result)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getgrgid_r(
    gid: gid_t,
    out: *mut group,
    buf: *mut c_char,
    len: usize,
    result: *mut *mut group,
) -> c_int {
    by_gid(gid, out, &mut Room::fixed(buf, len), result)
}

static mut ENTRY: core::mem::MaybeUninit<group> = core::mem::MaybeUninit::uninit();
static mut TEXT: Room = Room::growing();

unsafe fn answer(ask: impl FnOnce(*mut group, &mut Room, *mut *mut group) -> c_int) -> *mut group {
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
pub unsafe extern "C" fn getgrnam(name: *const c_char) -> *mut group {
    answer(|e, t, r| by_name(name, e, t, r))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getgrgid(gid: gid_t) -> *mut group {
    answer(|e, t, r| by_gid(gid, e, t, r))
}

static mut WALK: Option<Lines> = None;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn setgrent() {
    *(&raw mut WALK) = None;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn endgrent() {
    setgrent()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getgrent() -> *mut group {
    let walk = &mut *(&raw mut WALK);
    if walk.is_none() {
        *walk = Lines::open(FILE.as_ptr()).ok();
    }
    let Some(lines) = walk else { return null_mut() };
    let room = &mut *(&raw mut TEXT);
    while let Ok(true) = lines.next(room) {
        let entry = (&raw mut ENTRY).cast::<group>();
        if let Ok(true) = parse(room, entry) {
            return entry;
        }
    }
    null_mut()
}

/// The groups of a user, `gid` first. -1 and the number needed when there are more than fit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getgrouplist(
    user: *const c_char,
    gid: gid_t,
    list: *mut gid_t,
    count: *mut c_int,
) -> c_int {
    let room = *count;
    let mut n = 1;
    if room >= 1 {
        *list = gid;
    }
    if let Ok(mut lines) = Lines::open(FILE.as_ptr()) {
        let mut text = Room::growing();
        let mut entry: group = core::mem::zeroed();
        while let Ok(true) = lines.next(&mut text) {
            if !matches!(parse(&mut text, &raw mut entry), Ok(true)) {
                continue;
            }
            let mut m = entry.gr_mem;
            while !(*m).is_null() && crate::string::strcmp(*m, user) != 0 {
                m = m.add(1);
            }
            if (*m).is_null() || entry.gr_gid == gid {
                continue;
            }
            if n < room {
                *list.add(n as usize) = entry.gr_gid;
            }
            n += 1;
        }
    }
    *count = n;
    if n > room { -1 } else { n }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn initgroups(user: *const c_char, gid: gid_t) -> c_int {
    let (mut list, mut n) = (null_mut::<gid_t>(), 32);
    loop {
        let p = realloc(list.cast(), n as usize * size_of::<gid_t>()).cast::<gid_t>();
        if p.is_null() {
            free(list.cast());
            return -1;
        }
        list = p;
        if getgrouplist(user, gid, list, &raw mut n) >= 0 {
            break;
        }
    }
    let r = crate::unistd::setgroups(n as usize, list);
    free(list.cast());
    r
}
