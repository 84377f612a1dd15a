//! The records of the kernel log: `<PRIORITY>[SECONDS.MICROS] TEXT`, one a line, as syslog(2) gives
//! them.

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// 0 (emergency) to 7 (debug).
    pub level: u8,
    /// 0 is the kernel itself.
    pub facility: u8,
    /// Microseconds since boot, where the kernel stamps its messages.
    pub micros: Option<u64>,
    pub text: &'a [u8],
}

pub const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warn", "notice", "info", "debug",
];

pub const FACILITIES: [&str; 12] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp",
];

/// What a message without a priority is taken for: the kernel's default.
const DEFAULT_LEVEL: u8 = 4;

pub fn records(log: &[u8]) -> impl Iterator<Item = Record<'_>> {
    log.split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(parse)
}

fn parse(line: &[u8]) -> Record<'_> {
    let (priority, rest) = split_priority(line).unwrap_or((u64::from(DEFAULT_LEVEL), line));
    let (micros, text) = match split_stamp(rest) {
        Some((micros, text)) => (Some(micros), text),
        None => (None, rest),
    };
    Record {
        level: (priority % 8) as u8,
        facility: (priority / 8).min(255) as u8,
        micros,
        text,
    }
}

fn split_priority(line: &[u8]) -> Option<(u64, &[u8])> {
    let (digits, rest) = split_at_byte(line.strip_prefix(b"<")?, b'>')?;
    Some((number(digits)?, rest))
}

fn split_stamp(rest: &[u8]) -> Option<(u64, &[u8])> {
    let (stamp, text) = split_at_byte(rest.strip_prefix(b"[")?, b']')?;
    let (seconds, fraction) = split_at_byte(stamp.trim_ascii_start(), b'.')?;
    if fraction.len() != 6 {
        return None;
    }
    let micros = number(seconds)?
        .checked_mul(1_000_000)?
        .checked_add(number(fraction)?)?;
    Some((micros, text.strip_prefix(b" ").unwrap_or(text)))
}

fn split_at_byte(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|b| *b == separator)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_priority_stamp_and_text() {
        let record = parse(b"<30>[   12.000345] hello [x] y");
        assert_eq!(record.level, 6);
        assert_eq!(record.facility, 3);
        assert_eq!(record.micros, Some(12_000_345));
        assert_eq!(record.text, b"hello [x] y");
    }

    #[test]
    fn odd_lines_are_text() {
        for line in [&b"plain"[..], b"<x>[1.2] a", b"[ 1.2] short fraction", b"<"] {
            let record = parse(line);
            assert_eq!(record.micros, None);
            assert_eq!((record.level, record.text), (DEFAULT_LEVEL, line));
        }
    }

    #[test]
    fn empty_lines_are_no_records() {
        assert_eq!(records(b"<4>a\n\n<5>b\n").count(), 2);
    }
}
