//! Names and times as the headers of context and unified output show them.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;

/// Seconds and nanoseconds since 1970.
pub type Time = (i64, i64);

pub fn modified(metadata: &Metadata) -> Time {
    (metadata.mtime(), metadata.mtime_nsec())
}

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The user's time zone and the parts of a time in it.
fn local(seconds: i64) -> libc::tm {
    // SAFETY: all-zero bits are a valid `tm`; both pointers are good for the call.
    unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        libc::localtime_r(&seconds, &mut time);
        time
    }
}

/// POSIX's time of a context diff, `Sun Nov 22 17:29:02 2026`, which GNU keeps to in the C locale.
pub fn posix_stamp((seconds, _): Time) -> String {
    let time = local(seconds);
    format!(
        "{} {} {:2} {:02}:{:02}:{:02} {}",
        DAYS[time.tm_wday as usize % 7],
        MONTHS[time.tm_mon as usize % 12],
        time.tm_mday,
        time.tm_hour,
        time.tm_min,
        time.tm_sec,
        time.tm_year + 1900
    )
}

/// True if the environment asks for no locale, or for the C one.
pub fn is_c_locale() -> bool {
    let value = ["LC_ALL", "LC_TIME", "LANG"]
        .into_iter()
        .filter_map(std::env::var_os)
        .find(|value| !value.is_empty());
    value.is_none_or(|value| value == "C" || value == "POSIX")
}

/// `2026-11-22 17:20:00.123456789 +0000`, in the user's time zone.
pub fn stamp((seconds, nanoseconds): Time) -> String {
    let time = local(seconds);
    let offset = time.tm_gmtoff / 60;
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{nanoseconds:09} {}{:02}{:02}",
        time.tm_year + 1900,
        time.tm_mon + 1,
        time.tm_mday,
        time.tm_hour,
        time.tm_min,
        time.tm_sec,
        if offset < 0 { '-' } else { '+' },
        offset.abs() / 60,
        offset.abs() % 60
    )
}

/// The name, in double quotes with C's escapes where a blank or an odd byte would confuse a reader.
pub fn quoted(name: &[u8]) -> Vec<u8> {
    let odd = |b: &u8| *b <= b' ' || *b == b'"' || *b == b'\\';
    if !name.iter().any(odd) {
        return name.to_vec();
    }
    let mut text = vec![b'"'];
    for &byte in name {
        let letter = match byte {
            7 => b'a',
            8 => b'b',
            9 => b't',
            10 => b'n',
            11 => b'v',
            12 => b'f',
            13 => b'r',
            b'"' | b'\\' => byte,
            0..32 => {
                text.extend_from_slice(format!("\\{byte:03o}").as_bytes());
                continue;
            }
            _ => {
                text.push(byte);
                continue;
            }
        };
        text.extend_from_slice(&[b'\\', letter]);
    }
    text.push(b'"');
    text
}

/// The text of an errno without std's "(os error N)".
pub fn errno_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}
