//! Numbers from text: `strtol`, `strtod` and their kin.

use crate::errno::fail;
use core::ffi::{c_char, c_int, c_long};
use core::ptr::null_mut;
use core::str::FromStr;

/// Magnitude, sign, and where the number ends (0: there is none). EINVAL for a base that is none.
unsafe fn integer(s: *const c_char, base: c_int) -> (u128, bool, usize) {
    if base < 0 || base == 1 || base > 36 {
        fail(libc::EINVAL);
        return (0, false, 0);
    }
    let at = |i: usize| *s.add(i) as u8;
    let mut i = 0;
    while at(i) == b' ' || (9..=13).contains(&at(i)) {
        i += 1;
    }
    let negative = at(i) == b'-';
    if negative || at(i) == b'+' {
        i += 1;
    }
    let mut base = base as u32;
    let hex = at(i) == b'0' && at(i + 1) | 32 == b'x' && (at(i + 2) as char).is_ascii_hexdigit();
    if (base == 0 || base == 16) && hex {
        i += 2;
        base = 16;
    } else if base == 0 {
        base = if at(i) == b'0' { 8 } else { 10 };
    }
    let (mut v, mut end) = (0u128, 0);
    while let Some(d) = (at(i) as char).to_digit(base) {
        v = (v * base as u128 + d as u128).min(1 << 100);
        i += 1;
        end = i;
    }
    (v, negative, end)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strtol(s: *const c_char, end: *mut *mut c_char, base: c_int) -> c_long {
    let (v, negative, n) = integer(s, base);
    if !end.is_null() {
        *end = s.add(n).cast_mut();
    }
    let limit = i64::MAX as u128 + negative as u128;
    if v > limit {
        crate::errno::set(libc::ERANGE);
        return if negative { i64::MIN } else { i64::MAX };
    }
    if negative {
        (v as u64).wrapping_neg() as i64
    } else {
        v as i64
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strtoul(s: *const c_char, end: *mut *mut c_char, base: c_int) -> u64 {
    let (v, negative, n) = integer(s, base);
    if !end.is_null() {
        *end = s.add(n).cast_mut();
    }
    if v > u64::MAX as u128 {
        crate::errno::set(libc::ERANGE);
        return u64::MAX;
    }
    if negative {
        (v as u64).wrapping_neg()
    } else {
        v as u64
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strtoll(s: *const c_char, end: *mut *mut c_char, base: c_int) -> i64 {
    strtol(s, end, base)
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strtoull(s: *const c_char, end: *mut *mut c_char, base: c_int) -> u64 {
    strtoul(s, end, base)
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn atoi(s: *const c_char) -> c_int {
    strtol(s, null_mut(), 10) as c_int
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn atol(s: *const c_char) -> c_long {
    strtol(s, null_mut(), 10)
}

/// A type of floating-point numbers: what is to know of it to put one together.
trait Float: FromStr + Copy {
    /// Bits of a mantissa, the first included.
    const DIGITS: u32;
    /// The power of two that the last bit of the smallest number stands for.
    const LEAST: i64;
    const INFINITY: Self;
    fn from_bits(bits: u64) -> Self;
    fn is_infinite(self) -> bool;
    /// Too small to have all its digits.
    fn is_tiny(self) -> bool;
}

macro_rules! float {
    ($t:ident $digits:literal $least:literal) => {
        impl Float for $t {
            const DIGITS: u32 = $digits;
            const LEAST: i64 = $least;
            const INFINITY: Self = $t::INFINITY;
            fn from_bits(bits: u64) -> Self {
                $t::from_bits(bits as _)
            }
            fn is_infinite(self) -> bool {
                $t::is_infinite(self)
            }
            fn is_tiny(self) -> bool {
                self.abs() < $t::MIN_POSITIVE
            }
        }
    };
}
float!(f32 24 -149);
float!(f64 53 -1074);

/// `mantissa` times a power of two, and a little more if `more`; rounded to the nearest, and whether that is in range.
fn compose<F: Float>(mantissa: u64, power: i64, more: bool) -> (F, bool) {
    if mantissa == 0 {
        return (F::from_bits(0), true);
    }
    let top = i64::from(63 - mantissa.leading_zeros());
    let last = (power + top - i64::from(F::DIGITS - 1)).max(F::LEAST);
    let (mut kept, mut exact) = (0, false);
    match last - power {
        drop @ ..=0 => (kept, exact) = (mantissa << -drop, !more),
        drop @ 1..=63 => {
            kept = mantissa >> drop;
            let (rest, half) = (mantissa & ((1 << drop) - 1), 1 << (drop - 1));
            exact = rest == 0 && !more;
            kept += u64::from(rest > half || rest == half && (more || kept & 1 == 1));
        }
        // Less than half of the smallest number, or just half with a mantissa of 64 bits, which is never asked for.
        _ => {}
    }
    let normal = kept >> (F::DIGITS - 1) != 0;
    // Far beyond every number, and no more than what the exponent's field can be computed of.
    if last > 1 << 11 {
        return (F::INFINITY, false);
    }
    // The mantissa's first bit adds one to the exponent's field, and so does a carry out of it.
    let field = (last - F::LEAST) as u64;
    let bits = (field << (F::DIGITS - 1)) + kept;
    let infinity = (1 << if F::DIGITS == 53 { 11 } else { 8 }) - 1;
    if bits >> (F::DIGITS - 1) >= infinity {
        return (F::INFINITY, false);
    }
    (F::from_bits(bits), normal || exact)
}

/// What follows `0x`: hexadecimal digits with a point, and a power of two. Gives the number, whether it is in range, and how
/// long it is (0: there is none).
unsafe fn hexadecimal<F: Float>(s: *const c_char) -> (F, bool, usize) {
    let at = |i: usize| *s.add(i) as u8;
    let (mut mantissa, mut power, mut more) = (0u64, 0i64, false);
    let (mut i, mut any, mut point) = (0, false, false);
    loop {
        if at(i) == b'.' && !point {
            point = true;
        } else if let Some(d) = (at(i) as char).to_digit(16) {
            any = true;
            if mantissa >> 58 == 0 {
                mantissa = mantissa << 4 | u64::from(d);
                power -= 4 * i64::from(point);
            } else {
                more |= d != 0;
                power += 4 * i64::from(!point);
            }
        } else {
            break;
        }
        i += 1;
    }
    if !any {
        return (F::from_bits(0), true, 0);
    }
    if at(i) | 32 == b'p' {
        let sign = usize::from(matches!(at(i + 1), b'+' | b'-'));
        let (mut n, mut j) = (0i64, i + 1 + sign);
        while at(j).is_ascii_digit() {
            n = (n * 10 + i64::from(at(j) - b'0')).min(1 << 40);
            j += 1;
        }
        if j > i + 1 + sign {
            power += if at(i + 1) == b'-' { -n } else { n };
            i = j;
        }
    }
    let (value, in_range) = compose(mantissa, power, more);
    (value, in_range, i)
}

/// The length of a decimal number, `inf` or `nan`, and whether it is a number that is not zero.
unsafe fn decimal(s: *const c_char) -> (usize, bool) {
    let at = |i: usize| *s.add(i) as u8;
    let word = |w: &[u8]| w.iter().enumerate().all(|(i, &c)| at(i) | 32 == c);
    if word(b"inf") {
        return (if word(b"infinity") { 8 } else { 3 }, false);
    }
    if word(b"nan") {
        return (3, false);
    }
    let (mut i, mut any, mut nonzero) = (0, false, false);
    let mut digits = |i: &mut usize| {
        while at(*i).is_ascii_digit() {
            any = true;
            nonzero |= at(*i) != b'0';
            *i += 1;
        }
    };
    digits(&mut i);
    if at(i) == b'.' {
        i += 1;
        digits(&mut i);
    }
    if !any {
        return (0, false);
    }
    if at(i) | 32 == b'e' {
        let mut j = i + 1 + usize::from(matches!(at(i + 1), b'+' | b'-'));
        if at(j).is_ascii_digit() {
            while at(j).is_ascii_digit() {
                j += 1;
            }
            i = j;
        }
    }
    (i, nonzero)
}

/// Decimal numbers by core's parser, which rounds correctly. No more is read than the number.
unsafe fn real<F: Float + core::ops::Neg<Output = F>>(
    s: *const c_char,
    end: *mut *mut c_char,
) -> F {
    let at = |i: usize| *s.add(i) as u8;
    let mut start = 0;
    while at(start) == b' ' || (9..=13).contains(&at(start)) {
        start += 1;
    }
    let negative = at(start) == b'-';
    start += usize::from(negative || at(start) == b'+');
    let hex = if at(start) == b'0' && at(start + 1) | 32 == b'x' {
        hexadecimal(s.add(start + 2))
    } else {
        (F::from_bits(0), true, 0)
    };
    let (value, in_range, len) = if hex.2 > 0 {
        (hex.0, hex.1, hex.2 + 2)
    } else {
        let (len, nonzero) = decimal(s.add(start));
        let text = core::slice::from_raw_parts(s.add(start).cast(), len);
        let parsed = core::str::from_utf8(text).ok().and_then(|t| t.parse().ok());
        let value: F = parsed.unwrap_or(F::from_bits(0));
        let in_range = !nonzero || !value.is_infinite() && !value.is_tiny();
        (value, in_range, len)
    };
    if !end.is_null() {
        *end = s.add(if len > 0 { start + len } else { 0 }).cast_mut();
    }
    if !in_range {
        fail(libc::ERANGE);
    }
    if negative { -value } else { value }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strtod(s: *const c_char, end: *mut *mut c_char) -> f64 {
    real(s, end)
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strtof(s: *const c_char, end: *mut *mut c_char) -> f32 {
    real(s, end)
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn atof(s: *const c_char) -> f64 {
    strtod(s, null_mut())
}
