//! `strftime`, in the C locale.

use super::calendar::is_leap;
use core::ffi::c_char;
use core::fmt::{self, Write};
use libc::tm;

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

struct Out {
    buf: *mut c_char,
    at: usize,
    max: usize,
}

impl Write for Out {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for &b in s.as_bytes() {
            // One byte is the NUL's.
            if self.at + 1 >= self.max {
                return Err(fmt::Error);
            }
            // SAFETY: `at` is below `max`, which the caller vouched for.
            unsafe { *self.buf.add(self.at) = b as c_char };
            self.at += 1;
        }
        Ok(())
    }
}

/// ISO 8601: the year that the week of this day belongs to, and the week's number.
fn iso_week(t: &tm) -> (i64, i32) {
    let year = t.tm_year as i64 + 1900;
    let monday = (t.tm_wday + 6) % 7;
    let week = (t.tm_yday - monday + 10) / 7;
    let weeks_in = |y: i64, jan1_monday: i32| {
        if jan1_monday == 3 || (jan1_monday == 2 && is_leap(y)) {
            53
        } else {
            52
        }
    };
    let jan1 = (monday - t.tm_yday).rem_euclid(7);
    if week < 1 {
        let days = if is_leap(year - 1) { 366 } else { 365 };
        return (year - 1, weeks_in(year - 1, (jan1 - days).rem_euclid(7)));
    }
    if week > weeks_in(year, jan1) {
        (year + 1, 1)
    } else {
        (year, week)
    }
}

/// What a conversion says about its padding: GNU's flags `-`, `_` and `0`; 0 for as usual.
type Flag = u8;

/// A number, filled up to a width with what is usual or wanted instead.
fn number(o: &mut Out, n: i64, width: usize, usual: u8, flag: Flag) -> fmt::Result {
    match if flag == 0 { usual } else { flag } {
        b'-' => write!(o, "{n}"),
        b'_' => write!(o, "{n:width$}"),
        _ => write!(o, "{n:0width$}"),
    }
}

fn conversion(o: &mut Out, c: u8, t: &tm, flag: Flag) -> fmt::Result {
    let year = t.tm_year as i64 + 1900;
    let hour12 = (t.tm_hour + 11).rem_euclid(12) + 1;
    let day = DAYS.get(t.tm_wday as usize).copied().unwrap_or("?");
    let month = MONTHS.get(t.tm_mon as usize).copied().unwrap_or("?");
    let sub = |o: &mut Out, f: &[u8]| run(o, f, t);
    let (n, width, usual) = match c {
        b'a' => return o.write_str(day.get(..3).unwrap_or(day)),
        b'A' => return o.write_str(day),
        b'b' | b'h' => return o.write_str(month.get(..3).unwrap_or(month)),
        b'B' => return o.write_str(month),
        b'c' => return sub(o, b"%a %b %e %H:%M:%S %Y"),
        b'D' | b'x' => return sub(o, b"%m/%d/%y"),
        b'F' => return sub(o, b"%Y-%m-%d"),
        b'n' => return o.write_str("\n"),
        b'p' => return o.write_str(if t.tm_hour >= 12 { "PM" } else { "AM" }),
        b'P' => return o.write_str(if t.tm_hour >= 12 { "pm" } else { "am" }),
        b'r' => return sub(o, b"%I:%M:%S %p"),
        b'R' => return sub(o, b"%H:%M"),
        b't' => return o.write_str("\t"),
        b'T' | b'X' => return sub(o, b"%H:%M:%S"),
        b'z' if t.tm_isdst < 0 => return Ok(()),
        b'z' => {
            let (sign, m) = (
                if t.tm_gmtoff < 0 { '-' } else { '+' },
                t.tm_gmtoff.abs() / 60,
            );
            return write!(o, "{sign}{:02}{:02}", m / 60, m % 60);
        }
        b'Z' if t.tm_isdst < 0 || t.tm_zone.is_null() => return Ok(()),
        b'Z' => {
            // SAFETY: a zone's name is a C string, by whoever made the `tm`.
            let name = unsafe { crate::string::bytes(t.tm_zone) };
            return o.write_str(core::str::from_utf8(name).unwrap_or("?"));
        }
        b's' => {
            let mut copy = *t;
            // SAFETY: a `tm` of our own.
            (unsafe { super::calendar::mktime(&raw mut copy) }, 1, b'0')
        }
        b'C' => (year.div_euclid(100), 2, b'0'),
        b'd' => (t.tm_mday.into(), 2, b'0'),
        b'e' => (t.tm_mday.into(), 2, b'_'),
        b'g' => (iso_week(t).0.rem_euclid(100), 2, b'0'),
        b'G' => (iso_week(t).0, 1, b'0'),
        b'H' => (t.tm_hour.into(), 2, b'0'),
        b'I' => (hour12.into(), 2, b'0'),
        b'j' => (t.tm_yday as i64 + 1, 3, b'0'),
        b'k' => (t.tm_hour.into(), 2, b'_'),
        b'l' => (hour12.into(), 2, b'_'),
        b'm' => (t.tm_mon as i64 + 1, 2, b'0'),
        b'M' => (t.tm_min.into(), 2, b'0'),
        b'S' => (t.tm_sec.into(), 2, b'0'),
        b'u' => (if t.tm_wday == 0 { 7 } else { t.tm_wday.into() }, 1, b'0'),
        b'U' => (((t.tm_yday + 7 - t.tm_wday) / 7).into(), 2, b'0'),
        b'V' => (iso_week(t).1.into(), 2, b'0'),
        b'w' => (t.tm_wday.into(), 1, b'0'),
        b'W' => (((t.tm_yday + 7 - (t.tm_wday + 6) % 7) / 7).into(), 2, b'0'),
        b'y' => (year.rem_euclid(100), 2, b'0'),
        b'Y' => (year, 1, b'0'),
        b'%' => return o.write_str("%"),
        other => {
            o.write_str("%")?;
            return o.write_char(other as char);
        }
    };
    number(o, n, width, usual, flag)
}

fn run(o: &mut Out, format: &[u8], t: &tm) -> fmt::Result {
    let mut f = format;
    while let [c, rest @ ..] = f {
        f = rest;
        if *c != b'%' {
            // Byte by byte: the text may be cut anywhere, and need not be UTF-8.
            if o.at + 1 >= o.max {
                return Err(fmt::Error);
            }
            // SAFETY: as in `write_str`.
            unsafe { *o.buf.add(o.at) = *c as c_char };
            o.at += 1;
            continue;
        }
        let mut flag = 0;
        while let [c @ (b'E' | b'O' | b'-' | b'_' | b'0'), rest @ ..] = f {
            // The alternatives of other locales are the plain ones here.
            if !matches!(c, b'E' | b'O') {
                flag = *c;
            }
            f = rest;
        }
        let [c, rest @ ..] = f else { break };
        f = rest;
        conversion(o, *c, t, flag)?;
    }
    Ok(())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strftime(
    buf: *mut c_char,
    max: usize,
    format: *const c_char,
    t: *const tm,
) -> usize {
    let mut o = Out { buf, at: 0, max };
    if max == 0 || run(&mut o, crate::string::bytes(format), &*t).is_err() {
        return 0;
    }
    *buf.add(o.at) = 0;
    o.at
}
