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

fn conversion(o: &mut Out, c: u8, t: &tm) -> fmt::Result {
    let year = t.tm_year as i64 + 1900;
    let hour12 = if t.tm_hour % 12 == 0 {
        12
    } else {
        t.tm_hour % 12
    };
    let day = DAYS.get(t.tm_wday as usize).copied().unwrap_or("?");
    let month = MONTHS.get(t.tm_mon as usize).copied().unwrap_or("?");
    let sub = |o: &mut Out, f: &[u8]| run(o, f, t);
    match c {
        b'a' => o.write_str(day.get(..3).unwrap_or(day)),
        b'A' => o.write_str(day),
        b'b' | b'h' => o.write_str(month.get(..3).unwrap_or(month)),
        b'B' => o.write_str(month),
        b'c' => sub(o, b"%a %b %e %H:%M:%S %Y"),
        b'C' => write!(o, "{:02}", year.div_euclid(100)),
        b'd' => write!(o, "{:02}", t.tm_mday),
        b'D' | b'x' => sub(o, b"%m/%d/%y"),
        b'e' => write!(o, "{:2}", t.tm_mday),
        b'F' => sub(o, b"%Y-%m-%d"),
        b'g' => write!(o, "{:02}", iso_week(t).0.rem_euclid(100)),
        b'G' => write!(o, "{}", iso_week(t).0),
        b'H' => write!(o, "{:02}", t.tm_hour),
        b'I' => write!(o, "{hour12:02}"),
        b'j' => write!(o, "{:03}", t.tm_yday + 1),
        b'k' => write!(o, "{:2}", t.tm_hour),
        b'l' => write!(o, "{hour12:2}"),
        b'm' => write!(o, "{:02}", t.tm_mon + 1),
        b'M' => write!(o, "{:02}", t.tm_min),
        b'n' => o.write_str("\n"),
        b'p' => o.write_str(if t.tm_hour >= 12 { "PM" } else { "AM" }),
        b'P' => o.write_str(if t.tm_hour >= 12 { "pm" } else { "am" }),
        b'r' => sub(o, b"%I:%M:%S %p"),
        b'R' => sub(o, b"%H:%M"),
        b's' => {
            let mut copy = *t;
            // SAFETY: a `tm` of our own.
            write!(o, "{}", unsafe { super::calendar::mktime(&raw mut copy) })
        }
        b'S' => write!(o, "{:02}", t.tm_sec),
        b't' => o.write_str("\t"),
        b'T' | b'X' => sub(o, b"%H:%M:%S"),
        b'u' => write!(o, "{}", if t.tm_wday == 0 { 7 } else { t.tm_wday }),
        b'U' => write!(o, "{:02}", (t.tm_yday + 7 - t.tm_wday) / 7),
        b'V' => write!(o, "{:02}", iso_week(t).1),
        b'w' => write!(o, "{}", t.tm_wday),
        b'W' => write!(o, "{:02}", (t.tm_yday + 7 - (t.tm_wday + 6) % 7) / 7),
        b'y' => write!(o, "{:02}", year.rem_euclid(100)),
        b'Y' => write!(o, "{year}"),
        b'z' if t.tm_isdst < 0 => Ok(()),
        b'z' => {
            let (sign, m) = (
                if t.tm_gmtoff < 0 { '-' } else { '+' },
                t.tm_gmtoff.abs() / 60,
            );
            write!(o, "{sign}{:02}{:02}", m / 60, m % 60)
        }
        b'Z' if t.tm_isdst < 0 || t.tm_zone.is_null() => Ok(()),
        b'Z' => {
            // SAFETY: a zone's name is a C string, by whoever made the `tm`.
            let name = unsafe { crate::string::bytes(t.tm_zone) };
            o.write_str(core::str::from_utf8(name).unwrap_or("?"))
        }
        b'%' => o.write_str("%"),
        other => {
            o.write_str("%")?;
            o.write_char(other as char)
        }
    }
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
        // The alternatives of other locales are the plain ones here.
        while let [b'E' | b'O' | b'-' | b'_' | b'0', rest @ ..] = f {
            f = rest;
        }
        let [c, rest @ ..] = f else { break };
        f = rest;
        conversion(o, *c, t)?;
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
