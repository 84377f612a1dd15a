//! `systime`, `mktime` and `strftime` in the C locale; time zones are jiff's business.

use std::io::Write;

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned, civil};

pub fn now() -> i64 {
    Timestamp::now().as_second()
}

fn zone(utc: bool) -> TimeZone {
    if utc {
        return TimeZone::UTC;
    }
    match std::env::var("TZ") {
        Ok(tz) if tz.is_empty() || tz == "UTC" || tz == "UTC0" || tz == "GMT" => TimeZone::UTC,
        _ => TimeZone::try_system().unwrap_or(TimeZone::UTC),
    }
}

/// `YYYY MM DD HH MM SS [DST]`; parts out of range carry over. -1 for anything else.
pub fn mktime(text: &str, utc: bool) -> f64 {
    let parts: Vec<i64> = text
        .split_whitespace()
        .map_while(|w| w.parse().ok())
        .collect();
    let [year, month, day, hour, minute, second, ..] = parts[..] else {
        return -1.0;
    };
    let months = year.saturating_mul(12).saturating_add(month - 1);
    let days = days_from_civil(months.div_euclid(12), months.rem_euclid(12) + 1) + day - 1;
    let seconds = days
        .saturating_mul(86400)
        .saturating_add(hour.saturating_mul(3600))
        .saturating_add(minute.saturating_mul(60))
        .saturating_add(second);
    // Daylight saving time that the zone does not have is still taken off.
    let dst = parts.get(6).copied().unwrap_or(-1);
    let Ok(as_utc) = Timestamp::from_second(seconds) else {
        return -1.0;
    };
    let local = Offset::UTC.to_datetime(as_utc);
    let Ok(zoned) = local.to_zoned(zone(utc)) else {
        return -1.0;
    };
    let info = zoned.time_zone().to_offset_info(zoned.timestamp());
    let mut result = zoned.timestamp().as_second();
    if dst > 0 && !info.dst().is_dst() {
        result -= 3600;
    }
    result as f64
}

/// Days from 1970-01-01 to the first of a month of the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

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

pub fn strftime(fmt: &[u8], seconds: i64, utc: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let Ok(stamp) = Timestamp::from_second(seconds) else {
        return out;
    };
    let zoned = stamp.to_zoned(zone(utc));
    expand(fmt, &zoned, utc, &mut out);
    out
}

fn expand(fmt: &[u8], t: &Zoned, utc: bool, out: &mut Vec<u8>) {
    let mut i = 0;
    while i < fmt.len() {
        if fmt[i] != b'%' || i + 1 == fmt.len() {
            out.push(fmt[i]);
            i += 1;
            continue;
        }
        i += 1;
        // glibc's flags, and the locale's alternatives, which the C locale lacks.
        let mut pad = None;
        while let Some(&b @ (b'-' | b'_' | b'0' | b'E' | b'O')) = fmt.get(i) {
            if matches!(b, b'-' | b'_' | b'0') {
                pad = Some(b);
            }
            i += 1;
        }
        let Some(&conv) = fmt.get(i) else { break };
        i += 1;
        one(conv, pad, t, utc, out);
    }
}

fn one(conv: u8, pad: Option<u8>, t: &Zoned, utc: bool, out: &mut Vec<u8>) {
    let date: civil::Date = t.date();
    let weekday = i64::from(date.weekday().to_sunday_zero_offset());
    let yday = i64::from(date.day_of_year()) - 1;
    let year = i64::from(t.year());
    let hour = i64::from(t.hour());
    let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
    let day_name = DAYS[weekday as usize];
    let month_name = MONTHS[(t.month() - 1) as usize];
    let mut number = |n: i64, width: usize, default: u8| {
        let fill = pad.unwrap_or(default);
        let text = match fill {
            b'-' => format!("{n}"),
            b'_' => format!("{n:>width$}"),
            _ => format!("{n:0width$}"),
        };
        out.extend_from_slice(text.as_bytes());
    };
    match conv {
        b'Y' => number(year, 1, b'-'),
        b'C' => number(year / 100, 2, b'0'),
        b'y' => number(year.rem_euclid(100), 2, b'0'),
        b'm' => number(i64::from(t.month()), 2, b'0'),
        b'd' => number(i64::from(t.day()), 2, b'0'),
        b'e' => number(i64::from(t.day()), 2, b'_'),
        b'H' => number(hour, 2, b'0'),
        b'k' => number(hour, 2, b'_'),
        b'I' => number(hour12, 2, b'0'),
        b'l' => number(hour12, 2, b'_'),
        b'M' => number(i64::from(t.minute()), 2, b'0'),
        b'S' => number(i64::from(t.second()), 2, b'0'),
        b'j' => number(yday + 1, 3, b'0'),
        b's' => number(t.timestamp().as_second(), 1, b'-'),
        b'w' => number(weekday, 1, b'0'),
        b'u' => number(if weekday == 0 { 7 } else { weekday }, 1, b'0'),
        b'U' => number((yday + 7 - weekday) / 7, 2, b'0'),
        b'W' => number((yday + 7 - (weekday + 6) % 7) / 7, 2, b'0'),
        b'V' => number(i64::from(date.iso_week_date().week()), 2, b'0'),
        b'G' => number(i64::from(date.iso_week_date().year()), 1, b'-'),
        b'g' => number(
            i64::from(date.iso_week_date().year()).rem_euclid(100),
            2,
            b'0',
        ),
        b'a' => out.extend_from_slice(&day_name.as_bytes()[..3]),
        b'A' => out.extend_from_slice(day_name.as_bytes()),
        b'b' | b'h' => out.extend_from_slice(&month_name.as_bytes()[..3]),
        b'B' => out.extend_from_slice(month_name.as_bytes()),
        b'p' => out.extend_from_slice(if hour < 12 { b"AM" } else { b"PM" }),
        b'P' => out.extend_from_slice(if hour < 12 { b"am" } else { b"pm" }),
        b'n' => out.push(b'\n'),
        b't' => out.push(b'\t'),
        b'%' => out.push(b'%'),
        b'Z' if utc => out.extend_from_slice(b"GMT"),
        b'Z' => {
            let info = t.time_zone().to_offset_info(t.timestamp());
            out.extend_from_slice(info.abbreviation().as_bytes());
        }
        b'z' => {
            let seconds = t.offset().seconds();
            let sign = if seconds < 0 { '-' } else { '+' };
            let minutes = seconds.abs() / 60;
            // Writing to a vector cannot fail.
            write!(out, "{sign}{:02}{:02}", minutes / 60, minutes % 60).ok();
        }
        b'D' | b'x' => expand(b"%m/%d/%y", t, utc, out),
        b'T' | b'X' => expand(b"%H:%M:%S", t, utc, out),
        b'F' => expand(b"%Y-%m-%d", t, utc, out),
        b'R' => expand(b"%H:%M", t, utc, out),
        b'r' => expand(b"%I:%M:%S %p", t, utc, out),
        b'c' => expand(b"%a %b %e %H:%M:%S %Y", t, utc, out),
        other => out.extend_from_slice(&[b'%', other]),
    }
}
