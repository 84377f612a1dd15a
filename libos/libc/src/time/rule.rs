//! Time zones by rule: `std offset dst [offset],start[/time],end[/time]` (POSIX, base definitions 8.3).

use super::calendar::{days_before_year, is_leap};
use core::ffi::c_char;

/// A day of the year on which the clocks change.
#[derive(Clone, Copy)]
pub enum Day {
    /// 1..=365, 29 February never counted.
    Julian(i32),
    /// 0..=365.
    Zero(i32),
    /// Month, week (5 the last), weekday.
    Rule(i32, i32, i32),
}

#[derive(Clone, Copy)]
pub struct Posix {
    /// Names, NUL-ended, of standard and summer time.
    pub names: [[c_char; 16]; 2],
    /// Seconds east of Greenwich.
    pub offsets: [i64; 2],
    /// From when to when (seconds of the day, local) it is summer; none without summer time.
    pub summer: Option<[(Day, i64); 2]>,
}

pub const UTC: Posix = {
    let mut name = [0; 16];
    name[0] = b'U' as c_char;
    name[1] = b'T' as c_char;
    name[2] = b'C' as c_char;
    Posix {
        names: [name; 2],
        offsets: [0; 2],
        summer: None,
    }
};

struct Parser<'a>(&'a [u8]);

impl Parser<'_> {
    fn peek(&self) -> u8 {
        self.0.first().copied().unwrap_or(0)
    }
    fn eat(&mut self, c: u8) -> bool {
        let hit = self.peek() == c;
        if hit {
            self.0 = &self.0[1..];
        }
        hit
    }
    fn number(&mut self) -> Option<i64> {
        let n = self.0.iter().take_while(|c| c.is_ascii_digit()).count();
        if n == 0 || n > 6 {
            return None;
        }
        let v = self.0[..n]
            .iter()
            .fold(0, |v, c| v * 10 + (c - b'0') as i64);
        self.0 = &self.0[n..];
        Some(v)
    }
    /// `[+-]hh[:mm[:ss]]` in seconds.
    fn time(&mut self) -> Option<i64> {
        let sign = if self.eat(b'-') {
            -1
        } else {
            self.eat(b'+');
            1
        };
        let mut t = self.number()? * 3600;
        if self.eat(b':') {
            t += self.number()? * 60;
            if self.eat(b':') {
                t += self.number()?;
            }
        }
        Some(sign * t)
    }
    fn name(&mut self) -> Option<[c_char; 16]> {
        let (text, rest) = if self.eat(b'<') {
            let n = self.0.iter().position(|&c| c == b'>')?;
            (&self.0[..n], &self.0[n + 1..])
        } else {
            let n = self
                .0
                .iter()
                .take_while(|c| c.is_ascii_alphabetic())
                .count();
            (&self.0[..n], &self.0[n..])
        };
        if text.len() < 3 || text.len() > 15 {
            return None;
        }
        let mut name = [0; 16];
        for (d, &c) in name.iter_mut().zip(text) {
            *d = c as c_char;
        }
        self.0 = rest;
        Some(name)
    }
    fn day(&mut self) -> Option<(Day, i64)> {
        let day = if self.eat(b'M') {
            let m = self.number()? as i32;
            let w = self.eat(b'.').then(|| self.number())?? as i32;
            let d = self.eat(b'.').then(|| self.number())?? as i32;
            if !(1..=12).contains(&m) || !(1..=5).contains(&w) || d > 6 {
                return None;
            }
            Day::Rule(m, w, d)
        } else if self.eat(b'J') {
            Day::Julian(self.number()? as i32)
        } else {
            Day::Zero(self.number()? as i32)
        };
        let at = if self.eat(b'/') { self.time()? } else { 7200 };
        Some((day, at))
    }
}

/// `std offset [dst [offset] [,start,end]]`.
pub fn parse_posix(s: &[u8]) -> Option<Posix> {
    let mut p = Parser(s);
    let std = p.name()?;
    let offset = -p.time()?;
    let mut zone = Posix {
        names: [std; 2],
        offsets: [offset; 2],
        summer: None,
    };
    if p.0.is_empty() {
        return Some(zone);
    }
    zone.names[1] = p.name()?;
    zone.offsets[1] = offset + 3600;
    if p.peek() != b',' && !p.0.is_empty() {
        zone.offsets[1] = -p.time()?;
    }
    zone.summer = Some(if p.eat(b',') {
        let start = p.day()?;
        let end = p.eat(b',').then(|| p.day())??;
        [start, end]
    } else {
        // The United States' rule, as everywhere else where none is given.
        [(Day::Rule(3, 2, 0), 7200), (Day::Rule(11, 1, 0), 7200)]
    });
    p.0.is_empty().then_some(zone)
}

/// Days from 1 January of `year` to `day`.
fn day_of_year(day: Day, year: i64) -> i64 {
    match day {
        Day::Julian(n) => n as i64 - 1 + (is_leap(year) && n >= 60) as i64,
        Day::Zero(n) => n as i64,
        Day::Rule(month, week, weekday) => {
            const BEFORE: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
            let leap = is_leap(year) as i64;
            let before = |m: i32| BEFORE[m as usize] + if m >= 2 { leap } else { 0 };
            let first = before(month - 1);
            let len = before(month) - first;
            // 1970-01-01 was a Thursday.
            let first_weekday = (days_before_year(year) + first + 4).rem_euclid(7);
            let mut d = (weekday as i64 - first_weekday).rem_euclid(7) + 7 * (week as i64 - 1);
            while d >= len {
                d -= 7;
            }
            first + d
        }
    }
}

/// Is it summer time at `t` (UTC)?
pub fn is_summer(zone: &Posix, t: i64) -> bool {
    let Some(summer) = zone.summer else {
        return false;
    };
    let year = super::calendar::year_of(t + zone.offsets[0]);
    let at = |i: usize| {
        let (day, s) = summer[i];
        (days_before_year(year) + day_of_year(day, year)) * 86400 + s - zone.offsets[i]
    };
    let (start, end) = (at(0), at(1));
    if start < end {
        t >= start && t < end
    } else {
        !(t >= end && t < start)
    }
}
