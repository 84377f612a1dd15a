//! `<grp.h>`: `/etc/group`, read anew for each question.

use crate::pwd::{field, number};
use crate::stdio::Lines;
use core::ffi::{c_char, c_int};
use core::ptr::null_mut;
use libc::{gid_t, group};

const FILE: &core::ffi::CStr = c"/etc/group";

/// Splits a line in the caller's buffer; the list of members goes behind it. ERANGE if it does not fit.
unsafe fn parse(buf: *mut c_char, len: usize, out: *mut group) -> Result<bool, c_int> {
    let used = crate::string::strlen(buf) + 1;
    let mut p = buf;
    (*out).gr_name = field(&mut p);
    (*out).gr_passwd = field(&mut p);
    let Some(gid) = number(field(&mut p)) else {
        return Ok(false);
    };
    (*out).gr_gid = gid;
    let members = field(&mut p);
    let list = buf
        .add(used)
        .map_addr(|a| (a + 7) & !7)
        .cast::<*mut c_char>();
    let room = (buf as usize + len).saturating_sub(list as usize) / size_of::<*mut c_char>();
    let mut n = 0;
    let mut m = members;
    while *m != 0 {
        if n + 1 >= room {
            return Err(libc::ERANGE);
        }
        *list.add(n) = m;
        n += 1;
        while *m != 0 && *m != b',' as c_char {
            m = m.add(1);
        }
        if *m != 0 {
            *m = 0;
            m = m.add(1);
        }
    }
    if n >= room {
        return Err(libc::ERANGE);
    }
    *list.add(n) = null_mut();
    (*out).gr_mem = list;
    Ok(*(*out).gr_name != 0)
}

unsafe fn search(
    out: *mut group,
    buf: *mut c_char,
    len: usize,
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
        match lines.next(buf, len) {
            Ok(true) => match parse(buf, len, out) {
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

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getgrnam_r(
    name: *const c_char,
    out: *mut group,
    buf: *mut c_char,
    len: usize,
    result: *mut *mut group,
) -> c_int {
    search(out, buf, len, result, |g| {
        crate::string::strcmp((*g).gr_name, name) == 0
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getgrgid_r(
    gid: gid_t,
    out: *mut group,
    buf: *mut c_char,
    len: usize,
    result: *mut *mut group,
) -> c_int {
    search(out, buf, len, result, |g| (*g).gr_gid == gid)
}

const LINE: usize = 4096;
static mut ENTRY: core::mem::MaybeUninit<group> = core::mem::MaybeUninit::uninit();
static mut TEXT: [c_char; LINE] = [0; LINE];

unsafe fn answer(
    ask: impl FnOnce(*mut group, *mut c_char, *mut *mut group) -> c_int,
) -> *mut group {
    let mut result = null_mut();
    let e = ask(
        (&raw mut ENTRY).cast(),
        (&raw mut TEXT).cast(),
        &raw mut result,
    );
    if e != 0 {
        crate::errno::set(e);
    }
    result
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getgrnam(name: *const c_char) -> *mut group {
    answer(|e, t, r| getgrnam_r(name, e, t, LINE, r))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getgrgid(gid: gid_t) -> *mut group {
    answer(|e, t, r| getgrgid_r(gid, e, t, LINE, r))
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
    let text = (&raw mut TEXT).cast::<c_char>();
    while let Ok(true) = lines.next(text, LINE) {
        let entry = (&raw mut ENTRY).cast::<group>();
        if let Ok(true) = parse(text, LINE, entry) {
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
        let mut text = [0 as c_char; LINE];
        let mut entry: group = core::mem::zeroed();
        while let Ok(true) = lines.next(text.as_mut_ptr(), LINE) {
            if !matches!(parse(text.as_mut_ptr(), LINE, &raw mut entry), Ok(true)) {
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
    let mut list = [0; 64];
    let mut n = 64;
    if getgrouplist(user, gid, list.as_mut_ptr(), &raw mut n) < 0 {
        return crate::errno::fail(libc::E2BIG) as c_int;
    }
    crate::unistd::setgroups(n as usize, list.as_ptr())
}
