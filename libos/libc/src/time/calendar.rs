//! Broken-down time: `gmtime localtime timegm mktime asctime`.

use super::zone;
use crate::errno::fail;
use core::ffi::{c_char, c_int};
use core::ptr::null_mut;
use libc::tm;

pub fn is_leap(y: i64) -> bool {
    y % 4 == 0 && (y % 100 != 0 || y % 400 == 0)
}

/// Days from 1970-01-01 to 1 January of `y`.
pub fn days_before_year(y: i64) -> i64 {
    let y = y - 1;
    y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) - 719_162
}

pub fn year_of(t: i64) -> i64 {
    let days = t.div_euclid(86400);
    let mut y = 1970 + days.div_euclid(146_097) * 400 + days.rem_euclid(146_097) / 366;
    while days_before_year(y + 1) <= days {
        y += 1;
    }
    y
}

const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// Fills all but the zone's fields; false if the year does not fit.
unsafe fn fill(t: i64, out: *mut tm) -> bool {
    if !(-67_768_040_609_740_800..=67_768_036_191_676_799).contains(&t) {
        fail(libc::EOVERFLOW);
        return false;
    }
    let year = year_of(t);
    let days = t.div_euclid(86400);
    let secs = t.rem_euclid(86400);
    let yday = days - days_before_year(year);
    let leap = is_leap(year) as i64;
    let before = |m: usize| BEFORE[m] + if m >= 2 { leap } else { 0 };
    let mon = (0..12).rev().find(|&m| before(m) <= yday).unwrap_or(0);
    (*out).tm_year = (year - 1900) as c_int;
    (*out).tm_mon = mon as c_int;
    (*out).tm_mday = (yday - before(mon) + 1) as c_int;
    (*out).tm_hour = (secs / 3600) as c_int;
    (*out).tm_min = (secs / 60 % 60) as c_int;
    (*out).tm_sec = (secs % 60) as c_int;
    (*out).tm_yday = yday as c_int;
    (*out).tm_wday = (days + 4).rem_euclid(7) as c_int;
    true
}

/// Seconds since the epoch of fields that need not be in range, read as UTC.
unsafe fn seconds(t: *const tm) -> i64 {
    let months = (*t).tm_mon as i64;
    let year = (*t).tm_year as i64 + 1900 + months.div_euclid(12);
    let mon = months.rem_euclid(12) as usize;
    let days = days_before_year(year)
        + BEFORE[mon]
        + (mon >= 2 && is_leap(year)) as i64
        + (*t).tm_mday as i64
        - 1;
    days * 86400 + (*t).tm_hour as i64 * 3600 + (*t).tm_min as i64 * 60 + (*t).tm_sec as i64
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn gmtime_r(t: *const i64, out: *mut tm) -> *mut tm {
    if !fill(*t, out) {
        return null_mut();
    }
    (*out).tm_isdst = 0;
    (*out).tm_gmtoff = 0;
    (*out).tm_zone = c"UTC".as_ptr();
    out
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn localtime_r(t: *const i64, out: *mut tm) -> *mut tm {
    zone::LOCK.lock();
    zone::refresh();
    let at = zone::local(*t);
    let name = zone::lasting(at.name);
    zone::LOCK.unlock();
    if !fill((*t).saturating_add(at.offset), out) {
        return null_mut();
    }
    (*out).tm_isdst = at.dst as c_int;
    (*out).tm_gmtoff = at.offset;
    (*out).tm_zone = name;
    out
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn timegm(t: *mut tm) -> i64 {
    let s = seconds(t);
    if gmtime_r(&raw const s, t).is_null() {
        -1
    } else {
        s
    }
}

/// Under the zone's lock: when it is `local` by the clocks, by summer time or standard time if `kind` (1, 0) says so.
unsafe fn instant(local: i64, kind: c_int) -> i64 {
    // The offset before and the one after a change in the neighbourhood: with `kind` deciding where both fit, and the earlier
    // one where neither does (an hour that the clocks skip).
    let near = [local.saturating_sub(86400), local.saturating_add(86400)];
    let offsets = near.map(|t| zone::local(t).offset);
    let right = |at: &zone::Local| kind < 0 || at.dst == (kind > 0);
    let mut fits = None;
    for offset in offsets {
        let at = zone::local(local - offset);
        if at.offset == offset {
            if right(&at) {
                return local - offset;
            }
            fits = fits.or(Some(local - offset));
        }
    }
    let fallback = fits.unwrap_or(local - offsets[0]);
    if kind < 0 {
        return fallback;
    }
    // Asked for a kind of time that does not hold then: by the offset that it has when it next or last does.
    const WEEK: i64 = 7 * 86400;
    for weeks in 1..=53 {
        for t in [fallback - weeks * WEEK, fallback + weeks * WEEK] {
            let at = zone::local(t);
            if right(&at) {
                return local - at.offset;
            }
        }
    }
    // Never within a year: an hour is usual.
    fallback + if kind > 0 { -3600 } else { 3600 }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mktime(t: *mut tm) -> i64 {
    let local = seconds(t);
    zone::LOCK.lock();
    zone::refresh();
    let chosen = instant(local, (*t).tm_isdst);
    zone::LOCK.unlock();
    if localtime_r(&raw const chosen, t).is_null() {
        -1
    } else {
        chosen
    }
}

static mut SHARED: tm = tm {
    tm_sec: 0,
    tm_min: 0,
    tm_hour: 0,
    tm_mday: 0,
    tm_mon: 0,
    tm_year: 0,
    tm_wday: 0,
    tm_yday: 0,
    tm_isdst: 0,
    tm_gmtoff: 0,
    tm_zone: core::ptr::null(),
};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn gmtime(t: *const i64) -> *mut tm {
    gmtime_r(t, &raw mut SHARED)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn localtime(t: *const i64) -> *mut tm {
    localtime_r(t, &raw mut SHARED)
}

/// What it says fits 26 bytes up to the year 9999, and in no more must it be put there.
unsafe fn text(t: *const tm, buf: *mut c_char, len: usize) -> *mut c_char {
    let format = c"%a %b %e %H:%M:%S %Y\n".as_ptr();
    if super::strftime::strftime(buf, len, format, t) == 0 {
        fail(libc::EOVERFLOW);
        return null_mut();
    }
    buf
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn asctime_r(t: *const tm, buf: *mut c_char) -> *mut c_char {
    text(t, buf, 26)
}

static mut TEXT: [c_char; 40] = [0; 40];

#[unsafe(no_mangle)]
pub unsafe extern "C" fn asctime(t: *const tm) -> *mut c_char {
    text(t, (&raw mut TEXT).cast(), 40)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctime_r(t: *const i64, buf: *mut c_char) -> *mut c_char {
    let mut broken: tm = core::mem::zeroed();
    if localtime_r(t, &raw mut broken).is_null() {
        return null_mut();
    }
    asctime_r(&raw const broken, buf)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctime(t: *const i64) -> *mut c_char {
    let broken = localtime(t);
    if broken.is_null() {
        return null_mut();
    }
    asctime(broken)
}
